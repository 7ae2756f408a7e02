#include "numpy.h"

namespace arenagrad::bindings {

std::size_t size_of(const Shape& shape) {
  std::size_t size = 1;
  for (const py::ssize_t n : shape) size *= static_cast<std::size_t>(n);
  return size;
}

namespace {

// Of these it is known without asking NumPy, whose import takes longer than a whole call.
bool is_plain_object(PyObject* object) {
  return PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyFloat_CheckExact(object) ||
         object == Py_None || is_value(object) || PyUnicode_Check(object);
}

py::handle value_array_class() {
  static PyObject* type = nullptr;
  once(type, [] { return py::module_::import("arenagrad.arrays").attr("ValueArray"); });
  return type;
}

// Whether it is of one of the classes of arrays that change nothing of what elements are and do.
bool is_known_subclass(PyObject* object) {
  static PyObject* types = nullptr;
  once(types, [] {
    const auto numpy = py::module_::import("numpy");
    return py::make_tuple(value_array_class(), numpy.attr("memmap"), numpy.attr("recarray"));
  });
  PyObject* const type = reinterpret_cast<PyObject*>(Py_TYPE(object));
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(types); ++k)
    if (type == PyTuple_GET_ITEM(types, k)) return true;
  return false;
}

} // namespace

bool is_array(PyObject* object) {
  if (is_plain_object(object) || !py::isinstance<py::array>(py::handle(object))) return false;
  auto* const array = reinterpret_cast<PyTypeObject*>(py::detail::npy_api::get().PyArray_Type_);
  return Py_IS_TYPE(object, array) || is_known_subclass(object);
}

bool is_array_like(PyObject* object) {
  if (is_plain_object(object) || !PySequence_Check(object) || PyList_Check(object) ||
      PyTuple_Check(object) || PyDict_Check(object) || PyType_Check(object))
    return false;
  return is_array(object) || has_attribute(object, "__array__") ||
         has_attribute(object, "__array_interface__");
}

py::array value_array(const Shape& shape) {
  static PyObject* objects = nullptr;
  once(objects, [] { return py::dtype("O"); });
  const auto& api = py::detail::npy_api::get();
  auto made = py::reinterpret_steal<py::object>(api.PyArray_NewFromDescr_(
      reinterpret_cast<PyTypeObject*>(value_array_class().ptr()), Py_NewRef(objects),
      static_cast<int>(shape.size()), shape.data(), nullptr, nullptr, 0, nullptr));
  if (!made) throw py::error_already_set();
  return made;
}

py::object as_value_array(const py::object& object) {
  if (!is_array(object.ptr()) || kind_of(object.ptr()) != 'O') return object;
  return object.attr("view")(value_array_class());
}

namespace {

// A subclass may have methods of its own, and what they give need not be what the array holds.
void need_count(PyObject* array, py::ssize_t count) {
  if (count != py::reinterpret_borrow<py::array>(array).size())
    throw py::value_error(std::string("an array of the class ") + Py_TYPE(array)->tp_name +
                          " gives another number of elements than its shape says");
}

} // namespace

py::array as_doubles(PyObject* array) {
  using Contiguous = py::array_t<double, py::array::c_style | py::array::forcecast>;
  auto numbers = Contiguous(py::reinterpret_borrow<py::object>(array));
  need_count(array, numbers.size());
  return numbers;
}

py::list elements_of(PyObject* array) {
  py::list elements = py::handle(array).attr("ravel")().attr("tolist")();
  need_count(array, static_cast<py::ssize_t>(elements.size()));
  return elements;
}

} // namespace arenagrad::bindings
