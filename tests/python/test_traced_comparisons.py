"""Equality, truth and whole numbers of Values in compiled functions: those of floats."""

import bisect
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arenagrad import FrozenValueWarning, Value, compile, value_and_grad
from arenagrad._compile.trace_cache import Outcome, TraceVariant

NAN, INF = math.nan, math.inf
POINTS = [1.0, 0.0, -0.0, 2.0, -1.0, 2.5, 3.5, -2.5, 0.5, -0.5, 1.5, 7.25, 1e17, INF, -INF, NAN]

FUNCTIONS: list[Callable[[Any], Any]] = [
    lambda x: x * 2.0 if x == 1.0 else x * 3.0,
    lambda x: x * 2.0 if x != 2 else x * 3.0,
    lambda x: x * 2.0 if 1.0 == x else x * 3.0,  # noqa: SIM300 - the number asks the Value
    lambda x: x * 2.0 if x == 2.5 + 0j else x,
    lambda x: x * 2.0 if x == 2**53 + 1 else x,
    lambda x: x if x == "1.0" else x * 2.0,
    lambda x: x * x if x == x * x else x + 1.0,
    lambda x: 1.0 if x != x else x * 2.0,
    lambda x: x * 2.0 if x else x + 7.0,
    lambda x: x * 2.0 if not x else x + 7.0,
    lambda x: (x and x + 1.0) or 5.0 + 0.0 * x,
    lambda x: x * 3.0 if x in (1.0, 2.5, -1.0) else x,
    lambda x: x * 3.0 if x - 1.0 in [0.0, x - 2.0] else x,
    lambda x: x + float([1.0, 2.0, x].index(x)),
    lambda x: x * float([x, 1.0, x * 1.0].count(1.0)),
    lambda x: sorted([x, 1.5, -x, 0.0])[1] * 2.0,
    lambda x: min(x, 0.5) * max(x, 2.0),
    lambda x: x * bisect.bisect([0.0, 1.0, 2.0], x),
    lambda x: x * int(x),
    lambda x: x * math.floor(x),
    lambda x: x * math.ceil(x),
    lambda x: x * math.trunc(x),
    lambda x: x * round(x),
    lambda x: x * 2.0 if int(x) % 2 else x,
    lambda x: x * 2.0 if any([x - 1.0, x - 2.0]) else x,
    lambda x: x * 2.0 if all([x, x - 1.0]) else x,
]


def outcome(call: Callable[[Any], Any], x: float) -> Any:
    try:
        return float(call(x))
    except (OverflowError, ValueError) as error:
        return type(error).__mro__[-4]


def same(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_equality_truth_and_whole_numbers_are_those_of_floats(number: int, strict: bool) -> None:
    function = FUNCTIONS[number]
    wanted = [outcome(function, x) for x in POINTS]
    f = compile(function, strict=strict)
    for order in (range(len(POINTS)), range(len(POINTS))[::-1]):
        for k in order:
            assert same(outcome(f, POINTS[k]), wanted[k]), POINTS[k]
    again = compile(function, in_axes=0, strict=strict)
    good = [k for k, want in enumerate(wanted) if not isinstance(want, type)]
    rows = again(np.array([POINTS[k] for k in good]))
    assert all(same(row, wanted[k]) for row, k in zip(rows.tolist(), good, strict=True))


def tripled_if_equal(x: Any, y: Any) -> Any:
    return x * 3.0 if x == y else x * y


def test_two_values_compare_by_number_in_a_compiled_function_and_only_there() -> None:
    for g in (compile(tripled_if_equal), compile(tripled_if_equal, strict=True)):
        assert [g(2.0, 2.0), g(2.0, 3.5), g(2.0, 2.0)] == [6.0, 7.0, 6.0]
        assert value_and_grad(g, (0, 1))(2.0, 2.0) == (6.0, (3.0, 0.0))
        assert g(Value(2.0), Value(2.0)).data == 6.0
        assert pickle.loads(pickle.dumps(g))(2.0, 3.5) == 7.0
    assert Value(2.0) != Value(2.0)
    assert bool(Value(0.0))
    rows = compile(tripled_if_equal, in_axes=0)(
        np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 3.0])
    )
    assert rows.tolist() == [3.0, 10.0, 9.0]


def test_values_of_a_closure_compare_by_number_too() -> None:
    limit = Value(1.0)
    f = compile(lambda x: x * 2.0 if x == limit else x if limit else x * 9.0)
    assert [f(1.0), f(3.0)] == [2.0, 3.0]
    limit.data = 0.0
    assert [f(1.0), f(0.0)] == [9.0, 0.0]


def test_a_whole_number_is_a_guard_and_no_frozen_number() -> None:
    f = compile(lambda n, x: sum((x**k for k in range(int(n))), 0.0 * x))
    for n, want in ((3.0, 7.0), (2.9, 3.0), (0.5, 0.0), (4.0, 15.0), (2.2, 3.0)):
        assert f(n, 2.0) == want
    rows = compile(lambda n, x: x * [1.0, 10.0, 100.0][round(n)], in_axes=0)
    assert rows(np.array([0.2, 1.5, 0.5, 2.5]), np.ones(4)).tolist() == [1.0, 100.0, 1.0, 100.0]


@pytest.mark.parametrize(
    "use", [lambda v: range(v), lambda v: [1.0, 2.0][v], lambda v: "a" * v, lambda v: 1 << v]
)
def test_a_value_is_no_index_as_a_float_is_none(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        use(1.0)
    with pytest.raises(TypeError, match=r"arenagrad\.Value"):
        compile(lambda x: x * (0.0 if use(x) is None else 1.0))(1.0)


@pytest.mark.parametrize(
    "use", [range, lambda v: [1.0, 2.0][v], lambda v: "a" * v, lambda v: [1.0, 2.0][:v]]
)
def test_a_value_as_an_index_says_what_helps(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"arenagrad\.take\(values, i\), or name .* static_argnums"):
        compile(use)(1)
    assert compile(lambda n: 1.0 * len("a" * n), static_argnums=0)(3) == 3.0


@pytest.mark.parametrize(
    "number", [lambda v: round(v, 1), float, lambda v: v.data, lambda v: f"{v:.1f}"]
)
def test_a_number_read_out_is_frozen_with_a_warning(number: Callable[[Any], Any]) -> None:
    with pytest.warns(FrozenValueWarning, match="freezes its number"):
        compile(lambda x: x * float(number(x)))(1.25)


def test_the_hash_of_a_value_warns_once_in_a_trace() -> None:
    def f(x: Any) -> Any:
        return x * (2.0 if x in {1.0, 2.0} else 3.0) + float(len({x, x + 1.0}))

    with pytest.warns(FrozenValueWarning, match="the hash of a Value") as caught:
        compile(f)(5.0)
    assert [w.filename for w in caught] == [__file__]
    assert len({Value(1.0), Value(1.0)}) == 2


def test_a_variant_that_refuses_its_own_numbers_is_traced_twice_before_it_is_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = TraceVariant.run

    def refusing(self: TraceVariant, *args: Any) -> tuple[Outcome, Any]:
        return run(self, *args) if args[-1] else (Outcome.OTHER_VARIANT, None)

    monkeypatch.setattr(TraceVariant, "run", refusing)
    assert compile(lambda x: x if x > 0.0 else -x)(-2.0) == 2.0
    turns = iter(range(4))
    with pytest.raises(RuntimeError, match="did something else when it was traced again"):
        compile(lambda x: x if next(turns) == 0 else -x)(2.0)
