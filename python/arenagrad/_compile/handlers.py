"""Whether Python code goes on after an error at some place in it.

An operation that fails there decides what the function does next, as a comparison does. The tables
of handlers and the bytecode tell: an error is caught where a handler that covers the place can be
left other than by raising.
"""

import dis
from types import CodeType
from weakref import WeakKeyDictionary

_NO_RETURN = ("RERAISE", "RAISE_VARARGS")
_ALWAYS_JUMPS = ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE")
# Of each code object the ranges of offsets in which an error is caught.
_known: WeakKeyDictionary[CodeType, list[range]] = WeakKeyDictionary()


def would_go_on(code: CodeType, offset: int) -> bool:
    """Whether this code may go on after an error at this offset in its bytecode.

    `finally` and the cleaning up after comprehensions raise the error again; of a `with` block
    nobody knows before its `__exit__` is called, so it may. Handlers that are for other errors
    count, too.
    """
    if code not in _known:
        _known[code] = _caught(code)
    return any(offset in covered for covered in _known[code])


def _caught(code: CodeType) -> list[range]:
    entries = getattr(dis.Bytecode(code), "exception_entries", None)
    if entries is None:  # a Python whose tables are not known
        return [range(len(code.co_code))]
    handlers = _Handlers(code, [(range(e.start, e.end), e.target) for e in entries])
    return [covered for covered, target in handlers.entries if handlers.can_be_left(target)]


class _Handlers:
    """The handlers of one code object."""

    def __init__(self, code: CodeType, entries: list[tuple[range, int]]) -> None:
        self.entries = entries
        self._instructions = list(dis.get_instructions(code))
        self._at = {at.offset: k for k, at in enumerate(self._instructions)}

    def can_be_left(self, target: int) -> bool:
        """Whether a handler can be left other than by raising.

        Whoever leaves it so takes the error off the stack with POP_EXCEPT, and does not raise it.
        """
        met: set[int] = set()
        following = [self._at[target]]
        while following:
            k = following.pop()
            if k in met or k >= len(self._instructions):
                continue
            met.add(k)
            names = [at.opname for at in self._instructions[k : k + 2]]
            if names[0] == "POP_EXCEPT" and names[1:] != ["RERAISE"]:
                return True
            following += self._after(k)
        return False

    def _after(self, k: int) -> list[int]:
        """The instructions that may come next."""
        at = self._instructions[k]
        if at.opname in _NO_RETURN:
            outer = [target for covered, target in self.entries if at.offset in covered]
            return [self._at[target] for target in outer]
        if at.opname.startswith("RETURN_"):
            return []
        jumps = at.opcode in dis.hasjrel or at.opcode in dis.hasjabs
        targets = [self._at[at.argval]] if jumps else []
        return targets if at.opname in _ALWAYS_JUMPS else [*targets, k + 1]
