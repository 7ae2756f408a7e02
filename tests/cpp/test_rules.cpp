// Every row of ops.def: its partials against central differences, its errors against its row.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "core/op_domain.h"
#include "core/op_rules.h"

using namespace arenagrad::core;

TEST_CASE("the partials of every operation agree with central differences") {
  std::mt19937_64 random(1);
  for (std::size_t i = kFirstTableOp; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const OpInfo& info = op_info(op);
    CAPTURE(info.id);
    std::uniform_real_distribution<double> draw(info.low, info.high);
    for (int sample = 0; sample < 200; ++sample) {
      const double a = draw(random), b = draw(random), h = 1e-6;
      const auto is_whole = [](double x) { return std::abs(x - std::round(x)) < 1e-3; };
      if (is_whole(a) || is_whole(a / b)) continue; // kinks and jumps lie there
      const Partials d = partials(op, a, b, evaluate(op, a, b));
      const double da = (evaluate(op, a + h, b) - evaluate(op, a - h, b)) / (2 * h);
      CHECK(d.a == doctest::Approx(da).epsilon(1e-5));
      if (info.operands != Operands::Binary) continue;
      const double db = (evaluate(op, a, b + h) - evaluate(op, a, b - h)) / (2 * h);
      CHECK(d.b == doctest::Approx(db).epsilon(1e-5));
    }
  }
}

TEST_CASE("errors of the mathematics are told apart as Python tells them") {
  const auto check = [](Op op, double a, double b) {
    check_primal(op, a, b, evaluate(op, a, b), kNoNode);
  };
  CHECK_THROWS_AS(check(Op::Pow, 0.0, -1.0), DivisionByZero);
  CHECK_THROWS_AS(check(Op::Pow, -8.0, 1.0 / 3.0), DomainError);
  CHECK_THROWS_AS(check(Op::Pow, 1e300, 2.0), RangeError);
  CHECK_THROWS_AS(check(Op::Log, 0.0, 0.0), DomainError);
  CHECK_THROWS_AS(check(Op::Log, -1.0, 0.0), DomainError);
  CHECK_THROWS_AS(check(Op::Exp, 1000.0, 0.0), RangeError);
  CHECK_THROWS_AS(check(Op::Remainder, 1.0, 0.0), DivisionByZero);
  CHECK_THROWS_AS(check(Op::FloorDivide, NAN, -0.0), DivisionByZero);
  CHECK_THROWS_AS(check(Op::Fmod, 1.0, 0.0), DomainError);
  CHECK_THROWS_AS(check(Op::Fmod, INFINITY, 2.0), DomainError);
  CHECK_NOTHROW(check(Op::Fmod, NAN, 0.0));
  CHECK_NOTHROW(check(Op::Remainder, INFINITY, 2.0));
  CHECK_NOTHROW(check(Op::Exp, INFINITY, 0.0));
  CHECK_NOTHROW(check(Op::Log, NAN, 0.0));
  CHECK_NOTHROW(check(Op::Pow, INFINITY, 2.0));
}
