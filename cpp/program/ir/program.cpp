#include "program.h"

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <unordered_map>

#include "matrix.h"

namespace arenagrad::program {

namespace {

// From the first number, not from 0, which a -0 alone would lose its sign to.
template <class X> double sum_left_to_right(std::size_t count, X&& x) {
  double y = x(0);
  for (std::size_t i = 1; i < count; ++i) y += x(i);
  return y;
}

} // namespace

double many_value(Opcode opcode, std::size_t count, const double* numbers, double* scratch) {
  const auto x = [=](std::size_t k) { return numbers[k]; };
  switch (opcode) {
#define ARENAGRAD_NARY_OPCODE(Id, n, leading, value)                                               \
  case Opcode::Id:                                                                                 \
    return value;
#include "opcodes.def"
  default:
    return 0.0;
  }
}

void interpret(const Program& program, const double* inputs, double* values) {
  std::vector<double> gathered, scratch;
  std::unordered_map<Index, std::vector<double>> results; // of matrices
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Constant) {
      values[i] = program.constants[at.a];
    } else if (at.opcode == Opcode::Input) {
      values[i] = inputs[at.a];
    } else if (at.opcode == Opcode::RowSum) {
      values[i] = values[at.a];
    } else if (at.opcode == Opcode::Element) {
      values[i] = results.at(at.a)[at.b];
    } else if (is_matrix(at.opcode)) {
      const MatrixShape shape = matrix_shape(program, at);
      scratch.resize(shape.scratch());
      double* const to = operands_in(scratch.data());
      for (std::size_t k = 0; k < shape.operands(); ++k) to[k] = values[program.lists[at.c + k]];
      std::vector<double>& written = results[static_cast<Index>(i)];
      written.resize(shape.results());
      values[i] = compute(shape, scratch.data(), written.data());
    } else if (is_many(at.opcode)) {
      gathered.clear();
      program.for_each_operand(at, [&](Index operand) { gathered.push_back(values[operand]); });
      scratch.resize(gathered.size());
      if (at.opcode == Opcode::Callback)
        values[i] = run_call(program.callbacks, gathered.data());
      else
        values[i] = many_value(at.opcode, gathered.size(), gathered.data(), scratch.data());
    } else {
      const auto value = [&](Index operand) { return operand == kNone ? 0.0 : values[operand]; };
      values[i] = evaluate(at.opcode, value(at.a), value(at.b), value(at.c));
    }
  }
}

std::string Program::text() const {
  std::ostringstream out;
  for (std::size_t i = 0; i < size(); ++i) {
    const Instruction& at = instructions[i];
    out << 'v' << i << " = " << opcode_name(at.opcode);
    if (at.opcode == Opcode::Constant) out << ' ' << std::setprecision(17) << constants[at.a];
    if (at.opcode == Opcode::Input) out << ' ' << at.a;
    if (at.opcode == Opcode::Callback) out << ' ' << callback(at).name();
    for_each_operand(at, [&](Index operand) { out << " v" << operand; });
    if (at.opcode == Opcode::Element) out << ' ' << at.b;
    out << '\n';
  }
  for (const Guard& guard : guards)
    out << "guard v" << guard.condition << (guard.outcome ? " is true\n" : " is false\n");
  out << "return";
  for (const Index output : outputs) out << " v" << output;
  out << '\n';
  return out.str();
}

std::size_t Program::bytes() const {
  const auto of = [](const auto& array) { return array.size() * sizeof(array[0]); };
  return of(instructions) + of(constants) + of(lists) + of(outputs) + of(guards) + of(callbacks);
}

} // namespace arenagrad::program
