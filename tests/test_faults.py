# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong: one clear message, an exit code that is not 0, no hang, and what was recorded stays readable."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY

from cosim.results.run_data import RunData

BREAK = "tests/programs/break_a_rank.py"
SMALL = ("--set", "brain.patch_mm=0.1", "--set", "brain.virtual_processes=2", "--steps", 12)
EXIT_FAILED, EXIT_CONFIGURATION, EXIT_STOPPED = 1, 2, 3

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def experiment(tmp_path) -> Path:
    """A copy of mouse_m1 to be spoilt."""
    return Path(shutil.copytree(REPOSITORY / "models/mouse_m1", tmp_path / "spoilt"))


def assert_refused(result, *fragments: str) -> None:
    """Refused before anything was started: the message and nothing else, once."""
    assert result.returncode == EXIT_CONFIGURATION, result.stderr
    assert "Traceback" not in result.stderr
    for fragment in fragments:
        assert result.stderr.count(fragment) == 1, result.stderr


BAD_SETTINGS = [
    ("brain.patch_mm=0", ["brain.patch_mm = 0", "0.1"]),
    ("brain.patch_mm=2", ["brain.patch_mm = 2", "less than or equal to 1"]),
    ("clock.steps=-3", ["clock.steps = -3", "greater than 0"]),
    ("clock.coupling_step_ms=-20", ["clock.coupling_step_ms = -20", "greater than 0"]),
    ("clock.coupling_step_ms=20.5", ["clock.coupling_step_ms = 20.5", "clock.physics_step_ms = 1.0"]),
    ("clock.resolution_ms=0.3", ["clock.coupling_step_ms = 20.0", "clock.resolution_ms = 0.3"]),
    ("brain.pach_mm=0.2", ["unknown key", "did you mean patch_mm?"]),
    ("brain.model=rodnt", ["brain.model = 'rodnt'", "did you mean rodent?"]),
    ("brain.variant=dirty", ["brain.variant = 'dirty'", "'as_run', 'clean' or 'loop'"]),
    ("body.model=forlimb", ["body.model = 'forlimb'"]),
    ("sources.0.population=M1_L1_ENGS", ["'M1_L1_ENGS': no such population", "did you mean M1_L1_ENGC?"]),
    ("protocol.stimulus_rate_hz=-1", ["protocol.stimulus_rate_hz = -1", "greater than or equal to 0"]),
]
# All in one world, as it takes a second to start: after what each prints comes its exit code.
REFUSE_ALL = """
import sys
from cosim.parallel.mpi import MPI
from cosim.program import main
for setting in sys.argv[1:]:
    code = main(["mouse_m1", "--set", setting])
    if MPI.COMM_WORLD.rank == 0:
        print(f"<{code}>", file=sys.stderr)
"""


@pytest.mark.wheel
def test_a_bad_setting_is_refused_with_value_and_what_is_allowed(launch, tmp_path):
    (tmp_path / "refuse_all.py").write_text(REFUSE_ALL)
    result = launch(2, tmp_path / "refuse_all.py", *(setting for setting, _ in BAD_SETTINGS))
    assert result.returncode == 0, result.stderr
    *said, rest = result.stderr.split(f"<{EXIT_CONFIGURATION}>\n")
    assert rest == "" and "Traceback" not in result.stderr, result.stderr
    for (_, fragments), message in zip(BAD_SETTINGS, said, strict=True):
        for fragment in fragments:
            assert message.count(fragment) == 1, message


@pytest.mark.wheel
def test_virtual_processes_that_brain_ranks_do_not_divide_are_refused(launch):
    result = launch(4, "run.py", "mouse_m1")
    assert_refused(result, "brain.virtual_processes = 4: 3 brain ranks do not divide it", "1, 2, 4")


@pytest.mark.wheel
def test_one_rank_is_refused(launch):
    assert_refused(launch(1, "run.py", "mouse_m1"), "at least 2 MPI ranks (1 body, 1 brain), got 1")


@pytest.mark.wheel
def test_an_unknown_experiment_is_refused_with_those_there_are(launch):
    assert_refused(launch(2, "run.py", "mouse_m2"), "'mouse_m2'", "did you mean mouse_m1?")


def test_settings_for_a_transfer_file_that_is_missing_are_refused(launch, experiment):
    (experiment / "transfer.py").unlink()
    expected = [f"protocol.{name}: unknown key in protocol" for name in ("base_until_ms", "stimulus_onset_ms")]
    assert_refused(launch(2, "run.py", experiment), *expected)


def test_all_problems_of_transfer_functions_are_reported_together(launch, experiment):
    with (experiment / "transfer.py").open("a") as file:
        file.write(
            "\n@transfer_function\ndef listen(M1_L1_EMGC): pass\n\n@transfer_function\ndef push(muscels): pass\n"
        )
    result = launch(2, "run.py", experiment)
    assert_refused(
        result, "listen: unknown port 'M1_L1_EMGC'; did you mean M1_L1_ENGC?", "push: unknown port 'muscels'"
    )


def test_a_command_of_the_wrong_shape_is_refused_before_nest_starts(launch, experiment):
    with (experiment / "transfer.py").open("a") as file:
        file.write("\n@transfer_function\ndef push(muscles):\n    muscles.excitation = [0.5, 0.5]\n")
    assert_refused(launch(2, "run.py", experiment), "push: ValueError", "(8,)")


@pytest.mark.wheel
def test_a_transfer_function_that_raises_ends_the_run_and_keeps_what_was_recorded(launch, experiment, tmp_path):
    with (experiment / "transfer.py").open("a") as file:
        file.write("\n@transfer_function\ndef stumble(step):\n    if step == 7:\n        raise KeyError('lost')\n")
    result = launch(2, "run.py", experiment, *SMALL, "--out", tmp_path / "run")
    assert result.returncode == EXIT_FAILED
    assert "transfer functions after step 7, at 140 ms: 'lost'" in result.stderr
    assert "in stumble" in result.stderr
    assert_complete_up_to(RunData(tmp_path / "run"), steps=7)


@pytest.mark.wheel
def test_a_transfer_function_that_leaves_python_does_not_leave_the_others_waiting(launch, experiment, tmp_path):
    with (experiment / "transfer.py").open("a") as file:
        file.write("\n@transfer_function\ndef leave(step):\n    if step == 7:\n        raise SystemExit(0)\n")
    result = launch(2, "run.py", experiment, *SMALL, "--out", tmp_path / "run", timeout_s=60)
    assert result.returncode == EXIT_FAILED
    assert_complete_up_to(RunData(tmp_path / "run"), steps=7)


def test_a_transfer_file_that_leaves_python_is_refused(launch, experiment):
    (experiment / "transfer.py").write_text("raise SystemExit(0)\n")
    assert_refused(launch(2, "run.py", experiment, timeout_s=60), f"{experiment / 'transfer.py'}: SystemExit")


def assert_complete_up_to(data: RunData, steps: int) -> None:
    summary = json.loads(data.folder.summary_file.read_text())
    assert (summary["steps"], summary["complete"]) == (steps, False)
    assert data.body["joint_angle_rad"].shape[0] == steps * 20
    assert all(len(values) == steps for values in data.readout.values())
    assert all(values.shape[1] == steps for values in data.profile.values())
    last_ms = max(spikes.timestamps_ms.max(initial=0) for spikes in data.spikes.values())
    assert (steps - 1) * 20 < last_ms <= steps * 20


def test_a_command_that_is_not_a_number_ends_the_run_with_the_muscle_named(launch, tmp_path):
    result = launch(2, BREAK, "nan", 0, 5, "mouse_m1", *SMALL, "--out", tmp_path / "run")
    assert result.returncode == EXIT_FAILED
    assert "Radius2 is nan" in result.stderr
    assert json.loads((tmp_path / "run/summary.json").read_text())["steps"] == 6


@pytest.mark.parametrize("engine", ["pybullet", "mujoco"])
def test_a_body_that_diverges_ends_the_run_and_keeps_what_was_recorded(launch, experiment, tmp_path, engine):
    pytest.importorskip(engine)
    body = (REPOSITORY / "models/forelimb/body.toml").read_text()
    (experiment / "limb").mkdir()
    # With 1e5 times less inertia muscles tear the arm apart within a physics step.
    light = re.sub(r"(?<=[0-9]e-)0([5-7])", lambda digit: str(int(digit[1]) + 5), body)
    (experiment / "limb/body.toml").write_text(light)
    result = launch(
        2,
        "run.py",
        experiment,
        *SMALL,
        "--set",
        "body.model=limb",
        "--set",
        f"body.engine={engine}",
        "--out",
        tmp_path / "run",
    )
    assert result.returncode == EXIT_FAILED, result.stderr
    assert "body in the step from" in result.stderr
    assert "the body 'forelimb' diverged at" in result.stderr and "physics step 1 ms" in result.stderr
    data = RunData(tmp_path / "run")
    summary = json.loads(data.folder.summary_file.read_text())
    assert not summary["complete"]
    angle_rad = data.body["joint_angle_rad"]
    assert angle_rad.shape[0] == summary["steps"] * 20
    reached = int(re.search(r"diverged at (\d+) ms", result.stderr)[1]) - 1
    assert np.isfinite(angle_rad[:reached]).all() and np.isnan(angle_rad[reached:]).all()


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_signal_to_any_rank_ends_the_run_after_the_step_on_all_ranks(launch, tmp_path, rank):
    result = launch(3, BREAK, "signal", rank, 4, "mouse_m1", *SMALL, "--out", tmp_path / "run")
    assert result.returncode == EXIT_STOPPED, result.stderr
    assert_complete_up_to(RunData(tmp_path / "run"), steps=5)
    assert RunData(tmp_path / "run").summary["stopped_by"] == "signal SIGTERM"


@pytest.mark.parametrize(("rank", "steps"), [(0, 0), (1, 1)])
def test_a_signal_while_building_ends_the_run_at_the_first_exchange(launch, tmp_path, rank, steps):
    """The body rank tells the others before the first step, a brain rank is first heard at its end."""
    result = launch(2, BREAK, "signal-build", rank, 0, "mouse_m1", *SMALL, "--out", tmp_path / "run")
    assert result.returncode == EXIT_STOPPED, result.stderr
    assert f"stopped after {steps} of 12 steps" in result.stderr
    assert ("SIGTERM noted: the run will stop after the running step" in result.stderr) == (rank == 0)
    data = RunData(tmp_path / "run")
    assert json.loads(data.folder.summary_file.read_text())["steps"] == steps
    assert len(data.body["time_ms"]) == steps * 20
    assert all(spikes.timestamps_ms.max(initial=0) <= steps * 20 for spikes in data.spikes.values())


QUICK = ("braitenberg", "--steps", 12)


@pytest.mark.wheel
@pytest.mark.parametrize("rank", [0, 1])
def test_a_second_signal_ends_the_job_at_once(launch, recover, tmp_path, rank):
    result = launch(2, BREAK, "two-signals", rank, 4, *QUICK, "--out", tmp_path / "run", timeout_s=60)
    assert result.returncode not in (0, EXIT_STOPPED)
    assert "SIGINT after SIGTERM: ended at once" in result.stderr
    assert recover(tmp_path / "run") == 0


@pytest.mark.wheel
def test_signals_do_not_cost_results_that_are_being_written(launch, tmp_path):
    """Slurm sends SIGTERM some time after the first signal, whatever that brought about."""
    result = launch(2, BREAK, "signal-merge", 0, 0, *QUICK, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert RunData(tmp_path / "run").summary["complete"]


@pytest.mark.wheel
def test_a_failure_is_told_also_when_a_signal_came_before(launch, tmp_path):
    result = launch(2, BREAK, "signal-fail", 0, 4, *QUICK, "--out", tmp_path / "run")
    assert result.returncode == EXIT_FAILED
    assert "broken on purpose after a signal" in result.stderr
    assert "broken on purpose after a signal" in RunData(tmp_path / "run").summary["stopped_by"]


@pytest.mark.wheel
def test_a_limit_of_wall_time_ends_the_run_with_complete_results(launch, tmp_path):
    """It is over before the loop begins; what is in the loop then ends as after a signal."""
    result = launch(2, "run.py", *QUICK, "--wall-limit", "0.01s", "--out", tmp_path / "run")
    assert result.returncode == EXIT_STOPPED, result.stderr
    summary = RunData(tmp_path / "run").summary
    assert (summary["complete"], summary["stopped_by"]) == (False, "--wall-limit of 0.01 s")


@pytest.fixture
def quick(tmp_path) -> Path:
    """A copy of braitenberg to be spoilt."""
    shutil.copytree(REPOSITORY / "models/husky", tmp_path / "husky")
    return Path(shutil.copytree(REPOSITORY / "models/braitenberg", tmp_path / "quick"))


def append(experiment: Path, text: str) -> None:
    """Add to its transfer functions."""
    with (experiment / "transfer.py").open("a") as file:
        file.write(text)


def test_a_failure_after_the_last_step_is_no_complete_run(launch, quick, tmp_path):
    append(quick, "\n@transfer_function\ndef stumble(step):\n    if step == 12:\n        raise KeyError('lost')\n")
    result = launch(2, "run.py", quick, "--steps", 12, "--out", tmp_path / "run")
    assert result.returncode == EXIT_FAILED
    summary = RunData(tmp_path / "run").summary
    assert (summary["steps"], summary["complete"]) == (12, False)
    assert summary["stopped_by"] == "transfer functions after step 12, at 240 ms: 'lost'"


def test_a_summary_of_the_experiment_that_fails_costs_nothing_else(launch, quick, tmp_path):
    append(quick, "\ndef summarize(run):\n    return run.no_such_series\n")
    drawn = {"COSIM_FIGURES": "yes"}
    result = launch(2, "run.py", quick, "--steps", 12, "--out", tmp_path / "run", environment=drawn)
    assert result.returncode == EXIT_FAILED
    assert "summarize of the experiment" in result.stderr and "no_such_series" in result.stderr
    assert RunData(tmp_path / "run").summary["complete"]
    assert (tmp_path / "run/figure.png").is_file() and not (tmp_path / "run/shards").exists()


def test_a_summary_of_the_experiment_cannot_change_what_cosim_says(launch, quick, tmp_path):
    own = "{'steps': 99, 'speed_m_s': np.float32(0.5), 'all': np.arange(2), 'nothing': float('nan')}"
    append(quick, f"\nimport numpy as np\ndef summarize(run):\n    return {own}\ndef tell(summary):\n    return []\n")
    result = launch(2, "run.py", quick, "--steps", 12, "--out", tmp_path / "run")
    assert result.returncode == EXIT_FAILED
    assert "summarize returned steps: these are cosim's own" in result.stderr
    text = (tmp_path / "run/summary.json").read_text()
    summary = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [summary[name] for name in ("steps", "speed_m_s", "all", "nothing")] == [12, 0.5, [0, 1], None]


@pytest.mark.parametrize("rank", [1, 2])
def test_a_rank_that_raises_in_build_ends_the_job(launch, tmp_path, rank):
    result = launch(3, BREAK, "build", rank, 0, "mouse_m1", *SMALL, "--out", tmp_path / "run", timeout_s=60)
    assert result.returncode != 0
    assert f"rank {rank} failed" in result.stderr
    assert "broken on purpose while connecting" in result.stderr


def test_a_brain_rank_that_raises_in_the_loop_ends_the_job_and_files_stay_readable(launch, recover, tmp_path):
    """It ends by itself: nothing else would end it before the test's time is over."""
    result = launch(3, BREAK, "loop", 2, 7, "mouse_m1", *SMALL, "--out", tmp_path / "run", timeout_s=60)
    assert result.returncode != 0
    assert "rank 2 failed" in result.stderr and "broken on purpose in the loop" in result.stderr
    shards = sorted((tmp_path / "run/shards").glob("*.h5"))
    assert len(shards) == 3
    for path in (tmp_path / "run/run.h5", *shards):
        with h5py.File(path, "r", swmr=True) as file:
            assert len(file) > 0
    with h5py.File(shards[2], "r", swmr=True) as file:  # the failing rank wrote all that it had
        assert len(file["spikes/done"]) == 7
        assert file["spikes/done"][-1] == len(file["spikes/timestamps"])
        assert np.all(file["spikes/timestamps"][:] <= 7 * 20)
    assert recover(tmp_path / "run") == 0
    assert RunData(tmp_path / "run").summary["stopped_by"] == "rank 2: broken on purpose in the loop"


@pytest.mark.wheel
def test_a_folder_that_holds_a_run_is_refused(launch, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.h5").touch()
    assert_refused(launch(2, "run.py", "mouse_m1", "--out", tmp_path / "run"), "not empty")


@pytest.mark.wheel
def test_a_folder_that_cannot_be_written_is_refused(launch):
    """Nobody may make a folder there, not even root."""
    assert_refused(launch(2, "run.py", "mouse_m1", "--out", "/proc/run"), "results folder /proc/run", "can be written")


@pytest.mark.wheel
def test_a_script_whose_ports_are_refused_leaves_no_folder(launch, tmp_path):
    port = "sources.0.population=left_ear"
    result = launch(2, "run.py", "braitenberg", "--set", port, "--out", tmp_path / "run")
    assert_refused(result, "'left_ear': no such population; did you mean left_eye?")
    assert not (tmp_path / "run").exists()


@pytest.mark.wheel
def test_help_is_printed_once(launch):
    result = launch(2, "run.py", "--help")
    assert result.returncode == 0
    assert result.stdout.count("usage: run.py") == 1
