// Programs to test with, and points where every code is smooth.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "program/passes/differentiate.h"
#include "program/passes/select_outputs.h"
#include "program/passes/symbolic.h"

namespace arenagrad::program::cases {

inline std::vector<double> run(const Program& program, const std::vector<double>& inputs) {
  std::vector<double> values(program.size()), out;
  interpret(program, inputs.data(), values.data());
  for (const Index output : program.outputs) out.push_back(values[output]);
  return out;
}

inline Wanted all_of(const Program& program) {
  Wanted wanted;
  for (Index k = 0; k < program.input_count; ++k) wanted.inputs.push_back(k);
  return wanted;
}

inline double difference(const Program& program, std::vector<double> x, std::size_t k,
                         std::size_t output) {
  const double h = 1e-5 * std::max(1.0, std::fabs(x[k])), at = x[k];
  const auto value = [&](double shift) {
    x[k] = at + shift;
    return run(program, x)[output];
  };
  return (8.0 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12.0 * h);
}

// Whether it has an operand by which nobody has the partial.
inline bool lacks_partials(Opcode opcode) {
  return opcode == Opcode::Gammainc || opcode == Opcode::Betainc || opcode == Opcode::NoPartial;
}

// All but those of matrices, which want operands of certain numbers (test_matrices.cpp).
inline std::vector<Opcode> all_codes() {
  std::vector<Opcode> codes;
  for (std::size_t k = kFirstTableOpcode; k < kFirstMatrixOpcode; ++k)
    codes.push_back(static_cast<Opcode>(k));
  codes.push_back(Opcode::RowSum);
  return codes;
}

// A function outside of programs, of two results, whose rules are those of a program that computes
// the same: so they are of any order.
class CallOfProgram final : public Callback {
public:
  explicit CallOfProgram(Program program) : program_(std::move(program)) {}

  std::size_t operands() const override { return program_.input_count; }
  std::size_t results() const override { return program_.outputs.size(); }
  void call(const double* operands, double* results) const override {
    const std::vector<double> x(operands, operands + program_.input_count);
    std::ranges::copy(run(program_, x), results);
  }
  CallbackPointer pullback() const override {
    Wanted all;
    for (Index k = 0; k < program_.input_count; ++k) all.inputs.push_back(k);
    Program swept = reverse(program_, all, true, Passes::none());
    swept.outputs.erase(swept.outputs.begin(),
                        swept.outputs.begin() + static_cast<std::ptrdiff_t>(results()));
    return std::make_shared<CallOfProgram>(std::move(swept));
  }
  CallbackPointer succeeds() const override { return nullptr; }
  const void* key() const override { return this; }
  std::string name() const override { return "program"; }

private:
  const Program program_;
};

// sin of the first operand times all others, and their sum.
inline CallbackPointer callback_of(std::size_t operands) {
  Builder builder(Passes::none());
  std::vector<Index> x;
  for (std::size_t k = 0; k < operands; ++k) x.push_back(builder.input());
  Index product = builder.emit(Opcode::Sin, x[0]);
  for (std::size_t k = 1; k < operands; ++k) product = builder.emit(Opcode::Mul, product, x[k]);
  builder.output(product);
  builder.output(builder.emit_many(Opcode::SumN, x));
  return std::make_shared<CallOfProgram>(builder.finish());
}

// An instruction of any number of operands, of which a Callback's are those of its call.
inline Index emit_list(Builder& builder, Opcode opcode, const std::vector<Index>& operands,
                       bool checked = false) {
  if (opcode != Opcode::Callback) return builder.emit_many(opcode, operands, checked);
  static const std::vector<CallbackPointer> kKnown = [] {
    std::vector<CallbackPointer> known;
    for (std::size_t k = 1; k < 32; ++k) known.push_back(callback_of(k));
    return known;
  }();
  return builder.emit_call(kKnown.at(operands.size() - 1), operands.size() % 2, operands, checked);
}

// Operand values in the domain of an opcode; whole where an opcode wants whole numbers.
inline std::vector<double> operands_of(Opcode opcode, std::mt19937& random) {
  const auto in = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  if (is_many(opcode)) {
    std::vector<double> x;
    for (int k = 0; k < 5; ++k) x.push_back(in(-2.0, 2.0));
    if (opcode == Opcode::Take) x[0] = std::floor(in(0.0, 4.0));
    return x;
  }
  double low = 0.3, high = 3.0;
  if (is_table_opcode(opcode))
    low = core::op_info(op_of(opcode)).low, high = core::op_info(op_of(opcode)).high;
  std::vector<double> x{in(low, high), in(0.2, 3.0), in(0.2, 3.0)};
  const auto y = [&](Op op) { return core::evaluate(op, x[0], x[1]); };
  // What follows from the others does so.
  if (opcode == Opcode::PowerPartialOf || opcode == Opcode::PowerPartialB) x[2] = y(Op::Power);
  if (opcode == Opcode::HypotPartialOf) x[2] = y(Op::Hypot);
  if (opcode == Opcode::TanhPartial) x[1] = y(Op::Tanh);
  if (opcode == Opcode::CbrtPartial) x[1] = y(Op::Cbrt);
  if (opcode == Opcode::Polygamma || opcode == Opcode::LogNormCdfPartial)
    x[0] = std::floor(in(1.0, 4.0));
  if (opcode == Opcode::Betainc || opcode == Opcode::BetaDensity) x[2] = in(0.1, 0.9);
  // Between the jumps.
  if (opcode == Opcode::Remainder || opcode == Opcode::FloorDivide || opcode == Opcode::Fmod)
    x[0] = x[1] * (std::floor(in(0.0, 5.0)) + in(0.1, 0.9));
  if (opcode == Opcode::Select) x[0] = in(0.0, 1.0) < 0.5 ? 0.0 : 1.0;
  x.resize(operand_count(opcode));
  return x;
}

// One instruction of an opcode on inputs; what follows from other operands is computed from them.
inline Program single(Opcode opcode, std::size_t operands, const Passes& passes) {
  Builder builder(passes);
  std::vector<Index> x;
  for (std::size_t k = 0; k < operands; ++k) x.push_back(builder.input());
  if (opcode == Opcode::PowerPartialOf || opcode == Opcode::PowerPartialB)
    x[2] = builder.emit(Opcode::Power, x[0], x[1]);
  if (opcode == Opcode::HypotPartialOf) x[2] = builder.emit(Opcode::Hypot, x[0], x[1]);
  if (opcode == Opcode::TanhPartial) x[1] = builder.emit(Opcode::Tanh, x[0]);
  if (opcode == Opcode::CbrtPartial) x[1] = builder.emit(Opcode::Cbrt, x[0]);
  if (is_many(opcode))
    builder.output(emit_list(builder, opcode, x));
  else
    builder.output(
        builder.emit(opcode, x[0], operands > 1 ? x[1] : kNone, operands > 2 ? x[2] : kNone));
  return builder.finish();
}

// Layers of dot products and tanh, with a squared error at the end: inputs are the weights, row by
// row with the bias first, then two coordinates and the target.
inline Program mlp(const std::vector<std::size_t>& sizes, const Passes& passes) {
  Builder builder(passes);
  const Symbolic::Writing writing(builder);
  std::size_t weights = 0;
  for (std::size_t l = 1; l < sizes.size(); ++l) weights += sizes[l] * (sizes[l - 1] + 1);
  std::vector<Symbolic> in;
  for (std::size_t k = 0; k < weights + sizes[0] + 1; ++k)
    in.push_back(Symbolic::of(builder.input()));
  std::size_t next = 0;
  std::vector<Symbolic> x(in.begin() + static_cast<std::ptrdiff_t>(weights), in.end() - 1);
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    std::vector<Symbolic> out;
    for (std::size_t neuron = 0; neuron < sizes[l]; ++neuron) {
      Symbolic sum = in[next++];
      for (const Symbolic& feature : x) sum = sum + in[next++] * feature;
      out.push_back(Symbolic::emit(Opcode::Tanh, sum));
    }
    x = out;
  }
  const Symbolic error = x[0] - in.back();
  builder.output((error * error).index());
  return builder.finish();
}

} // namespace arenagrad::program::cases
