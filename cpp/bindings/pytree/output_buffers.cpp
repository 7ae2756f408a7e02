#include "output_buffers.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "unflatten.h"
#include "user_classes.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;

namespace {

// Calls use(shape, count, whether it has rows) for each of a structure's OutputBuffers.
template <class Use> void each_buffer_of(const PyTree& results, Use&& use) {
  std::size_t shared = 0; // numbers for the next shared buffer
  const auto end_shared = [&] {
    if (shared != 0) use(Shape{static_cast<py::ssize_t>(shared)}, shared, false);
    shared = 0;
  };
  for (const TreeNode& node : results.nodes()) {
    if (node.is_branch() || node.kind == Kind::Static) continue;
    if (shares_buffer(node)) {
      ++shared;
      continue;
    }
    end_shared();
    use(node.shape, node.numbers, node.varies);
  }
  end_shared();
}

[[noreturn]] void refuse_out(const std::string& why) {
  throw py::type_error("out must have an array of float64, contiguous and writable, for each array "
                       "and list of numbers of the result" +
                       why);
}

// Walks `out` beside the structure of the results. `use(array, count)` is called for each array in
// order, with how many numbers it takes.
template <class Use> class OutReader {
public:
  OutReader(const std::vector<TreeNode>& nodes, Use& use) : nodes_(nodes), use_(use) {}

  void read(PyObject* out) {
    if (is_array(out)) return read_array(out);
    const TreeNode& node = nodes_[next_++];
    if (node.kind == Kind::Static) return;
    if (node.kind == Kind::Number || node.kind == Kind::Array)
      refuse_out(std::string(", got ") + Py_TYPE(out)->tp_name);
    if (node.is_user_object()) return read_user_object(node, out);
    const auto size = static_cast<std::size_t>(PyObject_Size(out));
    if (PyErr_Occurred()) throw py::error_already_set();
    const bool dict = node.kind == Kind::Dict;
    const bool fits = dict ? PyDict_Check(out) : PyList_Check(out) || PyTuple_Check(out);
    if (!fits || size != node.children) refuse_out(", in the same structure");
    for (std::size_t k = 0; k < node.children; ++k) {
      PyObject* item = dict ? PyDict_GetItemWithError(out, PyTuple_GET_ITEM(node.extra.ptr(), k))
                            : PySequence_Fast_GET_ITEM(out, k);
      if (item == nullptr) refuse_out(", in the same structure");
      read(item);
    }
  }

private:
  void read_user_object(const TreeNode& node, PyObject* out) {
    const std::optional<py::tuple> children = children_like(node, out);
    if (!children) refuse_out(", in the same structure");
    for (const py::handle child : *children) read(child.ptr());
  }

  // Takes the numbers of the whole subtree.
  void read_array(PyObject* array) {
    const TreeNode& node = nodes_[next_];
    const int writable = py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    if (!holds_doubles(array, true) || !(array_view(array)->flags & writable))
      refuse_out(", got one of another kind");
    // By far the most frequent; uniform_shape() copies shapes.
    const bool same = node.kind == Kind::Array && has_shape(array, node.shape);
    if (!same) check_uniform(array);
    next_ = node.end;
    use_(array, node.numbers);
  }

  void check_uniform(PyObject* array) const {
    Shape shape;
    if (!uniform_shape(nodes_, next_, shape)) refuse_out(", got one where there is none");
    if (!has_shape(array, shape))
      throw py::value_error("a buffer in out must have the shape " +
                            std::string(py::str(py::tuple(py::cast(shape)))) + ", got " +
                            std::string(py::str(py::handle(array).attr("shape"))));
  }

  const std::vector<TreeNode>& nodes_;
  Use& use_;
  std::size_t next_ = 0;
};

template <class Use> void each_array_in(const PyTree& results, const py::object& out, Use&& use) {
  OutReader(results.nodes(), use).read(out.ptr());
}

void refuse_shared_memory(const std::vector<py::object>& arrays) {
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

OutputBuffers new_output_buffers(const PyTree& results) {
  OutputBuffers buffers;
  each_buffer_of(results, [&](const Shape& shape, std::size_t count, bool has_rows) {
    buffers.arrays.push_back(py::array_t<double>(shape));
    buffers.has_rows.push_back(has_rows);
    std::fill_n(static_cast<double*>(buffers.arrays.back().mutable_data()), count, 0.0);
  });
  return buffers;
}

OutputBuffers output_buffers_in(const PyTree& results, const py::object& out) {
  std::vector<py::object> given;
  std::vector<std::size_t> sizes;
  each_array_in(results, out, [&](PyObject* array, std::size_t count) {
    given.push_back(py::reinterpret_borrow<py::object>(array));
    sizes.push_back(count);
  });
  refuse_shared_memory(given);
  OutputBuffers buffers;
  std::size_t current = 0, used = 0; // of `given`
  each_buffer_of(results, [&](const Shape& shape, std::size_t count, bool has_rows) {
    std::size_t left = count;
    do { // once for an empty array, too
      while (current + 1 < sizes.size() && used == sizes[current]) {
        ++current;
        used = 0;
      }
      const std::size_t n = std::min(left, sizes.at(current) - used);
      const Shape piece = n == count ? shape : Shape{static_cast<py::ssize_t>(n)};
      const py::object& memory = given.at(current);
      buffers.arrays.push_back(py::array_t<double>(piece, doubles(memory.ptr()) + used, memory));
      buffers.has_rows.push_back(has_rows);
      used += n;
      left -= n;
    } while (left != 0);
  });
  return buffers;
}

void check_out(const PyTree& results, const py::object& out) {
  each_array_in(results, out, [](PyObject*, std::size_t) {});
}

void write_to_out(const PyTree& results, const py::object& out, const double* numbers) {
  each_array_in(results, out, [&](PyObject* array, std::size_t count) {
    std::copy_n(numbers, count, const_cast<double*>(doubles(array)));
    numbers += count;
  });
}

} // namespace arenagrad::bindings
