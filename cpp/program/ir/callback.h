// Functions outside of programs, such as Python's, that an instruction calls by a number in its
// program's list of them. What they are is not known here: only how to call them.
//
// A run that reads results of such calls makes a Calls on each of its threads. It calls a function
// once for the same operands, whichever of the results is asked for, and lets a run go on where a
// call fails: its results are nan, and the first failure is kept for whoever began the run, who
// knows whether the run's numbers belong to the program at all. Without a Calls a failure is
// thrown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace arenagrad::program {

class Callback;
using CallbackPointer = std::shared_ptr<const Callback>;

// What a call throws whose function has failed; anything else that it throws ends the run.
struct CallFailed : std::exception {
  explicit CallFailed(std::exception_ptr error) : error(std::move(error)) {}
  const char* what() const noexcept override { return "a function called by a program failed"; }
  std::exception_ptr error; // of the function
};

// Immutable. call() may come from any thread, several at once.
class Callback {
public:
  virtual ~Callback() = default;
  virtual std::size_t operands() const = 0;
  virtual std::size_t results() const = 0;
  // Throws CallFailed if the function fails.
  virtual void call(const double* operands, double* results) const = 0;
  // Of the operands and an adjoint for each result, gives one for each operand. Null if there is
  // none.
  virtual CallbackPointer pullback() const = 0;
  // Of the same operands, gives 1 where the function does not fail, else 0.
  virtual CallbackPointer succeeds() const = 0;
  // The same for callbacks that call the same function in the same way.
  virtual const void* key() const = 0;
  virtual std::string name() const = 0;

protected:
  Callback() = default;
  Callback(const Callback&) = default;
  Callback& operator=(const Callback&) = default;
};

// The failure of the lowest row in a run. Thread-safe.
class CallFailures {
public:
  void add(std::size_t row, const std::exception_ptr& error);
  bool any() const { return error_ != nullptr; }
  std::size_t row() const { return row_; }
  const std::exception_ptr& error() const { return error_; }

private:
  std::mutex mutex_;
  std::size_t row_ = std::numeric_limits<std::size_t>::max();
  std::exception_ptr error_;
};

struct CallResult {
  std::vector<double> numbers; // nan where it has failed
  std::exception_ptr error;
};

// The calls of a run in this thread, from when it is made until it goes. Calls may be nested.
class Calls {
public:
  // `failures` must outlive it.
  explicit Calls(CallFailures& failures);
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  ~Calls();

  // The innermost one of this thread, or null.
  static Calls* current();
  // While it lives, the thread has none: for functions that run programs of their own.
  class Suspended {
  public:
    Suspended();
    Suspended(const Suspended&) = delete;
    Suspended& operator=(const Suspended&) = delete;
    ~Suspended();

  private:
    Calls* const calls_;
  };
  CallFailures& failures() { return failures_; }
  // Valid until it is asked again.
  const CallResult& result(const Callback& callback, const double* operands);

private:
  struct Key {
    const void* callback; // its key
    std::vector<double> operands;
    bool operator==(const Key& other) const;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };

  CallFailures& failures_;
  Calls* const around_;
  Key asked_; // kept for its memory
  std::unordered_map<Key, CallResult, Hash> known_;
};

// What a call gives, found in the thread's Calls if it has one. Does not throw CallFailed.
CallResult call_result(const Callback& callback, const double* operands);

// The value of a Callback instruction of these operands (opcodes.def), which number among the rows
// of a run they are of. Throws CallFailed where the thread has no Calls.
double run_call(const std::vector<CallbackPointer>& callbacks, const double* operands,
                std::size_t row = 0);

} // namespace arenagrad::program
