"""Facts about a script's sources, read off syntax trees: names that are bound again, and more.

A name counts as bound again if any source could give it another meaning later, even where the
script never does: a method that reads it is then the script's own.
"""

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from arenagrad._drop_in.source import assigned_by_rules, names_read

_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CONTAINERS = ("set", "frozenset", "tuple", "list")
_MUTATORS = (
    "add", "append", "clear", "difference_update", "discard", "extend", "insert",
    "intersection_update", "pop", "popleft", "remove", "reverse", "sort",
    "symmetric_difference_update", "update",
)  # fmt: skip


class Facts:
    """What all sources of a script read, assign and bind again."""

    def __init__(self) -> None:
        """No source has been seen."""
        self._files: set[str] = set()
        self.read: set[str] = set()  # names read outside of compared methods
        self.assigned: set[str] = set()  # attributes that rules may assign, and not add to
        self.rebound: set[str] = set()  # names of globals and free variables
        self.attributes: set[str] = set()  # that are assigned or deleted, on anything
        self.mutated: set[str] = set()  # attributes whose container is changed in place
        self.emptied: set[str] = set()  # attributes that are set to nothing after a constructor
        self.of_names: set[str] = set()  # attributes assigned as `Name.attribute`, so written
        self.is_open = False  # some source may bind names that cannot be seen
        self.patches = False  # some source may put methods on classes by names that cannot be seen
        self.constructors: dict[int, str] = {}  # why not native, or "", by the first line
        self._globals: Counter[str] = Counter()
        self._imports: set[tuple[str, str]] = set()

    def note_reads(
        self, tree: ast.Module, classes: Sequence[str], methods: Callable[[str], bool]
    ) -> None:
        """Take in which names one source reads; classes and methods are as in `source`."""
        self.assigned |= assigned_by_rules(tree)
        self.read |= names_read(tree, classes, methods)

    def note_bindings(self, tree: ast.Module, file: str = "") -> None:
        """Take in which names one source binds, and its constructors; each file once."""
        if file in self._files:
            return
        if file:
            self._files.add(file)
        _Bindings(self, self._globals, self._imports).visit(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                self.constructors[first] = self.constructors.get(first) or _not_plain(node)


class _Bindings(ast.NodeVisitor):
    """Counts how often each name of each scope is bound; within a loop once is twice."""

    def __init__(
        self, facts: Facts, names: "Counter[str]", imports: "set[tuple[str, str]]"
    ) -> None:
        self._facts, self._scopes, self._imports, self._loops = facts, [names], imports, 0
        self._aliases: dict[str, set[str]] = {}  # the attributes that names were bound to
        self._in_constructor = False

    def _bind(self, name: str) -> None:
        scope = self._scopes[-1]
        scope[name] += 2 if self._loops else 1
        if scope[name] > 1:
            self._facts.rebound.add(name)

    def _within(self, node: ast.AST, names: Sequence[str] = ()) -> None:
        loops, self._loops = self._loops, 0
        self._scopes.append(Counter(names))
        self.generic_visit(node)
        self._scopes.pop()
        self._loops = loops

    def _in_loop(self, node: ast.AST) -> None:
        self._loops += 1
        self.generic_visit(node)
        self._loops -= 1

    def visit(self, node: ast.AST) -> None:
        """Visit one node."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._bind(node.name)
            given = [a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)]
            outside, self._in_constructor = self._in_constructor, node.name == "__init__"
            self._within(node, given)
            self._in_constructor = outside
        elif isinstance(node, ast.ClassDef):
            self._bind(node.name)
            self._within(node)
        elif isinstance(node, _SCOPES):
            self._within(node)
        elif isinstance(node, ast.For | ast.While | ast.AsyncFor):
            self._in_loop(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        else:
            self._visit_name(node)
            self.generic_visit(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = getattr(node, "module", None) or ""
        for alias in node.names:
            seen = (alias.asname or alias.name, f"{module}.{alias.name}")
            if seen not in self._imports:
                self._imports.add(seen)
                self._bind(alias.asname or alias.name.partition(".")[0])

    def _visit_name(self, node: ast.AST) -> None:
        facts = self._facts
        if isinstance(node, ast.Global | ast.Nonlocal):
            facts.rebound.update(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self._bind(node.id)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            facts.attributes.add(node.attr)
            facts.of_names.add(ast.unparse(node))
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            facts.mutated |= self._attributes_meant(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
            facts.mutated.add(node.target.attr)
        elif isinstance(node, ast.Assign):
            self._visit_assignment(node)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            facts.rebound.add(node.target.id)
        elif isinstance(node, ast.Attribute) and node.attr == "path":
            facts.is_open = True  # sys.path: modules may come that were not seen
        elif isinstance(node, ast.Name):
            facts.is_open |= node.id in ("globals", "exec", "eval", "__import__", "import_module")
        elif _is_use(node):
            self._visit_use(node)

    def _visit_assignment(self, node: ast.Assign) -> None:
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    self._aliases.setdefault(name.id, set()).update(self._attributes_meant(value))
                elif isinstance(name, ast.Attribute):
                    self._note_emptied(name.attr, value)

    def _note_emptied(self, name: str, value: ast.expr) -> None:
        if not self._in_constructor and _is_nothing(value):
            self._facts.emptied.add(name)

    def _attributes_meant(self, expression: ast.expr) -> set[str]:
        """The attributes that an expression may stand for."""
        if ast.unparse(expression) in ("self.__dict__", "vars(self)"):
            return set()  # of a class of the script's own kind, which configures itself
        if isinstance(expression, ast.Attribute):
            return {expression.attr}
        if isinstance(expression, ast.Name):
            return self._aliases.get(expression.id, set())
        if _is_use(expression) and getattr(expression.func, "id", "") == "vars":  # type: ignore[attr-defined]  # checked by _is_use
            return {"__dict__"}
        if _is_use(expression) and getattr(expression.func, "id", "") == "getattr":  # type: ignore[attr-defined]  # checked by _is_use
            texts = (getattr(held, "value", None) for held in expression.args[1:2])  # type: ignore[attr-defined]  # as above
            return {text for text in texts if isinstance(text, str)}
        return set()

    def _visit_use(self, node: Any) -> None:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _MUTATORS and isinstance(node.func, ast.Attribute):
            self._facts.mutated |= self._attributes_meant(node.func.value)
        elif name in ("setattr", "delattr", "__setattr__") and len(node.args) > 1:
            text = getattr(node.args[-2] if name != "delattr" else node.args[1], "value", None)
            if isinstance(text, str):
                self._facts.attributes.add(text)
                self._facts.of_names.add(f"{ast.unparse(node.args[0])}.{text}")
                self._note_emptied(text, node.args[-1])
            else:
                self._facts.is_open = True
                of_instance = len(node.args) == 2 and name == "__setattr__"
                if not of_instance and getattr(node.args[0], "id", "") != "self":
                    self._facts.patches = True


# --- constructors ---------------------------------------------------------------------------------


def _not_plain(function: ast.FunctionDef) -> str:
    """Why Value cannot take over a constructor; "" if it only assigns what it is given."""
    arguments = function.args
    given = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    if function.decorator_list or arguments.vararg or arguments.kwarg or len(given) < 2:
        return "its constructor is decorated, or takes any arguments"
    for statement in function.body:
        if not _is_plain_statement(statement, given):
            text = ast.unparse(statement).partition("\n")[0]
            return f"its constructor does more than assign what it is given: {text[:60]}"
    return ""


def _is_use(node: ast.AST) -> bool:
    """Whether this uses a function."""
    return "func" in node._fields


def _is_nothing(value: Any) -> bool:
    """Whether this is None, or an empty container."""
    if isinstance(value, ast.Tuple | ast.List):
        return not value.elts
    if _is_use(value):
        return getattr(value.func, "id", "") in _CONTAINERS and not value.args
    return isinstance(value, ast.Constant) and value.value is None


def _is_plain_statement(statement: ast.stmt, given: list[str]) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assert):  # of a type, which each float has or none
        test: Any = statement.test
        return (
            _is_use(test)
            and getattr(test.func, "id", "") == "isinstance"
            and getattr(test.args[0], "id", "") in given[1:]
        )
    targets: list[ast.expr]
    if isinstance(statement, ast.AnnAssign):
        targets, value = [statement.target], statement.value
    elif isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    else:
        return False
    return value is not None and all(_assigns(target, value, given) for target in targets)


def _assigns(target: ast.expr, value: ast.expr, given: list[str]) -> bool:
    """Whether this assigns plain things to attributes of self."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = zip(target.elts, value.elts, strict=False)
        return len(target.elts) == len(value.elts) and all(_assigns(*p, given) for p in pairs)
    is_field = isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == given[0]
    return is_field and _is_plain(value, given[1], given[2:])


def _is_plain(value: Any, number: str, others: list[str]) -> bool:
    """Whether the value is an argument as it is, or a constant; the number may become a float."""
    if isinstance(value, ast.UnaryOp):
        return isinstance(value.operand, ast.Constant)
    if isinstance(value, ast.Constant | ast.Lambda):
        return isinstance(value, ast.Constant) or isinstance(value.body, ast.Constant)
    if isinstance(value, ast.Name):
        return value.id == number or value.id in others
    if isinstance(value, ast.Tuple | ast.List):
        return not value.elts
    if _is_use(value):
        called, arguments = getattr(value.func, "id", ""), value.args
        name = getattr(arguments[0], "id", "") if len(arguments) == 1 else ""
        if value.keywords or len(arguments) > 1:
            return False
        if called == "float":
            return name == number
        return called in _CONTAINERS and (not arguments or name in others)
    if isinstance(value, ast.IfExp):
        test = value.test.left if isinstance(value.test, ast.Compare) else value.test
        parts = (value.body, value.orelse)
        return getattr(test, "id", "") in others and all(_is_plain(p, "", others) for p in parts)
    if isinstance(value, ast.BoolOp):
        return all(_is_plain(part, "", others) for part in value.values)
    return False
