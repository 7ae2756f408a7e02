// Objects out of numbers or Values, given their structure. Needs the GIL.
#pragma once

#include "pytree.h"

namespace arenagrad::bindings {

// An object of floats and new arrays. What a function gave without Values comes as it was.
py::object unflatten(const PyTree& structure, const double* numbers);
// With these Values in place of numbers, in arrays of objects where there are arrays.
py::object unflatten_values(const PyTree& structure, const std::vector<py::object>& values);
// Of numbers in new_output_buffers(structure); the arrays may become part of the object.
py::object unflatten_buffers(const PyTree& structure, const std::vector<py::array>& buffers);
// The in_axes of arguments of this structure: 0 for what varies, None for what does not.
py::object in_axes_of(const PyTree& arguments);

// Whether the number of a leaf lies in one buffer with those before and behind it.
inline bool shares_buffer(const TreeNode& leaf) {
  return leaf.kind == TreeNode::Kind::Number && !leaf.varies;
}

} // namespace arenagrad::bindings
