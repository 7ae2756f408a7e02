// Programs as bytes: what was written is read, and whatever else is refused, never run.
#include <doctest/doctest.h>

#include "core/bytes.h"
#include "program/ir/program_format.h"
#include "program/passes/differentiate.h"
#include "program_cases.h"

using namespace arenagrad;
using namespace arenagrad::program;

namespace {

Program guarded_gradient() {
  Program program = cases::mlp({2, 3, 1}, Passes{});
  program.guards.push_back({program.outputs[0], true});
  Wanted wanted;
  for (Index k = 0; k < 13; ++k) wanted.inputs.push_back(k);
  return reverse(program, wanted, false, Passes{});
}

std::string with_checksum(std::string bytes) {
  bytes.resize(bytes.size() - 4);
  core::put(bytes, core::crc32(bytes));
  return bytes;
}

} // namespace

TEST_CASE("a program is the same after being written and read") {
  const Program program = guarded_gradient();
  const Program read = read_program(write_program(program));
  CHECK(read.text() == program.text());
  CHECK(write_program(read) == write_program(program));
  for (const Opcode opcode : cases::all_codes()) {
    std::mt19937 random(5);
    const std::size_t operands =
        opcode == Opcode::RowSum ? 1 : cases::operands_of(opcode, random).size();
    const Program one = cases::single(opcode, operands, Passes{});
    CHECK(read_program(write_program(one), one.callbacks).text() == one.text());
  }
}

TEST_CASE("a program that is cut short anywhere is refused") {
  const std::string bytes = write_program(guarded_gradient());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_THROWS_AS(read_program(bytes.substr(0, size)), core::FormatError);
    if (size > 10)
      CHECK_THROWS_AS(read_program(with_checksum(bytes.substr(0, size))), core::FormatError);
  }
  CHECK_THROWS_AS(read_program(bytes + "x"), core::FormatError);
  CHECK_THROWS_AS(read_program(with_checksum(bytes + "12345678")), core::FormatError);
}

TEST_CASE("changed bytes under a right checksum are refused or still a sound program") {
  const std::string bytes = write_program(guarded_gradient());
  std::mt19937 random(6);
  std::size_t read_anyway = 0;
  for (int turn = 0; turn < 20000; ++turn) {
    std::string changed = bytes;
    for (std::size_t k = 1 + random() % 3; k-- > 0;)
      changed[random() % changed.size()] = static_cast<char>(random() % 4 ? random() % 256 : 255);
    try {
      const Program program = read_program(with_checksum(changed));
      ++read_anyway;
      const std::vector<double> x(program.input_count, 0.5);
      if (program.size() < 10000) cases::run(program, x);
    } catch (const core::FormatError&) {
    }
  }
  CHECK(read_anyway > 100); // constants may be anything
}

TEST_CASE("a later format and an unknown opcode are named") {
  std::string bytes = write_program(guarded_gradient());
  bytes[4] = 9;
  CHECK_THROWS_WITH(read_program(with_checksum(bytes)),
                    "a saved program has the format 9, and this version reads 1");
  bytes = write_program(cases::single(Opcode::Tanh, 1, Passes{}));
  bytes.replace(bytes.find("Tanh"), 4, "T\nnh");
  CHECK_THROWS_WITH(read_program(with_checksum(bytes)),
                    "a saved program has an instruction that this version does not know: T?nh");
}

TEST_CASE("a program under the former names of its opcodes is read") {
  const auto under_former_name = [](Opcode opcode, std::size_t operands, std::string_view former) {
    std::string bytes = write_program(cases::single(opcode, operands, Passes{}));
    const std::string_view name = opcode_name(opcode);
    const std::size_t at = bytes.find(name);
    bytes.replace(at, name.size(), former);
    bytes[at - 1] = static_cast<char>(former.size());
    return read_program(with_checksum(bytes)).text();
  };
  CHECK(under_former_name(Opcode::RowSum, 1, "LaneSum") ==
        cases::single(Opcode::RowSum, 1, Passes{}).text());
  CHECK(under_former_name(Opcode::DotN, 5, "DotOf") ==
        cases::single(Opcode::DotN, 5, Passes{}).text());
  CHECK(under_former_name(Opcode::LogSumExpShifted, 3, "LogTotal") ==
        cases::single(Opcode::LogSumExpShifted, 3, Passes{}).text());
}
