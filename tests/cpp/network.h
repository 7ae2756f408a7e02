// A network of tanh layers with its gradient, as a program written by hand.
#pragma once

#include <random>

#include "program/passes/symbolic.h"

struct Network {
  // Each neuron's weights and then its bias are inputs, layer by layer, and before them the sample
  // and its target. Outputs: the loss, and its partial by each weight and bias.
  Network(arenagrad::program::Builder& builder, const std::vector<std::size_t>& sizes,
          std::size_t samples = 1, bool backwards = false) {
    using namespace arenagrad::program;
    const Symbolic::Writing writing(builder);
    std::vector<Symbolic> x, targets;
    for (std::size_t k = 0; k < samples * sizes[0]; ++k) x.push_back(Symbolic::of(builder.input()));
    for (std::size_t k = 0; k < samples; ++k) targets.push_back(Symbolic::of(builder.input()));
    std::vector<std::vector<Index>> parameters; // of each layer, neuron by neuron
    for (std::size_t l = 1; l < sizes.size(); ++l) {
      parameters.emplace_back();
      for (std::size_t k = 0; k < sizes[l] * (sizes[l - 1] + 1); ++k)
        parameters.back().push_back(builder.input());
    }
    const std::size_t layers = parameters.size();
    std::vector<Symbolic> losses;
    std::vector<std::vector<std::vector<Index>>> terms(layers); // of each parameter's partial
    for (std::size_t l = 0; l < layers; ++l) terms[l].resize(parameters[l].size());
    for (std::size_t s = 0; s < samples; ++s) {
      std::vector<std::vector<Index>> values(1), sums(1);
      for (std::size_t k = 0; k < sizes[0]; ++k) values[0].push_back(x[s * sizes[0] + k].index());
      for (std::size_t l = 0; l < layers; ++l) {
        values.emplace_back(), sums.emplace_back();
        const std::size_t n = sizes[l];
        for (std::size_t j = 0; j < sizes[l + 1]; ++j) {
          const auto w = parameters[l].begin() + static_cast<std::ptrdiff_t>(j * (n + 1));
          std::vector<Index> list{w[static_cast<std::ptrdiff_t>(n)]};
          list.insert(list.end(), w, w + static_cast<std::ptrdiff_t>(n));
          list.insert(list.end(), values[l].begin(), values[l].end());
          sums.back().push_back(builder.emit_many(Opcode::DotN, list));
        }
        for (const Index sum : sums.back())
          values.back().push_back(builder.emit(Opcode::Tanh, sum));
      }
      const Symbolic off = Symbolic::of(values.back()[0]) - targets[s];
      losses.push_back(off * off);
      std::vector<Index> upstream{(2.0 * off).index()};
      for (std::size_t l = layers; l-- > 0;) {
        const std::size_t n = sizes[l], m = sizes[l + 1];
        std::vector<Index> g(m), below(n);
        const auto each = [&](std::size_t count, auto&& visit) {
          for (std::size_t k = 0; k < count; ++k) visit(backwards ? count - 1 - k : k);
        };
        std::vector<Index> partial(m);
        each(m, [&](std::size_t j) {
          partial[j] = builder.emit(Opcode::TanhPartial, sums[l + 1][j], values[l + 1][j]);
        });
        each(m, [&](std::size_t j) { g[j] = builder.emit(Opcode::Mul, partial[j], upstream[j]); });
        each(m, [&](std::size_t j) {
          terms[l][j * (n + 1) + n].push_back(g[j]);
          each(n, [&](std::size_t i) {
            terms[l][j * (n + 1) + i].push_back(
                samples > 1 ? values[l][i] : builder.emit(Opcode::Mul, values[l][i], g[j]));
            if (samples > 1) terms[l][j * (n + 1) + i].push_back(g[j]);
          });
        });
        if (l == 0) break;
        each(n, [&](std::size_t i) {
          std::vector<Index> list(g);
          for (std::size_t j = 0; j < m; ++j) list.push_back(parameters[l][j * (n + 1) + i]);
          below[i] = builder.emit_many(Opcode::DotN, list);
        });
        upstream = below;
      }
    }
    std::vector<Index> all;
    for (const Symbolic loss : losses) all.push_back(loss.index());
    builder.output(samples > 1 ? builder.emit_many(Opcode::SumN, all) : all[0]);
    for (std::size_t l = 0; l < layers; ++l)
      for (std::size_t k = 0; k < terms[l].size(); ++k) {
        const auto& of = terms[l][k];
        if (samples == 1) {
          builder.output(of[0]);
        } else if (k % (sizes[l] + 1) == sizes[l]) {
          builder.output(builder.emit_many(Opcode::SumN, of));
        } else {
          std::vector<Index> list;
          for (std::size_t from : {0, 1})
            for (std::size_t t = from; t < of.size(); t += 2) list.push_back(of[t]);
          builder.output(builder.emit_many(Opcode::DotN, list));
        }
      }
  }
};

inline std::vector<double> random_numbers(std::size_t n, double low, double high, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> draw(low, high);
  std::vector<double> out(n);
  for (double& x : out) x = draw(engine);
  return out;
}
