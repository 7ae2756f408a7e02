// Programs on one point, against the interpreter.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <sstream>
#include <thread>

#include "network.h"
#include "program/point/point_plan.h"
#include "program_cases.h"

using namespace arenagrad::program;

namespace {

constexpr Passes kNoPasses = Passes::none();

std::vector<double> expected(const Program& program, const std::vector<double>& inputs) {
  std::vector<double> values(program.size()), out;
  interpret(program, inputs.data(), values.data());
  for (const Index output : program.outputs) out.push_back(values[output]);
  return out;
}

struct Result {
  std::vector<double> outputs;
  Outcome outcome;
};

Result run(const PointPlan& plan, const Program& program, const std::vector<double>& inputs) {
  std::vector<double> workspace(plan.workspace(), std::nan("")), out(program.outputs.size());
  const Outcome outcome = plan.run(inputs.data(), out.data(), workspace.data());
  return {out, outcome};
}

Result run(const Program& program, const std::vector<double>& inputs, bool strict = true) {
  return run(PointPlan(program, strict), program, inputs);
}

bool same_bits(double one, double other) {
  return (one != one && other != other) ||
         std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
}

bool close(double one, double other, double tolerance) {
  if (!std::isfinite(one) || !std::isfinite(other)) return same_bits(one, other);
  return std::fabs(one - other) <= tolerance * std::max({1.0, std::fabs(one), std::fabs(other)});
}

void check_strict(const Program& program, const std::vector<double>& inputs) {
  const std::vector<double> should = expected(program, inputs);
  const std::vector<double> is = run(program, inputs).outputs;
  std::size_t wrong = 0;
  for (std::size_t k = 0; k < should.size(); ++k) wrong += same_bits(is[k], should[k]) ? 0 : 1;
  CHECK(wrong == 0);
}

void check_close(const Program& program, const std::vector<double>& inputs, double tolerance) {
  const std::vector<double> should = expected(program, inputs);
  const std::vector<double> is = run(program, inputs, false).outputs;
  std::size_t wrong = 0;
  for (std::size_t k = 0; k < should.size(); ++k)
    wrong += close(is[k], should[k], tolerance) ? 0 : 1;
  CHECK(wrong == 0);
}

bool has_line(const PointPlan& plan, const std::string& line) {
  std::istringstream lines(plan.text());
  for (std::string at; std::getline(lines, at);)
    if (at == line) return true;
  return false;
}

// Any opcode on operands that `draw` chooses.
template <class Draw>
Index emit_any(Builder& builder, Opcode opcode, std::size_t count, Draw&& draw) {
  if (!is_many(opcode)) {
    const std::size_t operands = operand_count(opcode);
    const Index a = draw(), b = operands > 1 ? draw() : kNone, c = operands > 2 ? draw() : kNone;
    return builder.emit(opcode, a, b, c);
  }
  std::vector<Index> list;
  for (std::size_t k = 0; k < count; ++k) list.push_back(draw());
  return cases::emit_list(builder, opcode, list);
}

// All but those of matrices.
constexpr std::size_t kCodes = kFirstMatrixOpcode - kFirstTableOpcode + 1;
Opcode code_number(std::size_t k) {
  return k + 1 == kCodes ? Opcode::RowSum : static_cast<Opcode>(kFirstTableOpcode + k);
}

} // namespace

TEST_CASE("random programs of all codes, strictly run, give the interpreter's bits") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 engine(seed);
    const auto below = [&](std::size_t n) { return engine() % n; };
    Builder builder(seed % 2 == 0 ? kNoPasses : Passes{});
    const std::size_t inputs = 1 + below(20);
    std::vector<Index> values;
    for (std::size_t k = 0; k < inputs; ++k) values.push_back(builder.input());
    for (std::size_t k = 0; k < 4; ++k) values.push_back(builder.constant(double(k) - 1.0));
    const std::size_t near = seed % 3 == 0 ? 8 : 100000; // operands, so that some are deep
    while (builder.size() < 800) {
      const Opcode opcode = code_number(below(kCodes));
      if (opcode == Opcode::Polygamma) continue; // a large order takes forever
      const std::size_t count = 1 + below(12);
      for (std::size_t left = 1 + below(10); left > 0; --left)
        values.push_back(emit_any(builder, opcode, count, [&] {
          return values[values.size() - 1 - below(std::min(near, values.size()))];
        }));
    }
    for (std::size_t k = 0; k < 200; ++k) builder.output(values[below(values.size())]);
    for (std::size_t k = 0; k < 20; ++k) builder.output(values[values.size() - 1 - k]);
    check_strict(builder.finish(), random_numbers(inputs, -4.0, 4.0, seed));
  }
}

TEST_CASE("each opcode alone, on few and many, side by side and not, with and without users") {
  for (std::size_t k = 0; k < kCodes; ++k) {
    const Opcode opcode = code_number(k);
    CAPTURE(std::string(opcode_name(opcode)));
    const bool table = is_table_opcode(opcode);
    const double low = table ? arenagrad::core::op_info(op_of(opcode)).low : 0.1;
    const double high = table ? arenagrad::core::op_info(op_of(opcode)).high : 4.0;
    for (const std::size_t n : {1, 2, 5, 40, 600})
      for (const int kind : {0, 1, 2, 3, 4}) {
        std::mt19937 engine(static_cast<unsigned>(n));
        Builder builder(kNoPasses);
        for (std::size_t i = 0; i < 3 * n + 8; ++i) builder.input();
        for (std::size_t i = 0; i < n; ++i) {
          std::size_t operand = 0;
          const Index y = emit_any(builder, opcode, 7, [&] {
            const std::size_t at = operand++;
            if (kind == 0) return static_cast<Index>(engine() % (3 * n));
            if (kind == 1) return static_cast<Index>(at == 0 ? i : (at % 3) * n + i);
            if (kind == 2) return static_cast<Index>(at == 1 ? 3 * n : i);
            if (kind == 3) return static_cast<Index>(at == 0 ? i / 5 : n + i % 5);
            return static_cast<Index>(2 * n - 1 - i + at % 8);
          });
          builder.output(i % 2 == 0 ? y : builder.emit(Opcode::Negate, y));
        }
        const Program program = builder.finish();
        const auto inputs = random_numbers(program.input_count, low, high, 7);
        check_strict(program, inputs);
        // A partial of tanh may be taken from either operand, of which one follows from the other.
        if (opcode != Opcode::TanhPartial) check_close(program, inputs, 1e-12);
      }
  }
}

TEST_CASE("random smooth programs, not strictly run, differ by rounding") {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 engine(seed);
    Builder builder(kNoPasses);
    std::vector<Index> values;
    for (std::size_t k = 0; k < 30; ++k) values.push_back(builder.input());
    const Opcode codes[] = {Opcode::Tanh, Opcode::TanhPartial, Opcode::Sin, Opcode::Sigmoid,
                            Opcode::DotN, Opcode::SumN,        Opcode::Mul, Opcode::Add};
    while (builder.size() < 1000) {
      const Opcode opcode = codes[engine() % 8];
      const std::size_t count = 1 + engine() % 20;
      for (std::size_t left = engine() % 20; left > 0; --left) {
        const Index y = emit_any(builder, opcode == Opcode::TanhPartial ? Opcode::Tanh : opcode,
                                 count, [&] { return values[engine() % values.size()]; });
        values.push_back(builder.emit(Opcode::Tanh, y));
        if (opcode == Opcode::TanhPartial) values.push_back(builder.emit(opcode, y, values.back()));
      }
    }
    for (const Index value : values) builder.output(value);
    check_close(builder.finish(), random_numbers(30, -1.0, 1.0, seed), 1e-9);
  }
}

TEST_CASE("tanhs of one and the same number keep their partials") {
  Builder builder(kNoPasses);
  const Index x = builder.input();
  std::vector<Index> tanhs;
  for (int k = 0; k < 8; ++k) tanhs.push_back(builder.emit(Opcode::Tanh, x));
  for (const Index y : tanhs) builder.output(builder.emit(Opcode::TanhPartial, x, y));
  const Program program = builder.finish();
  check_strict(program, {0.5});
  check_close(program, {0.5}, 1e-12);
}

TEST_CASE("a network is matrices times vectors and outer products") {
  for (const bool backwards : {false, true}) {
    Builder builder(Passes{});
    const Network network(builder, {2, 16, 16, 1}, 1, backwards);
    const Program program = builder.finish();
    const auto inputs = random_numbers(program.input_count, -1.0, 1.0, 3);
    check_strict(program, inputs);
    check_close(program, inputs, 1e-12);
    const PointPlan plan(program, false);
    CAPTURE(plan.text());
    CHECK(has_line(plan, "MatrixVector 16x2"));
    CHECK(has_line(plan, "MatrixVector 16x16"));
    CHECK(has_line(plan, "TanhAndPartial x16"));
    CHECK(has_line(plan, "Outer 16x16"));
    CHECK(has_line(plan, "Outer 16x2"));
    CHECK(plan.text().find("DotN") == std::string::npos);
    CHECK(plan.groups() < 22);
    CHECK(plan.bytes() <= 24 * program.size());
  }
}

TEST_CASE("a network of several samples is matrices times vectors") {
  Builder builder(Passes{});
  const Network network(builder, {3, 12, 9, 1}, 20);
  const Program program = builder.finish();
  const auto inputs = random_numbers(program.input_count, -1.0, 1.0, 3);
  check_strict(program, inputs);
  check_close(program, inputs, 1e-12);
  const PointPlan plan(program, false);
  CAPTURE(plan.text());
  CHECK(has_line(plan, "TanhAndPartial x240"));
  CHECK(has_line(plan, "MatrixVector 20x3"));
  CHECK(has_line(plan, "MatrixVector 20x12"));
  CHECK(has_line(plan, "MatrixVector 12x20"));
  CHECK(has_line(plan, "Mul x240"));
  CHECK(plan.text().find("DotN") == std::string::npos);
  CHECK(plan.text().find("one by one") == std::string::npos);
  CHECK(plan.bytes() <= 24 * program.size());
}

TEST_CASE("vectors and matrices that are not quite") {
  for (const int kind : {0, 1, 2, 3, 4}) {
    Builder builder(kNoPasses);
    for (std::size_t i = 0; i < 200; ++i) builder.input();
    for (Index r = 0; r < 8; ++r) {
      std::vector<Index> w, x, list;
      for (Index k = 0; k < 6; ++k) {
        w.push_back(kind == 1 && r == 5 && k == 3 ? 199 : 6 * r + k);
        x.push_back(kind == 2   ? 100 + k * k
                    : kind == 3 ? 100 + 3 * k
                                : 100 + k + (kind == 4 ? r : 0));
      }
      if (r % 2 == 0) list.push_back(190);
      if (kind == 3) list.assign(1, 150 + 2 * r);
      list.insert(list.end(), w.begin(), w.end());
      list.insert(list.end(), x.begin(), x.end());
      builder.output(builder.emit_many(Opcode::DotN, list));
    }
    const Program program = builder.finish();
    const auto inputs = random_numbers(200, -1.0, 1.0, 3);
    check_strict(program, inputs);
    check_close(program, inputs, 1e-13);
    if (kind == 3) CHECK(has_line(PointPlan(program, true), "MatrixVector 8x6"));
  }
}

// The rows of a symmetric matrix of constants, each of which is one instruction, times x, with a
// start for each row if asked for.
Program symmetric_product(Index n, bool with_start, Index irregular = kNone) {
  Builder builder(kNoPasses);
  for (Index i = 0; i < 2 * n; ++i) builder.input();
  std::vector<Index> constants(static_cast<std::size_t>(n) * n);
  for (Index r = 0; r < n; ++r)
    for (Index c = r; c < n; ++c)
      constants[std::size_t{r} * n + c] = constants[std::size_t{c} * n + r] =
          builder.constant(std::sin(r * 31.0 + c));
  for (Index r = 0; r < n; ++r) {
    std::vector<Index> list;
    if (with_start) list.push_back(n + r);
    for (Index c = 0; c < n; ++c)
      list.push_back(r * n + c == irregular ? n + 1 : constants[std::size_t{r} * n + c]);
    for (Index c = 0; c < n; ++c) list.push_back(c);
    builder.output(builder.emit_many(Opcode::DotN, list));
  }
  return builder.finish();
}

TEST_CASE("rows of constants are added up side by side, even if they share the constants") {
  for (const Index n : {4, 5, 10, 17, 40})
    for (const bool with_start : {false, true}) {
      const Program program = symmetric_product(n, with_start);
      const auto inputs = random_numbers(2 * n, -1.0, 1.0, 3);
      check_strict(program, inputs);
      check_close(program, inputs, 1e-13);
      for (const bool strict : {false, true}) {
        const PointPlan plan(program, strict);
        CAPTURE(plan.text());
        const std::string line = std::to_string(2 * n + with_start) + " strided x";
        CHECK(has_line(plan, "DotN " + line + std::to_string(n)));
        CHECK(plan.groups() == 1);
      }
    }
}

TEST_CASE("a row of constants with another number in it is apart from the others") {
  for (const Index row : {0, 4, 9}) {
    const Program program = symmetric_product(10, row == 4, row * 10 + 3);
    const auto inputs = random_numbers(20, -1.0, 1.0, 3);
    check_strict(program, inputs);
    check_close(program, inputs, 1e-13);
    const PointPlan plan(program, true);
    CAPTURE(plan.text());
    CHECK(plan.text().find(row == 4 ? "DotN 21 strided x" : "DotN 20 strided x9") !=
          std::string::npos);
  }
}

TEST_CASE("an exact matrix of constants has its rows side by side, another its columns") {
  Builder builder(kNoPasses);
  for (Index i = 0; i < 6; ++i) builder.input();
  std::vector<std::vector<Index>> lists(8);
  for (auto& list : lists)
    for (Index k = 0; k < 6; ++k) list.push_back(builder.constant(std::cos(builder.size())));
  for (auto& list : lists) {
    for (Index k = 0; k < 6; ++k) list.push_back(k);
    builder.output(builder.emit_many(Opcode::DotN, list));
  }
  const Program program = builder.finish();
  const auto inputs = random_numbers(6, -1.0, 1.0, 3);
  check_strict(program, inputs);
  check_close(program, inputs, 1e-13);
  CHECK(has_line(PointPlan(program, true), "DotN 12 strided x8"));
  CHECK(has_line(PointPlan(program, false), "MatrixVector 8x6"));
}

TEST_CASE("instructions are ordered by either operand, whichever puts more of them side by side") {
  Builder builder(kNoPasses);
  std::vector<Index> x, square, half;
  for (Index i = 0; i < 12; ++i) x.push_back(builder.input());
  const Index of_half = builder.constant(0.5);
  for (Index i = 0; i < 12; ++i) square.push_back(builder.emit(Opcode::Mul, x[i], x[i]));
  for (Index i = 12; i-- > 0;) half.push_back(builder.emit(Opcode::Mul, of_half, x[i]));
  std::vector<Index> products;
  for (Index i = 0; i < 12; ++i) products.push_back(builder.emit(Opcode::Mul, x[i], square[i]));
  for (Index i = 12; i-- > 0;) products.push_back(builder.emit(Opcode::Mul, x[i], half[11 - i]));
  for (const Index product : products) builder.output(builder.emit(Opcode::Exp, product));
  const Program program = builder.finish();
  const auto inputs = random_numbers(12, -1.0, 1.0, 3);
  check_strict(program, inputs);
  check_close(program, inputs, 1e-13);
  const PointPlan plan(program, true);
  CAPTURE(plan.text());
  CHECK(plan.text().find("Mul one by one") == std::string::npos);
}

TEST_CASE("what is checked must be finite, needed or not, and only that") {
  for (const std::size_t n : {1, 3, 30}) {
    Builder builder(kNoPasses);
    for (std::size_t k = 0; k < n; ++k) builder.input();
    for (Index k = 0; k < n; ++k) {
      const Index y = builder.emit(Opcode::Log, k, kNone, kNone, true);
      builder.output(y), builder.output(builder.emit(Opcode::Log, y));
      builder.emit(Opcode::Reciprocal, builder.constant(0.0));
      builder.emit(Opcode::Sqrt, builder.emit(Opcode::Subtract, k, builder.constant(0.25)), kNone,
                   kNone,
                   true); // nothing needs it
      builder.emit(Opcode::RowSum, builder.emit(Opcode::Log, k), kNone, kNone, true);
    }
    const Program program = builder.finish();
    std::vector<double> inputs(n, 0.5);
    for (const bool strict : {false, true}) {
      CHECK(run(program, inputs, strict).outcome.finite);
      for (std::size_t k = 0; k < n; ++k) {
        inputs[k] = 0.0;
        const Result result = run(program, inputs, strict);
        CHECK_FALSE(result.outcome.good());
        CHECK_FALSE(result.outcome.finite);
        CHECK(result.outputs[2 * k] == -HUGE_VAL);
        inputs[k] = 0.125;
        CHECK_FALSE(run(program, inputs, strict).outcome.finite);
        inputs[k] = 0.5;
      }
    }
  }
}

TEST_CASE("the first guard that came out otherwise is told") {
  Builder builder(kNoPasses);
  const Index a = builder.input(), b = builder.input(), c = builder.input();
  builder.guard(builder.emit(Opcode::Less, a, b), true);
  builder.guard(builder.emit(Opcode::Less, b, c), false);
  builder.guard(builder.emit(Opcode::Equal, a, c), true);
  builder.output(builder.emit(Opcode::Add, a, b));
  const Program program = builder.finish();
  CHECK(run(program, {1.0, 2.0, 1.0}).outcome.good());
  CHECK(run(program, {3.0, 2.0, 3.0}).outcome.guard == 0);
  CHECK(run(program, {1.0, 2.0, 3.0}).outcome.guard == 1);
  CHECK(run(program, {1.0, 2.0, 1.5}).outcome.guard == 2);
  CHECK(run(program, {1.0, 2.0, 1.5}).outputs[0] == 3.0);
  CHECK(run(program, {1.0, 2.0, 1.5}).outcome.finite);
}

TEST_CASE("outputs may be inputs, constants, repeated, none; inputs may be unused") {
  Builder builder(kNoPasses);
  const Index a = builder.input(), b = builder.input();
  const Index half = builder.constant(0.5), dead = builder.emit(Opcode::Exp, b);
  const Index y = builder.emit(Opcode::Mul, a, half);
  builder.emit(Opcode::Exp, dead);
  for (const Index i : {a, half, y, y, a, half, builder.emit(Opcode::RowSum, y)}) builder.output(i);
  const Program program = builder.finish();
  const std::vector<double> should{6.0, 0.5, 3.0, 3.0, 6.0, 0.5, 3.0};
  CHECK(run(program, {6.0, 7.0}).outputs == should);
  CHECK(PointPlan(program, true).groups() == 1);
  CHECK(run(Program{}, {}).outcome.good());
  CHECK(PointPlan(Program{}, false).text().empty());
  Builder inputs_only(kNoPasses);
  inputs_only.input();
  CHECK(run(inputs_only.finish(), {1.0}).outputs.empty());
}

TEST_CASE("one plan runs in two threads, each with its workspace") {
  Builder builder(Passes{});
  const Network network(builder, {2, 16, 16, 1});
  const Program program = builder.finish();
  const PointPlan plan(program, false);
  std::vector<double> seen[2][2];
  const auto work = [&](unsigned k) {
    const auto inputs = random_numbers(program.input_count, -1.0, 1.0, k);
    seen[k][0] = run(plan, program, inputs).outputs;
    for (int turn = 0; turn < 200; ++turn) seen[k][1] = run(plan, program, inputs).outputs;
  };
  std::thread one(work, 0), other(work, 1);
  one.join(), other.join();
  for (const unsigned k : {0u, 1u}) {
    CHECK(seen[k][0] == seen[k][1]);
    CHECK(seen[k][0] ==
          run(plan, program, random_numbers(program.input_count, -1.0, 1.0, k)).outputs);
  }
}

TEST_CASE("long chains, and groups larger than a block") {
  Builder builder(kNoPasses);
  std::vector<Index> values;
  for (std::size_t k = 0; k < 2000; ++k) values.push_back(builder.input());
  Index y = 0;
  for (std::size_t k = 0; k < 3000; ++k)
    y = builder.emit(k % 2 == 0 ? Opcode::Add : Opcode::Sin, y,
                     k % 2 == 0 ? values[k % 2000] : kNone);
  builder.output(y);
  for (std::size_t k = 0; k < 2000; ++k) {
    builder.output(builder.emit(Opcode::Exp, values[k * 7 % 2000]));
    builder.output(builder.emit(Opcode::Hypot, values[k * 3 % 2000], values[k * 11 % 2000]));
    builder.output(builder.emit(Opcode::Negate, builder.emit(Opcode::Tanh, values[k * 9 % 2000])));
  }
  const Program program = builder.finish();
  const auto inputs = random_numbers(2000, -1.0, 1.0, 5);
  check_strict(program, inputs);
  check_close(program, inputs, 1e-9);
}

TEST_CASE("what may raise is computed though nothing needs its number") {
  Builder builder(Passes{});
  const Index x = builder.input();
  builder.emit(Opcode::Log, x, kNone, kNone, true);
  builder.output(builder.emit(Opcode::Sin, x));
  const PointPlan plan(builder.finish(), false);
  std::vector<double> workspace(plan.workspace());
  double y = 0.0;
  for (const double at : {2.0, -2.0})
    CHECK(plan.run(&at, &y, workspace.data()).finite == (at > 0.0));
}
