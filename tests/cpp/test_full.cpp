// Built with 16-bit indices: what happens when there is no index left.
#include <doctest/doctest.h>

#include <vector>

#include "core/sweep.h"
#include "holder.h"

using namespace arenagrad::core;
static_assert(sizeof(NodeId) == 2);

TEST_CASE("running out of indices is an error that leaves the graph as it was") {
  Arena arena;
  CHECK(arena.capacity() == 65535);
  Held x = leaf(arena, 1.0);
  Held y = apply(Op::Add, *x, *x);
  CHECK_THROWS_AS(for (;;) y = apply(Op::Add, *y, *x), ArenaFull);
  CHECK(arena.size() == 65535);
  reverse_sweep(arena, y->node(), nullptr);
  CHECK(arena.gradient(x->node()) == 65535.0);
  y.reset();
  CHECK(arena.size() == 1);
  CHECK_NOTHROW(y = apply(Op::Add, *x, *x));
}

TEST_CASE("garbage is reclaimed before the arena says that it is full") {
  Arena arena;
  Held x = leaf(arena, 1.0);
  Held last;
  for (int i = 0; i < 300'000; ++i) {
    Held next = apply(Op::Mul, *x, *x);
    last = std::move(next);
  }
  CHECK(arena.size() <= 65535);
  CHECK(arena.data(last->node()) == 1.0);
}

TEST_CASE("running out of edges is the same clear error") {
  Arena arena;
  Held x = leaf(arena, 1.0);
  const std::vector<NodeId> operands(40'000, x->use());
  arena.reserve(1, operands.size());
  Held a = hold(arena, arena.push_many(Op::Opaque, 0.0, operands.data(), nullptr, operands.size()));
  CHECK_THROWS_AS(arena.reserve(1, operands.size()), ArenaFull);
  CHECK(arena.size() == 2);
}
