"""The variants of a function that have been traced, each with the programs made of it.

Comparisons of Values, and operations that fail, decide which variant a call takes. A program holds
one variant only and says when the numbers would have taken another; that one is then traced, too,
and kept beside it.
"""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from arenagrad._compile.argument_changes import WatchedCall
from arenagrad._compile.executables import Executables
from arenagrad._compile.function_references import function_of, reference_to
from arenagrad._compile.handlers import would_go_on
from arenagrad._compile.outer_state import OuterReads
from arenagrad._compile.transforms import (
    Chain,
    DerivedProgram,
    Transforms,
    chain_of,
    has_row_sum,
)
from arenagrad._core import FrozenValueWarning, Value
from arenagrad._core import compiled as native
from arenagrad._core.compiled import (
    Closure,
    OuterState,
    PyTree,
    RandomStates,
    capture,
)

_SEEDS = "what is multiplied by the derivatives"  # in errors

# Variants that are kept of one function for arguments of one structure, if nothing else is said.
MOST_VARIANTS = 256
# So many variants have to be forgotten in a row before that is said.
_MANY_FORGOTTEN = 16
# Variants that are kept although what the function reads besides its arguments has changed since:
# it may change back, as a switch does.
MOST_STALE = 4
# Structures of arguments for which variants are kept; the least recently used go first.
MOST_STRUCTURES = 256


class VariantsWarning(UserWarning):
    """A compiled function takes more variants than are kept, and mostly is traced again."""


VariantsWarning.__module__ = "arenagrad"


class _Traces(threading.local):
    """The traces under way in this thread, the innermost one last."""

    def __init__(self) -> None:
        self.under_way: list[object] = []


_traces = _Traces()


class Outcome(Enum):
    """What a run of one variant at one point came to."""

    FINISHED = 1
    NOT_FINITE = 2  # an operation that can fail is not finite: it may have failed
    OTHER_VARIANT = 3  # a guard came out otherwise: the result means nothing


class TraceVariant(Executables):
    """One variant of a function for arguments of one structure, and the programs made of it.

    Thread-safe: two threads may make the same thing twice, one of which is then kept.
    """

    def __init__(
        self,
        arguments: PyTree,
        program: native.Program,
        results: PyTree,
        closure: Closure,
        strict: bool,
    ) -> None:
        super().__init__(arguments, closure, strict, program)
        # What the function found beyond its arguments, None if it reads nothing there.
        self.outer: OuterState | None = None
        # The trace that its closure may have Values of, which are none of a later trace's.
        self.inside: object = None
        self.number = 0  # in the order in which the variants of a function were found
        self._derived: dict[Chain, DerivedProgram] = {(): DerivedProgram(program, results)}
        self._strict_twin: TraceVariant | None = None

    @classmethod
    def of_derived(
        cls,
        arguments: PyTree,
        closure: Closure,
        strict: bool,
        chain: Chain,
        derived: DerivedProgram,
    ) -> "TraceVariant":
        """A variant of which only one derived program is known, under a chain of its own."""
        variant = cls(arguments, derived.program, derived.results, closure, strict)
        variant._derived = {chain: derived}
        return variant

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps: the programs, without the executables made of them here."""
        kept = ("arguments", "closure", "strict", "number", "traced")
        return {name: getattr(self, name) for name in kept} | {"_derived": dict(self._derived)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_stages" in state:  # a pickle of an earlier version
            state["_derived"] = state.pop("_stages")
        state["_derived"] = {
            chain_of(k): derived
            for k, derived in state["_derived"].items()
            if not vars(derived).pop("pattern", None)  # earlier versions had lists of positions
        }
        vars(self).update(state)
        self.outer = self.inside = None  # the first is set where it is added to a cache
        self._transforms = Transforms(self.arguments, len(self.closure), self.strict)
        self._strict_twin = None
        self._forget_executables()

    @property
    def is_current(self) -> bool:
        """Whether what the function reads besides its arguments is what it was."""
        return not self.is_of_ended_trace and (self.outer is None or self.outer.is_current())

    @property
    def is_of_ended_trace(self) -> bool:
        """Whether it was made inside a trace that is not under way, and may read Values of it."""
        return self.inside is not None and self.inside not in _traces.under_way

    def share(self, twin: "TraceVariant") -> None:
        """Use what has been made of a twin, which differs in the Modules among its arguments only.

        Point executables read the parameters of one Module, so these are not shared.
        """
        for chain, derived in self._derived.items():
            twin._derived.setdefault(chain, derived)
        self._derived = twin._derived
        self._share_executables(twin)

    def is_twin_of(self, other: "TraceVariant") -> bool:
        """Whether both may share what has been made of them."""
        return (
            self.arguments.is_twin_of(other.arguments)
            and len(self.closure) == len(other.closure)
            and self.traced.same_as(other.traced)
            and self.derived(()).results == other.derived(()).results
        )

    def is_same_as(self, other: "TraceVariant") -> bool:
        """Whether both have the same program, read the same closure and give the same results."""
        mine, others = self.closure.values, other.closure.values
        return (
            self.traced.same_as(other.traced)
            and len(mine) == len(others)
            and all(a is b for a, b in zip(mine, others, strict=True))
            and self.derived(()).results == other.derived(()).results
        )

    def derived(self, chain: Chain) -> DerivedProgram:
        """What this chain of transforms makes of the function."""
        derived = self._derived.get(chain)
        if derived is None:
            source = self.derived(chain[:-1])
            derived = self._transforms.apply(source, chain[-1], has_row_sum(chain[:-1]))
            derived = self._derived.setdefault(chain, derived)
        return derived

    def program(self, chain: Chain) -> native.Program:
        """The program of a chain as it is run."""
        derived = self.derived(chain)
        # Transforms optimise what they write; what was traced is kept as it is, as their source.
        return derived.program if chain else derived.program.optimised(self.strict)

    def record(
        self,
        chain: Chain,
        numbers: Any,
        values: Sequence[tuple[int, Value]],
        seeds: Any,
        is_taken: bool,
    ) -> Any:
        """The result of a call on Values; None if the numbers may take another variant.

        Args:
            chain: the transforms to apply.
            numbers: those of the arguments.
            values: the Values among the arguments, each with its place.
            seeds: an object of the structure of the seeds, Values or numbers.
            is_taken: whether the numbers are known to take this variant.
        """
        more, more_values = self.seed_operands(chain, seeds)
        function = self.recorded_function(chain)
        results = function.record(numbers, values, self.closure, more, more_values, is_taken)
        return None if results is None else self.derived(chain).results.unflatten_values(results)

    def strict_twin(self) -> "TraceVariant | None":
        """The variant in strict arithmetic; None if it is that, or what it was made of is gone."""
        if self._strict_twin is None and not self.strict and () in self._derived:
            results = self._derived[()].results
            self._strict_twin = TraceVariant(
                self.arguments, self.traced, results, self.closure, strict=True
            )
        return self._strict_twin

    def use_strict_twin(self, twin: "TraceVariant") -> None:
        """Take a twin from elsewhere: what this variant was made of is gone."""
        self._strict_twin = twin

    def run(
        self, chain: Chain, numbers: Any, seeds: Any, out: Any, is_taken: bool
    ) -> tuple[Outcome, Any]:
        """Run a chain at one point: its outcome, and the result if it has finished.

        Args:
            chain: the transforms to apply.
            numbers: those of the arguments.
            seeds: an object of the structure of the seeds; ignored where the chain takes none.
            out: buffers for the result, or None.
            is_taken: whether the numbers are known to take this variant, so that neither a guard
                that rounding has turned nor a result that is not finite says anything.
        """
        read = self._read_seeds(chain, seeds)
        answer = self.point_executable(chain).run(numbers, read, out, is_taken)
        if answer is None:
            return Outcome.OTHER_VARIANT, None
        is_finite, may_stand, result = answer
        if not may_stand and (twin := self.strict_twin()) is not None:
            result = twin.run(chain, numbers, seeds, out, True)[1]
        return (Outcome.FINISHED if is_finite or is_taken else Outcome.NOT_FINITE), result

    def may_refuse(self, numbers: Any) -> bool:
        """Whether an operation that did not fail in the trace may fail on these numbers."""
        return self.traced.may_refuse([*numbers, *self.closure.numbers()])

    def check(self, numbers: Any) -> None:
        """Raise the error of the operation that fails on these numbers, if one does."""
        self.traced.refuse([*numbers, *self.closure.numbers()])

    def check_derivatives(self, chain: Chain, numbers: Any, seeds: Any) -> None:
        """Raise where the reverse sweep of a strict function fails, or any lacks a partial."""
        program = self.checked_derivatives(chain)
        if program is not None:
            read = self._read_seeds(chain, seeds)
            behind = () if read is None else read
            given = [*numbers, *self.closure.numbers(), *behind]
            program.refuse(given, partials_only=not self.strict)

    def checked_derivatives(self, chain: Chain) -> native.Program | None:
        """The program of a chain if it is one of derivatives that can be refused."""
        program = self.program(chain) if chain else None
        return program if program and (self.strict or program.lacks_partials) else None

    def seed_operands(self, chain: Chain, seeds: Any) -> tuple[Any, Sequence[tuple[int, Value]]]:
        """The numbers of seeds, and the Values among them, each with its place."""
        structure = self.derived(chain).seed_structure
        return ((), ()) if structure is None else structure.flatten_operands(seeds, _SEEDS)

    def _read_seeds(self, chain: Chain, seeds: Any) -> Any:
        structure = self.derived(chain).seed_structure
        if structure is None:
            return None
        return structure.flatten(seeds, _SEEDS)


class TraceCache:
    """The variants of one function that have been traced."""

    def __init__(
        self, function: Callable[..., Any], strict: bool, max_variants: int = MOST_VARIANTS
    ) -> None:
        self.function: Callable[..., Any] = function
        self.strict: bool = strict
        self.max_variants: int = max_variants
        self._found = self._forgotten = 0  # variants, since the cache was made
        self._reads: OuterReads | None = None  # made when it is first asked for
        # No lock is held while the function runs: it may wait for other threads that trace.
        self._lock = threading.Lock()
        # By the structure of their arguments, the one used last at the end.
        self._known: OrderedDict[PyTree, list[TraceVariant]] = OrderedDict()
        self.shipped: Any = None  # what `map` last sent to other processes
        self.name: str = getattr(function, "__qualname__", repr(function))

    def __reduce__(self) -> tuple[Any, ...]:
        # The variants come as the state: the function may be an object that refers to this cache.
        made_of = reference_to(self.function), self.strict, self.max_variants
        return _restored_cache, made_of, self._current()

    def __setstate__(self, variants: list[TraceVariant]) -> None:
        self.add(variants)

    def of(self, arguments: PyTree) -> list[TraceVariant]:
        """The variants for arguments of this structure, the one used last first."""
        with self._lock:
            if arguments not in self._known:
                return []
            self._known.move_to_end(arguments)
            known = self._known[arguments]
            return [variant for variant in known if variant.is_current]

    def trace(self, arguments: PyTree, numbers: Any) -> tuple[TraceVariant, bool]:
        """The variant that these numbers take, and whether it is a new one.

        Where there are as many as are kept, the one used least recently is forgotten.

        Raises:
            Exception: what the function raises.
        """
        outer, random_states = self._outer_state(arguments), RandomStates()
        watched = WatchedCall(self.function)
        around = _traces.under_way[-1] if _traces.under_way else None
        _traces.under_way.append(object())
        try:
            captured = capture(watched, arguments, numbers, self.strict, would_go_on)
        finally:
            _traces.under_way.pop()
        if random_states.changed():
            _warn_of_random_numbers(self.function)
        if watched.changed:
            _warn_of_changed_arguments(self.function, watched.changed)
        variant = TraceVariant(arguments, *captured, self.strict)
        variant.outer = outer
        variant.inside = around if len(variant.closure) else None
        self._share(variant)
        with self._lock:
            known = self._list_for(arguments)
            ended = [other for other in known if other.is_of_ended_trace]
            for other in ended:
                known.remove(other)
            stale = [other for other in known if not other.is_current]
            for other in known:
                if other not in stale and other.is_same_as(variant):
                    return other, False
            for other in stale[MOST_STALE:]:
                known.remove(other)
            variant.number = self._found
            self._found += 1
            known.insert(0, variant)
            forgotten = known[self.max_variants :]
            del known[self.max_variants :]
            warns = self._count_forgotten(len(forgotten))
            surplus = self._take_surplus()
        del surplus, stale, ended, forgotten  # without the lock: last references may be here
        if warns:
            _warn_of_variants(self.function, self.max_variants)
        return variant, True

    def _count_forgotten(self, count: int) -> bool:
        """Whether so many variants have been forgotten that it has to be said. The lock is held."""
        said = self._forgotten >= max(_MANY_FORGOTTEN, self.max_variants)
        self._forgotten += count
        return not said and self._forgotten >= max(_MANY_FORGOTTEN, self.max_variants)

    def use(self, variant: TraceVariant) -> None:
        """Put a variant first."""
        with self._lock:
            known = self._known.get(variant.arguments, [])
            if variant in known and known[0] is not variant:
                known.remove(variant)
                known.insert(0, variant)

    def like(self, variant: TraceVariant) -> "TraceCache":
        """A cache of the variants for the same arguments only, this one first."""
        like = TraceCache(self.function, self.strict, self.max_variants)
        known = self.of(variant.arguments)
        others = (other for other in known if other is not variant)
        like._known[variant.arguments] = [variant, *others]
        return like

    def all(self) -> list[TraceVariant]:
        """The variants for all arguments, for each structure the one used last first."""
        with self._lock:
            return [variant for variants in self._known.values() for variant in variants]

    def add(self, variants: list[TraceVariant]) -> None:
        """Keep variants that have been traced elsewhere, behind those that are known."""
        for variant in variants:
            self._share(variant)
            variant.outer = self._outer_state(variant.arguments)
        with self._lock:
            met = set(self._known)
            for variant in variants:
                known = self._list_for(variant.arguments)
                if variant.arguments in met:
                    is_known = any(other.is_same_as(variant) for other in known)
                    if is_known or len(known) >= self.max_variants:
                        continue
                    variant.number = self._found
                self._found = max(self._found, variant.number + 1)
                known.append(variant)
            surplus = self._take_surplus()
        del surplus

    def count(self) -> int:
        """The number of variants in all."""
        with self._lock:
            return sum(len(variants) for variants in self._known.values())

    def _current(self) -> list[TraceVariant]:
        """All variants of the function as it is now."""
        return [variant for variant in self.all() if variant.is_current]

    def _outer_state(self, arguments: PyTree) -> OuterState | None:
        """What the function finds beyond its arguments now, the same object as long as it is so."""
        with self._lock:
            for variant in self._known.get(arguments, ()):
                if variant.outer is not None and variant.outer.is_current():
                    return variant.outer
        if self._reads is None:
            self._reads = OuterReads(self.function)
        return self._reads.state(arguments)

    def _list_for(self, arguments: PyTree) -> list[TraceVariant]:
        """The list for variants of this structure, which has just been used. The lock is held."""
        known = self._known.setdefault(arguments, [])
        self._known.move_to_end(arguments)
        return known

    def _take_surplus(self) -> list[list[TraceVariant]]:
        """Take out the variants beyond the limit on structures. The lock is held.

        The last references to Modules may be among them, so they must be dropped without the lock.
        """
        surplus = []
        while len(self._known) > MOST_STRUCTURES:
            surplus.append(self._known.popitem(last=False)[1])
        return surplus

    def _share(self, variant: TraceVariant) -> None:
        """Let a new variant share with one for another Module, if there is one."""
        if variant.arguments.has_modules:
            known = reversed(self.all())
            twin = next((other for other in known if variant.is_twin_of(other)), None)
            if twin is not None:
                variant.share(twin)


def _restored_cache(reference: Any, strict: bool, max_variants: int = MOST_VARIANTS) -> TraceCache:
    return TraceCache(function_of(reference), strict, max_variants)


def _warn_of_random_numbers(function: Callable[..., Any]) -> None:
    _warn(
        function,
        f"{_name(function)} drew random numbers, or set the seed, of random or numpy.random while "
        "it was compiled, which freezes them: later calls of the compiled function use the same "
        "numbers; draw them before the call and give them as arguments",
    )


def _warn_of_changed_arguments(function: Callable[..., Any], changed: list[str]) -> None:
    _warn(
        function,
        f"{_name(function)} changed {', '.join(changed)} in place while it was compiled: calls of "
        "the compiled function leave what they are given as it is; change a copy, and return it",
    )


def _warn_of_variants(function: Callable[..., Any], kept: int) -> None:
    _warn(
        function,
        f"{_name(function)} takes more variants than the {kept} that are kept, one for each "
        "sequence of outcomes of its comparisons, so that it is traced again and again: choose "
        "numbers with maximum(), minimum() or where(), such as where((x - 0.5).relu(), a, b) for a "
        "if x > 0.5 else b, which need no variant of their own, or keep more by max_variants",
        VariantsWarning,
    )


def _warn(
    function: Callable[..., Any], message: str, kind: type[Warning] = FrozenValueWarning
) -> None:
    """Warn with the line of a function."""
    code = getattr(function, "__code__", None)
    if code is None:
        warnings.warn(message, kind, stacklevel=3)
    else:
        warnings.warn_explicit(message, kind, code.co_filename, code.co_firstlineno)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
