#include "program_format.h"

#include <stdexcept>

#include "core/bytes.h"
#include "core/op_domain.h"
#include "matrix.h"
#include "operand_pool.h"

namespace arenagrad::program {
namespace {

using core::FormatError;
using core::put;

constexpr std::string_view kMagic = "AGPR";
constexpr std::uint16_t kVersion = 1;
constexpr std::uint8_t kChecked = 128;
static_assert(kOpcodeCount <= kChecked);
constexpr char kSubject[] = "a saved program"; // of messages

[[noreturn]] void fail(const char* why) {
  throw FormatError(std::string(kSubject) + " has " + why);
}

// Opcodes that were renamed: files written before keep loading. A name is never given to another
// opcode, and a row is never taken out.
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

// How many numbers follow the byte of an instruction: of a Many opcode the number of its operands,
// of an Element also its own.
std::size_t number_count(Opcode opcode) {
  if (opcode == Opcode::Element) return 2;
  return opcode <= Opcode::Input || is_many(opcode) ? 1 : operand_count(opcode);
}

// The opcodes that a program uses, in the order in which they first occur: the byte of an
// instruction is a number in this list, whose names stand in the file.
std::vector<Opcode> used_opcodes(const Program& program) {
  std::vector<Opcode> used;
  bool is_known[kOpcodeCount] = {};
  for (const Instruction& at : program.instructions) {
    bool& known = is_known[static_cast<std::size_t>(at.opcode)];
    if (!known) used.push_back(at.opcode);
    known = true;
  }
  return used;
}

void put_instructions(std::string& out, const Program& program, const std::vector<Opcode>& used) {
  std::uint8_t number_of[kOpcodeCount] = {};
  for (std::size_t k = 0; k < used.size(); ++k)
    number_of[static_cast<std::size_t>(used[k])] = static_cast<std::uint8_t>(k);
  for (const Instruction& at : program.instructions) {
    const std::uint8_t number = number_of[static_cast<std::size_t>(at.opcode)];
    put(out, static_cast<std::uint8_t>(number | (at.checked ? kChecked : 0)));
    const Index numbers[] = {is_many(at.opcode) ? at.b : at.a, at.b, at.c};
    for (std::size_t k = 0; k < number_count(at.opcode); ++k) put(out, std::uint32_t{numbers[k]});
  }
}

// Lists are written as often as they are used, so that reading need not trust any position.
std::vector<Index> list_items(const Program& program) {
  std::vector<Index> items;
  for (const Instruction& at : program.instructions)
    if (is_many(at.opcode)) program.for_each_operand(at, [&](Index o) { items.push_back(o); });
  return items;
}

// Reads the instructions; of Many opcodes the number of operands only. Throws unless `items` is the
// sum of these numbers.
void take_instructions(core::ByteReader& in, Program& program, const std::vector<Opcode>& used,
                       std::size_t items) {
  std::size_t listed = 0;
  for (Instruction& at : program.instructions) {
    const auto byte = in.take<std::uint8_t>();
    const std::size_t number = byte & (kChecked - 1);
    if (number >= used.size()) fail("an instruction without an opcode");
    at.opcode = used[number];
    at.checked = (byte & kChecked) != 0;
    if (is_many(at.opcode)) {
      at.b = in.take<std::uint32_t>();
      if (at.b > items - listed || at.b < fewest_operands(at.opcode)) fail("too few operands");
      listed += at.b;
      continue;
    }
    Index* const numbers[] = {&at.a, &at.b, &at.c};
    for (std::size_t k = 0; k < number_count(at.opcode); ++k)
      *numbers[k] = in.take<std::uint32_t>();
  }
  if (listed != items) fail("too many operands");
}

// Gives the operands of all Many instructions, of which there are b each, to the program's lists.
void add_lists(Program& program, const std::vector<Index>& items) {
  OperandPool pool;
  const Index* next = items.data();
  for (Instruction& at : program.instructions) {
    if (!is_many(at.opcode)) continue;
    const std::size_t first = leading(at.opcode, at.b), others = at.b - first;
    at.a = pool.place(program.lists, next, first);
    at.c = pool.place(program.lists, next + first, others);
    next += at.b;
  }
}

void take_guards(core::ByteReader& in, Program& program, std::size_t count) {
  std::vector<std::uint32_t> conditions;
  std::vector<std::uint8_t> outcomes;
  in.take(conditions, count);
  in.take(outcomes, count);
  for (std::size_t k = 0; k < count; ++k)
    program.guards.push_back({conditions[k], outcomes[k] != 0});
}

// Throws unless sizes and operands of matrices agree, and Elements are of matrices that have them.
void check_matrices(const Program& program) {
  for (const Instruction& at : program.instructions) {
    const bool is_element = at.opcode == Opcode::Element;
    if (!is_element && !is_matrix(at.opcode)) continue;
    const Instruction& matrices = is_element ? program.instructions[at.a] : at;
    if (!is_matrix(matrices.opcode)) fail("an element of no matrix");
    try {
      if (matrix_shape(program, matrices).results() <= at.b && is_element)
        fail("an element that a matrix does not have");
    } catch (const std::invalid_argument&) {
      fail("matrices whose sizes do not fit");
    }
  }
}

// Throws unless a Callback calls one that there is, as it wants to be called.
void check_call(const Program& program, const Instruction& at) {
  const auto number = [&](std::size_t k) {
    const Instruction& constant = program.instructions[program.lists[at.a + k]];
    return constant.opcode == Opcode::Constant ? program.constants[constant.a] : -1.0;
  };
  const auto is_below = [](double x, std::size_t limit) {
    return core::is_whole_below(x, static_cast<double>(limit));
  };
  if (!is_below(number(0), program.callbacks.size())) fail("a call of a function that it has not");
  const Callback& callback = program.callback(at);
  if (!is_below(number(1), callback.results()) || at.b - 2 != callback.operands())
    fail("a call of a function that is called otherwise");
}

// Throws unless the invariants of a program hold (program.h), whoever wrote the bytes.
void check(const Program& program) {
  const std::size_t count = program.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Instruction& at = program.instructions[i];
    if (at.opcode == Opcode::Constant && at.a >= program.constants.size()) fail("no such constant");
    // Input number k is instruction number k, and no other.
    if ((at.opcode == Opcode::Input) != (i < program.input_count) ||
        (at.opcode == Opcode::Input && at.a != i))
      fail("its inputs in a wrong place");
    program.for_each_operand(at, [&](Index operand) {
      if (operand >= i) fail("an operand that cannot be one");
    });
    if (at.opcode == Opcode::Callback) check_call(program, at);
  }
  const auto check_exists = [&](Index i) {
    if (i >= count) fail("an output or guard that cannot be one");
  };
  check_matrices(program);
  for (const Index output : program.outputs) check_exists(output);
  for (const Guard& guard : program.guards) check_exists(guard.condition);
}

} // namespace

std::string write_program(const Program& program) {
  const std::vector<Opcode> used = used_opcodes(program);
  const std::vector<Index> items = list_items(program);
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
  put_instructions(out, program, used);
  for (const double constant : program.constants) put(out, constant);
  for (const Index item : items) put(out, std::uint32_t{item});
  for (const Index output : program.outputs) put(out, std::uint32_t{output});
  for (const Guard& guard : program.guards) put(out, std::uint32_t{guard.condition});
  for (const Guard& guard : program.guards) put(out, static_cast<std::uint8_t>(guard.outcome));
  put(out, core::crc32(out));
  return out;
}

Program read_program(std::string_view bytes, std::vector<CallbackPointer> callbacks) {
  core::ByteReader in(core::checked_body(bytes, kMagic, kVersion, kSubject), kSubject);
  Program program;
  program.callbacks = std::move(callbacks);
  program.input_count = in.take<std::uint32_t>();
  const std::size_t count = in.take<std::uint32_t>(), constants = in.take<std::uint32_t>(),
                    items = in.take<std::uint32_t>(), outputs = in.take<std::uint32_t>(),
                    guards = in.take<std::uint32_t>();
  std::vector<Opcode> used(in.take<std::uint8_t>());
  for (Opcode& opcode : used) opcode = opcode_named(in.text(in.take<std::uint8_t>()));
  if (program.input_count > count) fail("too few instructions");
  in.need(count, 1); // before memory is taken for them
  program.instructions.resize(count);
  take_instructions(in, program, used, items);
  in.take(program.constants, constants);
  std::vector<Index> operands;
  in.take(operands, items);
  add_lists(program, operands);
  in.take(program.outputs, outputs);
  take_guards(in, program, guards);
  if (in.left() != 0) throw FormatError("a saved program is longer than it says");
  check(program);
  return program;
}

} // namespace arenagrad::program
