# SPDX-License-Identifier: GPL-2.0-or-later
"""The seam between a run and its body: kinds, settings of a kind, and runs that have no body at all."""

from __future__ import annotations

import shutil
from typing import Literal

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY
from pydantic import BaseModel

from cosim.body.kind import Description, Kind
from cosim.body.kinds import KINDS, load, make_body, to_toml
from cosim.body.touch import Untouchable
from cosim.errors import ConfigurationError
from cosim.experiment.config import load as load_experiment
from cosim.results.run_data import RunData
from cosim.show import film
from cosim.show.bodies.kinds import pictures_of

pytestmark = pytest.mark.usefixtures("with_figures")

MODELS = REPOSITORY / "models"


@pytest.fixture
def bodiless(tmp_path):
    """An experiment of a small cortex and nothing else."""
    folder = tmp_path / "cortex"
    folder.mkdir()
    (folder / "experiment.toml").write_text(
        "[clock]\ncoupling_step_ms = 0.5\nsteps = 4\n"
        "[brain]\nmodel = 'rodent'\nregions = ['M1']\nvariant = 'as_run'\npatch_mm = 0.1\nvirtual_processes = 1\n"
        "[[sinks]]\npopulations = 'M1_L1_*'\nweight_pa = 10.0\ndelay_ms = 1.5\n"
    )
    return folder


def test_a_body_file_without_a_kind_is_musculoskeletal():
    assert isinstance(load(MODELS / "forelimb/body.toml"), KINDS["musculoskeletal"].description)


def test_an_unknown_kind_is_refused_with_all_kinds(tmp_path):
    (tmp_path / "body.toml").write_text("kind = 'boat'")
    with pytest.raises(ValueError, match=f"kind = 'boat': must be one of {', '.join(KINDS)}"):
        load(tmp_path / "body.toml")


def test_problems_of_a_body_file_name_the_experiment_and_the_body(tmp_path):
    shutil.copytree(MODELS / "mouse_m1", tmp_path / "mouse")
    (tmp_path / "mouse" / "bad").mkdir()
    (tmp_path / "mouse" / "bad" / "body.toml").write_text("name = 3")
    with pytest.raises(ConfigurationError, match=r"--set body.model: body.model = 'bad': .*body.toml: \d problem"):
        load_experiment(str(tmp_path / "mouse"), ["body.model=bad"])


@pytest.mark.wheel
def test_an_experiment_needs_neither_body_nor_transfer_functions(launch, tmp_path, bodiless):
    result = launch(2, "run.py", bodiless, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    run = RunData(tmp_path / "out")
    assert run.body == {}
    assert run.exchange_time_ms.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert run.readout["M1_L1_ENGC"].shape == (4,)
    with h5py.File(run.folder.run_file) as file:
        assert "body" not in file
    made = {path.name for path in run.folder.path.iterdir()}
    assert "figure.png" in made and "body.png" not in made
    (bodiless / "experiment.toml").write_text((tmp_path / "out" / "config.toml").read_text())
    again = launch(2, "run.py", bodiless, "--out", tmp_path / "from_config")
    assert again.returncode == 0, again.stderr
    assert np.array_equal(RunData(tmp_path / "from_config").readout["M1_L1_ENGC"], run.readout["M1_L1_ENGC"])


@pytest.mark.wheel
def test_ports_of_a_body_that_is_not_there_are_refused(launch, bodiless):
    (bodiless / "transfer.py").write_text(
        "from cosim import transfer_function\n@transfer_function\ndef pull(muscles): muscles.excitation = 1.0\n"
    )
    result = launch(2, "run.py", bodiless)
    assert result.returncode == 2
    assert "pull: unknown port 'muscles'; " in result.stderr
    assert "tip" not in result.stderr.split("allowed:")[1]


class Ball(Description):
    """A body file of a kind of its own."""

    kind: Literal["ball"]
    height_m: float


class BallSettings(BaseModel):
    """What an experiment may choose of it."""

    bounces: bool = True


class FallingBall(Untouchable):
    """A body that falls and cannot be helped."""

    ports = {}
    columns = {"height_m": ("height",)}

    def __init__(self, ball: Ball, physics_step_ms: float, coupling_step_ms: float, bounces: bool = True) -> None:
        self._ball, self._step_m, self._bounces = ball, 1e-3 * physics_step_ms, bounces
        self.series = {"height_m": np.zeros((round(coupling_step_ms / physics_step_ms), 1))}
        self.reset()

    def reset(self) -> None:
        self._now = self._ball.height_m

    def advance(self) -> None:
        for row in self.series["height_m"]:
            self._now -= self._step_m
            row[:] = abs(self._now) if self._bounces else self._now

    def close(self) -> None:
        pass


@pytest.fixture
def ball(monkeypatch, tmp_path):
    """A body file of a kind that is registered by one line."""
    monkeypatch.setitem(KINDS, "ball", Kind(Ball, lambda _ball: {}, FallingBall, BallSettings))
    (tmp_path / "ball").mkdir()
    (tmp_path / "ball" / "body.toml").write_text('kind = "ball"\nheight_m = 0.003\n')
    return tmp_path / "ball" / "body.toml"


def test_a_kind_of_body_is_registered_by_a_line(ball):
    experiment = load_experiment("rodent_rest", [f'body.model="{ball.parent}"', "body.bounces=false"])
    assert experiment.body == Ball(kind="ball", height_m=0.003)
    body = make_body(experiment.body, 1.0, 4.0, **experiment.body_settings)
    body.advance()
    assert body.series["height_m"][:, 0] == pytest.approx([0.002, 0.001, 0.0, -0.001])
    ball.write_text(to_toml(experiment.body))
    assert load(ball) == experiment.body
    with pytest.raises(ConfigurationError, match="body.bouncy: unknown key in body; .*bounces"):
        load_experiment("rodent_rest", [f'body.model="{ball.parent}"', "body.bouncy=1"])


def test_a_kind_without_pictures_has_none(ball, tmp_path):
    assert pictures_of(load(ball)) is None
    with pytest.raises(ConfigurationError, match="bodies of kind 'ball' cannot be drawn"):
        film._pictures(RunData(tmp_path), load(ball))
