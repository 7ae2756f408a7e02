#include "program.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace arenagrad::program {

double many_value(Opcode opcode, std::size_t count, const double* x, double* scratch) {
  const auto at = [=](std::size_t i) { return x[i]; };
  switch (opcode) {
  case Opcode::SumN: {
    double y = x[0];
    for (std::size_t i = 1; i < count; ++i) y += x[i];
    return y;
  }
  case Opcode::DotN:
    return core::nary_value(Op::Dot, count, at, scratch);
  case Opcode::NormN:
    return core::norm(count, at);
  case Opcode::MaxShift:
    return core::Largest(count, at).value;
  case Opcode::LogSumExpShifted:
    return std::log1p(core::Exponentials(count, at, scratch).others);
  case Opcode::Take:
    return core::nary_value(Op::Take, count, at, scratch);
  default:
    return 0.0;
  }
}

void interpret(const Program& program, const double* inputs, double* values) {
  std::vector<double> gathered, scratch;
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Constant) {
      values[i] = program.constants[at.a];
    } else if (at.opcode == Opcode::Input) {
      values[i] = inputs[at.a];
    } else if (at.opcode == Opcode::RowSum) {
      values[i] = values[at.a];
    } else if (is_many(at.opcode)) {
      gathered.clear();
      program.for_each_operand(at, [&](Index operand) { gathered.push_back(values[operand]); });
      scratch.resize(gathered.size());
      values[i] = many_value(at.opcode, gathered.size(), gathered.data(), scratch.data());
    } else {
      const auto value = [&](Index operand) { return operand == kNone ? 0.0 : values[operand]; };
      values[i] = evaluate(at.opcode, value(at.a), value(at.b), value(at.c));
    }
  }
}

std::vector<std::uint8_t> varying(const Program& program, const std::vector<std::uint8_t>& inputs) {
  std::vector<std::uint8_t> varies(program.size(), 0);
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Input) varies[i] = inputs[at.a];
    if (at.opcode == Opcode::RowSum) continue;
    program.for_each_operand(at, [&](Index operand) { varies[i] |= varies[operand]; });
  }
  return varies;
}

std::string Program::text() const {
  std::ostringstream out;
  for (std::size_t i = 0; i < size(); ++i) {
    const Instruction& at = instructions[i];
    out << 'v' << i << " = " << opcode_name(at.opcode);
    if (at.opcode == Opcode::Constant) out << ' ' << std::setprecision(17) << constants[at.a];
    if (at.opcode == Opcode::Input) out << ' ' << at.a;
    for_each_operand(at, [&](Index operand) { out << " v" << operand; });
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
  return of(instructions) + of(constants) + of(lists) + of(outputs) + of(guards);
}

} // namespace arenagrad::program
