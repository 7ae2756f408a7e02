"""The functions of Values and numbers: those of one, two and any number of operands.

They are native; `_core/functions.pyi` describes them.
"""

from arenagrad._core.functions import *  # noqa: F403, the stub lists them, and no other file
from arenagrad._core.functions import __all__ as __all__
