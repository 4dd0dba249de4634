# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes long once is over when the loop begins, and leaves no trace in the body."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cosim.body import kinds
from cosim.body.warm import make_warm
from cosim.experiment.config import load


@pytest.mark.wheel
def test_nothing_is_compiled_or_loaded_in_the_loop(launch):
    small = ["--set", "brain.patch_mm=0.1", "--steps", 2]
    result = launch(2, "tests/programs/count_compilations.py", "mouse_m1", *small)
    assert result.returncode == 0, result.stderr
    before, after = re.search(r"<ready: (\d+), (\d+)>", result.stderr).groups()
    assert int(before) == int(after) > 0


@pytest.mark.parametrize("name", ["mouse_m1", "arm_reach", "balanced_husky"])
def test_a_body_moves_as_if_there_had_been_no_other(name):
    experiment = load(name, ())
    clock = experiment.config.clock

    def make():
        return kinds.make_body(
            experiment.body, clock.physics_step_ms, clock.coupling_step_ms, **experiment.body_settings
        )

    def moved(body) -> dict[str, np.ndarray]:
        body.advance()
        body.close()
        return body.series

    plain, warm = moved(make()), moved(make_warm(make))
    assert plain.keys() == warm.keys()
    for series, values in plain.items():
        assert warm[series].tobytes() == values.tobytes(), series


def test_a_body_that_cannot_take_its_first_step_fails_in_the_loop():
    """There the failure ends the run with results and the reason."""

    class Diverging:
        is_open = True

        def advance(self) -> None:
            raise FloatingPointError("diverged at 1 ms")

        def close(self) -> None:
            self.is_open = False

    made: list[Diverging] = []
    body = make_warm(lambda: made.append(Diverging()) or made[-1])
    assert [each.is_open for each in made] == [False, True]
    with pytest.raises(FloatingPointError):
        body.advance()
