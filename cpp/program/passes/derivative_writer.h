// A program of derivatives while it is written: a copy of the program that is differentiated,
// behind some inputs of its own, and whatever Symbolic writes after that. Not thread-safe.
#pragma once

#include <vector>

#include "derivative_rules.h"

namespace arenagrad::program {

class DerivativeWriter {
public:
  // Both must outlive this. Until this is destroyed, Symbolic writes into `builder`.
  DerivativeWriter(const Program& from, std::size_t more_inputs, Builder& builder)
      : from_(from), builder_(builder), writing_(builder) {
    for (std::size_t k = 0; k < from.input_count + more_inputs; ++k) builder_.input();
    place_.reserve(from.size());
    const Marks exact = decision_cone(from);
    for (const Instruction& at : from.instructions) {
      builder_.set_exact(is_marked(exact, place_.size()));
      // The inputs come first, in order, and so they do here.
      place_.push_back(at.opcode == Opcode::Input ? at.a : builder_.copy(from_, at, place_));
    }
    builder_.set_exact(false); // derivatives decide nothing
  }

  Site site(Index i) const { return {from_, place_, i}; }
  Symbolic value(Index i) const { return Symbolic::of(place_[i]); }
  // Input number k of those behind the program's own.
  Symbolic more_input(std::size_t k) const {
    return Symbolic::of(static_cast<Index>(from_.input_count + k));
  }

  void output(Symbolic number) { builder_.output(number.index()); }
  void copy_outputs() {
    for (const Index output : from_.outputs) builder_.output(place_[output]);
  }
  void copy_guards() {
    for (const Guard& guard : from_.guards) builder_.guard(place_[guard.condition], guard.outcome);
  }

private:
  const Program& from_;
  Builder& builder_;
  Symbolic::Writing writing_;
  std::vector<Index> place_; // of each instruction of from_
};

} // namespace arenagrad::program
