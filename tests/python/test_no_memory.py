"""Every allocation of a call fails once: a MemoryError, and the graph is as it was.

`_testcapi.set_nomemory` makes Python's allocators fail, where Python has that module; a library of
a few lines that is loaded first makes `operator new` fail, where there is a compiler. Each use runs
once for each of its allocations, the first of which fails first, until runs meet no failure.
"""

import copy
import ctypes
import dataclasses
import functools
import gc
import pickle
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arenagrad as ag
from arenagrad import Value, nn, optim
from scripts import run_python

FAILING_NEW = """
    #include <cstdlib>
    #include <new>

    static long left = -1; // allocations until one fails

    extern "C" void fail_after(long count) { left = count; }

    void* operator new(std::size_t size) {
      if (left >= 0 && left-- == 0) throw std::bad_alloc();
      if (void* memory = std::malloc(size ? size : 1)) return memory;
      throw std::bad_alloc();
    }
    void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
      if (left >= 0 && left-- == 0) return nullptr;
      return std::malloc(size ? size : 1);
    }
    void operator delete(void* memory) noexcept { std::free(memory); }
    void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
"""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is what a failed allocation becomes."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, TypeError):  # pybind11, of a result that is an int
        return isinstance(error.__cause__, MemoryError)
    told = {RuntimeError: "can't allocate lock", pickle.PicklingError: "import of module"}
    return str(told.get(type(error), "no such text")) in str(error)  # Python itself


def fail_each(
    use: Callable[[], Any], check: Callable[[], None], fail_after: Callable[[int], None]
) -> None:
    """Call `use` with each of its allocations failing, every few of many; `check` after each."""
    use()
    number, passed = 0, 0
    while passed < 40:  # some failures nobody sees: a free list that is not refilled
        failed = None
        gc.disable()
        fail_after(number)
        try:
            use()
        except BaseException as error:
            failed = error
        finally:
            fail_after(-1)
            gc.enable()
        if failed is not None and not is_out_of_memory(failed):
            raise AssertionError(f"allocation {number} failed with another error") from failed
        check()
        passed = passed + 1 if failed is None else 0
        number += 1 + number // 100


class Graph:
    """A small graph with an attribute, a rule of a user's own and a Module."""

    def __init__(self) -> None:
        """Build it."""
        self.a, self.b = Value(2.0), Value(-3.0)
        self.y = (self.a * self.b + self.a**3).tanh() * 0.0 + self.a * self.b
        self.y.label = "y"  # type: ignore[attr-defined]
        self.model = nn.MLP(2, [2, 1])
        self.model.zero_grad()

    def check(self) -> None:
        """It is as it was built."""
        assert (self.a.data, self.b.data, self.y.data) == (2.0, -3.0, -6.0)
        assert self.y.label == "y"  # type: ignore[attr-defined]
        assert {type(v) for v in self.y._prev} == {Value}
        ag.zero_grad(self.y)
        self.y.backward()
        assert (self.a.grad, self.b.grad) == (-3.0, 2.0)


g = Graph()
xs = [g.a, g.b, 1.5, 2]
compiled = ag.compile(lambda x, y: (x * y).tanh())
listed = ag.compile(lambda xs: ag.sum([x * x for x in xs]))
rows = ag.compile(lambda x: x * x, in_axes=0)
array = np.arange(1.0, 6.0)


def tanh_or_same(x: Any) -> Any:
    return x.tanh() if x > 0 else x


def with_rule() -> None:
    a = Value(1.0)
    b = a * 2
    called: list[int] = []
    b._backward = functools.partial(called.append, 1)
    (b + 1).backward()
    assert called == [1]


def with_attributes() -> None:
    v = g.a * 2.0
    v.label = "v"  # type: ignore[attr-defined]
    v._op = "times"
    assert (v.label, v._op) == ("v", "times")  # type: ignore[attr-defined]


def trained() -> None:
    ps = [Value(1.0), Value(2.0)]
    adam = optim.Adam(ps)
    (ps[0] * ps[1]).backward()
    adam.step()
    adam.zero_grad()


def cube(x: Any) -> Any:
    return x * x * x


@ag.custom_vjp
def squared(x: Any) -> Any:
    return x * x


squared.defvjp(lambda x: (x * x, x), lambda x, adjoint: (2.0 * x * adjoint,))


@ag.custom_jvp
def doubled(x: Any) -> Any:
    return 2.0 * x


doubled.defjvp(lambda primals, tangents: (2.0 * primals[0], 2.0 * tangents[0]))


@dataclasses.dataclass
class Pair:
    """A structure of a user's own."""

    one: Any
    other: Any


derivative, gradient_of_pair = ag.grad(cube), ag.grad(lambda p: p.one * p.other)
matrix = ag.values([[2.0, 1.0], [1.0, 3.0]])


def by_structures() -> None:
    found = gradient_of_pair(Pair(2.0, 3.0))
    assert (found.one, found.other) == (3.0, 2.0)


USES: dict[str, Callable[[], Any]] = {
    "Value": lambda: Value(1.0, (g.a, g.b), "op"),
    "partials": lambda: Value(1.0, (g.a, g.b), (1.0, 2.0)),
    "label": lambda: Value(1.0, label="x"),
    "operators": lambda: (g.a + 1) * 2 - g.b / 3 + g.a**2 + 2**g.a,
    "comparisons": lambda: (g.a > 1, g.a < g.b, g.a >= 10**30, sorted(xs)),
    "numbers": lambda: (round(g.a, 2), f"{g.a:.2f}", repr(g.a), int(g.a.data), str(g.y._op)),
    "methods": lambda: (g.a.exp().sin().relu(), g.a.power(3), g.a.arctan2(g.b)),
    "functions": lambda: (ag.exp(g.a), ag.exp(1.0), ag.maximum(g.a, 1.0)),
    "n-ary": lambda: (ag.sum(xs), ag.mean(xs), ag.prod(xs), ag.dot(xs, xs), ag.norm(xs)),
    "groups": lambda: (ag.softmax(xs), ag.log_softmax(xs), ag.logsumexp(xs)),
    "where and take": lambda: (ag.where(g.a, g.b, 1.0), ag.take(xs, 1), ag.take(xs, g.a)),
    "linear": lambda: ag.linear([xs, xs], xs, [1.0, g.a]),
    "arrays": lambda: (ag.values(array), ag.data_of(xs), ag.grad_of([g.a])),
    "assign": lambda: ag.assign([g.a, g.b], [2.0, -3.0]),
    "graph": lambda: (g.y._prev, ag.topological_order(g.y), g.y.detach(), ag.zero_grad(g.y)),
    "backward": lambda: ((g.a * g.b).backward(), g.y._backward),
    "rule": with_rule,
    "attributes": with_attributes,
    "custom": lambda: ag.custom(1.0, [g.a], [2.0]),
    "copies": lambda: (copy.copy(g.y), copy.deepcopy(g.y)),
    "pickles": lambda: pickle.loads(pickle.dumps(g.y)),
    "figures": lambda: (ag.arena_info(), ag.build_info()),
    "modules": lambda: (nn.MLP(2, [2, 1]), g.model([1.0, g.a]), g.model.parameters()),
    "optimisers": trained,
    "compiled": lambda: compiled(1.0, 2.0),
    "compiled derivatives": lambda: (compiled.value_and_grad(1.0, 2.0), compiled.hessian(1.0, 2.0)),
    "compiled lists": lambda: (listed([1.0, 2.0]), listed.grad([1.0, 2.0])),
    "compiled rows": lambda: (rows(array), rows.value_and_grad(array), rows.map(array)),
    "traced": lambda: ag.compile(tanh_or_same)(1.0),
    "traced rows": lambda: ag.compile(Value.tanh, in_axes=0)(array),
    "program": lambda: (compiled.program(1.0, 2.0), str(compiled.program(1.0, 2.0))),
    "pictures": lambda: (str(ag.draw(g.y)), ag.to_dot(g.y), ag.to_mermaid(g.y)),
    "collect": ag.collect,
    "gradient in a graph": lambda: (derivative(g.a) * g.b).backward(),
    "compiled structures": by_structures,
    "compiled products": lambda: (ag.jvp(cube, (2.0,), (1.0,)), ag.vjp(cube, 2.0)[1](1.0)),
    "compiled Jacobians": lambda: (ag.jacfwd(cube)(2.0), ag.jacrev(cube)(2.0)),
    "compiled nested": lambda: ag.compile(lambda x: x * derivative(x))(2.0),
    "compiled rules": lambda: (ag.grad(squared)(2.0), ag.grad(doubled)(2.0), squared(g.a)),
    "compiled root": lambda: ag.root(lambda x, a: x * x - a, 1.0, g.a),
    "linear algebra": lambda: (np.linalg.solve(matrix, [1.0, g.a]), np.linalg.inv(matrix)),
    "element by element": lambda: (ag.exp(matrix), ag.clip([g.a, 1.0], 0.0, 1.0), ag.max(xs)),
    "remainders": lambda: (g.a % g.b, divmod(g.a, 1.5), g.a // 2.0, ag.fmod(g.a, 2.0)),
    "stop_gradient": lambda: ag.stop_gradient([g.a, 1.0]),
}


# CPython 3.12 and 3.13 release a code object twice where there is no memory for a function that is
# made of it, also in a program of Python alone. There these uses are not tried: they run code in
# Python that makes functions.
MAKES_FUNCTIONS = ("compiled", "traced", "program", "pictures", "linear algebra")
# NumPy's own functions of objects, such as those of np.frompyfunc, crash where there is no memory.
BY_NUMPY = "element by element"


def names_of_uses(failing: str) -> list[str]:
    if failing == "failing_new":
        return list(USES)
    left_out = (BY_NUMPY,) if sys.version_info < (3, 12) else (BY_NUMPY, *MAKES_FUNCTIONS)
    return [name for name in USES if not name.startswith(left_out)]


def failing_python() -> Callable[[int], None]:
    """Makes one allocation of Python's fail, after so many; below 0 none."""
    testcapi: Any = __import__("_testcapi")

    def fail_after(number: int) -> None:
        if number < 0:
            testcapi.remove_mem_hooks()
        else:
            testcapi.set_nomemory(number, number + 1)

    return fail_after


def failing_new() -> Callable[[int], None]:
    """The same of `operator new`, where the library stands before the others."""
    fail_after = ctypes.CDLL(None).fail_after
    fail_after.argtypes = [ctypes.c_long]
    return fail_after  # type: ignore[no-any-return]


def fail_each_use(folder: Path, failing: str) -> None:
    """In a process of its own, where no thread of others meets the failures."""
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from {Path(__file__).stem} import *
        fail_after = {failing}()
        for name in {names_of_uses(failing)!r}:
            print(name, flush=True)
            fail_each(USES[name], g.check, fail_after)
    """
    done = run_python(folder, "script.py", script=script)
    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-3000:]


@pytest.mark.slow
def test_each_allocation_of_python_that_fails_is_a_memory_error(tmp_path: Path) -> None:
    pytest.importorskip("_testcapi")
    fail_each_use(tmp_path, "failing_python")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("c++"), reason="no compiler")
def test_each_operator_new_that_fails_is_a_memory_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new.cpp").write_text(textwrap.dedent(FAILING_NEW), encoding="utf-8")
    made = ["c++", "-O1", "-shared", "-fPIC", "-o", "new.so", "new.cpp"]
    subprocess.run(made, cwd=tmp_path, check=True, timeout=300)
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "new.so"))
    fail_each_use(tmp_path, "failing_new")


def test_a_callback_is_called_or_there_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("_testcapi")
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from {Path(__file__).stem} import *
        fail_each(with_rule, lambda: None, failing_python())
    """
    done = run_python(tmp_path, "script.py", script=script)
    assert done.returncode == 0, done.stderr[-3000:]
