// Objects from numbers whose structure is known.
#include <pybind11/stl.h>

#include <algorithm>

#include "numpy.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

namespace {

// Puts lists, tuples and dicts together; `leaf(branch)` makes what stands at the leaves, in order.
template <class Leaf> class Maker {
public:
  Maker(const std::vector<TreeNode>& branches, Leaf& leaf) : branches_(branches), leaf_(leaf) {}

  py::object make() {
    const TreeNode& branch = branches_[next_++];
    switch (branch.kind) {
    case Kind::List: {
      py::list list(branch.children);
      for (std::size_t k = 0; k < branch.children; ++k)
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(k), make().release().ptr());
      return list;
    }
    case Kind::Tuple: {
      py::tuple tuple(branch.children);
      for (std::size_t k = 0; k < branch.children; ++k)
        PyTuple_SET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(k), make().release().ptr());
      if (branch.extra.ptr() == reinterpret_cast<PyObject*>(&PyTuple_Type)) return tuple;
      if (py::hasattr(branch.extra, "_fields")) return branch.extra(*tuple);
      return branch.extra(tuple);
    }
    case Kind::Dict: {
      py::dict dict;
      for (const py::handle key : py::reinterpret_borrow<py::tuple>(branch.extra))
        dict[key] = make();
      return dict;
    }
    case Kind::Static: // an array may be changed by whoever gets it
      return is_array(branch.extra.ptr()) ? py::object(branch.extra.attr("copy")()) : branch.extra;
    default:
      return leaf_(branch);
    }
  }

private:
  const std::vector<TreeNode>& branches_;
  Leaf& leaf_;
  std::size_t next_ = 0;
};

template <class Leaf> py::object made(const std::vector<TreeNode>& branches, Leaf&& leaf) {
  return Maker(branches, leaf).make();
}

// Has numbers of its own, or might have.
bool is_leaf(const TreeNode& branch) {
  return branch.kind == Kind::Number || branch.kind == Kind::Array || branch.kind == Kind::Module;
}

// Whether its number has a place among those before and after it.
bool joins(const TreeNode& branch) { return branch.kind == Kind::Number && !branch.varies; }

// Calls use(shape, count, whether it has an axis of rows) for each of a tree's Rooms.
template <class Use> void each_room(const std::vector<TreeNode>& branches, Use&& use) {
  std::size_t joined = 0;
  const auto end = [&] {
    if (joined != 0) use(Shape{static_cast<py::ssize_t>(joined)}, joined, false);
    joined = 0;
  };
  for (const TreeNode& branch : branches) {
    if (!is_leaf(branch)) continue;
    if (joins(branch)) {
      ++joined;
      continue;
    }
    end();
    use(branch.shape, branch.numbers, branch.varies);
  }
  end();
}

py::array object_array(const Shape& shape) {
  static PyObject* empty = nullptr;
  once(empty, [] { return py::module_::import("numpy").attr("empty"); });
  return py::handle(empty)(py::tuple(py::cast(shape)), py::str("O"));
}

} // namespace

py::object PyTree::make(const double* numbers) const {
  return made(branches_, [&](const TreeNode& branch) -> py::object {
    if (branch.kind == Kind::Number) {
      const double number = *numbers++;
      if (branch.extra) return branch.extra;
      return py::float_(number);
    }
    py::array_t<double> array(branch.shape);
    std::copy_n(numbers, branch.numbers, array.mutable_data());
    numbers += branch.numbers;
    return array;
  });
}

py::object PyTree::make_of(const std::vector<py::object>& leaves) const {
  auto next = leaves.begin();
  return made(branches_, [&](const TreeNode& branch) -> py::object {
    if (branch.kind == Kind::Number) return *next++;
    if (branch.kind == Kind::Module) {
      next += static_cast<std::ptrdiff_t>(branch.numbers);
      return branch.extra;
    }
    py::array array = object_array(branch.shape);
    auto** places = static_cast<PyObject**>(array.mutable_data());
    for (std::size_t k = 0; k < branch.numbers; ++k)
      Py_XSETREF(places[k], Py_NewRef((next++)->ptr()));
    return array;
  });
}

py::object PyTree::make_of_arrays(const std::vector<py::array>& arrays) const {
  auto next = arrays.begin();
  const double* number = nullptr; // of those that follow one another
  py::ssize_t left = 0;
  return made(branches_, [&](const TreeNode& branch) -> py::object {
    if (!joins(branch)) return *next++;
    if (left == 0) {
      number = static_cast<const double*>(next->data());
      left = (next++)->size();
    }
    --left;
    const double y = *number++;
    return branch.extra ? branch.extra : py::float_(y);
  });
}

// --- buffers ------------------------------------------------------------------------------------

namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw py::type_error("out must have an array of float64, contiguous and writable, for each array "
                       "and list of numbers of the result" +
                       why);
}

// Calls use(array, count) for each array in `out`, in order.
template <class Use>
void each_buffer(const std::vector<TreeNode>& branches, std::size_t& i, PyObject* out, Use&& use) {
  const TreeNode& branch = branches[i];
  if (is_array(out)) {
    Shape shape;
    const int writable = py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    if (!holds_doubles(out, true) || !(array_view(out)->flags & writable))
      refuse(", got one of another kind");
    if (branch.kind == Kind::Array && has_shape(out, branch.shape)) { // by far the most frequent
      ++i;
      return use(out, branch.numbers);
    }
    if (!uniform_shape(branches, i, shape)) refuse(", got one where there is none");
    if (!has_shape(out, shape))
      throw py::value_error("a buffer in out must have the shape " +
                            std::string(py::str(py::tuple(py::cast(shape)))) + ", got " +
                            std::string(py::str(py::handle(out).attr("shape"))));
    i = branch.end;
    return use(out, branch.numbers);
  }
  ++i;
  if (branch.kind == Kind::Static) return;
  if (branch.kind == Kind::Number || branch.kind == Kind::Array)
    refuse(std::string(", got ") + Py_TYPE(out)->tp_name);
  const auto size = static_cast<std::size_t>(PyObject_Size(out));
  if (PyErr_Occurred()) throw py::error_already_set();
  const bool dict = branch.kind == Kind::Dict;
  if ((dict ? !PyDict_Check(out) : !PyList_Check(out) && !PyTuple_Check(out)) ||
      size != branch.children)
    refuse(", in the same structure");
  for (std::size_t k = 0; k < branch.children; ++k) {
    PyObject* item = dict ? PyDict_GetItemWithError(out, PyTuple_GET_ITEM(branch.extra.ptr(), k))
                          : PySequence_Fast_GET_ITEM(out, k);
    if (item == nullptr) refuse(", in the same structure");
    each_buffer(branches, i, item, use);
  }
}

// Of contiguous arrays.
void refuse_shared(const std::vector<py::object>& arrays) {
  std::vector<std::pair<const double*, const double*>> ranges;
  for (const py::object& array : arrays) {
    const double* const from = doubles(array.ptr());
    ranges.emplace_back(from, from + py::reinterpret_borrow<py::array>(array).size());
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t k = 1; k < ranges.size(); ++k)
    if (ranges[k].first < ranges[k - 1].second)
      throw py::value_error("the arrays in out must not share memory");
}

} // namespace

void PyTree::check_buffers(const py::object& out) const {
  std::size_t i = 0;
  each_buffer(branches_, i, out.ptr(), [](PyObject*, std::size_t) {});
}

void PyTree::write(const py::object& out, const double* numbers) const {
  std::size_t i = 0;
  each_buffer(branches_, i, out.ptr(), [&](PyObject* buffer, std::size_t count) {
    std::copy_n(numbers, count, const_cast<double*>(doubles(buffer)));
    numbers += count;
  });
}

py::object PyTree::axes() const {
  return made(branches_, [](const TreeNode& branch) -> py::object {
    return branch.varies ? py::object(py::int_(0)) : py::none();
  });
}

Rooms PyTree::arrays() const {
  Rooms rooms;
  each_room(branches_, [&](const Shape& shape, std::size_t count, bool varies) {
    rooms.arrays.push_back(py::array_t<double>(shape));
    rooms.varies.push_back(varies);
    std::fill_n(static_cast<double*>(rooms.arrays.back().mutable_data()), count, 0.0);
  });
  return rooms;
}

Rooms PyTree::buffers(const py::object& out) const {
  std::vector<py::object> held;
  std::vector<std::size_t> sizes;
  std::size_t i = 0;
  each_buffer(branches_, i, out.ptr(), [&](PyObject* buffer, std::size_t count) {
    held.push_back(py::reinterpret_borrow<py::object>(buffer));
    sizes.push_back(count);
  });
  refuse_shared(held);
  Rooms rooms;
  std::size_t buffer = 0, used = 0;
  each_room(branches_, [&](const Shape& shape, std::size_t count, bool varies) {
    std::size_t left = count;
    do { // numbers may lie in several buffers
      while (buffer + 1 < sizes.size() && used == sizes[buffer]) ++buffer, used = 0;
      const std::size_t n = std::min(left, sizes.at(buffer) - used);
      const Shape part = n == count ? shape : Shape{static_cast<py::ssize_t>(n)};
      const py::object& memory = held.at(buffer);
      rooms.arrays.push_back(py::array_t<double>(part, doubles(memory.ptr()) + used, memory));
      rooms.varies.push_back(varies);
      used += n, left -= n;
    } while (left != 0);
  });
  return rooms;
}

} // namespace arenagrad::bindings
