"""States of Modules and optimisers in files: what is loaded is what was saved, or an error."""

import io
import json
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arenagrad
from arenagrad import FormatError, Value, nn
from arenagrad.optim import Adam
from oracle import refused


class Mixed(nn.Module):
    """Values in every place that a state looks at, and things it leaves out."""

    def __init__(self, start: float = 0.0) -> None:
        self.name, self.size, self.nothing, self.numbers = "mixed", 3, None, [1, 2]
        self.bias = Value(start)
        self.matrix = [[Value(start + 10 * i + j) for j in range(3)] for i in range(2)]
        self.ragged = [[Value(start + 1)], [Value(start + 2), Value(start + 3)]]
        self.some = (Value(start + 4), "text", 5.0)
        self.array = arenagrad.values(np.full((2, 2), start + 6))
        self.table = {"inner": [Value(start + 7)], 3: Value(start + 8)}
        self.parts = [nn.Neuron(2), nn.Neuron(1)]
        self.again = self.parts[0]
        self.me = self


NAMES = {
    "bias": (),
    "matrix": (2, 3),
    "ragged.0": (1,),
    "ragged.1": (2,),
    "some.0": (),
    "array": (2, 2),
    "table.inner": (1,),
    "table.3": (),
    "parts.0.w": (2,),
    "parts.0.b": (),
    "parts.1.w": (1,),
    "parts.1.b": (),
}


def numbers(module: nn.Module) -> dict[str, list[Any]]:
    return {name: array.tolist() for name, array in module.state_dict().items()}


# Modules


def test_a_state_names_every_value_of_a_module_in_order() -> None:
    state = Mixed().state_dict()
    assert {name: array.shape for name, array in state.items()} == NAMES
    assert list(state) == list(NAMES)
    assert state["matrix"].tolist() == [[0, 1, 2], [10, 11, 12]]
    assert all(array.dtype == np.float64 for array in state.values())
    assert list(nn.MLP(2, [2, 1]).state_dict())[:3] == [
        "layers.0.neurons.0.w",
        "layers.0.neurons.0.b",
        "layers.0.neurons.1.w",
    ]


def test_a_loaded_module_has_the_numbers_of_the_saved_one_and_its_own_values(
    tmp_path: Path,
) -> None:
    saved, loaded = Mixed(0.5), Mixed(2.0)
    kept = loaded.matrix[1][2]
    saved.save(tmp_path / "m.npz")
    loaded.load(str(tmp_path / "m.npz"))
    assert numbers(loaded) == numbers(saved)
    assert loaded.matrix[1][2] is kept
    with np.load(tmp_path / "m.npz") as archive:
        assert archive["matrix"].tolist() == numbers(saved)["matrix"]


def test_all_that_does_not_fit_is_told_at_once_and_nothing_changes() -> None:
    module = Mixed()
    before = numbers(module)
    state: dict[str, Any] = Mixed(5.0).state_dict()
    del state["bias"]
    state |= {"extra": 1.0, "matrix": np.zeros((3, 2)), "array": np.full((2, 2), "x")}
    message = (
        "the state does not fit the module: bias is missing; extra is not in the module; "
        "matrix should have the shape (2, 3) and has (3, 2); "
        "array should hold numbers and has the dtype <U1"
    )
    with refused(ValueError, message):
        module.load_state_dict(state)
    with pytest.raises(ValueError, match=r"matrix should have .*; array should hold numbers"):
        module.load_state_dict(state, strict=False)
    with refused(TypeError, "a state must be a dict, got list"):
        module.load_state_dict([])  # type: ignore[arg-type]
    assert numbers(module) == before
    module.load_state_dict({"bias": 4, "extra": None}, strict=False)
    assert module.bias.data == 4.0


def test_two_attributes_of_one_name_are_refused() -> None:
    module = Mixed()
    vars(module)["parts.0.b"] = Value(1.0)
    with pytest.raises(ValueError, match=r"the name parts\.0\.b"):
        module.state_dict()


def test_a_state_that_would_lack_a_parameter_is_refused(tmp_path: Path) -> None:
    hidden = [Value(1.0), Value(2.0)]

    class Hiding(nn.Neuron):
        def parameters(self) -> list[Value]:
            return [*super().parameters(), *hidden]

    for attempt in (Hiding(2).state_dict, lambda: Hiding(2).save(tmp_path / "m.npz")):
        with pytest.raises(ValueError, match="a state would lack 2 of them"):
            attempt()
    assert os.listdir(tmp_path) == []
    shown = Hiding(2)
    shown.extra = {"here": hidden}  # type: ignore[attr-defined]
    assert numbers(shown)["extra.here"] == [1.0, 2.0]
    fixed = nn.Neuron(2)
    fixed.w = [1.0, 2.0]  # type: ignore[list-item]
    assert list(numbers(fixed)) == ["b"], "what is no Value is left out"


def test_things_that_contain_themselves_are_walked_once() -> None:
    module = Mixed()
    inner: list[Any] = [Value(1.0)]
    inner += [inner, inner]
    table: dict[str, Any] = {"value": Value(2.0)}
    table["again"] = [table, module]
    array = np.empty(3, object)
    array[:] = array, Value(3.0), module
    loop: list[Any] = []
    loop += [loop, loop]
    vars(module).update(inner=inner, deeper=table, ring=array, loop=loop)
    found = {name: shape.shape for name, shape in module.state_dict().items()}
    assert found == {**NAMES, "inner.0": (), "deeper.value": (), "ring.1": ()}


def test_arrays_of_objects_are_told_apart_though_none_of_their_lists_stays() -> None:
    module = nn.Module()
    for k in range(50):
        setattr(module, f"none{k}", np.array([[None, k], [None, k]], object))
        setattr(module, f"some{k}", np.array([[None, Value(k)], [Value(k), None]], object))
    module.single = np.array(Value(7.0), object)  # type: ignore[attr-defined]
    some = {f"some{k}.{place}": k for k in range(50) for place in ("0.1", "1.0")}
    assert numbers(module) == {**some, "single": 7.0}


# Any state


def test_any_state_of_dicts_and_arrays_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {
        "kind": "adam",
        "step": 12,
        "rate": 0.1,
        "limits": [float("inf"), None, True],
        "slots": {0: np.arange(6.0).reshape(2, 3), 1: {"m": np.array([1, 2]), "v": np.float32(3)}},
        "order": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "empty": {},
        "none": np.zeros((0, 3)),
        "value": Value(4.0),
    }
    arenagrad.save(state, tmp_path / "s.npz")
    back = arenagrad.load(tmp_path / "s.npz")
    assert list(back) == list(state)
    for name in ("kind", "step", "rate", "limits", "empty"):
        assert back[name] == state[name]
        assert type(back[name]) is type(state[name])
    assert list(back["slots"]) == [0, 1]
    assert back["slots"][0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert back["slots"][1]["m"].dtype == np.array([1]).dtype
    assert (back["slots"][1]["v"].dtype, float(back["slots"][1]["v"])) == (np.float32, 3.0)
    assert back["order"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (back["none"].shape, float(back["value"])) == ((0, 3), 4.0)
    back["slots"][0][0, 0] = 9.0  # a loaded array may be written to


def test_an_optimiser_goes_on_from_a_file_to_the_last_bit(tmp_path: Path) -> None:
    def training() -> tuple[nn.MLP, Adam]:
        model = nn.MLP(2, [3, 1])
        return model, Adam(model.parameters(), lr=0.05)

    def train(model: nn.MLP, optimizer: Adam) -> None:
        for _ in range(5):
            model.zero_grad()
            ((model([0.5, -1.0]) - 2.0) ** 2).backward()
            optimizer.step()

    model, optimizer = training()
    train(model, optimizer)
    arenagrad.save({"model": model.state_dict(), "adam": optimizer.state_dict()}, tmp_path / "all")
    other, other_optimizer = training()
    state = arenagrad.load(tmp_path / "all")
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["adam"])
    train(model, optimizer)
    train(other, other_optimizer)
    assert numbers(other) == numbers(model)


def test_what_cannot_be_saved_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    arenagrad.save({"a": 1.0}, path)
    for wrong in (object(), {"a": {1, 2}}, {("a",): 1}, {"a": np.array(["x"])}, {"a": 1j}):
        with pytest.raises(TypeError):
            arenagrad.save(wrong, path)
    one = np.zeros(1)
    for name in ({"a.b": one, "a": {"b": one}}, {"arenagrad": one}, {"a\0b": one}):
        with pytest.raises(ValueError, match="cannot have the name"):
            arenagrad.save(name, path)
    for name in (
        {"n" * 70_000: one},
        {"\u20ac" * 25_000: one},
        {"n" * 30_000: {"n" * 31_000: one}},
    ):
        with pytest.raises(ValueError, match=r"the name .{40}\.\.\. in the state is too long"):
            arenagrad.save(name, path)
    table: dict[str, Any] = {}
    ring: list[Any] = []
    table["me"], ring[:] = table, [ring, ring]
    for endless in (table, ring, [table]):
        with pytest.raises(ValueError, match="nested too deeply, or contains itself"):
            arenagrad.save(endless, path)
    assert arenagrad.load(path) == {"a": 1.0}
    assert os.listdir(tmp_path) == ["s.npz"]


def test_a_crash_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.npz"
    arenagrad.save({"a": 1.0}, path)

    def crash(*_: Any) -> None:
        raise OSError("no space left")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, crash)
            with pytest.raises(OSError, match="no space left"):
                arenagrad.save({"a": np.zeros(1000)}, path)
        assert arenagrad.load(path) == {"a": 1.0}
        assert os.listdir(tmp_path) == ["s.npz"]


# Damage


def saved(tmp_path: Path) -> bytes:
    arenagrad.save(nn.MLP(2, [2, 1]), tmp_path / "good.npz")
    return (tmp_path / "good.npz").read_bytes()


def test_a_file_cut_short_at_any_length_is_refused_by_name(tmp_path: Path) -> None:
    good, path = saved(tmp_path), tmp_path / "cut.npz"
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(FormatError, match=r"cut\.npz cannot be read as a saved state"):
            arenagrad.load(path)
    with pytest.raises(FileNotFoundError):
        arenagrad.load(tmp_path / "absent.npz")


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_is_refused_or_its_damage_is_where_nothing_is_read(
    tmp_path: Path, seed: int
) -> None:
    good = saved(tmp_path)
    choose = random.Random(seed)
    bad = bytearray(good)
    for _ in range(choose.choice([1, 1, 5])):
        bad[choose.randrange(len(bad))] ^= 1 << choose.randrange(8)
    (tmp_path / "bad.npz").write_bytes(bad)
    model = nn.MLP(2, [2, 1])
    before = numbers(model)
    try:
        model.load(tmp_path / "bad.npz")
    except FormatError:
        assert numbers(model) == before
    else:
        model.load(tmp_path / "good.npz")
        expected = numbers(model)
        model.load(tmp_path / "bad.npz")
        assert numbers(model) == expected


def archive_of(tmp_path: Path, entries: dict[str, bytes], **options: Any) -> Path:
    path = tmp_path / "hostile.npz"
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def head(**changes: Any) -> bytes:
    plan = {"format": 1, "state": {"dict": [["a", {"array": "a"}]]}, **changes}
    return npy(np.frombuffer(json.dumps(plan).encode(), dtype="u1"))


def header(text: str) -> bytes:
    content = text.encode() + b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
NEGATIVE = "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }"
EMPTY_HUGE = "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }"
A = npy(np.zeros(1))


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"a.npy": A}, "it is not of arenagrad's making"),
        ({"arenagrad.npy": head(), "a.npy": header(HUGE) + bytes(80)}, "not as long as its shape"),
        ({"arenagrad.npy": head(), "a.npy": header(NEGATIVE) + bytes(8)}, "has the shape"),
        ({"arenagrad.npy": head(), "a.npy": header(EMPTY_HUGE)}, "has the dtype"),
        ({"arenagrad.npy": head(), "a.npy": npy(np.array([None]))}, "has the dtype object"),
        ({"arenagrad.npy": head(), "a.npy": npy(np.array(["x"]))}, "has the dtype <U1"),
        ({"arenagrad.npy": head(), "a.npy": b"no array"}, "cannot be read"),
        ({"arenagrad.npy": head()}, "cannot be read"),
        ({"arenagrad.npy": head(), "a.npy": A, "b.npy": A}, "arrays without a place: b"),
        ({"arenagrad.npy": head(format=2), "a.npy": A}, "has the format 2, and this version"),
        ({"arenagrad.npy": head(format=True), "a.npy": A}, "has the format True, and this"),
        ({"arenagrad.npy": head(state={"call": []})}, "an unknown kind: call"),
        ({"arenagrad.npy": head(state={"dict": [[[], 1]]})}, "neither text nor number"),
        ({"arenagrad.npy": head(state={"dict": [[None, 1]]})}, "neither text nor number"),
        ({"arenagrad.npy": head(state={"dict": [["a"]]})}, "neither text nor number"),
        ({"arenagrad.npy": head(state={"dict": [["a", 1, 2]]})}, "neither text nor number"),
        ({"arenagrad.npy": head(state={"dict": ["ab"]})}, "neither text nor number"),
        ({"arenagrad.npy": head(state={"dict": [["a", 1], ["a", 2]]})}, "a name twice"),
        ({"arenagrad.npy": head(state={"dict": {"a": 1}})}, "an unknown kind: dict"),
        ({"arenagrad.npy": head(state={"list": "ab"})}, "an unknown kind: list"),
        ({"arenagrad.npy": head(state={"dict": [], "list": []})}, "an unknown kind: dict, list"),
        ({"arenagrad.npy": head(state={"array": "b"}), "a.npy": A}, "an unknown kind: array"),
        ({"arenagrad.npy": head(state={"array": []}), "a.npy": A}, "cannot be read"),
        ({"arenagrad.npy": head(state={})}, "an unknown kind"),
        ({"arenagrad.npy": npy(np.frombuffer(b'{"format": 1}', dtype="u1"))}, "holds no state"),
        ({"arenagrad.npy": head(), "a.npy": A, "a": A}, "two entries of one name"),
        ({"arenagrad.npy": npy(np.frombuffer(b"[" * 90000, dtype="u1"))}, "cannot be read"),
        ({"arenagrad.npy": npy(np.frombuffer(b"[1]", dtype="u1"))}, "has the format None"),
    ],
)
def test_a_hostile_file_is_refused_before_it_costs_anything(
    tmp_path: Path, entries: dict[str, bytes], told: str
) -> None:
    path = archive_of(tmp_path, entries)
    model = nn.Neuron(1)
    before = numbers(model)
    for load in (arenagrad.load, model.load):
        with pytest.raises(FormatError, match=f"hostile.npz.*{told}"):
            load(path)
    assert numbers(model) == before


def test_a_compressed_file_is_refused_since_it_could_grow_without_bound(tmp_path: Path) -> None:
    entries = {"arenagrad.npy": head(), "a.npy": npy(np.zeros(10**6))}
    path = archive_of(tmp_path, entries, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match="it is compressed"):
        arenagrad.load(path)
