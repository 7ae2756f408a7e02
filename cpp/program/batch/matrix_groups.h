// Groups of instructions that a block of rows does in one step: dot products of the same vectors
// with uniform weights, which are a dense layer, and sums over the rows of the products of each of
// some vectors with each of others, which are a matrix product.
//
// Pure and thread-safe. Cost: linear in the operands, times the logarithm of the number of groups.
#pragma once

#include "program/ir/analysis.h"
#include "program/ir/program.h"

namespace arenagrad::program {

struct DenseLayer {
  std::vector<Index> results; // DotN instructions whose terms have one factor each that varies
  std::vector<Index> x;       // those factors
};

// Of the instructions with a candidate flag, layers of at least two results. Those that are marked
// as exact, if there are marks, are never in a layer with others.
std::vector<DenseLayer> find_dense_layers(const Program& program,
                                          const std::vector<std::uint8_t>& varies,
                                          const std::vector<std::uint8_t>& candidates,
                                          const Marks& exact);

// sums[sum] is the sum over the rows of a * b.
struct InnerProduct {
  Index a, b;
  Index sum;
};

struct InnerProductGrid {
  std::vector<Index> rows, columns;
  std::vector<Index> sums; // of rows[r] * columns[c], row by row
};

// Each product is in exactly one grid.
std::vector<InnerProductGrid> find_grids(std::vector<InnerProduct> products);

} // namespace arenagrad::program
