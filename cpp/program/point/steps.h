// What a PointPlan runs: steps, one behind the other in an array of 32-bit words, and the writer of
// them. A step is a Head, the struct of its kind, then lists of places as the struct says.
//
// Places are those of the doubles in the workspace: the inputs, the constants, then one number for
// each instruction, group by group. No place is used twice, so steps may be run as soon as their
// operands are there. Not thread-safe while written; then immutable.
#pragma once

#include <cstring>

#include "program/ir/program.h"
#include "program/kernels/kernels.h"

namespace arenagrad::program::point {

// A head's kind below kOpcodeCount is that opcode: `count` instructions, the places of their
// operands one instruction after the other.
enum Kind : std::uint8_t {
  kMap = kOpcodeCount,
  kTanh,   // a Map, with the partials if `partial` is a place
  kOuter,  // to[r * columns + c] = a[r] * b[c]
  kMatrix, // a matrix times a vector
  kLanes,  // SumN or DotN `count` lanes: places with kBeside set if its numbers are side by side
  kLists,  // a Many opcode on `count` numbers: their places
  kCheck,
  kEnd,
};

// How a Map finds an operand: one beside the other, all the same, or a list of places.
enum Way : std::uint8_t { kNowhere, kStep, kSame, kList };

struct Head {
  std::uint8_t kind, opcode, count;
  std::uint8_t ways; // two bits an operand
  Way way(std::size_t k) const { return static_cast<Way>(ways >> 2 * k & 3); }
};
static_assert(sizeof(Head) == sizeof(Index));

struct Map { // then for each operand a place, or n
  Index to, n;
};
struct Tanh { // then a place, or n
  Index to, n, partial;
};
struct Outer {
  Index to, rows, columns, a, b;
};
struct Matrix { // then the places of the vector's numbers if `vector` is kNone
  Index to, rows, columns, matrix, row_step, column_step, vector, vector_step, start, start_step;
};
struct Many { // then count places, or n * count
  Index to, n, count;
};
struct Check {
  Index from, n;
};

inline constexpr Index kBeside = 0x80000000u; // places are smaller
inline constexpr Index kMostLanes = 128;
inline constexpr Index kBlock = 256; // numbers gathered at once

struct Steps {
  std::vector<Index> words;
  std::vector<Index> copies; // from and how many, as the outputs want them
  std::vector<Guard> guards; // of places
  std::vector<double> constants;
  Index input_count = 0;
  std::size_t values = 0;  // places
  std::size_t scratch = 0; // doubles behind them
  std::size_t groups = 0;
  bool strict = true;
  const Kernels* kernels = nullptr;
};

// Reads words.
template <class T> T take(const Index*& at) {
  T out;
  std::memcpy(&out, at, sizeof out);
  at += sizeof(T) / sizeof(Index);
  return out;
}

// The places of a group's operands, by operand.
struct Operands {
  const Index* of[3];
  std::size_t count;
};

class Writer {
public:
  Writer(Steps& steps, bool strict) : steps_(steps), strict_(strict) {}

  // The results go to `to` and the places behind it.
  void fixed(Opcode opcode, Index to, const Operands& operands, Index n);
  // lists: `count` places an instruction.
  void many(Opcode opcode, Index to, const Index* lists, Index count, Index n);
  void check(Index from, Index n);
  void end();

  struct Mark {
    std::size_t words, groups, tanhs;
  };
  Mark mark() const { return {steps_.words.size(), steps_.groups, tanhs_.size()}; }
  void back_to(const Mark& mark);

private:
  template <class... Parts> void put(const Head& head, const Parts&... parts);
  void put_places(const Index* places, std::size_t n);
  void want_scratch(std::size_t n);

  void map(Opcode opcode, Index to, const Operands& operands, Index from, Index n);
  void one_by_one(Opcode opcode, Index to, const Operands& operands, Index from, Index n);
  void rest(Opcode opcode, Index to, const Operands& operands, Index from, Index n);
  Index outer(Index to, const Operands& operands, Index from, Index n, Index columns);
  Index partials(Index to, const Operands& operands, Index from, Index n);
  Index matrix(Index to, const Index* lists, Index count, Index n);
  Index lanes(Opcode opcode, Index to, const Index* lists, Index count, Index n);
  void rest(Opcode opcode, Index to, const Index* lists, Index count, Index n);

  struct WrittenTanh {
    Index to, n;
    std::size_t at; // word
  };

  Steps& steps_;
  const bool strict_;
  std::vector<WrittenTanh> tanhs_; // by place
};

template <class... Parts> void Writer::put(const Head& head, const Parts&... parts) {
  static_assert(sizeof(Index) == 4);
  const auto append = [&](const auto& part) {
    const std::size_t at = steps_.words.size();
    steps_.words.resize(at + sizeof part / 4);
    std::memcpy(&steps_.words[at], &part, sizeof part);
  };
  append(head);
  (append(parts), ...);
  if (head.kind < kCheck) ++steps_.groups;
}

// Orders a program's instructions in groups, gives them places and writes the steps.
Steps plan(const Program& program, bool strict);

// One line a step.
std::string text(const Steps& steps);

} // namespace arenagrad::program::point
