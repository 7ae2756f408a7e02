#include "former_names.h"

#include <string>

#include "bindings/value/value.h"

namespace arenagrad::bindings {
namespace {

namespace py = pybind11;

struct FormerName {
  const char* former;
  const char* submodule; // null: the module itself
  const char* name;
};

// A pickle holds a class or function by module and name. Classes that only lost their place are
// found below without a row here.
constexpr FormerName kFormerNames[] = {
    {"Tree", "compiled", "PyTree"},
    {"Runner", "compiled", "PointExecutable"},
    {"LaneRunner", "compiled", "BatchExecutable"},
    {"Call", "compiled", "NativeDispatch"},
    {"Instructions", "compiled", "Program"},
    {"_Arriving", nullptr, "_GraphDecoder"},
    {"_Arrived", nullptr, "_DecodedPart"},
    {"_pick", nullptr, "_value_of_part"},
};

// Until 0.1 everything lay in arenagrad._core itself, under the name that it still has.
constexpr const char* kSubmodules[] = {"functions", "optim", "compiled"};

py::object find_former_name(py::handle module, const std::string& name) {
  for (const FormerName& row : kFormerNames) {
    if (name != row.former) continue;
    if (row.submodule == nullptr) return module.attr(row.name);
    return module.attr(row.submodule).attr(row.name);
  }
  if (!name.starts_with('_'))
    for (const char* submodule : kSubmodules)
      if (has_attribute(module.attr(submodule), name.c_str()))
        return module.attr(submodule).attr(name.c_str());
  throw py::attribute_error("module 'arenagrad._core' has no attribute '" + name + "'");
}

} // namespace

void bind_former_names(py::module_& module) {
  // Borrowed: the module holds this function.
  const py::handle itself = module;
  module.def(
      "__getattr__", [itself](const std::string& name) { return find_former_name(itself, name); },
      py::arg("name"), "What earlier versions of this module had under this name.");
}

} // namespace arenagrad::bindings
