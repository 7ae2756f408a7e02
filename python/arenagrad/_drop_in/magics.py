"""`%install_as_micrograd` and `%%replace_class NAME`, after `%load_ext arenagrad` in a notebook.

IPython is never imported: the shell that loads the extension hands itself over.
"""

import ast
import sys
from collections.abc import Callable
from typing import Any

from arenagrad._drop_in import source
from arenagrad._drop_in.session import Session, missing, no_class


class _Decorate:
    """A transformer of the syntax trees of cells, in the form that the shell asks for."""

    def __init__(self, session: Session) -> None:
        """Decorate what this session wants."""
        self._session = session
        self.found: list[source.Wanted] = []

    def visit(self, tree: ast.Module) -> ast.Module:
        """The tree, its class statements decorated."""
        self.found += self._session.transform_tree(tree, "__main__")
        return ast.fix_missing_locations(tree)


class Magics:
    """The magics of one shell."""

    def __init__(self, shell: Any, install: Callable[[], None]) -> None:
        """Nothing is registered yet; install puts arenagrad under micrograd's name."""
        self._shell, self._install, self._session = shell, install, Session()
        self._session.facts.is_open = True  # cells to come may bind any name
        self._said = ""

    def register(self) -> None:
        """Make the magics known to the shell."""
        self._shell.register_magic_function(
            self.install_as_micrograd, "line", "install_as_micrograd"
        )
        self._shell.register_magic_function(self.replace_class, "cell", "replace_class")
        self._shell.events.register("post_run_cell", self._report)

    def install_as_micrograd(self, _line: str) -> None:
        """Make `import micrograd` give arenagrad from here on."""
        self._install()

    def replace_class(self, line: str, cell: str) -> None:
        """Run the cell; a class of this name that it defines, or imports, becomes Value."""
        names = line.split()
        if not names or not all(part.isidentifier() for n in names for part in n.split(".")):
            print("usage: %%replace_class NAME [NAME ...]", file=sys.stderr)
            return
        self._session.wanted = [source.Wanted.parse(name) for name in names]
        self._shell.user_ns[source.DECORATOR] = self._session.replace
        decorate, finder = _Decorate(self._session), self._session.finder()
        before = self._session.count
        self._shell.ast_transformers.append(decorate)
        sys.meta_path.insert(0, finder)
        try:
            self._shell.run_cell(cell)
        finally:
            self._shell.ast_transformers.remove(decorate)
            sys.meta_path.remove(finder)
        lacking = missing(self._session.wanted, decorate.found)
        if lacking and self._session.count == before:
            print(f"arenagrad: the cell has {no_class(lacking)}", file=sys.stderr)

    def _report(self, *_: Any) -> None:
        said = "\n".join(self._session.lines())
        if said != self._said:
            print(said, file=sys.stderr)
        self._said = said


def register(shell: Any, install: Callable[[], None]) -> None:
    """What `%load_ext arenagrad` does with the shell it comes from."""
    Magics(shell, install).register()
