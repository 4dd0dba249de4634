# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as an environment of Gymnasium."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.errors import ConfigurationError

gymnasium = pytest.importorskip("gymnasium")
pytestmark = [pytest.mark.starts, pytest.mark.wheel]

ACTIONS = {"left_light.rate_hz": (0.0, 4000.0), "light.position_m": (-5.0, 5.0)}
OBSERVATIONS = ["left_motor.voltage_mv", "pose.position_m"]


def make(folder, **more):
    from cosim.gym import Environment

    return Environment(
        "braitenberg",
        actions=more.pop("actions", ACTIONS),
        observations=OBSERVATIONS,
        reward=lambda seen: float(seen["pose.position_m"][0]),
        ranks=1,
        set={"brain.virtual_processes": 1},
        out=folder,
        **more,
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("gym") / "run", episode_steps=4, keep=False)
    yield made
    made.close()


def episode(environment, seed, actions):
    seen = [environment.reset(seed=seed)[0]]
    for action in actions:
        seen.append(environment.step(action)[0])
    return np.array(seen)


@pytest.mark.filterwarnings("ignore:.*(Box observation space|Box action space|rescale)")
def test_gymnasiums_own_checker_passes_it(environment):
    from gymnasium.utils.env_checker import check_env

    check_env(environment, skip_render_check=True)


def test_an_episode_is_a_run_with_a_seed_of_its_own(environment):
    bright, dark = np.array([4000.0, 1.0, 2.0, 0.8]), np.array([0.0, 1.0, 2.0, 0.8])
    first = episode(environment, 3, [bright] * 3)
    assert first.tobytes() == episode(environment, 3, [bright] * 3).tobytes()
    other = episode(environment, 4, [bright] * 3)
    assert (other[1:, 0] != first[1:, 0]).any() and first[-1, 0] > 0
    episode(environment, 3, [dark] * 3)
    assert len([*environment.run.folder.parent.iterdir()]) == 1, "only the last episode is kept"
    *_, is_over, about = environment.step(dark)
    assert is_over and about["t_ms"] == 80.0
    environment._end_episode()
    results = environment.run.results
    assert results.stimulus["left_light"][:4].tolist() == [0.0] * 4, "an action acts from the step that it begins"
    assert results.body["light_position_m"][4 * 5 - 1].tolist() == [1.0, 2.0, 0.8]
    with pytest.raises(gymnasium.error.ResetNeeded):
        environment.step(dark)


def test_a_quick_episode_begins_as_the_one_before_in_the_same_run(environment):
    environment._quick = True
    folder, action = environment.run.folder, np.array([2000.0, 1.0, 2.0, 0.8])
    assert episode(environment, None, [action] * 3).tobytes() == episode(environment, None, [action] * 3).tobytes()
    assert environment.run.folder == folder
    environment._quick = False


def test_what_is_no_port_is_said_and_the_run_ends(tmp_path):
    with pytest.raises(ConfigurationError, match="left_lamp.rate_hz: no port 'left_lamp'; there are .*left_light"):
        make(tmp_path / "run", actions={"left_lamp.rate_hz": (0.0, 1.0)})
    assert (tmp_path / "run" / "summary.json").exists()
