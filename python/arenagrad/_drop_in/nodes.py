"""Value under the names of a script's class: its fields, and its constructor."""

from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any

from arenagrad._core import (
    ArenagradError,
    Value,
    attributes,
    operands,
    partials,
    set_constructor,
)
from arenagrad._drop_in.layout import Layout

# Value's own descriptors, whatever is put on the class later.
NATIVE = {name: vars(Value)[name] for name in ("data", "grad", "_op", "_backward", "__init__")}
_Getter = Callable[[Any], Any]


def _is_native(rule: Any) -> bool:
    return isinstance(rule, BuiltinFunctionType) and isinstance(rule.__self__, Value)


def _set_operands(node: Any, children: Any) -> None:
    """Make the node one of these operands; its number, gradient, text and rule stay.

    Raises ArenagradError where the rule is native: it belongs to the operands.
    """
    found = tuple(children or ())
    if not found and not operands(node):
        return
    before = operands(node)
    if before and {*map(id, before)} == {*map(id, found)}:
        return
    text, grad, rule = (NATIVE[name].__get__(node) for name in ("_op", "grad", "_backward"))
    if before and _is_native(rule):
        raise ArenagradError(
            "a node that arenagrad made keeps its operands, which its gradient rule needs: assign "
            "its rule before, or run the script without --replace-class"
        )
    NATIVE["__init__"](node, NATIVE["data"].__get__(node), found, text)
    if grad:
        NATIVE["grad"].__set__(node, grad)
    if not _is_native(rule):
        NATIVE["_backward"].__set__(node, rule)


def _set_partials(node: Any, numbers: Any) -> None:
    """Make the node one with these partials by its operands."""
    given = tuple(numbers or ())
    found = operands(node)
    if given or found:
        NATIVE["__init__"](node, NATIVE["data"].__get__(node), found, given)


def _set_rule(node: Any, rule: Any) -> None:
    """Give the node this rule; None takes it away."""
    if rule is not None:
        NATIVE["_backward"].__set__(node, rule)
    elif not _is_native(NATIVE["_backward"].__get__(node)):
        NATIVE["_backward"].__delete__(node)


def _rule_or_none(node: Any) -> Any:
    return NATIVE["_backward"].__get__(node) if operands(node) else None


def _operands_as(container: type, of_leaf: Any) -> _Getter:
    def get(node: Any) -> Any:
        found = operands(node)
        return container(found) if found or of_leaf is not None else None

    return get


def _partials(node: Any) -> tuple[float, ...]:
    return tuple(partials(node))


def text_property(translated: dict[str, str], of_leaf: str | None) -> property:
    """The field for the text of the operation, in the words of the script."""

    def get(node: Any) -> Any:
        text = NATIVE["_op"].__get__(node)
        if not text:
            return of_leaf
        return translated.get(text, translated.get(text[:2], text) if text[:2] == "**" else text)

    def put(node: Any, text: Any) -> None:
        if text is not None:
            NATIVE["_op"].__set__(node, text)

    return property(get, put)


def _label(node: Any) -> Any:
    return attributes(node).get("label")


def _set_label(node: Any, label: Any) -> None:
    if label is not None or _label(node) is not None:
        node.__dict__["label"] = label


def aliases(layout: Layout) -> dict[str, Any]:
    """What to put on Value for the fields of a class that Value has under other names."""
    found: dict[str, Any] = {}
    if layout.data != "data":
        found[layout.data] = NATIVE["data"]
    if layout.grad != "grad":
        found[layout.grad] = NATIVE["grad"]
    if layout.op and (layout.op, layout.own_constructor) != ("_op", False):
        found[layout.op] = text_property(layout.texts, layout.no_op)
    if layout.rule and (layout.rule, layout.own_constructor) != ("_backward", False):
        get = _rule_or_none if layout.leaf_has_none else NATIVE["_backward"].__get__
        found[layout.rule] = property(get, _set_rule)
    if layout.partials:
        found[layout.partials] = property(_partials, _set_partials)
    for name, container in layout.operands.items():
        of_leaf = layout.no_operands[name]
        found[name] = property(_operands_as(container, of_leaf), _set_operands)
    if layout.constants.get("label", "") is None:  # which Value itself refuses
        found["label"] = property(_label, _set_label)
    return found


class _Constructor:
    """The script's own `__init__` in use for Value."""

    def install(self, own: Callable[..., None], layout: Layout) -> None:
        """Let `Value(...)` run this `__init__`, on a Value."""

        def initialise(node: Any, *arguments: Any, **named: Any) -> None:
            own(node, *arguments, **named)
            if layout.rule and not operands(node):
                _set_rule(node, None)  # the rule of a leaf does nothing

        def construct(*arguments: Any, **named: Any) -> Value:
            made = Value.__new__(Value)
            initialise(made, *arguments, **named)
            return made

        set_constructor(construct)
        setattr(Value, "__init__", initialise)  # noqa: B010, an assignment is refused by mypy

    def remove(self) -> None:
        """Let `Value(...)` be native again."""
        set_constructor(None)


constructor = _Constructor()
