// The reverse sweep as one would first write it: a descending loop over the nodes of a graph, with
// no marks, so every node below the root is visited whether the root needs it or not. It is the
// yardstick for backward(). ADD and MULTIPLY are defined on the command line, as the graph has
// them; nodes of any other kind count as leaves. The high bit of an op says that a Value holds the
// node, which is nothing to this loop.
#include <cstddef>
#include <cstdint>

struct Pair {
  std::uint32_t a, b;
};

// Adds to `adjoint` of each node below `root` the derivative of the root.
extern "C" void plain_sweep(const double* data, const Pair* operands, const std::uint8_t* op,
                            double* adjoint, std::size_t root) {
  adjoint[root] = 1.0;
  for (std::size_t i = root + 1; i-- > 0;) {
    const double g = adjoint[i];
    switch (op[i] & 0x7f) {
    case ADD: {
      const Pair o = operands[i];
      adjoint[o.a] += g;
      adjoint[o.b] += g;
      break;
    }
    case MULTIPLY: {
      const Pair o = operands[i];
      const double slope_a = data[o.b], slope_b = data[o.a];
      adjoint[o.a] += slope_a * g;
      adjoint[o.b] += slope_b * g;
      break;
    }
    default:
      break;
    }
  }
}
