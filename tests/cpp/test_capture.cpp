// Graphs of the arena as programs: the same numbers, and in strict order the same adjoints, bit for
// bit, as the arena's own sweep.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>

#include "core/sweep.h"
#include "holder.h"
#include "program/ir/domain_check.h"
#include "program/passes/capture.h"
#include "program/passes/differentiate.h"
#include "program_cases.h"

using namespace arenagrad;
using namespace arenagrad::program;
using core::Arena;
using core::NodeId;
using core::Op;

namespace {

constexpr Passes kAsRecorded{
    .common_subexpressions = false, .peephole = false, .reorder = false, .fuse = false};
constexpr Passes kInOrder{.reorder = false};

struct Graph {
  Arena arena;
  std::vector<Held> held;
  Traced traced;

  explicit Graph(std::size_t inputs) {
    traced.first = 0;
    for (std::size_t k = 0; k < inputs; ++k) {
      held.push_back(leaf(arena, 0.4 + 0.15 * static_cast<double>(k)));
      traced.inputs.push_back(held.back()->node());
    }
  }
  ~Graph() {
    while (!held.empty()) held.pop_back();
  }
  NodeId keep(NodeId node) {
    held.push_back(hold(arena, node));
    return node;
  }
  NodeId many(Op op, const std::vector<NodeId>& operands) {
    arena.reserve(1, operands.size());
    arena.reserve_scratch(core::scratch_size(op, operands.size()) + operands.size());
    std::vector<double> scratch(4 * operands.size());
    const double y = core::nary_value(
        op, operands.size(), [&](std::size_t i) { return arena.data(operands[i]); },
        scratch.data());
    return keep(arena.push_many(op, y, operands.data(), nullptr, operands.size()));
  }
  std::vector<double> inputs() {
    std::vector<double> x;
    for (const NodeId node : traced.inputs) x.push_back(arena.data(node));
    return x;
  }
};

bool same_bits(double one, double other) {
  return (std::isnan(one) && std::isnan(other)) ||
         std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
}

Wanted by(std::size_t inputs) {
  Wanted wanted;
  for (Index k = 0; k < inputs; ++k) wanted.inputs.push_back(k);
  return wanted;
}

void grow(Graph& graph, std::mt19937& random, std::size_t size) {
  // Without those whose first operand is of another kind, and those whose gradients the arena sums
  // in another order than a program does.
  constexpr Op kOthers[] = {Op::Take,   Op::Prod,      Op::Var,      Op::Std,
                            Op::Interp, Op::Polygamma, Op::Gammainc, Op::Betainc};
  std::vector<Op> many;
  for (std::size_t k = core::kFirstNaryOp; k < core::kFirstTableOp; ++k)
    if (const Op op = static_cast<Op>(k); core::op_info(op).operands == core::Operands::Many &&
                                          std::ranges::find(kOthers, op) == std::end(kOthers))
      many.push_back(op);
  Arena& arena = graph.arena;
  const auto any = [&] { return graph.held[random() % graph.held.size()]->node(); };
  while (size > 0) {
    NodeId made = core::kNoNode;
    try {
      if (random() % 64 == 0) { // an index of its own: not every number is one
        std::vector<NodeId> x(3);
        for (NodeId& node : x) node = any();
        arena.reserve(1);
        x.insert(x.begin(), arena.push_leaf(static_cast<double>(random() % 3)));
        made = graph.many(Op::Take, x);
      } else if (random() % 8 == 0) {
        const Op op = many[random() % many.size()];
        std::vector<NodeId> x(std::min<std::size_t>(
            core::operand_counts(op).most, core::operand_counts(op).least + 1 + random() % 4));
        for (NodeId& node : x) node = any();
        made = graph.many(op, x);
      } else {
        const auto op = static_cast<Op>(core::kFirstTableOp +
                                        random() % (core::kOpCount - core::kFirstTableOp));
        arena.reserve(2);
        const NodeId a = any(), b = any();
        NodeId second = core::kNoNode;
        if (core::op_info(op).operands == core::Operands::Binary) second = b;
        if (core::op_info(op).operands == core::Operands::Parametric)
          second = arena.push_leaf(random() % 2 ? 2.0 : -1.0, Op::Literal);
        made = graph.keep(arena.record(op, a, second));
      }
    } catch (const core::Error&) {
      continue; // outside of a domain
    }
    if (std::fabs(arena.data(made)) < 50.0)
      --size;
    else
      graph.held.pop_back();
  }
}

} // namespace

TEST_CASE("a captured graph gives the arena's numbers and adjoints, bit for bit, in strict order") {
  std::mt19937 random(4);
  for (int turn = 0; turn < 300; ++turn) {
    Graph graph(4);
    grow(graph, random, 40);
    const NodeId root = graph.held.back()->node();
    graph.traced.outputs = {root};
    const Captured captured = capture(graph.arena, graph.traced, kAsRecorded);
    CHECK(captured.outer.empty());
    const Program swept = reverse(captured.program, by(4), false, kInOrder);
    const std::vector<double> got = cases::run(swept, graph.inputs());
    const std::vector<double> free =
        cases::run(reverse(captured.program, by(4), false, Passes{}), graph.inputs());
    CHECK(same_bits(got[0], graph.arena.data(root)));
    core::reverse_sweep(graph.arena, root, nullptr);
    for (std::size_t k = 0; k < 4; ++k) {
      const double wanted = graph.arena.gradient(graph.traced.inputs[k]);
      CHECK(same_bits(got[1 + k], wanted));
      if (std::isfinite(wanted)) CHECK(free[1 + k] == doctest::Approx(wanted).epsilon(1e-6));
    }
  }
}

TEST_CASE("nodes older than the trace are inputs behind its own, each once") {
  Graph graph(1);
  const NodeId old = graph.held[0]->node();
  graph.traced.first = static_cast<NodeId>(graph.arena.size());
  graph.held.push_back(leaf(graph.arena, 3.0));
  const NodeId x = graph.held.back()->node();
  graph.traced.inputs = {x};
  graph.arena.reserve(2);
  const NodeId product = graph.keep(graph.arena.record(Op::Mul, x, old));
  graph.traced.outputs = {graph.keep(graph.arena.record(Op::Add, product, old))};
  const Captured captured = capture(graph.arena, graph.traced, Passes{});
  CHECK(captured.outer == std::vector<NodeId>{old});
  CHECK(captured.program.input_count == 2);
  CHECK(cases::run(captured.program, {5.0, 7.0})[0] == 5.0 * 7.0 + 7.0);
}

TEST_CASE("an older node may be an input itself, and what it was made of is of no interest") {
  Graph graph(1);
  Arena& arena = graph.arena;
  arena.reserve(4);
  const NodeId parameter = graph.keep(arena.record(Op::Exp, graph.held[0]->node(), core::kNoNode));
  graph.traced.first = static_cast<NodeId>(arena.size());
  graph.held.push_back(leaf(arena, 3.0));
  const NodeId own = graph.held.back()->node();
  graph.traced.inputs = {parameter, own};
  graph.traced.outputs = {graph.keep(arena.record(Op::Mul, own, parameter)), parameter};
  const Captured captured = capture(arena, graph.traced, kAsRecorded);
  CHECK(captured.outer.empty());
  CHECK(captured.program.input_count == 2);
  std::vector<double> values(captured.program.size());
  const double inputs[] = {5.0, 7.0};
  interpret(captured.program, inputs, values.data());
  CHECK(values[captured.program.outputs[0]] == 35.0);
  CHECK(values[captured.program.outputs[1]] == 5.0);
}

TEST_CASE("comparisons become guards, unless they are of constants alone") {
  Graph graph(2);
  const NodeId x = graph.traced.inputs[0], y = graph.traced.inputs[1];
  graph.traced.outputs = {x};
  graph.traced.decisions = {
      {Comparison{x, y, 0.0, 0.0, Relation::Less, true}},
      {Comparison{core::kNoNode, y, 9.0, 0.0, Relation::LessEqual, false}},
      {Comparison{core::kNoNode, core::kNoNode, 1.0, 2.0, Relation::Less, true}}};
  const Captured captured = capture(graph.arena, graph.traced, Passes{});
  REQUIRE(captured.program.guards.size() == 2);
  std::vector<double> values(captured.program.size());
  const std::vector<double> inputs = graph.inputs();
  interpret(captured.program, inputs.data(), values.data());
  for (const Guard& guard : captured.program.guards)
    CHECK((values[guard.condition] != 0.0) == guard.outcome);
}

TEST_CASE("an operation that failed becomes a guard that it fails in the same way") {
  using core::Failure, core::Op;
  struct Asked {
    FailedOperation failed;
    double fails, fails_otherwise; // numbers of the operand
  };
  Graph graph(1);
  const NodeId x = graph.traced.inputs[0], none = core::kNoNode;
  const Asked all[] = {
      {{Op::Pow, x, none, 0.0, -1.0, Failure::DivisionByZero}, 0.0, 1e-310},
      {{Op::Pow, x, none, 0.0, 0.5, Failure::Domain}, -2.0, 0.0},
      {{Op::Power, none, x, 0.0, 0.0, Failure::DivisionByZero}, -2.0, 2.0},
      {{Op::Log, x, none, 0.0, 0.0, Failure::Domain}, 0.0, 1.0},
      {{Op::Exp, x, none, 0.0, 0.0, Failure::Range}, 1000.0, 700.0},
      {{Op::Reciprocal, x, none, 0.0, 0.0, Failure::DivisionByZero}, -0.0, 1e-310},
      {{Op::Take, x, none, 0.0, 3.0, Failure::NoIndex}, 3.0, 2.0},
  };
  for (const Asked& asked : all)
    for (const Passes& passes : {kAsRecorded, Passes{}}) {
      graph.traced.outputs = {x};
      graph.traced.decisions = {{asked.failed}};
      const Captured captured = capture(graph.arena, graph.traced, passes);
      REQUIRE(captured.program.guards.size() == 1);
      std::vector<double> values(captured.program.size());
      const auto fails = [&](double number) {
        interpret(captured.program, &number, values.data());
        const Guard& guard = captured.program.guards[0];
        return (values[guard.condition] != 0.0) == guard.outcome;
      };
      CHECK(fails(asked.fails));
      CHECK(!fails(asked.fails_otherwise));
      CHECK(fails(std::nan("")) == (asked.failed.op == Op::Take)); // a nan is no index
    }
}

TEST_CASE("an operation whose error is caught becomes a guard, and what it is asked of is exact") {
  for (const Op op : {Op::Log, Op::Pow}) {
    Graph graph(1);
    const NodeId x = graph.traced.inputs[0];
    graph.arena.reserve(4);
    Arena& arena = graph.arena;
    const NodeId cube = graph.keep(arena.record(Op::Pow, x, arena.push_leaf(3.0)));
    const NodeId b = op == Op::Pow ? arena.push_leaf(-1.0) : core::kNoNode;
    const NodeId node = graph.keep(arena.record(op, cube, b));
    graph.traced.fallible = {cube, node};
    graph.traced.outputs = {node};
    graph.traced.decisions = {{CaughtOperation{node}, node}};
    const Program program = optimise(capture(arena, graph.traced, Passes{}).program, Passes{});
    REQUIRE(program.guards.size() == 1);
    const auto count = [&](Opcode opcode) {
      return std::ranges::count(program.instructions, opcode, &Instruction::opcode);
    };
    CHECK(count(Opcode::Mul) == 0); // the cube is the library's
    CHECK(count(Opcode::Failure) == 1);
    const double fits = 0.5, fails = 0.0;
    std::vector<double> values(program.size());
    const auto holds = [&](double number) {
      interpret(program, &number, values.data());
      return values[program.guards[0].condition] != 0.0;
    };
    CHECK(holds(fits));
    CHECK_FALSE(holds(fails));
    // The function goes on there, so nothing is refused.
    CHECK_NOTHROW(check_domain(program, &fails));
  }
}

TEST_CASE("an operation that can fail is captured whether its result is used or not") {
  Graph graph(1);
  const NodeId x = graph.traced.inputs[0];
  graph.arena.reserve(2);
  graph.traced.fallible = {graph.keep(graph.arena.record(Op::Log, x, core::kNoNode))};
  graph.keep(graph.arena.record(Op::Tanh, x, core::kNoNode));
  graph.traced.outputs = {x};
  const Program program = optimise(capture(graph.arena, graph.traced, Passes{}).program, Passes{});
  REQUIRE(program.size() == 2);
  CHECK(program.instructions[1].opcode == Opcode::Log);
  CHECK(program.instructions[1].checked);
}

TEST_CASE("a node with a rule of the user's own is refused, and named") {
  Graph graph(1);
  const NodeId x = graph.traced.inputs[0];
  const double partial = 2.0;
  graph.arena.reserve(1, 1);
  const NodeId node = graph.keep(graph.arena.push_many(Op::FixedPartials, 1.0, &x, &partial, 1));
  graph.traced.outputs = {node};
  try {
    capture(graph.arena, graph.traced, Passes{});
    FAIL("captured");
  } catch (const CannotCapture& error) {
    CHECK(error.node == node);
  }
}

TEST_CASE(
    "softmax and its logarithm give the arena's numbers and the partials of their definition") {
  for (const bool logarithm : {false, true}) {
    Graph graph(4);
    Arena& arena = graph.arena;
    const std::vector<NodeId> x = graph.traced.inputs;
    arena.reserve(5, 4);
    arena.reserve_scratch(12);
    const NodeId group = arena.push_many(logarithm ? Op::LogSoftmaxGroup : Op::SoftmaxGroup, 0.0,
                                         x.data(), nullptr, 4);
    std::vector<double> each(4);
    const core::Exponentials e(4, [&](std::size_t i) { return arena.data(x[i]); }, each.data());
    for (Index k = 0; k < 4; ++k) {
      const double y = logarithm ? e.log_softmax(arena.data(x[k])) : each[k] / e.total;
      graph.traced.outputs.push_back(
          graph.keep(arena.push(logarithm ? Op::LogSoftmax : Op::Softmax, y, {group, k})));
    }
    const Captured captured = capture(arena, graph.traced, kAsRecorded);
    const std::vector<double> got = cases::run(captured.program, graph.inputs());
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(same_bits(got[k], arena.data(graph.traced.outputs[k])));
    const NodeId last = graph.traced.outputs[3];
    const std::vector<double> partials = cases::run(
        reverse(select_outputs(captured.program, {3}), by(4), false, Passes{}), graph.inputs());
    core::reverse_sweep(arena, last, nullptr);
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(partials[1 + k] == doctest::Approx(arena.gradient(x[k])).epsilon(1e-14));
  }
}
