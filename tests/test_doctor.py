# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim doctor``: one JSON object, honest answers, the exit code."""

import json
import os
import subprocess
import sys

import pytest

from cosim import clone
from cosim.tools import doctor
from cosim.tools.setup import __main__ as setup_steps
from cosim.tools.setup import mpi


def there() -> tuple[str, str]:
    return "1.0", ""


def absent() -> tuple[str, str]:
    raise RuntimeError("a long story\nno such thing")


def answers(findings: dict) -> dict[str, bool]:
    return {check["name"]: check["there"] for check in findings["checks"]}


def run_doctor(**environment: str) -> tuple[int, dict]:
    """Exit code and report of ``cosim doctor --json`` in a process of its own: C libraries may print, too."""
    code = "from cosim.tools import doctor; raise SystemExit(doctor.main(json=True))"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    return done.returncode, json.loads(done.stdout)


def test_this_environment_works_and_the_report_is_one_json_object():
    code, findings = run_doctor()
    assert answers(findings) | {"Slurm": True} == {check.name: True for check in doctor.CHECKS}
    assert findings["works"] is True
    assert code == 0


def test_says_no_when_nestlink_is_missing(tmp_path):
    code, findings = run_doctor(COSIM_CACHE=str(tmp_path))
    assert code == 1
    missing = {name for name, is_there in answers(findings).items() if not is_there}
    assert missing - {"Slurm"} == {"nestlink"}
    advice = next(check["advice"] for check in findings["checks"] if check["name"] == "nestlink")
    assert advice == "python -m cosim.engines.nest.nestlink.build"


@pytest.mark.parametrize(("needed", "exit_code"), [(True, 1), (False, 0)])
def test_only_what_is_needed_counts(monkeypatch, capsys, needed, exit_code):
    checks = (doctor.Check("good", there, ""), doctor.Check("bad", absent, "get it", needed=needed))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert doctor.main() == exit_code
    shown = capsys.readouterr().out
    assert "no such thing" in shown and "-> get it" in shown and "a long story" not in shown


def test_a_launcher_of_another_mpi_library_is_no_launcher(monkeypatch):
    monkeypatch.setattr(mpi, "lines_of_two_ranks", lambda code: ["1", "1"])
    with pytest.raises(RuntimeError, match="gives worlds of size 1, 1, not one of size 2"):
        doctor.look_at_launcher()


def test_advice_for_a_clone_is_given_in_a_clone_only(monkeypatch, tmp_path):
    assert clone.nest_mpi() == "make nest-mpi" and doctor.OR_SETUP == "make setup, or "
    monkeypatch.setattr(clone, "MAKEFILE", tmp_path / "Makefile")
    assert clone.in_clone("make setup, or ") == ""
    *python, step = clone.nest_mpi().split()
    monkeypatch.setattr(sys, "argv", ["setup", step])
    asked = []
    monkeypatch.setattr(setup_steps, "run", lambda options: asked.append(options.step))
    assert (python, setup_steps.main(), asked) == (["python", "-m", "cosim.tools.setup"], 0, ["nest-mpi"])


def test_whatever_is_needed_has_a_cure():
    assert all(check.cure for check in doctor.CHECKS if check.needed)
