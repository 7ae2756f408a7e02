"""Random programs with control flow, as Python source, and the numbers they are run on.

A program is a function `f(a, b, c)` that gives a number and an int, which says where it has been.
Its numbers are Values, floats or whatever else `m`, the module of functions in its globals, can
take. It always ends, and what it raises are errors of the mathematics or ValueErrors of its own.
"""

import ast
import math
import random
from collections.abc import Callable, Iterator

ARGUMENTS = ("a", "b", "c")
_NUMBERS = ("a", "b", "c", "u", "v", "w")  # those that a program may assign to
_CONSTANTS = ("0.0", "1.0", "2.0", "-1.0", "0.5", "3", "0.1", "-0.0", "1e300", "1e-300", "2")
_EXPONENTS = ("2", "3", "-1", "0.5", "0", "-2", "1.5", "-0.5", "2.0", "1")
_UNARY = (
    *("sqrt", "exp", "expm1", "log", "log1p", "log2", "sin", "cos", "tan", "tanh", "sinh"),
    *("arcsin", "arctan", "erf", "relu", "square", "reciprocal", "sign"),
)
_BINARY = ("maximum", "minimum", "power", "arctan2")
_OF_LISTS = ("sum", "mean", "prod")
_RELATIONS = ("<", "<=", ">", ">=", "==", "!=")
_ERRORS = ("ZeroDivisionError", "ValueError", "OverflowError", "ArithmeticError", "Exception")
_ERRORS_TOGETHER = ("(ZeroDivisionError, ValueError)", "(ValueError, ArithmeticError)")
_EDGES = (
    *(0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 0.1, 0.30000000000000004, -2.5, 1.5, 100.0),
    *(1e300, -1e300, 1e-300, 5e-324, 1e16, 710.0, math.nan, math.inf, -math.inf),
)


class _Writer:
    """The lines of one program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.depth, self.loops, self.left = 1, 0, self.random.randint(4, 14)
        self.counter = 0  # of names that belong to one statement

    def put(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def new_name(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    # Expressions

    def atom(self) -> str:
        return self.pick(*_NUMBERS) if self.chance(0.8) else self.pick(*_CONSTANTS)

    def number(self, depth: int = 2) -> str:
        """An expression that is a number."""
        if depth == 0 or self.chance(0.2):
            return self.atom()
        kind = self.random.random()
        one, other = self.number(depth - 1), self.number(depth - 1)
        if kind < 0.45:
            return f"({one} {self.pick('+', '-', '*', '/', '+', '-', '*')} {other})"
        if kind < 0.53:
            return f"{self.atom()} ** {self.pick(*_EXPONENTS)}"
        if kind < 0.68:
            return f"m.{self.pick(*_UNARY)}({one})"
        if kind < 0.74:
            return f"m.{self.pick(*_BINARY)}({one}, {other})"
        if kind < 0.79:
            return f"{self.pick('min', 'max')}({one}, {other})"
        if kind < 0.83:
            return f"m.where({self.atom()}, {one}, {other})"
        if kind < 0.87:
            return f"({one} if {self.condition(1)} else {other})"
        if kind < 0.90:
            return self.pick(f"-{one}", f"abs({one})", f"2.0 ** {self.atom()}", f"+{one}")
        return self.number_of_lists(one)

    def number_of_lists(self, one: str) -> str:
        return self.pick(
            f"m.{self.pick(*_OF_LISTS)}(xs)",
            "m.dot(xs, xs)",
            "sum(xs)",
            f"{self.pick('min', 'max')}(xs)",
            f"{self.pick('min', 'max')}(xs, key=abs)",
            f"xs[k % len(xs)] * {one}",
            f"sum(x * x for x in xs if x {self.pick(*_RELATIONS)} {self.atom()})",
            f"helper({one}, {self.atom()})",
            f"(k * {one})",
            f"({self.atom()} or {one})",
            f"({self.atom()} and {one})",
        )

    def condition(self, depth: int = 2) -> str:
        """An expression that is true or false."""
        kind = self.random.random()
        one, other = self.number(1), self.atom()
        if kind < 0.5 or depth == 0:
            return f"{one} {self.pick(*_RELATIONS)} {other}"
        if kind < 0.62:
            middle = f"{self.pick(*_RELATIONS)} {self.atom()} {self.pick(*_RELATIONS)}"
            return f"{self.atom()} {middle} {other}"
        if kind < 0.74:
            return f"({self.condition(depth - 1)} {self.pick('and', 'or')} {self.condition(0)})"
        if kind < 0.79:
            return f"not {self.condition(0)}"
        return self.pick(
            self.atom(),
            "flag",
            f"k % {self.pick('2', '3')} == 0",
            f"{self.atom()} in xs",
            f"{self.atom()} not in ({self.atom()}, {self.atom()})",
            f"any(x {self.pick(*_RELATIONS)} {other} for x in xs)",
            f"all(x {self.pick(*_RELATIONS)} {other} for x in xs)",
            f"{self.atom()} != {self.atom()}",
            f"{self.whole()} > k",
        )

    def whole(self) -> str:
        """An expression that is a whole number of a number, or an error."""
        convert = self.pick("int", "round", "math.floor", "math.ceil", "math.trunc")
        return f"{convert}(min(max({self.atom()}, -3.5), 3.5))"

    # Statements

    def block(self) -> None:
        """Some statements, one level deeper."""
        self.depth += 1
        before = len(self.lines)
        for _ in range(self.random.randint(1, 3)):
            self.statement()
        if len(self.lines) == before:
            self.put("k += 1")
        self.depth -= 1

    def visit(self) -> None:
        """A line that only a run which comes here adds to the int of the result."""
        self.put(f"    k = k * 3 % 10007 + {self.random.randint(1, 9)}")

    def statement(self) -> None:
        self.left -= 1
        if self.left < 0 or self.depth > 4:
            return self.put(f"{self.pick(*_NUMBERS)} = {self.number(1)}")
        kinds = [self.assign, self.choose, self.change_list, self.decide, self.attempt, self.fail]
        weights = [6, 5, 3, 2, 3, 1]
        if self.loops < 2:
            kinds += [self.count_up, self.walk, self.turn]
            weights += [1, 1, 2]
        if self.loops:
            kinds.append(self.leave_loop)
            weights.append(2)
        return self.random.choices(kinds, weights)[0]()

    def assign(self) -> None:
        target = self.pick(*_NUMBERS)
        if self.chance(0.25):
            self.put(f"{target} {self.pick('+=', '*=', '-=', '/=')} {self.number(1)}")
        else:
            self.put(f"{target} = {self.number(3)}")

    def choose(self) -> None:
        self.put(f"if {self.condition()}:")
        self.visit()
        self.block()
        if self.chance(0.2):
            self.depth += 1
            self.put(f"return {self.number(1)}, k")
            self.depth -= 1
        if self.chance(0.3):
            self.put(f"elif {self.condition()}:")
            self.visit()
            self.block()
        if self.chance(0.5):
            self.put("else:")
            self.visit()
            self.block()

    def change_list(self) -> None:
        test = f"x {self.pick(*_RELATIONS)} {self.atom()}"
        self.put(
            self.pick(
                f"xs.append({self.number(1)})",
                "xs = sorted(xs)",
                "xs.sort(reverse=True)",
                "xs = sorted(xs, key=abs)",
                "xs.reverse()",
                f"xs[k % len(xs)] = {self.number(1)}",
                f"xs = [x * {self.atom()} for x in xs] or xs",
                f"xs = [x for x in xs if {test}] or [{self.atom()}]",
                f"xs = xs[-3:] + [{self.number(1)}]",
                f"{self.pick(*_NUMBERS)} = xs[{self.whole()} % len(xs)]",
            )
        )

    def decide(self) -> None:
        self.put(
            self.pick(
                f"flag = {self.condition()}",
                "flag = not flag",
                f"k += {self.whole()}",
                f"k = k * 2 % 10007 + bool({self.condition()})",
                f"k += xs.count({self.atom()})",
                f"k += sum(x {self.pick(*_RELATIONS)} {self.atom()} for x in xs)",
            )
        )

    def attempt(self) -> None:
        self.put("try:")
        self.depth += 1
        self.put(f"{self.pick(*_NUMBERS)} = {self.number(3)}")
        self.depth -= 1
        self.block()
        for error in self.random.sample(_ERRORS + _ERRORS_TOGETHER, self.random.randint(1, 2)):
            self.put(f"except {error}:")
            self.visit()
            self.block()
            if error == "Exception":
                break
        if self.chance(0.25):
            self.put("else:")
            self.visit()
            self.block()
        if self.chance(0.25):
            self.put("finally:")
            self.visit()

    def fail(self) -> None:
        self.put(f"if {self.condition(1)}:")
        self.put("    raise ValueError('the program itself')")

    def loop_body(self) -> None:
        self.loops += 1
        self.block()
        self.loops -= 1

    def count_up(self) -> None:
        turns = self.pick("2", "3", f"{self.whole()} % 4", "k % 4")
        self.put(f"for {self.new_name('i')} in range({turns}):")
        self.loop_body()

    def walk(self) -> None:
        x = self.new_name("x")
        self.put(f"for {x} in list(xs)[:4]:")
        self.put(f"    {self.pick(*_NUMBERS)} = {x} * {self.atom()} + {self.atom()}")
        self.loop_body()

    def turn(self) -> None:
        n = self.new_name("n")
        self.put(f"{n} = 0")
        self.put(f"while {self.condition(1)} and {n} < {self.pick('3', '5')}:")
        self.put(f"    {n} += 1")
        self.loop_body()
        if self.chance(0.2):
            self.put("else:")
            self.visit()

    def leave_loop(self) -> None:
        self.put(f"if {self.condition(1)}:")
        self.visit()
        self.put(f"    {self.pick('break', 'continue')}")


def source_of(seed: int) -> str:
    """The program of a seed."""
    writer = _Writer(seed)
    writer.depth = 1
    helper = [
        "def helper(x, y):",
        f"    if x {writer.pick(*_RELATIONS)} y:",
        f"        return x {writer.pick('-', '*', '+')} y",
        f"    return {writer.pick('x / y', 'm.log(x)', 'x ** 2', 'max(x, y)', 'm.sqrt(y) * x')}",
    ]
    for line in ("u = a * 2.0", "v = b", f"w = {writer.pick(*_CONSTANTS)}"):
        writer.put(line)
    for line in ("k, flag = 1, False", f"xs = [a, b, {writer.pick('c', 'c', 'a * b', '1.0')}]"):
        writer.put(line)
    while writer.left > 0:
        writer.statement()
    writer.put(f"return {writer.number(2)}, k")
    return "\n".join([*helper, "", "", "def f(a, b, c):", *writer.lines, ""])


def points_of(seed: int, count: int) -> list[tuple[float, ...]]:
    """Points that a program is run on: simple numbers, edges, and numbers that are equal."""
    source = random.Random(seed + 10**9)
    draw: list[Callable[[], float]] = [
        lambda: source.choice(_EDGES[:12]),
        lambda: source.choice(_EDGES),
        lambda: float(source.randint(-4, 4)),
        lambda: source.uniform(-3.0, 3.0),
        lambda: source.randint(-12, 12) / 4.0,
    ]
    points = []
    for _ in range(count):
        point = [source.choice(draw)() for _ in ARGUMENTS]
        if source.random() < 0.3:
            point[source.randrange(3)] = point[source.randrange(3)]
        points.append(tuple(point))
    return points


def smaller(source: str) -> Iterator[str]:
    """Programs with one piece less: statements, a branch, or an operand for an expression."""
    count = len(list(ast.walk(ast.parse(source))))
    for k in range(count):
        for choice in range(3):
            tree = ast.parse(source)
            node = list(ast.walk(tree))[k]
            if _take_piece(node, choice) and all(map(_ends, ast.walk(tree))):
                yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _ends(node: ast.AST) -> bool:
    """Whether a loop still counts its turns."""
    if not isinstance(node, ast.While):
        return True
    first = node.body[0]
    counts = isinstance(first, ast.AugAssign) and ast.unparse(first.target).startswith("n")
    return counts and isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And)


def _take_piece(node: ast.AST, choice: int) -> bool:
    """Make a node smaller in one of three fashions; False if it cannot be."""
    for name, held in ast.iter_fields(node):
        if isinstance(held, list) and held and isinstance(held[0], ast.stmt):
            if (
                choice < 2
                and not isinstance(held[0], ast.Pass)
                and not isinstance(node, ast.Module)
            ):
                rest = held[len(held) // 2 :] if choice else held[: len(held) // 2]
                setattr(
                    node, name, rest or ([] if name in ("orelse", "finalbody") else [ast.Pass()])
                )
                return True
            for i, statement in enumerate(held):
                inner = getattr(statement, "body", None)
                if choice == 2 and isinstance(inner, list) and not isinstance(node, ast.Module):
                    held[i : i + 1] = inner
                    return True
        if isinstance(held, ast.expr) and isinstance(held, ast.BinOp | ast.IfExp | ast.BoolOp):
            parts = (
                held.values if isinstance(held, ast.BoolOp) else list(ast.iter_child_nodes(held))
            )
            operands = [part for part in parts if isinstance(part, ast.expr)]
            if choice < len(operands):
                setattr(node, name, operands[choice])
                return True
        if isinstance(held, ast.Call) and held.args and choice < len(held.args):
            setattr(node, name, held.args[choice])
            return True
    return False


class _ByNumber(ast.NodeTransformer):
    """Makes a program decide by number where Values do so only while they are traced."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        terms = [node.left, *node.comparators]
        pairs = [
            self._pair(operator, left, right)
            for operator, left, right in zip(node.ops, terms[:-1], terms[1:], strict=True)
        ]
        return pairs[0] if len(pairs) == 1 else ast.BoolOp(ast.And(), pairs)

    def _pair(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> ast.expr:
        names = {ast.Eq: "_equal", ast.NotEq: "_unequal", ast.In: "_within", ast.NotIn: "_without"}
        name = names.get(type(operator))
        if name is None:
            return ast.Compare(left, [operator], [right])
        return ast.Call(ast.Name(name, ast.Load()), [left, right], [])

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        last = node.values[-1]
        for value in reversed(node.values[:-1]):
            chosen = (last, value) if isinstance(node.op, ast.And) else (value, last)
            last = ast.IfExp(self._truth(value), *chosen)
        return last

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = self._truth(node.operand)
        return node

    def _visit_test(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        node.test = self._truth(node.test)  # type: ignore[attr-defined]
        return node

    visit_If = visit_While = visit_IfExp = _visit_test

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        node.ifs = [self._truth(test) for test in node.ifs]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "count":
            return ast.Call(ast.Name("_count", ast.Load()), [node.func.value, *node.args], [])
        if isinstance(node.func, ast.Name) and node.func.id in ("any", "all", "bool"):
            if isinstance(argument := node.args[0], ast.GeneratorExp):
                argument.elt = self._truth(argument.elt)
            else:
                node.args[0] = self._truth(argument)
        return node

    def _truth(self, value: ast.expr) -> ast.expr:
        return ast.Call(ast.Name("_truth", ast.Load()), [value], [])


def by_number(source: str) -> ast.Module:
    """The program with calls of `_equal`, `_truth` and so on in place of what goes by identity."""
    return ast.fix_missing_locations(_ByNumber().visit(ast.parse(source)))
