// The update rules of training: each takes one step over all parameters in one call.
//
// One struct a rule says its name, the arrays of state that it keeps, and its settings; the Python
// function that takes its step is made from these. `nodes` says where the parameters are; an array
// of state holds one number for each of them, in that order. Formulas and the order of their
// operations are those of torch.optim, so that both walk the same path up to rounding. Nothing is
// checked and nothing throws: a gradient that is not a number makes the parameter one.
//
// Not thread-safe. Cost: the time of the divisions and the square roots, and a nanosecond or two a
// parameter to find it.
#pragma once

#include <span>

#include "arena.h"

namespace arenagrad::core {

using Nodes = std::span<const NodeId>;

// A setting of a rule: its name as an argument, the member that holds it, a number or a flag, and
// its name in messages where that is another.
template <class Rule> struct Setting {
  const char* name;
  double Rule::* number = nullptr;
  bool Rule::* flag = nullptr;
  const char* label = name;
};

struct Sgd {
  double rate, momentum, dampening, decay;
  bool nesterov;
  bool first; // the momentum starts as the gradient, which is not dampened

  static constexpr const char* kStepName = "sgd_step";
  static constexpr const char* kArrays[] = {"velocity"};
  static constexpr Setting<Sgd> kSettings[] = {
      {"lr", &Sgd::rate},
      {"momentum", &Sgd::momentum},
      {"dampening", &Sgd::dampening},
      {"weight_decay", &Sgd::decay},
      {"nesterov", nullptr, &Sgd::nesterov},
      {"first", nullptr, &Sgd::first},
  };
};

struct Adam {
  double rate, beta1, beta2, epsilon, decay;
  bool decoupled; // AdamW: the decay shrinks the parameter and does not enter the gradient
  double steps;   // taken, this one included

  static constexpr const char* kStepName = "adam_step";
  static constexpr const char* kArrays[] = {"mean", "square"};
  static constexpr Setting<Adam> kSettings[] = {
      {"lr", &Adam::rate},
      {"beta1", &Adam::beta1, nullptr, "betas[0]"},
      {"beta2", &Adam::beta2, nullptr, "betas[1]"},
      {"eps", &Adam::epsilon},
      {"weight_decay", &Adam::decay},
      {"decoupled", nullptr, &Adam::decoupled},
      {"steps", &Adam::steps},
  };
};

struct RmsProp {
  double rate, alpha, epsilon, decay, momentum;
  bool centered;

  static constexpr const char* kStepName = "rmsprop_step";
  static constexpr const char* kArrays[] = {"square", "mean", "velocity"};
  static constexpr Setting<RmsProp> kSettings[] = {
      {"lr", &RmsProp::rate},           {"alpha", &RmsProp::alpha},
      {"eps", &RmsProp::epsilon},       {"weight_decay", &RmsProp::decay},
      {"momentum", &RmsProp::momentum}, {"centered", nullptr, &RmsProp::centered},
  };
};

template <class... Rules> struct RuleList {};
using OptimizerRules = RuleList<Sgd, Adam, RmsProp>;

// The arrays of state come in the order of kArrays.
void step(Arena& arena, Nodes nodes, const Sgd& rule, double* velocity);
void step(Arena& arena, Nodes nodes, const Adam& rule, double* mean, double* square);
// `mean` is used if the rule is centered, `velocity` if it has momentum.
void step(Arena& arena, Nodes nodes, const RmsProp& rule, double* square, double* mean,
          double* velocity);

void zero_gradients(Arena& arena, Nodes nodes);

} // namespace arenagrad::core
