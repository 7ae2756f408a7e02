"""Which fields of a script's class hold number, gradient, operands and rule.

They are read off instances: the field that holds the number an instance was made of is its data,
the field of a product that holds its two factors has the operands, and so on. What cannot be read
off for certain raises `Unreadable`, and the class is then left alone: never a wrong number.
"""

import inspect
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from arenagrad._core import Value

# Where several fields hold the same, the first of these names is the one that is meant.
_USUAL = ("data", "value", "val", "_data", "_value", "grad", "gradient", "_grad")
_ORDERED = (tuple, list)
_CONTAINERS = (set, frozenset, *_ORDERED)
_REFUSED = ("__new__", "__setattr__", "__getattribute__", "__getattr__", "__delattr__", "__del__")
_ABSTRACT = ("abc", "typing")
_NO_MIXINS = (Value, int, float, str, tuple, list, dict, set)
_SAMPLES = (1.5, -2.25)
_OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], tuple[float, float]]] = {
    "__mul__": (operator.mul, (-2.25, 1.5)),
    "__add__": (operator.add, (1.0, 1.0)),
    "__sub__": (operator.sub, (1.0, -1.0)),
}


class Unreadable(Exception):
    """The class cannot be put on this engine; the message says why."""


@dataclass
class Layout:
    """The names of the fields of a script's class."""

    data: str
    grad: str = ""
    operands: dict[str, type] = field(default_factory=dict)  # each with its container
    no_operands: dict[str, Any] = field(default_factory=dict)  # each as a leaf has it
    rule: str = ""
    leaf_has_none: bool = False  # as its rule
    partials: str = ""
    op: str = ""
    no_op: str | None = ""  # as a leaf has it
    texts: dict[str, str] = field(default_factory=dict)  # of operations, where ours are others
    constants: dict[str, Any] = field(default_factory=dict)  # other fields, equal in all nodes
    own_constructor: bool = True  # its signature is another than that of Value

    @property
    def is_ordered(self) -> bool:
        """Whether the operands of a node have an order."""
        return any(issubclass(kind, _ORDERED) for kind in self.operands.values())

    def number(self, node: Any) -> float:
        """The number that a node of the script's class holds."""
        return getattr(node, self.data)  # type: ignore[no-any-return]

    def operands_of(self, node: Any) -> list[Any]:
        """The operands of such a node."""
        return list(getattr(node, next(iter(self.operands)), None) or ())


def fields(instance: Any) -> dict[str, Any]:
    """The attributes that an instance has of its own, slots included."""
    found = dict(getattr(instance, "__dict__", {}))
    for base in type(instance).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{base.__name__.lstrip('_')}{name}"
            if name not in ("__dict__", "__weakref__") and hasattr(instance, name):
                found[name] = getattr(instance, name)
    return found


def is_number(held: Any) -> bool:
    """Whether it is a float or an int, and not a bool."""
    return isinstance(held, float | int) and not isinstance(held, bool)


def read_layout(kind: type, names_read: frozenset[str] = frozenset()) -> Layout:
    """The layout of a class; its names must mean the class itself now. Raises Unreadable.

    names_read are the names that the script reads: a base class whose name is read stands for
    more than its methods.
    """
    _refuse_magic(kind, names_read)
    leaves = [_made(kind, number) for number in _SAMPLES]
    layout = Layout(_data_field(kind, leaves))
    nodes = _nodes(kind, leaves)
    _read_operands(layout, nodes[0], leaves)
    _read_rule(layout, kind, nodes, leaves)
    _read_constants(layout, leaves, nodes[0].result)
    for name, held in layout.constants.items():
        if isinstance(held, bool) and _depends_on(kind, layout, name):
            raise Unreadable(f"what its nodes do depends on their field {name}")
    layout.own_constructor = not _constructed_alike(kind, layout)
    return layout


@dataclass(frozen=True)
class _Node:
    """A node of two leaves x and y: how it is written, and its partials by rights."""

    text: str
    result: Any
    partials: tuple[float, float]


def _refuse_magic(kind: type, names_read: frozenset[str]) -> None:
    for base in kind.__mro__[:-1]:
        if base.__module__ in _ABSTRACT:
            continue
        if base is not kind and (base.__name__ in names_read or issubclass(base, _NO_MIXINS)):
            raise Unreadable(f"it inherits from {base.__name__}")
        for name in _REFUSED:
            if name in vars(base):
                raise Unreadable(f"it has a {name} of its own")


def _made(kind: type, number: float) -> Any:
    try:
        return kind(number)
    except Exception as error:
        raise Unreadable(f"{kind.__name__}({number}) raises {_said(error)}") from None


def _said(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _data_field(kind: type, leaves: list[Any]) -> str:
    names = [
        name
        for name, held in fields(leaves[0]).items()
        if is_number(held) and held == _SAMPLES[0] and fields(leaves[1]).get(name) == _SAMPLES[1]
    ]
    return _the_one(names, f"no field of {kind.__name__}({_SAMPLES[0]}) holds that number")


def _the_one(names: list[str], otherwise: str) -> str:
    if not names:
        raise Unreadable(otherwise)
    usual = [name for name in _USUAL if name in names]
    if len(names) > 1 and not usual:
        raise Unreadable(f"the fields {' and '.join(names)} hold the same")
    return usual[0] if usual else names[0]


def _nodes(kind: type, leaves: list[Any]) -> list[_Node]:
    """Each node of both leaves that the class can make."""
    reason = "it has no __mul__, __add__ or __sub__"
    found = []
    for name, (call, partials) in _OPERATORS.items():
        if not callable(getattr(kind, name, None)):
            continue
        text = {"__mul__": "x * y", "__add__": "x + y", "__sub__": "x - y"}[name]
        try:
            result = call(*leaves)
        except Exception as error:
            reason = f"{text} raises {_said(error)}"
            continue
        if type(result) is kind:
            found.append(_Node(text, result, partials))
        else:
            reason = f"{text} is no {kind.__name__}"
    if not found:
        raise Unreadable(reason)
    return found


def _read_operands(layout: Layout, node: _Node, leaves: list[Any]) -> None:
    wanted = {id(leaf) for leaf in leaves}
    for name, held in fields(node.result).items():
        if isinstance(held, _CONTAINERS) and {id(x) for x in held} == wanted:
            layout.operands[name] = type(held)
            layout.no_operands[name] = fields(leaves[0]).get(name, Unreadable)
            if layout.no_operands[name]:  # neither None nor empty
                raise Unreadable(f"{name} of a leaf is {layout.no_operands[name]!r}")
    if not layout.operands:
        raise Unreadable(f"no field of {node.text} holds x and y")


def _read_rule(layout: Layout, kind: type, nodes: list[_Node], leaves: list[Any]) -> None:
    held, leaf = fields(nodes[0].result), fields(leaves[0])
    grads = [
        name
        for name, number in leaf.items()
        if is_number(number) and number == 0 and is_number(held.get(name)) and name != layout.data
    ]
    if not grads:
        begins = ": grad begins as None" if "grad" in leaf and leaf["grad"] is None else ""
        raise Unreadable(f"no field of {kind.__name__}({_SAMPLES[0]}) is a gradient of 0{begins}")
    # A rule may be another than ours; it must only do something to the operands.
    for exact in (True, False):
        for node in nodes:
            fitting = [
                (grad, name)
                for name, rule in fields(node.result).items()
                if callable(rule) and not isinstance(rule, type)
                for grad in grads
                if _gives(node, leaves, grad, rule, exact=exact)
            ]
            if fitting:
                layout.grad = _the_one([grad for grad, _ in fitting], "")
                layout.rule = next(name for grad, name in fitting if grad == layout.grad)
                layout.leaf_has_none = leaf.get(layout.rule, Unreadable) is None
                return
    _read_partials(layout, kind, nodes, leaves, grads)


def _gives(node: _Node, leaves: list[Any], grad: str, rule: Any, *, exact: bool) -> bool:
    """Whether this rule adds the partials to this field of the operands; all is set back."""
    nodes = (node.result, *leaves)
    before = [getattr(x, grad) for x in nodes]
    try:
        for x, number in zip(nodes, (1.0, 0.0, 0.0), strict=True):
            setattr(x, grad, number)
        rule()
        found = [getattr(leaf, grad) for leaf in leaves]
        if not exact:
            return any(is_number(number) and number != 0 for number in found)
        return all(abs(x - wanted) < 1e-9 for x, wanted in zip(found, node.partials, strict=True))
    except Exception:
        return False
    finally:
        for x, number in zip(nodes, before, strict=True):
            setattr(x, grad, number)


def _read_partials(
    layout: Layout, kind: type, nodes: list[_Node], leaves: list[Any], grads: list[str]
) -> None:
    order = next((n for n, c in layout.operands.items() if issubclass(c, _ORDERED)), None)
    lacking = (
        f"no field of {nodes[0].text} holds its rule: a function without arguments, or partials"
    )
    if order is None:
        raise Unreadable(lacking)
    found: list[str] = []
    for node in nodes:
        held = fields(node.result)
        wanted = dict(zip(map(id, leaves), node.partials, strict=True))
        found = found or [
            name
            for name, numbers in held.items()
            if isinstance(numbers, _ORDERED)
            and list(numbers) == [wanted.get(id(x)) for x in held[order]]
        ]
    layout.partials = _the_one(found, lacking)
    reached = _reached_by_backward(kind, nodes[0].text, grads)
    layout.grad = _the_one(
        grads if reached is None else reached,
        f"backward() of {nodes[0].text} changes no number of x and y",
    )


def _reached_by_backward(kind: type, text: str, grads: list[str]) -> list[str] | None:
    """Which of these fields of the operands the class's own sweep changes; None if unknown."""
    leaves = [kind(number) for number in _SAMPLES]
    result = _nodes(kind, leaves)[0].result
    try:
        result.backward()
    except (NameError, AttributeError):
        return None  # a helper that the script defines later, or no such method
    except Exception as error:
        raise Unreadable(f"backward() of {text} raises {_said(error)}") from None
    return [name for name in grads if any(getattr(leaf, name) != 0 for leaf in leaves)]


def _read_constants(layout: Layout, leaves: list[Any], node: Any) -> None:
    """What else an instance has must be the same in all, or a text of the operation."""
    known = {layout.data, layout.grad, layout.rule, layout.partials, *layout.operands}
    strange = "its field {} is not one of number, gradient, operands and rule"
    alike = [fields(leaf) for leaf in leaves]
    for name, held in fields(node).items():
        if name in known:
            continue
        begins = [leaf.get(name, Unreadable) for leaf in alike]
        if isinstance(held, str) and held and all(x in ("", None) for x in begins):
            if not layout.op or name == "_op":
                layout.op, layout.no_op = name, begins[0]
            known.add(name)
        elif all(_same(held, x) for x in begins):
            layout.constants[name] = held
        else:
            raise Unreadable(strange.format(name))
    for leaf in alike:
        for name in leaf.keys() - known - layout.constants.keys():
            raise Unreadable(strange.format(name))


def _depends_on(kind: type, layout: Layout, name: str) -> bool:
    """Whether a node is another one, or passes on another gradient, if this flag is turned."""
    seen = []
    for turned in (False, True):
        leaves = [kind(number) for number in _SAMPLES]
        if turned:
            for leaf in leaves:
                setattr(leaf, name, not layout.constants[name])
        try:
            node = _nodes(kind, leaves)[0].result
            kept = fields(node).get(name), len(layout.operands_of(node))
            setattr(node, layout.grad, 1.0)
            if layout.rule:
                getattr(node, layout.rule)()
            elif hasattr(node, "backward"):
                node.backward()
        except Exception as error:
            kept = (_said(error), 0)
        seen.append((kept, [getattr(leaf, layout.grad) for leaf in leaves]))
    return seen[0] != seen[1]


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if a is None or isinstance(a, bool | int | float | str | bytes):
        return bool(a == b)
    return isinstance(a, tuple | frozenset) and not a and not b


def parameters(function: Any) -> Iterator[inspect.Parameter]:
    """The parameters of a method after its first."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return
    yield from found[1:]


def _constructed_alike(kind: type, layout: Layout) -> bool:
    """Whether Value takes the arguments of this class, whatever way they are given."""
    if layout.constants.get("label", "") != "" or layout.op not in ("", "_op"):
        return False
    third = ("local_grads",) if layout.partials else ("_op", "op")
    roles = (("data",), ("_children", "children"), third, ("label",))
    defaults = (inspect.Parameter.empty, (), () if layout.partials else "", "")
    given = list(parameters(kind.__init__))  # type: ignore[misc]  # of an instance or not, it is one
    return len(given) <= len(roles) and all(
        parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and parameter.name in names
        and (parameter.default is default or _same(parameter.default, default))
        for parameter, names, default in zip(given, roles, defaults, strict=False)
    )


def names_of(kind: type) -> dict[str, Any]:
    """What a class and its abstract bases define, by name."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        if base.__module__ not in _ABSTRACT and not issubclass(base, Value):
            found.update(vars(base))
    return found


def is_empty(kind: type) -> bool:
    """Whether instances hold nothing: the class has no constructor, so it has no rules either."""
    return "__init__" not in names_of(kind)
