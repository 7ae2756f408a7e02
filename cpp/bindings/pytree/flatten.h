// Numbers out of objects: of objects whose structure is known, and of arguments and results whose
// structure is found meanwhile. Needs the GIL. Cost: some 10 ns a number that is no array's, 1 ns
// one that is.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

// The arguments of a call as Python gives them. Those by name may be among more names and objects
// in which they are not, and are not looked at.
struct GivenArguments {
  PyObject* const* objects = nullptr;
  std::size_t count = 0;              // by position
  PyObject* names = nullptr;          // a tuple
  PyObject* const* by_name = nullptr; // one for each name
  std::size_t named = 0;              // how many of the names are those of arguments
};

// Reads the numbers of arguments of this very structure, a Tuple. False, with nothing but `out`
// changed, if the structure is another one or there are Values among them. With `values`, Values
// and the parameters of Modules count as numbers and are added there.
bool flatten_arguments(const PyTree& structure, const GivenArguments& given, double* out,
                       PlacedValues* values = nullptr);

// The numbers of an object of this structure, in which arrays may stand for lists and lists for
// tuples; throws TypeError, saying that `what` must have the structure, if it has another one.
// With `values`, Values count as numbers and are added there.
std::vector<double> flatten(const PyTree& structure, const py::object& object, const char* what,
                            PlacedValues* values = nullptr);

struct FlatArguments {
  PyTree structure; // of the tuple of all
  std::vector<double> numbers;
  bool has_values = false; // then the rest means nothing
};
// `statics` says of each argument whether it is static whatever it is, `static_names` which of
// those by name are. With `values`, Values and the parameters of Modules are numbers that are added
// there, and has_values stays false. Throws TypeError for what is neither a number nor hashable.
FlatArguments flatten_unknown_arguments(const py::tuple& arguments,
                                        const std::vector<bool>& statics, const py::dict& keywords,
                                        const py::object& static_names,
                                        PlacedValues* values = nullptr);

struct FlatResults {
  PyTree structure;
  std::vector<py::object> values; // one for each number; numbers have become leaves
};
// Of a function with these arguments. Throws TypeError for what it must not return.
FlatResults flatten_results(const py::object& results, const PyTree& arguments);

} // namespace arenagrad::bindings
