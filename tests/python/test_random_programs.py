"""Random programs with control flow mean the same in every mode of running them.

The oracle is `float_oracle`; `random_programs.py` says how modes are compared, and runs as many
programs as wanted. Programs that once differed are kept by their seeds.
"""

import math
from pathlib import Path

import pytest

import float_oracle
import random_programs
from float_oracle import Real, functions, record
from program_generator import points_of, source_of
from random_programs import Case, differences_of

# Eager Values warn where a number is read out of them, and so do traces.
pytestmark = pytest.mark.filterwarnings("ignore")
PROGRAMS, GROUP = 300, 30


def report(seed: int, folder: Path) -> str:
    """What differs in one program, with the program; empty if nothing does."""
    differences = differences_of(seed, folder)
    return "\n".join([source_of(seed), *map(str, differences)]) if differences else ""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, PROGRAMS, GROUP))
def test_all_modes_mean_the_same(first: int, tmp_path: Path) -> None:
    reports = [report(seed, tmp_path) for seed in range(first, first + GROUP)]
    assert not any(reports), "\n\n".join(filter(None, reports))


def test_the_first_programs_mean_the_same_in_all_modes(tmp_path: Path) -> None:
    reports = [report(seed, tmp_path) for seed in range(3)]
    assert not any(reports), "\n\n".join(filter(None, reports))


# Division by a subnormal number: its power of -1 is too large, though the quotient is not.
# The power 0.5 of -infinity, whose square root is nan. Products that overflow otherwise where they
# are fused (3001618, 4007084). A square that is checked, and stands in a comparison unchecked
# (4002221). Partials of prod() in another order (3019236).
@pytest.mark.parametrize("seed", [836, 1733, 954, 3001618, 4007084, 4002221, 3019236])
def test_programs_that_differed_once_do_so_no_more(seed: int, tmp_path: Path) -> None:
    assert not report(seed, tmp_path)


def test_a_mode_that_gave_another_branch_number_or_error_would_be_noticed() -> None:
    for seed in range(20):
        case = Case(seed)
        case.run_eager()
        assert case.differences == []
        for i, answer in case.oracle.answers.items():
            wrong = [answer._replace(path=answer.path + 1), answer._replace(error=IndexError)]
            if answer.error is None and case.oracle.spread(i) < 1e-3:
                number = answer.number
                wrong.append(answer._replace(number=number + 1.0 + 1e4 * case.oracle.spread(i)))
            before = len(case.differences)
            for got in wrong:
                if abs(got.number) < 1e6:
                    case.compare("wrong", i, got, exactly=False)
            if abs(answer.number) < 1e6:
                assert len(case.differences) - before == len(wrong)


def test_programs_come_to_all_kinds_of_ends() -> None:
    kinds: dict[str, int] = {}
    lines: set[str] = set()
    for seed in range(60):
        case = Case(seed)
        lines |= {line.split()[0] for line in case.source.splitlines() if line.strip()}
        for answer in case.oracle.answers.values():
            kind = answer.error.__name__ if answer.error else "number"
            kinds[kind] = kinds.get(kind, 0) + 1
        assert points_of(seed, 3) == points_of(seed, 3) or any(
            math.isnan(x) for point in points_of(seed, 3) for x in point
        )
    assert min(kinds[k] for k in ("number", "ValueError", "ZeroDivisionError", "OverflowError")) > 3
    assert {"if", "elif", "while", "for", "try:", "except", "finally:", "break", "return"} <= lines


def test_a_run_is_repeated_with_other_rounding_errors_and_the_same_decisions() -> None:
    recording = record()
    x = Real(0.1)

    def run() -> float:
        third = functions.sum([x, x, x])
        return float(third - 0.3 if third > 0.3 else 7.0 * third)

    first = run()
    recording.repeat(1)
    again = run()
    assert 0.0 < abs(first) < 1e-15
    assert abs(again) < 1e-15
    assert first != again
    assert float_oracle.recording is recording
    record()
    assert random_programs.close(1.0, 1.0 + 1e-13, 0.0)
    assert not random_programs.close(1.0, 1.0 + 1e-11, 0.0)
