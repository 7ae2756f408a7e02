// Decisions keep every bit: whatever passes, derivatives and plans do to a program, the values that
// its guards are computed from are those that interpret() gives for the program as it was written.
#include <doctest/doctest.h>

#include "batch.h"
#include "program/passes/builder.h"
#include "program/passes/clear_decisions.h"
#include "program/passes/derivative_rules.h"
#include "program/passes/differentiate.h"
#include "program/point/point_plan.h"
#include "program_cases.h"

using namespace arenagrad::program;

namespace {

constexpr std::size_t kNumbers = 6, kDecided = 5, kInputs = kNumbers + kDecided;

Index random_instruction(Builder& builder, Random& random, Opcode opcode,
                         const std::vector<Index>& values) {
  const auto any = [&] { return values[below(random, values.size())]; };
  if (!is_many(opcode)) {
    const Index a = any(), b = any();
    return builder.emit(opcode, a, b, any());
  }
  std::vector<Index> operands;
  for (std::size_t k = 2 + below(random, 14); k-- > 0;) operands.push_back(any());
  return cases::emit_list(builder, opcode, operands);
}

// Sums, products and powers with small exponents above all, since they are what passes rewrite. The
// first outputs are what is decided by: guard k wants output k to be at most the limit, which is
// input kNumbers + k.
Program deciding_program(Random& random, std::size_t size) {
  constexpr double kConstants[] = {0.0, -0.0, 1.0, -1.0, 2.0, 3.0, 0.5, 0.1};
  std::vector<Opcode> codes = cases::all_codes();
  std::erase_if(codes, cases::lacks_partials); // their derivatives have checks that rows may fail
  Builder builder(Passes::none());
  std::vector<Index> values;
  for (std::size_t k = 0; k < kInputs; ++k) values.push_back(builder.input());
  values.resize(kNumbers);
  for (const double number : kConstants) values.push_back(builder.constant(number));
  for (std::size_t k = 0; k < size; ++k) {
    constexpr Opcode kUsual[] = {Opcode::Add, Opcode::Mul, Opcode::Add, Opcode::Pow, Opcode::Pow};
    Opcode opcode = codes[below(random, codes.size() - 1)]; // no sum over the rows
    if (below(random, 3) != 0) opcode = kUsual[below(random, 5)];
    Index made = kNone;
    if (opcode == Opcode::Pow)
      made = builder.emit(opcode, values[below(random, values.size())],
                          values[kNumbers + below(random, std::size(kConstants))]);
    else
      made = random_instruction(builder, random, opcode, values);
    values.push_back(made);
  }
  for (std::size_t k = 0; k < kDecided; ++k) {
    const Index decided = values[values.size() - 1 - below(random, size / 2)];
    builder.output(decided);
    builder.guard(builder.emit(Opcode::LessEqual, decided, static_cast<Index>(kNumbers + k)), true);
  }
  for (std::size_t k = 0; k < 4; ++k) builder.output(values[below(random, values.size())]);
  return builder.finish();
}

// Decisions about distances: sums of squares of the numbers, and roots of them.
Program distances(Random& random) {
  Builder builder(Passes::none());
  for (std::size_t k = 0; k < kInputs; ++k) builder.input();
  const auto number = [&] { return static_cast<Index>(below(random, kNumbers)); };
  const Index two = builder.constant(2.0), half = builder.constant(0.5),
              one = builder.constant(1.0);
  for (std::size_t k = 0; k < kDecided; ++k) {
    std::vector<Index> squares;
    for (std::size_t term = 0; term < 2 + below(random, 3); ++term)
      squares.push_back(builder.emit(Opcode::Pow, number(), two));
    Index decided = builder.emit(Opcode::Add, squares[0], squares[1]);
    if (below(random, 2) == 0) decided = builder.emit_many(Opcode::SumN, squares);
    if (below(random, 4) == 0) decided = builder.emit(Opcode::Pow, number(), half);
    if (below(random, 3) == 0) decided = builder.emit(Opcode::Add, decided, one);
    if (below(random, 3) == 0) decided = builder.emit(Opcode::Pow, decided, half);
    if (below(random, 5) == 0) decided = builder.emit(Opcode::Mul, decided, number());
    builder.output(decided);
    builder.guard(builder.emit(Opcode::LessEqual, decided, static_cast<Index>(kNumbers + k)), true);
  }
  return builder.finish();
}

// Decisions about products of functions, sums of what is not negative, roots, quotients, and the
// signs of differences. Numbers times 40 or 1e30 leave every bound, in some rows.
Program functions(Random& random) {
  constexpr Opcode kFunctions[] = {Opcode::Exp,  Opcode::Exp2,  Opcode::Expm1, Opcode::Log,
                                   Opcode::Log2, Opcode::Log10, Opcode::Log1p, Opcode::Sin,
                                   Opcode::Cos,  Opcode::Tan,   Opcode::Sinh,  Opcode::Cosh,
                                   Opcode::Tanh, Opcode::Exp,   Opcode::Exp,   Opcode::Exp};
  constexpr double kConstants[] = {1.0, 0.0, -1.5, 40.0, 1e30};
  Builder builder(Passes::none());
  for (std::size_t k = 0; k < kInputs; ++k) builder.input();
  std::vector<Index> constants;
  for (const double number : kConstants) constants.push_back(builder.constant(number));
  const Index zero = constants[1], minus = builder.constant(-1.0), half = builder.constant(0.5),
              two = builder.constant(2.0);
  const auto number = [&] {
    const auto x = static_cast<Index>(below(random, kNumbers));
    return below(random, 2) == 0 ? x : builder.emit(Opcode::Mul, x, constants[below(random, 5)]);
  };
  const auto function = [&] { return builder.emit(kFunctions[below(random, 16)], number()); };
  for (std::size_t k = 0; k < kDecided; ++k) {
    Index decided = function();
    for (std::size_t step = below(random, 12); step-- > 0;) {
      const std::size_t which = below(random, 16);
      if (which < 8) decided = builder.emit(Opcode::Mul, decided, function());
      if (which == 8) decided = builder.emit(Opcode::Mul, number(), decided);
      if (which == 9)
        decided = builder.emit(Opcode::Add, decided, builder.emit(Opcode::Exp, number()));
      if (which == 10) decided = builder.emit(Opcode::Pow, decided, half);
      if (which == 11) decided = builder.emit(Opcode::Pow, decided, minus);
      if (which == 12) decided = builder.emit(Opcode::Pow, decided, two);
      if (which == 13) decided = builder.emit(Opcode::Exp, decided);
    }
    builder.output(decided);
    const auto limit = static_cast<Index>(kNumbers + k);
    if (below(random, 3) == 0) {
      const Index difference =
          builder.emit(Opcode::Add, decided, builder.emit(Opcode::Mul, limit, minus));
      builder.guard(builder.emit(Opcode::LessEqual, difference, zero), true);
    } else if (below(random, 4) == 0) {
      builder.guard(builder.emit(Opcode::Less, limit, decided), false);
    } else {
      builder.guard(builder.emit(Opcode::LessEqual, decided, limit), true);
    }
  }
  return builder.finish();
}

// What is made of a program whose first outputs are its own, with more inputs behind its own.
std::vector<Program> made_of(const Program& program) {
  const Wanted wanted{{0, 2, 3}, {}};
  const Program gradient = reverse(program, wanted, true, Passes{});
  std::vector<Program> made{optimise(program, Passes{}), gradient,
                            jacobian(program, wanted, Passes{}).program};
  for (const Program& moved : {program, gradient}) {
    try {
      made.push_back(tangent(moved, wanted, Passes{}));
    } catch (const NoDerivative&) { // callbacks have none
    }
  }
  return made;
}

// A number between -2 and 2; every second one is among the few whose square or root the library
// rounds otherwise than a product or a square root.
double number_for_powers(Random& random) {
  std::uniform_real_distribution<double> numbers(-2.0, 2.0);
  static std::vector<double> odd;
  const volatile double two = 2.0, half = 0.5;
  for (int turn = 0; odd.size() < 60 && turn < 1'000'000; ++turn) {
    const double x = numbers(random), size = std::fabs(x);
    if (odd.size() < 30 && std::pow(x, two) != x * x) odd.push_back(x);
    if (odd.size() >= 30 && std::pow(size, half) != std::sqrt(size)) odd.push_back(size);
  }
  return odd.empty() || below(random, 2) == 0 ? numbers(random) : odd[below(random, odd.size())];
}

// A limit is what is decided by, or a few of its last units away, or clearly apart.
double limit_near(double decided, Random& random) {
  constexpr double kFactors[] = {1.0 - 1e-9, 1.0 + 1e-9, 1.0 + 1e-14, 2.0};
  const std::size_t which = below(random, 8);
  if (which < 4) return decided * kFactors[which];
  const double to = which < 7 ? HUGE_VAL : -HUGE_VAL;
  return which == 4 ? decided : std::nextafter(decided, to);
}

void choose_limits(const Program& program, std::vector<double>& inputs, Random& random) {
  const std::vector<double> decided = cases::run(program, inputs);
  for (std::size_t k = 0; k < kDecided; ++k) inputs[kNumbers + k] = limit_near(decided[k], random);
}

// The first guard that does not hold, by the program as it was written.
Index expected_guard(const Program& program, const std::vector<double>& inputs) {
  std::vector<double> values(program.size());
  interpret(program, inputs.data(), values.data());
  for (Index k = 0; k < program.guards.size(); ++k)
    if ((values[program.guards[k].condition] != 0.0) != program.guards[k].outcome) return k;
  return kNone;
}

void check_at_points(const Program& program, Random& random) {
  std::size_t which = 0;
  for (const Program& made : made_of(program)) {
    CAPTURE(which++);
    const PointPlan plan(made, false);
    std::vector<double> workspace(plan.workspace(), std::nan("")), out(made.outputs.size());
    for (int point = 0; point < 8; ++point) {
      std::vector<double> inputs(made.input_count, 0.75);
      for (std::size_t k = 0; k < kNumbers; ++k) inputs[k] = number_for_powers(random);
      choose_limits(program, inputs, random);
      const Outcome outcome = plan.run(inputs.data(), out.data(), workspace.data());
      CHECK(outcome.guard == expected_guard(program, inputs));
    }
    std::vector<double> inputs(made.input_count, 0.75);
    const std::vector<double> is = cases::run(made, inputs), should = cases::run(program, inputs);
    for (std::size_t k = 0; k < kDecided; ++k) CHECK(same(is[k], should[k]));
  }
}

void check_in_rows(const Program& program, Random& random, std::size_t threads) {
  std::size_t which = 0;
  for (const Program& made : made_of(program)) {
    CAPTURE(which++);
    Batch batch(random, made.input_count, 1 + below(random, 90));
    for (std::size_t k = kNumbers; k < kInputs; ++k) {
      batch.varies[k] = 1;
      batch.inputs[k] = Numbers(batch.rows, 1);
    }
    for (std::size_t k = 0; k < kNumbers; ++k)
      for (std::size_t r = 0; r < (batch.varies[k] != 0 ? batch.rows : 1); ++r)
        batch.inputs[k][r] = number_for_powers(random);
    std::vector<bool> expected;
    for (std::size_t r = 0; r < batch.rows; ++r) {
      std::vector<double> inputs;
      for (std::size_t k = 0; k < batch.inputs.size(); ++k)
        inputs.push_back(batch.inputs[k][batch.varies[k] != 0 ? r : 0]);
      choose_limits(program, inputs, random);
      for (std::size_t k = kNumbers; k < kInputs; ++k) batch.inputs[k][r] = inputs[k];
      expected.push_back(expected_guard(program, inputs) == kNone);
    }
    Result result = batch.run(made, BatchPlan(made, batch.varies, false), threads);
    bool equal = true;
    for (std::size_t r = 0; r < batch.rows; ++r)
      equal &= (result.states[r] == RowState::Good) == expected[r];
    CHECK(equal);
    CHECK(result.rows.guards == std::ranges::all_of(expected, [](bool good) { return good; }));
  }
}

} // namespace

TEST_CASE("whatever is made of a program decides by the same bits at a point") {
  Random random(11);
  for (int turn = 0; turn < 100; ++turn) {
    CAPTURE(turn);
    check_at_points(deciding_program(random, 30 + below(random, 60)), random);
    check_at_points(distances(random), random);
    check_at_points(functions(random), random);
  }
}

TEST_CASE("whatever is made of a program decides by the same bits in rows") {
  Random random(12);
  for (int turn = 0; turn < 70; ++turn) {
    CAPTURE(turn);
    check_in_rows(deciding_program(random, 30 + below(random, 60)), random, 1 + turn % 2);
    check_in_rows(distances(random), random, 1 + turn % 2);
    check_in_rows(functions(random), random, 1 + turn % 2);
  }
}

TEST_CASE("the cone of a program is what its guards are computed from, and empty without guards") {
  Builder builder(Passes::none());
  const Index x = builder.input(), y = builder.input(), beside = builder.emit(Opcode::Exp, y);
  const Index sum = builder.emit_many(Opcode::SumN, {x, x});
  builder.output(builder.emit(Opcode::Mul, sum, beside));
  CHECK(decision_cone(builder.program()).empty());
  CHECK_FALSE(is_marked(decision_cone(builder.program()), sum));
  builder.guard(builder.emit(Opcode::Less, sum, builder.constant(1.0)), true);
  CHECK(decision_cone(builder.finish()) == Marks{1, 0, 0, 1, 0, 1, 1});
}

TEST_CASE("a value that decides nothing is rewritten beside one that decides") {
  Builder source(Passes::none());
  const Index x = source.input(), y = source.input(), two = source.constant(2.0);
  source.output(source.emit(Opcode::Pow, y, two));
  source.guard(source.emit(Opcode::Less, source.emit(Opcode::Pow, x, two), two), true);
  const Program program = optimise(source.finish(), Passes{});
  std::size_t powers = 0, products = 0;
  for (const Instruction& at : program.instructions) {
    powers += at.opcode == Opcode::Pow && at.a == x;
    products += at.opcode == Opcode::Mul && at.a == y;
  }
  CHECK(powers == 1);
  CHECK(products == 1);
}

TEST_CASE("squares of a distance are products, and comparisons have a margin for it") {
  Builder builder(Passes::none());
  const Index x = builder.input(), y = builder.input(), two = builder.constant(2.0);
  const Index a = builder.emit(Opcode::Pow, x, two), b = builder.emit(Opcode::Pow, y, two);
  const Index sum = builder.emit(Opcode::Add, a, b);
  builder.guard(builder.emit(Opcode::Less, sum, two), true);
  const ClearDecisions found = clear_decisions(builder.program(), {}, Loosen::Powers);
  REQUIRE(found.margins.size() == 1);
  CHECK(found.margins[0].a == sum);
  CHECK(found.margins[0].b == two);
  CHECK(found.margins[0].relative < 0x1p-48);
  CHECK(found.program.instructions[a].opcode == Opcode::Mul);
  CHECK(found.exact.guards.size() == 1);
  CHECK(clear_decisions(builder.program(), {1, 0, 1, 1, 0, 1, 1}, Loosen::Powers).margins.size() ==
        1);
  CHECK(clear_decisions(builder.program(), Marks(7, 0), Loosen::Powers).margins.empty());

  SUBCASE("and roots are square roots") {
    const Index root = builder.emit(Opcode::Pow, sum, builder.constant(0.5));
    builder.guard(builder.emit(Opcode::Less, root, y), true);
    const ClearDecisions with_root = clear_decisions(builder.program(), {}, Loosen::Powers);
    CHECK(with_root.margins.size() == 2);
    CHECK(with_root.program.instructions[root].opcode == Opcode::PowerHalf);
  }
  SUBCASE("not where a difference of squares may cancel") {
    const Index difference = builder.emit(Opcode::Subtract, a, b);
    builder.guard(builder.emit(Opcode::Less, difference, two), true);
    CHECK(clear_decisions(builder.program(), {}, Loosen::Powers).margins.empty());
  }
  SUBCASE("not where the comparison is a result as well") {
    builder.output(builder.program().guards[0].condition);
    CHECK(clear_decisions(builder.program(), {}, Loosen::Powers).margins.empty());
  }
}

TEST_CASE("steps of exp are any exp's, and their product is bounded by the bounds of its factors") {
  Builder builder(Passes::none());
  const Index start = builder.input(), limit = builder.input();
  std::vector<Index> steps, values{start};
  for (int k = 0; k < 12; ++k) {
    steps.push_back(builder.emit(Opcode::Exp, builder.input()));
    values.push_back(builder.emit(Opcode::Mul, values.back(), steps.back()));
    builder.guard(builder.emit(Opcode::Less, values.back(), limit), true);
  }
  const Program program = builder.finish();
  const ClearDecisions found =
      clear_decisions(program, Marks(program.size(), 1), Loosen::PowersAndFunctions);
  REQUIRE(found.margins.size() == 12);
  CHECK(found.margins[11].order == Order::Below);
  CHECK(found.margins[0].relative < 0x1p-46);
  CHECK(found.margins[11].relative < 0x1p-42);
  for (const Index step : steps) CHECK(found.loose[step] == 1);
  // The start, of which 0 would do, the steps, and two of the products.
  CHECK(found.bounded.size() == 15);
  CHECK(found.bounded[0].value == start);
  CHECK(found.bounded[0].or_zero);
  CHECK(clear_decisions(program, Marks(program.size(), 1), Loosen::Powers).margins.empty());
}

TEST_CASE("what has no bound is computed by the library, and what it depends on with it") {
  Builder builder(Passes::none());
  const Index x = builder.input(), y = builder.input(), zero = builder.constant(0.0);
  const Index a = builder.emit(Opcode::Exp, x), b = builder.emit(Opcode::Exp, y);
  const auto loosened = [&] {
    const Program& program = builder.program();
    return clear_decisions(program, Marks(program.size(), 1), Loosen::PowersAndFunctions);
  };
  const Index difference = builder.emit(Opcode::Add, a, builder.emit(Opcode::Negate, b));

  SUBCASE("a difference") {
    builder.guard(builder.emit(Opcode::Less, difference, x), true);
    CHECK(loosened().margins.empty());
  }
  SUBCASE("a number that is a guard") {
    builder.guard(a, true);
    builder.guard(builder.emit(Opcode::Less, b, x), true);
    const ClearDecisions found = loosened();
    CHECK(found.margins.size() == 1);
    CHECK(found.loose[a] == 0);
    CHECK(found.loose[b] == 1);
  }
  SUBCASE("but the sign of a difference is that of a comparison") {
    const Index sum =
        builder.emit(Opcode::Add, a, builder.emit(Opcode::Mul, y, builder.constant(-1.0)));
    builder.guard(builder.emit(Opcode::Less, zero, sum), false);
    const ClearDecisions found = loosened();
    REQUIRE(found.margins.size() == 1);
    CHECK(found.margins[0].a == a);
    CHECK(found.margins[0].negated);
    CHECK(found.margins[0].order == Order::Below);
  }
}

TEST_CASE("a point has no tests of ranges, so a root keeps what is absolute of its sum") {
  Builder builder(Passes::none());
  const Index limit = builder.input(), two = builder.constant(2.0), half = builder.constant(0.5);
  std::vector<Index> squares;
  for (int k = 0; k < 12; ++k) squares.push_back(builder.emit(Opcode::Pow, builder.input(), two));
  const Index sum = builder.emit_many(Opcode::SumN, squares);
  builder.guard(builder.emit(Opcode::Less, builder.emit(Opcode::Pow, sum, half), limit), true);
  const ClearDecisions found = clear_decisions(builder.program(), {}, Loosen::Powers);
  REQUIRE(found.margins.size() == 1);
  CHECK(found.bounded.empty());
  CHECK(found.margins[0].absolute > 0.0);
}
