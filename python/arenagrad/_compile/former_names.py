"""Names under which pickles of earlier versions look for classes and functions of this package.

pickle imports a module by its name and asks it for an attribute. The modules below no longer exist
as files; each stands in `sys.modules` with the attributes that pickles ask it for. The native
module finds its own former names itself.
"""

import sys
from types import ModuleType
from typing import Any

from arenagrad._compile.compiled import BoundMethod, restored
from arenagrad._compile.program_file import CallConvention
from arenagrad._compile.trace_cache import TraceVariant, _restored_cache
from arenagrad._compile.transforms import DerivedProgram

_FORMER: dict[str, dict[str, Any]] = {
    "arenagrad._bound": {"Bound": BoundMethod},
    "arenagrad._compiled": {"_restored": restored},
    "arenagrad._paths": {"Path": TraceVariant, "_named_paths": _restored_cache},
    "arenagrad._saved": {"Calling": CallConvention},
    "arenagrad._stages": {"Stage": DerivedProgram},
}


def register_former_names() -> None:
    """Let pickles of earlier versions find what they name."""
    for module, attributes in _FORMER.items():
        former = ModuleType(module, "A module of an earlier version, for its pickles only.")
        vars(former).update(attributes)
        sys.modules.setdefault(module, former)
