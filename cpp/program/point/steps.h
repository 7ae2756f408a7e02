// The steps of a PointPlan, one behind the other in an array of 32-bit words. A step is a
// StepHead, the struct of its kind, then lists of slots as the struct says.
//
// A slot is the index of a double in the workspace: the inputs have the first, then the constants,
// then the results of the instructions, group by group. No slot is written twice, so a step may be
// run as soon as its operands are there.
//
// Immutable once made, so safe from any thread. Cost: a few words a group, and a word an operand
// where operands are not side by side; a program that does not fit the cache is bound by reading
// them.
#pragma once

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "program/kernels/kernels.h"
#include "program/passes/clear_decisions.h"

namespace arenagrad::program::point {

enum class StepKind : std::uint8_t {
// StepHead::count instructions of one opcode, one by one, where a kernel would not pay: the slot of
// the first result, then the slots of each one's operands.
#define ARENAGRAD_OP(Id, ...) OneByOne##Id = static_cast<std::uint8_t>(Opcode::Id),
#include "core/ops.def"
#define ARENAGRAD_OPCODE(Id, ...) OneByOne##Id = static_cast<std::uint8_t>(Opcode::Id),
#include "program/ir/opcodes.def"
  Map = kOpcodeCount, // MapStep: an opcode's kernel on operands side by side
  Tanh,               // TanhStep: the same of Tanh, with or without its partials
  OuterProduct,       // OuterProductStep
  MatrixVector,       // MatrixVectorStep
  StridedNary,        // NaryStep of SumN or DotN: operands are side by side from one to the next
  GatheredNary,       // NaryStep of any n-ary opcode: a list of slots for each
  Matrices,           // MatrixStep
  Check,              // CheckStep
  End,
};
// Requires that the opcode has at most three operands.
constexpr StepKind one_by_one(Opcode opcode) { return static_cast<StepKind>(opcode); }

// How a Map finds the operands of its instructions.
enum class Addressing : std::uint8_t {
  None,
  Contiguous, // in slots side by side, of which the first is given
  Same,       // in one slot
  Gathered,   // in a list of slots
};

struct StepHead {
  StepKind kind = StepKind::End;
  Opcode opcode{};
  std::uint8_t count = 0;
  std::uint8_t addressings = 0; // two bits an operand, and kExact

  Addressing addressing(std::size_t operand) const {
    return static_cast<Addressing>(addressings >> 2 * operand & 3);
  }
  bool gathers() const { return (addressings & addressings >> 1 & 0b010101) != 0; }
  // Whether every bit counts: kernels and sums are those of strict programs.
  bool is_exact() const { return (addressings & kExact) != 0; }
  void set_exact(bool exact) { addressings |= exact ? kExact : std::uint8_t{0}; }
  void set_addressing(std::size_t operand, Addressing addressing) {
    addressings |= static_cast<std::uint8_t>(static_cast<unsigned>(addressing) << 2 * operand);
  }

private:
  static constexpr std::uint8_t kExact = 1u << 6;
};
static_assert(sizeof(StepHead) == sizeof(Index));

// `to` is the slot of the first result, `n` the number of instructions.

// Then for each operand a slot, or n of them if it is gathered.
struct MapStep {
  Index to, n;
};
// Then as a MapStep's. `partial` is the slot of the first partial, or kNone.
struct TanhStep {
  Index to, n, partial;
};
// to[r * columns + c] = a[r] * b[c]
struct OuterProductStep {
  Index to, rows, columns, a, b;
};
// to[r] = start[r * start_step] + sum over c of
//         matrix[r * row_step + c * column_step] * vector[c * vector_step]
// `start` may be kNone. If `vector` is kNone, the slots of the vector follow.
struct MatrixVectorStep {
  Index to, rows, columns, matrix, row_step, column_step, vector, vector_step, start, start_step;
};
// If strided, then `count` slots, those of the first instruction, with kSideBySide set where the
// next instruction has the next slot and not the same, and kColumn where what is given is a place
// in Steps::columns. If gathered, then n * count slots.
struct NaryStep {
  Index to, n, count;
};
// The slot `to` gets the state of an instruction of matrices, those behind it the results. Then
// `runs` pairs of a slot and a length: the operands, side by side with kSideBySide, else all the
// same.
struct MatrixStep {
  Index to, rows, columns, inner, flags, runs;
};
// n numbers from `from` on have to be finite.
struct CheckStep {
  Index from, n;
};

inline constexpr Index kSideBySide = 0x80000000u, kColumn = 0x40000000u; // slots are smaller
inline constexpr Index kMostStrided = 128; // operands of a strided NaryStep
inline constexpr Index kGatherBlock = 256; // numbers gathered at once

struct Steps {
  std::vector<Index> words;
  std::vector<Index> copies;   // pairs of a slot and a length, as the outputs follow one another
  std::vector<Guard> guards;   // conditions are slots
  std::vector<Margin> margins; // of slots
  std::vector<CallbackPointer> callbacks;
  Program decisions; // decides where a margin is not kept
  std::vector<double> constants;
  // Constants once more, side by side as instructions of a strided NaryStep have them.
  std::vector<double> columns;
  Index input_count = 0;
  std::size_t slots = 0;
  std::size_t scratch = 0; // doubles behind the slots
  std::size_t groups = 0;
  bool may_overflow_otherwise = false; // as program::may_overflow_otherwise, unless strict
  // For steps that are exact, as all those of strict programs are, and for the others.
  const Kernels *exact_kernels = nullptr, *fast_kernels = nullptr;

  const Kernels& kernels(StepHead head) const {
    return head.is_exact() ? *exact_kernels : *fast_kernels;
  }
};

// Reads a struct from the words and moves `at` behind it.
template <class T> T read(const Index*& at) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(Index) == 0);
  T out;
  std::memcpy(static_cast<void*>(&out), at, sizeof out);
  at += sizeof(T) / sizeof(Index);
  return out;
}

// Orders a program's instructions in groups, gives their results slots and writes the steps.
// Throws std::bad_alloc. Cost: about 300 ns an instruction.
Steps make_steps(const Program& program, bool strict);

// Reads the inputs from the first slots and the constants behind them, writes all other slots.
// Returns whether all checked numbers are finite. The workspace has `slots` and `scratch` doubles.
bool run_steps(const Steps& steps, double* workspace);

// One line a step, for humans.
std::string to_text(const Steps& steps);

} // namespace arenagrad::program::point
