"""Random derivatives inside functions are those of mpmath, however they are computed.

`nested_programs.py` says what is compared, and runs as many programs as wanted.
"""

import mpmath
import pytest

from nested_programs import Case, Dual, Reference, differences_of, primal, source_of, tangent_of

PROGRAMS, GROUP = 100, 25


def report(seed: int) -> str:
    """What differs in one program, with the program; empty if nothing does."""
    differences = differences_of(seed)
    return "\n".join([source_of(seed), *map(str, differences)]) if differences else ""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, PROGRAMS, GROUP))
def test_derivatives_of_all_orders_inside_functions_are_right(first: int) -> None:
    reports = [report(seed) for seed in range(first, first + GROUP)]
    assert not any(reports), "\n\n".join(filter(None, reports))


# Orders 1 to 5.
def test_the_first_programs_are_right() -> None:
    reports = [report(seed) for seed in range(5)]
    assert not any(reports), "\n\n".join(filter(None, reports))


def test_a_wrong_number_would_be_noticed() -> None:
    case = Case(3)
    wanted, spread = case.wanted(case.points[0])
    case.compare("right", case.points[0], wanted[0], wanted[0], spread[0])
    assert not case.differences
    case.compare("wrong", case.points[0], wanted[0] + 1e-8, wanted[0], spread[0])
    assert len(case.differences) == 1
    assert max(spread) < 1e-11


def test_programs_have_derivatives_of_all_kinds() -> None:
    sources = "".join(map(source_of, range(100)))
    for kind in ("gradient", "tangent", "hvp", "jacobian", "vjp", "less", "softmax", "logsumexp"):
        assert sources.count(f"m.{kind}(") > 10


def test_the_reference_keeps_infinitesimals_apart() -> None:
    x = mpmath.mpf(1)
    # From Siskind and Pearlmutter: d/dx (x * d/dy (x + y)).
    inner = lambda x: Reference.gradient(lambda y: x + y, [x])[0]  # noqa: E731
    assert Reference.gradient(lambda x: x * inner(x), [x]) == [1]
    outer, last = Dual.new_tag(), Dual.new_tag()
    both = Dual(last, Dual(outer, x, x), x) * Dual(outer, x, 3 * x)
    assert primal(both) == 1
    assert primal(tangent_of(both, last)) == 1
    assert tangent_of(both.real, outer) == 4
