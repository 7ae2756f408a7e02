// What check_domain() throws is what recording the operation on these numbers throws.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "core/op_domain.h"
#include "program/ir/domain_check.h"

namespace {

using namespace arenagrad;
using program::Opcode;
using program::Program;

// One instruction on all inputs.
Program one(Opcode opcode, std::uint32_t inputs, bool checked) {
  Program p;
  p.input_count = inputs;
  for (std::uint32_t k = 0; k < inputs; ++k) p.instructions.push_back({Opcode::Input, false, k});
  if (program::is_many(opcode)) {
    for (std::uint32_t k = 0; k < inputs; ++k) p.lists.push_back(k);
    const auto first = static_cast<std::uint32_t>(program::leading(opcode, inputs));
    p.instructions.push_back({opcode, checked, 0, inputs, first});
  } else {
    p.instructions.push_back({opcode, checked, 0, inputs > 1 ? 1 : program::kNone});
  }
  p.outputs.push_back(inputs);
  return p;
}

template <class Call> std::string thrown(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

} // namespace

TEST_CASE("every operation of the table refuses what recording it refuses") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double numbers[] = {0.0,   -0.0,   1.0,    -1.0,      0.5,        -2.5,
                            1e308, -1e308, 5e-324, kInfinity, -kInfinity, std::nan("")};
  int refused = 0;
  for (std::size_t k = program::kFirstTableOpcode; k < program::kFirstOwnOpcode; ++k) {
    const auto opcode = static_cast<Opcode>(k);
    const core::Op op = program::op_of(opcode);
    const Program p = one(opcode, static_cast<std::uint32_t>(program::operand_count(opcode)), true);
    for (const double a : numbers)
      for (const double b : numbers) {
        const double inputs[] = {a, b};
        const double second = p.input_count > 1 ? b : 0.0;
        const double y = program::evaluate(opcode, a, second, 0.0);
        const std::string expected =
            thrown([&] { core::check_primal(op, a, second, y, core::kNoNode); });
        CHECK(thrown([&] { program::check_domain(p, inputs); }) == expected);
        refused += !expected.empty();
      }
  }
  CHECK(refused > 100);
}

TEST_CASE("a quotient is refused as the power of minus one that it was") {
  const Program p = one(Opcode::Divide, 2, true);
  const double zero[] = {1.0, 0.0}, tiny[] = {1.0, 5e-324}, large[] = {1e308, 1e-10};
  CHECK_THROWS_AS(program::check_domain(p, zero), core::DivisionByZero);
  CHECK_THROWS_AS(program::check_domain(p, tiny), core::RangeError);
  CHECK_NOTHROW(program::check_domain(p, large)); // it is the product that is too large
  for (const double a : {0.0, 1e-320, -3.0})
    for (const double b : {5e-324, -0x1p-1024})
      CHECK(!std::isfinite(program::evaluate(Opcode::Divide, a, b, 0.0)));
  CHECK(program::evaluate(Opcode::Divide, 1e-320, 0x1.1p-1024, 0.0) == 1e-320 / 0x1.1p-1024);
}

TEST_CASE(
    "a power of minus one is refused where it overflows, and a reciprocal is infinite there") {
  const double tiny = 5e-324, zero = 0.0;
  for (const Opcode opcode : {Opcode::PowerInverse, Opcode::Reciprocal}) {
    const Program p = one(opcode, 1, true);
    CHECK_THROWS_AS(program::check_domain(p, &zero), core::DivisionByZero);
    CHECK(std::isinf(program::evaluate(opcode, tiny, 0.0, 0.0)));
  }
  CHECK_THROWS_AS(program::check_domain(one(Opcode::PowerInverse, 1, true), &tiny),
                  core::RangeError);
  CHECK_NOTHROW(program::check_domain(one(Opcode::Reciprocal, 1, true), &tiny));
}

TEST_CASE("a product is refused as the square or the cube that it was") {
  Program square = one(Opcode::Mul, 1, true);
  square.instructions[1].b = 0;
  Program cube = one(Opcode::Mul, 1, false);
  cube.instructions[1].b = 0;
  cube.instructions.push_back({.opcode = Opcode::Mul, .checked = true, .a = 0, .b = 1});
  cube.outputs = {2};
  const double fits[] = {1e100}, large[] = {-1e200}, infinite[] = {HUGE_VAL};
  CHECK_NOTHROW(program::check_domain(square, fits));
  CHECK_NOTHROW(program::check_domain(cube, fits));
  for (const Program* p : {&square, &cube}) {
    CHECK_THROWS_AS(program::check_domain(*p, large), core::RangeError);
    CHECK(program::may_refuse(*p, large));
    CHECK_NOTHROW(program::check_domain(*p, infinite));
    CHECK(!program::may_refuse(*p, infinite));
  }
}

TEST_CASE("the partial of a strict power is refused where an adjoint asks for it") {
  Program p = one(Opcode::StrictPartial, 3, true);
  p.instructions[3].c = 2;
  const double asked[] = {0.0, 0.5, 1.0}, not_asked[] = {0.0, 0.5, 0.0}, fits[] = {1.0, 0.5, 1.0};
  CHECK_THROWS_AS(program::check_domain(p, asked), core::DivisionByZero);
  CHECK_NOTHROW(program::check_domain(p, not_asked));
  CHECK_NOTHROW(program::check_domain(p, fits));
}

TEST_CASE("messages write numbers as Python does") {
  CHECK(core::float_text(-2.0) == "-2.0");
  CHECK(core::float_text(0.1) == "0.1");
  CHECK(core::float_text(1e16) == "1e+16");
  CHECK(core::float_text(123456789012345.0) == "123456789012345.0");
  CHECK(core::float_text(1e-5) == "1e-05");
  CHECK(core::float_text(-HUGE_VAL) == "-inf");
}

TEST_CASE("an index that none of the values has is refused") {
  const Program p = one(Opcode::Take, 3, true);
  const double good[] = {1.0, 5.0, 6.0}, bad[] = {2.0, 5.0, 6.0}, none[] = {0.5, 5.0, 6.0};
  CHECK_NOTHROW(program::check_domain(p, good));
  CHECK_THROWS_AS(program::check_domain(p, bad), std::out_of_range);
  CHECK_THROWS_AS(program::check_domain(p, none), std::out_of_range);
}

TEST_CASE("what is not checked and what was given is not refused") {
  const double minus[] = {-1.0}, nan[] = {std::nan("")};
  CHECK_NOTHROW(program::check_domain(one(Opcode::Log, 1, false), minus));
  CHECK_NOTHROW(program::check_domain(one(Opcode::Log, 1, true), nan));
  CHECK_THROWS_AS(program::check_domain(one(Opcode::Log, 1, true), minus), core::DomainError);
}
