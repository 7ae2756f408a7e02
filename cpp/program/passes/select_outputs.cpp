#include "select_outputs.h"

#include <algorithm>
#include <bit>

#include "passes.h"

namespace arenagrad::program {
namespace {

Index append_zero(Program& program) {
  const auto number = static_cast<Index>(program.constants.size());
  program.constants.push_back(0.0);
  program.instructions.push_back({.opcode = Opcode::Constant, .a = number});
  return static_cast<Index>(program.instructions.size() - 1);
}

bool are_equal(const Instruction& a, const Instruction& b) {
  return a.opcode == b.opcode && a.checked == b.checked && a.a == b.a && a.b == b.b && a.c == b.c;
}
bool are_equal(const Guard& a, const Guard& b) {
  return a.condition == b.condition && a.outcome == b.outcome;
}
// By bits: nan is the same as itself, and -0 is not 0.
bool are_equal(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

template <class Array> bool all_same(const Array& one, const Array& other) {
  return std::ranges::equal(one, other,
                            [](const auto& a, const auto& b) { return are_equal(a, b); });
}

} // namespace

Program select_outputs(const Program& program, const std::vector<Index>& which) {
  Program selected = program;
  selected.outputs.clear();
  selected.outputs.reserve(which.size());
  Index zero = kNone;
  for (const Index k : which) {
    if (k == kNone && zero == kNone) zero = append_zero(selected);
    selected.outputs.push_back(k == kNone ? zero : program.outputs[k]);
  }
  return prune(selected, Passes::none());
}

bool same(const Program& one, const Program& other) {
  return one.input_count == other.input_count && one.lists == other.lists &&
         one.outputs == other.outputs && all_same(one.instructions, other.instructions) &&
         std::ranges::equal(one.callbacks, other.callbacks,
                            [](const auto& a, const auto& b) { return a->key() == b->key(); }) &&
         all_same(one.constants, other.constants) && all_same(one.guards, other.guards);
}

} // namespace arenagrad::program
