// Numbers out of objects: of objects whose structure is known, and of arguments and results whose
// structure is found meanwhile. Needs the GIL. Cost: some 10 ns a number that is no array's, 1 ns
// one that is.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

// Reads the numbers of arguments of this very structure, a Tuple. False, with nothing but `out`
// changed, if the structure is another one or there are Values among them.
bool flatten_arguments(const PyTree& structure, PyObject* const* objects, std::size_t count,
                       double* out);

// The numbers of an object of this structure, in which arrays may stand for lists and lists for
// tuples; throws TypeError, saying that `what` must have the structure, if it has another one.
std::vector<double> flatten(const PyTree& structure, const py::object& object, const char* what);

struct FlatArguments {
  PyTree structure; // of the tuple of all
  std::vector<double> numbers;
  bool has_values = false; // then the rest means nothing
};
// `statics` says of each argument whether it is static whatever it is. Throws TypeError for what is
// neither a number nor hashable.
FlatArguments flatten_unknown_arguments(const py::tuple& arguments,
                                        const std::vector<bool>& statics);

struct FlatResults {
  PyTree structure;
  std::vector<py::object> values; // one for each number; numbers have become leaves
};
// Throws TypeError for what a compiled function must not return.
FlatResults flatten_results(const py::object& results);

} // namespace arenagrad::bindings
