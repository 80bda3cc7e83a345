"""The environment of a worker: what parley[worker] asks for and nothing else, Parley itself left out."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def create(folder: Path) -> Path:
    """Create it in a folder; return its Python. Nothing is downloaded: packages are those of this environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    there = folder / "lib" / version / "site-packages"
    # The image that workers run in has setuptools, with which they build what was staged.
    for name in {*_closure(Requirement("parley[worker]")), "setuptools"} - {"parley"}:
        for path in _top_level(name):
            link = there / path.name
            if not link.exists():
                link.symlink_to(path)
    return folder / "bin" / "python"


def install(python: Path, package: Path) -> None:
    """Install a package as a worker does at its start, without what it needs."""
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *how, package], check=True)


def _closure(requirement: Requirement, seen: set[tuple[str, str]] | None = None) -> Iterator[str]:
    seen = set() if seen is None else seen
    name = canonicalize_name(requirement.name)
    for extra in {"", *requirement.extras}:
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        yield name
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                yield from _closure(needed, seen)


def _top_level(name: str) -> Iterator[Path]:
    packages = importlib.metadata.distribution(name).locate_file("")
    for top in {file.parts[0] for file in importlib.metadata.files(name) or []} - {"..", "__pycache__"}:
        yield Path(str(packages)) / top
