// From a graph that a trace recorded in the arena to a program. Nodes become instructions in their
// order, which is a topological one; nodes that nothing needs and that cannot fail are left out.
//
// Every operation is one rule here, and an operation without a rule throws, so that no program is
// ever silently wrong. Not thread-safe: the caller holds the arena's lock. Cost: about 100 ns a
// node.
#pragma once

#include <variant>
#include <vector>

#include "core/arena.h"
#include "passes.h"

namespace arenagrad::program {

// A node whose rule is the user's own: a program has no instruction for it.
struct CannotCapture : core::Error {
  using Error::Error;
};

// A comparison of two primals while a function was traced, with its outcome. It becomes a guard.
enum class Relation : std::uint8_t { Less, LessEqual, Equal };
struct Comparison {
  core::NodeId left, right; // kNoNode: the number beside it
  double left_number, right_number;
  Relation relation;
  bool outcome;
};

// An operation that failed while a function was traced, which went on: a guard too, that it fails
// in the same way. It has no node.
struct FailedOperation {
  core::Op op;                      // of the table, Take, or one with shapes
  core::NodeId left, right;         // kNoNode: the number beside it; of shapes the sum of all
  double left_number, right_number; // of a Take the index, and how many values there are
  core::Failure failure;
};

// An operation that did not fail while a function was traced, where the function would go on if it
// did: a guard too, that it does not fail.
struct CaughtOperation {
  core::NodeId node; // of the table, Take, one with shapes, or the call of a program that can fail
};

// A call of a function outside of programs that failed while a function was traced, which went on:
// a guard, that it fails in the same way.
struct FailedCall {
  CallbackPointer fails_alike;        // gives 1 where it does
  std::vector<core::NodeId> operands; // kNoNode: the number in its place
  std::vector<double> numbers;
};

struct Decision {
  std::variant<Comparison, FailedOperation, CaughtOperation, FailedCall> asked;
  core::NodeId when = 0; // the next node that was recorded
};

// A trace: which part of the arena it is, where its inputs are, and what came out.
struct Traced {
  // In order: leaves made for the trace, or older nodes, whose own operands do not count then.
  std::vector<core::NodeId> inputs;
  std::vector<core::NodeId> outputs;
  std::vector<Decision> decisions;    // in order
  std::vector<core::NodeId> fallible; // the trace's operations that can fail
  core::NodeId first;                 // nodes below are older than the trace
  // In order: nodes that the trace made of numbers and that outlive it, so that they may change.
  std::vector<core::NodeId> kept;
};

struct Captured {
  Program program;
  // Nodes older than the trace that it uses, and those kept of it. They are inputs too, behind
  // those of the trace: whoever runs the program reads their numbers anew each time.
  std::vector<core::NodeId> outer;
};

// The program that computes the outputs and the conditions of all decisions from the inputs. An
// operation that can fail is part of it whether its result is used or not, since another run may
// fail there. Throws CannotCapture for a node with a callback or fixed partials.
Captured capture(core::Arena& arena, const Traced& traced, const Passes& passes);

} // namespace arenagrad::program
