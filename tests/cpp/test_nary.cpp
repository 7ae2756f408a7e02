// Nodes of any number of operands: their partials, their groups, and what detaching leaves.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <random>

#include "core/nary.h"
#include "core/sweep.h"
#include "holder.h"

using namespace arenagrad::core;

namespace {

using Doubles = std::vector<double>;

bool same_bits(double one, double other) {
  return std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
}

double value_of(Op op, const Doubles& xs) {
  Doubles scratch(scratch_size(op, xs.size()));
  return nary_value(op, xs.size(), [&](std::size_t i) { return xs[i]; }, scratch.data());
}

// Adds what a result of `op` with the adjoint g passes on to `adjoints`.
void pull_back(Op op, const Doubles& xs, double g, Doubles& adjoints) {
  Doubles scratch(scratch_size(op, xs.size()));
  const double y = value_of(op, xs);
  visit_nary(op, [&](auto rule) {
    rule.pullback(
        xs.size(), y, g, [&](std::size_t i) { return xs[i]; },
        [&](std::size_t i, double amount) { adjoints[i] += amount; }, scratch.data());
  });
}

// The results of softmax(xs), or their logarithms, by the definition.
Doubles results_of(bool logarithm, const Doubles& xs) {
  double total = 0.0;
  for (const double x : xs) total += std::exp(x);
  Doubles ys;
  for (const double x : xs) ys.push_back(logarithm ? x - std::log(total) : std::exp(x) / total);
  return ys;
}

struct Softmax {
  NodeId group;
  std::vector<Held> parts;
};

Softmax softmax(Arena& arena, const std::vector<Holder*>& xs) {
  arena.reserve(xs.size() + 1, xs.size());
  arena.reserve_scratch(scratch_size(Op::SoftmaxGroup, xs.size()));
  std::vector<NodeId> operands;
  Doubles primals;
  for (Holder* x : xs) operands.push_back(x->use()), primals.push_back(arena.data(x->node()));
  Softmax made{arena.push_many(Op::SoftmaxGroup, 0.0, operands.data(), nullptr, xs.size()), {}};
  const Doubles ys = results_of(false, primals);
  std::vector<NodeId> nodes;
  for (std::size_t i = 0; i < xs.size(); ++i)
    nodes.push_back(arena.push(Op::Softmax, ys[i], {made.group, static_cast<NodeId>(i)}));
  for (const NodeId node : nodes) made.parts.push_back(hold(arena, node));
  return made;
}

} // namespace

TEST_CASE("take gives all to the value that was chosen and none where the index is no index") {
  const Doubles values{2.0, 7.0, -3.0, 5.0}; // the index, then three values
  Doubles xs = values, got(4, 0.0);
  const auto sweep = [&] { pull_back(Op::Take, xs, 3.0, got); };
  CHECK(value_of(Op::Take, xs) == 5.0);
  sweep();
  CHECK(got == Doubles{0.0, 0.0, 0.0, 3.0});
  for (const double index : {-1.0, 3.0, 0.5, std::nan(""), HUGE_VAL}) {
    xs[0] = index;
    CHECK(std::isnan(value_of(Op::Take, xs)));
    sweep();
  }
  CHECK(got == Doubles{0.0, 0.0, 0.0, 3.0});
}

TEST_CASE("the partials of every n-ary operation agree with central differences") {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> draw(0.2, 2.0);
  for (std::size_t k = kFirstNaryOp; k < kFirstTableOp; ++k) {
    const Op op = static_cast<Op>(k);
    if (op_info(op).operands != Operands::Many || op == Op::Where || op == Op::Take ||
        op == Op::Interp || has_shapes(op))
      continue;
    CAPTURE(op_info(op).id);
    for (std::size_t n = 1; n < 9; ++n) {
      Doubles xs(n), got(n, 0.5);
      for (double& x : xs) x = draw(random);
      pull_back(op, xs, 3.0, got);
      for (std::size_t i = 0; i < n; ++i) {
        Doubles above = xs, below = xs;
        above[i] += 1e-6, below[i] -= 1e-6;
        const double partial = (value_of(op, above) - value_of(op, below)) / 2e-6;
        CHECK(got[i] == doctest::Approx(0.5 + 3.0 * partial).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("the formula of every operation of many operands gives its results to the bit") {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> draw(-3.0, 3.0);
  for (std::size_t k = kFirstNaryOp; k < kFirstTableOp; ++k) {
    const Op op = static_cast<Op>(k), held = group_of(op);
    CAPTURE(op_info(op).id);
    const Counts counts = operand_counts(held);
    for (std::size_t n = counts.least; n <= std::min<std::size_t>(counts.most, 9); ++n) {
      Doubles xs(n), ys(n);
      for (double& x : xs) x = draw(random);
      if (op == Op::Take) xs[0] = static_cast<double>(n - 2);
      if (op_info(op).operands == Operands::Many) {
        const double y = visit_nary(op, [&](auto rule) { return rule.formula(xs); });
        CHECK(same_bits(y, value_of(op, xs)));
        continue;
      }
      visit_group(op, [&](auto rule) {
        rule.results(n, [&](std::size_t i) { return xs[i]; }, ys.data());
        const auto group = rule.formula(xs);
        for (std::size_t i = 0; i < n; ++i)
          CHECK(same_bits(rule.result(group.terms[i], group.total), ys[i]));
      });
    }
  }
}

TEST_CASE("a group accumulates into its operands the terms of all its results") {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> draw(-3.0, 3.0);
  for (const Op group : {Op::SoftmaxGroup, Op::LogSoftmaxGroup}) {
    const bool logarithm = group == Op::LogSoftmaxGroup;
    for (std::size_t n = 1; n < 9; ++n) {
      Doubles xs(n), gs(n), got(n, 0.0), scratch(scratch_size(group, n));
      for (double& x : xs) x = draw(random);
      for (double& g : gs) g = draw(random);
      visit_group(group, [&](auto rule) {
        rule.pullback(
            n, [&](std::size_t i) { return xs[i]; }, [&](std::size_t i) { return gs[i]; },
            [&](std::size_t i, double amount) { got[i] += amount; }, scratch.data());
      });
      for (std::size_t i = 0; i < n; ++i) {
        Doubles above = xs, below = xs;
        above[i] += 1e-6, below[i] -= 1e-6;
        const Doubles high = results_of(logarithm, above), low = results_of(logarithm, below);
        double expected = 0.0;
        for (std::size_t j = 0; j < n; ++j) expected += gs[j] * (high[j] - low[j]) / 2e-6;
        CHECK(std::abs(got[i] - expected) < 1e-7);
      }
    }
  }
}

TEST_CASE("a group is kept by one result and moved by compacting") {
  Arena arena;
  Held junk = leaf(arena, 9.0), a = leaf(arena, 0.5), b = leaf(arena, -1.0);
  Softmax dead = softmax(arena, {junk.get(), a.get()});
  Softmax made = softmax(arena, {a.get(), b.get(), a.get()});
  junk.reset(), dead.parts.clear();
  made.parts[0].reset(), made.parts[2].reset();
  CHECK(arena.compact() == 5); // junk, the dead group, its results, and the first of the other
  CHECK(arena.edge_size() == 3);
  const NodeId part = made.parts[1]->node();
  CHECK(reachable(arena, part) == std::vector<NodeId>{part, b->node(), a->node()});
  CHECK(reachable(arena, part, true).size() == 4);
  reverse_sweep(arena, part, nullptr);
  const double p = arena.data(part);
  CHECK(arena.gradient(b->node()) == doctest::Approx(p * (1.0 - p)));
  CHECK(arena.gradient(a->node()) == doctest::Approx(-p * (1.0 - p)));
}

TEST_CASE("a result that a loaded graph holds twice accumulates into its operands twice") {
  Arena arena;
  Held a = leaf(arena, 0.5), b = leaf(arena, -1.0);
  Softmax made = softmax(arena, {a.get(), b.get()});
  const double p = arena.data(made.parts[0]->node());
  arena.reserve(1);
  Held twin = hold(arena, arena.push(Op::Softmax, p, {made.group, 0}));
  Held root = apply(Op::Add, *made.parts[0], *twin);
  reverse_sweep(arena, root->node(), nullptr);
  CHECK(arena.gradient(a->node()) == doctest::Approx(2.0 * p * (1.0 - p)));
  CHECK(arena.gradient(b->node()) == doctest::Approx(-2.0 * p * (1.0 - p)));
}

TEST_CASE("sweeps with and without callbacks agree in every bit and leave no adjoint behind") {
  Arena arena;
  Held a = leaf(arena, 0.5), b = leaf(arena, -1.0), c = leaf(arena, 2.0);
  Softmax made = softmax(arena, {a.get(), b.get(), c.get()});
  Held first = apply(Op::Mul, *made.parts[0], *a), second = apply(Op::Mul, *made.parts[2], *b);
  Held root = apply(Op::Add, *first, *second);
  const auto gradients = [&] {
    Doubles found;
    for (NodeId i = 0; i < arena.size(); ++i)
      found.push_back(arena.gradient(i)), arena.gradients(arena.size())[i] = 0.0;
    return found;
  };
  reverse_sweep(arena, root->node(), nullptr);
  const Doubles fast = gradients();
  arena.set_callback(root->node(), true);
  for (int repeat = 0; repeat < 2; ++repeat) {
    reverse_sweep(arena, root->node(), [](Handle&) { return false; });
    CHECK(gradients() == fast);
    const double* numbers = arena.edge_numbers(arena.operands(made.group).a);
    CHECK(Doubles(numbers, numbers + 3) == Doubles(3, 0.0));
  }
  // A result with a callback takes its own turn between its neighbours.
  arena.set_callback(made.parts[1]->node(), true);
  reverse_sweep(arena, root->node(), [](Handle&) { return false; });
  CHECK(gradients() == fast);
  arena.set_callback(made.parts[2]->node(), true);
  reverse_sweep(arena, root->node(), [](Handle&) { return false; });
  const Doubles apart = gradients();
  for (std::size_t i = 0; i < fast.size(); ++i) CHECK(apart[i] == doctest::Approx(fast[i]));
  for (const Held* held : {&root, &made.parts[1], &made.parts[2]})
    arena.set_callback((*held)->node(), false);
}

TEST_CASE("detaching leaves leaves of the same primals and nothing else") {
  Arena arena;
  Held x = leaf(arena, 3.0);
  const std::size_t size = arena.size(), edges = arena.edge_size();
  arena.set_detaching(true);
  CHECK_FALSE(arena.ready_for(0));
  arena.reserve(4, 2);
  const NodeId square = arena.record(Op::Mul, x->use(), x->use());
  const NodeId literal = arena.push_leaf(2.0, Op::Literal);
  const NodeId power = arena.record(Op::Pow, square, literal);
  const NodeId operands[] = {power, square};
  std::vector<NodeId> nodes{arena.push_many(Op::Sum, 90.0, operands, nullptr, 2), x->node(), power};
  arena.detach_above(size, edges, nodes);
  CHECK(nodes == std::vector<NodeId>{1, 0, 2});
  CHECK(arena.size() == size + 2);
  CHECK(arena.edge_size() == edges);
  CHECK(arena.first_power() == kNoNode);
  CHECK(arena.op(nodes[0]) == Op::Leaf);
  CHECK(arena.data(nodes[0]) == 90.0);
  CHECK(arena.data(nodes[2]) == 81.0);
  arena.set_detaching(false);
  CHECK(arena.ready_for(1));
}

TEST_CASE("memory stays flat when each leaf is made from the last one, detached") {
  Arena arena;
  arena.set_detaching(true);
  Held x = leaf(arena, 1.0);
  std::size_t most = 0;
  for (int step = 0; step < 2'000'000; ++step) {
    arena.reserve(1);
    const std::size_t size = arena.size();
    std::vector<NodeId> nodes{arena.record(Op::Add, x->use(), x->use())};
    arena.detach_above(size, 0, nodes);
    x = hold(arena, nodes[0]);
    most = std::max(most, arena.size());
  }
  CHECK(most < 600'000);
}
