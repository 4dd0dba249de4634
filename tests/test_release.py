# SPDX-License-Identifier: GPL-2.0-or-later
"""``make release`` builds nothing unless version, changes and tag agree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

import cosim
from cosim.tools.setup.release import check

FILES = {
    "pyproject.toml": '[project]\nversion = "0.3.0"\n',
    "cosim/__init__.py": '__version__ = "0.3.0"\n',
    "CHANGELOG.md": "# Changes\n\n## 0.3.0 (2026-11-30)\n\n## 0.2.0 (2026-11-01)\n",
}


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    subprocess.run(["git", "-C", folder, *who, *command], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository that is ready to be released."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Version 0.3.0")
    git(tmp_path, "tag", "v0.3.0")
    return tmp_path


def problem(repository: Path) -> str:
    with pytest.raises(RuntimeError) as error:
        check(repository)
    return str(error.value)


def test_a_version_that_is_said_everywhere_alike_may_be_built(repository):
    assert check(repository) == "0.3.0"
    (repository / "pyproject.toml").write_text('[project]\ndynamic = ["version"]\n')
    git(repository, "commit", "--quiet", "--all", "--message", "setuptools asks cosim for its version")
    git(repository, "tag", "--force", "v0.3.0")
    assert check(repository) == "0.3.0"


@pytest.mark.parametrize(
    "file, old, new, said",
    [
        ("pyproject.toml", "0.3.0", "0.2.9", "pyproject.toml: version = 0.2.9: must be 0.3.0"),
        (
            "CHANGELOG.md",
            "2026-11-30",
            "unreleased",
            "newest entry is 0.3.0 (unreleased): must be 0.3.0 with its date",
        ),
        ("CHANGELOG.md", "## 0.3.0 (2026-11-30)\n", "", "the newest entry is 0.2.0 (2026-11-01): must be 0.3.0"),
        ("cosim/__init__.py", "0.3.0", "0.4.0", "git tag: v0.3.0 at this commit: must be v0.4.0"),
    ],
)
def test_what_disagrees_is_told(repository, file, old, new, said):
    path = repository / file
    path.write_text(path.read_text().replace(old, new))
    git(repository, "commit", "--quiet", "--all", "--message", "Something else")
    git(repository, "tag", "--force", "v0.3.0")
    assert said in problem(repository)


def test_only_what_is_committed_and_tagged_is_built(repository):
    (repository / "CHANGELOG.md").write_text(FILES["CHANGELOG.md"] + "more\n")
    assert problem(repository) == "git status: 1 files differ from this commit, such as CHANGELOG.md: must be none"
    git(repository, "commit", "--quiet", "--all", "--message", "More")
    assert problem(repository) == "git tag: none at this commit: must be v0.3.0"


def test_changes_and_versions_of_this_commit_agree():
    """Whatever else there is to do before it is released."""
    newest = next(line for line in (REPOSITORY / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert newest.split()[1] == cosim.__version__
