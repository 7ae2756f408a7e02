// Decisions keep every bit: whatever passes, derivatives and plans do to a program, the values that
// its guards are computed from are those that interpret() gives for the program as it was written.
#include <doctest/doctest.h>

#include "batch.h"
#include "program/passes/builder.h"
#include "program/passes/differentiate.h"
#include "program/point/point_plan.h"
#include "program_cases.h"

using namespace arenagrad::program;

namespace {

constexpr std::size_t kInputs = 6, kDecided = 5;

Index random_instruction(Builder& builder, Random& random, Opcode opcode,
                         const std::vector<Index>& values) {
  const auto any = [&] { return values[below(random, values.size())]; };
  if (!is_many(opcode)) {
    const Index a = any(), b = any();
    return builder.emit(opcode, a, b, any());
  }
  std::vector<Index> operands;
  for (std::size_t k = 2 + below(random, 14); k-- > 0;) operands.push_back(any());
  return builder.emit_many(opcode, operands);
}

// Sums, products and powers with small exponents above all, since they are what passes rewrite. The
// first outputs are compared with numbers by guards, or are their conditions.
Program deciding_program(Random& random, std::size_t size) {
  constexpr double kNumbers[] = {0.0, -0.0, 1.0, -1.0, 2.0, 3.0, 0.5, 0.1};
  const std::vector<Opcode> codes = cases::all_codes();
  Builder builder(Passes::none());
  std::vector<Index> values;
  for (std::size_t k = 0; k < kInputs; ++k) values.push_back(builder.input());
  for (const double number : kNumbers) values.push_back(builder.constant(number));
  for (std::size_t k = 0; k < size; ++k) {
    constexpr Opcode kUsual[] = {Opcode::Add, Opcode::Mul, Opcode::Add, Opcode::Mul, Opcode::Pow};
    Opcode opcode = codes[below(random, codes.size() - 1)]; // no sum over the rows
    if (below(random, 3) != 0) opcode = kUsual[below(random, 5)];
    Index made = kNone;
    if (opcode == Opcode::Pow)
      made = builder.emit(opcode, values[below(random, values.size())],
                          values[kInputs + below(random, std::size(kNumbers))]);
    else
      made = random_instruction(builder, random, opcode, values);
    values.push_back(made);
  }
  for (std::size_t k = 0; k < kDecided; ++k) {
    const Index decided = values[values.size() - 1 - below(random, size / 2)];
    builder.output(decided);
    builder.guard(builder.emit(Opcode::LessEqual, decided, values[below(random, 14)]),
                  below(random, 2) == 0);
  }
  for (std::size_t k = 0; k < 4; ++k) builder.output(values[below(random, values.size())]);
  return builder.finish();
}

// What is made of a program whose first outputs are its own, with more inputs behind its own.
std::vector<Program> made_of(const Program& program) {
  const Wanted wanted{{0, 2, 3}, {}};
  const Program gradient = reverse(program, wanted, true, Passes{});
  return {optimise(program, Passes{}), gradient, tangent(program, wanted, Passes{}),
          jacobian(program, wanted, Passes{}).program, tangent(gradient, wanted, Passes{})};
}

std::vector<double> run_at_point(const Program& program, const std::vector<double>& inputs) {
  const PointPlan plan(program, false);
  std::vector<double> workspace(plan.workspace(), std::nan("")), out(program.outputs.size());
  plan.run(inputs.data(), out.data(), workspace.data());
  return out;
}

} // namespace

TEST_CASE("whatever is made of a program decides by the same bits at a point") {
  Random random(11);
  std::uniform_real_distribution<double> numbers(-2.0, 2.0);
  for (int turn = 0; turn < 150; ++turn) {
    const Program program = deciding_program(random, 30 + below(random, 60));
    std::vector<double> inputs(kInputs);
    for (double& x : inputs) x = numbers(random);
    const std::vector<double> should = cases::run(program, inputs);
    std::size_t which = 0;
    for (const Program& made : made_of(program)) {
      CAPTURE(turn);
      CAPTURE(which++);
      std::vector<double> more = inputs;
      more.resize(made.input_count, 0.75);
      const std::vector<double> is = run_at_point(made, more);
      for (std::size_t k = 0; k < kDecided; ++k) CHECK(same(is[k], should[k]));
    }
  }
}

TEST_CASE("whatever is made of a program decides by the same bits in rows") {
  Random random(12);
  for (int turn = 0; turn < 100; ++turn) {
    const Program program = deciding_program(random, 30 + below(random, 60));
    std::size_t which = 0;
    for (const Program& made : made_of(program)) {
      CAPTURE(turn);
      CAPTURE(which++);
      Batch batch(random, made.input_count, 1 + below(random, 90));
      Result result = batch.run(made, BatchPlan(made, batch.varies, false), 1 + turn % 2);
      bool equal = true;
      for (std::size_t r = 0; r < batch.rows; ++r) {
        const std::vector<double> should = batch.row(program, r);
        for (std::size_t k = 0; k < kDecided; ++k) {
          Numbers& is = result.outputs[k];
          equal &= same(is.step == 0 ? is.memory[0] : is[r], should[program.outputs[k]]);
        }
      }
      CHECK(equal);
    }
  }
}

TEST_CASE("the cone of a program is what its guards are computed from, and empty without guards") {
  Builder builder(Passes::none());
  const Index x = builder.input(), y = builder.input(), beside = builder.emit(Opcode::Exp, y);
  const Index sum = builder.emit_many(Opcode::SumN, {x, x});
  builder.output(builder.emit(Opcode::Mul, sum, beside));
  CHECK(decision_cone(builder.program()).empty());
  CHECK_FALSE(is_marked(decision_cone(builder.program()), sum));
  builder.guard(builder.emit(Opcode::Less, sum, builder.constant(1.0)), true);
  CHECK(decision_cone(builder.finish()) == Marks{1, 0, 0, 1, 0, 1, 1});
}

TEST_CASE("a value that decides nothing is rewritten beside one that decides") {
  Builder source(Passes::none());
  const Index x = source.input(), y = source.input(), two = source.constant(2.0);
  source.output(source.emit(Opcode::Pow, y, two));
  source.guard(source.emit(Opcode::Less, source.emit(Opcode::Pow, x, two), two), true);
  const Program program = optimise(source.finish(), Passes{});
  std::size_t powers = 0, products = 0;
  for (const Instruction& at : program.instructions) {
    powers += at.opcode == Opcode::Pow && at.a == x;
    products += at.opcode == Opcode::Mul && at.a == y;
  }
  CHECK(powers == 1);
  CHECK(products == 1);
}
