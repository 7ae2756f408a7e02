"""A number read out of a Value carries no derivative, which is said unless it is plainly meant."""

import math
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad
from arenagrad import DetachedValueWarning, Value, data_of, losses, nn, no_grad, optim

CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "complex": complex,
    "math.sqrt": math.sqrt,
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "math.trunc": math.trunc,
    "percent f": lambda v: "%.3f" % v,  # noqa: UP031, the operator is the subject
    "percent d": lambda v: "%d" % v,  # noqa: UP031, the operator is the subject
    "a float array": lambda v: np.zeros(2).__setitem__(0, v),
    "np.array of floats": lambda v: np.array([v, 1.0], float),
    "np.float64": np.float64,
    "astype": lambda v: np.array([v], object).astype(float),
    "math.fsum": lambda v: math.fsum([v, 1.0]),
}
READINGS: dict[str, Callable[[Any], Any]] = {
    "data": lambda v: v.data,
    "grad": lambda v: v.grad,
    "item": lambda v: v.item(),
    "round": round,
    "round to digits": lambda v: round(v, 1),
    "comparisons": lambda v: (v < 1.0, v >= v, v == 2.0, v != 2, v in [2.0], max(v, 1.0)),
    "format": lambda v: (format(v, ".2f"), f"{v:.3e}", f"{v}", "{:.1f}".format(v)),  # noqa: UP032
    "text": lambda v: (str(v), repr(v), "%s" % v),  # noqa: UP031, the operator is the subject
    "data_of": lambda v: data_of([v, v]),
    "truth": bool,
    "operations": lambda v: (arenagrad.sqrt(v), np.sqrt(np.array([v])), v * np.float64(2.0)),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_what_makes_a_float_or_an_int_of_a_value_warns(name: str) -> None:
    class Own(Value):
        pass

    for value in (Value(3.5), Own(3.5), Value(3.0) + 0.5):
        with pytest.warns(DetachedValueWarning, match=r"arenagrad\.sqrt\(v\).*v\.item\(\)") as seen:
            CONVERSIONS[name](value)
        assert {Path(warning.filename) for warning in seen} == {Path(__file__)}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_nothing_warns_under_no_grad_but_in_the_threads_without_it(name: str) -> None:
    value = Value(3.5)
    failed: list[Warning] = []

    def elsewhere() -> None:
        try:
            CONVERSIONS[name](value)
        except DetachedValueWarning as warning:
            failed.append(warning)

    with no_grad():
        CONVERSIONS[name](value)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert len(failed) == 1


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_that_is_plainly_meant_never_warns(name: str) -> None:
    READINGS[name](Value(2.0))


def test_a_warning_that_is_an_error_is_raised_where_the_number_would_be() -> None:
    b = np.zeros(2)
    for convert in (float, math.sqrt, lambda v: b.__setitem__(0, v)):
        with pytest.raises(DetachedValueWarning):
            convert(Value(2.0))
    assert b.tolist() == [0.0, 0.0]
    assert issubclass(DetachedValueWarning, UserWarning)
    assert DetachedValueWarning.__module__ == "arenagrad"


def test_each_line_of_code_warns_once_and_it_is_the_user_s_own() -> None:
    def twice() -> None:
        for k in range(3):
            math.sqrt(Value(1.0 + k))
        float(Value(2.0))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        twice()
        twice()
        first = twice.__code__.co_firstlineno
        assert [w.lineno - first for w in seen] == [2, 3]
    with pytest.warns(DetachedValueWarning) as caught:
        np.full(2, Value(0.5), float)  # NumPy's own Python reads it
    assert {w.filename for w in caught} == {__file__}


def test_a_script_sees_one_line_and_goes_on(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import math\n"
        "from arenagrad import Value\n"
        "for k in range(5):\n"
        "    y = math.exp(Value(0.0)) * Value(2.0)\n"
        "print(y.data)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert run.stdout == "2.0\n"
    assert run.stderr.count("DetachedValueWarning") == 1
    assert "script.py:4" in run.stderr


def test_our_own_code_never_warns() -> None:
    model = nn.MLP(2, [3, 1])
    steps = optim.Adam(model.parameters(), lr=0.01)
    for reduction in ("mean", "sum"):
        predictions = [model([0.1, k]).sigmoid() for k in (0.2, 0.3)]
        loss = losses.binary_cross_entropy([*predictions, Value(1.0)], [1, 0, Value(1.0)])
        loss = loss + losses.mse(predictions, np.array([0.5, Value(0.25)]), reduction=reduction)
        loss.backward()
        steps.step()
    assert arenagrad.draw(loss).svg
    assert arenagrad.to_dot(loss)
    arenagrad.assign(np.array(predictions), np.array([Value(1.0), 2.0]))
    f = arenagrad.compile(lambda xs: arenagrad.sum(xs))
    assert f(np.array([1.0, 2.0], object)) == 3.0


def test_item_is_the_number_as_a_float() -> None:
    for value in (Value(3), Value(2.0) * 1.5):
        assert (type(value.item()), value.item()) == (float, 3.0)
    assert value._prev
    with pytest.raises(TypeError):
        value.item(0)  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", [3, None, True, ["a"], b"a"])
def test_a_label_that_is_no_str_is_refused_as_the_constructor_refuses_it(wrong: Any) -> None:
    value = Value(1.0, label="a")
    message = f"label must be a str, got {type(wrong).__name__}"
    for attempt in (
        lambda: Value(1.0, label=wrong),
        lambda: setattr(value, "label", wrong),
        lambda: Value.__setattr__(value, "label", wrong),
    ):
        with pytest.raises(TypeError, match=message):
            attempt()
    assert value.label == "a"
    value.label = "b"
    assert value.label == "b"
    del value.label
    assert value.label == ""
    value.other = wrong
    assert value.other == wrong


def test_a_subclass_may_have_a_label_of_its_own_kind() -> None:
    class Numbered(Value):
        @property
        def label(self) -> Any:
            return self.number

        @label.setter
        def label(self, number: Any) -> None:
            self.number = number

    value = Numbered(1.0)
    value.label = 3
    assert (value.label, value.number) == (3, 3)
