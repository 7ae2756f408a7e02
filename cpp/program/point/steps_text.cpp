// The steps of a PointPlan as text, for tests and for people who ask which forms a function took.
#include "steps.h"

namespace arenagrad::program::point {
namespace {

std::string size_text(Index rows, Index columns) {
  return std::to_string(rows) + "x" + std::to_string(columns);
}

std::string nary_text(const Index*& at, bool strided) {
  const NaryStep step = read<NaryStep>(at);
  at += strided ? step.count : static_cast<std::size_t>(step.n) * step.count;
  return std::to_string(step.count) + (strided ? " strided x" : " x") + std::to_string(step.n);
}

std::string matrices_text(const Index*& at) {
  const MatrixStep step = read<MatrixStep>(at);
  at += std::size_t{2} * step.runs;
  return size_text(step.rows, step.columns);
}

} // namespace

// Walks the words as run_steps does; a step's lists are skipped.
std::string to_text(const Steps& steps) {
  std::string out;
  for (const Index* at = steps.words.data();;) {
    const StepHead head = read<StepHead>(at);
    const std::string name = opcode_name(head.opcode);
    const auto slot_words = [&](Index n, std::size_t operands) {
      Index words = 0;
      for (std::size_t k = 0; k < operands; ++k)
        words += head.addressing(k) == Addressing::Gathered ? n : 1;
      return words;
    };
    std::string line;
    switch (head.kind) {
    case StepKind::Map: {
      const MapStep step = read<MapStep>(at);
      at += slot_words(step.n, operand_count(head.opcode));
      line = name + " x" + std::to_string(step.n);
      break;
    }
    case StepKind::Tanh: {
      const TanhStep step = read<TanhStep>(at);
      at += slot_words(step.n, 1);
      line = (step.partial == kNone ? "Tanh x" : "TanhAndPartial x") + std::to_string(step.n);
      break;
    }
    case StepKind::OuterProduct: {
      const OuterProductStep step = read<OuterProductStep>(at);
      line = "Outer " + size_text(step.rows, step.columns);
      break;
    }
    case StepKind::MatrixVector: {
      const MatrixVectorStep step = read<MatrixVectorStep>(at);
      if (step.vector == kNone) at += step.columns;
      line = "MatrixVector " + size_text(step.rows, step.columns);
      break;
    }
    case StepKind::StridedNary:
    case StepKind::GatheredNary:
      line = name + " " + nary_text(at, head.kind == StepKind::StridedNary);
      break;
    case StepKind::Matrices:
      line = name + " " + matrices_text(at);
      break;
    case StepKind::Check:
      line = "Check x" + std::to_string(read<CheckStep>(at).n);
      break;
    case StepKind::End:
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
