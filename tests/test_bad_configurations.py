# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of bad configurations, made by hypothesis, are refused before NEST starts, in words for users."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import bad_files
import bad_settings
import pytest
from bad_configuration import Bad, setting
from conftest import REPOSITORY
from hypothesis import HealthCheck, given, settings
from killed_run import make_experiment

from cosim.errors import ConfigurationError
from cosim.experiment.options import parse
from cosim.modes.choice import choose
from cosim.parallel.machine import Machine
from cosim.plan import prepare

EXAMPLES, LEAST_DISTINCT = 30, 20
ALLOWED = re.compile(
    r"must|allowed|permitted|did you mean|there (is|are) no|no such|not valid TOML|expected|give one|"
    r"name one|Error|should be|required|called with|usage|in line"
)

pytestmark = pytest.mark.timeout(200)

KINDS = {
    "wrong types": bad_settings.wrong_types,
    "unknown keys": bad_settings.unknown_keys,
    "out of range": bad_settings.out_of_range,
    "missing files": bad_settings.missing_files,
    "bad --set": bad_settings.bad_settings,
    "ranks and threads": bad_settings.ranks_and_threads,
    "contradicting clocks": bad_settings.contradicting_clocks,
    "ports": bad_settings.ports,
    "transfer files": bad_files.transfer_files(),
    "damaged files": bad_files.damaged_files,
    "body": bad_files.bodies() | bad_settings.body_settings,
    "options": bad_settings.options,
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_configurations_are_refused_before_nest_starts(kind, tmp_path):
    made = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(bad=KINDS[kind])
    def check(bad: Bad) -> None:
        made.add(repr(bad))
        assert_refused(bad, tmp_path / "here")

    check()
    assert len(made) >= LEAST_DISTINCT, "all kinds together must be 200 or more"


def test_these_are_more_than_two_hundred():
    assert len(KINDS) * LEAST_DISTINCT > 200


def test_a_name_with_a_slash_is_refused_in_tables_and_in_addresses_of_a_script(tmp_path):
    """Potjans and Diesmann's L2/3E: nothing was said before the results of a whole run could not be read."""
    in_tables = make_experiment(tmp_path / "tables", "L2/3E")
    of_script = make_experiment(tmp_path / "script", "L2/3E")
    text = (of_script / "experiment.toml").read_text()
    (of_script / "experiment.toml").write_text(text.replace('model = "brain"', 'script = "brain/network.py"'))
    for folder, problem in (
        (in_tables, "population 'L2/3E': must be called by letters, digits and _ . + -"),
        (of_script, "sinks.0.populations = 'L2/3E': populations are called by letters, digits and _ . + -"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            prepare(choose(parse([str(folder), "--out", str(tmp_path / "out")], quiet=True)), 1, [])
        assert f"{folder / 'experiment.toml'}: {problem}" in str(caught.value) and "L2_3E" in str(caught.value)
    assert not (tmp_path / "out").exists()


def assert_refused(bad: Bad, folder: Path) -> None:
    """A ConfigurationError that names what is wrong and what is allowed; nothing has been started or made."""
    shutil.rmtree(folder, ignore_errors=True)
    experiment, out = experiment_folder(bad, folder), folder / "out"
    had_nest = "nest" in sys.modules
    arguments = [str(experiment), *bad.arguments]
    if not any(each.startswith(("--out", "--resume")) for each in arguments):
        arguments += ["--out", str(out)]
    with pytest.raises(ConfigurationError) as caught:
        prepare(choose(parse(arguments, quiet=False)), bad.brain_ranks, [Machine(bad.brain_ranks, True, 2**36)])
    message = str(caught.value)
    for text in bad.named:
        assert text in message, message
    assert "Traceback" not in message
    assert ALLOWED.search(message), message
    assert names_its_place(message, experiment), message
    assert ("nest" in sys.modules) == had_nest
    assert not out.exists()


def experiment_folder(bad: Bad, folder: Path) -> Path | str:
    """A copy with the files that are bad; a name that no experiment has stays a name."""
    if bad.experiment not in bad_files.MODELS:
        return bad.experiment
    copy = Path(shutil.copytree(REPOSITORY / "models" / bad.experiment, folder / bad.experiment))
    for name, content in bad.files.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return copy


def names_its_place(message: str, experiment: Path | str) -> bool:
    """A file, an option, or the key that both a file and an option can set."""
    places = (str(experiment), "--", "brain.virtual_processes = ", "/no/", "results folder")
    return any(place in message for place in places)


@pytest.mark.wheel
@pytest.mark.parametrize(
    "bad",
    [
        setting("clock.steps", "1" + "0" * 20, "clock.steps = 1" + "0" * 20),
        setting("sinks.0.delay_ms", "3e5", "sinks.0.delay_ms = 300000.0: must be at most"),
        setting("brain.virtual_processes", "1024", "at most 511"),
        bad_files.transfer_file(
            "braitenberg", "@transfer_function\ndef move(weels): pass", "'weels'; did you mean wheels?"
        ),
    ],
    ids=["clock", "delay", "threads", "transfer"],
)
def test_under_mpi_too(bad, launch, tmp_path):
    experiment = experiment_folder(bad, tmp_path)
    result = launch(2, "run.py", experiment, *bad.arguments, "--out", tmp_path / "out", timeout_s=60)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr and "INFO" not in result.stderr
    for text in bad.named:
        assert text in result.stderr
    assert not (tmp_path / "out").exists()
