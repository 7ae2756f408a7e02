"""Saved graphs at their limits: depth, memory, and bytes that are damaged or hostile."""

import copy
import copyreg
import pickle
import zlib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arenagrad
from arenagrad import FormatError, Value, _core
from test_depth import in_own_process
from test_saving import Sub, every_kind

DEEP = 1_000_000


# Depth and memory


def deep_round_trips() -> list[Any]:
    x = Value(1.0)
    one = Value(1.0)
    for _ in range(DEEP):
        x = x + one
    x.grad = 0.5
    written = pickle.dumps([x, one])
    y, leaf = pickle.loads(written)
    z, other = copy.deepcopy([x, one])
    y.backward()
    z.backward()
    found = [y.data, leaf.grad, z.data, other.grad, len(written) / DEEP]
    del x, y, z, one, leaf, other
    return [*found, arenagrad.arena_info()["nodes"]]


@pytest.mark.slow
def test_a_million_nodes_in_a_chain_pickle_and_copy_on_a_small_stack(tmp_path: Path) -> None:
    *found, bytes_each, left = in_own_process(
        tmp_path, deep_round_trips, module="test_saving_limits"
    )
    assert found == [DEEP + 1.0, DEEP, DEEP + 1.0, DEEP]
    assert bytes_each < 30
    assert left == 0


def test_loading_and_dropping_leaves_nothing_behind() -> None:
    written = pickle.dumps([*every_kind(), Sub(1.0) * 2.0])
    arenagrad.collect()
    before = arenagrad.arena_info()
    for _ in range(20):
        copy.deepcopy(pickle.loads(written))
    arenagrad.collect()
    after = arenagrad.arena_info()
    assert [after[k] for k in ("nodes", "handles", "edges")] == [
        before[k] for k in ("nodes", "handles", "edges")
    ]


# Damage


def portion_of(value: Value) -> bytes:
    """The bytes of the graph within a pickle."""
    _, (session, portion) = value.__reduce_ex__(4)
    session.__reduce__()
    return portion.__reduce__()[1][1]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_graph_is_refused_and_changes_nothing(data: Any) -> None:
    good = bytearray(portion_of(every_kind()[0]))
    kind = data.draw(st.sampled_from(["flip", "cut", "random"]))
    if kind == "flip":
        place = data.draw(st.integers(0, len(good) - 1))
        good[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del good[data.draw(st.integers(0, len(good) - 1)) :]
    else:
        good = bytearray(data.draw(st.binary(max_size=200)))
    arenagrad.collect()
    before = arenagrad.arena_info()
    with pytest.raises(FormatError):
        _core._DecodedPart(_core._GraphDecoder(), bytes(good), 0, [])  # type: ignore[attr-defined]
    assert arenagrad.arena_info() == before


def test_damaged_functions_under_a_right_checksum_are_refused_or_sound() -> None:
    x = Value(0.7)
    derivative = arenagrad.grad(lambda x: arenagrad.sin(x) * x)
    good = portion_of(derivative(x) + derivative(x * 2.0))
    random = Random(3)
    read = 0
    for _ in range(3000):
        body = bytearray(good[:-4])
        for _ in range(random.randint(1, 3)):
            body[random.randrange(len(body))] = random.choice((0, 1, 255, random.randrange(256)))
        bad = bytes(body) + zlib.crc32(body).to_bytes(4, "little")
        graph = _core._GraphDecoder()  # type: ignore[attr-defined]
        try:
            part = _core._DecodedPart(graph, bad, 0, [])  # type: ignore[attr-defined]
        except FormatError:
            continue
        _core._value_of_part(graph, part).backward()  # type: ignore[attr-defined]
        read += 1
    assert read > 100  # numbers may be any


def test_a_hostile_pickle_of_our_parts_is_refused() -> None:
    good = portion_of(Value(2.0) ** 3)  # a leaf, its hidden exponent, the power
    arriving, arrived = _core._GraphDecoder, _core._DecodedPart  # type: ignore[attr-defined]
    for number, classes in [
        *((3, []), (1, []), (2, [(1, Sub)]), (2, [(3, Sub)]), (2, [(0, int)]), (2, [(0, "Sub")])),
        *((2, [(0, Sub), (0, Sub)]), (2, [(2, Sub), (0, Sub)]), (2, None), (2, [(2**70, Sub)])),
        *((2, [(-1, Sub)]), (2, [3]), (2, [("0", Sub)])),
    ]:
        with pytest.raises(FormatError):
            arrived(arriving(), good, number, classes)
    arrivals = arriving()
    part = arrived(arrivals, good, 2, [])
    for state in ([(0, 3)], [(0, ("x", None))], [(1, {})], [(9, {})], "no list", [0]):
        with pytest.raises(FormatError):
            part.__setstate__(state)
    for attributes in ({"_op": 3}, {"_backward": 3}):
        with pytest.raises(TypeError):
            part.__setstate__([(0, attributes)])
    with pytest.raises(FormatError, match="a part of a saved graph is missing"):
        arrived(arrivals, good, 2, [])
    for wrong in (None, arrivals, Value(1.0)):
        with pytest.raises(FormatError):
            _core._value_of_part(arrivals, wrong)  # type: ignore[attr-defined]
    for other in (None, part, Value(1.0)):
        with pytest.raises(FormatError, match="not what it should be"):
            arrived(other, good, 2, [])


def test_a_graph_of_another_version_is_told_apart_from_a_damaged_one() -> None:
    good = bytearray(portion_of(Value(2.0)))
    good[4] = 7
    with pytest.raises(FormatError, match="has the format 7, and this version reads 1"):
        _core._DecodedPart(_core._GraphDecoder(), bytes(good), 0, [])  # type: ignore[attr-defined]


def test_an_operation_that_is_not_known_is_named_in_letters_that_can_be_shown() -> None:
    good = portion_of(Value(2.0).tanh())
    assert good.count(b"Tanh") == 1
    for name, shown in ((b"Tonh", "Tonh"), (b"\xff\x00\nh", "???h"), (b"T\xc3\xa9h", "T??h")):
        body = good.replace(b"Tanh", name)[:-4]
        bad = body + zlib.crc32(body).to_bytes(4, "little")
        with pytest.raises(FormatError) as caught:
            _core._DecodedPart(_core._GraphDecoder(), bad, 0, [])  # type: ignore[attr-defined]
        assert str(caught.value).endswith(f"that this version does not know: {shown}")


PARTS = ("_PickleSession", "_PicklePart", "_GraphDecoder", "_DecodedPart", "_DeepCopy")


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_not_made_without_its_init(name: str) -> None:
    kind = getattr(_core, name)
    with pytest.raises(TypeError, match="is not safe"):
        kind.__new__(kind)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("number", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_makes_a_part_without_its_init_is_refused(name: str, number: int) -> None:
    class Made:
        def __reduce__(self) -> tuple[Any, ...]:
            return copyreg.__newobj__, (getattr(_core, name),)  # type: ignore[attr-defined]

    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.loads(pickle.dumps(Made(), number))


def test_what_stands_for_a_copy_in_a_memo_and_is_none_does_no_harm() -> None:
    for left in (3, None):
        x = Value(1.0)
        y, again = copy.deepcopy([x * 2.0, x], {_core._DeepCopy: left})  # type: ignore[attr-defined]
        assert y._prev > {again}
    arenagrad.collect()


def test_a_value_that_is_being_loaded_keeps_its_node() -> None:
    arrivals = _core._GraphDecoder()  # type: ignore[attr-defined]
    part = _core._DecodedPart(arrivals, portion_of(Value(2.0) ** 3), 2, [])  # type: ignore[attr-defined]
    value = _core._value_of_part(arrivals, part)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="its operands cannot change"):
        value.__init__(1.0, (Value(1.0),), "other")
    del part, arrivals
    value.__init__(1.0, (Value(1.0),), "other")
    assert value._op == "other"
