// Programs to test with, and points where every code is smooth.
#pragma once

#include <random>

#include "program/passes/select_outputs.h"
#include "program/passes/symbolic.h"

namespace arenagrad::program::cases {

inline std::vector<double> run(const Program& program, const std::vector<double>& inputs) {
  std::vector<double> values(program.size()), out;
  interpret(program, inputs.data(), values.data());
  for (const Index output : program.outputs) out.push_back(values[output]);
  return out;
}

inline std::vector<Code> all_codes() {
  std::vector<Code> codes;
  for (std::size_t k = kFirstTableCode; k < kCodeCount; ++k) codes.push_back(static_cast<Code>(k));
  return codes;
}

// Operand values in the domain of a code; whole where a code wants whole numbers.
inline std::vector<double> operands_of(Code code, std::mt19937& random) {
  const auto in = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  if (is_many(code)) {
    std::vector<double> x;
    for (int k = 0; k < 5; ++k) x.push_back(in(-2.0, 2.0));
    if (code == Code::Take) x[0] = std::floor(in(0.0, 4.0));
    return x;
  }
  double low = 0.3, high = 3.0;
  if (is_table_code(code))
    low = core::op_info(op_of(code)).low, high = core::op_info(op_of(code)).high;
  std::vector<double> x{in(low, high), in(0.2, 3.0), in(0.2, 3.0)};
  const auto y = [&](Op op) { return core::evaluate(op, x[0], x[1]); };
  // What follows from the others does so.
  if (code == Code::PowerSlopeOf || code == Code::PowerSlopeB) x[2] = y(Op::Power);
  if (code == Code::HypotSlopeOf) x[2] = y(Op::Hypot);
  if (code == Code::TanhSlope) x[1] = y(Op::Tanh);
  if (code == Code::CbrtSlope) x[1] = y(Op::Cbrt);
  if (code == Code::Polygamma) x[0] = std::floor(in(1.0, 4.0));
  if (code == Code::Select) x[0] = in(0.0, 1.0) < 0.5 ? 0.0 : 1.0;
  x.resize(operand_count(code));
  return x;
}

// One instruction of a code on inputs; what follows from other operands is computed from them.
inline Program single(Code code, std::size_t operands, const Passes& passes) {
  Builder builder(passes);
  std::vector<Index> x;
  for (std::size_t k = 0; k < operands; ++k) x.push_back(builder.input());
  if (code == Code::PowerSlopeOf || code == Code::PowerSlopeB)
    x[2] = builder.emit(Code::Power, x[0], x[1]);
  if (code == Code::HypotSlopeOf) x[2] = builder.emit(Code::Hypot, x[0], x[1]);
  if (code == Code::TanhSlope) x[1] = builder.emit(Code::Tanh, x[0]);
  if (code == Code::CbrtSlope) x[1] = builder.emit(Code::Cbrt, x[0]);
  if (is_many(code))
    builder.output(builder.emit_many(code, x));
  else
    builder.output(
        builder.emit(code, x[0], operands > 1 ? x[1] : kNone, operands > 2 ? x[2] : kNone));
  return builder.finish();
}

// Layers of dot products and tanh, with a squared error at the end: inputs are the weights, row by
// row with the bias first, then two coordinates and the target.
inline Program mlp(const std::vector<std::size_t>& sizes, const Passes& passes) {
  Builder builder(passes);
  const Number::Writing writing(builder);
  std::size_t weights = 0;
  for (std::size_t l = 1; l < sizes.size(); ++l) weights += sizes[l] * (sizes[l - 1] + 1);
  std::vector<Number> in;
  for (std::size_t k = 0; k < weights + sizes[0] + 1; ++k)
    in.push_back(Number::of(builder.input()));
  std::size_t next = 0;
  std::vector<Number> x(in.begin() + static_cast<std::ptrdiff_t>(weights), in.end() - 1);
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    std::vector<Number> out;
    for (std::size_t neuron = 0; neuron < sizes[l]; ++neuron) {
      Number sum = in[next++];
      for (const Number& feature : x) sum = sum + in[next++] * feature;
      out.push_back(Number::done(Code::Tanh, sum));
    }
    x = out;
  }
  const Number error = x[0] - in.back();
  builder.output((error * error).index());
  return builder.finish();
}

} // namespace arenagrad::program::cases
