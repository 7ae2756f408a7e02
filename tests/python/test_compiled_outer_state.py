"""What a compiled function reads that it was not given, and what changes there between calls.

The oracle is the function itself.
"""

import copy
import functools
import gc
import operator
import pickle
import random
import sys
import types
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import FrozenValueWarning, Value, compile
from arenagrad.nn import Module

SCALE: Any = 2.0
SWITCH: Any = False


def helper(x: Any) -> Any:
    return x * 10.0


def reads_globals(x: Any) -> Any:
    """A function that pickle finds by its name."""
    return helper(x) if SWITCH else x * SCALE


def test_a_closure_cell_that_changes_is_read_again() -> None:
    w: Any = 2.0

    def f(x: Any) -> Any:
        return x * w

    g, rows = compile(f), compile(f, in_axes=0)
    for now in (2.0, 3.0, np.float64(4.0), Value(5.0), 2.0, True, [1.0][0]):
        w = now
        want = now.data if isinstance(now, Value) else now
        for _ in range(3):
            assert g(1.0) == want
            assert g.grad(1.0) == want
            assert ag.grad(g)(1.0) == want
            assert g.value_and_grad(1.0) == (want, want)
            assert rows(np.ones(2)).tolist() == [want, want]


def test_globals_that_the_code_names_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    here = sys.modules[__name__]
    g = compile(lambda x: x if SWITCH else (lambda y: y * SCALE)(x))
    f = compile(reads_globals)
    for scale in (2.0, 3.0, 2.0):
        monkeypatch.setattr(here, "SCALE", scale)
        assert f(1.0) == g(1.0) == f.grad(1.0) == scale
    monkeypatch.setattr(here, "SWITCH", True)
    assert (f(1.0), g(1.0)) == (10.0, 1.0)
    monkeypatch.setattr(here, "helper", lambda x: x * 20.0)
    assert f(1.0) == 20.0


class Spring:
    """An object with fields of all kinds."""

    kind_factor = 1.0
    __slots__ = ("__dict__", "slot")

    def __init__(self) -> None:
        self.k, self.calls = 3.0, 0

    def stiffness(self) -> Any:
        return self.k * self.kind_factor * getattr(self, "extra", 1.0)

    @property
    def in_slot(self) -> Any:
        return self.slot if hasattr(self, "slot") else 1.0

    @compile
    def energy(self, x: Any) -> Any:
        self.calls += 1
        return x * self.stiffness() * self.in_slot


def test_fields_of_the_object_of_a_method_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spring: Any = Spring()

    def plain() -> Any:
        return spring.stiffness() * spring.in_slot

    changes: list[Callable[[], Any]] = [
        lambda: None,
        lambda: setattr(spring, "k", 4.0),
        lambda: monkeypatch.setattr(Spring, "kind_factor", 2.0),
        lambda: setattr(spring, "kind_factor", 5.0),
        lambda: setattr(spring, "slot", 7.0),
        lambda: setattr(spring, "slot", 8.0),
        lambda: setattr(spring, "extra", 0.5),
        lambda: delattr(spring, "extra"),
        lambda: setattr(spring, "unused", 0.5),
    ]
    for change in changes:
        change()
        for _ in range(3):
            assert spring.energy(1.0) == plain() == spring.energy.grad(1.0)
    # The last change is of a field that is not read, and the one before leads back.
    assert spring.calls == len(changes) - 2


def test_bound_methods_and_objects_that_are_called_are_functions_of_their_fields() -> None:
    class Scale:
        """An object with a number."""

        def __init__(self) -> None:
            self.w = 2.0

        def __call__(self, x: Any) -> Any:
            return x * self.w

        def by(self, x: Any, y: Any) -> Any:
            return x * y * self.w

    scale = Scale()
    compiled = [compile(scale), compile(functools.partial(scale.by, 1.0)), compile(scale.__call__)]
    for w in (2.0, 3.0):
        scale.w = w
        assert [f(1.0) for f in compiled] == [w] * 3


def test_fields_of_modules_and_static_objects_are_read_again() -> None:
    class Switch(Module):
        """A Module that does one thing or another."""

        def __init__(self) -> None:
            self.training, self.w = True, Value(3.0)

        def __call__(self, x: Any) -> Any:
            return self.w * x if self.training else self.w * x * 0.5

        def parameters(self) -> list[Value]:
            return [self.w]

    model = Switch()
    f, g = compile(lambda m, x: m(x)), compile(lambda m, x: m(x) * 2.0, static_argnums=0)
    for training in (True, False, True):
        model.training = training
        factor = 1.0 if training else 0.5
        assert f(model, 1.0) == 3.0 * factor
        assert g(model, 1.0) == 6.0 * factor


def test_a_function_is_traced_again_for_changes_only() -> None:
    traces = counted = 0
    w, unused = 1.0, 0.0

    @compile
    def f(x: Any) -> Any:
        nonlocal counted, unused
        counted += 1
        unused = x
        marks.append(w)
        return x * w

    marks: list[Any] = []
    for k in range(6):
        w = float([1, 1, 2, 2, 1, 1][k]) * 1.0
        assert f(3.0) == 3.0 * w
    assert counted == len(marks) == 2, "equal numbers are no change, and what was may be again"
    del traces


def test_what_a_function_counts_by_itself_and_reads_is_as_in_plain_python() -> None:
    def counter() -> Callable[[Any], Any]:
        k = 0

        def f(x: Any) -> Any:
            nonlocal k
            k += 1
            return x * k

        return f

    plain, compiled = counter(), compile(counter())
    assert [compiled(1.0) for _ in range(300)] == [plain(1.0) for _ in range(300)]
    assert compiled._evaluation.cache.count() <= 6


def test_values_that_a_function_keeps_for_its_next_call_are_parameters_then() -> None:
    class Lazy:
        """An object that makes its parameter when it is first called."""

        w: Any = None

        @compile
        def __call__(self, x: Any) -> Any:
            if self.w is None:
                self.w = Value(2.0)
            return self.w * x

    lazy = Lazy()
    assert lazy(1.0) == 2.0
    lazy.w.data = 5.0
    assert [lazy(1.0), lazy(2.0)] == [5.0, 10.0]


def test_a_pickle_is_of_the_function_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    here = sys.modules[__name__]
    f = compile(reads_globals)
    assert f(1.0) == 2.0
    monkeypatch.setattr(here, "SCALE", 3.0)
    g = pickle.loads(pickle.dumps(f))
    assert g(1.0) == 3.0
    h = pickle.loads(pickle.dumps(f))
    monkeypatch.setattr(here, "SCALE", 4.0)
    assert (f(1.0), g(1.0), h(1.0)) == (4.0, 4.0, 4.0)
    mapped = compile(reads_globals, in_axes=0)
    assert mapped.map(np.ones(2)).tolist() == [4.0, 4.0]
    monkeypatch.setattr(here, "SCALE", 5.0)
    assert mapped.map(np.ones(2)).tolist() == [5.0, 5.0]


def test_what_was_read_before_is_let_go() -> None:
    class Big:
        """Something that should not be kept."""

        w = 2.0

    big: Any = Big()
    gone = weakref.ref(big)

    @compile
    def f(x: Any) -> Any:
        return x * big.w

    assert f(1.0) == 2.0
    for w in range(8):
        big = types.SimpleNamespace(w=float(w))
        assert f(1.0) == w
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        lambda: random.gauss(0.0, 1.0),
        lambda: random.randint(1, 3),
        lambda: random.seed(3) or 1.0,
        lambda: np.random.rand(),
        lambda: np.random.randn(),
        lambda: np.random.seed(3) or 1.0,
    ],
)
def test_random_numbers_drawn_while_tracing_warn_with_the_line_of_the_function(draw: Any) -> None:
    def noisy(x: Any) -> Any:
        return x * draw()

    for made in (compile(noisy), compile(functools.wraps(noisy)(lambda x: noisy(x)))):
        np.random.seed(1)
        np.random.randn()  # the second of a pair is kept for the next call
        random.gauss(0.0, 1.0)
        with pytest.warns(FrozenValueWarning, match="noisy drew random numbers") as caught:
            made(1.0)
        assert caught[0].filename == __file__
    assert caught[0].lineno > noisy.__code__.co_firstlineno
    random.seed(1)
    np.random.seed(1)
    with pytest.warns(FrozenValueWarning, match="noisy drew") as caught:
        compile(noisy, in_axes=0)(np.ones(2))
    assert [w.lineno for w in caught] == [noisy.__code__.co_firstlineno]


def test_generators_of_the_users_own_and_draws_outside_do_not_warn() -> None:
    own, numpys = random.Random(1), np.random.default_rng(1)
    f = compile(lambda x: x * own.random() * numpys.random())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            f(random.random() + np.random.rand())


class Dropout(Module):
    """A layer that does one thing in training and another afterwards."""

    def __init__(self) -> None:
        self.training, self.calls = True, 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return x * 0.5 if self.training else x


class Net(Module):
    """A Module with Modules in a field, a list and a dict."""

    def __init__(self) -> None:
        self.w, self.d = Value(3.0), Dropout()
        self.more, self.named = [Dropout(), Dropout()], {"last": (Dropout(),)}

    def __call__(self, x: Any) -> Any:
        for layer in [self.d, *self.more, *self.named["last"]]:
            x = layer(x)
        return self.w * x

    @compile
    def compiled(self, x: Any) -> Any:
        return self(x)

    def parameters(self) -> list[Value]:
        return [self.w]


class Holder:
    """An object that is no Module and holds one."""

    def __init__(self, net: Net) -> None:
        self.net = net

    @compile
    def run(self, x: Any) -> Any:
        return self.net(x)


def test_fields_of_modules_inside_modules_are_read_again() -> None:
    net: Any = Net()
    nets, held = [net], Holder(net)
    calls: list[Callable[[], Any]] = [
        functools.partial(compile(lambda m, x: m(x)), net, 1.0),
        functools.partial(compile(lambda d, x: d["m"][0](x)), {"m": [net]}, 1.0),
        functools.partial(net.compiled, 1.0),
        functools.partial(held.run, 1.0),
        functools.partial(compile(lambda x: net(x)), 1.0),
        functools.partial(compile(lambda x: nets[0](x)), 1.0),
        functools.partial(compile(lambda m, x: m(x), static_argnums=0), net, 1.0),
        lambda: compiled_rows(net, np.ones(2)).tolist()[1],
        lambda: compiled_rows.value_and_grad(net, np.ones(2))[0][0],
    ]
    compiled_rows = compile(lambda m, x: m(x), in_axes=(None, 0))
    for layer in [None, net.d, net.more[1], net.named["last"][0], net.more[0], net.d]:
        if layer is not None:
            layer.training = not layer.training
        for _ in range(2):
            assert [call() for call in calls] == [net(1.0).data] * len(calls)


class Described:
    """A descriptor that reads another field."""

    def __get__(self, thing: Any, _: Any = None) -> Any:
        return thing.m * 1.0


FIELD = "by_name"


class Physics:
    """An object with numbers that functions, operators and matches read."""

    __match_args__ = ("first",)
    described = Described()

    def __init__(self) -> None:
        self.k = self.m = self.text = self.first = self.by_name = 2.0

    def __mul__(self, x: Any) -> Any:
        return x * self.m

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return self.m

    def __enter__(self) -> Any:
        return self.m

    def __exit__(self, *_: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return vars(self)["text"] if name == "absent" else object.__getattribute__(self, name)


def stiffness_of(thing: Any) -> Any:
    return thing.k


def decorated(f: Any) -> Any:
    @functools.wraps(f)
    def wrapper(*args: Any) -> Any:
        return f(*args)

    return wrapper


def under_another_name(f: Any) -> Any:
    return lambda *args: f(*args)


@decorated
def decorated_helper(thing: Any) -> Any:
    return stiffness_of(thing)


@functools.lru_cache
def cached_helper() -> Any:
    return stiffness_of


def entered(p: Any, x: Any) -> Any:
    with p as m:
        return m * x


def matched_by_keyword(p: Any, x: Any) -> Any:
    match p:
        case Physics(k=k):
            return k * x


def matched_by_position(p: Any, x: Any) -> Any:
    match p:
        case Physics(first):
            return first * x


READERS: list[tuple[str, Any]] = [
    ("k", lambda p, x: stiffness_of(p) * x),
    ("k", lambda p, x: decorated_helper(p) * x),
    ("k", decorated(lambda p, x: p.k * x)),
    ("k", under_another_name(decorated(lambda p, x: p.k * x))),
    ("k", lambda p, x: operator.attrgetter("k")(p) * x),
    ("m", lambda p, x: p * x),
    ("m", lambda p, x: x * p),
    ("m", lambda p, x: -p * x),
    ("m", entered),
    ("m", lambda p, x: p.described * x),
    ("by_name", lambda p, x: getattr(p, FIELD) * x),
    ("text", lambda p, x: p.absent * x),
    ("k", matched_by_keyword),
    ("first", matched_by_position),
]


@pytest.mark.parametrize(("field", "reads"), READERS)
def test_fields_that_are_read_through_functions_and_operators_are_read_again(
    field: str, reads: Any
) -> None:
    physics = Physics()
    f, grad = compile(reads, static_argnums=0), compile(reads, static_argnums=0).grad
    for now in (2.0, 3.0, 2.0, 5.0):
        setattr(physics, field, now)
        assert f(physics, 1.0) == now
        assert grad(physics, 1.0, argnums=1) == now


def test_what_helpers_find_in_their_cells_and_globals_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    w: Any = 2.0

    def inner(x: Any) -> Any:
        return x * w * SCALE

    f = compile(functools.lru_cache(lambda x: inner(x)).__wrapped__)
    for now in (2.0, 3.0):
        w = now
        for scale in (2.0, 3.0):
            monkeypatch.setattr(sys.modules[__name__], "SCALE", scale)
            assert f(1.0) == now * scale


def test_functions_that_are_arguments_are_read_as_the_function_itself_is() -> None:
    w: Any = 2.0
    physics = Physics()

    def scaled(x: Any) -> Any:
        return x * w

    def with_default(x: Any, k: Any = 2.0, *, n: Any = 1.0) -> Any:
        return x * k * n

    def from_object(p: Any, x: Any) -> Any:
        return x * p.k

    class Times:
        """An object with a method to be given."""

        k = 2.0

        def by(self, x: Any) -> Any:
            return x * self.k

    times, by_keyword = Times(), functools.partial(with_default, k=2.0)
    bound, with_object = times.by, functools.partial(from_object, physics)
    call = compile(lambda f, x: f(x))
    wide = compile(lambda f, x: f(x), in_axes=(None, 0))
    for now in (2.0, 3.0, 4.0):
        w = times.k = by_keyword.keywords["k"] = physics.k = now
        with_default.__defaults__ = (now,)
        for f in (scaled, with_default, bound, by_keyword, with_object):
            assert call(f, 1.0) == now, f
            assert wide(f, np.ones(2)).tolist() == [now, now]
    assert with_default.__kwdefaults__ is not None
    with_default.__kwdefaults__["n"] = 2.0
    assert call(with_default, 1.0) == 8.0


def test_defaults_that_change_are_read_again() -> None:
    def f(x: Any, k: Any = 2.0, *, n: Any = 1.0) -> Any:
        return x * k * n

    g = compile(f)
    assert g(1.0) == 2.0
    f.__defaults__ = (3.0,)
    assert (g(1.0), g.grad(1.0)) == (3.0, 3.0)
    f.__kwdefaults__ = {"n": 2.0}
    assert g(1.0) == 6.0


def test_functions_that_refer_to_each_other_and_large_lists_are_searched_once() -> None:
    things: list[Any] = [Physics() for _ in range(3000)]
    things.append(things)

    def even(k: int, x: Any) -> Any:
        return x * things[0].k if k == 0 else odd(k - 1, x)

    def odd(k: int, x: Any) -> Any:
        return even(k - 1, x)

    assert compile(lambda x: even(4, x))(1.0) == 2.0


def put(a: Any) -> Any:
    a[0] = 9.0
    return a[0] * a[1]


def put_deep(a: Any) -> Any:
    a[0]["k"][1] *= 3.0
    return a[0]["k"][1]


def append(a: Any) -> Any:
    a.append(a[0])
    return sum(a)


def put_in_dict(a: Any) -> Any:
    a["a"] = a["a"] * 2.0
    return a["a"]


def add_key(a: Any) -> Any:
    a["b"] = 1.0
    return a["a"]


def double(a: Any) -> Any:
    a *= 2.0
    return a.sum()


@pytest.mark.parametrize(
    ("f", "a"),
    [
        (put, [1.0, 2.0]),
        (put, np.array([1.0, 2.0])),
        (put_deep, ({"k": [1.0, 2.0]},)),
        (append, [1.0, 2.0]),
        (put_in_dict, {"a": 1.0}),
        (add_key, {"a": 1.0}),
        (double, np.ones((2, 2))),
    ],
)
def test_a_function_that_changes_an_argument_in_place_warns_that_calls_leave_it(
    f: Any, a: Any
) -> None:
    as_it_was = copy.deepcopy(a)
    for call in (compile(f), compile(f).grad):
        with pytest.warns(FrozenValueWarning, match=f"{f.__name__} changed its argument a") as got:
            call(a)
        assert [(w.filename, w.lineno) for w in got] == [(__file__, f.__code__.co_firstlineno)]
    np.testing.assert_equal(a, as_it_was)
    with pytest.warns(FrozenValueWarning, match="its argument number 0 in place"):
        compile(functools.partial(f))(a)


def test_copies_of_arguments_may_be_changed_without_a_warning() -> None:
    def f(a: Any, b: Any) -> Any:
        a, b = a.copy(), [*b]
        a[0], b[0] = b[0], a[0]
        b.append(a[0])
        return a.sum() + sum(b)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compile(f)(np.ones(2), [2.0]) == 6.0


class Plain:
    scale = 2.0

    def __call__(self, x: Any) -> Any:
        return x * self.scale


class Slotted:
    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = 2.0

    def __call__(self, x: Any) -> Any:
        return x * self.scale


class Other(Plain):
    scale = 11.0


def change_class(thing: Any) -> None:
    thing.__class__ = Other


def change_dict(thing: Any) -> None:
    thing.__dict__ = {"scale": 13.0}


def change_field(thing: Any) -> None:
    thing.scale = 3.0


def delete_field(thing: Any) -> None:
    thing.scale = 5.0
    compile(thing)(1.0)
    del thing.scale


def change_field_and_another(thing: Any) -> None:
    thing.other = 1.0
    thing.scale = 7.0


@pytest.mark.parametrize(
    "change",
    [change_class, change_dict, change_field, delete_field, change_field_and_another],
)
def test_a_field_is_compared_wherever_it_stands(change: Callable[[Any], None]) -> None:
    thing = Plain()
    f = compile(lambda x: thing(x))
    for _ in range(4):
        assert f(1.5) == 3.0
    change(thing)
    for _ in range(3):
        assert f(1.5) == thing(1.5)
    thing.unrelated = 1.0  # type: ignore[attr-defined]  # it has a dict
    assert f(1.5) == thing(1.5)
    thing.scale = 17.0
    assert f(1.5) == 25.5


def test_a_class_a_slot_and_a_default_are_compared_after_many_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slotted, thing = Slotted(), Plain()
    of_slot, of_class = compile(lambda x: slotted(x)), compile(lambda x: thing(x))

    def scaled(x: Any, by: float = 2.0) -> Any:
        return x * by

    scaled.note = "a function with a dict"  # type: ignore[attr-defined]  # functions have one
    of_default = compile(lambda x: scaled(x))
    for _ in range(4):
        assert (of_slot(1.0), of_class(1.0), of_default(1.0)) == (2.0, 2.0, 2.0)
    slotted.scale = 3.0
    monkeypatch.setattr(Plain, "scale", 5.0)
    scaled.__defaults__ = (7.0,)
    for _ in range(3):
        assert (of_slot(1.0), of_class(1.0), of_default(1.0)) == (3.0, 5.0, 7.0)
    monkeypatch.setattr(Plain, "scale", property(lambda self: 9.0))
    assert of_class(1.0) == 9.0


class Stepped:
    """An object whose methods are replaced."""

    def step(self, x: Any) -> Any:
        return x * 2.0

    def __call__(self, x: Any) -> Any:
        return self.step(x)

    @property
    def factor(self) -> float:
        return 2.0


def helper_of_all(x: Any) -> Any:
    return x * 2.0


def by_helper(x: Any) -> Any:
    return helper_of_all(x)


def by_method(stepped: Stepped) -> Callable[[Any], Any]:
    return lambda x: stepped.step(x)


def by_call(stepped: Stepped) -> Callable[[Any], Any]:
    return lambda x: stepped(x)


def by_property(stepped: Stepped) -> Callable[[Any], Any]:
    return lambda x: x * stepped.factor


CODE: dict[str, tuple[Callable[[], Any], Callable[[pytest.MonkeyPatch, Any], None]]] = {
    "the code of the function": (
        lambda: lambda x: x * 2.0,
        lambda patch, f: patch.setattr(f, "__code__", (lambda x: x * 3.0).__code__),
    ),
    "the code of a helper": (
        lambda: by_helper,
        lambda patch, _: patch.setattr(helper_of_all, "__code__", (lambda x: x * 3.0).__code__),
    ),
    "the code of a method": (
        lambda: by_method(Stepped()),
        lambda patch, _: patch.setattr(
            Stepped.step, "__code__", (lambda self, x: x * 3.0).__code__
        ),
    ),
    "a method": (
        lambda: by_method(Stepped()),
        lambda patch, _: patch.setattr(Stepped, "step", lambda self, x: x * 3.0),
    ),
    "a method behind a call": (
        lambda: by_call(Stepped()),
        lambda patch, _: patch.setattr(Stepped, "step", lambda self, x: x * 3.0),
    ),
    "a special method": (
        lambda: by_call(Stepped()),
        lambda patch, _: patch.setattr(Stepped, "__call__", lambda self, x: x * 3.0),
    ),
    "a property": (
        lambda: by_property(Stepped()),
        lambda patch, _: patch.setattr(Stepped, "factor", property(lambda self: 3.0)),
    ),
}


@pytest.mark.parametrize("case", CODE)
def test_code_that_is_replaced_is_traced_again(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, replace = CODE[case]
    function = make()
    f, rows = compile(function), compile(function, in_axes=0)
    assert (f(1.0), f.grad(1.0), rows(np.ones(1))[0]) == (2.0, 2.0, 2.0)
    replace(monkeypatch, function)
    assert (f(1.0), f.grad(1.0), rows(np.ones(1))[0]) == (3.0, 3.0, 3.0)
    monkeypatch.undo()
    assert (f(1.0), f.grad(1.0), rows(np.ones(1))[0]) == (2.0, 2.0, 2.0)
