"""The words of the house: the field's own, one word for one thing.

Names that were replaced must not come back. Identifiers are compared whole; prose is searched for
the few words that are never right there.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("cpp", "python", "tests", "benchmarks", "examples")
# Each name that is gone, and the one to write instead.
REPLACED = {
    **dict.fromkeys(("slope", "slopes", "Slopes"), "partial, partials"),
    **dict.fromkeys(("owe", "owes", "owed", "owed_", "Owed"), "accumulate, adjoint term"),
    **dict.fromkeys(("LanePlan", "LaneBlock", "LaneMemory", "LaneRunner"), "Batch..., Block..."),
    **dict.fromkeys(("Act", "acts"), "step"),
    **dict.fromkeys(("CodeOf", "kCodeCount", "code_of", "is_table_code"), "Opcode, opcode_of"),
    **dict.fromkeys(("SumOf", "DotOf", "NormOf"), "SumN, DotN, NormN"),
    **dict.fromkeys(("LogTotal", "LaneSum"), "LogSumExpShifted, RowSum"),
    **dict.fromkeys(("shortened", "kNothing", "OperandLists"), "the name of the pass"),
    **dict.fromkeys(("TreeBuilder", "branches_"), "PyTreeBuilder, nodes_"),
    **dict.fromkeys(("Runner", "_learn"), "PointExecutable, BatchExecutable, _remember"),
    **dict.fromkeys(("Leaving", "Arriving", "Portion"), "GraphEncoder, GraphDecoder, PicklePart"),
    **dict.fromkeys(("rehomed", "rehomed_", "leave_", "listed_", "deaths_"), "see core/reclaim.h"),
    **dict.fromkeys(("Told", "Rooms"), "progress, output buffers"),
}
# These are plain words elsewhere, and wrong as names in the sources.
REPLACED_IN_SOURCES = {
    **dict.fromkeys(("way", "ways", "Way", "Ways", "Paths"), "variant"),
    **dict.fromkeys(("act", "told", "_told"), "step, progress"),
    **dict.fromkeys(("cleaned", "picked"), "peephole, select_outputs"),
    **dict.fromkeys(("Tree", "Branch", "Code", "Call"), "PyTree, TreeNode, Opcode, NativeDispatch"),
    **dict.fromkeys(("Stage", "stages"), "DerivedProgram, Transform"),
}
# Files whose subject are the former names.
ABOUT_FORMER_NAMES = {
    "cpp/bindings/former_names.cpp",
    "cpp/program/ir/program_format.cpp",
    "tests/python/test_former_names.py",
    "python/arenagrad/_compile/former_names.py",
    "tests/python/test_words.py",
}
PROSE = re.compile(
    r"\b(slopes?|ow(?:e|es|ed))\b|\bways? (?:through|of) (?:a|the) (?:trace|function)"
)


def files(*suffixes: str) -> list[Path]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    paths += sorted(ROOT.glob("*.md"))
    return [
        path
        for path in paths
        if path.suffix in suffixes
        and path.relative_to(ROOT).as_posix() not in ABOUT_FORMER_NAMES
        and not {"build", "__pycache__"} & set(path.parts)
    ]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def identifiers(path: Path) -> set[str]:
    text = path.read_text()
    if path.suffix in (".py", ".pyi"):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return {token.string for token in tokens if token.type == tokenize.NAME}
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return set(re.findall(r"\b[A-Za-z_]\w*", text))


@pytest.mark.parametrize("path", files(".h", ".cpp", ".def", ".py", ".pyi"), ids=name_of)
def test_no_identifier_is_a_name_that_was_replaced(path: Path) -> None:
    replaced = dict(REPLACED)
    if path.relative_to(ROOT).parts[0] in ("cpp", "python"):
        replaced |= REPLACED_IN_SOURCES
    found = identifiers(path) & replaced.keys()
    assert not found, {name: f"write {replaced[name]}" for name in found}


@pytest.mark.parametrize(
    "path", files(".h", ".cpp", ".def", ".py", ".pyi", ".md", ".txt"), ids=name_of
)
def test_no_text_speaks_of_slopes_or_of_owing(path: Path) -> None:
    lines = path.read_text().splitlines()
    found = [f"line {n}: {line}" for n, line in enumerate(lines, 1) if PROSE.search(line)]
    assert not found, found
