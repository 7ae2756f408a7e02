#include "op_domain.h"

#include <charconv>

namespace arenagrad::core {
namespace {

// The operation on these numbers, such as "log(-2.0)". A quotient is a product with a power of -1.
std::string call_text(Op op, double a, double b) {
  if (op == Op::Pow && b == -1.0) return "1 / " + float_text(a);
  if (op == Op::Pow || op == Op::Power) {
    const std::string base = float_text(a);
    return (std::signbit(a) ? "(" + base + ")" : base) + " ** " + float_text(b);
  }
  const OpInfo& info = op_info(op);
  if (info.may_fail == MayFail::Divide)
    return float_text(a) + " " + info.symbol + " " + float_text(b);
  const std::string second = info.operands == Operands::Binary ? ", " + float_text(b) : "";
  return std::string(info.name) + "(" + float_text(a) + second + ")";
}

const char* zero_divisor_text(Op op) {
  if (op == Op::Pow || op == Op::Power) return "0.0 cannot be raised to a negative power";
  if (op == Op::Remainder) return "float modulo by zero";
  return op == Op::FloorDivide ? "float floor division by zero" : "division by zero";
}

} // namespace

// Python writes digits without an exponent from 1e-4 up to 1e16, the shortest that say the number.
std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0.0 ? "-inf" : "inf";
  const double size = std::fabs(number);
  const bool plain = size == 0.0 || (size >= 1e-4 && size < 1e16);
  char text[64];
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  char* const end = std::to_chars(text, text + sizeof text, number, format).ptr;
  const std::string digits(static_cast<const char*>(text), static_cast<std::size_t>(end - text));
  return plain && digits.find('.') == std::string::npos ? digits + ".0" : digits;
}

void throw_failure(Failure failure, Op op, double a, double b, NodeId node) {
  const bool power = op == Op::Pow || op == Op::Power;
  const std::string call = call_text(op, a, b) + ": ";
  switch (failure) {
  case Failure::DivisionByZero:
    throw DivisionByZero(call + zero_divisor_text(op), node);
  case Failure::Range:
    throw RangeError(call + (power ? "the result of ** is too large" : "math range error"), node);
  default:
    throw DomainError(call + (power ? "a negative number cannot be raised to a fractional power: "
                                      "the result is complex, and a Value is real"
                                    : "math domain error"),
                      node);
  }
}

} // namespace arenagrad::core
