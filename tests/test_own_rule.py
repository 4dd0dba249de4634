# SPDX-License-Identifier: GPL-2.0-or-later
"""A connection rule is one file and one line for tables, and one file and one line for the engine.

Here a new one is counted and drawn.
"""

from __future__ import annotations

import numpy as np
import pytest
from programs.own_rule import IN_NEST, EveryNth, network

from cosim.engines.nest import pynest_rules
from cosim.engines.nest.rules import registry
from cosim.errors import ConfigurationError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import load
from cosim.experiment.options import parse
from cosim.modes.normal import NormalRun
from cosim.network.network import NetworkError, expected_synapses
from cosim.parallel.machine import Machine
from cosim.plan import prepare
from cosim.tools.describe import describe

PAIRS = {*((a, 10 + b) for a in (0, 3, 6, 9) for b in range(4)), *((10 + a, 10 + b) for a in (0, 3) for b in range(4))}


@pytest.fixture
def registered(monkeypatch) -> None:
    """The line for the engine; that for tables only saves an import."""
    monkeypatch.setitem(registry.RULES, EveryNth, IN_NEST)


@pytest.fixture
def brain(monkeypatch) -> None:
    """Every brain of tables is that of the new rule."""
    monkeypatch.setattr(TableBrain, "network", lambda *_: network(3))


@pytest.mark.wheel
@pytest.mark.parametrize("wiring", ["nestlink", "nest"])
def test_the_build_draws_it_whoever_draws_the_rest(alone, tmp_path, wiring):
    result = alone("tests/programs/own_rule.py", tmp_path / "out.npz", wiring)
    assert result.returncode == 0, result.stderr
    found = np.load(tmp_path / "out.npz")
    first = found["source"].min()  # the node id of the first neuron
    assert sorted(zip(found["source"] - first, found["target"] - first, strict=True)) == sorted(PAIRS)
    assert found["counted"] == len(PAIRS) and set(found["weight"]) == {2.5}


def test_its_synapses_are_counted(brain):
    assert expected_synapses(network(3)).tolist() == [16, 8]
    told = describe(load("rodent_rest", []))
    assert told["regions"]["R"] == {"neurons": 14, "synapses": 24}
    assert [(each["synapses"], each["standard_deviation"]) for each in told["projections"]] == [(16, 0), (8, 0)]


def test_its_problems_are_told_with_those_of_the_other_tables():
    with pytest.raises(NetworkError) as error:
        network(0).check(0.1)
    assert error.value.problems[0] == "projection 0 (A -> B): n is 0, must be 1 or more"
    with pytest.raises(NetworkError) as error:
        network(5).check(0.1)
    assert error.value.problems == ["projection 1 (B -> B): n is 5, but B has 4 neurons"]


def test_a_rule_that_nest_cannot_draw_is_refused_before_nest_starts(brain, tmp_path):
    mode = NormalRun(parse(["rodent_rest", "--out", str(tmp_path / "out")], quiet=True))
    said = r"projection 0 \(A -> B\): rule is EveryNth, NEST can draw Bernoulli, FixedIndegree, OneToOne"
    with pytest.raises(ConfigurationError, match=said):
        prepare(mode, 1, [Machine(brain_ranks=1, has_body=True, available_bytes=10**12)])
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("registered")
def test_nest_has_no_rule_of_its_own_for_it():
    tables = network(3)
    registry.check(tables)
    assert not pynest_rules.has_rule(tables, 0)
    with pytest.raises(ValueError, match=r"A -> B: NEST has no rule for EveryNth\(n=3\)"):
        pynest_rules.connect(tables, 0, "static_synapse", {}, None)
