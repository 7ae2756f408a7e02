"""Where a compiled function might answer wrongly without a word, and does not.

Arguments taken for one another, Values made while tracing, derivatives of what has a row for each
of a batch, threads, pickles and progress.
"""

import copy
import math
import pickle
import warnings
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile, grad, jacobian, nn
from scripts import outcome, run_python

# Arguments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((0.0, -0.0), ((1,), (True,)), ((0.0,), (-0.0,)), ((1, (2,)), (1, (2.0,)))),
        *((0j, -0j), (Decimal(0), Decimal("-0")), (np.float32(0.0), np.float32(-0.0))),
    ],
)
def test_static_arguments_that_are_only_equal_have_programs_of_their_own(
    one: Any, other: Any
) -> None:
    f = compile(lambda x, static: x * len(seen.setdefault(repr(static), [])), static_argnums=1)
    seen: dict[str, list[int]] = {}
    f(1.0, one)
    f(1.0, other)
    assert list(seen) == [repr(one), repr(other)]


def test_nan_is_the_static_argument_that_nan_is() -> None:
    traces = []
    f = compile(lambda x, static: traces.append(static) or x, static_argnums=1)
    for _ in range(3):
        f(1.0, float("nan"))
        f(1.0, (float("nan"), 1))
    assert len(traces) == 2


def test_argnums_are_what_they_say_however_often_a_list_of_them_changes() -> None:
    f = compile(lambda x, y: x * x * y)
    numbers = [0]
    assert f.grad(2.0, 3.0, argnums=numbers) == (12.0,)
    numbers[0] = 1
    assert f.grad(2.0, 3.0, argnums=numbers) == (4.0,)
    assert f.grad(2.0, 3.0, argnums=[1]) == f.grad(2.0, 3.0, argnums=(1,)) == (4.0,)
    assert f.grad(2.0, 3.0, argnums=(0, 1)) == (12.0, 4.0)
    for wrong in [(False, True), (0.0, 1.0), False, 0.0]:
        with pytest.raises(TypeError, match="argnums must be"):
            f.grad(2.0, 3.0, argnums=wrong)


class Pair(NamedTuple):
    one: int
    other: int


def test_argnums_may_be_any_tuple_and_must_be_arguments() -> None:
    f = compile(lambda x, y: x * x * y)
    for _ in range(2):
        assert f.grad(2.0, 3.0, argnums=Pair(0, 1)) == (12.0, 4.0)
        assert f.grad(2.0, 3.0, argnums=-1) == 4.0
        for wrong in (2**70, (2**70, 0), -(2**70)):
            with pytest.raises(IndexError, match="argnums asks for argument"):
                f.grad(2.0, 3.0, argnums=wrong)


def test_a_plain_call_takes_no_argnums_before_or_after_it_is_known() -> None:
    f = compile(lambda x: x * x)
    for _ in range(2):
        with pytest.raises(TypeError, match="argnums"):
            f(2.0, argnums=0)  # type: ignore[call-arg]
        assert f(2.0) == 4.0


@pytest.mark.parametrize("rows", [[None, 1.0], ["1", "2"], [True, False], [2j], [10**400]])
def test_rows_in_lists_must_be_real_numbers_as_those_in_arrays(rows: list[Any]) -> None:
    with pytest.raises(TypeError, match="the rows of a batch must be real numbers, got the dtype"):
        compile(lambda x: x * 2.0, in_axes=0)(rows)


def test_rows_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        compile(lambda x: x * 2.0, in_axes=0)([[1.0, 2.0], [3.0]])


def test_a_key_that_in_axes_lacks_is_named() -> None:
    f = compile(lambda d: d["a"] * d["c"], in_axes=({"a": 0, "b": 0},))
    with pytest.raises(ValueError, match="no entry for the key 'c'"):
        f({"a": np.ones(2), "c": np.ones(2)})


class Weight(nn.Module):
    def __init__(self) -> None:
        self.w = Value(2.0)

    def parameters(self) -> list[Value]:
        return [self.w]


def test_a_value_in_two_places_of_the_arguments_is_refused() -> None:
    f, m = compile(lambda a, b, x: a.w * x + b.w * b.w), Weight()
    with pytest.raises(ValueError, match="must not have a Value twice"):
        f.grad(m, m, 3.0)
    assert f.grad(m, Weight(), 3.0) == [3.0]


def test_dicts_with_equal_keys_keep_their_own_beside_another_module() -> None:
    f = compile(lambda m, d: m.w * sum(d.values()))
    for key in (1, True, 1.0):
        by = f.grad(Weight(), {key: 2.0}, argnums=1)
        assert repr(by) == repr({key: 2.0})


# Values made while a function is traced


class Lazy:
    weight: Any = None

    def __call__(self, x: Any) -> Any:
        if self.weight is None:
            self.weight = Value(2.0)
        return self.weight * x


def test_a_parameter_made_at_the_first_call_is_read_anew_at_each() -> None:
    lazy = Lazy()
    f = compile(lazy)
    assert f(3.0) == 6.0
    lazy.weight.data = 10.0
    assert f(3.0) == 30.0
    assert compile(lazy)(3.0) == 30.0
    assert pickle.loads(pickle.dumps(compile(Lazy())))(3.0) == 6.0


class Computed(Lazy):
    def __call__(self, x: Any) -> Any:
        if self.weight is None:
            self.weight = -(Value(2.0) * 1.5)
        return self.weight * x


def test_so_is_one_that_was_computed_of_numbers() -> None:
    computed = Computed()
    f = compile(computed)
    assert f(2.0) == -6.0
    computed.weight.data = 10.0
    assert f(2.0) == computed(Value(2.0)).data == 20.0
    assert f.grad(2.0) == 10.0


def test_numbers_of_values_that_have_been_used_cannot_be_changed() -> None:
    def counter(x: Any) -> Any:
        c, y = Value(0.0), x * 0.0
        for _ in range(3):
            c.data += 1.0  # the first time nothing is made of it
            y = y + c * x
        return y

    with pytest.raises(TypeError, match="data cannot be assigned"):
        compile(counter)(1.0)


def test_a_compiled_function_inside_another_reads_its_parameters_at_each_call() -> None:
    inner, m, w = compile(lambda m, x: m.w * x), Weight(), Value(2.0)
    for within in (
        lambda m, x: x * inner(m, 1.5),
        lambda m, x: x * grad(inner, 1)(m, 1.5),
        lambda m, x: x * compile(lambda y: y * w)(1.5),
    ):
        f = compile(within)
        m.w.data = w.data = 2.0
        before = f(m, 1.0)
        m.w.data = w.data = 4.0
        assert f(m, 1.0) == 2.0 * before
        assert f.program(m, 1.0).stats["guards"] == 0


def test_a_batch_inside_a_compiled_function_that_freezes_its_parameters_says_so() -> None:
    w = Value(2.0)
    rows = compile(lambda y: y * w, in_axes=0)
    with pytest.warns(ag.FrozenValueWarning):
        compile(lambda x: x * rows(np.ones(2))[0])(1.0)


def test_a_value_made_and_returned_or_dropped_is_a_number_of_the_program() -> None:
    f = compile(lambda x: [x * Value(2.0), Value(3.0), 4.0])
    assert f(1.0) == [2.0, 3.0, 4.0]
    assert f.program(1.0).stats["closure"] == 0


def test_a_product_that_overflows_beside_an_infinity_is_nan_in_rows_too() -> None:
    def f(x: Any) -> Any:
        return 1e300 * (1e300 * x) - math.inf

    assert math.isnan(compile(f)(3.0))
    assert np.isnan(compile(f, in_axes=0)(np.array([3.0, 5.0]))).all()


# Derivatives


def test_what_has_a_row_for_each_of_a_batch_is_differentiated_row_by_row() -> None:
    total = compile(lambda x, y: x * x * y, in_axes=(0, None), reduce="sum")
    x = np.arange(3.0)
    assert jacobian(grad(total, 0), 1)(x, 2.0).tolist() == [0.0, 2.0, 4.0]
    assert grad(total, 0).jvp((x, 2.0), (np.zeros(3), 1.0))[1].tolist() == [0.0, 2.0, 4.0]
    _, (by_x, by_y) = grad(total, 0).vjp((x, 2.0), np.array([1.0, 10.0, 100.0]))
    assert by_x.tolist() == [4.0, 40.0, 400.0]
    assert by_y == 420.0
    linear = compile(lambda x, y: x * y, in_axes=(0, None), reduce="sum")
    assert jacobian(grad(linear, 0), 1)(x, 2.0).tolist() == [1.0, 1.0, 1.0]
    for wrong in (grad(grad(total, 0), 1), grad(grad(total, 0), 0)):
        with pytest.raises(TypeError, match="one for each row of a batch"):
            wrong(x, 2.0)


def test_cotangents_and_tangents_of_a_batch_may_be_none_for_what_is_no_number() -> None:
    f = compile(lambda x: (x * x, None), in_axes=0)
    assert f.vjp((np.ones(3),), (np.ones(3), None))[1][0].tolist() == [2.0, 2.0, 2.0]
    g = compile(lambda x, k: x * k, in_axes=0, static_argnums=1)
    assert g.jvp((np.arange(3.0), 2), (np.ones(3), None))[1].tolist() == [2.0, 2.0, 2.0]


def test_strict_gradients_of_a_sum_over_rows_are_the_eager_ones_bit_for_bit() -> None:
    def f(x: Any) -> Any:
        return (x * x) * 0.1 + (x * x) * 0.7

    x = np.random.default_rng(0).normal(size=300)
    leaves = [Value(number) for number in x.tolist()]
    for leaf in leaves:
        f(leaf).backward()
    for reduce in (None, "sum"):
        strict = compile(f, strict=True, in_axes=0, reduce=reduce)  # type: ignore[arg-type]
        assert strict.grad(x).tolist() == [leaf.grad for leaf in leaves]


def test_powers_have_partials_where_a_factor_of_their_rule_has_none() -> None:
    polynomial = compile(lambda x: ag.sum([c * x**k for k, c in enumerate([1.0, 2.0, 3.0])]))
    assert polynomial.grad(0.0) == 2.0
    assert polynomial.grad(1e-310) == pytest.approx(2.0)
    assert compile(lambda x: x**0 + x, in_axes=0).grad(np.array([0.0, 2.0])).tolist() == [1.0, 1.0]
    for strict in (False, True):
        assert grad(grad(compile(lambda x: x**1, strict=strict)))(0.0) == 0.0
    assert grad(grad(compile(lambda x: x**0 + x)))(0.0) == 0.0
    with pytest.raises(ZeroDivisionError):  # strict is as the sweep of the graph
        compile(lambda x: x**0 + x, strict=True).grad(0.0)
    assert grad(grad(ag.power))(0.0, 1.0) == 0.0
    assert grad(grad(grad(ag.power)))(0.0, 2.0) == 0.0


# Threads, pickles, progress


_FIRST_CALLS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np, arenagrad
sys.setswitchinterval(1e-6)
f = arenagrad.compile(lambda x: x * x)
with ThreadPoolExecutor(4) as pool:
    print(len(list(pool.map(f, [np.ones(3)] * 8))))
"""


@pytest.mark.slow
def test_the_first_calls_may_come_from_several_threads_at_once(tmp_path: Path) -> None:
    for _ in range(3):
        done = run_python(tmp_path, "script.py", script=_FIRST_CALLS)
        assert outcome(done) == ("8\n", "", 0)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_compiled_functions_pickle_by_every_protocol(protocol: int) -> None:
    f = compile(ag.hypot)
    f(3.0, 4.0)
    assert pickle.loads(pickle.dumps(f, protocol))(3.0, 4.0) == 5.0


@pytest.mark.slow
def test_progress_of_rows_of_several_ways_never_goes_back_and_ends_at_all() -> None:
    told: list[tuple[int, int]] = []

    def long(x: Any) -> Any:
        for _ in range(300):
            x = ag.sin(x) + 0.1 if x > 0 else ag.cos(x)
        return x

    f = compile(long, in_axes=0, progress=lambda done, rows: told.append((done, rows)))
    f(np.random.default_rng(0).normal(size=150_000))
    assert told[-1] == (150_000, 150_000)
    assert all(rows == 150_000 for _, rows in told)
    assert all(one[0] < other[0] for one, other in pairwise(told))


def test_only_rows_that_the_program_refuses_are_run_by_the_function() -> None:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return ag.exp(x)

    compiled = compile(f, in_axes=0)
    assert compiled(np.full(100, np.inf)).tolist() == [math.inf] * 100
    assert calls == 1, "infinite operands are no mistake"
    with pytest.raises(ag.RangeError):
        compiled(np.array([np.inf, 1.0, 1000.0]))
    assert calls == 2


def test_the_line_that_is_blamed_for_a_frozen_number_is_the_users_own() -> None:
    def copies(x: Any) -> Any:
        return x * copy.copy(x).data + ag.losses.mse([x], [copy.deepcopy(x)]).data

    for f in (copies, math.exp):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            compile(f)(1.0)
        assert caught
        assert {warning.filename for warning in caught} == {__file__}
