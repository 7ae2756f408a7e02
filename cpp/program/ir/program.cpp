#include "program.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace arenagrad::program {

double many_value(Code code, std::size_t count, const double* x, double* scratch) {
  const auto at = [=](std::size_t i) { return x[i]; };
  switch (code) {
  case Code::SumOf: {
    double y = x[0];
    for (std::size_t i = 1; i < count; ++i) y += x[i];
    return y;
  }
  case Code::DotOf:
    return core::nary_value(Op::Dot, count, at, scratch);
  case Code::NormOf:
    return core::norm(count, at);
  case Code::Largest:
    return core::Largest(count, at).value;
  case Code::LogTotal:
    return std::log1p(core::Exponentials(count, at, scratch).others);
  case Code::Take:
    return core::nary_value(Op::Take, count, at, scratch);
  default:
    return 0.0;
  }
}

void interpret(const Program& program, const double* inputs, double* values) {
  std::vector<double> gathered, scratch;
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.code[i];
    if (at.code == Code::Constant) {
      values[i] = program.constants[at.a];
    } else if (at.code == Code::Input) {
      values[i] = inputs[at.a];
    } else if (at.code == Code::LaneSum) {
      values[i] = values[at.a];
    } else if (is_many(at.code)) {
      gathered.clear();
      program.for_each_operand(at, [&](Index operand) { gathered.push_back(values[operand]); });
      scratch.resize(gathered.size());
      values[i] = many_value(at.code, gathered.size(), gathered.data(), scratch.data());
    } else {
      const auto value = [&](Index operand) { return operand == kNone ? 0.0 : values[operand]; };
      values[i] = evaluate(at.code, value(at.a), value(at.b), value(at.c));
    }
  }
}

std::vector<std::uint8_t> varying(const Program& program, const std::vector<std::uint8_t>& inputs) {
  std::vector<std::uint8_t> varies(program.size(), 0);
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& at = program.code[i];
    if (at.code == Code::Input) varies[i] = inputs[at.a];
    if (at.code == Code::LaneSum) continue;
    program.for_each_operand(at, [&](Index operand) { varies[i] |= varies[operand]; });
  }
  return varies;
}

std::string Program::text() const {
  std::ostringstream out;
  for (std::size_t i = 0; i < size(); ++i) {
    const Instruction& at = code[i];
    out << 'v' << i << " = " << code_name(at.code);
    if (at.code == Code::Constant) out << ' ' << std::setprecision(17) << constants[at.a];
    if (at.code == Code::Input) out << ' ' << at.a;
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
  return of(code) + of(constants) + of(lists) + of(outputs) + of(guards);
}

} // namespace arenagrad::program
