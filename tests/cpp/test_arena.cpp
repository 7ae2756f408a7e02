// What the arena keeps, what it drops, and when.
#include <doctest/doctest.h>

#include <vector>

#include "core/dense_layer.h"
#include "core/sweep.h"
#include "holder.h"

using namespace arenagrad::core;

TEST_CASE("dropping the highest handle drops everything above the next one") {
  Arena arena;
  Held x = leaf(arena, 2.0);
  {
    Held y = apply(Op::Mul, *x, *x);
    for (int i = 0; i < 1000; ++i) y = apply(Op::Add, *y, *x);
    CHECK(arena.size() == 1002);
  }
  CHECK(arena.size() == 1);
  CHECK(arena.handle_count() == 1);
}

TEST_CASE("compacting keeps order, primals, adjoints and handles, and drops the unreachable") {
  Arena arena;
  Held x = leaf(arena, 2.0), junk = leaf(arena, 9.0), y = leaf(arena, 3.0);
  Held product = apply(Op::Mul, *x, *y);
  Held junk_user = apply(Op::Add, *junk, *junk);
  Held top = apply(Op::Add, *product, *x);
  reverse_sweep(arena, top->node(), nullptr);
  junk.reset(), junk_user.reset(), product.reset();
  CHECK(arena.size() == 6);
  CHECK(arena.compact() == 2);
  CHECK(arena.size() == 4);
  CHECK(top->node() == 3);
  CHECK(arena.data(top->node()) == 8.0);
  CHECK(arena.gradient(x->node()) == 4.0);
  CHECK(arena.gradient(y->node()) == 2.0);
  CHECK(arena.operands(top->node()).a == 2);
  CHECK(arena.operands(top->node()).b == x->node());
  CHECK(arena.handle_of(y->node()) == &y->handle);
}

TEST_CASE("compacting moves the operands and partials of n-ary nodes") {
  Arena arena;
  Held junk = leaf(arena, 0.0), a = leaf(arena, 1.0), b = leaf(arena, 2.0);
  const double partials[] = {10.0, 20.0};
  arena.reserve(1, 2);
  const NodeId junk_operands[] = {junk->use(), b->use()};
  Held dead = hold(arena, arena.push_many(Op::FixedPartials, 0.0, junk_operands, partials, 2));
  arena.reserve(1, 2);
  const NodeId operands[] = {a->use(), b->use()};
  Held n = hold(arena, arena.push_many(Op::FixedPartials, 5.0, operands, partials, 2));
  junk.reset(), dead.reset();
  arena.compact();
  CHECK(arena.edge_size() == 2);
  reverse_sweep(arena, n->node(), nullptr);
  CHECK(arena.gradient(a->node()) == 10.0);
  CHECK(arena.gradient(b->node()) == 20.0);
  n.reset();
  CHECK(arena.edge_size() == 0);
}

TEST_CASE("memory stays flat when each graph is built before the last one is dropped") {
  Arena arena;
  Held w = leaf(arena, 0.5);
  Held loss;
  std::size_t most = 0;
  for (int step = 0; step < 3000; ++step) {
    Held next = apply(Op::Mul, *w, *w);
    for (int i = 0; i < 200; ++i) next = apply(Op::Add, *next, *w);
    loss = std::move(next);
    most = std::max(most, arena.size());
  }
  CHECK(arena.compactions() > 0);
  CHECK(most < 600'000);
  CHECK(arena.data(loss->node()) == 0.25 + 200 * 0.5);
}

TEST_CASE("memory stays flat when trims fall between graphs that die below living ones") {
  Arena arena;
  Held w = leaf(arena, 0.5);
  Held loss;
  std::size_t most = 0;
  const auto chain = [&](int length) {
    Held end = apply(Op::Mul, *w, *w);
    for (int i = 0; i < length; ++i) end = apply(Op::Add, *end, *w);
    return end;
  };
  for (int round = 0; round < 200; ++round) {
    chain(50'000).reset(); // the highest: trimmed at once
    loss = chain(30'000);  // the one before dies below this one
    most = std::max(most, arena.size());
  }
  CHECK(arena.compactions() > 0);
  CHECK(most < 600'000);
}

TEST_CASE("a fresh node starts with a zero adjoint, whatever lived at its index before") {
  Arena arena;
  Held x = leaf(arena, 2.0);
  Held y = apply(Op::Mul, *x, *x);
  reverse_sweep(arena, y->node(), nullptr);
  y.reset();
  y = apply(Op::Mul, *x, *x);
  CHECK(arena.gradient(y->node()) == 0.0);
}

TEST_CASE("a node that slides onto a swept one's place keeps its own adjoint") {
  Arena arena;
  Held x = leaf(arena, 2.0), swept = apply(Op::Mul, *x, *x), y = apply(Op::Add, *x, *x);
  reverse_sweep(arena, swept->node(), nullptr);
  swept.reset();
  arena.compact();
  CHECK(arena.gradient(x->node()) == 4.0);
  CHECK(arena.gradient(y->node()) == 0.0);
}

TEST_CASE("a layer is micrograd's expression node for node") {
  Arena arena;
  Held w0 = leaf(arena, 2.0), w1 = leaf(arena, -3.0), b = leaf(arena, 0.5), x = leaf(arena, 4.0);
  const NodeId weights[] = {w0->node(), w1->node()};
  const std::vector<NeuronView> neurons{{weights, 2, b->node(), true}};
  const std::vector<Input> inputs{{kNoNode, 1.5}, {x->node(), 0.0}, {kNoNode, 7.0}};
  arena.reserve(dense_size(neurons.size(), 2));
  Held out = hold(arena, dense(arena, neurons, inputs).front());
  std::vector<Op> ops;
  for (NodeId i = 4; i < arena.size(); ++i) ops.push_back(arena.op(i));
  CHECK(ops == std::vector{Op::Leaf, Op::Mul, Op::Add, Op::Mul, Op::Add, Op::Relu});
  CHECK(arena.data(out->node()) == 0.0);
  CHECK(arena.data(out->node() - 1) == 0.5 + 2.0 * 1.5 - 3.0 * 4.0);
}

TEST_CASE("a node costs at most 40 bytes") { CHECK(Arena::kBytesPerNode <= 40); }
