// Programs: building, tidying, and what their instructions mean.
#include <doctest/doctest.h>

#include <bit>

#include "program/passes/passes.h"
#include "program_cases.h"

using namespace arenagrad::program;
using namespace arenagrad::program::cases;

namespace {

constexpr Passes kNoPasses = Passes::none();

std::size_t count(const Program& program, Opcode opcode) {
  std::size_t n = 0;
  for (const Instruction& at : program.instructions) n += at.opcode == opcode;
  return n;
}

bool same_bits(const std::vector<double>& one, const std::vector<double>& other) {
  if (one.size() != other.size()) return false;
  for (std::size_t k = 0; k < one.size(); ++k)
    if (std::bit_cast<std::uint64_t>(one[k]) != std::bit_cast<std::uint64_t>(other[k]))
      return false;
  return true;
}

// A random program over all codes, on values that stay near 1.
Program random_program(std::mt19937& random, std::size_t size, const Passes& passes) {
  const std::vector<Opcode> codes = all_codes();
  Builder builder(passes);
  std::vector<Index> values;
  for (int k = 0; k < 6; ++k) values.push_back(builder.input());
  for (const double number : {0.0, -0.0, 1.0, -1.0, 2.0, 0.5})
    values.push_back(builder.constant(number));
  const auto any = [&] { return values[random() % values.size()]; };
  for (std::size_t k = 0; k < size; ++k) {
    const Opcode opcode =
        random() % 2 ? random() % 2 ? Opcode::Add : Opcode::Mul : codes[random() % codes.size()];
    if (is_many(opcode)) {
      std::vector<Index> x(1 + random() % 5);
      for (Index& place : x) place = any();
      if (opcode == Opcode::DotN && x.size() < 2) x.push_back(any());
      values.push_back(emit_list(builder, opcode, x));
    } else {
      values.push_back(builder.emit(opcode, any(), any(), any()));
    }
  }
  for (int k = 0; k < 4; ++k) builder.output(values[values.size() - 1 - random() % (size / 2)]);
  return builder.finish();
}

} // namespace

TEST_CASE("a program computes what was written") {
  Builder builder(Passes{});
  const Symbolic::Writing writing(builder);
  const Symbolic x = Symbolic::of(builder.input()), y = Symbolic::of(builder.input());
  builder.output((x * y + exp(x) - y / x).index());
  CHECK(run(builder.finish(), {2.0, 3.0})[0] == 2.0 * 3.0 + std::exp(2.0) - 3.0 / 2.0);
}

TEST_CASE("optimising in order keeps every bit, each pass alone and all together") {
  std::mt19937 random(1);
  for (int turn = 0; turn < 300; ++turn) {
    const Program plain = random_program(random, 60, kNoPasses);
    std::vector<double> x;
    for (int k = 0; k < 6; ++k) x.push_back(std::uniform_real_distribution<double>(-2, 2)(random));
    for (int pass = 0; pass < 6; ++pass) {
      Passes passes = kNoPasses;
      passes.fold = pass == 0 || pass == 5;
      passes.common_subexpressions = pass == 1 || pass == 5;
      passes.peephole = pass == 2 || pass == 5;
      passes.prune = pass == 3 || pass == 5;
      passes.fuse = pass == 4 || pass == 5;
      const Program better = optimise(plain, passes);
      const std::vector<double> wanted = run(plain, x), got = run(better, x);
      for (std::size_t k = 0; k < wanted.size(); ++k) {
        CAPTURE(pass);
        if (std::isnan(wanted[k]))
          CHECK(std::isnan(got[k]));
        else
          CHECK(std::bit_cast<std::uint64_t>(wanted[k]) == std::bit_cast<std::uint64_t>(got[k]));
      }
    }
  }
}

TEST_CASE("what computes the same is computed once, whichever way round it is written") {
  Builder builder(Passes{});
  const Index x = builder.input(), y = builder.input();
  CHECK(builder.emit(Opcode::Mul, x, y) == builder.emit(Opcode::Mul, y, x));
  CHECK(builder.emit(Opcode::Subtract, x, y) != builder.emit(Opcode::Subtract, y, x));
  CHECK(builder.emit_many(Opcode::SumN, {x, y, x}) == builder.emit_many(Opcode::SumN, {x, y, x}));
  CHECK(builder.emit_many(Opcode::SumN, {x, y, x}) != builder.emit_many(Opcode::SumN, {x, x, y}));
}

TEST_CASE("a list of operands is kept once, whatever its instructions are") {
  Builder builder(Passes{});
  std::vector<Index> x;
  for (std::size_t k = 0; k < 6; ++k) x.push_back(builder.input());
  const Index one = builder.emit_many(Opcode::DotN, {x[0], x[1], x[4], x[5]});
  const Index other = builder.emit_many(Opcode::DotN, {x[2], x[3], x[4], x[5]});
  const Index sum = builder.emit_many(Opcode::SumN, {x[4], x[5]});
  CHECK(builder.at(one).a != builder.at(other).a);
  CHECK(builder.at(one).c == builder.at(other).c);
  CHECK(builder.at(sum).a == builder.at(one).c);
  CHECK(builder.program().lists == std::vector<Index>{0, 1, 4, 5, 2, 3});
  // Many lists, of which each is found again.
  std::vector<Index> places;
  for (Index k = 0; k < 300; ++k)
    places.push_back(builder.emit_many(Opcode::SumN, {k % 6, k / 6 % 6, k / 36 % 6, k / 216}));
  const std::size_t size = builder.program().lists.size();
  for (Index k = 0; k < 300; ++k)
    CHECK(places[k] == builder.emit_many(Opcode::SumN, {k % 6, k / 6 % 6, k / 36 % 6, k / 216}));
  CHECK(builder.program().lists.size() == size);
}

TEST_CASE("a subtraction and a negation come back from what micrograd records for them") {
  Builder builder(Passes{});
  const Index x = builder.input(), y = builder.input();
  const Index minus = builder.emit(Opcode::Mul, y, builder.constant(-1.0));
  const Index difference = builder.emit(Opcode::Add, x, minus);
  CHECK(builder.at(minus).opcode == Opcode::Negate);
  CHECK(builder.at(difference).opcode == Opcode::Subtract);
  CHECK(builder.emit(Opcode::Mul, x, builder.constant(1.0)) == x);
  CHECK(builder.emit(Opcode::Add, x, builder.constant(0.0)) != x); // -0.0 + 0.0 is 0.0
}

TEST_CASE("a chain of products becomes a dot product, with its start and in its order") {
  const Program plain = mlp({2, 3, 1}, kNoPasses);
  Passes in_order;
  in_order.reorder = false;
  for (const Passes& passes : {Passes{}, in_order}) {
    const Program fused = optimise(plain, passes);
    CHECK(count(fused, Opcode::DotN) == 4);
    CHECK(count(fused, Opcode::Add) == 0);
  }
  std::vector<double> x;
  for (std::size_t k = 0; k < plain.input_count; ++k) x.push_back(std::sin(k + 1.0));
  CHECK(same_bits(run(plain, x), run(optimise(plain, in_order), x)));
  CHECK(run(optimise(plain, Passes{}), x)[0] == doctest::Approx(run(plain, x)[0]).epsilon(1e-13));
}

TEST_CASE("division comes back from ** -1 only where rounding may differ") {
  Passes in_order;
  in_order.reorder = false;
  for (const Passes& passes : {Passes{}, in_order}) {
    Builder builder(passes);
    const Index x = builder.input(), y = builder.input();
    const Index inverse = builder.emit(Opcode::Pow, y, builder.constant(-1.0), kNone, true);
    builder.output(builder.emit(Opcode::Mul, x, inverse));
    const Program better = optimise(builder.finish(), passes);
    CHECK(count(better, Opcode::Divide) == (passes.reorder ? 1 : 0));
    CHECK(count(better, Opcode::Pow) == (passes.reorder ? 0 : 1));
    CHECK(count(better, Opcode::Reciprocal) == 0);
    CHECK(better.instructions.back().checked == passes.reorder);
  }
}

TEST_CASE("nothing needless is left, but for inputs and what may raise") {
  Builder builder(Passes{});
  const Index x = builder.input();
  builder.input();
  builder.emit(Opcode::Exp, x);
  const Index log = builder.emit(Opcode::Log, x, kNone, kNone, true);
  builder.output(builder.emit(Opcode::Sin, x));
  const Program better = prune(builder.finish(), Passes::none());
  CHECK(better.input_count == 2);
  CHECK(count(better, Opcode::Exp) == 0);
  CHECK(count(better, Opcode::Log) == 1);
  CHECK(log == 3);
}

TEST_CASE("an instruction takes 16 bytes") { CHECK(sizeof(Instruction) == 16); }
