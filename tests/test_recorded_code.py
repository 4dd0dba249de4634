# SPDX-License-Identifier: GPL-2.0-or-later
"""Who hands over a results folder decides nothing about what is executed here, or it is at least seen."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import tomli_w
from killed_run import NETWORK, make_experiment, make_run

from cosim.errors import ConfigurationError
from cosim.experiment.config import load, read_toml
from cosim.experiment.options import parse
from cosim.experiment.results_folder import results_folder_around
from cosim.modes.choice import choose
from cosim.record.folder import RunFolder
from cosim.results.run_data import RunData

BODY = 'name = "trap"\nkind = "none"\n'


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch) -> None:
    """They take most of the time, and none of the code that is asked about."""
    monkeypatch.setattr("cosim.finalize.draw", lambda run: None)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A run that was killed."""
    return make_run(tmp_path / "run", make_experiment(tmp_path / "experiment"))


@pytest.fixture
def ended(run, recover) -> RunFolder:
    assert recover(run.path) == 0
    return run


def lay_traps(folder: Path, caught: Path) -> Path:
    """An experiment in ``folder`` of which every file makes the file ``caught`` when it is executed."""
    trap = f"open({str(caught)!r}, 'w').close()\n"
    (folder / "brain").mkdir(parents=True, exist_ok=True)
    shutil.copy(caught.parent / "experiment/experiment.toml", folder)
    files = {"transfer.py": trap, "script.py": trap, "brain/network.py": trap + NETWORK.replace("NAME", "E")}
    for name, text in (files | {"brain/body.toml": BODY}).items():
        (folder / name).write_text(text)
    return folder


def name_experiment(run: RunFolder, recorded: str | Path) -> None:
    with h5py.File(run.run_file, "r+") as file:
        file.attrs["experiment"] = str(recorded)


def configure(run: RunFolder, table: str, settings: dict[str, str]) -> None:
    """Another table in ``config.toml`` and where ``run.h5`` repeats it."""
    tables = read_toml(run.config_file)
    common = {"virtual_processes": 1} if table == "brain" else {}
    tables[table] = common | settings
    run.config_file.write_text(tomli_w.dumps(tables))
    with h5py.File(run.run_file, "r+") as file:
        file.attrs["configuration"] = json.dumps(tables)


def link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def moved_run(folder: Path) -> Path:
    """A folder of earlier results: without ``run.h5`` it would be half of a change of places, and be undone."""
    folder.mkdir()
    shutil.copy(folder.parent / "run.h5", folder)
    return folder


def with_tables(folder: Path, experiment: Path) -> Path:
    """``folder`` with the tables of an experiment and nothing else of it."""
    shutil.copy(experiment / "experiment.toml", folder)
    return folder


PLACES: dict[str, Callable[[Path, RunFolder, Path], str | Path]] = {
    "the results folder": lambda tmp, run, caught: lay_traps(run.path, caught),
    "one without code": lambda tmp, run, caught: with_tables(run.path, tmp / "experiment"),
    "its file": lambda tmp, run, caught: lay_traps(run.path, caught) / "experiment.toml",
    "earlier results": lambda tmp, run, caught: lay_traps(moved_run(run.path / "earlier-1"), caught),
    "deep inside": lambda tmp, run, caught: lay_traps(run.path / "a/b/c", caught),
    "another run": lambda tmp, run, caught: lay_traps(make_run(tmp / "two", tmp / "experiment").path / "a", caught),
    "a link out of it": lambda tmp, run, caught: link(run.path / "out", lay_traps(tmp / "elsewhere", caught)),
    "a link into it": lambda tmp, run, caught: link(tmp / "in", lay_traps(run.path / "a", caught)),
    "a link elsewhere": lambda tmp, run, caught: link(tmp / "to", lay_traps(tmp / "elsewhere", caught)),
    "a relative path": lambda tmp, run, caught: lay_traps(tmp / "elsewhere", caught).name,
    "where the user stands": lambda tmp, run, caught: f"/proc/self/cwd/{lay_traps(tmp / 'elsewhere', caught).name}",
}
SETTINGS: dict[str, Callable[[RunFolder], tuple[str, dict[str, str]]]] = {
    "a brain by its path": lambda run: ("brain", {"model": str(run.path / "brain")}),
    "a brain by a relative path": lambda run: ("brain", {"model": "../run/brain"}),
    "a brain by a link": lambda run: ("brain", {"model": str(link(run.path.parent / "in", run.path / "brain"))}),
    "a brain by a link out": lambda run: ("brain", {"model": str(link(run.path / "out", Path("../elsewhere")))}),
    "a script": lambda run: ("brain", {"script": "../run/script.py"}),
    "a body": lambda run: ("body", {"model": "../run/brain"}),
}


def tamper(how: str, run: RunFolder, tmp_path: Path) -> Path:
    """Let the run name traps; returns what is there when one has caught somebody."""
    caught = tmp_path / "caught"
    if how in PLACES:
        name_experiment(run, PLACES[how](tmp_path, run, caught))
    else:
        lay_traps(run.path, caught)
        shutil.copytree(run.path / "brain", tmp_path / "elsewhere")
        configure(run, *SETTINGS[how](run))
    return caught


REFUSED = r"must not lie in a results folder, of which nothing is executed: /|must be an absolute path without links"


@pytest.mark.parametrize("how", [*PLACES, *SETTINGS])
def test_recover_executes_nothing_of_a_results_folder_and_makes_results_without_it(
    run, recover, tmp_path, monkeypatch, caplog, how
):
    monkeypatch.chdir(tmp_path)
    caught = tamper(how, run, tmp_path)
    with caplog.at_level(logging.WARNING, "cosim"):
        assert recover(run.path) == 0
    assert not caught.exists()
    assert "without positions of neurons and what the experiment adds to the summary" in caplog.text
    assert re.search(REFUSED, caplog.text)
    summary = RunData(run.path).summary
    assert summary["steps"] == 3 and "mine" not in summary


@pytest.mark.parametrize("mode", ["--resume", "--replay"])
@pytest.mark.parametrize("how", [*PLACES, *SETTINGS])
def test_a_run_that_goes_on_or_is_replayed_executes_nothing_of_a_results_folder(
    ended, tmp_path, monkeypatch, how, mode
):
    monkeypatch.chdir(tmp_path)
    caught = tamper(how, ended, tmp_path)
    if (how, mode) == ("a body", "--replay"):  # which has none
        assert choose(parse([mode, str(ended.path)], quiet=True)).load().config.body is None
        return
    with pytest.raises(ConfigurationError, match=REFUSED):
        choose(parse([mode, str(ended.path)], quiet=True)).load()
    assert not caught.exists()


def test_an_experiment_in_a_results_folder_is_refused_also_where_the_user_names_it(ended, tmp_path):
    caught = tmp_path / "caught"
    folder = lay_traps(ended.path / "moved", caught)
    with pytest.raises(ConfigurationError, match=REFUSED):
        choose(parse([str(folder), "--resume", str(ended.path)], quiet=True)).load()
    assert not caught.exists()


def test_a_file_of_the_experiment_that_links_into_a_results_folder_is_refused(ended, tmp_path):
    caught = tmp_path / "caught"
    lay_traps(ended.path, caught)
    (tmp_path / "experiment/transfer.py").unlink()
    link(tmp_path / "experiment/transfer.py", ended.path / "transfer.py")
    with pytest.raises(ConfigurationError, match=REFUSED):
        choose(parse(["--resume", str(ended.path)], quiet=True)).load()
    assert not caught.exists()


def test_code_that_is_executed_is_shown_first_wherever_it_is(run, recover, tmp_path, caplog):
    """That no other place can be known for a wrong one is what the documentation says."""
    elsewhere = lay_traps(tmp_path / "elsewhere", tmp_path / "caught")
    (elsewhere / "transfer.py").write_text("raise SystemExit('caught')")
    name_experiment(run, elsewhere)
    with caplog.at_level(logging.WARNING, "cosim"):
        assert recover(run.path) == 0
    shown, stopped, *_ = [each.getMessage() for each in caplog.records]
    assert shown == f"code of the recorded run: {elsewhere}/transfer.py"
    assert "SystemExit: caught" in stopped


def code_shown(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [each.getMessage().partition("code of the recorded run: ")[2] for each in caplog.records]
    return [each for each in told if each]


def test_the_code_of_the_own_experiment_is_shown_and_used(ended, tmp_path, caplog):
    assert RunData(ended.path).summary["mine"] == 1
    for mode, names in (("--resume", ["transfer.py", "brain/network.py"]), ("--replay", ["brain/network.py"])):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "cosim"):
            choose(parse([mode, str(ended.path)], quiet=True)).load()
        assert code_shown(caplog) == [str(tmp_path / "experiment" / name) for name in names]


@pytest.mark.parametrize("place", [".", "models"])
def test_an_experiment_imports_no_model_from_the_results_folder_that_the_user_stands_in(
    run, recover, tmp_path, monkeypatch, place
):
    """`cd RUN; cosim recover .`: other experiments look for models where they are started, first of all."""
    lay_traps(run.path / place / "trap", tmp_path / "caught")
    (tmp_path / "experiment/transfer.py").write_text("from models.trap import transfer")
    monkeypatch.chdir(run.path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        monkeypatch.delitem(sys.modules, name)
    assert recover(run.path) == 0
    assert not (tmp_path / "caught").exists()


def test_an_experiment_may_hold_its_results_and_a_new_run_may_start_anywhere(tmp_path, recover):
    """Only runs that were recorded are asked where their code is: who starts an experiment has named it."""
    experiment = make_experiment(tmp_path / "experiment")
    run = make_run(experiment / "results/run", experiment)
    assert recover(run.path) == 0 and RunData(run.path).summary["mine"] == 1
    inside = Path(shutil.copytree(experiment / "brain", run.path / "brain")).parent
    for name in ("experiment.toml", "transfer.py"):
        shutil.copy(experiment / name, inside)
    assert load(str(inside)).name == "run"


def test_a_results_folder_is_known_by_its_run_file_from_everything_in_it(tmp_path):
    (tmp_path / "run/a/b").mkdir(parents=True)
    assert results_folder_around(tmp_path / "run/a/b/c.py") is None
    link(tmp_path / "run/run.h5", tmp_path / "nowhere")  # a link counts, whatever becomes of it
    for place in ("run", "run/a/b/c.py", "run/../run/a"):
        assert results_folder_around(tmp_path / place) == tmp_path / "run"
    assert results_folder_around(tmp_path / "run/../other") is None
    link(tmp_path / "into", tmp_path / "run/a")
    assert results_folder_around(tmp_path / "into/b") == tmp_path / "run"
