#include "select_outputs.h"

#include <algorithm>
#include <bit>

#include "passes.h"

namespace arenagrad::program {

Program picked(const Program& program, const std::vector<Index>& which) {
  Program some = program;
  some.outputs.clear();
  some.outputs.reserve(which.size());
  Index zero = kNone;
  for (const Index k : which) {
    if (k == kNone && zero == kNone) {
      zero = static_cast<Index>(some.instructions.size());
      Instruction constant;
      constant.a = static_cast<Index>(some.constants.size());
      some.instructions.push_back(constant);
      some.constants.push_back(0.0);
    }
    some.outputs.push_back(k == kNone ? zero : program.outputs[k]);
  }
  return prune(some);
}

bool same(const Program& one, const Program& other) {
  const auto equal = [](const auto& a, const auto& b, auto&& like) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), like);
  };
  return one.input_count == other.input_count && one.lists == other.lists &&
         one.outputs == other.outputs &&
         equal(one.instructions, other.instructions,
               [](const Instruction& a, const Instruction& b) {
                 return a.opcode == b.opcode && a.checked == b.checked && a.a == b.a &&
                        a.b == b.b && a.c == b.c;
               }) &&
         equal(one.constants, other.constants,
               [](double a, double b) {
                 return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
               }) &&
         equal(one.guards, other.guards, [](const Guard& a, const Guard& b) {
           return a.condition == b.condition && a.outcome == b.outcome;
         });
}

} // namespace arenagrad::program
