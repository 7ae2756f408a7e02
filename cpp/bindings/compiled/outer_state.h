// What a function found beyond its arguments when it was traced: the contents of its closure cells,
// the globals that its code names, defaults, and fields of the objects that it was given. A program
// is the function's only as long as these are the same objects; what lies deeper is frozen.
//
// Invariants: immutable but for what it remembers about dicts; holds every object that it compares,
// so none can be mistaken for another one at its address. Needs the GIL. Cost of is_current(): some
// 2 ns a cell, 1 ns a function, 5 ns a holder of which neither dict nor class has been changed
// since (CPython 3.11; later ones do not tell, but of a class), and 5 ns a name in others.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <vector>

namespace arenagrad::bindings {

namespace py = pybind11;

class OuterState {
public:
  // Of these cells, and of the names in each holder: a dict of globals, a class, an object with
  // fields, or a function with defaults. Names may be missing. The functions keep their code.
  OuterState(const py::tuple& cells, const py::list& holders, const py::tuple& functions);

  // Whether everything is as it was found. Runs no Python code.
  bool is_current() const;
  int traverse(visitproc visit, void* arg) const;

private:
  struct Cell {
    py::object cell, value; // null: empty
  };
  struct FunctionCode {
    py::object function, code;
  };
  struct Name {
    py::object name, value; // null: missing
  };
  struct Holder {
    Holder(py::object object, const py::tuple& all);
    bool is_current() const;
    void set_has_slots() const;

    py::object holder;
    std::vector<Name> names;
    // When all names were last found as they are here: whether some were slots, and the versions of
    // the dict that is the holder, or that it has, and of its class, or of the class that it is.
    mutable bool has_slots = false;
    mutable unsigned class_version = 0;
    mutable std::uint64_t version = 0;
  };

  std::vector<Cell> cells_;
  std::vector<Holder> holders_;
  std::vector<FunctionCode> codes_;
};

} // namespace arenagrad::bindings
