// The functions of BLAS and LAPACK that SciPy exports. Where it is not installed, or exports
// others, matrices are computed with by plain loops.
#include "lapack.h"

#include "core/lapack.h"
#include "scipy_functions.h"

namespace arenagrad::bindings {
namespace {

#define ARENAGRAD_NUMBERS(module) "__pyx_t_5scipy_6linalg_" module "_d *"
#define ARENAGRAD_LAPACK_NUMBERS ARENAGRAD_NUMBERS("13cython_lapack")
#define ARENAGRAD_BLAS_NUMBERS ARENAGRAD_NUMBERS("11cython_blas")
constexpr char kPotrf[] = "void (char *, int *, " ARENAGRAD_LAPACK_NUMBERS ", int *, int *)";
constexpr char kGetrf[] = "void (int *, int *, " ARENAGRAD_LAPACK_NUMBERS ", int *, int *, int *)";
constexpr char kGetrs[] = "void (char *, int *, int *, " ARENAGRAD_LAPACK_NUMBERS
                          ", int *, int *, " ARENAGRAD_LAPACK_NUMBERS ", int *, int *)";
constexpr char kTrsm[] =
    "void (char *, char *, char *, char *, int *, int *, " ARENAGRAD_BLAS_NUMBERS
    ", " ARENAGRAD_BLAS_NUMBERS ", int *, " ARENAGRAD_BLAS_NUMBERS ", int *)";
constexpr char kTrsv[] = "void (char *, char *, char *, int *, " ARENAGRAD_BLAS_NUMBERS
                         ", int *, " ARENAGRAD_BLAS_NUMBERS ", int *)";
constexpr char kGemm[] = "void (char *, char *, int *, int *, int *, " ARENAGRAD_BLAS_NUMBERS
                         ", " ARENAGRAD_BLAS_NUMBERS ", int *, " ARENAGRAD_BLAS_NUMBERS
                         ", int *, " ARENAGRAD_BLAS_NUMBERS ", " ARENAGRAD_BLAS_NUMBERS ", int *)";
#undef ARENAGRAD_NUMBERS
#undef ARENAGRAD_LAPACK_NUMBERS
#undef ARENAGRAD_BLAS_NUMBERS

// The exports of a module; empty where it cannot be imported.
py::dict exports(const char* module) {
  try {
    return py::module_::import(module).attr("__pyx_capi__");
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    return {};
  }
}

bool load() {
  const py::dict lapack = exports("scipy.linalg.cython_lapack");
  const py::dict blas = exports("scipy.linalg.cython_blas");
  core::Lapack found;
  const auto find = [](auto& function, const py::dict& functions, const char* name,
                       const char* signature) {
    void* const exported = exported_by_scipy(functions, {name}, signature);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(exported);
    return exported != nullptr;
  };
  const bool all =
      find(found.potrf, lapack, "dpotrf", kPotrf) && find(found.getrf, lapack, "dgetrf", kGetrf) &&
      find(found.getrs, lapack, "dgetrs", kGetrs) && find(found.trsm, blas, "dtrsm", kTrsm) &&
      find(found.trsv, blas, "dtrsv", kTrsv) && find(found.gemm, blas, "dgemm", kGemm);
  if (all) core::lapack = found;
  return all;
}

} // namespace

void need_lapack(std::size_t rows) {
  static const bool is_loaded = load();
  if (!is_loaded && rows > kMostRowsWithoutLapack)
    throw py::import_error("matrices of more than " + std::to_string(kMostRowsWithoutLapack) +
                           " rows take LAPACK from SciPy, which is not installed: pip install "
                           "'arenagrad[linalg]'");
}

} // namespace arenagrad::bindings
