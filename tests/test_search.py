# SPDX-License-Identifier: GPL-2.0-or-later
"""Where experiments and models are found by name, and what is said of a name that is found nowhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from cosim.cli import main
from cosim.errors import ConfigurationError
from cosim.experiment import search
from cosim.experiment.config import find_experiment, load
from cosim.experiment.usercode import load_module

EXPERIMENT = '[clock]\nsteps = 1\n[brain]\nmodel = "mine"\n'
NETWORK = (
    "from cosim.network import Network\nfrom models.mine.names import NAME\ndef network():\n    return Network(())\n"
)


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """An empty working directory; two more folders of models are named in the environment."""
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(search.VARIABLE, os.pathsep.join([str(tmp_path / "one"), "", str(tmp_path / "two")]))
    monkeypatch.delitem(sys.modules, "models", raising=False)  # a test before this one has it from elsewhere
    return folder


def make(folder: Path, **files: str) -> Path:
    """A folder with these files, whose names stand with a _ for the dot."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


def test_the_users_folders_come_before_those_of_cosim_in_the_order_that_is_promised(work):
    places = [work / "mouse_m1", work / "models/mouse_m1", work.parent / "one/mouse_m1", work.parent / "two/mouse_m1"]
    found = [find_experiment("mouse_m1")]
    for place in reversed(places):
        make(place, experiment_toml="")
        found.append(find_experiment("mouse_m1"))
    assert found == [REPOSITORY / "models/mouse_m1", *reversed(places)]
    assert find_experiment(str(REPOSITORY / "models/mouse_m1/experiment.toml")) == found[0]


def test_an_unknown_name_is_told_with_where_it_was_looked_for(work):
    make(work / "models/my_mouse", experiment_toml="")
    with pytest.raises(ConfigurationError) as caught:
        find_experiment("my_mous")
    message = str(caught.value)
    assert "did you mean my_mouse?" in message and "mouse_m1" in message
    places = (work, work / "models", work.parent / "one", work.parent / "two", REPOSITORY / "models")
    assert message.endswith(f"looked in {', '.join(map(str, places))}")


def test_a_brain_of_the_users_own_is_found_and_may_import_what_lies_beside_it(work):
    make(work / "models/mine", network_py=NETWORK, names_py="NAME = 'E'\n")
    experiment = make(work.parent / "elsewhere", experiment_toml=EXPERIMENT)
    assert load(str(experiment)).brain.path == work / "models/mine/network.py"


def test_a_module_of_the_users_own_that_is_called_models_stays_his(work, monkeypatch):
    make(work / "beside", models_py="WHOSE = 'mine'\n", transfer_py="from models import WHOSE\n")
    monkeypatch.syspath_prepend(work / "beside")
    assert load_module(work / "beside/transfer.py").WHOSE == "mine"
    sys.modules.pop("models", None)


def test_cosim_new_writes_nothing_over_what_is_there(work, capsys):
    (work / "mine").mkdir()
    assert main(["new", "mine"]) == 2
    assert capsys.readouterr().err == "cosim: mine: is there already; must be the name of a new folder\n"
    assert not list((work / "mine").iterdir())


def test_cosim_new_copies_no_modes(work, monkeypatch, tmp_path):
    """What lies in an installed package may be read-only; what a user gets is to be changed."""
    template = make(tmp_path / "template", transfer_py="")
    (template / "transfer.py").chmod(0o444)
    monkeypatch.setattr("cosim.tools.new.TEMPLATE", template)
    assert main(["new", "a/mine"]) == 0
    assert (work / "a/mine/transfer.py").stat().st_mode & 0o200


def test_models_are_listed_once_below_the_folder_that_wins(work, capsys):
    make(work / "models/mouse_m1", experiment_toml='title = "Mine"\n')
    make(work / "husky", body_toml="", run_h5="")  # results of a run
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=2)[1:] for line in lines if line.startswith("  mouse_m1 ")] == [["experiment", "Mine"]]
    assert lines[0] == str(work / "models")
    assert [line.split()[1] for line in lines if line.startswith("  husky ")] == ["body"]
    assert lines.index(str(REPOSITORY / "models")) < next(i for i, line in enumerate(lines) if "  husky" in line)
