# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as an environment of Gymnasium."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.errors import ConfigurationError

gymnasium = pytest.importorskip("gymnasium")
pytestmark = pytest.mark.starts

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
    assert not environment.run.earlier, "what is not kept is not listed"
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


NETWORK = """
[clock]
steps = 5

[brain]
model = "clustered"
neurons = 500
virtual_processes = 1

[[sources]]
name = "drive"
population = "E_00"
weight = 5.0
delay_ms = 1.0

[[sinks]]
name = "clusters"
populations = "E_0[0-2]"
weight_pa = 20.0
delay_ms = 1.0

[[sinks]]
kind = "weights"
name = "within"
source = "E_00"
populations = "E_00"
"""


def test_a_quick_episode_sees_of_groups_and_weights_what_the_first_one_saw(tmp_path):
    from cosim.gym import Environment

    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "experiment.toml").write_text(NETWORK)
    environment = Environment(
        tmp_path / "network",
        actions={"drive.rate_hz": (0.0, 9000.0)},
        observations=["clusters.voltage_mv", "within.mean", "within.count"],
        reward=lambda seen: float(seen["clusters.voltage_mv"].sum()),
        quick=True,
        ranks=1,
        out=tmp_path / "run",
    )
    try:
        first = episode(environment, None, [np.array([9000.0])] * 2)
        second = episode(environment, None, [np.array([9000.0])] * 2)
    finally:
        environment.close()
    assert first.shape == (3, 5) and first[1:, :3].any() and not first[0, :3].any()
    assert first.tobytes() == second.tobytes()
