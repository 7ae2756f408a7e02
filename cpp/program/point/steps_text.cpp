// A PointPlan for humans.
#include "steps.h"

namespace arenagrad::program::point {
namespace {

std::string by(Index rows, Index columns) {
  return std::to_string(rows) + "x" + std::to_string(columns);
}

} // namespace

std::string text(const Steps& steps) {
  std::string out;
  for (const Index* at = steps.words.data();;) {
    const Head head = take<Head>(at);
    const std::string name = opcode_name(static_cast<Opcode>(head.opcode));
    const auto lists = [&](Index n, std::size_t operands) {
      Index words = 0;
      for (std::size_t k = 0; k < operands; ++k) words += head.way(k) == kList ? n : 1;
      return words;
    };
    std::string line;
    switch (head.kind) {
    case kMap: {
      const Map step = take<Map>(at);
      at += lists(step.n, operand_count(static_cast<Opcode>(head.opcode)));
      line = name + " x" + std::to_string(step.n);
      break;
    }
    case kTanh: {
      const Tanh step = take<Tanh>(at);
      at += lists(step.n, 1);
      line = (step.partial == kNone ? "Tanh x" : "TanhAndPartial x") + std::to_string(step.n);
      break;
    }
    case kOuter: {
      const Outer step = take<Outer>(at);
      line = "Outer " + by(step.rows, step.columns);
      break;
    }
    case kMatrix: {
      const Matrix step = take<Matrix>(at);
      if (step.vector == kNone) at += step.columns;
      line = "MatrixVector " + by(step.rows, step.columns);
      break;
    }
    case kLanes:
    case kLists: {
      const Many step = take<Many>(at);
      const bool lanes = head.kind == kLanes;
      at += lanes ? step.count : static_cast<std::size_t>(step.n) * step.count;
      const char* how = lanes ? " lanes x" : " x";
      line = name + " " + std::to_string(step.count) + how + std::to_string(step.n);
      break;
    }
    case kCheck:
      line = "Check x" + std::to_string(take<Check>(at).n);
      break;
    case kEnd:
      return out;
    default: {
      const auto opcode = static_cast<Opcode>(head.kind);
      at += 1 + head.count * operand_count(opcode);
      line = std::string(opcode_name(opcode)) + " one by one x" + std::to_string(head.count);
    }
    }
    out += line + "\n";
  }
}

} // namespace arenagrad::program::point
