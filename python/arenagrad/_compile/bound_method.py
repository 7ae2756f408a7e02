"""Compiled functions as methods of objects.

A method is called, and differentiated, through its object. Its argnums count the arguments behind
the object, and args, tangents, v and the gradients of vjp leave it out: there is no derivative by
it. For one, if it is a Module, ask the function: `Class.method.grad(module, x)`. in_axes and
static_argnums belong to the function and count the object as its first argument.
"""

from collections.abc import Sized
from functools import partial
from typing import TYPE_CHECKING, Any

from arenagrad._compile.transforms import Argnums, Transform, checked_argnums
from arenagrad._programs import read_arguments

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from inspect import Signature

    from arenagrad._compile.compiled import Compiled
    from arenagrad._compile.program import Program


class BoundMethod(partial[Any]):
    # A partial, since that is called natively.
    func: "Compiled[..., Any]"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """What the function says of itself, as bound methods have it."""
        doc: str | None = self.func.__doc__
        return doc

    def value_and_grad(self, *args: Any, argnums: Argnums = 0, out: Any = None) -> Any:
        """The value and its gradient; see Compiled.value_and_grad."""
        argnums = self._behind(args, argnums)
        return self.func.value_and_grad(self.__self__, *args, argnums=argnums, out=out)

    def grad(self, *args: Any, argnums: Argnums = 0, out: Any = None) -> Any:
        """The gradient alone; see Compiled.grad."""
        return self.func.grad(self.__self__, *args, argnums=self._behind(args, argnums), out=out)

    def jacobian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False) -> Any:
        """All derivatives of all results; see Compiled.jacobian."""
        argnums = self._behind(args, argnums)
        return self.func.jacobian(self.__self__, *args, argnums=argnums, sparse=sparse)

    def hessian(self, *args: Any, argnums: Argnums = 0, sparse: bool = False) -> Any:
        """All second derivatives; see Compiled.hessian."""
        argnums = self._behind(args, argnums)
        return self.func.hessian(self.__self__, *args, argnums=argnums, sparse=sparse)

    def hvp(self, args: tuple[Any, ...], v: Any, argnums: Argnums = 0) -> Any:
        """The product of the Hessian and v; see Compiled.hvp."""
        if isinstance(args, tuple | list):
            argnums = self._behind(args, argnums)
        return self.func.hvp(self._with(args), v, argnums)

    def jvp(self, args: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """The results, and how fast they change with the tangents; see Compiled.jvp."""
        read = read_arguments((self.__self__,), [0 in self.func._evaluation.options.static_argnums])
        if read is not None and isinstance(tangents, tuple | list):
            by = read[0].child(0).gradient()
            tangents = (by.make_of_arrays(by.arrays()[0]), *tangents)
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
    ) -> Any:
        """What a call gives for a batch, by an executor; see Compiled.map."""
        return self.func.map(self.__self__, *args, executor=executor, chunksize=chunksize, out=out)

    def program(self, *args: Any) -> "Program":
        """The program for the object and such arguments; see Compiled.program."""
        made: Program = self.func.program(self.__self__, *args)
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
        return _behind(checked_argnums(argnums, len(args), [k - 1 for k in statics]))


def _shifted(transform: Transform) -> Transform:
    assert transform.argnums is not None
    return Transform(transform.kind, _behind(transform.argnums))


def _behind(argnums: Argnums) -> Argnums:
    if isinstance(argnums, tuple):
        return tuple(k + 1 if k >= 0 else k for k in argnums)
    return argnums + 1 if argnums >= 0 else argnums
