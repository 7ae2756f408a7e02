// Sums over the rows of a batch, and what is computed in groups.
#include <doctest/doctest.h>

#include "batch.h"

using namespace arenagrad::program;

TEST_CASE("sums over the rows are what a loop gives, for any number of threads") {
  Random random(4);
  for (int turn = 0; turn < 60; ++turn) {
    for (const bool strict : {false, true}) {
      CAPTURE(turn);
      Builder builder(kNoPasses);
      for (int k = 0; k < 6; ++k) builder.input();
      std::vector<Index> summed;
      const auto any = [&] { return static_cast<Index>(below(random, builder.size())); };
      for (int k = 0; k < 30; ++k) {
        constexpr Opcode kCodes[] = {Opcode::Mul,    Opcode::Add,  Opcode::Tanh, Opcode::Square,
                                     Opcode::Sin,    Opcode::DotN, Opcode::Cos,  Opcode::Sigmoid,
                                     Opcode::Select, Opcode::Mul};
        const Opcode opcode = kCodes[below(random, 10)];
        Index i = kNone;
        if (opcode == Opcode::DotN)
          i = builder.emit_many(opcode, {any(), any(), any(), any(), any()});
        else
          i = builder.emit(Opcode::Sin, builder.emit(opcode, any(), any(), any()));
        if (opcode == Opcode::Mul || opcode == Opcode::Square || opcode == Opcode::DotN)
          summed.push_back(
              builder.emit(opcode == Opcode::DotN ? Opcode::Sin : opcode, any(), any()));
        summed.push_back(opcode == Opcode::DotN ? i : any());
      }
      std::vector<Index> sums;
      for (const Index i : summed) sums.push_back(builder.emit(Opcode::RowSum, i));
      for (const Index i : sums) builder.output(i);
      const Index late = builder.emit(Opcode::Add, sums[0], sums[1]);
      builder.output(builder.emit_many(Opcode::SumN, {late, sums[2], 0}));
      if (turn % 2 == 0) builder.output(summed[0]);
      const Program program = builder.finish();

      Batch batch(random, 6, turn == 0 ? 0 : below(random, 1500));
      batch.varies[0] = 0; // what is made of sums may not vary
      batch.inputs[0] = Numbers(batch.rows, 0);
      batch.inputs[0].memory[0] = 0.25;
      const BatchPlan plan(program, batch.varies, strict);
      const double scale = turn % 3 == 0 ? 1.0 : 0.125;
      std::vector<Result> results;
      for (std::size_t threads = 1; threads <= 4; ++threads)
        results.push_back(batch.run(program, plan, threads, scale));
      std::vector<double> expected(summed.size(), 0.0), sizes(summed.size(), 0.0);
      for (std::size_t r = 0; r < batch.rows; ++r) {
        const std::vector<double> values = batch.row(program, r);
        for (std::size_t k = 0; k < summed.size(); ++k)
          expected[k] += values[summed[k]], sizes[k] += std::fabs(values[summed[k]]);
      }
      for (std::size_t k = 0; k < summed.size(); ++k)
        CHECK(near(results[0].outputs[k].memory[0], scale * expected[k], sizes[k]));
      const auto of = [&](std::size_t k) { return results[0].outputs[k].memory[0]; };
      CHECK(near(of(sums.size()), of(0) + of(1) + of(2) + 0.25));
      for (Result& result : results)
        for (std::size_t k = 0; k < result.outputs.size(); ++k)
          CHECK(result.outputs[k].memory == results[0].outputs[k].memory);
    }
  }
}

TEST_CASE("layers and the derivatives by their weights") {
  Random random(8);
  for (int turn = 0; turn < 120; ++turn) {
    CAPTURE(turn);
    const bool strict = turn % 3 == 0;
    const std::size_t inputs = 1 + below(random, 7), results = 1 + below(random, 11);
    Builder builder(kNoPasses);
    std::vector<Index> x, w, y, partials, sums, plain;
    for (std::size_t k = 0; k < inputs; ++k) x.push_back(builder.input());
    for (std::size_t k = 0; k < (inputs + 1) * results; ++k) w.push_back(builder.input());
    for (std::size_t r = 0; r < results; ++r) {
      std::vector<Index> operands, other;
      if (turn % 2 == 0) operands.push_back(w[r * (inputs + 1)]);
      for (std::size_t k = 0; k < inputs; ++k) operands.push_back(w[r * (inputs + 1) + 1 + k]);
      operands.insert(operands.end(), x.begin(), x.end());
      if (below(random, 4) == 0) std::swap(operands.end()[-1], operands[operands.size() / 2]);
      y.push_back(builder.emit_many(Opcode::DotN, operands));
      if (below(random, 3) == 0) builder.output(y.back());
    }
    for (const Index i : y) partials.push_back(builder.emit(Opcode::Sin, i));
    for (const Index i : partials)
      for (const Index k : x)
        if (below(random, 20) != 0) plain.push_back(builder.emit(Opcode::Mul, i, k));
    for (const Index i : plain) sums.push_back(builder.emit(Opcode::RowSum, i));
    const std::size_t first_sum = builder.program().outputs.size();
    for (const Index i : sums) builder.output(i);
    builder.output(partials[0]);
    const Program program = builder.finish();

    Batch batch(random, inputs, below(random, 600), 1.0);
    Batch weights(random, w.size(), batch.rows, 0.0);
    batch.varies.insert(batch.varies.end(), w.size(), 0);
    batch.inputs.insert(batch.inputs.end(), weights.inputs.begin(), weights.inputs.end());
    Result result = batch.run(program, BatchPlan(program, batch.varies, strict), 2);
    std::vector<double> expected(sums.size(), 0.0);
    bool equal = true;
    for (std::size_t r = 0; r < batch.rows; ++r) {
      const std::vector<double> values = batch.row(program, r);
      for (std::size_t k = 0; k < program.outputs.size(); ++k) {
        if (k >= first_sum && k < first_sum + sums.size()) continue;
        const double got = result.outputs[k][r], wanted = values[program.outputs[k]];
        equal = equal && (strict ? same(got, wanted) : near(got, wanted, 100.0));
      }
      for (std::size_t k = 0; k < sums.size(); ++k) expected[k] += values[plain[k]];
    }
    CHECK(equal);
    for (std::size_t k = 0; k < sums.size(); ++k)
      CHECK(near(result.outputs[first_sum + k].memory[0], expected[k],
                 static_cast<double>(batch.rows)));
  }
}
