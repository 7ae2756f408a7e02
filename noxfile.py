#!/usr/bin/env -S python3
"""Everything a contributor runs, each session in an environment of its own: `nox -l` lists them.

`nox -s lint quick` before a commit; `bash .ci/run` runs all that must hold before a change lands.
In an environment that has the tools already, `nox -s lint --no-venv --no-install` uses those.
"""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]
PYTHON_FILES = ["noxfile.py", "python", "tests", "benchmarks", "examples", "cpp"]


def group(name: str) -> list[str]:
    """The requirements of a dependency group of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, name))


def cpp_files() -> list[str]:
    """Every C++ file of the tree."""
    folders = ("cpp", "tests/cpp", "benchmarks")
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.*"))]
    return [str(path.relative_to(ROOT)) for path in found if path.suffix in {".h", ".cpp"}]


@nox.session
def lint(session: nox.Session) -> None:
    """Formats, types, workflows and the rules for repositories; compiles nothing."""
    session.install(*group("lint"), "numpy")
    session.run("ruff", "check", *PYTHON_FILES)
    session.run("ruff", "format", "--check", *PYTHON_FILES)
    session.run("clang-format", "--dry-run", "-Werror", *cpp_files(), log=False)
    session.run("mypy", "--strict", "python/arenagrad", "benchmarks", "examples", "tests/typing")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("repo-review", ".")
    github = ROOT / ".github"
    forms = [github / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")]
    for schema, files in {
        "workflows": sorted((github / "workflows").glob("*.yml")),
        "issue-forms": forms,
        "issue-config": [github / "ISSUE_TEMPLATE" / "config.yml"],
    }.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.github-{schema}", *files)
    session.run(
        "check-jsonschema", "--builtin-schema", "vendor.dependabot", github / "dependabot.yml"
    )
    session.run("zizmor", "--offline", "--quiet", github)


@nox.session
def quick(session: nox.Session) -> None:
    """The quick tests: half a minute once the package is built."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-m", "quick", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All Python tests; `nox -s tests -- ARGUMENTS` passes arguments on to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def cpp(session: nox.Session) -> None:
    """The C++ tests under the address and undefined-behaviour sanitizers; needs doctest."""
    session.install("cmake>=3.21", "ninja")
    session.run("cmake", "--preset", "sanitize")
    session.run("cmake", "--build", "--preset", "sanitize")
    session.run("ctest", "--preset", "sanitize")


@nox.session(default=False)
def sanitized(session: nox.Session) -> None:
    """The quick Python tests on an extension with both sanitizers; needs gcc and a while."""
    define = "--config-settings=cmake.define.ARENAGRAD_"
    made = ("SANITIZE=address,undefined", "LTO=OFF", "OPTIMIZATION=-O1")
    session.install(".[test]", *(define + each for each in made))
    libraries = [
        str(session.run("c++", f"-print-file-name={name}", silent=True, external=True)).strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    env = {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }
    session.run("python", "-m", "pytest", "-m", "quick", *session.posargs, env=env)


@nox.session(default=False)
def leaks(session: nox.Session) -> None:
    """Quick tests that leave references behind; `--python` may name one built with pydebug."""
    session.install(".[test]")
    session.run("python", "tests/reference_leaks.py", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The tests of the documents, and the reference as pages in build/docs."""
    session.install(".[test]", *group("docs"))
    session.run(
        "python", "-m", "pytest", "tests/python/test_readme.py", "tests/python/test_help.py"
    )
    modules = [
        "arenagrad",
        *(f"arenagrad.{name}" for name in ("nn", "optim", "losses", "linalg", "engine")),
    ]
    session.run("python", "-m", "pdoc", "-o", "build/docs", "-d", "google", *modules)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks beside what they are compared with; `nox -s bench -- --full` for all."""
    session.install(".", *group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def package(session: nox.Session) -> None:
    """The sdist and the wheel, as the index would get them, in dist/."""
    session.install(*group("package"))
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build")
    made = sorted((ROOT / "dist").iterdir())
    session.run("twine", "check", "--strict", *made)
    session.run("check-wheel-contents", *(path for path in made if path.suffix == ".whl"))


if __name__ == "__main__":
    nox.main()
