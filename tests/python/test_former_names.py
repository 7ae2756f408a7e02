"""Names that pickles of earlier versions hold are still found in the native module."""

import pickle

import pytest

import arenagrad
from arenagrad import _core
from arenagrad._core import compiled

FORMER = {
    "Tree": compiled.PyTree,
    "Runner": compiled.PointExecutable,
    "LaneRunner": compiled.BatchExecutable,
    "Call": compiled.NativeDispatch,
    "Instructions": compiled.Program,
    "_Arriving": vars(_core)["_GraphDecoder"],
    "_Arrived": vars(_core)["_DecodedPart"],
    "_pick": vars(_core)["_value_of_part"],
}


def global_named(name: str) -> object:
    """What a pickle that names this in the native module gives."""
    return pickle.loads(f"carenagrad._core\n{name}\n.".encode())


@pytest.mark.parametrize("name", FORMER)
def test_renamed_classes_are_found_under_their_former_names(name: str) -> None:
    assert global_named(name) is FORMER[name]


@pytest.mark.parametrize("module", ["functions", "optim", "compiled"])
def test_all_of_a_submodule_is_found_in_the_module_it_was_moved_from(module: str) -> None:
    submodule = getattr(_core, module)
    for name in vars(submodule):
        if not name.startswith("_"):
            assert global_named(name) is getattr(submodule, name)


def test_pickled_functions_come_back_as_the_very_functions() -> None:
    for name in arenagrad.functions.__all__:
        function = getattr(arenagrad, name)
        assert pickle.loads(pickle.dumps(function)) is function


def test_names_that_never_were_are_refused_as_in_any_module() -> None:
    for name in ("nothing", "_nothing", "__all__", "__path__"):
        with pytest.raises(AttributeError, match=f"'arenagrad._core' has no attribute '{name}'"):
            getattr(_core, name)
