"""What a bug report should say about this machine and this build."""

import platform
import sys
from importlib import metadata

import arenagrad


def cpu_name() -> str:
    """The processor's name as the system gives it, or the kind of machine where it gives none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name" and value.strip():
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def version_of(package: str) -> str:
    """The installed version of a package, or `not installed`. Does not import it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def table(title: str, rows: dict[str, object]) -> str:
    """A title and one aligned line for each row, as text."""
    width = max(map(len, rows), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows.items())])


def report() -> str:
    """Versions, machine, build flags and the arena's figures as plain text of some 25 lines."""
    versions = {
        "arenagrad": arenagrad.__version__,
        "Python": f"{platform.python_implementation()} {sys.version}".replace("\n", " "),
        "numpy": version_of("numpy"),
        "micrograd": version_of("micrograd"),
        "platform": platform.platform(),
        "CPU": cpu_name(),
    }
    return "\n\n".join(
        [
            table("versions", dict(versions)),
            table("build", dict(arenagrad.build_info())),
            table("arena", dict(arenagrad.arena_info())),
        ]
    )
