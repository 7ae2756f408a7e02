"""The numbers of models and optimisers in files: `.npz` archives that NumPy reads too.

A file holds each array under its name and, under the name `arenagrad`, a JSON text with the format
and the structure the arrays stand in. It is never unpickled; whatever it holds, reading gives the
state that was saved or raises FormatError.
"""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arenagrad import functions
from arenagrad._core import FormatError, Value
from arenagrad._support.files import complete_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
_HEAD = "arenagrad"
_LONGEST = 60_000  # bytes of a name: a zip archive has two for its length
_NUMBERS = "fiub"  # the kinds of NumPy arrays that a file may hold: nothing that needs pickle


class Stateful:
    """The base of `nn.Module`: an object whose Values are saved by the names of its attributes."""

    def state_dict(self) -> dict[str, Any]:
        """The data of every Value that the attributes hold, as a dict of NumPy arrays.

        Attributes are walked in their order, Modules, lists, tuples and dicts among them in turn;
        names are joined with dots, as in `layers.0.neurons.1.w`. A list or an object array of
        Values, nested or not, is one array. Whatever else a Module holds is left out, and one that
        is met again is not walked again. The arrays are copies.

        Raises ValueError if two names are the same, or if `parameters()` lists a Value that stands
        in none of these places.
        """
        return state_dict(self)

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Write the numbers of a `state_dict()` into the Values of the same names.

        With strict the names must be exactly those of this Module; without, what only one of the
        two has is left alone. Raises ValueError, which tells all that does not fit: names, shapes,
        arrays that hold no real numbers; no Value has changed then.
        """
        load_state_dict(self, state, strict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `state_dict()` to a `.npz` file; see `arenagrad.save`."""
        save(self, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Load the state in a file that `save` wrote.

        Raises FormatError for a file that is damaged or none of ours, ValueError for one that does
        not fit this Module; no Value has changed then.
        """
        load_state_dict(self, load(path))


def state_dict(module: Any) -> "dict[str, NDArray[np.float64]]":
    """The numbers of a Module's Values by name; see `Module.state_dict`."""
    groups = dict(_named_groups(module))
    arrays = {name: functions.data_of(group) for name, group in groups.items()}
    saved = {id(value) for group in groups.values() for value in _values_in(group)}
    lost = sum(isinstance(p, Value) and id(p) not in saved for p in module.parameters())
    if lost:
        raise ValueError(
            "every parameter must stand in an attribute, or in lists, tuples, dicts, arrays and "
            f"Modules there; a state would lack {lost} of them"
        )
    return arrays


def load_state_dict(module: Any, state: Any, strict: bool = True) -> None:
    """Write a state into the Values of a Module; see `Module.load_state_dict`."""
    import numpy as np

    if not isinstance(state, dict):
        raise TypeError(f"a state must be a dict, got {type(state).__name__}")
    groups = dict(_named_groups(module))
    problems = []
    if strict:
        problems += [f"{name} is missing" for name in groups if name not in state]
        problems += [f"{name} is not in the module" for name in state if name not in groups]
    arrays = {}
    for name, group in groups.items():
        if name not in state:
            continue
        array = arrays[name] = np.asarray(state[name])
        shape = functions.data_of(group).shape
        if array.dtype.kind not in _NUMBERS:
            problems.append(f"{name} should hold numbers and has the dtype {array.dtype}")
        elif array.shape != shape:
            problems.append(f"{name} should have the shape {shape} and has {array.shape}")
    if problems:
        raise ValueError("the state does not fit the module: " + "; ".join(problems))
    for name, array in arrays.items():
        functions.assign(groups[name], array)


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write the state of a Module, or any state, to a `.npz` file.

    state is a Module, of which the `state_dict()` is written, or numbers, texts, None, NumPy arrays
    and Values (as their data) in dicts and lists, such as an optimiser's `state_dict()`. The file
    is complete or not there: until it is, one that was there before stays.

    Raises TypeError for anything else in the state and ValueError for names that collide; OSError
    if the file cannot be written.
    """
    arrays: dict[str, Any] = {}
    try:
        plan = _plan(state_dict(state) if isinstance(state, Stateful) else state, "", arrays)
    except RecursionError:
        raise ValueError("the state is nested too deeply, or contains itself") from None
    with complete_file(path) as file:
        _write(file, {"format": FORMAT, "state": plan}, arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """The state that `save` wrote to this file: the dict of arrays of a Module, or what it was.

    Tuples come back as lists, Values as arrays of their data. Raises FormatError, which names the
    file, for one that is damaged, of another format or none of ours; OSError if there is none.
    """
    content = Path(os.fsdecode(path)).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read(archive, len(content))
    except MemoryError:
        raise
    except Exception as error:  # whatever zipfile, json and NumPy find wrong
        raise FormatError(
            f"{os.fsdecode(path)} cannot be read as a saved state: {error}"
        ) from error


# Names


def _named_groups(module: Any) -> Iterator[tuple[str, Any]]:
    """Each Value, or array of Values as nested lists, that the attributes hold, with its name."""
    names = set()
    for name, group in _groups("", module, {}):
        if name in names:
            raise ValueError(f"two attributes have the name {name} in the state")
        names.add(name)
        yield name, group


def _groups(name: str, thing: Any, seen: dict[int, Any]) -> Iterator[tuple[str, Any]]:
    held = thing
    if hasattr(thing, "__array_interface__") and getattr(thing, "dtype", "") == "O":
        thing = thing.tolist()
    if isinstance(thing, Value):
        yield name, thing
        return
    if not isinstance(thing, Stateful | dict | list | tuple) or id(held) in seen:
        return
    seen[id(held)] = thing  # kept, so that no list made here later lies where this one did
    if isinstance(thing, list | tuple):
        if _is_array_of_values(thing):
            yield name, thing
            return
        members: Any = enumerate(thing)
    else:
        members = (thing if isinstance(thing, dict) else vars(thing)).items()
    for key, member in members:
        yield from _groups(f"{name}.{key}" if name else str(key), member, seen)


def _is_array_of_values(thing: Any) -> bool:
    items, above = [thing], set[int]()
    while items and all(isinstance(item, list | tuple) for item in items):
        here = set(map(id, items))
        if len({len(item) for item in items}) != 1 or here & above:  # a list that is in itself
            return False
        above |= here
        items = [member for item in items for member in item]
    return bool(items) and all(isinstance(item, Value) for item in items)


def _values_in(group: Any) -> Iterator[Value]:
    if isinstance(group, Value):
        yield group
    else:
        for member in group:
            yield from _values_in(member)


# Files


def _plan(thing: Any, name: str, arrays: dict[str, Any]) -> Any:
    """What JSON says of a state; the arrays in it go to `arrays`."""
    import numpy as np

    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, dict):
        if not all(isinstance(key, int | str) for key in thing):
            raise TypeError(f"the keys of {name or 'a state'} must be texts or whole numbers")
        return {"dict": [[k, _plan(v, _below(name, k), arrays)] for k, v in thing.items()]}
    if isinstance(thing, Value) or (isinstance(thing, list | tuple) and _is_array_of_values(thing)):
        thing = functions.data_of(thing)
    elif isinstance(thing, list | tuple):
        return {"list": [_plan(v, _below(name, i), arrays) for i, v in enumerate(thing)]}
    elif not isinstance(thing, np.ndarray | np.generic):
        raise TypeError(f"{name or 'a state'} is {type(thing).__name__}, which cannot be saved")
    array = np.asarray(thing)
    if array.dtype == object:
        array = functions.data_of(array)
    if array.dtype.kind not in _NUMBERS:
        raise TypeError(f"{name or 'a state'} has the dtype {array.dtype}, which cannot be saved")
    if len(name.encode()) > _LONGEST:
        raise ValueError(f"the name {name[:40]}... in the state is too long")
    if name in arrays or name == _HEAD or "\0" in name:
        raise ValueError(f"an array in the state cannot have the name {name!r}, or has it twice")
    arrays[name] = array
    return {"array": name}


def _below(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def _write(file: Any, head: Any, arrays: dict[str, Any]) -> None:
    from numpy import frombuffer
    from numpy.lib.format import write_array

    text = frombuffer(json.dumps(head).encode(), dtype="u1")
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in {_HEAD: text, **arrays}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                write_array(entry, array, allow_pickle=False)


def _read(archive: zipfile.ZipFile, size: int) -> Any:
    entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise ValueError("it has two entries of one name")
    if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
        raise ValueError("it is compressed")
    if sum(info.file_size for info in archive.infolist()) > size:
        raise ValueError("its entries are longer than it is")
    if _HEAD not in entries:
        raise ValueError("it is not of arenagrad's making")
    head = json.loads(_read_array(archive, entries.pop(_HEAD)).tobytes())
    if not isinstance(head, dict) or head.get("format") != FORMAT or head["format"] is True:
        found = head.get("format") if isinstance(head, dict) else None
        raise ValueError(f"it has the format {found!r}, and this version reads {FORMAT}")
    arrays = {name: _read_array(archive, info) for name, info in entries.items()}
    if "state" not in head:
        raise ValueError("it holds no state")
    state = _restored(head["state"], arrays)
    if arrays:
        raise ValueError(f"it has arrays without a place: {', '.join(arrays)}")
    return state


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    """The array of one entry, whose header must be right before its data are read."""
    import numpy as np
    from numpy.lib import format as npy

    with archive.open(info) as entry:
        version = npy.read_magic(entry)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        shape, fortran, dtype = read_header[version](entry)
        if dtype.hasobject or dtype.kind not in _NUMBERS:
            raise ValueError(f"{info.filename} has the dtype {dtype}")
        count = 1
        for length in shape:
            if length < 0:
                raise ValueError(f"{info.filename} has the shape {shape}")
            count *= length
        if count * dtype.itemsize != info.file_size - entry.tell():
            raise ValueError(f"{info.filename} is not as long as its shape {shape} says")
        array = np.frombuffer(bytearray(entry.read()), dtype=dtype, count=count)
    return array.reshape(shape, order="F" if fortran else "C")


def _restored(plan: Any, arrays: dict[str, Any]) -> Any:
    """The state of a plan; takes the arrays that it uses."""
    if not isinstance(plan, dict):
        return plan
    kind, content = next(iter(plan.items()), (None, None))
    if len(plan) == 1 and kind == "dict" and isinstance(content, list):
        pairs = [_pair(member) for member in content]
        if len(dict(pairs)) != len(pairs):
            raise ValueError("it has a name twice")
        return {key: _restored(member, arrays) for key, member in pairs}
    if len(plan) == 1 and kind == "list" and isinstance(content, list):
        return [_restored(member, arrays) for member in content]
    if len(plan) == 1 and kind == "array" and content in arrays:
        return arrays.pop(content)
    raise ValueError(f"it has something of an unknown kind: {', '.join(map(str, plan))}")


def _pair(pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], int | str):
        raise ValueError("it has a key that is neither text nor number")
    return pair[0], pair[1]
