#include "plain_parts.h"

#include <pybind11/stl.h>

#include <array>

#include "user_classes.h"

namespace arenagrad::bindings {

using Kind = TreeNode::Kind;
using core::FormatError;

namespace {

constexpr std::array<const char*, 10> kKinds = {"number",     "array",   "list",   "tuple",
                                                "dict",       "module",  "static", "dataclass",
                                                "registered", "keywords"};
constexpr std::size_t kMostNumbers = 0xffffffffu; // what a program can have as inputs

[[noreturn]] void refuse_parts(const char* why) {
  throw FormatError(std::string("a saved structure has ") + why);
}

class PartsReader {
public:
  explicit PartsReader(const py::tuple& parts) : parts_(parts) {}

  PyTree read() {
    node();
    if (next_ != parts_.size()) refuse_parts("parts that belong to nothing");
    return builder_.finish();
  }

private:
  void node() {
    if (next_ == parts_.size()) refuse_parts("too few parts");
    const py::object part = parts_[next_++];
    if (!PyTuple_Check(part.ptr()) || PyTuple_GET_SIZE(part.ptr()) != 4)
      refuse_parts("a part of no kind");
    const auto fields = py::reinterpret_borrow<py::tuple>(part);
    const Kind kind = kind_named(fields[0]);
    const bool varies = truth(fields[1]);
    const py::object size = fields[2], extra = fields[3];
    switch (kind) {
    case Kind::Number:
      if (!size.is_none()) refuse_parts("a number of some size");
      return leaf(kind, 1, {}, extra_of(extra), varies);
    case Kind::Array: {
      Shape shape = shape_of(size);
      const std::size_t numbers = size_of(shape);
      return leaf(kind, numbers, std::move(shape), none(extra), varies);
    }
    case Kind::Module: {
      const py::object model = extra_of(extra);
      if (!model) refuse_parts("a Module that is none");
      return leaf(kind, count(size), {}, model, varies);
    }
    case Kind::Static: {
      const py::object object = extra_of(extra);
      if (!object || !size.is_none()) refuse_parts("an object that is none");
      return leaf(kind, 0, {}, object, varies);
    }
    case Kind::List:
      return branch(kind, none(extra), count(size));
    case Kind::Tuple: {
      const py::object type = extra_of(extra);
      if (!type || !PyType_Check(type.ptr()) ||
          !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type.ptr()), &PyTuple_Type))
        refuse_parts("a tuple of another type");
      return branch(kind, type, count(size));
    }
    case Kind::Dict: {
      const py::object keys = extra_of(extra);
      if (!keys || !PyTuple_CheckExact(keys.ptr()) || py::len(keys) != count(size) ||
          py::len(py::set(keys)) != count(size))
        refuse_parts("a dict with other keys");
      return branch(kind, keys, count(size));
    }
    case Kind::Keywords: {
      const py::object names = extra_of(extra);
      if (!names || !PyTuple_CheckExact(names.ptr()) || py::len(names) != count(size))
        refuse_parts("arguments of other names");
      for (const py::handle name : names)
        if (!PyUnicode_CheckExact(name.ptr())) refuse_parts("an argument of no name");
      return branch(kind, names, count(size));
    }
    case Kind::Dataclass:
    case Kind::Registered:
      return user_object(kind, extra_of(extra), count(size));
    }
  }

  void user_object(Kind kind, const py::object& extra, std::size_t children) {
    py::object made = checked_extra(kind, extra);
    if (!made)
      refuse_parts(kind == Kind::Dataclass ? "a dataclass that has other fields now"
                                           : "an object whose class is not registered here");
    if (kind == Kind::Dataclass && children != fields_in(made))
      refuse_parts("a dataclass with other fields");
    branch(kind, std::move(made), children);
  }

  void branch(Kind kind, py::object extra, std::size_t children) {
    const std::size_t opened = builder_.open(kind, std::move(extra));
    for (std::size_t k = 0; k < children; ++k) node();
    builder_.close(opened);
  }

  void leaf(Kind kind, std::size_t numbers, Shape shape, py::object extra, bool varies) {
    numbers_ += numbers;
    if (numbers_ > kMostNumbers) refuse_parts("more numbers than there can be");
    builder_.leaf(kind, numbers, std::move(shape), std::move(extra), varies);
  }

  static Kind kind_named(const py::object& name) {
    if (PyUnicode_CheckExact(name.ptr()))
      for (std::size_t k = 0; k < kKinds.size(); ++k)
        if (PyUnicode_CompareWithASCIIString(name.ptr(), kKinds[k]) == 0)
          return static_cast<Kind>(k);
    refuse_parts("a part of no kind");
  }
  static bool truth(const py::object& object) {
    if (!PyBool_Check(object.ptr())) refuse_parts("a part of no kind");
    return object.ptr() == Py_True;
  }
  static std::size_t count(const py::object& object) {
    if (!PyLong_CheckExact(object.ptr())) refuse_parts("a part of no size");
    const std::size_t count = PyLong_AsSize_t(object.ptr());
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      refuse_parts("a part of no size");
    }
    if (count > kMostNumbers) refuse_parts("more numbers than there can be");
    return count;
  }
  static Shape shape_of(const py::object& object) {
    constexpr std::size_t kMostDimensions = 32; // of NumPy's arrays
    if (!PyTuple_CheckExact(object.ptr()) || py::len(object) > kMostDimensions)
      refuse_parts("an array of no shape");
    Shape shape;
    std::size_t size = 1; // were no dimension 0
    for (const py::handle length : object) {
      shape.push_back(static_cast<py::ssize_t>(count(py::reinterpret_borrow<py::object>(length))));
      if (shape.back() != 0) size *= static_cast<std::size_t>(shape.back());
      if (size > kMostNumbers) refuse_parts("more numbers than there can be");
    }
    return shape;
  }
  // The object of (object,), null for ().
  static py::object extra_of(const py::object& extra) {
    if (!PyTuple_CheckExact(extra.ptr()) || PyTuple_GET_SIZE(extra.ptr()) > 1)
      refuse_parts("a part of no kind");
    if (PyTuple_GET_SIZE(extra.ptr()) == 0) return {};
    return py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(extra.ptr(), 0));
  }
  static py::object none(const py::object& extra) {
    if (extra_of(extra)) refuse_parts("a part of another kind");
    return {};
  }

  const py::tuple& parts_;
  PyTreeBuilder builder_;
  std::size_t next_ = 0, numbers_ = 0;
};

} // namespace

py::tuple to_parts(const PyTree& structure) {
  const std::vector<TreeNode>& nodes = structure.nodes();
  py::tuple parts(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const TreeNode& node = nodes[i];
    const auto kind = static_cast<std::size_t>(node.kind);
    py::object size = py::none();
    if (node.kind == Kind::Array)
      size = py::tuple(py::cast(node.shape));
    else if (node.kind == Kind::Module)
      size = py::int_(node.numbers);
    else if (node.kind != Kind::Number && node.kind != Kind::Static)
      size = py::int_(node.children);
    const py::tuple extra = node.extra ? py::make_tuple(node.extra) : py::tuple();
    parts[i] = py::make_tuple(py::str(kKinds[kind]), node.varies, size, extra);
  }
  return parts;
}

PyTree from_parts(const py::tuple& parts) { return PartsReader(parts).read(); }

} // namespace arenagrad::bindings
