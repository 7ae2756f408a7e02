// Functions of Python's that programs call: pure_callback(). A program knows them as
// program::Callback; here is what they are.
//
// A call takes the GIL, whichever thread it comes from, and knows of no trace under way in it. Its
// Python references are dropped where code of the user's may run (release_later.h).
#pragma once

#include "bindings/pytree/pytree.h"
#include "program/ir/callback.h"

namespace arenagrad::bindings {

// A function with its rule and the structures of its arguments, a tuple, and of its result: the
// same object for equal ones, as long as any of its callbacks lives. Defined in callback.cpp.
struct CallbackFunction;

class PythonCallback final : public program::Callback {
public:
  enum class Kind : std::uint8_t {
    Function,
    Pullback,   // by the function's rule
    Succeeds,   // 1 where a Function does not fail
    FailsAlike, // 1 where it fails with an exception of the same class and arguments
  };

  PythonCallback(std::shared_ptr<const CallbackFunction> function, Kind kind);
  // Of Kind::FailsAlike: `outcome` is the class and the arguments of an exception.
  PythonCallback(std::shared_ptr<const CallbackFunction> function, const py::tuple& outcome);

  std::size_t operands() const override;
  std::size_t results() const override;
  void call(const double* operands, double* results) const override;
  program::CallbackPointer pullback() const override;
  program::CallbackPointer succeeds() const override;
  const void* key() const override;
  std::string name() const override;

  // What a pickle holds: the function, its rule or None, the structures, the kind, and the
  // outcome or (). And back; throws FormatError.
  py::tuple to_parts() const;
  static std::shared_ptr<const PythonCallback> of_parts(const py::tuple& parts);

private:
  void call_function(const double* operands, double* results) const;
  void call_rule(const double* operands, double* results) const;
  bool comes_out_alike(const program::CallResult& result) const;

  const std::shared_ptr<const CallbackFunction> function_;
  const Kind kind_;
  const std::shared_ptr<const py::tuple> outcome_ = nullptr; // of FailsAlike
};

} // namespace arenagrad::bindings
