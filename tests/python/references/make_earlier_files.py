"""Write earlier_files.tar.xz: programs and pickles of an earlier version, and what they give.

    python tests/python/references/make_earlier_files.py

Run with the version whose files must stay readable, not with the one at hand: the archive in the
tree is that of version 0.1.0 before its opcodes were renamed. The tests only read it. Numbers are
kept as hexadecimal texts, and the C library is named, whose functions may differ in the last bit.
"""

import io
import json
import pickle
import platform
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import arenagrad as ag
from arenagrad import Value, _core, nn, optim

STORED = Path(__file__).with_name("earlier_files.tar.xz")
Function = Callable[[Any], Any]


def scalar_functions() -> Iterator[tuple[str, Function, list[float]]]:
    """Each row of the table as a function of a list, and a point where it is smooth."""
    for row in _core.op_table():
        a = row["low"] + 0.7 * (row["high"] - row["low"])
        call = getattr(ag, row["name"], None)
        if row["name"] in ("add", "multiply", "pow"):
            continue
        if row["arity"] == 2:
            yield row["name"], lambda x, call=call: call(x[0], x[1]), [a, 0.6]
        else:
            yield row["name"], lambda x, call=call: call(x[0]) * x[1], [a, 0.6]
    yield "add", lambda x: x[0] + x[1], [0.25, 1.5]
    yield "multiply", lambda x: x[0] * x[1] * x[0], [0.25, 1.5]
    yield "subtract", lambda x: (x[0] - x[1]) * -x[0], [0.25, 1.5]
    yield "divide", lambda x: x[0] / x[1] / x[0], [0.25, 1.5]
    for exponent in (-2.5, -1, 0.5, 2, 3, 4):
        yield f"pow{exponent}", lambda x, n=exponent: x[0] ** n * x[1], [1.75, -0.5]


def nary_functions() -> Iterator[tuple[str, Function, list[float]]]:
    """The operations of any number of operands."""
    point = [0.5, -1.25, 2.0, 0.75, -0.125, 1.5]
    yield "sum", lambda x: ag.sum([v * v for v in x]), point
    yield "mean", lambda x: ag.mean([v.exp() for v in x]), point
    yield "prod", lambda x: ag.prod(list(x)), point
    yield "dot", lambda x: ag.dot(list(x[:3]), list(x[3:])), point
    yield "linear", lambda x: ag.linear([x[2:4]], list(x[:2]), [x[4]])[0].tanh() * x[5], point
    yield "norm", lambda x: ag.norm(list(x)), point
    yield "logsumexp", lambda x: ag.logsumexp(list(x)), point
    yield "softmax", lambda x: ag.dot(ag.softmax(list(x[:3])), list(x[3:])), point
    yield "log_softmax", lambda x: ag.dot(ag.log_softmax(list(x[:3])), list(x[3:])), point
    yield "where", lambda x: ag.where(x[0], x[1] * x[2], x[3].exp()), point
    yield "take", lambda x: ag.take([v * v for v in x[1:]], x[0]), [2.0, *point[1:]]
    yield "less", lambda x: x[0] * x[1] if x[0] < x[1] else x[2].exp() / x[3], point
    yield "less_equal", lambda x: x[0] * x[1] if x[1] <= x[0] else x[2].exp() / x[3], point
    yield "equal", lambda x: x[0] * x[1] if x[1] == x[0] else x[2].exp() / x[3], point


def derivatives() -> dict[str, Callable[..., Any]]:
    """The programs that are made of each function."""
    return {"value": lambda f: f, "grad": ag.value_and_grad, "hessian": ag.hessian}


def numbers(tree: Any) -> list[str]:
    """All numbers of a nested result, in order, in full."""
    if isinstance(tree, list | tuple):
        return [text for item in tree for text in numbers(item)]
    return [float(number).hex() for number in np.asarray(tree, dtype=float).ravel()]


def programs(folder: Path) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Each program as the bytes of its file, with its point and what it gives there."""
    for name, function, point in [*scalar_functions(), *nary_functions()]:
        for strict in (False, True):
            for derivative, derive in derivatives().items():
                if strict and derivative != "grad":
                    continue
                f = derive(ag.compile(function, strict=strict))
                x = np.array(point)
                program = f.program(x)
                path = folder / f"{name}.{derivative}{'.strict' if strict else ''}.agpf"
                program.save(path)
                yield path.name, path.read_bytes(), {"x": point, "gives": numbers(program(x))}


def pickles() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Values, Modules and optimisers, each with the numbers of what they are asked."""
    a, b = Value(0.3), Value(-1.75)
    y = ag.dot(ag.softmax([a, b, a * b]), [b, a**3, (a - b).tanh()]) + ag.logsumexp([a, b]) / b
    y.backward()
    values = (a, b, y)
    gives = numbers([v.data for v in values] + [v.grad for v in values])
    yield "values.pickle", pickle.dumps(values, 4), {"gives": gives}
    model = nn.MLP(2, [3, 1])
    ag.assign(model.parameters(), np.linspace(-1.0, 1.0, len(model.parameters())))
    yield "module.pickle", pickle.dumps(model, 4), {"gives": numbers([model([0.5, -2.0]).data])}
    for rule in (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop):
        parameters = [Value(1.0), Value(-2.0)]
        optimiser = rule(parameters, lr=0.1)
        given = []
        saved = b""
        for step in range(4):
            if step == 2:
                saved = pickle.dumps((optimiser, parameters), 4)
                given = []
            optimiser.zero_grad()
            (parameters[0] ** 2 * parameters[1] + parameters[1] ** 2).backward()
            optimiser.step()
            given += [p.data for p in parameters]
        yield f"{rule.__name__}.pickle", saved, {"gives": numbers(given)}


def main() -> None:
    """Write the archive, as one stream, since most programs are like their neighbours."""
    answers: dict[str, Any] = {}
    with TemporaryDirectory() as folder, tarfile.open(STORED, "w:xz", preset=9) as archive:

        def add(name: str, data: bytes) -> None:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

        for name, data, answer in [*programs(Path(folder)), *pickles()]:
            add(name, data)
            answers[name] = answer
        about = {"library": platform.libc_ver(), "machine": platform.machine()}
        add("answers.json", json.dumps({**about, "answers": answers}).encode())


if __name__ == "__main__":
    main()
