// Programs on many rows, held against interpret() row by row.
#include <doctest/doctest.h>

#include <stdexcept>

#include "batch.h"
#include "program/passes/without_partials.h"
#include "program_cases.h"

using namespace arenagrad::program;

namespace {

// Any instruction on any earlier values, mostly late ones.
Index random_instruction(Builder& builder, Random& random, Opcode opcode) {
  const auto any = [&] {
    const std::size_t size = builder.size();
    const std::size_t back = below(random, 3) == 0 ? size : std::min<std::size_t>(size, 12);
    return static_cast<Index>(size - 1 - below(random, back));
  };
  const bool checked = below(random, 8) == 0;
  if (opcode == Opcode::Polygamma) { // of an order that is small, else it takes very long
    const Index order = builder.constant(1.0 + static_cast<double>(below(random, 3)));
    return builder.emit(opcode, order, builder.emit(Opcode::Softplus, any()), kNone, checked);
  }
  const Index a = any(), b = any();
  switch (opcode) { // where an operand follows from the others
  case Opcode::TanhPartial:
    return builder.emit(opcode, a, builder.emit(Opcode::Tanh, a), kNone, checked);
  case Opcode::CbrtPartial:
    return builder.emit(opcode, a, builder.emit(Opcode::Cbrt, a), kNone, checked);
  case Opcode::HypotPartial:
    return builder.emit(opcode, a, builder.emit(Opcode::Hypot, a, b), kNone, checked);
  case Opcode::HypotPartialOf:
    return builder.emit(opcode, a, b, builder.emit(Opcode::Hypot, a, b), checked);
  case Opcode::PowerPartialOf:
  case Opcode::PowerPartialB:
    return builder.emit(opcode, a, b, builder.emit(Opcode::Power, a, b), checked);
  default:
    break;
  }
  if (!is_many(opcode)) return builder.emit(opcode, a, b, any(), checked);
  std::vector<Index> operands;
  for (std::size_t k = 1 + below(random, 7); k-- > 0;) operands.push_back(any());
  if (opcode == Opcode::Take) operands.push_back(any());
  return cases::emit_list(builder, opcode, operands, checked);
}

Program random_program(Random& random, std::size_t inputs, std::size_t size) {
  Builder builder(kNoPasses);
  for (std::size_t k = 0; k < inputs; ++k) builder.input();
  builder.constant(0.75), builder.constant(2.0);
  for (std::size_t k = 0; k < size; ++k) {
    const auto opcode = static_cast<Opcode>(kFirstTableOpcode +
                                            below(random, kFirstMatrixOpcode - kFirstTableOpcode));
    const Index i = random_instruction(builder, random, opcode);
    if (below(random, 6) == 0) builder.output(i);
    if (below(random, 12) == 0) builder.guard(i, below(random, 2) == 0);
  }
  builder.output(static_cast<Index>(below(random, builder.size())));
  builder.output(static_cast<Index>(below(random, inputs)));
  builder.output(builder.program().outputs[0]);
  return builder.finish();
}

// Which state the oracle finds each row in.
void check_rows(const Program& program, Batch& batch, Result& result) {
  const auto needed = [&] {
    std::vector<std::uint8_t> found(program.size(), 0);
    for (const Index i : program.outputs) found[i] = 1;
    for (const Guard& guard : program.guards) found[guard.condition] = 1;
    for (std::size_t i = program.size(); i-- > 0;) {
      if (program.instructions[i].checked) found[i] = 1;
      if (found[i])
        program.for_each_operand(program.instructions[i],
                                 [&](Index operand) { found[operand] = 1; });
    }
    return found;
  }();
  bool finite = true, guards = true, equal = true, states = true;
  for (std::size_t r = 0; r < batch.rows; ++r) {
    const std::vector<double> values = batch.row(program, r);
    for (std::size_t k = 0; k < program.outputs.size(); ++k)
      equal &=
          same(result.outputs[k].step == 0 ? result.outputs[k].memory[0] : result.outputs[k][r],
               values[program.outputs[k]]);
    RowState row = RowState::Good;
    for (std::size_t i = 0; i < program.size(); ++i)
      if (needed[i] && program.instructions[i].checked && !std::isfinite(values[i]))
        row = RowState::NotFinite, finite = false;
    for (const Guard& guard : program.guards)
      if ((values[guard.condition] != 0.0) != guard.outcome)
        row = RowState::OtherVariant, guards = false;
    states &= result.states[r] == row;
  }
  CHECK(equal);
  CHECK(states);
  if (batch.rows > 0) CHECK(result.rows.finite == finite);
  if (batch.rows > 0) CHECK(result.rows.guards == guards);
}

} // namespace

TEST_CASE("strict runs of random programs give what interpret gives in each row") {
  Random random(1);
  for (int turn = 0; turn < 300; ++turn) {
    CAPTURE(turn);
    const Program program = random_program(random, 5, 5 + below(random, 120));
    const std::size_t rows = turn % 3 == 0 ? below(random, 1001) : below(random, 80);
    Batch batch(random, 5, rows);
    const BatchPlan plan(program, batch.varies, true);
    Result result = batch.run(program, plan, 1 + turn % 3);
    check_rows(without_partials(program), batch, result);
  }
}

TEST_CASE("each code of a run that is not strict gives what evaluate gives") {
  Random random(2);
  for (std::size_t opcode = kFirstTableOpcode; opcode < kFirstMatrixOpcode; ++opcode)
    for (int turn = 0; turn < 12; ++turn) {
      CAPTURE(std::string(opcode_name(static_cast<Opcode>(opcode))));
      Builder builder(kNoPasses);
      for (int k = 0; k < 6; ++k) builder.input();
      builder.output(random_instruction(builder, random, static_cast<Opcode>(opcode)));
      const Program program = builder.finish();
      Batch batch(random, 6, below(random, 300));
      Result result = batch.run(program, BatchPlan(program, batch.varies, false));
      bool all = true;
      for (std::size_t r = 0; r < batch.rows && result.outputs[0].step != 0; ++r)
        all &= near(result.outputs[0][r], batch.row(program, r)[program.outputs[0]], 9.0);
      CHECK(all);
    }
}

TEST_CASE("where each instruction is an output, each follows from the others") {
  Random random(3);
  for (int turn = 0; turn < 100; ++turn) {
    Program program = random_program(random, 5, 40);
    program.outputs.clear();
    for (Index i = 0; i < program.size(); ++i) program.outputs.push_back(i);
    Batch batch(random, 5, below(random, 200));
    Result result = batch.run(program, BatchPlan(program, batch.varies, false));
    for (std::size_t r = 0; r < batch.rows; ++r) {
      const auto value = [&](Index i) {
        return i == kNone                    ? 0.0
               : result.outputs[i].step == 0 ? result.outputs[i].memory[0]
                                             : result.outputs[i][r];
      };
      for (Index i = 7; i < program.size(); ++i) {
        const Instruction& at = program.instructions[i];
        if (at.opcode == Opcode::Constant) continue;
        std::vector<double> x, scratch;
        double size = 0.0, y = 0.0;
        program.for_each_operand(at, [&](Index k) { x.push_back(value(k)); });
        for (const double one : x) size += at.opcode == Opcode::DotN ? one * one : std::fabs(one);
        scratch.resize(x.size());
        if (at.opcode == Opcode::Callback)
          y = run_call(program.callbacks, x.data());
        else if (is_many(at.opcode))
          y = many_value(at.opcode, x.size(), x.data(), scratch.data());
        else
          y = evaluate(at.opcode, value(at.a), value(at.b), value(at.c));
        if (std::isfinite(size) && !near(value(i), y, size)) {
          CAPTURE(std::string(opcode_name(at.opcode)));
          CAPTURE(value(at.a));
          CAPTURE(value(at.b));
          CHECK(value(i) == y);
        }
      }
    }
  }
}

TEST_CASE("a value that varies cannot depend on a sum over the rows") {
  Builder builder(kNoPasses);
  const Index x = builder.input();
  const Index sum = builder.emit(Opcode::RowSum, x);
  builder.output(builder.emit(Opcode::Mul, x, sum));
  const Program program = builder.finish();
  CHECK_THROWS_AS(BatchPlan(program, {1}, false), std::invalid_argument);
  CHECK_NOTHROW(BatchPlan(program, {0}, false));
  CHECK_THROWS_AS(BatchPlan(program, {}, false), std::invalid_argument);
}

TEST_CASE("a guard or a checked result that is the same for all rows counts for all rows") {
  Random random(5);
  for (const bool checked : {false, true}) {
    Builder builder(kNoPasses);
    const Index x = builder.input(), y = builder.input();
    const Index bad = checked ? builder.emit(Opcode::Log, y, kNone, kNone, true) : y;
    builder.output(builder.emit(Opcode::Mul, x, bad));
    if (!checked) builder.guard(bad, false);
    const Program program = builder.finish();
    Batch batch(random, 2, 100);
    batch.varies = {1, 0};
    batch.inputs = {Numbers(100, 1), Numbers(100, 0)};
    batch.inputs[1].memory[0] = -1.0;
    Result result = batch.run(program, BatchPlan(program, batch.varies, false));
    CHECK(result.states ==
          std::vector<RowState>(100, checked ? RowState::NotFinite : RowState::OtherVariant));
    CHECK(result.rows.finite != checked);
    CHECK(result.rows.guards == checked);
    result = batch.run(program, BatchPlan(program, batch.varies, false), 2, 1.0, false);
    CHECK(result.states == std::vector<RowState>(100, kUnknown));
    CHECK(result.rows.finite != checked);
  }
}

TEST_CASE("a long run tells how far it is, and what is thrown meanwhile stops all its threads") {
  Builder builder(Passes{});
  builder.output(builder.emit(Opcode::RowSum, builder.emit(Opcode::Sin, builder.input())));
  const BatchPlan plan(builder.finish(), {1}, false);
  double x = 1.0, sum = 0.0;
  constexpr std::size_t kRows = 1'000'000'000'000; // all of them the same number
  for (const std::size_t threads : {1, 2, 3}) {
    std::vector<std::size_t> told;
    const auto watch = [&](std::size_t done) {
      told.push_back(done);
      if (told.size() == 3) throw std::runtime_error("enough");
    };
    CHECK_THROWS_WITH(plan.run({{&x, 0}}, {{&sum, 0}}, kRows, nullptr, 1.0, threads, watch),
                      "enough");
    CHECK(told.size() == 3);
    CHECK(0 < told[0]);
    CHECK(told[0] < told[1]);
    CHECK(told[1] < told[2]);
    CHECK(told[2] < kRows);
  }
}

TEST_CASE("tanh and its partial, computed as one") {
  Random random(7);
  for (const bool strict : {false, true}) {
    Builder builder(kNoPasses);
    const Index x = builder.input();
    const Index y = builder.emit(Opcode::Tanh, x);
    const Index other = builder.emit(Opcode::Exp, y);
    const Index partial = builder.emit(Opcode::TanhPartial, x, y);
    builder.output(builder.emit(Opcode::Mul, other, partial));
    builder.output(partial);
    builder.output(builder.emit(Opcode::RowSum, partial));
    const Program program = builder.finish();
    Batch batch(random, 1, 333, 1.0);
    Result result = batch.run(program, BatchPlan(program, batch.varies, strict));
    double sum = 0.0;
    for (std::size_t r = 0; r < batch.rows; ++r) {
      const std::vector<double> values = batch.row(program, r);
      CHECK(near(result.outputs[0][r], values[program.outputs[0]]));
      CHECK(near(result.outputs[1][r], values[program.outputs[1]]));
      sum += values[partial];
    }
    CHECK(near(result.outputs[2].memory[0], sum));
  }
}

TEST_CASE("slots are used again") {
  Builder builder(kNoPasses);
  Index x = builder.input();
  for (int k = 0; k < 1000; ++k) x = builder.emit(Opcode::Add, builder.emit(Opcode::Sin, x), x);
  builder.output(x);
  const BatchPlan plan(builder.finish(), {1}, true);
  CHECK(plan.slots() <= 4);
  CHECK(plan.block() == 256);
  CHECK(plan.bytes() < 2000 * 24);
}

TEST_CASE("what may raise in a row is computed though nothing needs its number") {
  Builder builder(Passes{});
  const Index x = builder.input();
  builder.emit(Opcode::Log, x, kNone, kNone, true);
  builder.output(builder.emit(Opcode::Sin, x));
  const BatchPlan plan(builder.finish(), {1}, false);
  std::vector<double> at{1.0, -1.0, 2.0}, y(3);
  std::vector<RowState> states(3);
  const RowOutcome rows = plan.run({{at.data(), 1}}, {{y.data(), 1}}, 3, states.data(), 1.0, 1);
  CHECK(!rows.finite);
  CHECK(states == std::vector{RowState::Good, RowState::NotFinite, RowState::Good});
}
