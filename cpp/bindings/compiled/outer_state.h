// What a function found beyond its arguments when it was traced: the contents of its closure cells,
// the globals that its code names, defaults, and fields of the objects that it was given. A program
// is the function's only as long as these are the same objects; what lies deeper is frozen.
//
// Invariants: immutable but for what it remembers about dicts; holds every object that it compares,
// so none can be mistaken for another one at its address. Needs the GIL. Cost of is_current(): some
// 2 ns a cell, and 5 ns a name in a dict that has been changed since.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <vector>

namespace arenagrad::bindings {

namespace py = pybind11;

class OuterState {
public:
  // Of these cells, and of the names in each holder: a dict of globals, a class, an object with
  // fields, or a function with defaults. Names may be missing.
  OuterState(const py::tuple& cells, const py::list& holders);

  // Whether everything is as it was found. Runs no Python code.
  bool is_current() const;
  int traverse(visitproc visit, void* arg) const;

private:
  struct Cell {
    py::object cell, value; // null: empty
  };
  struct Name {
    py::object name, value; // null: missing
  };
  struct Holder {
    bool is_current() const;

    py::object holder;
    std::vector<Name> names;
    mutable std::uint64_t version = 0; // of a dict in which all names were as they are here
  };

  std::vector<Cell> cells_;
  std::vector<Holder> holders_;
};

} // namespace arenagrad::bindings
