"""What help() shows of the operations: each row of the table with its signature and its formula."""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import arenagrad
from arenagrad import Value, _core

ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "cpp/core/ops.def"
TABLE = [row for row in _core.op_table() if row["name"] not in ("add", "multiply", "pow")]
every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
NARY = {
    "sum": "(xs, start=0.0)",
    "mean": "(xs)",
    "prod": "(xs)",
    "norm": "(xs)",
    "logsumexp": "(xs)",
    "softmax": "(xs)",
    "log_softmax": "(xs)",
    "dot": "(ws, xs, start=0.0)",
    "where": "(condition, x, y)",
    "clip": "(a, a_min=None, a_max=None)",
    "max": "(xs)",
    "min": "(xs)",
    "var": "(xs, ddof=0)",
    "std": "(xs, ddof=0)",
    "interp": "(x, xp, fp, left=None, right=None)",
    "polygamma": "(n, x)",
    "gammainc": "(a, x)",
    "betainc": "(a, b, x)",
    "cumsum": "(xs)",
    "linear": "(weights, x, biases=None)",
    "take": "(values, index)",
    "zero_grad": "(roots)",
    "values": "(array)",
    "data_of": "(nested)",
    "grad_of": "(nested)",
    "assign": "(nested, array, to='data')",
}


def cells(row: dict[str, Any]) -> list[str]:
    """The cells of this row as they stand in ops.def."""
    text = OPS.read_text(encoding="utf-8")
    found = re.search(rf"^ARENAGRAD_OP\({row['id']}, *(.*?)\)(?: +//.*)?$", text, re.MULTILINE)
    assert found
    cells, depth = [""], 0
    for letter in found[1]:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            cells.append("")
        else:
            cells[-1] += letter
    return [cell.strip() for cell in cells]


def second(row: dict[str, Any]) -> str:
    """What follows the first operand in a signature."""
    constant = f", b={float(cells(row)[-3])}" if row["parametric"] else ""
    return ", b" if row["arity"] == 2 else constant


@every_row
def test_the_help_of_each_row_is_its_formula_in_the_table(row: dict[str, Any]) -> None:
    name, primal = row["name"], cells(row)[3]
    for thing, ending in (
        (getattr(Value, name), ", where a is self: a new Value."),
        (getattr(arenagrad, name), ": a Value if an argument is one, a float for real numbers."),
    ):
        first, *rest = inspect.getdoc(thing).splitlines()
        assert first == primal + ending
        assert "cpp/OPERATIONS.md" in rest[-1]


@every_row
def test_the_signature_of_each_row_says_what_it_takes(row: dict[str, Any]) -> None:
    method: Callable[..., Any] = getattr(Value, row["name"])
    function: Callable[..., Any] = getattr(arenagrad, row["name"])
    assert str(inspect.signature(method)) == f"(self{second(row)}, /)"
    assert str(inspect.signature(function)) == f"(a{second(row)}, /)"
    operands = [0.75 * row["high"]] * row["arity"]
    for takes, first in ((method, Value(operands[0])), (function, operands[0])):
        inspect.signature(takes).bind(first, *operands[1:])
        takes(first, *operands[1:])


@pytest.mark.parametrize("name", NARY)
def test_functions_of_many_operands_have_signatures_too(name: str) -> None:
    function = getattr(arenagrad, name)
    assert str(inspect.signature(function)) == NARY[name]
    assert inspect.getdoc(function)


def stub_docs(name: str) -> dict[str, str]:
    """The functions that a native stub documents, with their texts."""
    tree = ast.parse((ROOT / f"python/arenagrad/_core/{name}.pyi").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: text for node in functions if (text := ast.get_docstring(node))}


def test_help_and_the_stub_are_one_text() -> None:
    texts = stub_docs("functions")
    assert texts.keys() == NARY.keys()
    for name, text in texts.items():
        assert inspect.getdoc(getattr(arenagrad, name)) == text, name
