#include "matrix_groups.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace arenagrad::program {

std::vector<DenseLayer> find_dense_layers(const Program& program,
                                          const std::vector<std::uint8_t>& varies,
                                          const std::vector<std::uint8_t>& candidates,
                                          const Marks& exact) {
  std::vector<DenseLayer> layers;
  // Layers are told apart by their operands in order: the kernel loads each operand once for all
  // results.
  std::map<std::vector<Index>, std::size_t> known[2]; // by whether they are exact
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
    const auto [found, is_new] = known[is_marked(exact, i)].emplace(x, layers.size());
    if (is_new) layers.push_back({{}, x});
    layers[found->second].results.push_back(i);
  }
  std::erase_if(layers, [](const DenseLayer& layer) { return layer.results.size() < 2; });
  return layers;
}

std::vector<InnerProductGrid> find_grids(std::vector<InnerProduct> products) {
  // The later factor is the row, so that in the gradient of a dense layer the adjoints of its
  // results are rows and its operands, which all results share, are columns.
  for (InnerProduct& product : products)
    if (product.a < product.b) std::swap(product.a, product.b);
  std::stable_sort(products.begin(), products.end(),
                   [](const InnerProduct& one, const InnerProduct& other) {
                     return std::tie(one.a, one.b) < std::tie(other.a, other.b);
                   });
  // Rows with the same columns are one grid.
  std::vector<InnerProductGrid> grids;
  std::map<std::vector<Index>, std::size_t> known;
  std::vector<Index> columns;
  for (std::size_t first = 0, last = 0; first < products.size(); first = last) {
    columns.clear();
    for (; last < products.size() && products[last].a == products[first].a; ++last)
      columns.push_back(products[last].b);
    const auto [found, is_new] = known.emplace(columns, grids.size());
    if (is_new) grids.push_back({{}, columns, {}});
    InnerProductGrid& grid = grids[found->second];
    grid.rows.push_back(products[first].a);
    for (std::size_t k = first; k < last; ++k) grid.sums.push_back(products[k].sum);
  }
  return grids;
}

} // namespace arenagrad::program
