# SPDX-License-Identifier: GPL-2.0-or-later
"""What a newcomer does: clone, ``make demo``. Needs the package registries; uses NEST's wheel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY, clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    """The clone after ``make demo``, and what was printed."""
    clone = tmp_path_factory.mktemp("newcomer") / "cosim"
    subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
    own = ("PYTHONPATH", "COSIM_FIGURES")
    environment = {name: value for name, value in clean_environment().items() if name not in own}
    result = subprocess.run(
        ["make", "demo"], cwd=clone, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return clone, result.stdout + result.stderr


@pytest.fixture
def results(demo) -> Path:
    """The one folder of results in the clone."""
    (folder,) = (path for path in (demo[0] / "results/mouse_m1").iterdir() if path.is_dir())
    return folder


def test_the_joystick_is_drawn_back_and_then_pushed_forward(results):
    summary = json.loads((results / "summary.json").read_text())
    assert summary["complete"]
    assert summary["tip_forward_before_mm"] < 0
    assert summary["tip_forward_after_mm"] >= 5


def test_it_uses_one_brain_rank_of_a_nest_without_mpi(demo, results):
    summary = json.loads((results / "summary.json").read_text())
    assert (summary["brain_ranks"], summary["threads_per_brain_rank"]) == (1, 4)
    assert (
        "#define HAVE_MPI" not in next(demo[0].glob(".venv/lib/*/site-packages/nest/include/nest/config.h")).read_text()
    )


def test_it_ends_by_saying_what_came_out_and_where(demo, results):
    last_lines = "\n".join(demo[1].splitlines()[-6:])
    for words in (f"results: {results}", "real-time factor", "joystick moved", f"figure: {results / 'figure.png'}"):
        assert words in last_lines


def test_the_results_folder_holds_what_the_docs_list(results):
    pages = [(REPOSITORY / name).read_text() for name in ("README.md", "docs/reference/results.md")]
    found = {path.name for path in results.iterdir()}
    assert {name for name in found if not any(f"`{name}`" in page for page in pages)} == set()
    assert {"spikes.h5", "run.h5", "summary.json", "figure.png", "body.png", "config.toml", "log.txt"} <= found
    assert (results / "figure.png").stat().st_size > 20_000
