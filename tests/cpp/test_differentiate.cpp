// Derivatives of programs, against differences of their values, sweeps against tangents, and orders
// against each other.
#include <doctest/doctest.h>

#include "program/passes/derivative_rules.h"
#include "program/passes/differentiate.h"
#include "program/passes/without_partials.h"
#include "program_cases.h"

using namespace arenagrad::program;
using namespace arenagrad::program::cases;

namespace {

bool whole(Opcode opcode,
           std::size_t k) { // an operand that cannot be moved by a little, or a shape
  if (opcode == Opcode::Gammainc || opcode == Opcode::Betainc) return k + 1 < operand_count(opcode);
  return k == 0 && (opcode == Opcode::Take || opcode == Opcode::Polygamma ||
                    opcode == Opcode::LogNormCdfPartial || opcode == Opcode::Select);
}

} // namespace

TEST_CASE("the partials of every opcode agree with differences, to the third order") {
  std::mt19937 random(2);
  for (const Opcode opcode : all_codes()) {
    // They move by more than their partials say, which are those of what they stand in.
    if (opcode == Opcode::RowSum || opcode == Opcode::MaxShift ||
        opcode == Opcode::LogSumExpShifted || opcode == Opcode::WithPartials ||
        opcode == Opcode::NoPartial)
      continue;
    for (int turn = 0; turn < 5; ++turn) {
      const std::vector<double> x = operands_of(opcode, random);
      Program program = single(opcode, x.size(), Passes{});
      for (int order = 1; order <= 3; ++order) {
        const Program partials = reverse(program, all_of(program), false, Passes{});
        const std::vector<double> got = run(partials, x);
        const bool pow =
            opcode == Opcode::Pow || opcode == Opcode::LeakyRelu || opcode == Opcode::Elu;
        for (std::size_t k = 0; k < x.size(); ++k) {
          if (whole(opcode, k) || (pow && k == 1)) continue;
          CAPTURE(opcode_name(opcode));
          CAPTURE(order);
          CAPTURE(k);
          const double wanted = difference(program, x, k, 0);
          const double size = 1.0 + std::fabs(wanted) + std::fabs(got[0]);
          CHECK(std::fabs(got[1 + k] - wanted) <= 2e-7 * size);
        }
        // On with a partial that is not flat.
        std::size_t next = 0;
        while (whole(opcode, next)) ++next;
        program = select_outputs(partials, {static_cast<Index>(1 + next)});
      }
    }
  }
}

TEST_CASE("the logarithm of a sum of exponentials has its shares as partials, to any order") {
  Builder builder(Passes{});
  std::vector<Index> x;
  for (int k = 0; k < 4; ++k) x.push_back(builder.input());
  builder.output(builder.emit(Opcode::Add, builder.emit_many(Opcode::MaxShift, x),
                              builder.emit_many(Opcode::LogSumExpShifted, x)));
  Program program = builder.finish();
  const std::vector<double> at{0.3, 1.5, -0.4, 1.2};
  for (int order = 1; order <= 3; ++order) {
    const Program partials = reverse(program, all_of(program), false, Passes{});
    const std::vector<double> got = run(partials, at);
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(got[1 + k] == doctest::Approx(difference(program, at, k, 0)).epsilon(1e-7));
    program = select_outputs(partials, {2});
  }
}

TEST_CASE("a value with partials has these and no others, which are differentiated in turn") {
  // Of a "value" 7 that says its partial by x is x * x.
  Builder builder(Passes{});
  const Index x = builder.input(), value = builder.constant(7.0);
  const Index partial = builder.emit(Opcode::Mul, x, x);
  builder.output(builder.emit_many(Opcode::WithPartials, {value, x, partial}));
  const Program program = builder.finish();
  const Program first = reverse(program, all_of(program), false, Passes{});
  CHECK(run(first, {3.0}) == std::vector<double>{7.0, 9.0});
  const Program second = reverse(select_outputs(first, {1}), all_of(program), false, Passes{});
  CHECK(run(second, {3.0}) == std::vector<double>{9.0, 6.0});
  const Program planned = without_partials(program);
  CHECK(planned.size() == 2); // the input and the value
  CHECK(run(planned, {3.0}) == std::vector<double>{7.0});
}

TEST_CASE("a tangent agrees with a sweep") {
  std::mt19937 random(3);
  for (const Opcode opcode : all_codes()) {
    if (opcode == Opcode::MaxShift || lacks_partials(opcode)) continue;
    const std::size_t count = opcode == Opcode::RowSum ? 1 : operands_of(opcode, random).size();
    const Program program = single(opcode, count, Passes{});
    std::vector<double> x =
        opcode == Opcode::RowSum ? std::vector<double>{2.0} : operands_of(opcode, random);
    const std::vector<double> partials = run(reverse(program, all_of(program), false, Passes{}), x);
    double wanted = 0;
    std::vector<double> inputs = x;
    for (std::size_t k = 0; k < count; ++k) {
      inputs.push_back(0.5 + static_cast<double>(k));
      wanted += partials[1 + k] * inputs.back();
    }
    CAPTURE(opcode_name(opcode));
    if (opcode == Opcode::Callback) // by its rule, where nobody has asked for tangents
      CHECK_THROWS_AS(tangent(program, all_of(program), Passes{}), NoDerivative);
    else
      CHECK(run(tangent(program, all_of(program), Passes{}), inputs)[1] == doctest::Approx(wanted));
  }
}

TEST_CASE("cotangents weigh the outputs of a sweep") {
  Builder builder(Passes{});
  const Symbolic::Writing writing(builder);
  const Symbolic x = Symbolic::of(builder.input()), y = Symbolic::of(builder.input());
  builder.output((x * y).index());
  builder.output(exp(x).index());
  const Program swept = reverse(builder.finish(), {{0, 1}, {}}, true, Passes{});
  const std::vector<double> got = run(swept, {2.0, 3.0, 10.0, 100.0});
  CHECK(got[2] == doctest::Approx(10.0 * 3.0 + 100.0 * std::exp(2.0)));
  CHECK(got[3] == doctest::Approx(10.0 * 2.0));
}

TEST_CASE("a Jacobian has the entries that are not 0, whichever way it was taken") {
  for (const std::size_t outputs : {2, 9}) {
    Builder builder(Passes{});
    const Symbolic::Writing writing(builder);
    std::vector<Symbolic> x;
    for (int k = 0; k < 5; ++k) x.push_back(Symbolic::of(builder.input()));
    for (std::size_t k = 0; k < outputs; ++k)
      builder.output((x[k % 4] * x[k % 4 + 1] * Symbolic(1.0 + static_cast<double>(k))).index());
    const Program program = builder.finish();
    const Jacobian jacobian_of = jacobian(program, all_of(program), Passes{});
    CHECK(jacobian_of.rows.size() == 2 * outputs);
    const std::vector<double> at{1.0, 2.0, 3.0, 4.0, 5.0}, got = run(jacobian_of.program, at);
    for (std::size_t k = 0; k < jacobian_of.rows.size(); ++k)
      CHECK(got[outputs + k] ==
            doctest::Approx(difference(program, at, jacobian_of.columns[k], jacobian_of.rows[k])));
    CHECK(std::is_sorted(jacobian_of.rows.begin(), jacobian_of.rows.end()));
  }
}

TEST_CASE("the adjoint of an input that does not vary is the sum over the rows") {
  const Program rows = summed(mlp({2, 3, 1}, Passes{}), Passes{});
  Wanted wanted = all_of(rows);
  wanted.varies.assign(rows.input_count, 0);
  for (Index k = 0; k < 3; ++k) wanted.varies[rows.input_count - 1 - k] = 1;
  wanted.inputs.resize(rows.input_count - 3);
  const Program swept = reverse(rows, wanted, false, Passes{});
  std::size_t sums = 0;
  for (const Index output : swept.outputs)
    sums += swept.instructions[output].opcode == Opcode::RowSum;
  CHECK(sums == swept.outputs.size());
}

TEST_CASE("a gradient costs a small multiple of its function") {
  const Program program = optimise(mlp({2, 16, 16, 1}, Passes{}), Passes{});
  const Program swept = reverse(program, all_of(program), false, Passes{});
  CHECK(swept.size() < 1200);
}
