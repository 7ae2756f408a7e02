"""micrograd's name and a script's own class given to arenagrad, in processes of their own."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import RUN, Done, outcome, run_python


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Done]:
    """Call this interpreter in tmp_path; script= is the text of script.py."""
    return functools.partial(run_python, tmp_path)


def test_every_way_to_import_micrograd_gives_arenagrad(python: Callable[..., Done]) -> None:
    done = python(
        "script.py",
        script="""
        import sys, importlib.util
        before = list(sys.path)
        import arenagrad
        from arenagrad.compat import install_as_micrograd
        install_as_micrograd()
        first = sys.modules["micrograd"]
        install_as_micrograd()
        assert sys.modules["micrograd"] is first, "idempotent"
        import micrograd, micrograd.engine, micrograd.nn as nn
        from micrograd import engine
        from micrograd.engine import Value
        from micrograd.nn import MLP, Layer, Module, Neuron
        assert micrograd.engine is engine and micrograd.nn is nn
        assert Value is arenagrad.Value and isinstance(MLP(2, [1]).layers[0].neurons[0].b, Value)
        assert importlib.util.find_spec("micrograd").name == "micrograd"
        assert importlib.import_module("micrograd.nn") is nn
        try:
            import micrograd.absent
        except ModuleNotFoundError as error:
            print(error)
        assert sys.path == before
        """,
    )
    assert outcome(done) == ("No module named 'micrograd.absent'\n", "", 0)


def test_what_is_assigned_in_micrograd_nn_takes_effect(python: Callable[..., Done]) -> None:
    done = python(
        *RUN,
        "script.py",
        script="""
        import micrograd.nn as nn
        class Half(nn.Neuron):
            def __call__(self, x):
                return nn.Value(0.5)
        nn.Neuron = Half
        print(nn.Layer(2, 2)([1.0, 2.0]))
        """,
    )
    assert done.stdout == "[Value(data=0.5, grad=0.0), Value(data=0.5, grad=0.0)]\n"


def test_micrograd_imported_before_is_replaced_with_a_warning(python: Callable[..., Done]) -> None:
    done = python(
        "script.py",
        script="""
        import warnings
        from micrograd.engine import Value as Pure
        from arenagrad.compat import install_as_micrograd
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            install_as_micrograd()
            install_as_micrograd()
        from micrograd.engine import Value
        import arenagrad
        assert Value is arenagrad.Value and Pure is not Value
        print(*[(w.category.__name__, w.filename == __file__) for w in caught])
        print(caught[0].message)
        """,
    )
    first, second = done.stdout.splitlines()
    assert first == "('RuntimeWarning', True)"
    assert second.startswith("micrograd had been imported before install_as_micrograd()")


LECTURE = """
    import math
    import random

    class Value:
        made = 0

        def __init__(self, data, _children=(), _op='', label=''):
            self.data, self.grad, self._prev = data, 0.0, set(_children)
            self._op, self._backward, self.label = _op, lambda: None, label

        def __add__(self, other):
            out = Value(self.data + other.data, (self, other), '+')
            def _backward():
                self.grad += out.grad
                other.grad += out.grad
            out._backward = _backward
            return out

        def __mul__(self, other):
            out = Value(self.data * other.data, (self, other), '*')
            def _backward():
                self.grad += other.data * out.grad
                other.grad += self.data * out.grad
            out._backward = _backward
            return out

        def logistic(self):
            y = 1 / (1 + math.exp(-self.data))
            out = Value(y, (self,), 'sigmoid')
            def _backward():
                self.grad += y * (1 - y) * out.grad
            out._backward = _backward
            return out

        @property
        def half(self):
            return self.data / 2

        @staticmethod
        def zeros(n):
            return [Value(0.0) for _ in range(n)]

        def __lt__(self, other):
            return self.data < other.data

        def __eq__(self, other):
            return True

        __hash__ = object.__hash__

        def __repr__(self):
            return f"number {self.data:.6f}"

    a, b = Value(2.0, label='a'), Value(-3.0)
    c = (a * b).logistic() + a
    c.backward()
    print(Value.__module__, c, a.label, a.half, len(Value.zeros(3)), b < a, a == b, Value.made)
    print(a.grad, b.grad)
    """


def test_the_class_named_becomes_arenagrads_with_the_methods_it_lacked(
    python: Callable[..., Done],
) -> None:
    done = python(*RUN, "--replace-class", "Value", "script.py", script=LECTURE)
    y = 1 / (1 + 2.718281828459045**6)
    first, second = done.stdout.splitlines()
    assert first == "arenagrad number 2.002473 a 1.0 3 True True 0"
    partials = [float(text) for text in second.split()]
    assert partials == pytest.approx([1 - 3 * y * (1 - y), 2 * y * (1 - y)])
    assert done.stderr == (
        "arenagrad: class Value of script.py: native: __mul__, __add__, __lt__; "
        "the script's own: __eq__, __repr__\n"
    )


def test_a_class_is_replaced_wherever_it_stands(python: Callable[..., Done]) -> None:
    done = python(
        *RUN,
        *("--replace-class", "Scalar", "--replace-class", "Value"),
        "script.py",
        script="""
        if True:
            class Scalar:
                pass
        def local():
            class Value:
                def twice(self):
                    return self + self
            return Value
        class Other:
            class Value:
                pass
        print(Scalar.__module__, local()(2.0).twice(), Other.Value is Scalar, Other.__module__)
        """,
    )
    assert done.stdout == "arenagrad Value(data=4.0, grad=0.0) True __main__\n"


def test_decorators_of_the_script_see_its_own_class_on_its_own_line(
    python: Callable[..., Done],
) -> None:
    script = """
    import sys
    def note(kind):
        print(kind.__module__, kind.twice)
        kind.noted = True
        return kind

    @note
    class Value:
        print(sys._getframe().f_code.co_firstlineno)
        twice = "a constant, not a method"

    print(Value.noted, Value.twice)
    """
    printed = "8\n__main__ a constant, not a method\nTrue a constant, not a method\n"
    assert python("script.py", script=script).stdout == printed
    assert python(*RUN, "--replace-class", "Value", "script.py", script=script).stdout == printed


def test_replacing_a_class_changes_no_line_of_a_traceback(
    python: Callable[..., Done], tmp_path: Path
) -> None:
    script = """\
    import inspect
    def same(*_):
        return lambda kind: kind

    @same(
        1,
    )
    class Value:
        '''Documented.'''
        def explode(self):
            raise RuntimeError("line 11")

    class Other:
        def f(self):
            pass

    print(inspect.getsource(Other))
    def call(x):
        x.explode()
    call(Value(1.0))
    """
    done = python(*RUN, "--replace-class", "Value", "script.py", script=script)
    where = f'  File "{tmp_path}/script.py", line'
    assert done.stdout == "class Other:\n    def f(self):\n        pass\n\n"
    assert [line for line in done.stderr.splitlines() if "~" not in line and "^" not in line] == [
        "arenagrad: class Value of script.py: none of its methods was called",
        "Traceback (most recent call last):",
        f"{where} 20, in <module>",
        "    call(Value(1.0))",
        f"{where} 19, in call",
        "    x.explode()",
        f"{where} 11, in explode",
        '    raise RuntimeError("line 11")',
        "RuntimeError: line 11",
    ]


def test_a_name_without_a_class_is_refused_before_anything_runs(
    python: Callable[..., Done], tmp_path: Path
) -> None:
    script = "print('ran')\nclass Value: pass\nScalar = Value\n"
    names = ("--replace-class", "Value", "--replace-class", "Scalar", "--replace-class", "Missing")
    done = python(*RUN, *names, "script.py", script=script)
    where = f"'{tmp_path}/script.py'"
    assert outcome(done) == (
        "",
        "python -m arenagrad run: --replace-class: "
        f"{where} has no class Missing and no class Scalar\n",
        2,
    )


def test_a_micrograd_script_computes_what_it_computes_with_micrograd(
    python: Callable[..., Done],
) -> None:
    script = """
    import random
    from micrograd import nn
    from micrograd.engine import Value
    random.seed(3)
    model = nn.MLP(2, [4, 4, 1])
    print(model, len(model.parameters()))
    for k in range(5):
        loss = sum((model([Value(a), 1 - a]) - a) ** 2 for a in (0.0, 0.5, 1.0))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.05 * p.grad
        print(f"step {k} loss {float(loss.data):.12f} {float(p.grad):.12f}")
    """
    direct = python("script.py", script=script)
    assert direct.stdout.count("step") == 5
    assert outcome(python(*RUN, "script.py", script=script)) == outcome(direct)
