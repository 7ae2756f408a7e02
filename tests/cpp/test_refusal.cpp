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
