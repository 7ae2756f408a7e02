// Kernels: strict ones are evaluate bit for bit, the others close to long double, for every opcode
// and every instruction set that this machine has.
#include <bit>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fstream>
#include <iomanip>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "program/kernels/kernels.h"
#include "reference.h"

using namespace arenagrad::program;
using Numbers = std::vector<double>;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

const Numbers kEdges = {0.0,
                        -0.0,
                        kInf,
                        -kInf,
                        std::nan(""),
                        1.0,
                        -1.0,
                        0.5,
                        -0.5,
                        2.0,
                        -2.0,
                        3.0,
                        0.7,
                        -0.7,
                        1e-300,
                        -1e-300,
                        5e-324,
                        -5e-324,
                        1e-310,
                        0x1p-1022,
                        1e300,
                        -1e300,
                        1.79e308,
                        -1.79e308,
                        709.7,
                        709.8,
                        710.4,
                        711.0,
                        -708.5,
                        -745.0,
                        -745.2,
                        -746.0,
                        1023.9,
                        1024.0,
                        -1074.0,
                        -1075.5,
                        36.0,
                        -36.0,
                        -37.3,
                        -37.5,
                        -38.6,
                        1e6,
                        -1e6,
                        1e10,
                        1e22,
                        3.141592653589793,
                        1.5707963267948966,
                        -1e-20,
                        1e-9,
                        -1e-9,
                        0.9999999999999999,
                        1.0000000000000002,
                        1.25,
                        6.0,
                        27.5};

std::vector<const Kernels*> sets(bool strict) {
  std::vector<const Kernels*> found;
  for (const char* name : {"portable", "avx2", "avx512"})
    if (const Kernels* set = kernels_named(name, strict)) found.push_back(set);
  return found;
}

std::vector<Opcode> codes() {
  std::vector<Opcode> all;
  for (std::size_t k = kFirstTableOpcode; k < kFirstNaryOpcode; ++k)
    all.push_back(static_cast<Opcode>(k));
  return all;
}

std::string where(const Kernels& set, Opcode opcode, double a, double b) {
  std::ostringstream text;
  text << set.name << ' ' << opcode_name(opcode) << std::setprecision(17) << " at " << a << ", "
       << b;
  return text.str();
}

bool same_bits(double a, double b) {
  return (a != a && b != b) || std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

struct Points {
  Numbers a, b, c;

  void add(Opcode opcode, double x, double y, double z) {
    // Operands that are the result of the others are that.
    if (opcode == Opcode::TanhPartial) y = std::tanh(x);
    if (opcode == Opcode::CbrtPartial) y = std::cbrt(x);
    if (opcode == Opcode::PowerPartialOf || opcode == Opcode::PowerPartialB) z = std::pow(x, y);
    if (opcode == Opcode::HypotPartialOf) z = std::hypot(x, y);
    if (opcode == Opcode::Polygamma || opcode == Opcode::LogNormCdfPartial)
      x = std::fmod(std::floor(std::fabs(x)), 4.0) + 1.0;
    if (opcode == Opcode::Polygamma && y < -1e3) y = -0.3;
    if (opcode == Opcode::ExpMinusSquare) y = std::exp2(std::round(std::fmod(y, 4.0)));
    a.push_back(x), b.push_back(y), c.push_back(z);
  }
};

Points edges(Opcode opcode) {
  Points points;
  const std::size_t operands = operand_count(opcode);
  for (const double x : kEdges) {
    if (operands == 1) points.add(opcode, x, 0.0, 0.0);
    for (std::size_t i = 0; operands > 1 && i < kEdges.size(); ++i)
      for (std::size_t k = 0; k < (operands > 2 ? 21 : 1); ++k)
        points.add(opcode, x, kEdges[i], kEdges[k]);
  }
  return points;
}

Points random_points(Opcode opcode, std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  double low = -4.0, high = 4.0;
  if (is_table_opcode(opcode)) {
    low = arenagrad::core::op_info(op_of(opcode)).low;
    high = arenagrad::core::op_info(op_of(opcode)).high;
  }
  const auto within = [&](double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(random);
  };
  const auto draw = [&](std::size_t i, bool unary) {
    switch (i % 4) {
    case 0:
      return within(low, high);
    case 1:
      return within(-1.0, 1.0) * within(0.0, 1.0) + (i % 8 == 1 ? 1.0 : 0.0);
    case 2:
      return within(-40.0, 40.0);
    default: {
      if (i % 8 == 3) return within(-750.0, 750.0);
      const double range = unary ? 1020.0 : 200.0;
      return std::exp2(within(-range, range)) * (i % 16 < 8 ? 1.0 : -1.0);
    }
    }
  };
  Points points;
  const bool unary = operand_count(opcode) == 1;
  for (std::size_t i = 0; i < count; ++i) {
    const double x = draw(i, unary);
    points.add(opcode, x, draw(i / 16, false), draw(i / 64, false));
  }
  return points;
}

void run(const Kernels& set, Opcode opcode, Numbers& y, const Points& p) {
  y.assign(p.a.size(), 0.0);
  set.map[static_cast<std::size_t>(opcode)](y.data(), {p.a.data(), 1}, {p.b.data(), 1},
                                            {p.c.data(), 1}, y.size());
}

double ulps(double y, long double truth) {
  const double rounded = static_cast<double>(truth);
  if (y == rounded || (y != y && rounded != rounded)) {
    if (y != y || std::isinf(y)) return 0.0;
  } else if (y != y || rounded != rounded) {
    return kInf;
  }
  const double size = std::min(std::fabs(rounded), std::numeric_limits<double>::max());
  const int place = size < 0x1p-1022 ? -1074 : std::ilogb(size) - 52;
  const long double of = std::isinf(y) ? std::copysign(0x1p1024L, static_cast<long double>(y)) : y;
  return static_cast<double>(std::fabs(of - truth) / std::scalbn(1.0L, place));
}

// The largest error that we allow, in ulps.
double allowed(Opcode opcode) {
  switch (opcode) {
  case Opcode::SiluPartial: // of its largest terms: it is their difference
  case Opcode::GeluPartial:
  case Opcode::Gelu:
    return 4.0;
  case Opcode::Tanh: // of the portable kernels, which have no fused multiply-add
  case Opcode::Silu:
  case Opcode::TanhPartial:
  case Opcode::Arctan2Partial:
  case Opcode::Cbrt: // evaluate's, for the smallest numbers
    return 3.0;
  default:
    return 2.0;
  }
}

struct Worst {
  double error = 0.0, a = 0.0, b = 0.0;
};

Worst worst_of(const Kernels& set, Opcode opcode, const Points& p) {
  Numbers y;
  run(set, opcode, y, p);
  Worst worst;
  for (std::size_t i = 0; i < y.size(); ++i) {
    long double truth = reference::evaluate(opcode, p.a[i], p.b[i], p.c[i]);
    double error = ulps(y[i], truth);
    if ((opcode == Opcode::SiluPartial || opcode == Opcode::GeluPartial) && p.a[i] > -3.0)
      error = std::min(error, static_cast<double>(std::fabs(y[i] - truth)) * 0x1p54);
    if (error > worst.error) worst = {error, p.a[i], p.b[i]};
  }
  return worst;
}

bool has_own(const Kernels& fast, Opcode opcode) {
  const auto k = static_cast<std::size_t>(opcode);
  return fast.map[k] != kernels_named(fast.name, true)->map[k];
}

} // namespace

TEST_CASE("strict kernels are evaluate, bit for bit") {
  for (const Kernels* set : sets(true))
    for (const Opcode opcode : codes())
      for (const Points& p : {edges(opcode), random_points(opcode, 2000, 1)}) {
        Numbers y;
        run(*set, opcode, y, p);
        std::size_t differ = 0;
        for (std::size_t i = 0; i < y.size(); ++i) {
          const double expected = evaluate(opcode, p.a[i], p.b[i], p.c[i]);
          if (same_bits(y[i], expected)) continue;
          if (differ++ == 0) FAIL_CHECK(where(*set, opcode, p.a[i], p.b[i]));
        }
      }
}

TEST_CASE("strict exponentials and powers with one exponent have the bits of the C library") {
  std::mt19937_64 random(12);
  std::uniform_real_distribution<double> unit(-1.0, 1.0);
  Numbers near_one, of_all_sizes, exponents;
  for (int k = 0; k < 100'000; ++k) {
    near_one.push_back(4.0 * unit(random));
    of_all_sizes.push_back(std::ldexp(unit(random), static_cast<int>(random() % 240) - 120));
    exponents.push_back(720.0 * unit(random));
  }
  const auto check = [](const Kernels& set, Opcode opcode, const Numbers& a, double b) {
    Numbers y(a.size());
    const Strided of_b{&b, 0};
    set.map[static_cast<std::size_t>(opcode)](y.data(), {a.data(), 1}, of_b, of_b, a.size());
    std::size_t differ = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!same_bits(y[i], evaluate(opcode, a[i], b, 0.0)) && differ++ == 0)
        FAIL_CHECK(where(set, opcode, a[i], b));
  };
  for (const Kernels* set : sets(true)) {
    for (const Numbers& a : {kEdges, near_one, of_all_sizes, exponents})
      check(*set, Opcode::Exp, a, 0.0);
    for (const double b : {2.0, -1.0, 0.5, 3.0, -2.0, 1.0, 0.0})
      for (const Numbers& a : {kEdges, near_one, of_all_sizes}) check(*set, Opcode::Pow, a, b);
  }
}

TEST_CASE("all lengths and steps give what each number gives alone, also in place") {
  for (const bool strict : {false, true})
    for (const Kernels* set : sets(strict))
      for (const Opcode opcode : codes()) {
        const Kernels::Map map = set->map[static_cast<std::size_t>(opcode)];
        const Points p = random_points(opcode, 40, 2);
        const std::size_t patterns = std::size_t{1} << operand_count(opcode);
        std::size_t differ = 0;
        for (std::size_t pattern = 0; pattern < patterns; ++pattern)
          for (std::size_t n = 0; n <= 40; ++n) {
            const auto strided = [&](const Numbers& x, std::size_t k) {
              return Strided{x.data(), pattern >> k & 1};
            };
            const Strided a = strided(p.a, 0), b = strided(p.b, 1), c = strided(p.c, 2);
            Numbers y(n + 1, 42.0), own = p.a;
            map(y.data(), a, b, c, n);
            if (a.step == 1) map(own.data(), {own.data(), 1}, b, c, n);
            for (std::size_t i = 0; i < n; ++i) {
              double one = 0.0;
              map(&one, {a.at + i * a.step, 0}, {b.at + i * b.step, 0}, {c.at + i * c.step, 0}, 1);
              if (!same_bits(y[i], one) || (a.step == 1 && !same_bits(own[i], one))) ++differ;
            }
            if (y[n] != 42.0) ++differ;
          }
        CHECK_MESSAGE(differ == 0, where(*set, opcode, 0.0, 0.0));
      }
}

TEST_CASE("the elementary functions of lanes are close to long double") {
  std::ofstream docs;
  if (std::getenv("ARENAGRAD_WRITE_DOCS") != nullptr)
    docs.open(ARENAGRAD_ROOT "/cpp/program/kernels/ERRORS.md");
  docs
      << "# Errors of the kernels' functions\n\n"
         "The largest error of each opcode's lanes against long double, in units of the last place "
         "of the result, over random operands of every size and the edge cases of "
         "`tests/cpp/test_kernels.cpp`, which writes this file if `ARENAGRAD_WRITE_DOCS` is set; "
         "and where it is. Opcodes not listed are those of `evaluate` in both modes. "
         "SiluPartial and GeluPartial, which are differences, are held against their terms where "
         "they cross zero. The errors of the polynomials alone, which are far smaller, stand in "
         "`polynomials.h` beside their intervals and degrees; "
         "`fit_polynomials.py` derives all constants of these functions.\n\n| opcode | "
         "portable | avx2 | avx512 | worst at |\n|---|---|---|---|---|\n";
  for (const Opcode opcode : codes()) {
    if (opcode == Opcode::MultiplyAdd) continue; // unfused, it has any error where it cancels
    std::string line = std::string("| ") + opcode_name(opcode);
    bool any = false;
    Worst most;
    for (const Kernels* set : sets(false)) {
      if (!has_own(*set, opcode)) {
        line += " | evaluate";
        continue;
      }
      any = true;
      Worst worst = worst_of(*set, opcode, random_points(opcode, 60000, 3));
      const Worst at_edges = worst_of(*set, opcode, edges(opcode));
      if (at_edges.error > worst.error) worst = at_edges;
      CHECK_MESSAGE(worst.error <= allowed(opcode), where(*set, opcode, worst.a, worst.b)
                                                        << " by " << worst.error);
      char text[32];
      std::snprintf(text, sizeof text, " | %.2f", worst.error);
      line += text;
      if (worst.error >= most.error) most = worst;
    }
    char text[64];
    std::snprintf(text, sizeof text, operand_count(opcode) > 1 ? " | %.17g, %.17g |" : " | %.17g |",
                  most.a, most.b);
    if (any) docs << line << text << '\n';
  }
}

TEST_CASE("at the edges lanes give the nans, infinities and zeros that evaluate gives") {
  for (const Kernels* set : sets(false))
    for (const Opcode opcode : codes()) {
      if (opcode == Opcode::MultiplyAdd) continue; // fused, it does not overflow in between
      Numbers y;
      const Points p = edges(opcode);
      run(*set, opcode, y, p);
      std::size_t differ = 0;
      for (std::size_t i = 0; i < y.size(); ++i) {
        const double expected = evaluate(opcode, p.a[i], p.b[i], p.c[i]);
        const bool same = (y[i] != y[i]) == (expected != expected) &&
                          std::isinf(y[i]) == std::isinf(expected) &&
                          (y[i] != y[i] || std::signbit(y[i]) == std::signbit(expected)) &&
                          (y[i] == 0.0) == (expected == 0.0);
        if (same) continue;
        if (differ++ == 0) FAIL_CHECK(where(*set, opcode, p.a[i], p.b[i]));
      }
    }
}

TEST_CASE("tanh with its partial is each of them") {
  for (const bool strict : {false, true})
    for (const Kernels* set : sets(strict)) {
      const Points p = random_points(Opcode::Tanh, 1003, 4);
      Numbers y(p.a.size()), partial(p.a.size()), one, other;
      set->tanh_and_partial(y.data(), partial.data(), p.a.data(), y.size());
      run(*set, Opcode::Tanh, one, p);
      Points with = p;
      with.b = one;
      run(*set, Opcode::TanhPartial, other, with);
      CHECK(y == one);
      CHECK(partial == other);
    }
}

TEST_CASE("one set is chosen, and unknown names have none") {
  CHECK(kernels_named(kernels(false).name, false) == &kernels(false));
  CHECK(kernels_named(kernels(true).name, true) == &kernels(true));
  CHECK(kernels_named("mmx", false) == nullptr);
  CHECK(kernels_named("portable", false) != nullptr);
}
