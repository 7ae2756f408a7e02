"""pandas' Series and DataFrames as arguments and results of compiled functions.

The oracles are the same sums by NumPy, and closed forms.
"""

import pickle
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import compile

pd = pytest.importorskip("pandas", reason="pandas is not installed")


def series(*numbers: float, name: str = "w") -> Any:
    return pd.Series(numbers, index=list("abcdef")[: len(numbers)], name=name)


def table() -> Any:
    columns = {"x": [1.0, 2.0, 3.0], "n": [3, 4, 5], "unit": list("uvw"), "on": [True, False, True]}
    return pd.DataFrame(columns, index=[10, 20, 30])


def weighted(s: Any) -> Any:
    return (s**2).sum() * s["b"]


def test_a_series_has_its_gradient_with_the_same_labels() -> None:
    f, s = compile(weighted), series(1.0, 2.0, 3.0)
    for _ in range(2):
        assert f(s) == 28.0
        pd.testing.assert_series_equal(f.grad(s), series(4.0, 22.0, 12.0))
        value, gradient = f.value_and_grad(s)
        assert value == 28.0
        pd.testing.assert_series_equal(gradient, series(4.0, 22.0, 12.0))
    pd.testing.assert_series_equal(s, series(1.0, 2.0, 3.0))


def test_a_dataframe_has_its_gradient_with_the_same_labels() -> None:
    f = compile(lambda t: (t["x"] * t["n"]).sum() * (2.0 if t["unit"].iloc[0] == "u" else 1.0))
    for _ in range(2):
        assert f(table()) == 52.0
        expected = table()
        expected["x"], expected["n"] = 2.0 * expected["n"], 2.0 * expected["x"]
        pd.testing.assert_frame_equal(f.grad(table()), expected.astype({"x": float}))
    numbers = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["x", "y"])
    gradient = compile(lambda t: (t["x"] * t["y"]).sum()).grad(numbers)
    pd.testing.assert_frame_equal(gradient, numbers[["y", "x"]].set_axis(["x", "y"], axis=1))


def test_labels_names_and_columns_without_numbers_choose_a_program() -> None:
    calls: list[Any] = []

    @compile
    def f(s: Any) -> Any:
        calls.append(s.name)
        return s["a"] * 2.0 + (s["b"] if "b" in s.index else 0.0)

    for _ in range(2):
        assert f(series(1.0, 5.0)) == 7.0
        assert f(series(1.0, 5.0, name="v")) == 7.0
        assert f(pd.Series([1.0, 5.0], index=["b", "a"])) == 11.0
        assert f(pd.Series([1.0, 5.0], index=["c", "a"])) == 10.0
    assert calls == ["w", "v", None, None]
    g = compile(lambda t: t["x"].sum() * (1.0 if t["on"].all() else 2.0))
    assert [g(table()), g(table().assign(on=True)), g(table())] == [12.0, 6.0, 12.0]


def test_a_change_of_a_series_in_place_is_seen() -> None:
    f, s = compile(weighted), series(1.0, 2.0, 3.0)
    assert f(s) == 28.0
    s["b"] = 1.0
    assert f(s) == 11.0
    g, t = compile(lambda t: t["x"].sum() * (2.0 if t["unit"].iloc[0] == "u" else 1.0)), table()
    assert g(t) == 12.0
    t.loc[10, "unit"] = "other"
    assert g(t) == 6.0


def test_results_come_as_series_and_dataframes() -> None:
    f = compile(lambda s: {"twice": s * 2.0, "table": pd.DataFrame({"s": s, "one": 1.0})})
    for _ in range(2):
        got = f(series(1.0, 2.0))
        pd.testing.assert_series_equal(got["twice"], series(2.0, 4.0))
        assert got["table"].to_numpy().tolist() == [[1.0, 1.0], [2.0, 1.0]]
        assert list(got["table"].index) == ["a", "b"]
    assert compile(lambda s: s * s).jacobian(series(1.0, 2.0)).tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_products_with_derivatives_take_series_and_arrays() -> None:
    f, s = compile(weighted), series(1.0, 2.0, 3.0)
    along = series(1.0, 0.0, -1.0)
    for given in (along, along.to_numpy()):
        assert f.jvp((s,), (given,)) == (28.0, -8.0)
        pd.testing.assert_series_equal(f.hvp((s,), given), series(4.0, -4.0, -4.0))
    _, (gradient,) = f.vjp((s,), 2.0)
    pd.testing.assert_series_equal(gradient, series(8.0, 44.0, 24.0))
    assert ag.hessian(f)(s).tolist() == [[4.0, 2.0, 0.0], [2.0, 12.0, 6.0], [0.0, 6.0, 4.0]]


def test_an_array_stands_for_a_series_in_out() -> None:
    f, out = compile(weighted), np.zeros(3)
    for _ in range(2):
        assert f.grad(series(1.0, 2.0, 3.0), out=out) is out
        assert out.tolist() == [4.0, 22.0, 12.0]


def test_a_row_of_a_dataframe_is_a_series_of_its_columns() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [4, 5, 6]}, index=[7, 8, 9])
    weights = pd.Series([2.0, 3.0], index=["x", "y"])
    f = compile(lambda row, w: (row * w).sum() * row["x"], in_axes=(0, None))
    expected = (rows["x"] * 2.0 + rows["y"] * 3.0) * rows["x"]
    assert f(rows, weights).tolist() == expected.tolist()
    assert f(rows.iloc[1:], weights).tolist() == expected.tolist()[1:]
    by_row = np.stack([4.0 * rows["x"] + 3.0 * rows["y"], 3.0 * rows["x"]], axis=1)
    assert f.grad(rows, weights).tolist() == by_row.tolist()
    summed = compile(lambda row, w: (row * w).sum(), in_axes=(0, None), reduce="sum")
    pd.testing.assert_series_equal(
        summed.grad(rows, weights, argnums=1), pd.Series([6.0, 15.0], index=["x", "y"])
    )
    assert f._evaluation.cache.count() == 1


def test_rows_of_a_series_are_numbers() -> None:
    f = compile(lambda s, k: s * s * k, in_axes=0)
    assert f(series(1.0, 2.0), np.array([1.0, 3.0])).tolist() == [1.0, 12.0]
    assert f(series(1.0, 2.0), k=series(1.0, 3.0)).tolist() == [1.0, 12.0]


def test_rows_that_are_none_are_refused() -> None:
    f = compile(lambda row: row.sum(), in_axes=0)
    with pytest.raises(TypeError, match=r"the columns \['unit', 'on'\] are not"):
        f(table())
    with pytest.raises(ValueError, match="give its transpose"):
        compile(lambda row: row.sum(), in_axes=1)(table()[["x", "n"]])
    with pytest.raises(TypeError, match="must be real numbers, got the dtype"):
        f(table()["unit"])


def test_missing_numbers_are_nan() -> None:
    f = compile(lambda s: s["a"] * 2.0)
    assert np.isnan(f(pd.Series([None, 1], index=["a", "b"], dtype="Int64")))
    assert f(pd.Series([3, None], index=["a", "b"], dtype="Int64")) == 6.0


def test_a_pickle_keeps_the_labels() -> None:
    f, s = compile(weighted), series(1.0, 2.0, 3.0)
    f.grad(s)
    again = pickle.loads(pickle.dumps(f))
    assert again._evaluation.cache.of(f._evaluation.structure((s,)))
    pd.testing.assert_series_equal(again.grad(s), series(4.0, 22.0, 12.0))
