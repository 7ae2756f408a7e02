"""What holds for every run: how many workers, which tests are quick, what the collector visits."""

import gc
import os

import pytest

MOST_WORKERS = 8  # each of them imports every file of tests


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """As many workers as processors for a folder; none for files, which are done sooner without."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    folder = config.invocation_params.dir
    if not any((folder / argument).is_dir() for argument in config.args):
        return 0
    known = hasattr(os, "sched_getaffinity")  # where a process may be kept to some processors
    count = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return min(count, MOST_WORKERS) if count > 1 else 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as quick whatever is not marked as slow, before tests are chosen by their marks."""
    for item in items:
        if item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.quick)


@pytest.fixture(autouse=True, scope="module")
def _objects_of_earlier_files_are_frozen() -> None:
    """Keep the objects of pytest out of the collections that tests ask for.

    There are several hundred thousand, and many tests collect garbage after each of their steps:
    visiting those objects took two thirds of the time of the suite. What a test makes is collected
    as ever.
    """
    gc.collect()
    gc.freeze()
