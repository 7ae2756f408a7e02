"""What `compile` and the functions it makes are given: refused by name, or taken as it is meant.

The oracle is the interface as written.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Compiled, compile


@compile
def square(x: Any) -> Any:
    """A function that others are wrapped to look like."""
    return x * x


def test_a_function_wrapped_to_look_like_a_compiled_one_is_itself() -> None:
    @compile
    @functools.wraps(square)
    def shifted(x: Any) -> Any:
        return square(x) + 100.0

    assert shifted(3.0) == 109.0
    assert shifted.value_and_grad(3.0) == (109.0, 6.0)
    assert square(3.0) == 9.0
    assert shifted.__doc__ == square.__doc__
    assert inspect.unwrap(shifted) is square._function
    assert shifted._portable is not square._portable


def test_attributes_of_a_function_come_along_and_hide_nothing() -> None:
    def f(x: Any) -> Any:
        return x * x

    names = [name for name in dir(Compiled) if not name.startswith("__")]
    for name in [*names, *vars(square), "_function", "_evaluation"]:
        if not name.startswith("__"):
            vars(f)[name] = None
    vars(f)["unit"] = "metres"
    g: Any = compile(f)
    assert g.unit == "metres"
    assert g(3.0) == 9.0
    assert (g.grad(3.0), g.jacobian(3.0), g.hessian(3.0)) == (6.0, 6.0, 2.0)
    assert g.map([1.0, 2.0]).tolist() == [1.0, 4.0]
    assert g.program(3.0)(4.0) == 16.0
    assert ag.grad(g)(3.0) == 6.0


def test_an_argument_by_a_name_that_the_function_does_not_have_is_refused_by_it() -> None:
    call: Any = square
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        call(3.0, y=1.0)
    program: Any = square.program(3.0)
    with pytest.raises(TypeError, match=r"this program is for \(float,\), got \(float, y=float\)"):
        program(3.0, y=1.0)
    assert square(3.0) == 9.0


@pytest.mark.parametrize(
    ("name", "derive"),
    [(f.__name__, f) for f in (ag.grad, ag.value_and_grad, ag.jacobian, ag.hessian, ag.hvp)],
)
def test_what_is_no_function_has_no_derivative(name: str, derive: Callable[..., Any]) -> None:
    for wrong in (None, 3):
        said = rf"^{name}\(\) wants a function, got {type(wrong).__name__}$"
        with pytest.raises(TypeError, match=said):
            derive(wrong)


def test_numbers_of_threads_are_whole_and_as_many_as_one_likes() -> None:
    rows = np.arange(1000.0)
    for threads in (10**30, np.int64(2)):
        f = compile(lambda x: x * x, in_axes=0, threads=threads)
        assert f(rows).tolist() == (rows * rows).tolist()
    for wrong in (True, 1.0, "2", None):
        with pytest.raises(TypeError, match="threads must be a whole number, got "):
            compile(square, threads=wrong)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        compile(square, threads=0)


def test_axes_may_be_whole_numbers_of_any_type_but_no_bools() -> None:
    zero, rows = np.int64(0), np.arange(3.0)
    given: tuple[Any, Any] = (rows, {"a": rows, "b": [rows, 2.0]})

    def f(x: Any, p: Any) -> Any:
        return x * p["a"] + p["b"][0] * p["b"][1]

    for axes in ((0, {"a": 0, "b": (0, None)}), [zero, {"a": zero, "b": [zero, None]}]):
        assert compile(f, in_axes=axes)(*given).tolist() == [0.0, 3.0, 8.0]
    assert compile(lambda x: x, in_axes=zero)(rows).tolist() == rows.tolist()
    with pytest.raises(TypeError, match=r"in_axes must be .* got bool for numpy.ndarray"):
        compile(lambda x: x, in_axes=False)(rows)


def test_static_arguments_may_be_counted_from_the_last() -> None:
    calls = []

    @compile(static_argnums=-1)
    def power(x: Any, n: Any) -> Any:
        calls.append(n)
        return x**n

    assert power.value_and_grad(2.0, 3) == (8.0, 12.0)
    assert power(3.0, 3) == 27.0
    assert calls == [3]
    assert power.program(2.0, 2)(5.0, 2) == 25.0
    with pytest.raises(ValueError, match="argument 1 is static"):
        power.grad(2.0, 3, argnums=1)
    for beyond in (5, -5):
        assert compile(lambda x: x * x, static_argnums=beyond).program(2.0)(3.0) == 9.0
    for wrong in (True, 1.5, None, (0, "1")):
        with pytest.raises(TypeError, match="static_argnums must be a whole number, got "):
            compile(power, static_argnums=wrong)  # type: ignore[call-overload]
