"""How a compiled function answers a call: reads arguments, finds the variant, runs its program."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from arenagrad._compile.batch_run import BatchRun, Reduction, Seeds
from arenagrad._compile.function_references import is_object_of_method
from arenagrad._compile.naming import names_in_errors
from arenagrad._compile.options import Options
from arenagrad._compile.trace_cache import Outcome, TraceCache, TraceVariant
from arenagrad._compile.transforms import ROW_SUM, Argnums, Chain, checked_argnums, has_row_sum
from arenagrad._core.compiled import (
    Batch,
    NativeDispatch,
    PyTree,
    call_by_number,
    is_compile_disabled,
    is_recorded,
    is_tracing,
    read_arguments,
    read_operands,
    refusal,
)

# Arguments of a call that are given by name.
Named: TypeAlias = dict[str, Any]
_NONE: Named = {}


class ValueCall(NamedTuple):
    """What a call is given in which there may be Values."""

    args: tuple[Any, ...]
    named: Named
    chain: Chain
    seeds: Any
    out: Any


class Evaluation:
    """A function, its options, the transforms applied to it so far, and its traced variants."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options,
        chain: Chain,
        cache: TraceCache | None,
    ) -> None:
        self.function, self.options, self.chain = function, options, chain
        self.cache = cache or TraceCache(function, options.strict, options.max_variants)
        self._for_one_call = False  # as disable_compile() wants them
        # The sum over the rows stands between the function and what is derived of the sum.
        pending = () if not options.reduce or ROW_SUM in chain else (ROW_SUM,)
        self.full_chain: Chain = (*chain, *pending)
        self.reduction = Reduction(has_row_sum(self.full_chain), options.reduce == "mean")

    def run(
        self,
        transforms: Chain,
        args: tuple[Any, ...],
        out: Any,
        seeds: Seeds | None = None,
        remember_in: NativeDispatch | None = None,
        argnums: Argnums | None = None,
        named: Named = _NONE,
    ) -> Any:
        """The result of these transforms of the function.

        Where there are Values among the arguments or seeds, or behind the function, the result is
        made of Values, which a graph or a trace under way takes in.

        Args:
            transforms: what to apply behind the chain.
            args: the arguments of the call.
            out: buffers for the result, or None.
            seeds: what the derivatives are multiplied by.
            remember_in: the native dispatch that may answer the next such call by itself.
            argnums: those that the call was given, which the dispatch compares.
            named: the arguments that the call gives by name.
        """
        if is_compile_disabled() and not self._for_one_call:
            alone = Evaluation(self.function, self.options, self.chain, None)
            alone._for_one_call = True
            return alone.run(transforms, args, out, seeds, None, argnums, named)
        chain = (*self.full_chain, *transforms)
        if self.options.in_axes is not None:
            return self.batch_run(args, named).run(chain, seeds, out)
        given = None if seeds is None else seeds.value
        read = None if is_tracing() or given is not None else self._read(args, named)
        if read is None:
            call = ValueCall(args, named, chain, given, out)
            return _call_on_values(self, call, remember_in, argnums)
        tree, numbers = read
        variant, result = self._run_at_point(tree, numbers, chain, given, out)
        if chain and out is None and is_recorded(variant.closure):
            call = ValueCall(args, named, chain, given, out)
            return _call_on_values(self, call, None, None)
        if remember_in is not None:
            remember_in._remember(argnums, variant.point_executable(chain), variant.outer)
        return result

    def run_for_variant(
        self, args: tuple[Any, ...], chain: Chain, named: Named = _NONE
    ) -> tuple[TraceVariant, Any]:
        """The variant that these arguments take at one point, and the result of a whole chain."""
        tree, numbers = _need_numbers(self._read(args, named))
        return self._run_at_point(tree, numbers, chain, None, None)

    def _run_at_point(
        self, tree: PyTree, numbers: Any, chain: Chain, seeds: Any, out: Any
    ) -> tuple[TraceVariant, Any]:
        """Run the variant that these numbers take, tracing it if it is not known.

        Raises:
            RuntimeError: if the function takes another variant each time that it is traced.
            Exception: what the function raises.
        """
        for variant in self.cache.of(tree):
            outcome, result = variant.run(chain, numbers, seeds, out, False)
            if outcome is Outcome.NOT_FINITE and not variant.may_refuse(numbers):
                result = self._run_taken(variant, numbers, chain, seeds, out)
                outcome = Outcome.FINISHED
            if outcome is Outcome.FINISHED:
                self.cache.use(variant)
                return variant, result
        variant = self._trace(tree, numbers)
        outcome, result = variant.run(chain, numbers, seeds, out, False)
        if outcome is Outcome.OTHER_VARIANT and self._trace(tree, numbers) is not variant:
            raise RuntimeError(
                f"<compiled {self.cache.name}> did something else when it was traced again on the "
                "same numbers: what it does must depend on its arguments only"
            )
        if outcome is not Outcome.FINISHED:
            result = self._run_taken(variant, numbers, chain, seeds, out)
        self.cache.use(variant)
        return variant, result

    def _trace(self, tree: PyTree, numbers: Any) -> TraceVariant:
        with names_in_errors(self.cache.name):
            return self.cache.trace(tree, numbers)[0]

    def _run_taken(
        self, variant: TraceVariant, numbers: Any, chain: Chain, seeds: Any, out: Any
    ) -> Any:
        """Run a variant that the numbers take, although it has not finished with them."""
        with names_in_errors(self.cache.name):
            variant.check_derivatives(chain, numbers, seeds)
        return variant.run(chain, numbers, seeds, out, True)[1]

    def _read(self, args: tuple[Any, ...], named: Named) -> tuple[PyTree, Any] | None:
        return read_arguments(args, self.statics(args), named, self._static_names(named))

    def batch(self, args: tuple[Any, ...], axes: Any, named: Named = _NONE) -> Batch:
        """The rows of these arguments."""
        try:
            return Batch(args, axes, self.statics(args), named, self._static_names(named))
        except TypeError as error:
            raise refusal(error) from None  # on floats there may be no error to catch

    def batch_run(self, args: tuple[Any, ...], named: Named = _NONE) -> BatchRun:
        """A run on the rows that in_axes names."""
        options, batch = self.options, self.batch(args, self.options.in_axes, named)
        threads, progress, axes = options.threads, options.progress, options.out_axes
        return BatchRun(self.cache, batch, self.reduction, threads, progress, out_axes=axes)

    def structure(self, args: tuple[Any, ...]) -> PyTree:
        """The structure of these arguments, which must hold no Values."""
        return _need_numbers(read_arguments(args, self.statics(args)))[0]

    def statics(self, args: tuple[Any, ...]) -> list[bool]:
        """For each argument whether it is static: named so, or the object of a method."""
        statics = self.options.statics(len(args))
        found = [k in statics for k in range(len(args))]
        if args and is_object_of_method(self.function, args[0]):
            found[0] = True
        return found

    def _static_names(self, named: Named) -> tuple[str, ...]:
        """The arguments that static_argnums names and a call gives by name."""
        code = getattr(self.function, "__code__", None)
        if not named or code is None or not self.options.static_argnums:
            return ()
        names = code.co_varnames[: code.co_argcount]
        return tuple(names[k] for k in self.options.statics(len(names)))

    def checked_argnums(self, args: tuple[Any, ...], argnums: Argnums) -> Argnums:
        """The argnums of a derivative by these arguments; raises what `checked_argnums` does."""
        return checked_argnums(argnums, len(args), self.options.statics(len(args)))


def _call_on_values(
    evaluation: Evaluation,
    call: ValueCall,
    remember_in: NativeDispatch | None,
    argnums: Argnums | None,
) -> Any:
    """The result where Values may be among what a call is given, or behind the function.

    It is recorded as one call of the program, whose instructions a trace under way writes into
    its own; the closure's Values are operands like any other.
    """
    args, named, chain, seeds, out = call
    tree, numbers, values = read_operands(
        args, evaluation.statics(args), named, evaluation._static_names(named)
    )
    if not chain and values and out is None and not tree.has_modules:
        return call_by_number(evaluation.function, args, named)
    found = None
    for variant in evaluation.cache.of(tree):
        if not values and not variant.seed_operands(chain, seeds)[1]:
            found = _run_noted(evaluation, call, tree, numbers, chain)
            break
        result = None
        if out is None:
            result = variant.record(chain, numbers, values, seeds, is_taken=False)
        if result is not None:
            evaluation.cache.use(variant)
            _remember_values(remember_in, argnums, variant, chain, values)
            return result
    if found is not None and not is_recorded(found[0].closure):
        return found[1]
    variant = _run_noted(evaluation, call, tree, numbers, ())[0] if found is None else found[0]
    has_values = values or variant.seed_operands(chain, seeds)[1]
    if not has_values and not is_recorded(variant.closure):
        return evaluation._run_at_point(tree, numbers, chain, seeds, out)[1]
    if out is not None:
        raise refusal(TypeError("out takes numbers, and the results here are Values"))
    try:
        with names_in_errors(evaluation.cache.name):
            result = variant.record(chain, numbers, values, seeds, is_taken=True)
    except Exception as error:
        raise refusal(error) from None  # of the derivative alone: no decision stands for it
    _remember_values(remember_in, argnums, variant, chain, values)
    return result


def _run_noted(
    evaluation: Evaluation, call: ValueCall, tree: PyTree, numbers: Any, chain: Chain
) -> tuple[TraceVariant, Any]:
    """The variant that the numbers of these arguments take, and the result of a chain.

    Where the function fails, a trace under way must know why, since the function that is traced
    there may catch the error: it is called once more, on the Values themselves.
    """
    seeds, out = (call.seeds, call.out) if chain else (None, None)
    try:
        return evaluation._run_at_point(tree, numbers, chain, seeds, out)
    except Exception as error:
        if is_tracing():
            call_by_number(evaluation.function, call.args, call.named)
            raise refusal(error) from None
        raise


def _remember_values(
    dispatch: NativeDispatch | None,
    argnums: Argnums | None,
    variant: TraceVariant,
    chain: Chain,
    values: Any,
) -> None:
    """Let a dispatch record the next such call on Values by itevaluation."""
    if dispatch is not None and values and variant.inside is None:
        executable, recorded = variant.point_executable(chain), variant.recorded_function(chain)
        dispatch._remember(argnums, executable, variant.outer, recorded)


def _need_numbers(read: tuple[PyTree, Any] | None) -> tuple[PyTree, Any]:
    if read is None:
        raise refusal(
            TypeError(
                "derivatives of a compiled function, and results in out, are for numbers, not for "
                "Values: compile the function around it, or use grad(grad(f)) and the like"
            )
        )
    return read
