"""The functions that `arenagrad.compile` makes, and their form as methods of objects."""

from collections.abc import Callable, Sized
from copy import deepcopy
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from arenagrad._compile.batch_run import Seeds
from arenagrad._compile.evaluation import Evaluation
from arenagrad._compile.executor_map import map_rows
from arenagrad._compile.function_references import holder_at, place_of, portable
from arenagrad._compile.options import Options
from arenagrad._compile.program import Program
from arenagrad._compile.program_file import CallConvention
from arenagrad._compile.trace_cache import TraceCache
from arenagrad._compile.transforms import (
    Argnums,
    Chain,
    Transform,
    TransformKind,
    chain_of,
    checked_argnums,
)
from arenagrad._core.compiled import NativeDispatch, PyTree, read_operands
from arenagrad._support.arguments import count

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from inspect import Signature

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Compiled(NativeDispatch, Generic[_P, _R]):
    """A function that `compile` has made fast: called as the function is, with numbers.

    Arguments are numbers, NumPy arrays, Modules, and lists, tuples, named tuples, dicts,
    dataclasses, pandas Series and DataFrames, and objects of classes told of by register_node, of
    them. A Module stands for its parameters as they are at the call. They are given by position or
    by name; a default that is not given is a constant. A str, bytes, bool, None, Enum or function,
    the object of a method, and what static_argnums names, choose a program of their own; any other
    object is refused. Values among the arguments call the function itself. Results are floats and
    arrays in the lists, tuples, dicts and objects that the function returns; text, bools, None and
    what is no number in an argument are given as they are, and any other object, in which a Value
    could hide, is refused.

    A dataclass is taken for its fields, and made again without its constructor: `__post_init__` is
    not run, and an object with attributes that are no fields is refused. A field that is made with
    `metadata={"static": True}` is no number whatever it holds. Arguments by name have their rows
    first where in_axes are given, save numbers and what is no number, which are the same in all.

    Closure cells, defaults and globals that the code of the function names, and the fields that it
    names of the object of a method, of static arguments and of all Modules that can be reached, are
    compared at each call: where one is another object, and no equal number or text, the function is
    traced again. So is what functions that it may call read, and what functions that are
    arguments read. Deeper state, such as items of a list or fields of other objects, is as it was
    when the function was traced, and so are generators of random numbers.

    out, where there is one, holds arrays of float64 in the structure of the result (of the
    gradients, for value_and_grad), where an array may stand for a list of numbers. The results are
    written there, also if arguments are read from that memory; no array is made. For Jacobians and
    Hessians it is taken by `jacobian(f)(x, out=out)` and `hessian(f)`, not by the methods.

    The programs for 256 structures of arguments are kept, those used last; each Module is one, and
    lives as long as they do.

    Raises:
        Exception: what the function raises, the errors of the mathematics (DomainError and so on)
            included.
        TypeError: for arguments and results of another kind.
        RuntimeError: for a function that takes another variant each time that it is traced on the
            same numbers.

    Safe to be called from several threads.
    """

    def __init__(
        self,
        function: Callable[_P, _R],
        options: Options,
        chain: Chain = (),
        cache: TraceCache | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"compile() wants a function, got {type(function).__name__}")
        super().__init__(self._call)
        update_wrapper(self, function, updated=())
        # Attributes that a user has set on the function come along, and replace nothing here.
        given = getattr(function, "__dict__", {}).items()
        vars(self).update((k, v) for k, v in given if k[0] != "_" and not hasattr(Compiled, k))
        self._function, self._evaluation = function, Evaluation(function, options, chain, cache)
        # Native dispatches in front of the methods of these names, which are their fallbacks.
        for method in (self.value_and_grad, self.grad):
            self.__dict__[method.__name__] = update_wrapper(NativeDispatch(method), method)
        for entries in (self._jacobian_entries, self._hessian_entries):
            self.__dict__[entries.__name__] = NativeDispatch(entries)

    if TYPE_CHECKING:
        # The second: numbers may stand for the Values that a signature names.
        @overload
        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
        @overload
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def value_and_grad(
        self, *args: Any, argnums: Argnums = 0, out: Any = None, **named: Any
    ) -> Any:
        """The value and its gradient by the arguments that argnums names.

        Args:
            *args: the arguments of the function.
            argnums: the number of an argument, or a tuple of them.
            out: buffers for the gradient only.
            **named: arguments of the function by name; there is no derivative by these.

        Returns:
            A pair. The gradient has the structure of the argument: a float for a float, an array
            for an array, an object of the same class for a dataclass or a registered class (with
            what is no number in it as it is there), and for a Module a list of floats in the order
            of its parameters(); for a tuple of argnums it is a tuple of such.

        Raises:
            TypeError: for a function that does not give one number.
        """
        return self._derived(TransformKind.VALUE_AND_GRAD, args, argnums, out, named)

    def grad(self, *args: Any, argnums: Argnums = 0, out: Any = None, **named: Any) -> Any:
        """The gradient alone; see value_and_grad."""
        return self._derived(TransformKind.GRAD, args, argnums, out, named)

    def jvp(self, args: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """The results at args, and how fast they change where args change by the tangents.

        Args:
            args: a tuple with all arguments.
            tangents: a tuple with a tangent for each argument in its structure: a list of floats
                for a Module, None for what is no number.

        Returns:
            A pair of results and their tangents.
        """
        args, tangents = _tuple("args", args), _tuple("tangents", tangents)
        seeds = Seeds(tangents, self._evaluation.options.in_axes)
        return self._evaluation.run((Transform(TransformKind.JVP),), args, None, seeds)

    def vjp(self, args: tuple[Any, ...], cotangents: Any) -> Any:
        """The results at args, and the gradients of their weighted sum by all arguments.

        Args:
            args: a tuple with all arguments.
            cotangents: the weights, in the structure of the results, None for what is no number.

        Returns:
            A pair of the results and a tuple of gradients.
        """
        # Of summed results, those that have a row for each of the batch are those that vary.
        evaluation = self._evaluation
        axes = PyTree.axes if evaluation.reduction.is_summed else evaluation.options.out_axes
        chain = (Transform(TransformKind.VJP),)
        return evaluation.run(chain, _tuple("args", args), None, Seeds(cotangents, axes))

    def jacobian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False, **named: Any) -> Any:
        """All derivatives of all results by the arguments that argnums names.

        Args:
            *args: the arguments of the function.
            argnums: the number of an argument, or a tuple of them.
            sparse: whether entries that are always 0 are left out of the result.
            **named: arguments of the function by name.

        Returns:
            As in JAX the structure of the results where each leaf is replaced by the structure of
            the argument, and there arrays of the shape of the result and of the argument together.
            With sparse a `scipy.sparse.csr_array` with a row for each number of the results and a
            column for each number of the arguments, in order. Entries that are always 0 are not
            computed.
        """
        if sparse:
            entries, pattern = self._jacobian_entries(*args, argnums=argnums, **named)
            return pattern.array(entries)
        return self._derived(TransformKind.JACOBIAN, args, argnums, None, named)

    def hessian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False, **named: Any) -> Any:
        """All second derivatives: the jacobian of the jacobian. sparse needs a single result."""
        if sparse:
            entries, pattern = self._hessian_entries(*args, argnums=argnums, **named)
            return pattern.array(entries)
        argnums = self._evaluation.checked_argnums(args, argnums)
        jacobian = Transform(TransformKind.JACOBIAN, argnums)
        return self._evaluation.run((jacobian, jacobian), args, None, named=named)

    def hvp(self, args: tuple[Any, ...], v: Any, argnums: Argnums = 0) -> Any:
        """The product of the Hessian and v, without the Hessian.

        v has the structure of the gradient by argnums, and so has the result.
        """
        args = _tuple("args", args)
        argnums = self._evaluation.checked_argnums(args, argnums)
        axes = self._evaluation.options.in_axes
        if isinstance(axes, tuple | list):
            axes = axes[argnums] if isinstance(argnums, int) else tuple(axes[k] for k in argnums)
        chain = (Transform(TransformKind.HVP, argnums),)
        return self._evaluation.run(chain, args, None, Seeds(v, axes))

    def map(
        self,
        *args: Any,
        executor: "Executor | None" = None,
        chunksize: int | None = None,
        out: Any = None,
        **named: Any,
    ) -> Any:
        """What a call gives for a batch, worked on a chunk of rows at a time by an executor.

        Args:
            *args: the arguments of a call; without in_axes all of them have their rows first.
            executor: any of concurrent.futures, or an object with its submit(); None is this
                thread. Processes get the function as a pickle of it.
            chunksize: the rows of a chunk; by default as many as are worth the trouble, and not
                fewer than a 64th of all. Results depend on it in their last bits, where rows are
                summed, and not on the number of workers.
            out: buffers for the result.
            **named: arguments of a call by name.

        Returns:
            The result of a call. For a derivative use `value_and_grad(f).map(...)` and so on.

        Raises:
            Exception: what a worker raises; tasks that have not begun are cancelled.

        progress is called after each chunk.
        """
        evaluation, options = self._evaluation, self._evaluation.options
        return map_rows(
            evaluation.cache,
            evaluation.batch(args, 0 if options.in_axes is None else options.in_axes, named),
            evaluation.full_chain,
            evaluation.reduction,
            options.threads,
            options.progress,
            executor,
            None if chunksize is None else count("chunksize", chunksize, 1),
            out,
            options.out_axes,
        )

    def program(self, *args: Any, **named: Any) -> Program:
        """The program for such arguments, traced if it has not been yet.

        That of a derivative is `grad(f).program(*args)` and so on.
        """
        evaluation, options = self._evaluation, self._evaluation.options
        chain, reduction = evaluation.full_chain, evaluation.reduction
        statics = tuple(k for k, static in enumerate(evaluation.statics(args)) if static)
        convention = CallConvention(options.in_axes, statics, *reduction, options.out_axes)
        if options.in_axes is not None:
            variant = evaluation.batch_run(args, named).variant()
        else:
            variant, _ = evaluation.run_for_variant(args, chain, named)
        return Program(variant, chain, convention, options.threads)

    def derive(self, *transforms: Transform) -> "Compiled[Any, Any]":
        """The function that these transforms make of this one; both share what is traced."""
        chain = (*self._evaluation.full_chain, *transforms)
        return Compiled(self._function, self._evaluation.options, chain, self._evaluation.cache)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """The function as a method of an instance, which is its first argument: a BoundMethod."""
        return self if instance is None else BoundMethod(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the function as pickle takes functions, and all that has been traced.

        The Values that it reads and was not given come along as they are now. What is traced later
        reads those that the function finds then: where pickle has only written its name, those of
        its module. progress stays behind.
        """
        evaluation = self._evaluation
        options = {k: v for k, v in vars(evaluation.options).items() if k != "progress"}
        return restored, (evaluation.cache, options, evaluation.chain)

    def __copy__(self) -> "Compiled[_P, _R]":
        return self  # as functions are

    def __deepcopy__(self, memo: dict[int, Any]) -> "Compiled[_P, _R]":
        function, evaluation = deepcopy(self._function, memo), self._evaluation
        if function is self._function:  # as functions are: what they close over stays theirs
            return self
        options = evaluation.options
        cache = TraceCache(function, options.strict, options.max_variants)
        cache.add(deepcopy(evaluation.cache.all(), memo))
        return Compiled(function, evaluation.options, evaluation.chain, cache)

    @property
    def _portable(self) -> Any:
        """What a pickle may have in place of the function; see `reference_to`."""
        return vars(self).setdefault("_portable_function", portable(self._function))

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._function, '__qualname__', self._function)}>"

    # The fallbacks of the native dispatches

    def _call(self, *args: Any, out: Any = None, **named: Any) -> Any:
        return self._evaluation.run((), args, out, remember_in=self, named=named)

    def _jacobian_entries(self, *args: Any, argnums: Argnums, **named: Any) -> Any:
        """The entries of a sparse Jacobian and their SparsePattern."""
        return self._derived(TransformKind.JACOBIAN_ENTRIES, args, argnums, None, named)

    def _hessian_entries(self, *args: Any, argnums: Argnums, **named: Any) -> Any:
        """The entries of a sparse Hessian and their SparsePattern."""
        gradient = (TransformKind.GRAD,)
        return self._derived(TransformKind.JACOBIAN_ENTRIES, args, argnums, None, named, gradient)

    def _derived(
        self,
        kind: TransformKind,
        args: tuple[Any, ...],
        argnums: Argnums,
        out: Any,
        named: dict[str, Any],
        before: tuple[TransformKind, ...] = (),
    ) -> Any:
        """The result of a transform by these arguments, and of others before it."""
        is_sparse = kind is TransformKind.JACOBIAN_ENTRIES
        if is_sparse and self._evaluation.options.in_axes is not None:
            raise ValueError("sparse is for one point, not for the rows of a batch")
        checked = self._evaluation.checked_argnums(args, argnums)
        name = ("_hessian_entries" if before else "_jacobian_entries") if is_sparse else kind.value
        dispatch = self.__dict__.get(name)
        if not isinstance(dispatch, NativeDispatch) or type(argnums) not in (int, tuple, list):
            dispatch = None
        chain = tuple(Transform(each, checked) for each in (*before, kind))
        return self._evaluation.run(chain, args, out, None, dispatch, argnums, named)


class BoundMethod(partial[Any]):
    """A compiled function as a method of an object.

    It is called, and differentiated, through its object. Its argnums count the arguments behind the
    object, and args, tangents, v and the gradients of vjp leave it out: there is no derivative by
    it. For one, if it is a Module, ask the function: `Class.method.grad(module, x)`. in_axes and
    static_argnums belong to the function and count the object as its first argument.
    """

    # A partial, since that is called natively.
    func: "Compiled[..., Any]"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """What the function says of itself, as bound methods have it."""
        doc: str | None = self.func.__doc__
        return doc

    def value_and_grad(
        self, *args: Any, argnums: Argnums = 0, out: Any = None, **named: Any
    ) -> Any:
        """The value and its gradient; see Compiled.value_and_grad."""
        argnums = self._behind(args, argnums)
        return self.func.value_and_grad(self.__self__, *args, argnums=argnums, out=out, **named)

    def grad(self, *args: Any, argnums: Argnums = 0, out: Any = None, **named: Any) -> Any:
        """The gradient alone; see Compiled.grad."""
        argnums = self._behind(args, argnums)
        return self.func.grad(self.__self__, *args, argnums=argnums, out=out, **named)

    def jacobian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False, **named: Any) -> Any:
        """All derivatives of all results; see Compiled.jacobian."""
        argnums = self._behind(args, argnums)
        return self.func.jacobian(self.__self__, *args, argnums=argnums, sparse=sparse, **named)

    def hessian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False, **named: Any) -> Any:
        """All second derivatives; see Compiled.hessian."""
        argnums = self._behind(args, argnums)
        return self.func.hessian(self.__self__, *args, argnums=argnums, sparse=sparse, **named)

    def hvp(self, args: tuple[Any, ...], v: Any, argnums: Argnums = 0) -> Any:
        """The product of the Hessian and v; see Compiled.hvp."""
        if isinstance(args, tuple | list):
            argnums = self._behind(args, argnums)
        return self.func.hvp(self._with(args), v, argnums)

    def jvp(self, args: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """The results, and how fast they change with the tangents; see Compiled.jvp."""
        if isinstance(tangents, tuple | list):
            of_self = (self.__self__,)
            read = read_operands(of_self, self.func._evaluation.statics(of_self), {}, ())
            by = read[0].child(0).gradient()
            tangents = (by.unflatten(by.new_output_buffers()[0]), *tangents)
        return self.func.jvp(self._with(args), tangents)

    def vjp(self, args: tuple[Any, ...], cotangents: Any) -> Any:
        """The results, and the gradients of their weighted sum; see Compiled.vjp."""
        results, gradients = self.func.vjp(self._with(args), cotangents)
        return results, gradients[1:]

    def map(
        self,
        *args: Any,
        executor: "Executor | None" = None,
        chunksize: int | None = None,
        out: Any = None,
        **named: Any,
    ) -> Any:
        """What a call gives for a batch, by an executor; see Compiled.map."""
        return self.func.map(
            self.__self__, *args, executor=executor, chunksize=chunksize, out=out, **named
        )

    def program(self, *args: Any, **named: Any) -> "Program":
        """The program for the object and such arguments; see Compiled.program."""
        made: Program = self.func.program(self.__self__, *args, **named)
        return made

    def derive(self, *transforms: Transform) -> "BoundMethod":
        """The method that transforms make of this one; their argnums leave out the object."""
        behind = (t if t.argnums is None else _shifted(t) for t in transforms)
        return BoundMethod(self.func.derive(*behind), self.__self__)

    @property
    def __self__(self) -> Any:
        """The object, as bound methods have it."""
        return self.args[0]

    @property
    def __func__(self) -> "Compiled[..., Any]":
        """The compiled function, as bound methods have it."""
        func: Compiled[..., Any] = self.func
        return func

    @property
    def __signature__(self) -> "Signature":
        """That of the function, without the object."""
        from inspect import signature

        whole = signature(self.func)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __getattr__(self, name: str) -> Any:
        """What a user has written on the function, and its name."""
        if name[:2] == "__" and name not in ("__name__", "__qualname__"):
            raise AttributeError(f"a bound compiled function has no {name}")
        return getattr(self.func, name)

    def __get__(self, instance: object, owner: type | None = None) -> "BoundMethod":
        return self

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundMethod)
            and self.func is other.func
            and self.__self__ is other.__self__
        )

    def __hash__(self) -> int:
        return hash((id(self.func), id(self.__self__)))

    def __repr__(self) -> str:
        return f"<bound {self.func!r} of {self.__self__!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: as methods are."""
        return BoundMethod, (self.func, self.__self__)

    def _with(self, given: Any) -> Any:
        """The arguments with the object before them; what is no tuple is left to be refused."""
        return (self.__self__, *given) if isinstance(given, tuple | list) else given

    def _behind(self, args: Sized, argnums: Argnums) -> Argnums:
        """What these argnums are for the function. Raises what `checked_argnums` does."""
        statics = self.func._evaluation.options.statics(1 + len(args))
        return _behind_object(checked_argnums(argnums, len(args), [k - 1 for k in statics]))


def _shifted(transform: Transform) -> Transform:
    assert transform.argnums is not None
    return Transform(transform.kind, _behind_object(transform.argnums))


def _behind_object(argnums: Argnums) -> Argnums:
    if isinstance(argnums, tuple):
        return tuple(k + 1 if k >= 0 else k for k in argnums)
    return argnums + 1 if argnums >= 0 else argnums


def restored(
    cache: TraceCache, options: dict[str, Any], chain: tuple[Any, ...]
) -> "Compiled[..., Any]":
    """The Compiled that was pickled, or the decorated function itself if it was that."""
    chain = chain_of(chain)
    place = place_of(cache.function)
    if place is not None and not any(len(variant.closure) for variant in cache.all()):
        holder: Compiled[..., Any] = holder_at(*place)
        held = holder._evaluation
        if held.options.strict == cache.strict:
            held.cache.add(cache.all())
            cache = held.cache
            kept = {**options, "progress": held.options.progress}
            if vars(held.options) == kept and held.chain == chain:
                return holder
    return Compiled(cache.function, Options(**options), chain, cache)


def _tuple(name: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list):
        raise TypeError(f"{name} must be a tuple with all arguments, got {type(given).__name__}")
    return tuple(given)


Compiled.__module__ = "arenagrad"
