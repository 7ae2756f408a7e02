// The step of a node and the loops that call it. Speed rests on one rule: what a loop uses is a
// local variable whose address nobody has. The marks are bytes, and a store of a byte may alias
// anything whose address is known, which would then be loaded anew for every node.
#include "sweep.h"

#include <algorithm>
#include <cstring>

#include "checked_sweep.h"
#include "nary.h"

namespace arenagrad::core {
namespace {

// The arena's arrays as plain pointers.
struct Tape {
  const double* data;
  double* grad;
  const Operand2* operands;
  const Tag* tags;
  const NodeId* edge_operands;
  double *edge_numbers, *scratch;
  FunctionNodes* functions;

  Tape(Arena& arena, NodeId root)
      : data(arena.data_array()), grad(arena.gradients(std::size_t{root} + 1)),
        operands(arena.operand_array()), tags(arena.tag_array()),
        edge_operands(arena.edge_operands(0)), edge_numbers(arena.edge_numbers(0)),
        scratch(arena.scratch()), functions(&arena.functions()) {}
};

// Called with each node that the loop is to visit.
struct Reached {
  std::uint8_t* marks;
  std::size_t lowest;
  void operator()(NodeId operand) {
    marks[operand] = 1;
    lowest = std::min<std::size_t>(lowest, operand);
  }
};

// The same where the nodes to visit are known.
struct Ignored {
  void operator()(NodeId) const {}
};

// --- the step of a node --------------------------------------------------------------------------

// The partials of a row that says no_nan, times g. Out of line: with the rare case beside the usual
// one, compilers branch on what a partial is chosen by, such as the sign in relu, at random.
template <Op op>
[[gnu::noinline, gnu::cold]] Partials terms_no_nan(double a, double b, double y, double g) {
  const Partials d = partials(op, a, b, y);
  return {multiply_no_nan(d.a, g), multiply_no_nan(d.b, g)};
}

// Adds partial * adjoint(node) to the adjoint of each operand, with the partials of the row of `op`
// in ops.def, and calls reached(operand).
template <Op op, class Visit> inline void step_of(const Tape& t, NodeId node, Visit& reached) {
  constexpr Operands kind = op_info(op).operands;
  const double g = t.grad[node], y = t.data[node];
  const Operand2 o = t.operands[node];
  const double a = t.data[o.a], b = kind == Operands::Unary ? 0.0 : t.data[o.b];
  const Partials d = partials(op, a, b, y);
  Partials term{d.a * g, kind == Operands::Binary ? d.b * g : 0.0};
  if constexpr (op_info(op).no_nan)
    if (std::isunordered(term.a, term.b)) [[unlikely]]
      term = terms_no_nan<op>(a, b, y, g);
  t.grad[o.a] += term.a;
  reached(o.a);
  if constexpr (kind == Operands::Binary) {
    t.grad[o.b] += term.b;
    reached(o.b);
  }
}

// The step of any node with a list of operands, or of a Part. Takes and returns copies, so that the
// loop's own variables have no address.
template <class Visit>
[[gnu::noinline]] Visit step_of_many(const Tape t, NodeId node, GroupStep when, Visit reached) {
  Operand2 o = t.operands[node];
  const double g = t.grad[node], y = t.data[node];
  Op op = op_of(t.tags[node]);
  if (op_info(op).operands == Operands::Part) {
    const NodeId group = o.a;
    // Two nodes of a loaded graph may share one place.
    (op == Op::FunctionResult ? t.functions->of(group).adjoints[o.b]
                              : t.edge_numbers[t.operands[group].a + o.b]) += g;
    if (when == GroupStep::Later) {
      reached(group);
      return reached;
    }
    node = group, op = op_of(t.tags[group]), o = t.operands[group];
  }
  const NodeId* const operands = t.edge_operands + o.a;
  const std::size_t count = o.b;
  double *const numbers = t.edge_numbers + o.a, *const scratch = t.scratch, *const grad = t.grad;
  const double* const data = t.data;
  const auto x = [=](std::size_t i) { return data[operands[i]]; };
  const auto reach_all = [&] {
    for (std::size_t i = 0; i < count; ++i) reached(operands[i]);
  };
  const auto add = [=, &reached](std::size_t i, double amount) {
    grad[operands[i]] += amount;
    reached(operands[i]);
  };
  const auto one_result = [&](auto rule) {
    if constexpr (!rule.kAddsToAll) reach_all();
    rule.pullback(count, y, g, x, add, scratch);
  };
  const auto many_results = [&](auto rule) {
    rule.pullback(count, x, [=](std::size_t i) { return numbers[i]; }, add, scratch);
    std::fill_n(numbers, count, 0.0);
  };
  switch (op) {
  case Op::FixedPartials:
    for (std::size_t i = 0; i < count; ++i) add(i, numbers[i] * g);
    break;
  case Op::Function:
    t.functions->of(node).step(count, x, add);
    break;
#define ARENAGRAD_NARY(Id, ...)                                                                    \
  case Op::Id:                                                                                     \
    one_result(nary::Id{});                                                                        \
    break;
#define ARENAGRAD_GROUP(Id, ...)                                                                   \
  case Op::Id##Group:                                                                              \
    many_results(nary::Id{});                                                                      \
    break;
#include "ops.def"
  default: // Opaque: its rule, if it has one, is a callback
    reach_all();
  }
  return reached;
}

// The same out of line, for operations that call functions: inlined they would take registers from
// the loop. Takes and returns copies, so that the loop's own variables have no address.
template <Op op, class Visit>
[[gnu::noinline]] Visit step_apart(const Tape t, NodeId node, Visit reached) {
  step_of<op>(t, node, reached);
  return reached;
}

template <class Visit> [[gnu::always_inline]] inline void step(const Tape& t, NodeId node,
                                                               GroupStep when, Visit& reached) {
  switch (op_of(t.tags[node])) {
  case Op::Leaf:
  case Op::Literal:
  case Op::LiteralInt:
    return;
#define ARENAGRAD_OP(Id, ...)                                                                      \
  case Op::Id:                                                                                     \
    if constexpr (op_info(Op::Id).cheap)                                                           \
      step_of<Op::Id>(t, node, reached);                                                           \
    else                                                                                           \
      reached = step_apart<Op::Id>(t, node, reached);                                              \
    return;
#include "ops.def"
  default:
    reached = step_of_many(t, node, when, reached);
  }
}

// --- the loops -----------------------------------------------------------------------------------

// Calls visit(node, reached) for each node from `root` down that was passed to reached before.
template <class Visit> void descend(std::uint8_t* marks, NodeId root, Visit visit) {
  Reached reached{marks, root};
  reached(root);
  for (std::size_t i = std::size_t{root} + 1; i-- > reached.lowest;) {
    if (!marks[i]) {
      while (i >= reached.lowest + 8 && all_clear(marks + i - 7)) i -= 8;
      if (!marks[i]) continue;
    }
    marks[i] = 0;
    visit(static_cast<NodeId>(i), reached);
  }
}

} // namespace

void step_alone(Arena& arena, NodeId node, GroupStep when) {
  Ignored nobody;
  step(Tape(arena, node), node, when, nobody);
}

std::vector<NodeId> reachable(Arena& arena, NodeId root, bool hidden) {
  std::vector<NodeId> nodes;
  try {
    descend(arena.marks(), root, [&](NodeId node, Reached& reached) {
      nodes.push_back(node);
      arena.for_each_operand(node, hidden, reached);
    });
  } catch (const std::bad_alloc&) { // above size() and between sweeps no node is marked
    std::memset(arena.marks(), 0, std::size_t{root} + 1);
    throw;
  }
  return nodes;
}

void reverse_sweep(Arena& arena, NodeId root, Callback callback) {
  if (arena.callback_count() == 0 && arena.functions().empty() && !partials_may_fail(arena, root)) {
    const Tape tape(arena, root);
    tape.grad[root] = 1.0;
    return descend(arena.marks(), root, [=](NodeId node, Reached& reached) {
      step(tape, node, GroupStep::Later, reached);
    });
  }
  checked_sweep(arena, root, callback);
}

} // namespace arenagrad::core
