# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as an environment of Gymnasium, for those who train: ``pip install 'cosim[gym]'``.

An action is written before a coupling step, to sources and to commands of the body; an observation is read after it,
from sinks and sensors. Transfer functions of the experiment work as ever: what an action names they do not decide.

Examples:
    >>> from cosim.gym import Environment
    >>> environment = Environment(
    ...     "braitenberg",
    ...     actions={"left_light.rate_hz": (0.0, 4000.0), "right_light.rate_hz": (0.0, 4000.0)},
    ...     observations=["left_motor.voltage_mv", "pose.position_m"],
    ...     reward=lambda seen: -float(abs(seen["pose.position_m"][1])),
    ...     episode_steps=10,
    ... )
    >>> observation, info = environment.reset(seed=3)
    >>> observation, reward, terminated, truncated, info = environment.step(environment.action_space.sample())
    >>> observation.shape
    (4,)
    >>> environment.close()
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from cosim.client.live_run import LiveRun
from cosim.client.loop import LoopStep, OwnLoop
from cosim.client.session import start
from cosim.errors import ConfigurationError

try:
    import gymnasium
    from gymnasium.spaces import Box
except ImportError:
    raise ConfigurationError("cosim.gym needs Gymnasium: pip install 'cosim[gym]'") from None

# A run ends after its steps; training goes on for longer than anybody says beforehand.
MOST_STEPS = 10**9
LARGEST_SEED = 2**31 - 1

Seen = Mapping[str, np.ndarray]
Bounds = tuple[float, float]


class Environment(gymnasium.Env):
    """A run in which each step of the environment is a coupling step.

    The action space is a `Box` of all numbers that ``actions`` name, in their order, between their bounds; the
    observation space one of all numbers that ``observations`` name. An attribute with several values, such as
    ``muscles.excitation``, is as many numbers.

    An episode is a run of its own, in the same processes: the brain is built anew, with a seed that is drawn from that
    of the environment, so that the same seed gives the same episodes. A ``quick`` one goes on in the same run: brain,
    body and transfer functions begin again with the seed of before, but the time of the model goes on.

    Args:
        experiment: name or path, as for ``cosim run``.
        actions: bounds of what is written, by ``PORT.ATTRIBUTE``.
        observations: what is read, each a ``PORT.ATTRIBUTE``.
        reward: of what was observed, by ``PORT.ATTRIBUTE``.
        terminated: whether an episode ends, of the same; by default never.
        episode_steps: after how many it is truncated.
        quick: do not build the brain anew from another seed for each episode.
        keep: keep the results of all episodes; else only the last one's are.
        settings: what `cosim.start` takes besides: ranks, set, out.

    Raises:
        ConfigurationError: there is no such port or attribute, or Gymnasium is not installed.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        experiment: str | Path,
        *,
        actions: Mapping[str, Bounds],
        observations: Sequence[str],
        reward: Callable[[Seen], float],
        terminated: Callable[[Seen], bool] = lambda seen: False,
        episode_steps: int = 1000,
        quick: bool = False,
        keep: bool = True,
        **settings: Any,
    ) -> None:
        self._reward, self._terminated, self._episode_steps = reward, terminated, episode_steps
        self._actions, self._observations = dict(actions), tuple(observations)
        self.run: LiveRun = start(experiment, steps=MOST_STEPS, **settings)
        self._stack, self._steps = ExitStack(), 0
        self._loop: OwnLoop | None = None
        self._quick, self._keep = quick, keep
        sinks = {each.port for each in self.run.devices.sinks}
        self._of_sinks = [name for name in self._observations if name.rpartition(".")[0] in sinks]
        self._at_start: dict[str, np.ndarray] = {}
        try:
            step = self._begin().step
            self.action_space = self._make_action_space(step)
            self.observation_space = Box(-np.inf, np.inf, self._flat(self._see(step)).shape, np.float64)
            self._first = step.writable.copy()
            self._end_episode()
        except (AttributeError, KeyError, ValueError) as error:
            self.close()
            raise ConfigurationError(str(error.args[0])) from None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin an episode; returns what is seen at its start."""
        super().reset(seed=seed)
        self._end_episode()
        if self._quick:
            for part in ("brain", "body", "transfer"):
                self.run.reset(part)
        else:
            self.run.reset(seed=int(self.np_random.integers(1, LARGEST_SEED)))
            if not self._keep:
                shutil.rmtree(self.run.earlier.pop())
        self._steps = 0
        step = self._begin().step
        step.writable[:] = self._first
        return self._flat(self._see(step)), self._about(step)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Write the action, and let the run do a coupling step."""
        if self._loop is None:
            raise gymnasium.error.ResetNeeded("reset() begins an episode")
        self._act(self._loop.step, np.asarray(action, float))
        step = self._loop.advance()
        self._steps += 1
        seen = self._see(step)
        is_over = self._steps >= self._episode_steps or self._loop.is_over
        observation = self._flat(seen)
        return observation, float(self._reward(seen)), bool(self._terminated(seen)), is_over, self._about(step)

    def close(self) -> None:
        """End the run; its results are in ``run.folder``."""
        self._end_episode()
        self.run.finish()

    def _end_episode(self) -> None:
        self._loop = None
        self._stack.close()

    def _begin(self) -> OwnLoop:
        self._loop = self._stack.enter_context(self.run.loop())
        return self._loop

    def _make_action_space(self, step: LoopStep) -> Box:
        low, high = [], []
        for name, (least, most) in self._actions.items():
            size = np.size(_get(step, name))
            low += [least] * size
            high += [most] * size
        return Box(np.array(low, float), np.array(high, float), dtype=np.float64)

    def _act(self, step: LoopStep, action: np.ndarray) -> None:
        place = 0
        for name in self._actions:
            before = np.asarray(_get(step, name))
            values = action[place : place + before.size].reshape(before.shape)
            _set(step, name, values if before.shape else float(values))
            place += before.size

    def _see(self, step: LoopStep) -> dict[str, np.ndarray]:
        """What is observed; before the first step of a quick episode sinks hold what they did at that of the run."""
        seen = {name: np.array(_get(step, name), float) for name in self._observations}
        if step.number == 0:
            self._at_start = {name: seen[name].copy() for name in self._of_sinks}
        elif self._steps == 0:
            seen |= {name: values.copy() for name, values in self._at_start.items()}
        return seen

    @staticmethod
    def _flat(seen: Seen) -> np.ndarray:
        return np.concatenate([np.empty(0), *(np.ravel(each) for each in seen.values())])

    def _about(self, step: LoopStep) -> dict[str, Any]:
        return {"t_ms": step.t_ms, "step": step.number}


def _port(step: LoopStep, name: str) -> tuple[Any, str]:
    port, _, attribute = name.rpartition(".")
    ports = {**step.ports, **step.body}
    if port not in ports:
        raise KeyError(f"{name}: no port {port!r}; there are {', '.join(ports)}")
    return ports[port], attribute


def _get(step: LoopStep, name: str) -> Any:
    port, attribute = _port(step, name)
    return getattr(port, attribute)


def _set(step: LoopStep, name: str, value: Any) -> None:
    port, attribute = _port(step, name)
    setattr(port, attribute, value)
