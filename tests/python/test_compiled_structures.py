"""Objects of classes as arguments and results of compiled functions: named tuples, dataclasses,
classes told of by `register_node`.

The oracles are closed forms, and the conventions of JAX.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cached_property
from random import Random
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import FormatError, FrozenValueWarning, Value, compile

T = TypeVar("T")


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Line:
    rate: Any
    start: Any

    def at(self, x: Any) -> Any:
        return self.rate * x + self.start


@dataclass(frozen=True)
class Frozen:
    rate: Any
    start: Any


@dataclass(slots=True)
class Slotted:
    rate: Any
    start: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    rate: Any
    start: Any


@dataclass
class Longer(Line):
    bend: Any = 0.0


class Plain(Line):
    """A class made from a dataclass that is not decorated itself."""


class Pair(NamedTuple):
    rate: Any
    start: Any


@dataclass
class Box(Generic[T]):
    content: T


class Own:
    """Told of by register_node."""

    def __init__(self, rate: Any, start: Any, unit: str = "m") -> None:
        self.rate, self.start, self.unit = rate, start, unit


ag.register_node(Own, lambda o: ((o.rate, o.start), o.unit), lambda unit, c: Own(*c, unit))


def strict(rate: Any, start: Any) -> Strict:
    return Strict(rate=rate, start=start)


KINDS: list[Callable[[Any, Any], Any]] = [Line, Frozen, Slotted, strict, Plain, Pair, Own]
of_each_kind = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)


def loss(line: Any, x: Any) -> Any:
    return (line.rate * x + line.start) ** 2


def parts(line: Any) -> tuple[Any, Any]:
    return line.rate, line.start


# At a point


@of_each_kind
def test_gradients_come_in_the_class_of_the_argument(make: Any) -> None:
    f = compile(loss)
    for _ in range(2):  # the second is answered natively
        assert f(make(2.0, 1.0), 3.0) == 49.0
        gradient = f.grad(make(2.0, 1.0), 3.0)
        assert type(gradient) is type(make(0.0, 0.0))
        assert parts(gradient) == (42.0, 14.0)
        value, same = f.value_and_grad(make(2.0, 1.0), 3.0)
        assert (value, parts(same)) == (49.0, (42.0, 14.0))
    of_both = f.grad(make(2.0, 1.0), 3.0, argnums=(0, 1))
    assert (parts(of_both[0]), of_both[1]) == ((42.0, 14.0), 28.0)


@of_each_kind
def test_every_derivative_knows_the_class(make: Any) -> None:
    f, at = compile(loss), (make(2.0, 1.0), 3.0)
    tangent = make(1.0, 0.5)
    assert f.jvp(at, (tangent, 0.0)) == (49.0, 42.0 + 7.0)
    value, (gradient, by_x) = f.vjp(at, 2.0)
    assert (value, parts(gradient), by_x) == (49.0, (84.0, 28.0), 56.0)
    assert parts(f.jacobian(*at)) == (42.0, 14.0)
    second = f.hessian(*at)
    assert [parts(part) for part in parts(second)] == [(18.0, 6.0), (6.0, 2.0)]
    assert parts(f.hvp(at, tangent)) == (18.0 + 3.0, 6.0 + 1.0)
    assert parts(ag.grad(f)(*at)) == (42.0, 14.0)


@of_each_kind
def test_objects_stand_in_lists_dicts_and_objects(make: Any) -> None:
    f = compile(lambda given: given["all"][0].rate.rate * given["all"][1].start)
    gradient = f.grad({"all": [make(make(2.0, 1.0), 1.0), make(1.0, 3.0)]})
    one, other = gradient["all"]
    assert (parts(one.rate), one.start, parts(other)) == ((3.0, 0.0), 0.0, (0.0, 2.0))


@of_each_kind
def test_results_come_in_the_class_that_the_function_gives(make: Any) -> None:
    f = compile(lambda x: make(x * 2.0, [x, make(1.0, x)]))
    for x in (3.0, 4.0):
        got = f(x)
        assert type(got) is type(make(0.0, 0.0))
        assert got.rate == 2.0 * x
        assert (got.start[0], parts(got.start[1])) == (x, (1.0, x))
    rates = f.jacobian(3.0)
    assert (rates.rate, rates.start[0], parts(rates.start[1])) == (2.0, 1.0, (0.0, 1.0))


@of_each_kind
def test_arrays_in_an_object_have_gradients_of_their_shape(make: Any) -> None:
    f = compile(lambda line: (line.rate**2).sum() + line.start[0][1])
    gradient = f.grad(make(np.array([[1.0, 2.0]]), [[3.0, 4.0]]))
    assert gradient.rate.tolist() == [[2.0, 4.0]]
    assert gradient.start == [[0.0, 1.0]]


@of_each_kind
def test_out_has_the_class_of_the_result_with_arrays_in_place_of_leaves(make: Any) -> None:
    f, out = compile(loss), make(np.zeros(()), np.zeros(()))
    for _ in range(2):
        assert f.grad(make(2.0, 1.0), 3.0, out=out) is out
        assert (out.rate[()], out.start[()]) == (42.0, 14.0)
    with pytest.raises(TypeError, match="same structure"):
        f.grad(make(2.0, 1.0), 3.0, out={"rate": np.zeros(()), "start": np.zeros(())})


def test_methods_of_the_class_work_on_the_values() -> None:
    f = compile(lambda line, x: line.at(x) ** 2)
    assert parts(f.grad(Line(2.0, 1.0), 3.0)) == (42.0, 14.0)


def test_a_method_that_reads_a_global_is_read_again_when_that_changes() -> None:
    space: dict[str, Any] = {"dataclass": dataclass, "K": 2.0, "__name__": "somewhere"}
    exec("@dataclass\nclass Scaled:\n w: float\n def at(self):\n  return self.w * K", space)
    f = compile(lambda p: p.at())
    assert f(space["Scaled"](3.0)) == 6.0
    space["K"] = 10.0
    assert f(space["Scaled"](3.0)) == 30.0


def test_what_is_no_number_in_a_dataclass_is_structure_and_comes_back() -> None:
    @dataclass(frozen=True)
    class Mixed:
        w: float
        name: str
        flag: bool
        colour: Colour
        nothing: None = None
        shape: Callable[[Any], Any] = abs

    calls: list[str] = []

    @compile
    def f(p: Any) -> Any:
        calls.append(p.name)
        return p.w * (2.0 if p.flag else 3.0) * (5.0 if p.colour is Colour.RED else 7.0)

    for _ in range(2):
        assert f(Mixed(1.0, "a", True, Colour.RED)) == 10.0
        assert f(Mixed(1.0, "b", False, Colour.BLUE)) == 21.0
    assert calls == ["a", "b"]
    assert f.grad(Mixed(1.0, "a", True, Colour.RED)) == Mixed(10.0, "a", True, Colour.RED)
    given_none = Mixed(2.0, None, None, None, None, None)  # type: ignore[arg-type]
    tangent = f.jvp((Mixed(1.0, "a", True, Colour.RED),), (given_none,))
    assert tangent == (10.0, 20.0)
    back = compile(lambda p: p)(Mixed(1.0, "a", True, Colour.RED))
    assert back == Mixed(1.0, "a", True, Colour.RED)


def test_a_field_said_to_be_static_is_no_number() -> None:
    @dataclass
    class Powers:
        x: float
        n: int = field(metadata={"static": True})

    f = compile(lambda p: sum(p.x**k for k in range(p.n)))
    assert f(Powers(2.0, 3)) == 7.0
    assert f(Powers(2.0, 4)) == 15.0
    assert f.grad(Powers(2.0, 3)) == Powers(5.0, 3)


def test_the_constructor_is_not_run_and_nothing_is_computed_anew() -> None:
    runs: list[int] = []

    @dataclass
    class Counted:
        a: float
        area: float = field(init=False, default=0.0)
        kinds: ClassVar[int] = 3

        def __post_init__(self) -> None:
            runs.append(1)
            self.area = self.a * 100.0

    given = Counted(2.0)
    given.area = 5.0
    gradient = compile(lambda c: c.a * c.area * c.kinds).grad(given)
    assert (gradient.a, gradient.area) == (15.0, 6.0)
    assert len(runs) == 1


def test_an_object_that_holds_more_than_its_fields_is_refused() -> None:
    f = compile(loss)
    given: Any = Line(2.0, 1.0)
    assert f(given, 3.0) == 49.0
    given.extra = 7.0
    with pytest.raises(TypeError, match=r"Line has the attribute extra.*\(argument 0"):
        f(given, 3.0)
    with pytest.raises(TypeError, match="has the attribute extra"):
        compile(lambda x: [setattr(p := Line(x, x), "extra", x), p])(1.0)
    del given.extra, given.start
    with pytest.raises(TypeError, match="the field start of the dataclass Line has no value"):
        f(given, 3.0)


def test_a_cached_property_is_computed_from_the_values() -> None:
    @dataclass
    class Circle:
        radius: float

        @cached_property
        def area(self) -> float:
            return 3.0 * self.radius**2

    given = Circle(2.0)
    assert given.area == 12.0
    f = compile(lambda c: c.area)
    assert f(given) == 12.0
    assert f.grad(given) == Circle(12.0)
    given.radius = 1.0
    assert f(given) == 3.0


def test_the_class_that_typing_notes_in_a_generic_object_is_no_field() -> None:
    f = compile(lambda box: box.content * 2.0)
    for _ in range(2):
        assert f(Box[float](3.0)) == 6.0
        assert f.grad(Box(3.0)) == Box(2.0)


def test_a_named_tuple_that_holds_more_than_its_items_is_refused() -> None:
    class Wide(Pair):
        """A class made from a named tuple, whose objects have attributes."""

    f = compile(lambda pair: pair.rate * getattr(pair, "factor", 1.0))
    given: Any = Wide(2.0, 1.0)
    assert f(given) == 2.0
    assert type(f.grad(given)) is Wide
    given.factor = 10.0
    with pytest.raises(TypeError, match="Wide has the attribute factor"):
        f(given)


def test_a_named_tuple_is_made_without_its_constructor() -> None:
    class Doubled(Pair):
        def __new__(cls, rate: Any) -> Any:
            return super().__new__(cls, rate, 2.0 * rate)

    gradient = compile(lambda pair: pair.rate * pair.start).grad(Doubled(3.0))
    assert (type(gradient), tuple(gradient)) == (Doubled, (6.0, 3.0))


def test_a_static_field_of_a_result_has_no_derivative() -> None:
    @dataclass
    class Fit:
        error: Any
        rounds: int = field(metadata={"static": True})

    f = compile(lambda x: Fit(x**2, 3))
    assert f(2.0) == Fit(4.0, 3)
    assert f.jacobian(2.0) == Fit(4.0, 3)
    assert f.vjp((2.0,), Fit(1.0, 3)) == (Fit(4.0, 3), (4.0,))


def test_values_in_an_object_call_the_function_itself() -> None:
    rate = Value(2.0)
    y = compile(loss)(Line(rate, 1.0), 3.0)
    y.backward()
    assert (y.data, rate.grad) == (49.0, 42.0)


@of_each_kind
def test_derivatives_on_values_in_an_object_are_recorded_and_traced(make: Any) -> None:
    rate, inner = Value(2.0), ag.grad(loss)
    gradient = inner(make(rate, 1.0), 3.0)
    assert type(gradient) is type(make(0.0, 0.0))
    assert gradient.rate.data == 42.0
    gradient.rate.backward()
    assert rate.grad == 18.0
    outer = compile(lambda line, x: inner(line, x).rate * x)
    for _ in range(2):
        assert outer(make(2.0, 1.0), 3.0) == 126.0
        assert parts(outer.grad(make(2.0, 1.0), 3.0)) == (54.0, 18.0)


def test_a_dataclass_is_the_object_of_its_own_compiled_methods() -> None:
    @dataclass
    class Model:
        w: float
        name: str = "m"

        @compile
        def loss(self, x: Any) -> Any:
            calls.append(1)
            return (self.w * x) ** 2

    calls: list[int] = []
    model: Any = Model(2.0)
    assert model.loss(3.0) == 36.0
    assert model.loss.grad(3.0) == 24.0
    model.w = 1.0
    assert model.loss(3.0) == 9.0
    assert Model.loss.grad(model, 3.0) == Model(18.0)
    assert len(calls) == 1


def test_a_dataclass_made_from_a_built_in_class_is_refused() -> None:
    @dataclass
    class Failure(Exception):
        code: float

    with pytest.raises(TypeError, match=r"made from a built-in class .* got Failure"):
        compile(lambda failure: failure.code)(Failure(1.0))


def test_an_object_without_numbers_has_no_derivative() -> None:
    @dataclass
    class Named:
        name: str

    with pytest.raises(TypeError, match="argument 0 has no numbers"):
        compile(lambda named, x: x).grad(Named("a"), 1.0)


def test_objects_of_one_class_and_of_one_made_from_it_have_programs_of_their_own() -> None:
    f = compile(lambda line: line.rate * (2.0 if type(line) is Line else 3.0))
    assert f(Line(1.0, 0.0)) == 2.0
    assert f(Plain(1.0, 0.0)) == 3.0
    assert f(Longer(1.0, 0.0)) == 3.0
    assert f.grad(Longer(1.0, 0.0, 5.0)) == Longer(3.0, 0.0, 0.0)
    for _ in range(2):
        assert f(Line(1.0, 0.0)) == 2.0


def test_a_function_that_changes_a_field_in_place_is_warned_of() -> None:
    def f(p: Any) -> Any:
        p.rate = p.rate * 2.0
        return p.rate

    for given in (Line(1.0, 2.0), Own(1.0, 2.0)):
        with pytest.warns(FrozenValueWarning, match="changed its argument p in place"):
            compile(f)(given)
        assert given.rate == 1.0


def test_a_class_that_is_gone_leaves_nothing_behind() -> None:
    import gc
    import weakref

    def use() -> weakref.ref[Any]:
        @dataclass
        class Local:
            w: float

        assert compile(lambda p: p.w * 2.0)(Local(1.0)) == 2.0
        return weakref.ref(Local)

    dead = use()
    gc.collect()
    assert dead() is None


# Registered classes


def test_a_registered_class_has_its_structure_compared_by_aux() -> None:
    calls: list[str] = []

    @compile
    def f(own: Any) -> Any:
        calls.append(own.unit)
        return own.rate * (1.0 if own.unit == "m" else 1000.0)

    for _ in range(2):
        assert f(Own(2.0, 0.0)) == 2.0
        assert f(Own(2.0, 0.0, "km")) == 2000.0
    assert calls == ["m", "km"]
    assert f.grad(Own(2.0, 0.0, "km")).unit == "km"


def test_subclasses_of_a_registered_class_are_not_included() -> None:
    class Derived(Own):
        pass

    with pytest.raises(TypeError, match="got Derived"):
        compile(lambda own: own.rate)(Derived(1.0, 2.0))


def test_a_registration_says_what_is_wrong() -> None:
    class Bad:
        pass

    with pytest.raises(ValueError, match="Own is registered already"):
        ag.register_node(Own, lambda o: ((), None), lambda _, c: Own(1.0, 2.0))
    for known in (list, float, Value, np.ndarray):
        with pytest.raises(TypeError, match="they know"):
            ag.register_node(known, lambda o: ((), None), lambda _, c: None)
    wrong: Any = ag.register_node
    with pytest.raises(TypeError, match="wants a class, got int"):
        wrong(3, len, len)
    with pytest.raises(TypeError, match=r"wants functions .* got NoneType"):
        wrong(Bad, len, None)
    given: list[Any] = [((1.0,), [2])]
    ag.register_node(Bad, lambda o: given[0], lambda _, c: Bad())
    with pytest.raises(TypeError, match="aux of the registered class Bad must be hashable"):
        compile(lambda b: 1.0)(Bad())
    given[0] = [1.0]
    with pytest.raises(TypeError, match=r"must give a pair \(children, aux\), got list"):
        compile(lambda b: 1.0)(Bad())
    with pytest.raises(TypeError, match="must not hold Values"):
        compile(lambda x: Own(x, x, (x,)))(1.0)  # type: ignore[arg-type]


# In rows


@of_each_kind
def test_rows_of_an_object_are_objects_of_numbers(make: Any) -> None:
    rows = np.arange(4.0)
    f = compile(loss, in_axes=0)
    assert f(make(rows, np.ones(4)), rows).tolist() == ((rows * rows + 1.0) ** 2).tolist()
    summed = compile(loss, in_axes=(None, 0), reduce="sum")
    residual = 2.0 * rows + 1.0
    gradient = summed.grad(make(2.0, 1.0), rows)
    assert parts(gradient) == (np.sum(2.0 * residual * rows), np.sum(2.0 * residual))


@of_each_kind
def test_in_axes_may_be_an_object_of_the_class(make: Any) -> None:
    rows = np.arange(4.0)
    f = compile(loss, in_axes=(make(0, None), 0))
    expected = (rows * rows + 1.0) ** 2
    assert f(make(rows, 1.0), rows).tolist() == expected.tolist()
    gradient = f.grad(make(rows, 1.0), rows)
    assert gradient.rate.tolist() == (2.0 * (rows * rows + 1.0) * rows).tolist()
    mapped = f.map(make(rows, 1.0), rows, chunksize=2)
    assert mapped.tolist() == expected.tolist()
    threaded = compile(loss, in_axes=(make(0, None), 0), threads=2)
    assert threaded(make(rows, 1.0), rows).tolist() == expected.tolist()


@of_each_kind
def test_results_of_rows_are_an_object_of_arrays_also_in_out(make: Any) -> None:
    rows = np.arange(3.0)
    f = compile(lambda x: make(x * 2.0, [x, 1.0]), in_axes=0)
    got = f(rows)
    assert got.rate.tolist() == [0.0, 2.0, 4.0]
    assert [part.tolist() for part in got.start] == [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]
    out = make(np.zeros(3), [np.zeros(3), np.zeros(3)])
    assert f(rows, out=out) is out
    assert out.rate.tolist() == [0.0, 2.0, 4.0]


@of_each_kind
def test_products_with_derivatives_of_rows_take_the_class(make: Any) -> None:
    rows = np.arange(3.0)
    f = compile(loss, in_axes=(make(0, None), None))
    at = (make(rows, 1.0), 3.0)
    seeds = (make(np.ones(3), 0.0), 0.0)
    _, tangent = f.jvp(at, seeds)
    assert tangent.tolist() == (2.0 * (3.0 * rows + 1.0) * 3.0).tolist()
    _, (gradient, _) = f.vjp(at, np.ones(3))
    assert gradient.rate.tolist() == tangent.tolist()
    summed = compile(loss, in_axes=(make(0, None), None), reduce="sum")
    _, (gradient, _) = summed.vjp(at, 1.0)
    assert gradient.rate.tolist() == tangent.tolist()


@of_each_kind
def test_out_axes_say_where_the_rows_of_results_go(make: Any) -> None:
    rows = np.arange(6.0).reshape(2, 3)

    def f(x: Any) -> Any:
        return make(x * 2.0, {"all": [x, x[0]], "unit": "m"})

    first = compile(f, in_axes=0)(rows)
    for axes, of_rate, of_all in (
        *((1, 1, [1, None]), (-1, 1, [1, 0])),
        *((make(1, 0), 1, [0, 0]), (make(-1, {"all": [1, 0], "unit": 0}), 1, [1, 0])),
    ):
        g = compile(f, in_axes=0, out_axes=axes)
        if None in of_all:
            with pytest.raises(ValueError, match="out_axes asks for axis 1 of 1 dimensions"):
                g(rows)
            continue
        for got in (g(rows), g.map(rows, chunksize=1), g.program(rows)(rows)):
            assert got.rate.tolist() == np.moveaxis(first.rate, 0, of_rate).tolist()
            for part, like, axis in zip(got.start["all"], first.start["all"], of_all, strict=True):
                assert part.tolist() == np.moveaxis(like, 0, axis).tolist()
            assert got.start["unit"] == "m"
        out = make(np.zeros((3, 2)), {"all": [np.zeros(got.start["all"][0].shape), np.zeros(2)]})
        out.start["unit"] = None
        assert g(rows, out=out) is out
        assert out.rate.tolist() == first.rate.T.tolist()
        assert out.start["all"][0].tolist() == got.start["all"][0].tolist()


def test_out_axes_hold_for_results_and_tangents_and_not_for_gradients() -> None:
    rows = np.arange(6.0).reshape(2, 3)
    f = compile(lambda x: x * x, in_axes=0, out_axes=1)
    value, tangent = f.jvp((rows,), (np.ones((2, 3)),))
    assert value.tolist() == (rows * rows).T.tolist()
    assert tangent.tolist() == (2.0 * rows).T.tolist()
    value, (gradient,) = f.vjp((rows,), np.ones((3, 2)))
    assert value.tolist() == (rows * rows).T.tolist()
    assert gradient.tolist() == (2.0 * rows).tolist()
    g = compile(lambda x: (x * x).sum(), in_axes=0, out_axes=0)
    assert g.grad(rows).tolist() == (2.0 * rows).tolist()
    again = pickle.loads(pickle.dumps(f._evaluation.options))
    assert again.out_axes == 1


def test_out_axes_of_another_kind_are_refused(tmp_path: Any) -> None:
    rows = np.ones((2, 3))
    for axes in (None, "rows", [1, 1], {"a": 1}, 1.0):
        with pytest.raises(TypeError, match="out_axes must be ints"):
            compile(lambda x: x * x, in_axes=0, out_axes=axes)(rows)
    with pytest.raises(ValueError, match="need in_axes"):
        compile(lambda x: x, out_axes=1)
    with pytest.raises(ValueError, match="no reduce"):
        compile(lambda x: x, in_axes=0, out_axes=1, reduce="sum")
    with pytest.raises(TypeError, match="out_axes cannot be saved"):
        compile(lambda x: x, in_axes=0, out_axes=1).program(rows).save(tmp_path / "f.agpf")


def test_what_is_no_number_in_an_object_is_the_same_in_all_rows() -> None:
    @dataclass
    class Named:
        w: Any
        name: str

    f = compile(lambda p: p.w * (2.0 if p.name == "a" else 3.0), in_axes=0)
    assert f(Named(np.arange(3.0), "a")).tolist() == [0.0, 2.0, 4.0]
    each = compile(lambda p: p.w * 2.0, in_axes=(Named(0, ""),))
    assert each(Named(np.arange(3.0), "a")).tolist() == [0.0, 2.0, 4.0]


def test_in_axes_of_another_structure_are_refused() -> None:
    f = compile(loss, in_axes=(Line(0, None), 0))
    with pytest.raises(TypeError, match=r"in_axes for Frozen must be an int, None, or such an"):
        f(Frozen(np.ones(3), 1.0), np.ones(3))
    with pytest.raises(ValueError, match=r"which has none \(argument 0, at \.rate\)"):
        compile(loss, in_axes=0)(Line(1.0, np.ones(3)), np.ones(3))


# Pickles and files


@of_each_kind
def test_a_pickle_remembers_programs_by_the_class(make: Any) -> None:
    f = compile(loss)
    assert f(make(2.0, 1.0), 3.0) == 49.0
    assert parts(f.grad(make(2.0, 1.0), 3.0)) == (42.0, 14.0)
    again = pickle.loads(pickle.dumps(f))
    assert again._evaluation.cache.count() >= 1
    assert parts(again.grad(make(2.0, 1.0), 3.0)) == (42.0, 14.0)
    structure = f._evaluation.structure((make(2.0, 1.0), 3.0))
    same = pickle.loads(pickle.dumps(structure))
    assert same == structure
    assert hash(same) == hash(structure)


def test_a_pickle_of_a_class_that_has_other_fields_now_is_refused() -> None:
    structure = compile(loss)._evaluation.structure((Line(2.0, 1.0), 3.0))
    kept = structure.to_parts()
    assert type(structure)(kept) == structure
    kind, varies, size, ((cls, (_, slots, statics)),) = kept[1]
    other = (kind, varies, size, ((cls, (("rate", "end"), slots, statics)),))
    with pytest.raises(FormatError, match="a dataclass that has other fields now"):
        type(structure)((kept[0], other, *kept[2:]))
    unknown = ("registered", varies, size, ((Line, None),))
    with pytest.raises(FormatError, match="not registered"):
        type(structure)((kept[0], unknown, *kept[2:]))


def test_a_program_with_objects_is_not_saved(tmp_path: Any) -> None:
    program = compile(loss).program(Line(2.0, 1.0), 3.0)
    assert program(Line(2.0, 1.0), 3.0) == 49.0
    with pytest.raises(TypeError, match="hold Line cannot be saved"):
        program.save(tmp_path / "line.agpf")


# What came, what is wanted, and where


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ((object(), 1.0), r"\(argument 0\)$"),
        ((1.0, [2.0, object()]), r"\(argument 1, at \[1\]\)$"),
        ((Line(1.0, {"a": object()}), 1.0), r"\(argument 0, at \.start\['a'\]\)$"),
        ((1.0, [Own(1.0, object())]), r"\(argument 1, at \[0\]\[1\]\)$"),
    ],
)
def test_an_error_says_where_in_the_arguments_it_arose(given: Any, place: str) -> None:
    with pytest.raises(TypeError, match=place):
        compile(loss)(*given)


def test_a_tangent_of_another_class_is_refused_with_the_structure_wanted() -> None:
    f = compile(loss)
    with pytest.raises(TypeError, match=r"must be \(Line\(rate=float, start=float\), float\)"):
        f.jvp((Line(1.0, 2.0), 3.0), (Frozen(1.0, 2.0), 0.0))
    assert [f.name for f in fields(Line)] == ["rate", "start"]


# Random structures


def random_structure(random: Random, depth: int, leaf: Callable[[], Any]) -> Any:
    """Lists, tuples, dicts and objects of all kinds in each other."""
    if depth == 0 or random.random() < 0.2:
        return leaf()
    kind = random.randrange(len(KINDS) + 3)
    if kind < len(KINDS):
        return KINDS[kind](*(random_structure(random, depth - 1, leaf) for _ in range(2)))
    items = [random_structure(random, depth - 1, leaf) for _ in range(random.randrange(3))]
    many = {len(KINDS): list, len(KINDS) + 1: tuple}
    return many[kind](items) if kind in many else dict(zip("ab", items, strict=False))


def items_of(given: Any) -> list[Any] | None:
    """What a branch holds, None for a leaf."""
    if isinstance(given, dict):
        return list(given.values())
    if isinstance(given, list | tuple):
        return list(given)
    return list(parts(given)) if hasattr(given, "rate") else None


def leaves_of(given: Any) -> list[Any]:
    """The leaves in the order in which a program has them."""
    items = items_of(given)
    return [given] if items is None else [leaf for item in items for leaf in leaves_of(item)]


def classes_of(given: Any) -> list[Any]:
    """The classes that stand in each other, in order."""
    items = items_of(given)
    keys = list(given) if isinstance(given, dict) else []
    return [] if items is None else [type(given), keys, *map(classes_of, items)]


def squares(given: Any) -> Any:
    return sum((k + 1) * leaf**2 for k, leaf in enumerate(leaves_of(given)))


@pytest.mark.parametrize("first_seed", range(0, 60, 20))
def test_random_structures_have_gradients_of_their_classes_in_points_and_rows(
    first_seed: int,
) -> None:
    f, by_name = compile(squares), compile(lambda *, given: squares(given))
    rows, same = compile(squares, in_axes=0), compile(lambda given: given, in_axes=0)
    for seed in range(first_seed, first_seed + 20):
        random = Random(seed)
        given = random_structure(random, 4, lambda random=random: random.uniform(-1.0, 1.0))
        numbers = leaves_of(given)
        expected = [2.0 * (k + 1) * x for k, x in enumerate(numbers)]
        for _ in range(2):
            assert f(given) == by_name(given=given) == pytest.approx(squares(given))
            if numbers:
                gradient = f.grad(given)
                assert classes_of(gradient) == classes_of(given)
                assert leaves_of(gradient) == pytest.approx(expected)
        random = Random(seed)
        batch = random_structure(random, 4, lambda random=random: np.arange(3.0) + random.random())
        if columns := leaves_of(batch):
            assert rows(batch).tolist() == pytest.approx(squares(batch).tolist())
            gradient, back = rows.grad(batch), same(batch)
            assert classes_of(gradient) == classes_of(back) == classes_of(batch)
            for k, column in enumerate(columns):
                assert leaves_of(gradient)[k].tolist() == (2.0 * (k + 1) * column).tolist()
                assert leaves_of(back)[k].tolist() == column.tolist()
