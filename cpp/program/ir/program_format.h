// Programs as bytes, and bytes as programs again. All numbers little-endian:
//   "AGPR", u16 version, u32 inputs, instructions, constants, list items, outputs, guards,
//   u8 opcodes, each u8 length and its name (so that a program outlives new opcodes),
//   of each instruction u8 opcode (128: checked), u32 operands, of Many opcodes their count
//   instead, f64 constants, u32 list items, outputs, conditions, u8 outcomes, u32 CRC-32
// Pure and thread-safe. Cost: about 30 ns an instruction either way.
#pragma once

#include <string_view>

#include "program.h"

namespace arenagrad::program {

std::string write_program(const Program& program);

// Throws core::FormatError for anything but what write_program makes, whoever made it: every
// opcode, operand and count is looked at. The callbacks are not among the bytes.
Program read_program(std::string_view bytes, std::vector<CallbackPointer> callbacks = {});

} // namespace arenagrad::program
