// Programs: building, tidying, and what their instructions mean.
#include <doctest/doctest.h>

#include "program/number.h"

using namespace arenagrad::program;

namespace {

std::vector<double> run(const Program& program, const std::vector<double>& inputs) {
  std::vector<double> values(program.size()), out;
  interpret(program, inputs.data(), values.data());
  for (const Index output : program.outputs) out.push_back(values[output]);
  return out;
}

} // namespace

TEST_CASE("a program computes what was written") {
  Builder builder(Passes{});
  const Number::Writing writing(builder);
  const Number x = Number::of(builder.input()), y = Number::of(builder.input());
  builder.output((x * y + exp(x) - y / x).index());
  CHECK(run(builder.finish(), {2.0, 3.0})[0] == 2.0 * 3.0 + std::exp(2.0) - 3.0 / 2.0);
}
