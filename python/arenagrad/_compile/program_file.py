"""Programs as the bytes of a file, and back from bytes that anybody may have written.

    "AGPF", u16 version, u32 lengths of the head, of the program, and of the closure in numbers,
    the head, a JSON text; the program (cpp/program/ir/program_format.h); f64 numbers; in version 2
    another program up to the end; u32 CRC-32

The other program is what the function checks and compares, calculated in the function's own order:
it says which operations fail where the first one, faster, has a result that is not finite. Of a
function itself it has the results, too, which are the ones that stand then. A file without one is
of version 1.

All numbers are little-endian. Nothing is unpickled or imported: structures are made of lists,
tuples, dicts, numbers, arrays and a few kinds of constants, and everything is looked at.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from arenagrad._compile.trace_cache import TraceVariant
from arenagrad._compile.transforms import (
    Chain,
    DerivedProgram,
    Transform,
    TransformKind,
    axes_of_results,
)
from arenagrad._core import FormatError, Value
from arenagrad._core import compiled as native
from arenagrad._core.compiled import Closure, PyTree

VERSION = 2
_MAGIC = b"AGPF"
_FRONT = struct.Struct("<4sHIII")
_SUM = struct.Struct("<I")
_LOADED: Chain = (Transform(TransformKind.LOADED),)  # the chain of a loaded program
_STATS: dict[str, type] = {"derivatives": str, "entries": int, "entries_computed": int}


class CallConvention(NamedTuple):
    """How a program is called: as a function compiled with these options is."""

    in_axes: Any = None
    static_argnums: tuple[int, ...] = ()
    reduced: bool = False  # the rows of a batch are summed
    mean: bool = False
    out_axes: Any = 0  # such a program is not saved


def program_to_bytes(variant: TraceVariant, chain: Chain, convention: CallConvention) -> bytes:
    """A derived program of a variant, and how it is called, as the bytes of a file.

    Raises TypeError for what has none.
    """
    if axes_of_results(chain, convention.out_axes) != 0:
        raise TypeError("a program with out_axes cannot be saved: leave its rows first")
    derived = variant.derived(chain)
    if variant.program(chain).callbacks or variant.traced.callbacks:
        raise TypeError(
            "a program that calls a function by pure_callback() cannot be saved: a file holds no "
            "functions; pickle the compiled function"
        )
    head = {
        "arguments": _parts(variant.arguments, "arguments"),
        "results": _parts(derived.results, "results"),
        "strict": variant.strict,
        "buffered": derived.buffered,
        "stats": derived.stats,
        "in_axes": _axes(convention.in_axes),
        "static_argnums": list(convention.static_argnums),
        "reduced": convention.reduced,
        "mean": convention.mean,
    }
    text, program = json.dumps(head).encode(), variant.program(chain).to_bytes()
    numbers, checks = variant.closure.numbers(), _checks_of(variant, chain)
    version = VERSION if checks else 1
    front = _FRONT.pack(_MAGIC, version, len(text), len(program), len(numbers))
    content = b"".join((front, text, program, struct.pack(f"<{len(numbers)}d", *numbers), checks))
    return content + _SUM.pack(zlib.crc32(content))


def _checks_of(variant: TraceVariant, chain: Chain) -> bytes:
    """The other program, or nothing where the first one is as good."""
    if variant.strict:
        return b""
    twin = variant.strict_twin() if chain in ((), _LOADED) else None
    if twin is not None and (
        variant.traced.checks or variant.program(chain).may_overflow_otherwise
    ):
        return twin.program(chain).to_bytes()
    return variant.traced.select([]).optimised(True).to_bytes() if variant.traced.checks else b""


def program_of_bytes(content: bytes) -> tuple[TraceVariant, Chain, CallConvention]:
    """What `program_to_bytes` was given. Raises some Exception for anything else."""
    if content[:4] != _MAGIC:
        raise FormatError("it is not of arenagrad's making")
    if len(content) < _FRONT.size + _SUM.size:
        raise FormatError("it is cut short")
    _, version, head_length, program_length, count = _FRONT.unpack_from(content)
    if not 1 <= version <= VERSION:
        raise FormatError(f"it has the format {version}, and this version reads 1 to {VERSION}")
    body = content[: -_SUM.size]
    if _SUM.unpack(content[-_SUM.size :])[0] != zlib.crc32(body):
        raise FormatError("it is cut short or damaged: its checksum is wrong")
    program_at = _FRONT.size + head_length
    numbers_at = program_at + program_length
    checks_at = numbers_at + 8 * count
    if len(body) < checks_at or (version == 1 and len(body) > checks_at):
        raise FormatError("it is not as long as it says")
    program = native.Program(body[program_at:numbers_at])
    checks = program if version == 1 else native.Program(body[checks_at:])
    numbers = struct.unpack_from(f"<{count}d", body, numbers_at)
    return _checked(json.loads(body[_FRONT.size : program_at]), program, checks, numbers, version)


def _checked(
    head: dict[str, Any],
    program: native.Program,
    checks: native.Program,
    numbers: Sequence[float],
    version: int,
) -> tuple[TraceVariant, Chain, CallConvention]:
    arguments, results = _tree(head["arguments"]), _tree(head["results"])
    if arguments.numbers + len(numbers) != program.inputs or results.numbers != program.outputs:
        raise FormatError("its program does not fit its arguments or results")
    if checks.inputs != program.inputs:
        raise FormatError("its checks do not fit its program")
    if head["arguments"][0][0] != "tuple":
        raise FormatError("its arguments are no tuple")
    buffered, stats = head["buffered"], head["stats"]
    is_pair = head["results"][0][0] == "tuple" and len(results) == 2
    if type(buffered) is not int or not (buffered == -1 or (buffered == 1 and is_pair)):
        raise FormatError("it has buffers for no results")
    if not all(type(stat) is _STATS[name] for name, stat in stats.items()):
        raise FormatError("it has figures of an unknown kind")
    convention = CallConvention(
        _axes_of(head["in_axes"]),
        tuple(map(_whole, head["static_argnums"])),
        _truth(head["reduced"]),
        _truth(head["mean"]),
    )
    if convention.reduced < convention.mean or (convention.in_axes is None and convention.reduced):
        raise FormatError("it reduces what has no rows")
    closure = Closure(tuple(Value(number) for number in numbers))
    derived = DerivedProgram(program, results, buffered, stats=stats)
    variant = TraceVariant.of_derived(arguments, closure, _truth(head["strict"]), _LOADED, derived)
    variant.traced = checks
    if version > 1 and checks.outputs == program.outputs:
        strictly = DerivedProgram(checks, results, buffered)
        twin = TraceVariant.of_derived(arguments, closure, True, _LOADED, strictly)
        variant.use_strict_twin(twin)
    # What will run it must take it.
    if convention.in_axes is None:
        variant.point_executable(_LOADED)
    else:
        variant.batch_executable(_LOADED)
    return variant, _LOADED, convention


# Structures


def _parts(tree: PyTree, what: str) -> list[Any]:
    """What JSON says of a structure; a Module is a list of its numbers there."""
    parts: list[Any] = []
    for kind, varies, size, extra in tree.to_parts():
        if kind == "module":
            parts.append(["list", varies, size, []])
            parts += [["number", varies, None, []]] * size
            continue
        if kind in ("dataclass", "registered"):
            raise TypeError(
                f"a program whose {what} hold {extra[0][0].__qualname__} cannot be saved: of "
                "objects only lists, dicts and plain tuples can"
            )
        if kind == "tuple":
            if extra[0] is not tuple:
                raise TypeError(
                    f"a program whose {what} hold {extra[0].__qualname__} cannot be saved: "
                    "of tuples only plain ones can"
                )
            extra = ()
        parts.append([kind, varies, size, [_constant(thing, what) for thing in extra]])
    return parts


def _tree(parts: Any) -> PyTree:
    made = []
    for kind, varies, size, extra in parts:
        if kind in ("module", "dataclass", "registered"):
            raise FormatError("it has an object of another making")
        things = tuple(map(_constant_of, extra))
        if kind == "number" and not all(type(thing) in (int, float) for thing in things):
            raise FormatError("it has a number that is none")
        if kind == "tuple":
            things = (*things, tuple)
        made.append((kind, varies, tuple(size) if isinstance(size, list) else size, things))
    return PyTree(tuple(made))


def _constant(thing: Any, what: str) -> Any:
    """What JSON says of an object that is no part of the mathematics."""
    if thing is None or type(thing) in (bool, str):
        return thing
    if type(thing) is int:
        return {"int": hex(thing)}
    if isinstance(thing, float):  # NumPy's too
        return {"float": float(thing).hex()}
    if type(thing) is tuple:
        return {"tuple": [_constant(item, what) for item in thing]}
    raise TypeError(
        f"a program whose {what} hold {type(thing).__qualname__} cannot be saved: besides numbers "
        "and arrays only None, bools, ints, floats, texts, and tuples of them can"
    )


def _constant_of(said: Any) -> Any:
    if said is None or type(said) in (bool, str):
        return said
    ((kind, content),) = said.items()
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float.fromhex(content)
    if kind == "tuple":
        return tuple(map(_constant_of, content))
    raise FormatError(f"it has a constant of an unknown kind: {kind}")


def _axes(axes: Any) -> Any:
    """What JSON says of in_axes."""
    if isinstance(axes, list | tuple):
        return [_axes(item) for item in axes]
    if isinstance(axes, dict):
        return {"dict": [[_constant(k, "in_axes"), _axes(v)] for k, v in axes.items()]}
    return None if axes is None else int(axes)


def _axes_of(said: Any) -> Any:
    if isinstance(said, list):
        return tuple(map(_axes_of, said))
    if isinstance(said, dict):
        return {_constant_of(key): _axes_of(item) for key, item in said["dict"]}
    return None if said is None else _whole(said)


def _whole(said: Any) -> int:
    if type(said) is not int:
        raise FormatError("it has something else in place of a whole number")
    return said


def _truth(said: Any) -> bool:
    if type(said) is not bool:
        raise FormatError("it has something else in place of a bool")
    return said
