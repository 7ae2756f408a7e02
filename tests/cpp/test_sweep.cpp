// Order, reachability and adjoints.
#include <doctest/doctest.h>

#include <cmath>

#include "core/node_partials.h"
#include "core/sweep.h"
#include "holder.h"

using namespace arenagrad::core;

namespace {

Held power(Holder& a, double exponent) {
  a.arena.reserve(2);
  const NodeId base = a.use();
  const NodeId literal = a.arena.push_leaf(exponent, Op::Literal);
  return hold(a.arena, a.arena.record(Op::Pow, base, literal));
}

Handle* called = nullptr;

} // namespace

TEST_CASE("adjoints of a product used twice add up") {
  Arena arena;
  Held x = leaf(arena, 3.0), y = leaf(arena, 5.0);
  Held p = apply(Op::Mul, *x, *y);
  Held s = apply(Op::Add, *p, *p);
  reverse_sweep(arena, s->node(), nullptr);
  CHECK(arena.gradient(x->node()) == 10.0);
  CHECK(arena.gradient(y->node()) == 6.0);
  CHECK(arena.gradient(s->node()) == 1.0);
}

TEST_CASE("only what the root reaches is touched, whatever lies between") {
  Arena arena;
  Held x = leaf(arena, 3.0);
  std::vector<Held> others;
  for (int i = 0; i < 1000; ++i) others.push_back(leaf(arena, 1.0));
  Held y = apply(Op::Mul, *x, *x);
  const std::vector<NodeId> nodes = reachable(arena, y->node());
  CHECK(nodes == std::vector<NodeId>{y->node(), x->node()});
  reverse_sweep(arena, y->node(), nullptr);
  CHECK(arena.gradient(x->node()) == 6.0);
  for (NodeId i = 0; i < arena.size(); ++i) CHECK(arena.marks()[i] == 0);
}

TEST_CASE("a power's literal is hidden from the order unless asked for") {
  Arena arena;
  Held x = leaf(arena, 2.0);
  Held y = power(*x, 3.0);
  CHECK(reachable(arena, y->node()).size() == 2);
  CHECK(reachable(arena, y->node(), true).size() == 3);
  reverse_sweep(arena, y->node(), nullptr);
  CHECK(arena.gradient(x->node()) == 12.0);
}

TEST_CASE("a partial without a real value is an error that changes no adjoint") {
  Arena arena;
  Held x = leaf(arena, 0.0);
  Held root = power(*x, 0.5);
  Held y = apply(Op::Add, *root, *root);
  CHECK_THROWS_AS(reverse_sweep(arena, y->node(), nullptr), DivisionByZero);
  CHECK(arena.gradient(y->node()) == 0.0);
  CHECK(arena.gradient(root->node()) == 0.0);
}

TEST_CASE("a callback replaces the rule of its node and may record nodes") {
  Arena arena;
  Held x = leaf(arena, 2.0);
  Held y = apply(Op::Mul, *x, *x);
  Held z = apply(Op::Add, *y, *y);
  arena.set_callback(y->node(), true);
  reverse_sweep(arena, z->node(), [](Handle& handle) {
    called = &handle;
    return true;
  });
  CHECK(called == &y->handle);
  CHECK(arena.gradient(y->node()) == 2.0);
  CHECK(arena.gradient(x->node()) == 0.0);
  arena.set_callback(y->node(), false);
}

TEST_CASE("a callback that declines leaves its node its rule") {
  Arena arena;
  Held x = leaf(arena, 2.0), y = apply(Op::Mul, *x, *x);
  arena.set_callback(y->node(), true);
  reverse_sweep(arena, y->node(), [](Handle&) { return false; });
  CHECK(arena.gradient(x->node()) == 4.0);
  arena.set_callback(y->node(), false);
}

TEST_CASE("a power whose partial fails is found where a compaction has moved it") {
  Arena arena;
  Held junk = leaf(arena, 1.0), x = leaf(arena, 0.0), root = power(*x, 0.5);
  Held y = apply(Op::Add, *root, *root);
  junk.reset();
  CHECK(arena.compact() == 1);
  CHECK_THROWS_AS(reverse_sweep(arena, y->node(), nullptr), DivisionByZero);
  CHECK(arena.gradient(root->node()) == 0.0);
}

TEST_CASE("five million nodes in a chain are swept without recursion") {
  Arena arena;
  Held x = leaf(arena, 1.0);
  Held y = apply(Op::Add, *x, *x);
  for (int i = 0; i < 5'000'000; ++i) y = apply(Op::Add, *y, *x);
  reverse_sweep(arena, y->node(), nullptr);
  CHECK(arena.gradient(x->node()) == 5'000'002.0);
}

TEST_CASE("the partials of a node are those that its step multiplies with") {
  Arena arena;
  Held x = leaf(arena, 3.0), y = leaf(arena, 5.0);
  CHECK(partials_of(arena, apply(Op::Mul, *x, *y)->node()) == std::vector{5.0, 3.0});
  CHECK(partials_of(arena, apply(Op::Mul, *x, *x)->node()) == std::vector{3.0, 3.0});
  CHECK(partials_of(arena, power(*x, 3.0)->node()) == std::vector{27.0});
  CHECK(partials_of(arena, x->node()).empty());
  Held zero = leaf(arena, 0.0);
  Held pole = power(*zero, 0.5);
  CHECK_THROWS_AS(partials_of(arena, pole->node()), DivisionByZero);
}
