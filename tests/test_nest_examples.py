# SPDX-License-Identifier: GPL-2.0-or-later
"""NEST's own example scripts as brains, as they are installed with NEST: each runs, or is told why it cannot.

A dozen of them belong to the ordinary suite; ``make nest-examples`` runs all of them (marker nest_examples).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cosim.engines.nest import nestlink

EXAMPLES = nestlink.find_nest().folder / "doc" / "examples" / "pynest"
STEPS = 3
EXIT_COMPLETE, EXIT_CONFIGURATION = 0, 2

SETTINGS = """
[clock]
coupling_step_ms = 20.0
resolution_ms = {resolution_ms}
steps = {steps}
[brain]
script = "{script}"
virtual_processes = 1
"""
NO_NEURONS = "creates no neurons before it simulates or ends"
# By script, what is said of those that are no brains; all others run.
PARTS = ("helper", "network", "network_params", "sim_params", "stimulus_params")
REFUSED = {
    **{f"EI_clustered_network/{name}": NO_NEURONS for name in PARTS},
    **dict.fromkeys(("sudoku/helpers_sudoku", "sudoku/sudoku_net", "pong/networks", "pong/pong"), NO_NEURONS),
    "brette_et_al_2007/brette_et_al_2007_benchmark": NO_NEURONS,
    "repeated_stimulation": NO_NEURONS,
    **dict.fromkeys(("sinusoidal_poisson_generator", "sinusoidal_gamma_generator"), NO_NEURONS),
    "artificial_synchrony": "clock.resolution_ms = 0.03125: must be a multiple of 0.001 ms",
    "csa_spatial_example": "exits with 1 before its network is complete",
    "pong/generate_gif": "exits with 1 before its network is complete",
    "sudoku/plot_progress": "FileNotFoundError: [Errno 2] No such file or directory",
    "music_cont_out_proxy_example/nest_script": "UnknownModelName: music_cont_out_proxy is not a known model name",
    "sonata_example/sonata_network": "ModuleNotFoundError: 'SonataNetwork' unavailable",
}
DOZEN = (
    *("BrodyHopfield", "cross_check_mip_corrdet", "hh_psc_alpha", "if_curve", "lin_rate_ipn_network", "one_neuron"),
    *("one_neuron_with_noise", "pulsepacket", "store_restore_network", "twoneurons", "vinit_example"),
    *("EI_clustered_network/network_params", "music_cont_out_proxy_example/nest_script"),
)
RESOLUTION = re.compile(r"sets the resolution to ([\d.e-]+) ms, but clock.resolution_ms = 0.1: set clock.resolution_ms")
MISSING_PACKAGE = "ModuleNotFoundError: No module named"


def experiment(folder: Path, name: str, resolution_ms: str = "0.1") -> Path:
    """An experiment whose brain is the example ``name``."""
    path = folder / name.replace("/", "-") / resolution_ms
    path.mkdir(parents=True)
    script = EXAMPLES / f"{name}.py"
    (path / "experiment.toml").write_text(SETTINGS.format(script=script, resolution_ms=resolution_ms, steps=STEPS))
    return path


def outcomes(launch, folders: list[Path], timeout_s: float = 240) -> list[tuple[int, str]]:
    """Exit code of each, and what it said."""
    result = launch(2, "tests/programs/run_several.py", *folders, timeout_s=timeout_s)
    said = re.split(r"<(\d)>\n", result.stderr)
    assert (result.returncode, len(said)) == (0, 2 * len(folders) + 1), result.stderr
    return [(int(code), text) for text, code in zip(said[::2], said[1::2], strict=False)]


def assert_outcome(folder: Path, message: str, code: int, said: str) -> None:
    """It ran, or was refused with one message, and without a traceback of ours."""
    assert "Traceback" not in said
    assert code == (EXIT_CONFIGURATION if message else EXIT_COMPLETE), said
    assert (folder / "results" / "summary.json").exists() != bool(message)
    assert said.count("cosim: ") == bool(message)
    assert message in said


def test_a_dozen_run_or_are_told_why_not(launch, tmp_path):
    folders = [experiment(tmp_path, name) for name in DOZEN]
    for name, folder, outcome in zip(DOZEN, folders, outcomes(launch, folders), strict=True):
        assert_outcome(folder, REFUSED.get(name, ""), *outcome)


@pytest.mark.nest_examples
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [str(path.relative_to(EXAMPLES))[:-3] for path in sorted(EXAMPLES.rglob("*.py"))])
def test_each_runs_or_is_told_why_not(launch, tmp_path, name):
    """With the resolution that it wants."""
    folder = experiment(tmp_path, name)
    (outcome,) = outcomes(launch, [folder], timeout_s=1700)
    wanted = RESOLUTION.search(outcome[1])
    if wanted:
        assert_outcome(folder, wanted[0], *outcome)
        folder = experiment(tmp_path, name, wanted[1])
        (outcome,) = outcomes(launch, [folder], timeout_s=1700)
    lacks = MISSING_PACKAGE if MISSING_PACKAGE in outcome[1] else ""
    assert_outcome(folder, REFUSED.get(name, lacks), *outcome)
