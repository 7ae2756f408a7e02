"""Arguments of compiled functions: numbers and structures of them, choices, and all else refused.

The oracle is the function itself.
"""

import collections
import enum
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import compile


class Mode(enum.Enum):
    """What a function may be given to choose by."""

    DOUBLE = 2
    TRIPLE = 3


class Column:
    """Numbers that only NumPy reads as an array."""

    def __init__(self, numbers: Any) -> None:
        self.a = np.asarray(numbers, float)

    @property
    def __array_interface__(self) -> Any:
        return self.a.__array_interface__

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, k: int) -> Any:
        return self.a[k]


class Series(Column):
    """The same by another protocol."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.a


class Metres(np.ndarray):  # type: ignore[type-arg]
    """An array that calculates in another way than NumPy's own."""

    def __mul__(self, other: Any) -> Any:
        return np.asarray(self) * 1000.0


class Level(enum.IntEnum):
    """A choice that is a number too."""

    LOW = 1
    HIGH = 2


class Rate(float, enum.Enum):
    """The same with floats."""

    SLOW = 1.0
    FAST = 2.0


class Corner(tuple, enum.Enum):  # type: ignore[type-arg]
    """A choice that has items."""

    FIRST = (1.0, 2.0)
    LAST = (3.0, 4.0)


class Row(list[Any]):
    """A list that reads its items in another way."""

    def __getitem__(self, k: Any) -> Any:
        return super().__getitem__(k) * 2.0


class Table(dict[str, Any]):
    """A dict with a default."""

    def __missing__(self, key: str) -> float:
        return 0.0


class Couple(tuple[Any, ...]):
    """A tuple of a class of its own."""

    __slots__ = ()


class Money(float):
    """A float that adds in another way."""

    def __add__(self, other: float) -> float:
        return round(float(self) + other, 2)


class Count(int):
    """An int of a class of its own."""


class Marked(np.ndarray):  # type: ignore[type-arg]
    """An array with a method more."""

    def __getitem__(self, k: Any) -> Any:
        return np.asarray(self)[k] * 2.0


class Setting:
    """An object with a number in it."""

    w = 2.0


CHOICES: tuple[Any, ...] = (
    None,
    True,
    np.True_,
    "text",
    b"bytes",
    Mode.DOUBLE,
    *(Level.LOW, Rate.SLOW, Corner.FIRST),
    math.sin,
    np.tanh,
    float,
    str.upper,
    "x".join,
    functools.partial(pow, 2),
    functools.lru_cache(abs),
    compile(abs),
    lambda x: x,
)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: type(c).__name__)
def test_what_is_no_number_and_cannot_change_chooses_a_program(choice: Any) -> None:
    traces: list[Any] = []
    f = compile(lambda x, c: traces.append(c) or x * 2.0)
    assert [f(1.0, choice), f(2.0, choice), f(3.0, None)] == [2.0, 4.0, 6.0]
    assert traces[0] is choice
    assert len(traces) == (1 if choice is None else 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Setting(), "got Setting: give its numbers as arguments, or name it in static_argnums"),
        (Setting, "got type: give its numbers"),
        (object(), "got object: "),
        (1j, "got complex: "),
        (frozenset([1.0]), "got frozenset: "),
        ({1.0}, r"got set \(argument 0"),
        (range(3), "got range: "),
        (Path("x"), "Path: "),
        (np.dtype(float), "got numpy"),
        (Column([1.0]), "got Column: give it as numpy.asarray"),
        (Series([1.0]), "got Series: give it as numpy.asarray"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "got MaskedArray: give it as numpy.asarray"),
        (np.eye(2).view(np.matrix), "got matrix: give it as numpy.asarray"),
        (np.ones(2).view(Metres), "got Metres: give it as numpy.asarray"),
        (np.ones(2).view(Marked), "got Marked: give it as numpy.asarray"),
        (Row([1.0]), r"got Row: give it as list\(\) of it"),
        (Table(a=1.0), r"got Table: give it as dict\(\) of it"),
        (collections.OrderedDict(a=1.0), r"OrderedDict: give it as dict\(\) of it"),
        (collections.defaultdict(list), r"defaultdict: give it as dict\(\) of it"),
        (Couple((1.0,)), r"got Couple: give it as tuple\(\) of it"),
        (Money(1.0), r"got Money: give it as float\(\) of it"),
        (Count(1), r"got Count: give it as int\(\) of it"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": (x,)}])
@pytest.mark.parametrize("axes", [None, (None, 0)])
def test_what_might_change_or_calculate_otherwise_is_refused(
    given: Any, message: str, wrap: Callable[[Any], Any], axes: Any
) -> None:
    f = compile(lambda c, x: x, in_axes=axes)
    with pytest.raises(TypeError, match=message):
        f(wrap(given), 1.0 if axes is None else np.ones(2))


@pytest.mark.parametrize("kind", [Level, Rate, Corner])
def test_an_enum_that_is_a_number_too_is_a_choice(kind: Any) -> None:
    def f(x: Any, c: Any) -> Any:
        return x * 2.0 if isinstance(c, kind) and c is next(iter(kind)) else x * 3.0

    one, other = kind
    compiled = compile(f)
    for _ in range(2):
        for choice in (1, 1.0, one, other, np.float64(1.0)):
            assert compiled(1.0, choice) == f(1.0, choice)
            assert compiled.grad(1.0, choice) == f(1.0, choice)
    with pytest.raises(TypeError, match="no derivative by it"):
        compiled.grad(1.0, one, argnums=1)
    rows = compile(f, in_axes=(0, None))
    assert [rows(np.ones(2), c).tolist() for c in (one, other)] == [[2.0] * 2, [3.0] * 2]
    each = compile(f, in_axes=0)
    with pytest.raises(ValueError, match="which has none"):
        each(np.ones(2), one)
    with pytest.raises(TypeError, match="which is an Enum"):
        each(np.ones(2), [one, other])


@pytest.mark.parametrize(
    "given", [Row([1.0]), Table(a=1.0), Couple((1.0,)), collections.OrderedDict(a=1.0)]
)
def test_a_result_of_a_class_of_its_own_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"must return .*: give it as \w+\(\) of it"):
        compile(lambda x: given)(1.0)


@pytest.mark.parametrize(
    "item", [Money(1.0), Count(1), np.ones(2).view(Marked), np.ma.array([1.0], mask=[True])]
)
def test_items_of_rows_that_calculate_otherwise_are_refused(item: Any) -> None:
    with pytest.raises(TypeError, match="give it as"):
        compile(lambda x: x, in_axes=0)([item, item])


def test_rows_and_buffers_are_refused_in_arrays_that_calculate_otherwise() -> None:
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    with pytest.raises((TypeError, ValueError), match="MaskedArray"):
        compile(lambda x: x, in_axes=0)(masked)
    with pytest.raises(TypeError, match="MaskedArray"):
        compile(lambda x: x)(np.ones(2), out=masked)
    with pytest.raises(TypeError, match="MaskedArray"):
        compile(lambda x: np.ma.array([x, x], mask=[True, False]))(1.0)


def test_memory_maps_are_arrays(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "m", float, "w+", shape=(3,))
    f = compile(lambda x: x[0] * 2.0)
    for k in range(3):
        mapped[0] = k
        assert f(mapped) == 2.0 * k
    assert compile(lambda x: x + 1.0, in_axes=0)(mapped).tolist() == [3.0, 1.0, 1.0]


def test_functions_of_values_take_for_an_array_what_numpy_reads_as_one() -> None:
    for kind in (np.array, Column, Series):
        given: Any = kind([1.0, 3.0])
        assert ag.sum(given) == 4.0
        assert isinstance(ag.softmax(given), np.ndarray)
        assert ag.data_of(given).tolist() == [1.0, 3.0]
        assert ag.data_of(ag.values(given)).tolist() == [1.0, 3.0]
        assert np.array_equal(ag.where(1.0, given, 0.0), [1.0, 3.0])
        assert np.array_equal(ag.take([given, given], 1), [1.0, 3.0])


class Spring:
    """An object with compiled methods."""

    def __init__(self) -> None:
        self.k = 3.0

    @compile
    def energy(self, x: Any) -> Any:
        return x * x * self.k

    @property
    @compile
    def stiffness(self) -> Any:
        return self.k * 1.0

    @classmethod
    @compile
    def rest(cls, x: Any) -> Any:
        return x * (2.0 if cls is Spring else 3.0)


def test_the_object_of_a_method_is_an_argument_of_it_only() -> None:
    spring = Spring()
    assert spring.energy(2.0) == Spring.energy(spring, 2.0) == 12.0
    assert ag.grad(spring.energy)(2.0) == spring.energy.grad(2.0) == 12.0
    assert spring.energy.program(2.0)(spring, 1.0) == 3.0
    assert spring.stiffness == 3.0
    assert Spring.rest(1.0) == 2.0
    with pytest.raises(TypeError, match="got Spring"):
        compile(lambda s, x: x)(spring, 1.0)
    with pytest.raises(TypeError, match="got Spring"):
        Spring.energy(spring, spring)


def test_a_function_put_on_a_class_is_a_method_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spring, "double", compile(lambda self, x: self.k * x * 2.0), raising=False)
    spring: Any = Spring()
    assert spring.double(1.0) == 6.0
    assert spring.double.grad(1.0) == 6.0


def test_there_is_no_gradient_by_an_argument_without_numbers() -> None:
    f = compile(lambda mode, x: x * 2 if mode == "a" else x)
    derivatives: list[Callable[[], Any]] = [
        lambda: f.grad("a", 1.0),
        lambda: f.value_and_grad("a", 1.0),
        lambda: f.grad("a", 1.0, argnums=(1, 0)),
        lambda: f.jacobian("a", 1.0),
        lambda: f.hessian("a", 1.0),
        lambda: ag.grad(f)("a", 1.0),
        lambda: f.grad(["a", None], 1.0),
    ]
    for derivative in derivatives:
        with pytest.raises(TypeError, match="argument 0 has no numbers"):
            derivative()
    assert f.grad("a", 1.0, argnums=1) == 2.0
    assert f.grad([], 1.0) == []
    assert f.vjp(("a", 1.0), 1.0) == (2.0, (None, 2.0))
