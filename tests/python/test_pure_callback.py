"""Functions that programs call: `arenagrad.pure_callback`.

Expected numbers are worked out by hand, or are those of the function on floats.
"""

import copy
import gc
import math
import pickle
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, compile, grad, pure_callback


def sine(v: float) -> float:
    return math.sin(v)


def sine_rule(v: float, g: float) -> tuple[float]:
    return (g * math.cos(v),)


def callback_sine(x: Any) -> Any:
    return pure_callback(sine, x, vjp=sine_rule)


def times_sine(x: Any) -> Any:
    return callback_sine(x) * x


def derivative(x: float) -> float:
    return math.cos(x) * x + math.sin(x)


def root_of(v: float) -> float:
    if v < 0:
        raise ValueError("a root of what is negative", v)
    return math.sqrt(v)


def root_rule(v: float, g: float) -> tuple[float]:
    return (g * 0.5 / math.sqrt(v),)


def callback_root(x: Any) -> Any:
    return pure_callback(root_of, x, vjp=root_rule)


def root_or_triple(x: Any) -> Any:
    try:
        return callback_root(x) * 2
    except ValueError:
        return x * 3


def callback_of(function: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: pure_callback(function, x, vjp=rule)


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.function(*args)


# Values and derivatives


def test_without_values_it_is_the_function() -> None:
    assert pure_callback(sine, 0.5) == math.sin(0.5)
    assert type(pure_callback(lambda v: [v], 1.0)) is list


@pytest.mark.parametrize("strict", [False, True])
def test_a_compiled_function_calls_it_and_its_rule(strict: bool) -> None:
    f = compile(times_sine, strict=strict)
    for x in (0.3, -2.0):
        assert f(x) == math.sin(x) * x
        assert f.grad(x) == pytest.approx(derivative(x), rel=1e-15)
        assert f.value_and_grad(x) == (f(x), f.grad(x))
        assert ag.jacrev(f)(x) == f.jacobian(x) == f.grad(x)
        assert f.vjp((x,), 2.0)[1][0] == pytest.approx(2 * derivative(x), rel=1e-15)


def test_a_graph_of_values_holds_it_as_one_call() -> None:
    x = Value(0.3)
    y = times_sine(x)
    y.backward()
    assert (y.data, x.grad) == (math.sin(0.3) * 0.3, pytest.approx(derivative(0.3), rel=1e-15))
    once = callback_sine(x)
    x.grad, x.data = 0.0, 0.7  # rules use the numbers at the time of the sweep
    once.backward()
    assert x.grad == math.cos(0.7)


def test_rows_call_it_row_by_row_on_any_number_of_threads() -> None:
    x = np.linspace(-3.0, 3.0, 5001)
    threads_seen = set()

    def noted(v: float) -> float:
        threads_seen.add(threading.get_ident())
        return math.sin(v)

    for threads in (1, 3):
        f = compile(
            lambda x: pure_callback(noted, x, vjp=sine_rule) * x, in_axes=0, threads=threads
        )
        np.testing.assert_allclose(f(x), np.sin(x) * x, rtol=1e-15)
        np.testing.assert_allclose(f.grad(x), np.cos(x) * x + np.sin(x), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(f.jacobian(x), f.grad(x), rtol=1e-15)
    assert len(threads_seen) > 1
    summed = compile(times_sine, in_axes=0, reduce="sum")
    assert summed(x) == pytest.approx(np.sum(np.sin(x) * x))


def several(a: float, b: Any) -> Any:
    return {"product": a * b["x"], "both": np.array([a, b["x"]])}


def several_rule(a: float, b: Any, g: Any) -> Any:
    by_a = g["product"] * b["x"] + g["both"][0]
    return by_a, {"x": g["product"] * a + g["both"][1], "name": None}


@pytest.mark.parametrize("strict", [False, True])
def test_arguments_and_results_are_structures_and_one_call_gives_all_results(strict: bool) -> None:
    function, rule = Counted(several), Counted(several_rule)

    def f(a: Any, b: Any) -> Any:
        given = pure_callback(function, a, {"x": b, "name": "b"}, vjp=rule)
        return given["product"] * given["both"][0] + given["both"][1]

    compiled = compile(f, strict=strict)
    assert compiled(2.0, 3.0) == 2.0 * 3.0 * 2.0 + 3.0
    function.calls = 0
    assert compiled(2.0, 5.0) == 2.0 * 5.0 * 2.0 + 5.0
    assert function.calls == 1
    assert compiled.grad(2.0, 3.0, argnums=(0, 1)) == (12.0, 5.0)
    function.calls = rule.calls = 0
    assert compiled.grad(3.0, 3.0, argnums=(0, 1)) == (18.0, 10.0)
    assert (function.calls, rule.calls) == (1, 1)
    a, b = Value(2.0), Value(3.0)
    f(a, b).backward()
    assert (a.grad, b.grad) == (12.0, 5.0)
    rows = compile(f, in_axes=0, strict=strict)
    np.testing.assert_array_equal(rows(np.array([2.0, 4.0]), np.array([3.0, 1.0])), [15.0, 17.0])


def test_arrays_of_values_come_as_arrays_of_floats() -> None:
    seen: list[Any] = []

    def scaled(a: Any) -> Any:
        seen.append(a)
        return a * np.sum(a)

    def rule(a: Any, g: Any) -> Any:
        return (g * a.sum() + np.dot(g, a),)

    x = np.array([1.0, 2.0, 3.0])
    f = compile(lambda x: ag.sum(pure_callback(scaled, x, vjp=rule)))
    assert f(x) == 36.0
    np.testing.assert_array_equal(f.grad(x), [12.0, 12.0, 12.0])
    assert all(type(a) is np.ndarray and a.dtype == float for a in seen)


def test_equal_calls_are_made_once_and_a_rule_is_not_asked_about_weights_of_0() -> None:
    function, rule = Counted(sine), Counted(sine_rule)

    def f(x: Any) -> Any:
        once = pure_callback(function, x, vjp=rule)
        return (
            once + pure_callback(function, x, vjp=rule) + pure_callback(function, x * 0, vjp=rule)
        )

    compiled = compile(f)
    compiled(0.3)
    function.calls = 0
    assert compiled(0.4) == 2 * math.sin(0.4)
    assert function.calls == 2
    weighted = compile(lambda x: pure_callback(sine, x, vjp=lambda v, g: (g / v,)) * (x * 0))
    assert weighted.grad(0.0) == 0.0


def test_what_it_does_not_depend_on_needs_no_rule() -> None:
    f = compile(lambda x, y: pure_callback(sine, y) * x)
    assert f.grad(2.0, 0.5) == math.sin(0.5)
    assert f.grad(3.0, 0.5) == math.sin(0.5)
    stopped = compile(lambda x: pure_callback(sine, ag.stop_gradient(x)) * x)
    assert stopped.grad(0.5) == math.sin(0.5)
    assert stopped.jvp((0.5,), (1.0,)) == (math.sin(0.5) * 0.5, math.sin(0.5))


def test_decisions_by_it_are_those_of_the_function() -> None:
    def f(x: Any) -> Any:
        return x * 2 if pure_callback(math.floor, x * 3.0 - 0.1) > 2 else x * 5

    assert [compile(f)(x) for x in (0.5, 2.0, 0.5)] == [2.5, 4.0, 2.5]
    x = np.linspace(0.0, 2.0, 1001)
    wanted = [v * 2 if math.floor(v * 3.0 - 0.1) > 2 else v * 5 for v in x]
    np.testing.assert_array_equal(compile(f, in_axes=0, threads=2)(x), wanted)


def test_it_has_derivatives_inside_derivatives_of_others() -> None:
    g = grad(lambda a, x: times_sine(x) * a)
    outer = grad(lambda x: x * grad(lambda y: y * y * pure_callback(sine, 0.5))(x))
    assert outer(2.0) == pytest.approx(8.0 * math.sin(0.5))
    assert grad(lambda x: g(2.0, x))(0.3) == pytest.approx(derivative(0.3))


def test_a_rule_of_callbacks_is_differentiated_again_by_custom_vjp() -> None:
    @ag.custom_vjp
    def sin(x: Any) -> Any:
        return pure_callback(math.sin, x)

    @ag.custom_vjp
    def cos(x: Any) -> Any:
        return pure_callback(math.cos, x)

    sin.defvjp(lambda x: (sin(x), x), lambda x, g: (g * cos(x),))
    cos.defvjp(lambda x: (cos(x), x), lambda x, g: (-g * sin(x),))
    f: Any = sin
    for wanted in (math.cos(0.3), -math.sin(0.3), -math.cos(0.3)):
        f = grad(f)
        assert f(0.3) == pytest.approx(wanted, rel=1e-12)


# Errors


def raised_by(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def frames_of(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_out_whole_from_graphs_points_and_rows(threads: int) -> None:
    point = compile(callback_root)
    rows = compile(callback_root, in_axes=0, threads=threads)
    assert point(4.0) == 2.0
    for call in (
        lambda: callback_root(Value(-1.0)),
        lambda: point(-1.0),
        lambda: rows(np.linspace(5.0, -1.0, 1000)),
        lambda: rows.grad(np.linspace(5.0, -1.0, 1000)),
    ):
        error = raised_by(call)
        assert type(error) is ValueError
        assert error.args[0] == "a root of what is negative"
        assert frames_of(error)[-1] == "root_of"
    error = raised_by(lambda: rows(np.linspace(5.0, -5.0, 1001)))
    assert getattr(error, "row", None) == 501


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_the_rule_comes_out_whole(threads: int) -> None:
    error_itself = KeyError("mine")

    def rule(v: float, g: float) -> Any:
        if v == 0.0:
            raise error_itself
        return (g,)

    def f(x: Any) -> Any:
        return pure_callback(sine, x, vjp=rule) * 2

    def with_nan(x: Any) -> Any:
        return f(x) + pure_callback(lambda v: math.nan if v > 5.0 else 0.0, ag.stop_gradient(x))

    x = Value(0.0)
    y = f(x) + x
    assert compile(f).grad(1.0) == 2.0
    rows = np.arange(-100.0, 200.0)
    for call in (
        y.backward,
        lambda: grad(f)(0.0),
        lambda: compile(f).grad(0.0),
        lambda: compile(f, in_axes=0, threads=threads).grad(rows),
        lambda: compile(with_nan, in_axes=0, threads=threads).grad(rows),
    ):
        error = raised_by(call)
        assert error is error_itself
        assert frames_of(error)[-1] == "rule"
    assert getattr(error, "row", None) == 100
    assert (x.grad, y.grad) == (0.0, 0.0)


def test_an_error_that_the_function_catches_is_what_it_is_on_floats() -> None:
    xs = [4.0, -1.0, 9.0, -2.0]
    wanted = [4.0, -3.0, 6.0, -6.0]
    for x in xs:
        compiled = compile(root_or_triple)
        compiled(x)  # whichever variant is traced first
        assert [compiled(x) for x in xs] == wanted
        assert [compiled.grad(x) for x in xs] == [0.5, 3.0, pytest.approx(1 / 3), 3.0]
    rows = compile(root_or_triple, in_axes=0)
    np.testing.assert_array_equal(rows(np.array(xs)), wanted)
    np.testing.assert_allclose(rows.grad(np.array(xs)), [0.5, 3.0, 1 / 3, 3.0])
    pickled = pickle.loads(pickle.dumps(compile_of_root_or_triple))
    assert [pickled(x) for x in xs] == wanted
    assert [root_or_triple(Value(x)).data for x in xs] == wanted


def test_exceptions_of_other_classes_and_arguments_are_other_outcomes() -> None:
    def digit(v: float) -> float:
        if v > 3.0:
            raise KeyError(math.floor(v))
        if v < 0.0:
            raise ValueError
        return v

    def f(x: Any) -> Any:
        try:
            return pure_callback(digit, x) + x
        except KeyError as error:
            return x * error.args[0]
        except ValueError:
            return x

    compiled = compile(f)
    xs = [1.0, 4.5, -1.0, 5.5, 4.25, 2.0]
    wanted = [2.0, 18.0, -1.0, 27.5, 17.0, 4.0]
    assert [compiled(x) for x in xs] == wanted
    assert [compiled(x) for x in xs] == wanted
    np.testing.assert_array_equal(compile(f, in_axes=0)(np.array(xs)), wanted)


def test_what_fails_on_the_operands_of_another_variant_says_nothing() -> None:
    f = compile(lambda x: callback_root(x) if x >= 0 else x)
    assert [f(4.0), f(-1.0), f.grad(4.0), f.grad(-1.0)] == [2.0, -1.0, 0.25, 1.0]
    rows = compile(lambda x: callback_root(x) if x >= 0 else x, in_axes=0)
    np.testing.assert_array_equal(rows(np.array([4.0, -1.0, 9.0])), [2.0, -1.0, 3.0])


def test_an_interrupt_in_it_ends_the_call() -> None:
    def interrupted(v: float) -> float:
        if v > 1.0:
            raise KeyboardInterrupt
        return v

    def f(x: Any) -> Any:
        try:
            return pure_callback(interrupted, x) * 1.0
        except Exception:
            return x

    point, rows = compile(f), compile(f, in_axes=0, threads=2)
    assert point(0.5) == 0.5
    for call in (lambda: point(2.0), lambda: rows(np.linspace(0.0, 2.0, 1000))):
        assert type(raised_by(call)) is KeyboardInterrupt
    assert point(0.25) == 0.25


def test_nan_and_infinity_are_results() -> None:
    f = compile(lambda x: pure_callback(lambda v: v * math.inf, x))
    assert [f(1.0), f(-1.0)] == [math.inf, -math.inf]
    assert math.isnan(f(0.0))
    np.testing.assert_array_equal(
        compile(lambda x: pure_callback(lambda v: v * math.inf, x), in_axes=0)(
            np.array([1.0, -1.0])
        ),
        [math.inf, -math.inf],
    )


@pytest.mark.parametrize("given", ["text", None, True, [1.0, "text"], Value(1.0)])
def test_results_that_are_no_numbers_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="a function that gives numbers"):
        pure_callback(lambda v: given, Value(1.0))
    with pytest.raises(TypeError, match="a function that gives numbers"):
        compile(lambda x: pure_callback(lambda v: given if v > 1 else v, x) * 2)(2.0)


def test_another_count_of_results_is_what_it_is_on_floats() -> None:
    f = compile(lambda x: ag.sum(pure_callback(lambda v: [v] * int(v), x)))
    assert [f(1.0), f(3.0), f(2.0), f(3.0)] == [1.0, 9.0, 4.0, 9.0]


@pytest.mark.parametrize("rule", [lambda v, g: g, lambda v, g: (g, g), lambda v, g: ("x",)])
def test_a_rule_that_gives_something_else_is_refused(rule: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"what vjp of .*sine gives must be \(float,\)"):
        grad(lambda x: pure_callback(sine, x, vjp=rule))(0.5)
    with pytest.raises(TypeError, match=r"what vjp of .*sine gives must be \(float,\)"):
        pure_callback(sine, Value(0.5), vjp=rule).backward()


def test_derivatives_that_it_has_not_are_refused() -> None:
    without = compile(lambda x: pure_callback(sine, x))
    for call in (
        lambda: without.grad(0.5),
        lambda: grad(lambda x: pure_callback(sine, x))(0.5),
        lambda: pure_callback(sine, Value(0.5)).backward(),
        lambda: compile(times_sine).hessian(0.5),
        lambda: grad(grad(times_sine))(0.5),
    ):
        with pytest.raises(TypeError, match="vjp="):
            call()
    forward = compile(times_sine)
    rows = compile(times_sine, in_axes=0)
    for call in (
        lambda: forward.jvp((0.5,), (1.0,)),
        lambda: ag.jacfwd(times_sine)(0.5),
        lambda: forward.hvp((0.5,), 1.0),
        lambda: rows.jvp((np.ones(2),), (np.ones(2),)),
    ):
        with pytest.raises(TypeError, match="rules for reverse derivatives alone"):
            call()


@pytest.mark.parametrize(("f", "rule", "name"), [(3, None, "f"), (sine, 3, "vjp")])
def test_what_cannot_be_called_is_refused(f: Any, rule: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"wants a function as {name}, got 3"):
        pure_callback(f, Value(1.0), vjp=rule)


# What it may do, and where


def test_it_may_use_values_and_call_the_function_that_calls_it() -> None:
    def factorial(v: float) -> float:
        return v * f(v - 1.0) if v > 1.0 else 1.0

    f = compile(lambda x: pure_callback(factorial, x) * 1.0)
    assert [f(1.0), f(5.0), f(6.0)] == [1.0, 120.0, 720.0]

    def by_values(v: float, g: float) -> tuple[float]:
        x = Value(v)
        (x * x > 0) and (x**3).backward()
        ag.collect()
        return (g * x.grad,)

    cube = compile(lambda x: pure_callback(lambda v: v**3, x, vjp=by_values) * 2)
    assert cube.grad(2.0) == 24.0
    x = Value(2.0)
    between = [Value(k) * 2 for k in range(100)]
    y = pure_callback(lambda v: v**3, x * 1.0, vjp=by_values) * 2
    del between
    y.backward()
    assert x.grad == 24.0


def test_several_threads_may_run_one_program() -> None:
    f = compile(times_sine)
    wanted = [f(k / 100) for k in range(100)]
    given: list[Any] = []

    def run() -> None:
        given.append([f(k / 100) for k in range(100)])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [wanted] * 4


def test_workers_get_it_in_a_pickle() -> None:
    f = pickle.loads(pickle.dumps(compiled_times_sine))
    assert (f(0.5), f.grad(0.5)) == (times_sine(0.5), pytest.approx(derivative(0.5)))
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(compiled_with_lambda)


def test_a_program_that_holds_one_says_so_and_is_not_saved(tmp_path: Path) -> None:
    program = compile(times_sine).program(0.5)
    assert "Callback sine" in program.text()
    assert program.stats["counts"]["Callback"] == 1
    assert program(0.25) == times_sine(0.25)
    with pytest.raises(TypeError, match=r"pure_callback\(\) cannot be saved"):
        program.save(tmp_path / "program.agpf")
    assert pickle.loads(pickle.dumps(program))(0.25) == times_sine(0.25)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
def test_a_graph_that_holds_one_says_so_and_is_not_copied(copied: Callable[..., Any]) -> None:
    with pytest.raises(ag.FormatError, match=r"calls a function by pure_callback\(\)"):
        copied(callback_sine(Value(0.5)))


def test_bytes_with_a_call_and_without_its_function_are_refused() -> None:
    from arenagrad._core.compiled import Program

    _, (content, callbacks) = compile(times_sine).program(0.5)._variant.traced.__reduce__()
    assert Program(content, callbacks).text() == compile(times_sine).program(0.5).text()
    with pytest.raises(ag.FormatError, match="a call of a function that it has not"):
        Program(content)
    _, (_, others) = (
        compile(lambda x, y: pure_callback(max, x, y))
        .program(1.0, 2.0)
        ._variant.traced.__reduce__()
    )
    with pytest.raises(ag.FormatError, match="a function that is called otherwise"):
        Program(content, others)


def test_forked_processes_call_it() -> None:
    script = """
import math, multiprocessing
import numpy as np
import arenagrad as ag
@ag.compile(in_axes=0, threads=2)
def f(x):
    return ag.pure_callback(math.sin, x) * 2
x = np.linspace(0.0, 1.0, 1000)
f(x)
with multiprocessing.get_context("fork").Pool(2) as pool:
    for rows in pool.map(f, [x, x + 1.0]):
        print(rows[500] / 2)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    x = np.linspace(0.0, 1.0, 1000)[500]
    assert [float(line) for line in done.stdout.split()] == [math.sin(x), math.sin(x + 1.0)]


@pytest.mark.parametrize("strict", [False, True])
def test_a_function_goes_with_the_last_that_calls_it(strict: bool) -> None:
    function, rule = Counted(sine), Counted(sine_rule)
    references = [weakref.ref(function), weakref.ref(rule)]
    compiled = compile(
        lambda x, f, r: pure_callback(f, x, vjp=r), strict=strict, static_argnums=(1, 2)
    )
    graph = pure_callback(function, Value(1.0), vjp=rule)
    program = compile(callback_of(function, rule)).program(0.5)
    assert compiled.grad(0.5, function, rule) == math.cos(0.5)
    del function, rule
    for kept in (graph, program):
        assert kept is not None
        assert None not in [reference() for reference in references]
    del compiled, graph, program, kept
    gc.collect()
    pure_callback(sine, Value(1.0))  # drops what was left to be dropped
    assert [reference() for reference in references] == [None, None]


def test_the_interpreter_exits_while_a_thread_calls_it() -> None:
    script = """
import threading, time
import numpy as np
import arenagrad as ag
def f(v):
    time.sleep(0.0005)
    return v
g = ag.compile(lambda x: ag.pure_callback(f, x), in_axes=0, threads=2)
threading.Thread(target=lambda: g(np.ones(100000)), daemon=True).start()
time.sleep(0.2)
print("left")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


@compile
def compiled_times_sine(x: Any) -> Any:
    return times_sine(x)


@compile
def compile_of_root_or_triple(x: Any) -> Any:
    return root_or_triple(x)


@compile
def compiled_with_lambda(x: Any) -> Any:
    return pure_callback(lambda v: v * 2, x)


compile_of_root_or_triple(4.0)
compile_of_root_or_triple(-4.0)
compiled_times_sine(0.5)
compiled_with_lambda(0.5)
