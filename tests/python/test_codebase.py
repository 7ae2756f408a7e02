"""The rules of the house, checked on the files: layers, sizes, names, documentation.

They need the source tree and no compiler; only what a name of the package means is asked of the
installed package. Only files that could be tracked are read: caches and builds beside are not.
"""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

import arenagrad
import arenagrad.functions
import arenagrad.linalg
import arenagrad.losses
import arenagrad.nn
import arenagrad.optim
from arenagrad import _core, compat

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FUNCTION = 60  # lines
# Where nothing was written by hand, or nothing is ours.
IGNORED = [
    *(
        "build",
        "build-*",
        "dist",
        "wheelhouse",
        "__pycache__",
        "*.egg-info",
        "*_cache",
        ".hypothesis",
        "PKG-INFO",
    ),
    *(".git", ".venv", "venv", "*.pyc", "*.so", "*.orig", "*.rej"),
]
TOP = {
    *("pyproject.toml", "CMakeLists.txt", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(
        "CMakePresets.json",
        "noxfile.py",
        "LICENSE",
        "cpp",
        "python",
        "tests",
        "benchmarks",
        "examples",
    ),
}
EXPLAINED_BY = [
    "cpp/core/ops.def",
    "cpp/core/op_rules.h",
    "cpp/core/arena.h",
    "cpp/core/sweep.cpp",
    "cpp/README.md",
]


def is_ignored(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(fnmatch(part, pattern) for part in parts for pattern in IGNORED)


def files(*folders: str, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """Every file of ours below these folders of the root, sorted; only these suffixes, if any."""
    found = [
        path
        for folder in folders
        for path in [ROOT / folder, *sorted((ROOT / folder).rglob("*"))]
        if path.is_file() and not is_ignored(path)
    ]
    assert found, f"nothing in {folders}: is this the source tree?"
    return [path for path in found if not suffixes or path.suffix in suffixes]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


CPP = (".h", ".cpp", ".def")
WRITTEN = (*CPP, ".py", ".pyi", ".md", ".txt", ".toml", ".yml", "")
EVERYTHING = files(*sorted(TOP), suffixes=WRITTEN)  # whatever else lies there is not ours
PACKAGE = files("python", suffixes=(".py",))
every_file = pytest.mark.parametrize("path", EVERYTHING, ids=name_of)


def includes(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+([<"][^>"]+[>"])', path.read_text(), re.MULTILINE)


def without_comments(path: Path) -> str:
    """C++ text without comments and string literals."""
    text = re.sub(r'R"\(.*?\)"', '""', path.read_text(), flags=re.DOTALL)
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


# Layers


@pytest.mark.parametrize("path", files("cpp/core", suffixes=CPP), ids=name_of)
def test_the_core_includes_its_own_headers_and_the_standard_library_only(path: Path) -> None:
    system = {"<sys/mman.h>", "<unistd.h>"} if path.name == "virtual_memory.cpp" else set()
    for included in includes(path):
        if included.startswith('"'):
            assert (ROOT / "cpp/core" / included.strip('"')).is_file(), included
            assert "/" not in included
        elif included not in system:
            assert re.fullmatch(r"<[a-z_]+>", included), f"{included} is no standard header"
    assert not re.search(r"\bPy[A-Z_]\w*|\bpybind11\b|\bpy::", without_comments(path))


@pytest.mark.parametrize("path", files("cpp/bindings", suffixes=CPP), ids=name_of)
def test_the_bindings_do_no_arithmetic_on_numbers(path: Path) -> None:
    text = without_comments(path)
    functions = (
        "exp|exp2|expm1|log|log2|log10|log1p|pow|sqrt|cbrt|hypot|fma|a?sinh?|a?cosh?|a?tanh?"
    )
    found = re.findall(rf"\b(?:std::|::)?(?:{functions})\s*\(", text)
    assert not found, f"formulas belong in ops.def: {found}"
    # A primal or an adjoint may be copied and compared, but not combined with anything.
    reading = r"(?:arena\(\)|\bg)\.(?:data|gradient)\([^()]*(?:\([^()]*\))?[^()]*\)"
    assert not re.search(rf"{reading}\s*[-+*/][^>]|[-+*/]\s*(?:\w+\.)*{reading}", text)


def test_formulas_of_operations_stand_in_the_table_and_its_helpers_only() -> None:
    users = {
        path.name
        for layer in ("core", "bindings")
        for path in files(f"cpp/{layer}", suffixes=CPP)
        if re.search(r"(?<![\w.>:])(std::)?(exp2?|log1p|pow|tanh)\(", without_comments(path))
    }
    assert users <= {"ops.def", "op_math.h", "op_domain.h", "nary.h", "special.cpp"}


def test_the_bindings_reach_into_the_core_and_the_core_never_back() -> None:
    below = {"core": {"core"}, "program": {"core", "program"}}
    for layer in ("core", "program", "bindings"):
        for path in files(f"cpp/{layer}", suffixes=CPP):
            for included in includes(path):
                if "/" in included and included.startswith('"'):
                    assert (ROOT / "cpp" / included.strip('"')).is_file(), included
                    reached = included.strip('"').partition("/")[0]
                    assert reached in below.get(layer, {"core", "program", "bindings"})


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


MAY_IMPORT = {
    "arenagrad/__init__.py": {"arenagrad", "importlib", "typing"},
    "arenagrad/engine.py": {"arenagrad"},
    "arenagrad/nn.py": {"arenagrad", "random", "collections", "os", "typing"},
}
NUMERICS = {"math", "cmath", "numpy", "statistics", "decimal", "fractions", "scipy", "torch"}
# The demo draws moons, the benchmark averages times, a schedule is one number an epoch: none is
# part of the engine. Saving moves NumPy arrays between files and Values, and computes nothing.
# Derivatives that are mostly 0 are handed to SciPy as they are. Matrices of numbers are NumPy's to
# factorise; those of Values are factorised by operations, as in any function of a user's. The class
# of arrays of Values is one of NumPy's.
MAY_CALCULATE = {
    "arrays.py",
    "linalg.py",
    "sparse.py",
    "bench.py",
    "demo.py",
    "moons.py",
    "saving.py",
    "schedules.py",
}


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_the_python_files_do_no_numerics(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    inside = path.relative_to(ROOT / "python").as_posix()
    if inside in MAY_IMPORT:
        assert roots <= MAY_IMPORT[inside]
    if path.name not in MAY_CALCULATE:
        assert not roots & NUMERICS


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_the_package_imports_neither_tests_nor_benchmarks_nor_micrograd(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    foreign = {"micrograd", "pytest", "hypothesis", "mpmath"}
    assert not roots & {"tests", "benchmarks", "examples", *foreign}


# Sizes and texts


@pytest.mark.parametrize(
    "path", files("python", "tests", "benchmarks", "examples", suffixes=(".py",)), ids=name_of
)
def test_no_python_function_is_longer_than_sixty_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            docstring = node.body[0] if ast.get_docstring(node) else None
            if docstring is not None and docstring.end_lineno is not None:
                lines -= docstring.end_lineno - docstring.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


def test_the_five_files_that_explain_the_engine_are_short() -> None:
    # Rows of the table of operations are looked up and not read.
    lengths = {
        name: sum(
            not line.startswith("ARENAGRAD_") for line in (ROOT / name).read_text().splitlines()
        )
        for name in EXPLAINED_BY
    }
    assert sum(lengths.values()) <= 700, lengths


@every_file
def test_texts_name_no_machine_and_leave_nothing_to_do(path: Path) -> None:
    text = path.read_text()
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
    assert not re.search(rf"\b({marks})\b", text)
    homes = "|".join(("/ho" + "me", "/Us" + "ers", "/ro" + "ot"))
    assert not re.search(rf"(?<![\w.$}}])({homes})/\w", text)
    assert "\t" not in text or path.suffix == ".txt"
    assert text == "" or text.endswith("\n")
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)


PYTHON_STATEMENT = re.compile(
    r"(def|class|for|if|while|with)\b.*[:)]:$|import \w+$|from [\w.]+ import .*"
    r"|[\w.]+(\(.*\)| [-+*/]?= \S+)$"
)
CPP_STATEMENT = re.compile(
    r"(\w[\w:<>*&]*\s+)?[\w.:>\[\]-]+\s*(\(|[-+*/]?=).*[;{]$|#\s*(include|define|if|endif)\b"
)


@every_file
def test_no_code_is_commented_out(path: Path) -> None:
    kinds = dict.fromkeys(CPP, ("//", CPP_STATEMENT))
    kinds |= dict.fromkeys((".py", ".pyi"), ("#", PYTHON_STATEMENT))
    sign, statement = kinds.get(path.suffix, ("nothing is a comment here", CPP_STATEMENT))
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip().startswith(sign):
            comment = line.strip().removeprefix(sign).strip()
            assert not statement.match(comment), f"line {number}: {line}"


def test_each_operation_is_one_line_of_the_table() -> None:
    text = (ROOT / "cpp/core/ops.def").read_text()
    rows = [line for line in text.splitlines() if line.startswith("ARENAGRAD_OP")]
    whole = r'ARENAGRAD_OP\((\w+),\s*(\w+),\s*"([^"]+)",\s*(Unary|Binary|Parametric),.*\)(\s*//.*)?'
    matches = [re.fullmatch(whole, row) for row in rows]
    assert all(matches), rows
    assert [m.groups()[:3] for m in matches if m] == [
        (row["id"], row["name"], row["symbol"]) for row in _core.op_table()
    ]


def starts_of_columns(row: str) -> tuple[int, ...]:
    """Where the arguments of a macro's call start; brackets and quotes hide commas."""
    starts, depth, quoted = [row.index("(") + 1], 0, False
    for i, sign in enumerate(row):
        quoted ^= sign == '"'
        depth += 0 if quoted else (sign == "(") - (sign == ")")
        if depth == 0 and i >= starts[0]:
            break
        if sign == "," and depth == 1 and not quoted:
            starts.append(i + 1 + len(row[i + 1 :]) - len(row[i + 1 :].lstrip()))
    return tuple(starts[1:])


@pytest.mark.parametrize("table", ["cpp/core/ops.def", "cpp/program/ir/opcodes.def"])
def test_the_columns_of_the_tables_stand_in_line(table: str) -> None:
    rows = re.findall(
        r"^(ARENAGRAD_(?:OP|OPCODE|NARY|GROUP))(\(.*)$", (ROOT / table).read_text(), re.M
    )
    for kinds in ({"ARENAGRAD_OP"}, {"ARENAGRAD_OPCODE"}, {"ARENAGRAD_NARY", "ARENAGRAD_GROUP"}):
        found = {starts_of_columns(name + rest) for name, rest in rows if name in kinds}
        assert len(found) <= 1, f"columns of {kinds} start at {found}"


def at_the_top() -> set[str]:
    """The names git tracks there, or all there are where git does not know the folder."""
    git = ["git", "-C", str(ROOT), "ls-files"]
    try:
        tracked = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        tracked = ""
    if not tracked:
        return {path.name for path in ROOT.iterdir() if not is_ignored(path)}
    return {name.partition("/")[0] for name in tracked.splitlines()}


def test_nothing_else_lies_at_the_top() -> None:
    present = at_the_top()
    assert present >= TOP
    assert not {name for name in present - TOP if not name.startswith(".")}


# The public interface


def public(module: Any) -> dict[str, Any]:
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, thing in vars(module).items()
            if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
        ]
    return {name: getattr(module, name) for name in names}


@pytest.mark.parametrize(
    "module",
    [
        *(arenagrad, arenagrad.nn, arenagrad.optim, arenagrad.losses, arenagrad.linalg),
        *(compat, arenagrad.engine),
        *(_core, _core.functions, _core.optim, _core.compiled),
    ],
)
def test_everything_public_is_documented(module: Any) -> None:
    assert inspect.getdoc(module)
    for name, thing in public(module).items():
        if not callable(thing):
            continue
        assert inspect.getdoc(thing), f"{module.__name__}.{name} has no docstring"
        members = vars(thing) if inspect.isclass(thing) else {}
        for member, value in members.items():
            if not member.startswith("_") and callable(value):
                assert inspect.getdoc(value), f"{name}.{member} has no docstring"


@pytest.mark.parametrize(
    "path", files("python", "tests/python", "examples", suffixes=(".py",)), ids=name_of
)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def natural(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """The order in which a person looks: classes first, log2 before log10."""
    parts = re.findall(r"(\d+)|(\D+)", name)
    return not name[0].isupper(), [(int(number or 0), text) for number, text in parts]


def test_the_list_of_public_names_is_sorted_and_complete() -> None:
    names, functions = arenagrad.__all__, arenagrad.functions.__all__
    assert functions == _core.functions.__all__ == tuple(sorted(functions))
    assert names[: len(functions)] == functions
    own = names[len(functions) :]
    assert own == tuple(sorted(own, key=natural))
    assert len(set(names)) == len(names)
    source = ast.parse((ROOT / "python/arenagrad/__init__.py").read_text())
    bound = {
        alias.asname or alias.name
        for node in source.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("arenagrad")
        for alias in node.names
    }
    assert bound >= {"*", "__all__"}  # those of arenagrad.functions
    late = {"ValueArray"}  # a class of NumPy's, which is not imported before it is needed
    assert set(own) == bound - {"*", "__all__"} | {"__version__"} | late
    assert all(getattr(arenagrad, name) is getattr(_core.functions, name) for name in functions)


NATIVE = {"__init__": _core} | {
    name: getattr(_core, name) for name in ("functions", "optim", "compiled")
}


def names_in_stub(name: str = "__init__") -> dict[str, ast.AST]:
    """What a stub declares, and the submodules it has."""
    tree = ast.parse((ROOT / f"python/arenagrad/_core/{name}.pyi").read_text())
    names: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
        elif isinstance(node, ast.ImportFrom) and node.module == "arenagrad._core":
            names |= {alias.name: node for alias in node.names if alias.asname is not None}
    return {name: node for name, node in names.items() if not name.startswith("_")}


@pytest.mark.parametrize("name", NATIVE)
def test_the_stub_names_exactly_what_the_native_module_has(name: str) -> None:
    present = {native for native in vars(NATIVE[name]) if not native.startswith("_")}
    assert set(names_in_stub(name)) == present


def test_native_submodules_are_imported_like_any_other_module() -> None:
    for name, module in NATIVE.items():
        if name != "__init__":
            assert module.__name__ == f"arenagrad._core.{name}"
            assert sys.modules[module.__name__] is importlib.import_module(module.__name__)
    stubs = {path.stem for path in (ROOT / "python/arenagrad/_core").iterdir()}
    assert stubs == set(NATIVE), "a stub for each native module and nothing else"


def test_the_stub_declares_every_method_and_property_of_value() -> None:
    stub = names_in_stub()["Value"]
    assert isinstance(stub, ast.ClassDef)
    declared = {
        node.name if isinstance(node, ast.FunctionDef) else node.target.id
        for node in stub.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name))
    }
    present = {
        name
        for name, member in vars(arenagrad.Value).items()
        if not name.startswith("__") and type(member).__name__ != "AbsentAttribute"
    }
    assert present <= declared, present - declared


def test_public_names_come_from_where_users_know_them() -> None:
    for name in ("engine", "nn", "compat"):
        assert importlib.import_module(f"arenagrad.{name}").__name__ in sys.modules
    assert arenagrad.engine.Value is arenagrad.Value
    assert arenagrad.Value.__module__ == "arenagrad"
    for name in arenagrad.__all__:
        thing = getattr(arenagrad, name)
        if inspect.isclass(thing):
            assert thing.__module__ == "arenagrad", f"{name} shows where it was built"


# The tests themselves


TESTS = [path for path in files("tests/python", suffixes=(".py",)) if path.name[:5] == "test_"]


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_the_name_of_every_test_is_a_sentence(path: Path) -> None:
    names = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    ]
    assert names
    assert len(set(names)) == len(names), "a later test hides an earlier one of the same name"
    for name in names:
        words = name.split("_")
        assert len(words) >= 4, f"{name} says too little"
        assert all(words), f"{name} is not words with one underscore between them"


@pytest.mark.parametrize("path", files("tests/cpp", suffixes=(".cpp",)), ids=name_of)
def test_the_name_of_every_native_test_is_a_sentence(path: Path) -> None:
    names = re.findall(r'TEST_CASE\("([^"]*)"', path.read_text())
    assert names or "TEST_CASE" not in path.read_text()
    for name in names:
        assert len(name.split()) >= 4, f"{name} says too little"


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_a_test_left_out_gives_its_reason(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    left_out = {"skip", "skipif", "xfail"}
    marks = [n for n in nodes if isinstance(n, ast.Attribute) and n.attr in left_out]
    calls = [n for n in nodes if isinstance(n, ast.Call) and n.func in marks]
    assert len(calls) == len(marks), "a mark without arguments gives no reason"
    for call in calls:
        assert call.args or "reason" in {k.arg for k in call.keywords}, f"line {call.lineno}"


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_file_of_tests_has_one_that_is_quick(path: Path) -> None:
    nodes = ast.parse(path.read_text()).body
    tests = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    slow = [n for n in tests if "pytest.mark.slow" in map(ast.unparse, n.decorator_list)]
    assert len(slow) < len(tests)


def test_the_guide_to_the_tests_mentions_every_file_of_them() -> None:
    guide = (ROOT / "tests/README.md").read_text()
    for path in files("tests/python", suffixes=(".py",)):
        assert f"`{path.name}`" in guide, f"{path.name} is not in tests/README.md"
