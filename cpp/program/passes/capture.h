// A graph in the arena as a program. Not thread-safe: the caller holds the arena's lock.
#pragma once

#include <vector>

#include "builder.h"
#include "core/arena.h"

namespace arenagrad::program {

// A node whose rule is the user's own, so that there is nothing to replay.
struct CannotCapture : core::Error {
  using Error::Error;
};

// How two primals were compared while a function was traced, and what came out.
enum class Relation : std::uint8_t { Less, LessEqual, Equal };
struct Comparison {
  core::NodeId left, right; // kNoNode: the number beside it
  double left_number, right_number;
  Relation relation;
  bool outcome;
};

struct Traced {
  // In order: leaves made for the trace, or older nodes, whose operands are then of no interest.
  std::vector<core::NodeId> inputs;
  std::vector<core::NodeId> outputs;
  std::vector<Comparison> comparisons;
  core::NodeId first; // nodes below are older than the trace
  // In order: nodes that the trace made of numbers and that outlive it, so that they may change.
  std::vector<core::NodeId> kept;
};

struct Captured {
  Program program;
  // Nodes older than the trace that it uses, and those kept of it: they are inputs too, behind
  // those of the trace, whose numbers whoever runs the program must read anew each time.
  std::vector<core::NodeId> outer;
};

// The program that computes the outputs and the conditions of all comparisons from the inputs; what
// nothing needs is left out. Throws CannotCapture for a node with a callback or
// fixed partials. Cost: about 100 ns a node.
Captured capture(core::Arena& arena, const Traced& traced, const Passes& passes);

} // namespace arenagrad::program
