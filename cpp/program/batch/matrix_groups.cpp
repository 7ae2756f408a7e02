#include "matrix_groups.h"

#include <algorithm>
#include <map>

namespace arenagrad::program {

std::vector<Layer> layers_of(const Program& program, const std::vector<std::uint8_t>& varies,
                             const std::vector<std::uint8_t>& candidates) {
  std::vector<Layer> layers;
  std::map<std::vector<Index>, std::size_t> known;
  std::vector<Index> x;
  for (Index i = 0; i < program.size(); ++i) {
    const Instruction& at = program.instructions[i];
    if (candidates[i] == 0 || at.opcode != Opcode::DotN) continue;
    const DotView dot = program.dot(at);
    bool fits = !dot.has_start() || varies[*dot.start] == 0;
    x.clear();
    for (std::size_t k = 0; k < dot.terms && fits; ++k) {
      fits = varies[dot.w[k]] != varies[dot.x[k]];
      x.push_back(varies[dot.w[k]] != 0 ? dot.w[k] : dot.x[k]);
    }
    if (!fits) continue;
    const auto [found, is_new] = known.emplace(x, layers.size());
    if (is_new) layers.push_back({{}, x});
    layers[found->second].results.push_back(i);
  }
  std::erase_if(layers, [](const Layer& layer) { return layer.results.size() < 2; });
  return layers;
}

std::vector<Grid> grids_of(std::vector<Product> products) {
  // What was known later is a row, so that the derivatives by the results of a layer are rows and
  // what it was made of are columns.
  for (Product& product : products)
    if (product.a < product.b) std::swap(product.a, product.b);
  std::stable_sort(products.begin(), products.end(), [](const Product& one, const Product& other) {
    return one.a != other.a ? one.a < other.a : one.b < other.b;
  });
  std::vector<Grid> grids;
  std::map<std::vector<Index>, std::size_t> known;
  std::vector<Index> columns;
  for (std::size_t first = 0, last = 0; first < products.size(); first = last) {
    columns.clear();
    for (; last < products.size() && products[last].a == products[first].a; ++last)
      columns.push_back(products[last].b);
    const auto [found, is_new] = known.emplace(columns, grids.size());
    if (is_new) grids.push_back({{}, columns, {}});
    Grid& grid = grids[found->second];
    grid.rows.push_back(products[first].a);
    for (std::size_t k = first; k < last; ++k) grid.sums.push_back(products[k].sum);
  }
  return grids;
}

} // namespace arenagrad::program
