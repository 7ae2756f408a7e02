// The special functions of SciPy, as the C functions that it exports for Cython.
#include "special.h"

#include <string>

#include "core/special.h"
#include "scipy_functions.h"

namespace arenagrad::bindings {
namespace {

constexpr char kUnary[] = "double (double, int __pyx_skip_dispatch)";
constexpr char kBinary[] = "double (double, double, int __pyx_skip_dispatch)";
constexpr char kTernary[] = "double (double, double, double, int __pyx_skip_dispatch)";

// The C function of this name that has this signature. SciPy numbers its variants for each type.
void* exported(const py::dict& functions, const std::string& name, const char* signature) {
  void* const found =
      exported_by_scipy(functions, {name, "__pyx_fuse_0" + name, "__pyx_fuse_1" + name}, signature);
  if (found != nullptr) return found;
  throw py::import_error("this version of SciPy exports no function " + name +
                         " of doubles: install another, pip install 'arenagrad[special]'");
}

py::dict exports_of_scipy(core::Op op) {
  try {
    return py::module_::import("scipy.special.cython_special").attr("__pyx_capi__");
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    const std::string message = std::string(core::op_info(op).name) +
                                "() is a function of SciPy's, which is not installed: pip install "
                                "'arenagrad[special]'";
    py::raise_from(error, PyExc_ImportError, message.c_str());
    throw py::error_already_set();
  }
}

} // namespace

void load_special(core::Op op) {
  core::SpecialFunctions& known = core::special_functions;
  if (known.betainc != nullptr) return;
  const py::dict functions = exports_of_scipy(op);
  using Unary = core::SpecialFunctions::Unary;
  known.erfinv = reinterpret_cast<Unary>(exported(functions, "erfinv", kUnary));
  known.norm_ppf = reinterpret_cast<Unary>(exported(functions, "ndtri", kUnary));
  using Binary = core::SpecialFunctions::Binary;
  known.gammainc = reinterpret_cast<Binary>(exported(functions, "gammainc", kBinary));
  using Ternary = core::SpecialFunctions::Ternary;
  known.betainc = reinterpret_cast<Ternary>(exported(functions, "betainc", kTernary));
}

} // namespace arenagrad::bindings
