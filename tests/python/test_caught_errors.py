"""An error that a compiled function catches is an outcome, as a comparison is."""

import math
import operator
import pickle
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Program, Value, compile, value_and_grad

POINTS = [
    *(2.0, 0.0, -3.0, 0.5, 1e200, -0.0, 1.0, 710.0, -1e200, 3.0, 1e308, -0.5, 1e-310),
    *(math.inf, -math.inf, math.nan, -2.5),
]


def divided(x: Any) -> Any:
    try:
        y = 1 / x
    except ZeroDivisionError:
        y = 5.0
    return y + x


def unused_result(x: Any) -> Any:
    try:
        1 / x
    except ArithmeticError:
        return x + 1.0
    return x * 2.0


def nested(x: Any) -> Any:
    try:
        try:
            return ag.log(x)
        except ValueError:
            return x ** (-1) * 3.0
    except ZeroDivisionError:
        return x - 7.0


def with_finally(x: Any) -> Any:
    y = x
    try:
        y = ag.sqrt(x)
    except ValueError:
        y = -x
    finally:
        y = y + 1.0
    return y


def halves_until_it_fits(x: Any) -> Any:
    while True:
        try:
            return ag.exp(x) + x
        except OverflowError:
            x = x * 0.5


def deep(x: Any, depth: int = 0) -> Any:
    return ag.log10(x - 0.5) if depth == 5 else deep(x, depth + 1)


def caught_far_above(x: Any) -> Any:
    try:
        return deep(x) * x
    except ValueError as error:
        return x * (2.0 if isinstance(error, ag.DomainError) else 3.0)


def by_kind(x: Any) -> Any:
    try:
        return x**2 + x**-0.5
    except OverflowError:
        return 1e-3 * x
    except ZeroDivisionError:
        return x - 1.0
    except ValueError:
        return x + 1.0


def chosen_away(x: Any) -> Any:
    try:
        return ag.where(1.0, x, ag.log(x))
    except ValueError:
        return x * 4.0


def made_finite(x: Any) -> Any:
    try:
        return ag.exp(-ag.abs(1 / x)) + x
    except ZeroDivisionError:
        return x + 9.0


def taken(x: Any) -> Any:
    try:
        return ag.take([x * 2.0, x * 3.0, x * 5.0], x)
    except IndexError:
        return x * 7.0


def several(x: Any) -> Any:
    total, failures = x * 0.0, 0
    for shift in (0.0, 1.0, -2.0):
        try:
            total = total + ag.arccosh(x + shift)
        except ValueError:
            failures += 1
    return total + float(failures)


def number_to_a_power(x: Any) -> Any:
    try:
        return ag.power(0.0, x) + 1.0
    except ZeroDivisionError:
        return x


def lets_go(x: Any) -> Any:
    try:
        return ag.log(x)
    except ValueError:
        return ag.sqrt(x + 1.0)


FUNCTIONS = [
    *(divided, unused_result, nested, with_finally, halves_until_it_fits, caught_far_above),
    *(by_kind, chosen_away, made_finite, taken, several, number_to_a_power, lets_go),
]


class Number(float):
    """A float whose quotients are products with a power, as those of Values are."""

    def __truediv__(self, other: float) -> "Number":
        return Number(self * Number(other) ** -1)

    def __rtruediv__(self, other: float) -> "Number":
        return Number(other * self**-1)

    def __pow__(self, other: Any, modulus: None = None) -> "Number":
        return Number(_real(float(self) ** other))

    def __add__(self, other: float) -> "Number":
        return Number(float(self) + float(other))

    def __sub__(self, other: float) -> "Number":
        return Number(float(self) - float(other))

    def __mul__(self, other: float) -> "Number":
        return Number(float(self) * float(other))

    def __neg__(self) -> "Number":
        return Number(-float(self))

    __radd__, __rmul__ = __add__, __mul__


def _real(number: Any) -> float:
    if isinstance(number, complex):
        raise ValueError("complex")
    return float(number)


KINDS = (ZeroDivisionError, OverflowError, IndexError, ValueError)


def outcome(call: Callable[[Any], Any], x: Any) -> Any:
    """What a call gives, or the kind of its error."""
    try:
        return float(call(x))
    except KINDS as error:
        return next(kind for kind in KINDS if isinstance(error, kind))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, type) or isinstance(other, type):
        return one is other
    return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


def value_and_adjoint(f: Callable[[Any], Any], x: float) -> tuple[Any, Any]:
    """The same of Values, with the adjoint."""
    v = Value(x)
    try:
        y = f(v)
        if isinstance(y, Value):
            y.backward()
        return (y.data if isinstance(y, Value) else float(y)), v.grad
    except KINDS as error:
        kind = next(kind for kind in KINDS if isinstance(error, kind))
        return kind, kind


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_caught_errors_are_outcomes_in_any_order_of_calls(
    function: Callable[[Any], Any], strict: bool
) -> None:
    wanted = [outcome(function, Number(x)) for x in POINTS]
    for order in (POINTS, POINTS[::-1], POINTS[5:] + POINTS[:5]):
        f = compile(function, strict=strict)
        for x in order * 2:
            got = outcome(f, x)
            assert same(got, wanted[POINTS.index(x) if x == x else -2]), (x, got)
    again = pickle.loads(pickle.dumps(f))
    assert all(same(outcome(again, x), want) for x, want in zip(POINTS, wanted, strict=True))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_take_the_branch_of_a_caught_error_too(function: Callable[[Any], Any]) -> None:
    f = value_and_grad(compile(function, strict=True))
    for x in (*POINTS[:12], *POINTS[:12]):
        value, adjoint = value_and_adjoint(function, x)
        if isinstance(value, type):
            with pytest.raises(value):
                f(x)
        else:
            got = f(x)
            assert same(got[0], value), (x, got, value)
            assert same(got[1], adjoint), (x, got, adjoint)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_row_goes_its_own_way_where_errors_are_caught(
    function: Callable[[Any], Any], threads: int, strict: bool
) -> None:
    wanted = {x: outcome(function, Number(x)) for x in POINTS}
    good = [x for x in POINTS if not isinstance(wanted[x], type)]
    f = compile(function, in_axes=0, threads=threads, strict=strict)
    rows = (good * 40)[:300]
    for _ in range(2):
        got = f(np.array(rows))
        assert all(same(y, wanted[x]) for x, y in zip(rows, got.tolist(), strict=True))
    for k, x in enumerate(POINTS):
        if isinstance(wanted[x], type):
            batch = [*good * 3, x, *good, *reversed(POINTS[: k + 1])]
            with pytest.raises(wanted[x], match=rf"row {3 * len(good)}\b") as caught:
                f(np.array(batch))
            assert caught.value.row == 3 * len(good)  # type: ignore[attr-defined]


@pytest.mark.parametrize("function", [ag.exp, ag.log, ag.reciprocal, ag.lgamma])
def test_an_operation_whose_error_is_caught_is_computed_once(function: Callable[..., Any]) -> None:
    def tried(x: Any) -> Any:
        try:
            return function(x) * 2.0
        except ArithmeticError:
            return 0.0

    counts = compile(tried).program(1.5).stats["counts"]
    assert counts[function.__name__.capitalize()] == 1


@pytest.mark.parametrize(
    "function",
    [
        *(lambda x: 1.0 / x, lambda x: x**0.5, lambda x: x**-2, lambda x: 2.5 % x),
        *(lambda x: x**1.5, lambda x: x**3, ag.exp, ag.log, lambda x: ag.fmod(2.5, x)),
        *(lambda x: x**x, lambda x: 2.0**x, ag.tan, ag.reciprocal),
    ],
)
def test_rows_that_fail_and_rows_that_do_not_are_told_apart(function: Callable[..., Any]) -> None:
    def tried(x: Any) -> Any:
        try:
            return function(x) + 0.0
        except ArithmeticError:
            return -7.0
        except ValueError:
            return -8.0

    numbers = [*POINTS, 5e-324, -5e-324, 1e-200, 2.0**-500, 2.0**500, 1e154, 1e103, 1e102]
    wanted = [tried(Value(x)) for x in numbers]
    for rows in (numbers, numbers * 20, [1.5] * 300, [1.5] * 299 + [0.0]):
        got = compile(tried, in_axes=0)(np.array(rows))
        by_number = dict(zip(map(repr, numbers), wanted, strict=True)) | {"1.5": tried(Value(1.5))}
        want = [ag.data_of(by_number[repr(x)]).item() for x in rows]
        assert np.allclose(got, want, rtol=1e-12, atol=0.0, equal_nan=True)


def test_an_operation_that_fails_in_rows_without_a_guard_is_traced_anew() -> None:
    f = compile(divided, in_axes=0)
    assert f(np.array([2.0, 4.0])).tolist() == [2.5, 4.25]
    assert f(np.array([2.0, 0.0, 4.0])).tolist() == [2.5, 5.0, 4.25]
    assert compile(divided, in_axes=0, reduce="sum")(np.array([2.0, 0.0, 4.0])) == 11.75


def test_numbers_that_are_not_finite_but_no_mistake_take_the_known_variant() -> None:
    calls = 0

    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return ag.log(x) + 1 / x

    g = compile(f, in_axes=0)
    rows = np.array([1.0, math.inf, math.nan, 2.0])
    wanted = [1.0, math.inf, math.nan, math.log(2.0) + 0.5]
    assert np.allclose(g(rows), wanted, equal_nan=True)
    assert np.allclose(g(rows), wanted, equal_nan=True)
    assert calls == 1
    point = compile(f)
    assert [point(1.0), point(math.inf)] == [1.0, math.inf]
    assert math.isnan(point(math.nan))
    assert calls == 2


def test_an_error_that_the_function_lets_out_is_raised_at_each_call() -> None:
    f = compile(lets_go)
    assert f(1.0) == 0.0
    for _ in range(3):
        with pytest.raises(ag.DomainError, match=r"^sqrt\(-2.0\): .* \(in lets_go\)$") as caught:
            f(-3.0)
        assert caught.value.row is None  # type: ignore[attr-defined]
    assert f(-0.5) == math.sqrt(0.5)


def test_messages_name_operation_number_function_and_row() -> None:
    def quotient(x: Any) -> Any:
        return 1 / x

    with pytest.raises(ZeroDivisionError, match=r"^1 / 0.0: .* \(in .*quotient\)$"):
        compile(quotient)(0.0)
    f = compile(quotient, in_axes=0)
    with pytest.raises(ZeroDivisionError, match=r"^1 / 0.0: .* \(in .*quotient, row 3\)$"):
        f(np.array([1.0, 2.0, 3.0, 0.0, 1.0, 0.0]))
    with pytest.raises(ZeroDivisionError, match=r"row 2\)$"):
        f.map(np.array([1.0, 2.0, 0.0, 0.0]), chunksize=1)
    with pytest.raises(OverflowError, match=r"exp\(1000.0\): math range error"):
        compile(ag.exp)(1000.0)


def test_an_error_of_the_functions_own_keeps_its_text_and_gets_the_row() -> None:
    def f(x: Any) -> Any:
        if x > 2.0:
            raise KeyError("too large")
        return x

    with pytest.raises(KeyError) as caught:
        compile(f, in_axes=0)(np.array([1.0, 2.0, 3.0, 4.0]))
    assert caught.value.args == ("too large",)
    assert caught.value.row == 2  # type: ignore[attr-defined]
    assert caught.value.__notes__ == [f"in {f.__qualname__}, row 2"]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_lowest_row_that_fails_is_named_for_any_number_of_threads(threads: int) -> None:
    f = compile(lambda x: x**2, in_axes=0, threads=threads)
    x = np.full(20000, 0.5)
    x[[7013, 7014, 19000]] = 1e300
    with pytest.raises(ag.RangeError, match="row 7013") as caught:
        f(x)
    assert caught.value.row == 7013  # type: ignore[attr-defined]


def test_a_power_and_its_cheaper_form_fail_on_the_same_numbers() -> None:
    for function, bad in (
        (lambda x: x**2, 1e200),
        (lambda x: x**3, -1e110),
        (lambda x: x**-1, 1e-310),
        (lambda x: x**0.5, -1.0),
    ):
        f, rows = compile(function), compile(function, in_axes=0)
        f(1.0), rows(np.ones(3))
        for _ in range(2):
            with pytest.raises((OverflowError, ValueError)):
                f(bad)
            with pytest.raises((OverflowError, ValueError), match="row 1"):
                rows(np.array([1.0, bad]))
    assert compile(ag.reciprocal)(1e-310) == math.inf


@pytest.mark.parametrize("in_axes", [None, 0])
def test_strict_raises_where_the_sweep_of_the_graph_does(in_axes: int | None) -> None:
    def shaped(x: float) -> Any:
        return x if in_axes is None else np.array([1.0, x])

    for function, bad in ((lambda x: x**0.3, 0.0), (lambda x: (x * x) ** 1.5 + x**0.5, 0.0)):
        with pytest.raises(ZeroDivisionError):
            function(Value(bad)).backward()
        strict = compile(function, strict=True, in_axes=in_axes)
        strict.grad(shaped(1.0))
        strict(shaped(bad))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="row 1" if in_axes == 0 else "in "):
                strict.grad(shaped(bad))
            with pytest.raises(ZeroDivisionError, match="row 1" if in_axes == 0 else "in "):
                strict.jvp((shaped(bad),), (shaped(1.0),))
        strict.jvp((shaped(1.0),), (shaped(1.0),))
        compile(function, in_axes=in_axes).grad(shaped(bad))
        compile(function, in_axes=in_axes).jvp((shaped(bad),), (shaped(1.0),))


@pytest.mark.parametrize("in_axes", [None, 0])
def test_strict_forward_derivatives_do_not_raise_where_a_sweep_passes_nothing(
    in_axes: int | None,
) -> None:
    x = 0.0 if in_axes is None else np.zeros(3)
    f = compile(lambda x: ag.where(x, x**0.5, 3.0 * x), strict=True, in_axes=in_axes)
    assert np.all(f.jvp((x,), (x + 1.0,))[1] == 3.0)
    assert np.all(f.grad(x) == 3.0)


def test_strict_jacobians_by_shared_arguments_raise_as_the_sweep_of_each_row_does() -> None:
    f = compile(lambda w, x: (w * x) ** 0.5, in_axes=(None, 0), strict=True)
    with pytest.raises(ZeroDivisionError, match="row 1"):
        f.jacobian(2.0, np.array([1.0, 0.0]))
    np.testing.assert_array_equal(f.jacobian(2.0, np.array([2.0, 8.0])), [0.5, 1.0])


def test_a_value_has_or_refuses_every_public_name_that_floats_have() -> None:
    assert {name for name in dir(float) if not name.startswith("_")} <= set(vars(Value))


@pytest.mark.parametrize(
    "name", ["real", "imag", "hex", "fromhex", "is_integer", "as_integer_ratio"]
)
def test_an_attribute_that_only_floats_have_is_a_refusal_in_compiled_functions(name: str) -> None:
    def f(x: Any) -> Any:
        return x * 2.0 if hasattr(x, name) else x * 3.0

    for _ in range(2):
        with pytest.raises(AttributeError, match=f"'{name}', which floats have"):
            compile(f)(1.0)
    value = Value(1.0)
    assert not hasattr(value, name)
    assert not hasattr(Value, name)
    with pytest.raises(AttributeError, match=rf"^'arenagrad\.Value' object has no .* '{name}'$"):
        getattr(value, name)
    setattr(value, name, 5.0)
    assert getattr(value, name) == 5.0


def test_a_division_by_zero_of_a_remainder_is_an_outcome_too() -> None:
    for function in (operator.mod, operator.floordiv, lambda a, b: divmod(a, b)[1], ag.fmod):

        def f(x: Any, y: Any, function: Callable[[Any, Any], Any] = function) -> Any:
            try:
                return x * function(x, y)
            except (ZeroDivisionError, ValueError):
                return x * 3.0

        rows = np.array([[7.5, 2.0], [7.5, 0.0], [-7.5, 2.0], [1.0, -0.0]])
        want = [f(*row) for row in rows.tolist()]
        for strict in (False, True):
            assert [compile(f, strict=strict)(*row) for row in rows] == want
            assert compile(f, in_axes=0, strict=strict)(*rows.T).tolist() == want
    assert "%s" % Value(1.0) == str(Value(1.0))  # noqa: UP031 - a text knows % for itself


def test_a_refusal_that_the_function_catches_is_raised_all_the_same() -> None:
    other = compile(lambda x: x * x)
    batch = compile(lambda x: x * x, in_axes=0)

    def writes(x: Any) -> None:
        x.data = 3.0

    for refused, words in (
        (writes, "data cannot be assigned"),
        (lambda x: batch(np.array([x, x])), "rows of a batch must be real numbers"),
        (lambda x: [1.0, 2.0][x], "cannot be interpreted as an integer: index with"),
        (lambda x: list(range(x)), "name an argument that is an int in static_argnums"),
        (lambda x: 1 << x, "for <<: .* name an argument that is an int in static_argnums"),
        (lambda x: x >> 1, "for >>: "),
        (lambda x: x & 1, "for &: "),
        (lambda x: x | x, r"for \|: "),
        (lambda x: x ^ True, r"for \^: "),
        (lambda x: x * 1j, "a Value is a real number, got 'complex'"),
        (lambda x: 1j - x, "a Value is a real number, got 'complex'"),
        (lambda x: other.grad(x, out=np.zeros(())), "out takes numbers"),
    ):

        def f(x: Any, refused: Callable[[Any], Any] = refused) -> Any:
            try:
                refused(x)
            except TypeError:
                return x * 3.0
            return x

        for _ in range(2):
            with pytest.raises(TypeError, match=words):
                compile(f)(2.0)


def test_an_index_that_numpy_refuses_in_its_own_words_is_refused_all_the_same() -> None:
    def f(x: Any) -> Any:
        try:
            return x * np.ones(3)[x]
        except IndexError:
            return x

    with pytest.raises(TypeError, match="cannot be interpreted as an integer: index with"):
        compile(f)(2)


def test_a_warning_that_is_an_error_cannot_be_caught_for_good() -> None:
    def f(x: Any) -> Any:
        try:
            return x * x.data
        except UserWarning:
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ag.FrozenValueWarning):
            compile(f)(2.0)


def test_a_program_of_a_caught_error_is_saved_and_loaded(tmp_path: Path) -> None:
    f = compile(divided)
    path = tmp_path / "caught.agpf"
    program = f.program(0.0)
    assert "Failure" in program.text()
    assert program(0.0) == 5.0
    program.save(path)
    loaded = Program.load(path)
    assert loaded(0.0) == 5.0
    with pytest.raises(ag.UntracedError, match="these numbers take another"):
        loaded(2.0)
    with pytest.raises(ag.UntracedError, match="these numbers take another"):
        f.program(2.0)(0.0)
    with pytest.raises(ZeroDivisionError, match="one variant of its function"):
        compile(lambda x: 1.0 / x).program(2.0)(0.0)


def test_a_program_alone_tells_an_error_from_another_variant() -> None:
    def f(x: Any) -> Any:
        return ag.log(x) if x > 0.0 else x

    def g(x: Any) -> Any:
        y = ag.log(x)
        return y if x > 0.0 else x

    for in_axes, x, bad in ((None, 1.0, -1.0), (0, np.ones(2), np.array([1.0, -1.0]))):
        with pytest.raises(ag.UntracedError, match="these numbers take another"):
            compile(f, in_axes=in_axes).program(x)(bad)
        with pytest.raises(ag.DomainError):
            compile(g, in_axes=in_axes).program(x)(bad)


def test_errors_of_a_function_inside_a_function_are_outcomes_of_the_outer_one() -> None:
    inner = compile(lambda x: 1 / x)

    def f(x: Any) -> Any:
        try:
            return inner(x)
        except ZeroDivisionError:
            return x + 5.0

    g = compile(f)
    assert [g(2.0), g(0.0), g(4.0), g(0.0)] == [0.5, 5.0, 0.25, 5.0]


def test_values_of_a_closure_may_make_a_call_fail() -> None:
    scale = Value(1.0)

    def f(x: Any) -> Any:
        try:
            return x / scale
        except ZeroDivisionError:
            return x * 10.0

    g = compile(f)
    assert g(3.0) == 3.0
    scale.data = 0.0
    assert g(3.0) == 30.0
    scale.data = 2.0
    assert g(3.0) == 1.5


def test_what_other_threads_record_meanwhile_is_no_part_of_a_trace() -> None:
    begun, done = threading.Event(), threading.Event()

    def f(x: Any) -> Any:
        begun.set()
        done.wait()
        return 1 / x

    def elsewhere() -> None:
        begun.wait()
        Value(2.0, (Value(3.0),), (1.0,)).log()
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    try:
        g = compile(f)
        assert g(2.0) == 0.5
    finally:
        begun.set()
        thread.join()
    assert g.program(2.0).stats["closure"] == 0
    assert "Log" not in g.program(2.0).text()


def test_a_trace_leaves_no_nodes_of_results_that_nobody_kept() -> None:
    f = compile(unused_result)
    ag.collect()
    before = ag.arena_info()["nodes"]
    assert [f(2.0), f(0.0)] == [4.0, 1.0]
    assert ag.arena_info()["nodes"] <= before + 3
