"""Files that are complete or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def complete_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when all has been written; if not, it never was.

    It is written through links and keeps the mode of one that was there. Raises OSError, which
    names this path, if there cannot be such a file.
    """
    given = os.fsdecode(path)
    target = os.path.realpath(given)
    is_there = os.path.exists(target)
    if is_there and not os.path.isfile(target):  # a pipe or device; a folder is refused
        with open(given, "wb") as file:
            yield file
        return
    # Not named after the target, whose name may be as long as names can be.
    beside = os.path.join(os.path.dirname(target), f".arenagrad.{os.urandom(8).hex()}")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if is_there:
                os.fchmod(file.fileno(), os.stat(target).st_mode & 0o7777)
        os.replace(beside, target)
    except OSError as error:
        if error.filename != beside:
            raise
        raise OSError(error.errno, error.strerror, given) from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)
