# SPDX-License-Identifier: GPL-2.0-or-later
"""What must agree before a version is built: pyproject.toml, ``cosim.__version__``, CHANGELOG.md and the tag."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def check(repository: Path = REPOSITORY) -> str:
    """The version of what lies in ``repository``; RuntimeError with all that must be mended before it is released."""
    version = _find(r'^__version__ = "(.+)"$', repository / "cosim/__init__.py")
    problems = list(_problems(repository, version))
    if problems:
        raise RuntimeError("\n".join(problems))
    return version


def _problems(repository: Path, version: str) -> Iterator[str]:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    packaged = project.get("version", version)  # setuptools may be told to take that of cosim
    if packaged != version:
        yield f"pyproject.toml: version = {packaged}: must be {version}, as cosim.__version__"
    newest = _find(r"^## (.+)$", repository / "CHANGELOG.md")
    number, _, day = newest.partition(" ")
    if number != version or not _is_date(day.strip("()")):
        yield f"CHANGELOG.md: the newest entry is {newest}: must be {version} with its date, as in (2026-11-30)"
    tags = _git(repository, "tag", "--points-at", "HEAD")
    if f"v{version}" not in tags:
        yield f"git tag: {', '.join(tags) or 'none'} at this commit: must be v{version}"
    changed = _git(repository, "status", "--porcelain")
    if changed:
        yield f"git status: {len(changed)} files differ from this commit, such as {changed[0][3:]}: must be none"


def _find(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{file}: has no line {pattern}")
    return found[1]


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _git(repository: Path, *command: str) -> list[str]:
    done = subprocess.run(["git", "-C", repository, *command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
