"""What objects hold beside their `__dict__`."""

from collections.abc import Iterator
from types import MemberDescriptorType
from typing import Any


def slots_of(thing: Any) -> Iterator[Any]:
    """What the slots of an object hold, None for one that holds nothing."""
    for base in type(thing).__mro__:
        for name, held in vars(base).items():
            if isinstance(held, MemberDescriptorType):
                yield getattr(thing, name, None)
