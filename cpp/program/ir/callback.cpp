#include "callback.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "operand_pool.h"

namespace arenagrad::program {
namespace {

thread_local Calls* innermost_calls = nullptr;

// Where a run has more calls than this, the oldest are forgotten: they are made again if need be.
constexpr std::size_t kMostKnown = 4096;

CallResult called(const Callback& callback, const double* operands) {
  CallResult result{std::vector<double>(callback.results()), nullptr};
  try {
    callback.call(operands, result.numbers.data());
  } catch (const CallFailed& failed) {
    std::ranges::fill(result.numbers, std::numeric_limits<double>::quiet_NaN());
    result.error = failed.error;
  }
  return result;
}

} // namespace

void CallFailures::add(std::size_t row, const std::exception_ptr& error) {
  const std::lock_guard lock(mutex_);
  if (error_ != nullptr && row_ <= row) return;
  row_ = row;
  error_ = error;
}

Calls::Calls(CallFailures& failures) : failures_(failures), around_(innermost_calls), asked_{} {
  innermost_calls = this;
}

Calls::~Calls() { innermost_calls = around_; }

Calls* Calls::current() { return innermost_calls; }

Calls::Suspended::Suspended() : calls_(std::exchange(innermost_calls, nullptr)) {}

Calls::Suspended::~Suspended() { innermost_calls = calls_; }

// By bits, since -0 and 0 may have different results, and nan has one.
bool Calls::Key::operator==(const Key& other) const {
  const auto bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
  return callback == other.callback && std::ranges::equal(operands, other.operands, {}, bits, bits);
}

std::size_t Calls::Hash::operator()(const Key& key) const {
  std::uint64_t hash = mix(reinterpret_cast<std::uintptr_t>(key.callback));
  for (const double operand : key.operands)
    hash = mix(hash + std::bit_cast<std::uint64_t>(operand));
  return hash;
}

const CallResult& Calls::result(const Callback& callback, const double* operands) {
  asked_.callback = callback.key();
  asked_.operands.assign(operands, operands + callback.operands());
  if (const auto found = known_.find(asked_); found != known_.end()) return found->second;
  Key key = asked_; // a check asks for the call that it is of
  CallResult result = called(callback, operands);
  if (known_.size() >= kMostKnown) known_.clear();
  return known_.insert_or_assign(std::move(key), std::move(result)).first->second;
}

CallResult call_result(const Callback& callback, const double* operands) {
  if (Calls* const calls = Calls::current()) return calls->result(callback, operands);
  return called(callback, operands);
}

double run_call(const std::vector<CallbackPointer>& callbacks, const double* operands,
                std::size_t row) {
  const Callback& callback = *callbacks[static_cast<std::size_t>(operands[0])];
  const auto which = static_cast<std::size_t>(operands[1]);
  Calls* const calls = Calls::current();
  if (calls == nullptr) {
    const CallResult result = called(callback, operands + 2);
    if (result.error != nullptr) throw CallFailed(result.error);
    return result.numbers[which];
  }
  const CallResult& result = calls->result(callback, operands + 2);
  if (result.error != nullptr) calls->failures().add(row, result.error);
  return result.numbers[which];
}

} // namespace arenagrad::program
