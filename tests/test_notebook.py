# SPDX-License-Identifier: GPL-2.0-or-later
"""The tutorial on steering runs from top to bottom, at reduced size, and shows what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPOSITORY, clean_environment

import cosim

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.starts


def test_the_tutorial_does_what_it_says(tmp_path, monkeypatch):
    for name, value in clean_environment(MPLBACKEND="agg").items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(REPOSITORY / "docs" / "tutorials" / "steering.ipynb", as_version=4)
    nbformat.validate(notebook)
    whole = "\n".join(cell.source for cell in notebook.cells)
    assert "STEPS = 300" in whole and not any(cell.get("outputs") for cell in notebook.cells)
    for cell in notebook.cells:
        cell.source = cell.source.replace("STEPS = 300", "STEPS = 36")
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [text_of(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert "paused, 0 of 36 steps done" in said[0]
    assert "left_light, poisson source of left_eye: rate_hz=" in said[1]
    assert "rate_hz=0.0" in said[4]
    assert "line" in said[6] and "left_rad" in said[6], "the wrong text was refused"
    assert "'hold'" in said[7] and "'mark'" in said[7] and "'tf'" in said[7]
    runs = sorted((tmp_path / "results" / "braitenberg").iterdir())
    assert len(runs) == 2 and all((run / "summary.json").exists() for run in runs)
    steered = min(runs, key=lambda run: not cosim.load(run).commands)
    resume = [sys.executable, "-m", "cosim", "run", "--resume", str(steered), "--steps", "37"]
    done = subprocess.run(resume, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "were the same in all 36 recorded steps" in done.stderr
    assert "0.5 * RAD_S_PER_MV" in (steered / "transfer.py").read_text(), "the text is that of the run that went on"
    commands = [each.what["command"] for each in cosim.load(steered).commands]
    assert {"pace", "set_port", "tf"} <= {*commands} and cosim.load(steered).summary["steps"] == 37


def text_of(cell):
    """All that a cell printed and showed."""
    shown = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    return "\n".join(shown)
