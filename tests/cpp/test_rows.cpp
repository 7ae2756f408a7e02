// Rows picked out of a batch and put back, and programs with other outputs.
#include <doctest/doctest.h>

#include "program/batch/batch_plan.h"
#include "program/batch/rows.h"
#include "program/passes/builder.h"
#include "program/passes/differentiate.h"
#include "program/passes/select_outputs.h"

using namespace arenagrad::program;

TEST_CASE("rows are gathered side by side and go back to where they were") {
  double one[] = {0.0, 1.0, 2.0, 3.0}, other[] = {10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0};
  const std::vector<Column> columns{{one, 1}, {other, 2}, {other + 1, 0}};
  const std::size_t rows[] = {3, 1};
  double taken[6];
  gather(columns, rows, 2, taken);
  CHECK(std::vector<double>(taken, taken + 6) ==
        std::vector<double>{3.0, 16.0, 11.0, 1.0, 12.0, 11.0});
  const double given[] = {-3.0, -16.0, -1.0, -12.0};
  scatter({columns[0], columns[1]}, rows, 2, given);
  CHECK(std::vector<double>(one, one + 4) == std::vector<double>{0.0, -1.0, 2.0, -3.0});
  CHECK(other[6] == -16.0);
  CHECK(other[2] == -12.0);
  add_to(one, given, 2);
  divide(one, 2.0, 2);
  CHECK(one[0] == -1.5);
  CHECK(one[1] == -8.5);
}

TEST_CASE("a program with other outputs has zeros where there are none") {
  Builder builder(Passes{});
  const Index x = builder.input(), y = builder.input();
  builder.output(builder.emit(Opcode::Mul, x, y));
  builder.output(builder.emit(Opcode::Exp, x));
  const Program program = builder.finish();
  const Program some = select_outputs(program, {kNone, 1, kNone, 1});
  CHECK(some.size() == 4); // two inputs, the zero and the exponential
  std::vector<double> values(some.size());
  const double inputs[] = {0.0, 2.0};
  interpret(some, inputs, values.data());
  for (std::size_t k = 0; k < 4; ++k) CHECK(values[some.outputs[k]] == static_cast<double>(k % 2));
  CHECK(same(program, program));
  CHECK_FALSE(same(program, some));
  CHECK(same(select_outputs(program, {0, 1}), program));
}

TEST_CASE("what does not vary counts once a row in a sum over the rows and in its partials") {
  Builder builder(Passes{});
  const Index w = builder.input(), x = builder.input();
  builder.output(builder.emit(Opcode::Add, builder.emit(Opcode::Square, w), x));
  const Program total = summed(builder.finish(), Passes{});
  const Program partial = reverse(total, {{w}, {0, 1}}, false, Passes{});
  const BatchPlan plan(partial, {0, 1}, false);
  double weight = 3.0, numbers[] = {1.0, 2.0, 3.0, 4.0}, sum = 0.0, by_weight = 0.0;
  plan.run({{&weight, 0}, {numbers, 1}}, {{&sum, 0}, {&by_weight, 0}}, 4, nullptr, 1.0, 1);
  CHECK(sum == 46.0);
  CHECK(by_weight == 24.0);
}
