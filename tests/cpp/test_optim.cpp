// The update rules, each against its formula written for one parameter.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/optimizers.h"
#include "holder.h"

using namespace arenagrad::core;

namespace {

constexpr std::size_t kCount = 1100; // more than two blocks
constexpr double kStart = 0.75;

double partial(std::size_t i, int step) { return std::sin(0.37 * static_cast<double>(i) + step); }

// Parameters in an arena: side by side, or every other node and backwards.
struct Parameters {
  Parameters(Arena& arena, bool scattered) {
    arena.reserve(2 * kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      nodes.push_back(arena.push_leaf(kStart));
      if (scattered) arena.push_leaf(-1.0);
    }
    if (scattered) std::reverse(nodes.begin(), nodes.end());
  }
  std::vector<NodeId> nodes;
  std::vector<double> a = std::vector<double>(kCount), b = a, c = a; // the arrays of state
};

// Three steps both ways: take(arena, parameters, k), and expected(i), the parameter after them.
template <class Take, class Expected> void compare(Take&& take, Expected&& expected) {
  for (const bool scattered : {false, true}) {
    Arena arena;
    Parameters p(arena, scattered);
    for (int k = 1; k <= 3; ++k) {
      double* gradients = arena.gradients(arena.size());
      for (std::size_t i = 0; i < kCount; ++i) gradients[p.nodes[i]] = partial(i, k);
      take(arena, p, k);
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      REQUIRE(arena.data(p.nodes[i]) == doctest::Approx(expected(i)).epsilon(1e-14));
      REQUIRE(arena.gradient(p.nodes[i]) == partial(i, 3));
      if (scattered) REQUIRE(arena.data(p.nodes[i] + 1) == -1.0);
    }
  }
}

} // namespace

TEST_CASE("a step of descent with momentum and decay is its formula") {
  for (const bool nesterov : {false, true}) {
    const double dampening = nesterov ? 0.0 : 0.25;
    compare(
        [&](Arena& arena, Parameters& p, int k) {
          step(arena, p.nodes, Sgd{0.1, 0.9, dampening, 0.01, nesterov, k == 1}, p.a.data());
        },
        [&](std::size_t i) {
          double x = kStart, v = 0.0;
          for (int k = 1; k <= 3; ++k) {
            const double g = partial(i, k) + 0.01 * x;
            v = k == 1 ? g : 0.9 * v + (1.0 - dampening) * g;
            x -= 0.1 * (nesterov ? g + 0.9 * v : v);
          }
          return x;
        });
  }
}

TEST_CASE("a step of descent without momentum leaves the velocity alone") {
  compare(
      [](Arena& arena, Parameters& p, int) {
        step(arena, p.nodes, Sgd{0.1, 0.0, 0.0, 0.0, false, true}, p.a.data());
        REQUIRE(std::count(p.a.begin(), p.a.end(), 0.0) == kCount);
      },
      [](std::size_t i) { return kStart - 0.1 * (partial(i, 1) + partial(i, 2) + partial(i, 3)); });
}

TEST_CASE("a step of Adam is its formula whichever way the decay goes") {
  for (const bool decoupled : {false, true})
    compare(
        [&](Arena& arena, Parameters& p, int k) {
          const double steps = k;
          step(arena, p.nodes, Adam{0.1, 0.4, 0.99, 1e-3, 0.05, decoupled, steps}, p.a.data(),
               p.b.data());
        },
        [&](std::size_t i) {
          double x = kStart, m = 0.0, v = 0.0, kept1 = 1.0, kept2 = 1.0;
          for (int k = 1; k <= 3; ++k) {
            const double g = partial(i, k) + (decoupled ? 0.0 : 0.05 * x);
            if (decoupled) x -= 0.1 * 0.05 * x;
            m = 0.4 * m + 0.6 * g;
            v = 0.99 * v + 0.01 * g * g;
            kept1 *= 0.4, kept2 *= 0.99;
            x -= 0.1 * (m / (1.0 - kept1)) / (std::sqrt(v / (1.0 - kept2)) + 1e-3);
          }
          return x;
        });
}

TEST_CASE("a step of RMSprop is its formula in all its four kinds") {
  for (const bool centered : {false, true})
    for (const double momentum : {0.0, 0.8})
      compare(
          [&](Arena& arena, Parameters& p, int) {
            step(arena, p.nodes, RmsProp{0.1, 0.7, 1e-3, 0.05, momentum, centered}, p.a.data(),
                 p.b.data(), p.c.data());
          },
          [&](std::size_t i) {
            double x = kStart, v = 0.0, m = 0.0, b = 0.0;
            for (int k = 1; k <= 3; ++k) {
              const double g = partial(i, k) + 0.05 * x;
              v = 0.7 * v + 0.3 * g * g;
              m = 0.7 * m + 0.3 * g;
              b = momentum * b + g / (std::sqrt(centered ? v - m * m : v) + 1e-3);
              x -= 0.1 * b;
            }
            return x;
          });
}

TEST_CASE("zeroing gradients spares those of other nodes and takes none at all") {
  for (const bool scattered : {false, true}) {
    Arena arena;
    Parameters p(arena, scattered);
    const NodeId other = arena.push_leaf(1.0);
    double* gradients = arena.gradients(arena.size());
    std::fill_n(gradients, arena.size(), 3.0);
    zero_gradients(arena, {});
    REQUIRE(gradients[p.nodes[0]] == 3.0);
    zero_gradients(arena, p.nodes);
    for (const NodeId node : p.nodes) REQUIRE(arena.gradient(node) == 0.0);
    CHECK(arena.gradient(other) == 3.0);
    if (scattered) CHECK(arena.gradient(p.nodes.back() + 1) == 3.0);
  }
}

TEST_CASE("a gradient that is no number reaches its own parameter only") {
  Arena arena;
  Parameters p(arena, false);
  arena.gradients(arena.size())[p.nodes[7]] = std::numeric_limits<double>::quiet_NaN();
  step(arena, p.nodes, Adam{0.1, 0.9, 0.999, 1e-8, 0.0, false, 1.0}, p.a.data(), p.b.data());
  for (std::size_t i = 0; i < kCount; ++i) CHECK(std::isnan(arena.data(p.nodes[i])) == (i == 7));
}
