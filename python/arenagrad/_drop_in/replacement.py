"""Value instead of a script's own class, with the rules of that class where they differ from ours.

Everything is put on Value itself, for the rest of the process. A method that both classes have is
replaced by one that compares both at its first call, when the script's helpers exist, and then
makes way for the native method or for the script's own.
"""

import functools
import inspect
import operator
import sys
import threading
from abc import ABC
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any

from arenagrad._core import ArenagradError, Value
from arenagrad._drop_in.caution import Caution
from arenagrad._drop_in.facts import Facts
from arenagrad._drop_in.isolation import isolated
from arenagrad._drop_in.layout import (
    Layout,
    Unreadable,
    is_empty,
    is_number,
    names_of,
    parameters,
    read_layout,
)
from arenagrad._drop_in.nodes import aliases, constructor, text_property
from arenagrad._drop_in.rules import (
    Agreement,
    NativeEngine,
    Outcome,
    OwnEngine,
    TooLong,
    agreement,
    alike_in_structure,
    all_add,
    all_agree,
    bounded,
    outcomes,
    points,
    points_without_end,
    range_of,
    reflected,
    takes_foreign_operands,
    translation,
)
from arenagrad._drop_in.source import is_own_module

_METHODS = (FunctionType, staticmethod, classmethod, property)
# Slots of a type that one C function fills: as long as one of them is Python's, all are slow.
_TOGETHER = (
    *((f"__{x}__", f"__r{x}__") for x in ("add", "sub", "mul", "truediv", "pow")),
    ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"),
)
_IGNORED = frozenset(
    [
        "__module__",
        "__dict__",
        "__weakref__",
        "__doc__",
        "__slots__",
        "__init__",
        "__annotations__",
        "__hash__",
        "__qualname__",
        "__firstlineno__",
        "__static_attributes__",
        "__match_args__",
        "__orig_bases__",
        "__parameters__",
        "__abstractmethods__",
        "_abc_impl",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__classcell__",
    ]
)
_MISSING = object()
_FIELDS = ("data", "grad", "_op", "_prev", "_backward")
_BUILTINS = frozenset(["set", "frozenset", "tuple", "list", "float", "isinstance"])
_one_at_a_time = threading.RLock()
_ORDER = frozenset(["__lt__", "__le__", "__gt__", "__ge__"])
_SHOWN = ("__eq__", "__ne__", "__repr__", "__str__", *_ORDER)  # these make no nodes


class Replacement:
    """One class of a script that Value has replaced."""

    def __init__(self, kind: type, where: str, modules: Callable[[], Iterable[ModuleType]]) -> None:
        """Nothing is put on Value yet.

        Args:
            kind: the class.
            where: the file it stands in, for the log.
            modules: gives the modules of the script that may hold the class under a name.
        """
        self.kind, self.where = kind, where
        self.native: list[str] = []
        self.kept: list[str] = []
        self._modules = modules
        self._before: dict[str, Any] = {}
        self._own: dict[str, Any] = {}
        self._variables: list[str] = []
        self._undecided: set[str] = set()
        self._facts = Facts()
        self._caution = Caution(kind, self._facts)
        self._installed: dict[str, Any] = {}  # what stands on Value for each compared method
        self._order_matters = False  # of a sweep, for a rule that was kept
        self._range = 0.0  # of operands, within which no sample left the range of floats

    def install(self, facts: Facts) -> None:
        """Put the class's fields and methods on Value. Raises Unreadable, and changes nothing then.

        Args:
            facts: what the sources of the script read and bind; they may grow afterwards.
        """
        self._facts, self._caution = facts, Caution(self.kind, facts)
        for base in self.kind.__mro__[1:]:
            if base not in (object, ABC) and not is_own_module(sys.modules.get(base.__module__)):
                raise Unreadable(f"it derives from {base.__qualname__}")
        if is_empty(self.kind):
            self.layout = Layout("data")
        else:
            self._read_fields()
        members = {k: v for k, v in names_of(self.kind).items() if k not in _IGNORED}
        members = {k: v for k, v in members.items() if not inspect.ismemberdescriptor(v)}
        for name, member in members.items():
            if name not in self._before and name not in _FIELDS:
                self._put_member(name, member)
        if not _ORDER.isdisjoint(members):
            for name in sorted(_ORDER - members.keys()):
                self._put(name, _not_implemented)
        if "__eq__" in members or "__hash__" in vars(self.kind):
            self._put("__hash__", names_of(self.kind).get("__hash__", object.__hash__))

    def _read_fields(self) -> None:
        self._refuse_constructor()
        with isolated(self.kind, self._modules(), as_itself=True) as trace:
            try:
                with bounded():
                    self.layout = read_layout(self.kind, frozenset(self._facts.read))
            except Unreadable:
                raise
            except (
                Exception,
                SystemExit,
                KeyboardInterrupt,
                TooLong,
            ) as error:  # of the script's own code
                raise Unreadable(f"reading it raises {type(error).__name__}: {error}") from None
        if trace.changed:
            raise Unreadable(f"making one changes {trace.changed[0]}")
        self._refuse_properties()
        self._refuse_later_changes()
        if not {"float", "isinstance"}.isdisjoint(_names_of_constructor(self.kind)):
            self.layout.own_constructor = True  # which takes texts, or refuses numbers
        self._caution.constants = frozenset(self.layout.constants) - {"label", "op", "name"}
        for name, member in (self.layout.constants | aliases(self.layout)).items():
            self._put(name, member)
        if self.layout.own_constructor:
            self._before["__init__"] = vars(Value)["__init__"]
            constructor.install(names_of(self.kind)["__init__"], self.layout)

    def _refuse_constructor(self) -> None:
        """Leave the class alone if making nodes, or an operator, does more than make nodes."""
        members = names_of(self.kind)
        constructor_of = members["__init__"]
        if "__dataclass_fields__" in members:
            if "__post_init__" in members:
                raise Unreadable("it has a __post_init__ of its own")
        elif not isinstance(constructor_of, FunctionType):
            raise Unreadable("its constructor is no plain function")
        else:
            first = constructor_of.__code__.co_firstlineno
            if reason := self._facts.constructors.get(first, "its constructor was not found"):
                raise Unreadable(reason)
            shadowed = _BUILTINS.intersection(constructor_of.__globals__)
            if shadowed.intersection(constructor_of.__code__.co_names):
                raise Unreadable("its constructor uses names that are not the built-in ones")
        if type(self.kind).__module__ not in ("builtins", "abc"):
            raise Unreadable("it has a metaclass of its own")
        if "__eq__" in members and members.get("__hash__") is None:
            raise Unreadable("it has an __eq__ and no __hash__")
        for name in ("__mul__", "__add__", "__sub__"):
            if reason := self._caution.why_not_run(members.get(name)):
                raise Unreadable(f"{name} {reason}")

    def _refuse_properties(self) -> None:
        """Leave the class alone if a field is more than a field."""
        layout, members = self.layout, names_of(self.kind)
        for name in (*_FIELDS, layout.data, layout.grad, layout.rule, *layout.operands):
            held = members.get(name)
            if hasattr(type(held), "__get__") and not inspect.ismemberdescriptor(held):
                raise Unreadable(f"its {name} is computed by the class")

    def _refuse_later_changes(self) -> None:
        """Leave the class alone if it changes later, operands do, or the order of a set decides."""
        layout, facts = self.layout, self._facts
        if "__init__" in facts.attributes or "__new__" in facts.attributes:
            raise Unreadable("the script changes its constructor")
        if "__dict__" in facts.mutated:
            raise Unreadable("the script writes into the __dict__ of something")
        for name in (*_FIELDS, layout.data, layout.grad, layout.rule, *layout.operands):
            if f"{self.kind.__name__}.{name}" in facts.of_names:
                raise Unreadable(f"the script changes {name} of the class")
        for name in {*layout.operands, "_prev"}:
            if name in facts.mutated:
                raise Unreadable(f"the script changes {name} of a node in place")
            if name in facts.emptied:
                raise Unreadable(f"the script takes {name} away from nodes")
        if layout.grad in facts.assigned and not layout.is_ordered:
            raise Unreadable(f"a rule assigns {layout.grad}: the order of a set decides the result")

    @property
    def is_empty(self) -> bool:
        """Whether the class had nothing to put on Value."""
        return not self._before

    def _put(self, name: str, member: Any) -> None:
        self._before.setdefault(name, vars(Value).get(name, _MISSING))
        setattr(Value, name, member)

    def _put_member(self, name: str, member: Any) -> None:
        if not isinstance(member, _METHODS):
            if not callable(member) or isinstance(member, type):
                self._variables.append(name)
            self._put(name, member)
            return
        if isinstance(member, FunctionType):
            _redirect_class_cell(member)
        if name not in vars(Value) or not isinstance(member, FunctionType):
            self._put(name, member)
            return
        self._own[name] = member
        self._undecided.add(name)
        self._installed[name] = self._first_call(name)
        self._put(name, self._installed[name])

    def _first_call(self, name: str) -> Callable[..., Any]:
        @functools.wraps(self._own[name])
        def compared_first(*arguments: Any, **named: Any) -> Any:
            self.decide(name)
            return self._installed[name](*arguments, **named)

        return compared_first

    def _set(self, name: str, member: Any) -> None:
        """Put this on Value, unless the script has put another method there meanwhile."""
        if vars(Value).get(name) is self._installed[name]:
            setattr(Value, name, member)
        self._installed[name] = member

    def decide(self, name: str) -> None:
        """Compare a method with ours, together with those that share its slot, and install one."""
        with _one_at_a_time:
            self._decide(name)

    def decide_before_threads(self) -> None:
        """Let the first thread of the script wait until all methods have been compared.

        Names of the script mean its own class while they are, which no other thread must see.
        """
        start = threading.Thread.start
        if threading.active_count() > 1 or not self._undecided:
            return

        def decided_first(thread: threading.Thread) -> None:
            threading.Thread.start = start  # type: ignore[method-assign]  # as it was
            for name in sorted(self._undecided):
                try:
                    self.decide(name)
                except ArenagradError:  # to be raised where the method is called
                    self._undecided.add(name)
                    self._set(name, self._first_call(name))
            start(thread)

        threading.Thread.start = decided_first  # type: ignore[assignment,method-assign]  # once

    def _decide(self, name: str) -> None:
        group = next((names for names in _TOGETHER if name in names), (name,))
        for each in group:
            if each in self._undecided:
                self._undecided.discard(each)
                self._set(each, self._own[each])  # for what calls itself
                is_native, member = self._verdict(each)
                self._set(each, member)
                (self.native if is_native else self.kept).append(each)
        _clear_float_errors()

    def _verdict(self, name: str) -> tuple[bool, Any]:
        """Whether ours is the script's method too, and what to put on Value."""
        own, ours = self._own[name], self._before[name]
        if not isinstance(own, FunctionType) or not callable(ours):
            return False, own
        if self._caution.why_kept(name, own):
            if name not in (*_SHOWN, "backward"):
                self._keep_sweep()  # whether its nodes need that order was not tried
            return False, own
        if name == "backward" and (
            not {"__eq__", "__hash__"}.isdisjoint(names_of(self.kind))  # its sets are others
            or any(
                map(self._caution.is_patched, ("__add__", "__mul__", "__sub__"))
            )  # samples use it
            or self._caution.why_not_swept(own)
        ):
            return False, own
        needed = [p for p in parameters(own) if p.default is p.empty]
        more = len(list(parameters(own))) > len(needed)
        if any(p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in needed):
            return False, own
        if name == "backward":
            found = self._compare_sweeps(own) if not needed else Agreement.NONE
        else:
            found = (
                self._compare(name, own, ours, len(needed)) if len(needed) < 2 else Agreement.NONE
            )
        if found is Agreement.NONE:
            return False, own
        if found is Agreement.WHERE_FINITE:
            return True, _native_where_finite(ours, own, len(needed))
        if found is Agreement.WHERE_IN_RANGE:
            return True, _native_in_range(ours, own, self._range)
        if found is Agreement.WHERE_OURS_ANSWERS:
            return True, _native_else_own(ours, own, len(needed))
        return True, _native_without_more(ours, own, len(needed)) if more else ours

    def _compare(self, name: str, own: Any, ours: Any, arity: int) -> Agreement:
        near = self._caution.thresholds(own)
        samples, beyond = list(points(name, arity, near)), list(points_without_end(name, arity))
        if name in ("__rsub__", "__radd__", "__rmul__", "__rtruediv__", "__rpow__"):
            samples, beyond = reflected(samples), reflected(beyond)
        engine = OwnEngine(self.kind, self.layout)
        with self._isolated(as_itself=True) as trace:
            theirs = outcomes(engine, own, samples, thresholds=near)
            theirs_beyond = outcomes(engine, own, beyond)
            is_foreign = bool(arity) and takes_foreign_operands(
                engine, own, texts_are_numbers="float" in _names_of_constructor(self.kind)
            )
        results = outcomes(NativeEngine(), ours, samples[: len(theirs)], thresholds=near)
        found = agreement(theirs, results)
        if not trace.silent or is_foreign:
            found = Agreement.NONE
        if found is Agreement.FULL:
            results_beyond = outcomes(NativeEngine(), ours, beyond[: len(theirs_beyond)])
            if not all_agree(theirs_beyond, results_beyond):
                found = Agreement.WHERE_FINITE
        if found in (Agreement.FULL, Agreement.WHERE_FINITE):
            largest = range_of(samples, theirs, results)
            if largest is not None:
                self._range = largest
                found = Agreement.WHERE_IN_RANGE if arity == 0 else Agreement.NONE
        if found is not Agreement.NONE and not self._looks_alike(theirs, results):
            found = Agreement.NONE
        if found is Agreement.NONE:
            self._must_work(name, own, samples, theirs, near)
            with self._isolated(as_itself=True):
                again = outcomes(engine, own, samples, 0.75, near)
            if not all_add(theirs, again, by=0.5):
                self._keep_sweep()
        return found

    def _looks_alike(self, theirs: list[list[Outcome]], ours: list[list[Outcome]]) -> bool:
        """Whether nodes have the same operands and texts, as far as the script reads these."""
        read, layout = self._facts.read, self.layout
        is_alike = alike_in_structure(theirs, ours, ordered=layout.is_ordered)
        if not is_alike and not read.isdisjoint({*layout.operands, "_prev"}):
            return False
        if not layout.op or layout.op not in read:
            return True
        texts = translation(theirs, ours) if is_alike else None
        if texts is None or any(layout.texts.get(k, v) != v for k, v in texts.items()):
            return False
        if texts and not layout.texts:
            self._put(layout.op, text_property(layout.texts, layout.no_op))
        layout.texts |= texts
        return True

    def _keep_sweep(self) -> None:
        """Keep the script's own backward: a rule that does not add wants its order."""
        self._order_matters = True
        if "backward" in self.native:
            self.native.remove("backward")
            self.kept.append("backward")
            self._set("backward", self._own["backward"])

    def _isolated(self, *, as_itself: bool) -> Any:
        return isolated(self.kind, self._modules(), as_itself=as_itself, variables=self._variables)

    def _must_work(
        self,
        name: str,
        own: Any,
        samples: Any,
        theirs: list[list[Outcome]],
        near: list[float],
    ) -> None:
        """See to it that the script's method gives on Values what it gives on its own class."""
        with self._isolated(as_itself=False):
            results = outcomes(NativeEngine(), own, samples, thresholds=near)
        for a, b in zip(theirs, results, strict=False):  # as far as both have come
            for x, y in zip(a, b, strict=True):
                is_text = not x.numbers and not is_number(x.result)
                if not (x.raised or y.raised or is_text or x.agrees(y)):
                    self._refuse(name)

    def _refuse(self, name: str) -> None:
        raise ArenagradError(
            f"{self.kind.__name__}.{name} of {self.where} gives other numbers on arenagrad's Value "
            f"than on its own class: run the script without --replace-class"
        )

    def _compare_sweeps(self, own: Any) -> Agreement:
        """Compare whole sweeps, twice over one graph, from gradients of 0 and of others."""
        ours = self._before["backward"]
        ordered = self._order_matters or self.layout.grad in self._facts.assigned
        with self._isolated(as_itself=False) as trace:
            theirs = self._sweeps(NativeEngine(), own)
        results = self._sweeps(NativeEngine(), ours)
        if not ordered and trace.silent and theirs.agrees(results) and not theirs.raised:
            return Agreement.FULL
        with self._isolated(as_itself=True):
            alone = self._sweeps(OwnEngine(self.kind, self.layout), own)
        if not alone.raised and not theirs.raised and not alone.agrees(theirs):
            self._refuse("backward")
        return Agreement.NONE

    def _sweeps(self, engine: Any, backward: Callable[[Any], Any]) -> Outcome:
        joins = [
            call
            for name, call in (("__mul__", operator.mul), ("__add__", operator.add))
            if name in self._own
        ] or [operator.sub]
        numbers: list[float] = []
        try:
            for begin in (0.0, 0.25):
                a, b = engine.leaf(1.5), engine.leaf(-0.75)
                graph = [a, b, joins[0](a, b)]
                for i in range(5):
                    graph.append(joins[i % len(joins)](graph[-1], graph[i]))
                if begin:
                    for node in graph:
                        engine.set_grad(node, begin)
                for _ in range(2):
                    with bounded():
                        if backward(graph[-1]) is not None:
                            return Outcome(raised=TypeError)
                    numbers += map(engine.grad, graph)
        except (Exception, SystemExit, KeyboardInterrupt, TooLong) as error:
            return Outcome(raised=type(error))
        return Outcome(numbers=tuple(numbers))

    def undo(self) -> None:
        """Take everything off Value again."""
        constructor.remove()
        for name, member in self._before.items():
            if member is _MISSING:
                if name in vars(Value):
                    delattr(Value, name)
            else:
                setattr(Value, name, member)

    def report(self) -> str:
        """What is native and what was kept, in one line."""
        names = (("native", self.native), ("the script's own", self.kept))
        parts = [f"{what}: {', '.join(found)}" for what, found in names if found]
        said = "; ".join(parts) or "none of its methods was called"
        return f"arenagrad: class {self.kind.__name__} of {self.where}: {said}"


def _names_of_constructor(kind: type) -> tuple[str, ...]:
    made = names_of(kind)["__init__"]
    return made.__code__.co_names if isinstance(made, FunctionType) else ()


def _not_implemented(_self: Any, _other: Any) -> Any:
    """A comparison that the script's class has not."""
    return NotImplemented


def _native_without_more(ours: Any, own: Any, arity: int) -> Any:
    """Ours, but the script's own where it is given more than it must be given."""

    def method(*arguments: Any, **named: Any) -> Any:
        if named or len(arguments) != arity + 1:
            return own(*arguments, **named)
        return ours(*arguments)

    return method


def _native_where_finite(ours: Any, own: Any, arity: int) -> Any:
    """Ours, but the script's own at numbers that are infinite, or none."""

    def method(*arguments: Any, **named: Any) -> Any:
        if named or len(arguments) != arity + 1:
            return own(*arguments, **named)
        for each in arguments:
            number = read(each) if isinstance(each, Value) else each
            if number - number != 0:
                return own(*arguments)
        return ours(*arguments)

    read = NativeEngine().number
    return method


def _native_in_range(ours: Any, own: Any, largest: float) -> Any:
    """Ours, but the script's own beyond this size, where it may leave the range of floats."""

    def method(*arguments: Any, **named: Any) -> Any:
        if named or len(arguments) != 1 or not -largest <= read(arguments[0]) <= largest:
            return own(*arguments, **named)
        return ours(*arguments)

    read = NativeEngine().number
    return method


def _native_else_own(ours: Any, own: Any, arity: int) -> Any:
    """Ours, but the script's own where ours refuses a number that the script's does not."""

    def method(*arguments: Any, **named: Any) -> Any:
        if not named and len(arguments) == arity + 1:
            try:
                return ours(*arguments)
            except ArenagradError:
                pass
        return own(*arguments, **named)

    return method


def _clear_float_errors() -> None:
    """Forget the floating-point errors of samples, which NumPy would report as the script's."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        with numpy.errstate(all="ignore"):
            numpy.add(1.0, 1.0)


def _redirect_class_cell(function: FunctionType) -> None:
    """Let `super()` in a method of the script's class begin at Value."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name == "__class__":
            cell.cell_contents = Value
