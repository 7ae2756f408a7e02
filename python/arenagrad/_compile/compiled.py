"""The functions that `arenagrad.compile` makes."""

from collections.abc import Callable
from copy import deepcopy
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from arenagrad._compile.batch_run import BatchRun
from arenagrad._compile.bound_method import Bound
from arenagrad._compile.executor_map import map_rows
from arenagrad._compile.function_references import holder_at, place_of, portable
from arenagrad._compile.options import Options
from arenagrad._compile.program import Program
from arenagrad._compile.program_file import Calling
from arenagrad._compile.sparse import sparse_array
from arenagrad._compile.trace_cache import Path, Paths
from arenagrad._compile.transforms import Argnums, Step, checked_argnums
from arenagrad._programs import Batch, NativeDispatch, PyTree, read_arguments
from arenagrad._support.arguments import by_position, count

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Compiled(NativeDispatch):
    """A function that `compile` has made fast: called as the function is, with numbers.

    Arguments are numbers, NumPy arrays, Modules, and lists, tuples and dicts of them; a Module
    stands for its parameters as they are at the call, whatever else it holds is as it was when the
    function was traced. Strings, None, bools and whatever else is hashable choose a program of
    their own. Values among the arguments call the function itself. Results are floats and arrays in
    the lists, tuples and dicts that the function returns; text, bools and None are given as they
    are, and what else a Value could hide in is refused.

    out, where there is one, holds arrays of float64 in the structure of the result (of the
    gradients, for value_and_grad), where an array may stand for a list of numbers. The results are
    written there, be it memory that arguments are read from; no array is made. Of Jacobians and
    Hessians it is taken by `jacobian(f)(x, out=out)` and `hessian(f)`, not by the methods.

    The programs for 256 structures of arguments are kept, those used last; each Module is one, and
    lives as long as they do.

    Raises what the function raises, the errors of the mathematics included (DomainError and so on),
    TypeError for arguments and results of another kind, and RuntimeError for a function with more
    than 256 ways through its comparisons. Safe to be called from several threads.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: Options,
        steps: tuple[Step, ...] = (),
        paths: Paths | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"compile() wants a function, got {type(function).__name__}")
        super().__init__(self._call)
        update_wrapper(self, function, updated=())
        # What a user has written on the function comes along, and takes the place of nothing here.
        given = getattr(function, "__dict__", {}).items()
        vars(self).update((k, v) for k, v in given if k[0] != "_" and not hasattr(Compiled, k))
        self._function, self._options, self._steps = function, options, steps
        self._paths = Paths(function, options.strict) if paths is None else paths
        # Summing comes between what the function is and what is derived of the sum.
        is_summed = not options.reduce or ("sum", None) in steps
        self._summed: tuple[Step, ...] = () if is_summed else (("sum", None),)
        # In place of the methods of these names, which they ask for what they do not know.
        for method in (self.value_and_grad, self.grad):
            self.__dict__[method.__name__] = update_wrapper(NativeDispatch(method), method)

    def value_and_grad(self, *args: Any, argnums: Argnums = 0, out: Any = None) -> Any:
        """The value and its gradient by the arguments that argnums names, one or a tuple of them.

        The gradient has the structure of the argument: a float for a float, an array for an array,
        and for a Module a list of floats in the order of its parameters(); for a tuple of argnums
        it is a tuple of such. out takes the gradient only.

        Raises TypeError for a function that does not give one number.
        """
        return self._derived("value_and_grad", args, argnums, out, self.__dict__["value_and_grad"])

    def grad(self, *args: Any, argnums: Argnums = 0, out: Any = None) -> Any:
        """The gradient alone; see value_and_grad."""
        return self._derived("grad", args, argnums, out, self.__dict__["grad"])

    def jvp(self, args: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """The results at args, and how fast they change where args change by the tangents.

        tangents is a tuple, a tangent for each of args in its structure, with a list of floats for
        a Module and None for what is no number.
        """
        args, tangents = _tuple("args", args), _tuple("tangents", tangents)
        return self._run((("jvp", None),), args, None, tangents, self._options.in_axes)

    def vjp(self, args: tuple[Any, ...], cotangents: Any) -> Any:
        """The results at args, and a tuple of the gradients by all of args of their weighted sum.

        cotangents has the structure of the results and holds the weights, with None for what is
        no number.
        """
        # Of summed results, what has a row for each of the batch is what varies.
        axes = PyTree.axes if self._is_reduced else 0
        return self._run((("vjp", None),), _tuple("args", args), None, cotangents, axes)

    def jacobian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False) -> Any:
        """All derivatives of all results by the arguments that argnums names.

        As in JAX, the structure of the results with, in place of each leaf, the structure of the
        argument, and there arrays of the shape of the result and of the argument together. What is
        always 0 is not computed; with sparse it does not come either: the result then is a
        `scipy.sparse.csr_array` with a row for each number of the results and a column for each of
        the arguments, in order.
        """
        if sparse:
            return self._sparse((), args, argnums)
        return self._derived("jacobian", args, argnums, None, None)

    def hessian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False) -> Any:
        """All second derivatives: the jacobian of the jacobian. sparse wants a single result."""
        argnums = self._checked(args, argnums)
        first: Step = ("grad" if sparse else "jacobian", argnums)
        if sparse:
            return self._sparse((first,), args, argnums)
        return self._run((first, ("jacobian", argnums)), args, None)

    def hvp(self, args: tuple[Any, ...], v: Any, argnums: Argnums = 0) -> Any:
        """The product of the Hessian and v, without the Hessian.

        v has the structure of the gradient by argnums, and so has the result.
        """
        args = _tuple("args", args)
        argnums = self._checked(args, argnums)
        axes = self._options.in_axes
        if isinstance(axes, tuple | list):
            axes = axes[argnums] if isinstance(argnums, int) else tuple(axes[k] for k in argnums)
        return self._run((("hvp", argnums),), args, None, v, axes)

    def map(
        self,
        *args: Any,
        executor: "Executor | None" = None,
        chunksize: int | None = None,
        out: Any = None,
    ) -> Any:
        """What a call gives for a batch, worked on a chunk of rows at a time by an executor.

        The arguments are those of a call; without in_axes all of them have their rows first. Any
        executor of concurrent.futures will do, or what has its submit(); None is this thread. Of a
        derivative it is `value_and_grad(f).map(...)` and so on. Processes get the function as a
        pickle of it is.

        chunksize is how many rows a chunk has; by default as many as are worth the trouble, and not
        fewer than a 64th of all. Results depend on it in their last bits, where rows are summed,
        and not on how many workers there are. Raises what a worker raises, and takes back what has
        not begun. progress is told after each chunk.
        """
        options, steps = self._options, self._steps + self._summed
        axes = 0 if options.in_axes is None else options.in_axes
        return map_rows(
            self._paths,
            Batch(args, axes, self._statics(args)),
            steps,
            self._is_reduced,
            options.reduce == "mean",
            options.threads,
            options.progress,
            executor,
            None if chunksize is None else count("chunksize", chunksize, 1),
            out,
        )

    def program(self, *args: Any) -> Program:
        """The program for such arguments, traced if it has not been yet.

        That of a derivative is `grad(f).program(*args)` and so on.
        """
        steps, options = self._steps + self._summed, self._options
        mean = options.reduce == "mean"
        how = Calling(options.in_axes, options.statics(len(args)), self._is_reduced, mean)
        if options.in_axes is not None:
            path = self._batch(args).path()
        else:
            tree, numbers = self._read(args)
            path, _ = self._answer(tree, numbers, steps, None, None)
        return Program(path, steps, how, options.threads)

    def derive(self, *steps: Step) -> "Compiled":
        """The function that these steps make of this one, which shares what has been traced."""
        return Compiled(
            self._function, self._options, self._steps + self._summed + steps, self._paths
        )

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """The function as a method of an instance, which is its first argument; see Bound."""
        return self if instance is None else Bound(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the function as pickle takes functions, and all that has been traced.

        The Values that it reads and was not given come along as they are now. What is traced later
        reads those that the function finds then: where pickle has only written its name, those of
        its module. progress stays behind.
        """
        options = {k: v for k, v in vars(self._options).items() if k != "progress"}
        return _restored, (self._paths, options, self._steps)

    def __copy__(self) -> "Compiled":
        return self  # as functions are

    def __deepcopy__(self, memo: dict[int, Any]) -> "Compiled":
        function = deepcopy(self._function, memo)
        if function is self._function:  # as functions are: what they close over stays theirs
            return self
        paths = Paths(function, self._options.strict)
        paths.add(deepcopy(self._paths.all(), memo))
        return Compiled(function, self._options, self._steps, paths)

    @property
    def _portable(self) -> Any:
        """What a pickle may have in place of the function; see `reference_to`."""
        return vars(self).setdefault("_portable_function", portable(self._function))

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._function, '__qualname__', self._function)}>"

    # What the native Calls do not know

    def _call(self, *args: Any, out: Any = None, **named: Any) -> Any:
        by_position(named)
        return self._run((), args, out, teach=(self, None))

    def _derived(
        self,
        kind: str,
        args: tuple[Any, ...],
        argnums: Argnums,
        out: Any,
        call: NativeDispatch | None,
    ) -> Any:
        checked = self._checked(args, argnums)
        teach = None
        if call is not None and type(argnums) in (int, tuple, list):
            teach = (call, argnums)
        return self._run(((kind, checked),), args, out, teach=teach)

    def _sparse(self, before: tuple[Step, ...], args: tuple[Any, ...], argnums: Argnums) -> Any:
        if self._options.in_axes is not None:
            raise ValueError("sparse is for one point, not for the rows of a batch")
        checked = self._checked(args, argnums)
        tree, numbers = self._read(args)
        steps = (*self._steps, *before, ("entries", checked))
        path, entries = self._answer(tree, numbers, steps, None, None)
        pattern = path.stage(steps).pattern
        assert pattern is not None
        several = checked if isinstance(checked, tuple) else (checked,)
        width = sum(tree.child(k).numbers for k in several)
        height = path.stage(steps[:-1]).results.numbers
        return sparse_array(entries, *pattern, (height, width))

    def _run(
        self,
        more_steps: tuple[Step, ...],
        args: tuple[Any, ...],
        out: Any,
        more: Any = None,
        more_axes: Any = None,
        teach: tuple[NativeDispatch, Argnums | None] | None = None,
    ) -> Any:
        steps = (*self._steps, *self._summed, *more_steps)
        if self._options.in_axes is not None:
            mean = self._options.reduce == "mean"
            wanted = None if more is None else (more, more_axes)
            return self._batch(args).run(steps, wanted, mean, out)
        read = read_arguments(args, self._statics(args))
        if read is None and not steps and out is None:
            return self._function(*args)
        tree, numbers = self._need(read)
        path, result = self._answer(tree, numbers, steps, more, out)
        if teach is not None:
            call, argnums = teach
            call._remember(argnums, path.runner(steps))
        return result

    def _read(self, args: tuple[Any, ...]) -> tuple[PyTree, Any]:
        return self._need(read_arguments(args, self._statics(args)))

    @staticmethod
    def _need(read: tuple[PyTree, Any] | None) -> tuple[PyTree, Any]:
        if read is None:
            raise TypeError(
                "derivatives of a compiled function, and results in out, are for numbers, not for "
                "Values: compile the function around it, or use grad(grad(f)) and the like"
            )
        return read

    def _answer(
        self, tree: PyTree, numbers: Any, steps: tuple[Step, ...], more: Any, out: Any
    ) -> tuple[Path, Any]:
        """The path that these numbers take, and its results."""

        def run(path: Path, finite: bool) -> tuple[bool, Any] | None:
            return path.runner(steps).run(numbers, _more(path, steps, more), out, not finite)

        for path in self._paths.of(tree):
            answer = run(path, True)
            if answer is not None:
                break
        else:
            path, _ = self._paths.trace(tree, numbers)
            answer = run(path, True)
        if answer is not None and not answer[0]:
            # Where a result is not finite the function itself raises, or it is meant to be so.
            self._paths.refuse(tree, numbers)
            answer = run(path, False)
        if answer is None:
            raise RuntimeError(
                f"{self!r} compared otherwise when it was run again on the same numbers: what it "
                "does must depend on its arguments only"
            )
        self._paths.use(path)
        return path, answer[1]

    def _batch(self, args: tuple[Any, ...]) -> BatchRun:
        options = self._options
        batch = Batch(args, options.in_axes, self._statics(args))
        return BatchRun(self._paths, batch, self._is_reduced, options.threads, options.progress)

    @property
    def _is_reduced(self) -> bool:
        """Whether results are sums over the rows of a batch."""
        return any(kind == "sum" for kind, _ in self._steps + self._summed)

    def _statics(self, args: tuple[Any, ...]) -> list[bool]:
        statics = self._options.statics(len(args))
        return [k in statics for k in range(len(args))]

    def _checked(self, args: tuple[Any, ...], argnums: Argnums) -> Argnums:
        return checked_argnums(argnums, len(args), self._options.statics(len(args)))


def _restored(paths: Paths, options: dict[str, Any], steps: tuple[Step, ...]) -> Compiled:
    """The Compiled that was pickled, or the decorated function itself if it was that."""
    place = place_of(paths.function)
    if place is not None and not any(len(path.closure) for path in paths.all()):
        held: Compiled = holder_at(*place)
        if held._options.strict == paths.strict:
            held._paths.add(paths.all())
            paths = held._paths
            kept = {**options, "progress": held._options.progress}
            if vars(held._options) == kept and held._steps == steps:
                return held
    return Compiled(paths.function, Options(**options), steps, paths)


def _tuple(name: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list):
        raise TypeError(f"{name} must be a tuple with all arguments, got {type(given).__name__}")
    return tuple(given)


def _more(path: Path, steps: tuple[Step, ...], more: Any) -> Any:
    wanted = path.stage(steps).more_of
    if wanted is None:
        return None
    return wanted.numbers_of(more, "what is multiplied by the derivatives")


Compiled.__module__ = "arenagrad"
