// What a BatchPlan does, in order: the acts on a block of rows, where each finds its numbers, and
// what is computed once before and after them. Immutable once made.
#pragma once

#include "program/ir/program.h"

namespace arenagrad::program {

// Where an operand or a result is: its kind in the two top bits, its number in the others.
using Place = std::uint32_t;
inline constexpr Place kSlot = 0;           // of the block
inline constexpr Place kUniform = 1u << 30; // one number for all rows
inline constexpr Place kColumn = 2u << 30;  // an input or output: the caller's memory or a slot
inline constexpr Place kPlaceKind = 3u << 30;
constexpr Place number_of(Place place) { return place & ~kPlaceKind; }

enum class Do : std::uint8_t {
  Map,            // y = opcode(a, b, c)
  Many,           // y = code of the b places from a on in `lists`
  TanhAndPartial, // y = tanh(a), b = its partial
  Layer,          // of `pointers`, from a on: b results, c numbers; from y on in `packed`: weights
  Load,           // y: the slot of input c
  Store,          // a to output c
  Guard,          // a should be `outcome`
  Total,          // sum y gets the sum of a
  ScaledTotal,    // sum y gets b, uniform, times the sum of a
  Inner,          // sum y gets the sum of a * b
  Grid, // sums from y on get those of the products of b and c numbers, from a on in `pointers`
};

struct Act {
  Do what = Do::Map;
  Opcode opcode = Opcode::Constant;
  bool checked = false;
  bool outcome = false;
  Place y = kNone, a = kNone, b = kNone, c = kNone;
};
static_assert(sizeof(Act) == 20);

struct Schedule {
  // Of before and after, all places are uniform; a RowSum there has b: which sum, or kNone where a
  // is uniform.
  std::vector<Act> before, rows, after;
  std::vector<Place> lists, pointers;
  std::vector<std::uint32_t> columns_in_lists, columns_in_pointers; // where they have columns
  std::vector<Place> packed;    // numbers of uniforms, which layers want side by side; kNone: 0
  std::vector<double> uniforms; // constants, and room for the others

  struct UniformInput {
    Index input;
    Place at;
  };
  std::vector<UniformInput> uniform_inputs;
  std::vector<Place> outputs;              // the uniform ones', else kNone
  std::vector<Guard> guards;               // the uniform ones, by the number of their uniform
  std::vector<std::uint32_t> column_slots; // inputs', then outputs'; kNone: not in use as a place
  Index input_count = 0;
  std::uint32_t slots = 0, sums = 0;

  std::size_t bytes() const;
};

// Gives the numbers of the rows their places, until when acts name them by their instructions.
void place_in_slots(Schedule& schedule, const Program& program);

// Throws std::invalid_argument as BatchPlan does.
Schedule schedule_of(const Program& program, const std::vector<std::uint8_t>& varies, bool strict);

} // namespace arenagrad::program
