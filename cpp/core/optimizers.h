// The update rules of training: each takes one step over all parameters in one call.
//
// `nodes` says where the parameters are; the arrays of state hold one number for each of them, in
// that order. Formulas and the order of their operations are those of torch.optim, so that both
// walk the same path up to rounding. Nothing is checked and nothing throws: a gradient that is not
// a number makes the parameter one. Not thread-safe. Cost: the time of the divisions and the square
// roots, and a nanosecond or two a parameter to find it.
#pragma once

#include <span>

#include "arena.h"

namespace arenagrad::core {

struct Sgd {
  double rate, momentum, dampening, decay;
  bool nesterov;
  bool first; // the momentum starts as the gradient, which is not dampened
};

struct Adam {
  double rate, beta1, beta2, epsilon, decay;
  bool decoupled; // AdamW: the decay shrinks the parameter and does not enter the gradient
  double steps;   // taken, this one included
};

struct RmsProp {
  double rate, alpha, epsilon, decay, momentum;
  bool centered;
};

using Nodes = std::span<const NodeId>;

void step(Arena& arena, Nodes nodes, const Sgd& rule, double* velocity);
void step(Arena& arena, Nodes nodes, const Adam& rule, double* mean, double* square);
// `mean` is used if the rule is centered, `velocity` if it has momentum.
void step(Arena& arena, Nodes nodes, const RmsProp& rule, double* square, double* mean,
          double* velocity);

void zero_gradients(Arena& arena, Nodes nodes);

} // namespace arenagrad::core
