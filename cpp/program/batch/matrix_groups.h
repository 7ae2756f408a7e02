// What a block of rows can do in one: dot products of the same numbers, and sums over the rows of
// the products of each of some numbers with each of others. Pure; cost linear in the operands,
// times the logarithm of the number of groups.
#pragma once

#include "program/ir/program.h"

namespace arenagrad::program {

struct Layer {
  std::vector<Index> results; // DotN instructions, each of one number that varies a term
  std::vector<Index> x;       // those numbers
};

// Of the instructions with a candidate flag, layers of at least two results.
std::vector<Layer> layers_of(const Program& program, const std::vector<std::uint8_t>& varies,
                             const std::vector<std::uint8_t>& candidates);

struct Product {
  Index a, b;
  std::uint32_t sum;
};
struct Grid {
  std::vector<Index> rows, columns;
  std::vector<std::uint32_t> sums; // of rows[r] * columns[c], row by row
};

// Each product is in one grid.
std::vector<Grid> grids_of(std::vector<Product> products);

} // namespace arenagrad::program
