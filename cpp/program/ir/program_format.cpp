#include "program_format.h"

#include "core/bytes.h"
#include "operand_pool.h"

namespace arenagrad::program {
namespace {

using core::FormatError;
using core::put;

constexpr std::string_view kMagic = "AGPR";
constexpr std::uint16_t kVersion = 1;
constexpr std::uint8_t kChecked = 128;
static_assert(kOpcodeCount <= kChecked);
constexpr char kWhat[] = "a saved program";

[[noreturn]] void fail(const char* why) { throw FormatError(std::string(kWhat) + " has " + why); }

// Opcodes that were renamed: files written before keep loading.
constexpr struct {
  std::string_view former, name;
} kFormerNames[] = {
    {"PowerSlope", "PowerPartial"},
    {"PowerSlopeOf", "PowerPartialOf"},
    {"PowerSlopeB", "PowerPartialB"},
    {"HypotSlope", "HypotPartial"},
    {"HypotSlopeOf", "HypotPartialOf"},
    {"Arctan2Slope", "Arctan2Partial"},
    {"TanhSlope", "TanhPartial"},
    {"CbrtSlope", "CbrtPartial"},
    {"SiluSlope", "SiluPartial"},
    {"ArctanSlope", "ArctanPartial"},
    {"GeluSlope", "GeluPartial"},
    {"SumOf", "SumN"},
    {"DotOf", "DotN"},
    {"NormOf", "NormN"},
    {"Largest", "MaxShift"},
    {"LogTotal", "LogSumExpShifted"},
    {"LaneSum", "RowSum"},
};

Opcode opcode_named(std::string_view name) {
  for (const auto& renamed : kFormerNames)
    if (name == renamed.former) name = renamed.name;
  for (std::size_t k = 0; k < kOpcodeCount; ++k)
    if (name == opcode_name(static_cast<Opcode>(k))) return static_cast<Opcode>(k);
  throw FormatError("a saved program has an instruction that this version does not know: " +
                    core::printable(name));
}

// How many numbers follow the code of an instruction.
std::size_t number_count(Opcode opcode) {
  return opcode <= Opcode::Input || is_many(opcode) ? 1 : operand_count(opcode);
}

// Puts the operands of all Many instructions, of which there are b, into the program's lists.
void place(Program& program, const std::vector<Index>& items) {
  OperandLists lists;
  const Index* next = items.data();
  for (Instruction& at : program.instructions) {
    if (!is_many(at.opcode)) continue;
    const std::size_t first = leading(at.opcode, at.b), others = at.b - first;
    at.a = lists.place(program.lists, next, first);
    at.c = lists.place(program.lists, next + first, others);
    next += at.b;
  }
}

// The least number of operands that a Many opcode makes sense with.
std::size_t fewest(Opcode opcode) { return opcode == Opcode::Take ? 2 : 1; }

void check(const Program& program) {
  const std::size_t count = program.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Constant && at.a >= program.constants.size()) fail("no such constant");
    // Input number k is instruction number k, and no other.
    if ((at.opcode == Opcode::Input) != (i < program.input_count) ||
        (at.opcode == Opcode::Input && at.a != i))
      fail("its inputs in a wrong place");
    program.for_each_operand(at, [&](Index o) {
      if (o >= i) fail("an operand that cannot be one");
    });
  }
  const auto exists = [&](Index i) {
    if (i >= count) fail("an output or guard that cannot be one");
  };
  for (const Index output : program.outputs) exists(output);
  for (const Guard& guard : program.guards) exists(guard.condition);
}

} // namespace

std::string write_program(const Program& program) {
  std::uint8_t place[kOpcodeCount] = {};
  std::vector<Opcode> used;
  for (const Instruction& at : program.instructions) {
    std::uint8_t& known = place[static_cast<std::size_t>(at.opcode)];
    if (known != 0) continue;
    used.push_back(at.opcode);
    known = static_cast<std::uint8_t>(used.size());
  }
  std::vector<Index> items; // lists as often as they are used: reading checks each once
  for (const Instruction& at : program.instructions)
    if (is_many(at.opcode)) program.for_each_operand(at, [&](Index o) { items.push_back(o); });
  std::string out(kMagic);
  put(out, kVersion);
  put(out, std::uint32_t{program.input_count});
  for (const std::size_t size : {program.size(), program.constants.size(), items.size(),
                                 program.outputs.size(), program.guards.size()})
    put(out, static_cast<std::uint32_t>(size));
  put(out, static_cast<std::uint8_t>(used.size()));
  for (const Opcode opcode : used) {
    const std::string_view name = opcode_name(opcode);
    put(out, static_cast<std::uint8_t>(name.size()));
    out += name;
  }
  for (const Instruction& at : program.instructions) {
    const int opcode = place[static_cast<std::size_t>(at.opcode)] - 1;
    put(out, static_cast<std::uint8_t>(opcode | (at.checked ? kChecked : 0)));
    const Index numbers[] = {is_many(at.opcode) ? at.b : at.a, at.b, at.c};
    for (std::size_t k = 0; k < number_count(at.opcode); ++k) put(out, std::uint32_t{numbers[k]});
  }
  for (const double constant : program.constants) put(out, constant);
  for (const Index item : items) put(out, std::uint32_t{item});
  for (const Index output : program.outputs) put(out, std::uint32_t{output});
  for (const Guard& guard : program.guards) put(out, std::uint32_t{guard.condition});
  for (const Guard& guard : program.guards) put(out, static_cast<std::uint8_t>(guard.outcome));
  put(out, core::crc32(out));
  return out;
}

Program read_program(std::string_view bytes) {
  core::ByteReader in(core::checked_body(bytes, kMagic, kVersion, kWhat), kWhat);
  Program program;
  program.input_count = in.take<std::uint32_t>();
  const std::size_t count = in.take<std::uint32_t>(), constants = in.take<std::uint32_t>(),
                    items = in.take<std::uint32_t>(), outputs = in.take<std::uint32_t>(),
                    guards = in.take<std::uint32_t>();
  std::vector<Opcode> used(in.take<std::uint8_t>());
  for (Opcode& opcode : used) opcode = opcode_named(in.text(in.take<std::uint8_t>()));
  if (program.input_count > count) fail("too few instructions");
  in.need(count, 1);
  program.instructions.resize(count);
  std::size_t listed = 0;
  for (Instruction& at : program.instructions) {
    const auto byte = in.take<std::uint8_t>();
    const std::size_t known = byte & (kChecked - 1);
    if (known >= used.size()) fail("an instruction without an opcode");
    at.opcode = used[known];
    at.checked = byte & kChecked;
    Index numbers[3] = {kNone, kNone, kNone};
    for (std::size_t k = 0; k < number_count(at.opcode); ++k) numbers[k] = in.take<std::uint32_t>();
    at.a = numbers[0], at.b = numbers[1], at.c = numbers[2];
    if (is_many(at.opcode)) {
      at.b = numbers[0];
      if (at.b > items - listed || at.b < fewest(at.opcode)) fail("too few operands");
      listed += at.b;
    }
  }
  if (listed != items) fail("too many operands");
  in.take(program.constants, constants);
  std::vector<Index> operands;
  in.take(operands, items);
  place(program, operands);
  in.take(program.outputs, outputs);
  std::vector<std::uint32_t> conditions;
  std::vector<std::uint8_t> outcomes;
  in.take(conditions, guards);
  in.take(outcomes, guards);
  if (in.left() != 0) throw FormatError("a saved program is longer than it says");
  for (std::size_t k = 0; k < guards; ++k)
    program.guards.push_back({conditions[k], outcomes[k] != 0});
  check(program);
  return program;
}

} // namespace arenagrad::program
