"""Packaging: lists that must agree, presets, and what a build without a compiler says.

Hooks and workflows are not in a source distribution, so their tests are left out there. Schemas and
metadata are read by `nox -s lint`, not here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]

Done = subprocess.CompletedProcess[str]


def text_of(name: str) -> str:
    """The text of a file of the repository; skips the test in a source distribution."""
    path = ROOT / name
    if not path.is_file():
        pytest.skip(f"{name} is not part of a source distribution")
    return path.read_text(encoding="utf-8")


def python_versions() -> list[str]:
    """The Python versions that the classifiers promise."""
    classifiers = "\n".join(PROJECT["project"]["classifiers"])
    return re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.MULTILINE)


# Lists that must agree


@pytest.mark.parametrize("name", ["test", "lint"])
def test_an_extra_and_the_group_of_its_name_are_one_list(name: str) -> None:
    assert EXTRAS[name] == GROUPS[name]


def test_the_extra_dev_has_the_tests_the_linters_and_all_that_builds() -> None:
    assert set(GROUPS["build"]) >= set(PROJECT["build-system"]["requires"])
    assert EXTRAS["dev"][0] == "arenagrad[test,lint]"
    assert set(EXTRAS["dev"]) >= set(GROUPS["build"])


def test_the_guide_installs_what_an_editable_build_needs_beforehand() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^python -m pip install (.*)$", guide, re.MULTILINE)[:2]
    assert {re.split("[<>=]", name)[0] for name in GROUPS["build"]} == set(first.split())
    assert second == '-e ".[dev]" --no-build-isolation'


def test_the_hooks_run_the_four_tools_at_the_versions_of_the_extra_lint() -> None:
    hooks = text_of(".pre-commit-config.yaml")
    asked = re.findall(r"additional_dependencies: (\[.*\])", hooks)
    found = {name for names in asked for name in json.loads(names)}
    assert {re.split("[<>=]", name)[0] for name in found} == {
        "ruff",
        "mypy",
        "clang-format",
        "numpy",
    }
    assert found <= {*EXTRAS["lint"], *PROJECT["project"]["dependencies"]}


def test_the_sessions_the_wheels_and_the_classifiers_name_the_same_versions_of_python() -> None:
    tags = PROJECT["tool"]["cibuildwheel"]["build"].split()
    assert tags == [f"cp{version.replace('.', '')}-*" for version in python_versions()]
    pythons = re.search(r"^PYTHONS = (\[.*\])$", text_of("noxfile.py"), re.MULTILINE)
    assert pythons is not None
    assert json.loads(pythons[1]) == python_versions()
    assert PROJECT["project"]["requires-python"] == f">={python_versions()[0]}"


def test_every_row_of_the_table_of_wheels_has_a_job_but_windows() -> None:
    workflow = text_of(".github/workflows/wheels.yml")
    jobs = set(re.findall(r"- \{ platform: (\w+), arch: (\w+),", workflow))
    table = PROJECT["tool"]["cibuildwheel"]
    assert jobs == {
        (system, arch) for system in ("linux", "macos") for arch in table[system]["archs"]
    }
    assert table["windows"]["archs"] == ["AMD64"]
    for image in ("manylinux", "musllinux"):
        assert {table["linux"][f"{image}-{arch}-image"] for arch in table["linux"]["archs"]}


def test_every_rule_for_repositories_that_is_ignored_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    first = lines.index("[tool.repo-review]") + 2
    rules = lines[first : lines.index("]", first)]
    assert len(rules) == len(PROJECT["tool"]["repo-review"]["ignore"])
    for line in rules:
        assert re.fullmatch(r'  "[A-Z]+\d+", # \S.*', line), line


def test_every_link_of_the_package_is_to_its_home() -> None:
    urls = PROJECT["project"]["urls"]
    assert set(urls) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url.startswith("https://github.com/arenagrad/arenagrad") for url in urls.values())


def test_the_readme_shows_and_links_nothing_by_a_relative_path() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]*)\)", readme):
        assert target.startswith("https://"), f"the package index would not find {target}"
    for path in re.findall(r"raw\.githubusercontent\.com/arenagrad/arenagrad/main/([^)]*)", readme):
        assert (ROOT / path).is_file(), path


# Builds


def tool(name: str, attribute: str) -> str:
    """The path of a tool that comes as a package of Python; skips the test without it."""
    package = pytest.importorskip(name, reason=f"the package {name} is not installed")
    return str(Path(getattr(package, attribute)) / name)


def cmake() -> str:
    return tool("cmake", "CMAKE_BIN_DIR")


def configure(folder: Path, **environment: str) -> Done:
    """Configure the C++ tests' build without a program that could build anything."""
    return subprocess.run(
        [
            *(cmake(), "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", "-Wno-dev"),
            *(f"-DCMAKE_MAKE_PROGRAM={sys.executable}", "-DARENAGRAD_PYTHON=OFF"),
        ],
        env={"HOME": str(folder), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def one_line(text: str) -> str:
    return " ".join(text.split())


def assert_says_what_to_install(done: Done) -> None:
    said = one_line(done.stderr)
    assert done.returncode == 1
    for system, command in {
        "Debian, Ubuntu": "sudo apt install g++",
        "Fedora, RHEL": "sudo dnf install gcc-c++",
        "macOS": "xcode-select --install",
    }.items():
        assert f"{system} {command}" in said
    assert "Windows not supported yet" in said


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "and none was found."),
        ({"CXX": "/absent/c++"}, 'and the one that CXX names, "/absent/c++", does not work.'),
    ],
)
def test_a_build_without_a_compiler_says_what_to_install(
    tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    done = configure(tmp_path / "build", PATH=str(tmp_path), **environment)
    assert f"arenagrad needs a C++20 compiler, {reason}" in one_line(done.stderr)
    assert_says_what_to_install(done)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="no compiler to pretend an older one with")
@pytest.mark.skipif(os.name != "posix", reason="the compiler is a shell script")
def test_a_compiler_without_the_standard_is_refused_with_what_to_install(tmp_path: Path) -> None:
    old = tmp_path / "old-c++"
    old.write_text(
        "#!/bin/sh\n"
        "for argument; do case $argument in -std=*20 | -std=*2a) exit 1;; esac; done\n"
        'exec c++ "$@"\n'
    )
    old.chmod(0o755)
    done = subprocess.run(
        [
            *(cmake(), "-S", str(ROOT), "-B", str(tmp_path / "build"), "-G", "Ninja"),
            f"-DCMAKE_MAKE_PROGRAM={tool('ninja', 'BIN_DIR')}",
        ],
        env={**os.environ, "CXX": str(old)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert "arenagrad needs a C++20 compiler, such as GCC 11" in one_line(done.stderr)
    assert str(old) in done.stderr
    assert_says_what_to_install(done)


def test_the_presets_are_read_by_cmake_and_each_configured_one_can_be_built() -> None:
    presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
    names = [p["name"] for p in presets["configurePresets"] if not p.get("hidden")]
    assert names == ["dev", "release", "tests", "sanitize"]
    assert [p["name"] for p in presets["buildPresets"]] == names
    listed = subprocess.run(
        [cmake(), "--list-presets=all"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert set(re.findall(r'^  "(\w+)"', listed.stdout, re.MULTILINE)) == set(names)
