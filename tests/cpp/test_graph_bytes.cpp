// Graphs as bytes: what comes back is what went, and what is wrong is refused before anything
// changes, whoever made it.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "core/graph_format.h"
#include "core/sweep.h"
#include "holder.h"

using namespace arenagrad::core;

namespace {

const Earlier kNothingEarlier = [](NodeNumber) -> NodeId { throw FormatError("no earlier part"); };

// The checksum once more, written bit by bit.
std::uint32_t checksum(const std::string& bytes, std::size_t count) {
  std::uint32_t c = 0xFFFFFFFFu;
  for (std::size_t i = 0; i < count; ++i) {
    c ^= static_cast<unsigned char>(bytes[i]);
    for (int k = 0; k < 8; ++k) c = c >> 1 ^ (c & 1 ? 0xEDB88320u : 0);
  }
  return ~c;
}

void mend_checksum(std::string& bytes) {
  if (bytes.size() < 4) return;
  const std::uint32_t c = checksum(bytes, bytes.size() - 4);
  for (std::size_t i = 0; i < 4; ++i) bytes[bytes.size() - 4 + i] = static_cast<char>(c >> 8 * i);
}

// A graph with every kind of node below its root.
Held every_kind(Arena& arena) {
  arena.reserve(64, 64);
  const NodeId x = arena.push_leaf(0.5), y = arena.push_leaf(-2.0);
  const NodeId literal = arena.push_leaf(3.0, Op::LiteralInt);
  const NodeId xy[] = {x, y}, three[] = {x, y, x};
  const double partials[] = {0.25, -4.0};
  const NodeId power = arena.record(Op::Pow, x, literal);
  const NodeId tanh = arena.record(Op::Tanh, power, kNoNode);
  const NodeId fixed = arena.push_many(Op::FixedPartials, 7.0, xy, partials, 2);
  const NodeId opaque = arena.push_many(Op::Opaque, 8.0, xy, nullptr, 2);
  const NodeId where = arena.push_many(Op::Where, -2.0, three, nullptr, 3);
  const NodeId group = arena.push_many(Op::SoftmaxGroup, 0.0, xy, nullptr, 2);
  const NodeId first = arena.push(Op::Softmax, 0.9, {group, 0});
  const NodeId second = arena.push(Op::Softmax, 0.1, {group, 1});
  const NodeId all[] = {tanh, fixed, opaque, where, first, second};
  arena.reserve_scratch(16);
  return hold(arena, arena.push_many(Op::Sum, 15.0, all, nullptr, 6));
}

std::string written(Arena& arena, NodeId root) {
  Numbering numbers;
  const std::vector<NodeId> nodes = numbers.add_below(arena, root);
  return write_part(arena, numbers, nodes);
}

// Records the part; its last node, held.
Held read(Arena& arena, const std::string& bytes) {
  const SavedPart part(bytes, 0, arena, kNothingEarlier);
  arena.reserve_scratch(part.scratch());
  arena.reserve(part.size(), part.edges());
  const NodeId first = part.record(arena, kNothingEarlier);
  return hold(arena, static_cast<NodeId>(first + part.size() - 1));
}

} // namespace

TEST_CASE("a graph that is read has the same nodes and gradients as the one written") {
  Arena arena;
  Held root = every_kind(arena);
  reverse_sweep(arena, root->node(), nullptr);
  const std::string bytes = written(arena, root->node());
  Held again = read(arena, bytes);
  const std::vector<NodeId> old = reachable(arena, root->node(), true);
  const std::vector<NodeId> young = reachable(arena, again->node(), true);
  REQUIRE(young.size() == old.size());
  for (std::size_t i = 0; i < old.size(); ++i) {
    CHECK(arena.op(young[i]) == arena.op(old[i]));
    CHECK(arena.data(young[i]) == arena.data(old[i]));
    CHECK(arena.gradient(young[i]) == arena.gradient(old[i]));
  }
  CHECK(written(arena, again->node()) == bytes);
  reverse_sweep(arena, again->node(), nullptr);
  reverse_sweep(arena, root->node(), nullptr);
  for (std::size_t i = 0; i < old.size(); ++i)
    CHECK(arena.gradient(young[i]) == arena.gradient(old[i]));
}

TEST_CASE("a second part continues the first and shares its nodes") {
  Arena arena;
  Held x = leaf(arena, 3.0), y = apply(Op::Mul, *x, *x), z = apply(Op::Add, *y, *x);
  Numbering numbers;
  std::vector<NodeId> nodes = numbers.add_below(arena, y->node());
  const std::string one = write_part(arena, numbers, nodes);
  nodes = numbers.add_below(arena, z->node());
  CHECK(nodes.size() == 1);
  const std::string two = write_part(arena, numbers, nodes);

  Held first = read(arena, one);
  const Earlier earlier = [&](NodeNumber number) {
    return static_cast<NodeId>(first->node() - 1 + number);
  };
  const SavedPart part(two, 2, arena, earlier);
  arena.reserve(1);
  Held second = hold(arena, part.record(arena, earlier));
  CHECK(arena.operands(second->node()).a == first->node());
  CHECK(arena.operands(second->node()).b == first->node() - 1);
  CHECK_THROWS_AS(SavedPart(two, 0, arena, earlier), FormatError);
}

TEST_CASE("numbers follow their nodes when the arena is compacted") {
  Arena arena;
  Held garbage = leaf(arena, 0.0), young = leaf(arena, 1.0), old = leaf(arena, 2.0);
  Held sum = apply(Op::Add, *young, *old), other = leaf(arena, 5.0);
  Numbering numbers;
  numbers.add_below(arena, other->node());
  numbers.add_below(arena, sum->node());
  garbage.reset();
  REQUIRE(arena.compact() == 1);
  numbers.follow(arena, {other->node(), sum->node()});
  CHECK(numbers.of(other->node()) == 0);
  CHECK(numbers.of(young->node()) == 1);
  CHECK(numbers.of(old->node()) == 2);
  CHECK(numbers.of(sum->node()) == 3);
  CHECK(numbers.add_below(arena, sum->node()).empty());
}

TEST_CASE("bytes cut short at any length are refused") {
  Arena arena;
  Held root = every_kind(arena);
  const std::string bytes = written(arena, root->node());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    std::string cut = bytes.substr(0, length);
    CHECK_THROWS_AS(SavedPart(cut, 0, arena, kNothingEarlier), FormatError);
    mend_checksum(cut);
    CHECK_THROWS_AS(SavedPart(cut, 0, arena, kNothingEarlier), FormatError);
  }
}

TEST_CASE("bytes with any bit flipped are refused by the checksum") {
  Arena arena;
  Held root = every_kind(arena);
  std::string bytes = written(arena, root->node());
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    CHECK_THROWS_AS(SavedPart(bytes, 0, arena, kNothingEarlier), FormatError);
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
}

TEST_CASE("hostile bytes with a right checksum are refused or give a sound graph") {
  Arena arena;
  Held root = every_kind(arena);
  const std::string bytes = written(arena, root->node());
  std::mt19937 random(1);
  int accepted = 0;
  for (int turn = 0; turn < 60'000; ++turn) {
    std::string bad = bytes;
    if (turn % 10 == 0) bad.resize(random() % bytes.size());
    for (std::size_t k = 0; k <= random() % 3 && !bad.empty(); ++k)
      bad[random() % bad.size()] = static_cast<char>(turn % 2 ? random() % 16 : random());
    mend_checksum(bad);
    const std::size_t size = arena.size(), edges = arena.edge_size();
    try {
      Held again = read(arena, bad);
      ++accepted;
      try {
        reverse_sweep(arena, again->node(), nullptr);
      } catch (const DomainError&) { // a power that has no partial
      } catch (const DivisionByZero&) {
      } catch (const RangeError&) {
      }
      arena.compact();
      CHECK(reachable(arena, again->node(), true).size() >= 1);
    } catch (const FormatError&) {
    }
    REQUIRE(arena.size() == size);
    REQUIRE(arena.edge_size() == edges);
  }
  CHECK(accepted > 100); // changed numbers are still numbers
}

TEST_CASE("a claim of more nodes than there are bytes asks for no memory") {
  Arena arena;
  Held root = leaf(arena, 1.0);
  std::string bytes = written(arena, root->node());
  for (const std::size_t at : {12, 16}) { // nodes, edges
    std::string bad = bytes;
    for (std::size_t i = 0; i < 4; ++i) bad[at + i] = '\xf0';
    mend_checksum(bad);
    CHECK_THROWS_AS(SavedPart(bad, 0, arena, kNothingEarlier), FormatError);
  }
}

TEST_CASE("another version of the format is named in the error") {
  Arena arena;
  Held root = leaf(arena, 1.0);
  std::string bytes = written(arena, root->node());
  bytes[4] = 9;
  mend_checksum(bytes);
  CHECK_THROWS_WITH(SavedPart(bytes, 0, arena, kNothingEarlier),
                    "a saved graph has the format 9, and this version reads 1");
}
