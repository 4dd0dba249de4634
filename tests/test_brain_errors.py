# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user's brain does wrong, in a script or in values that NEST does not take: told without a traceback of ours.

Where all brain ranks fail it is refused as any other mistake; where one fails alone it ends the job.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

EXIT_FAILED, EXIT_CONFIGURATION = 1, 2

SETTINGS = """
[clock]
coupling_step_ms = 10.0
resolution_ms = 0.1
steps = 2
[brain]
{brain}
virtual_processes = 2
{more}
"""
SOURCE = '[[sources]]\nname = "drive"\npopulation = "cells"\nweight = 1.0\ndelay_ms = 1.0\nreceptor = 7'
TABLES = """
from cosim import Table
from cosim.network import Bernoulli, Constant, Network, Population, Projection, Unplaced

class Parameters(Table):
    pass

def network():
    cells = Population("cells", "R", {model!r}, {parameters!r}, Unplaced(4))
    more = {{"synapse_model": {synapse!r}, "synapse_parameters": {synapse_parameters!r}}}
    return Network((cells,), (Projection("cells", "cells", Bernoulli(0.5), Constant(1.0), 1.0, **more),))
"""


def tables(
    model: str = "iaf_psc_alpha", parameters: dict = {}, synapse: str = "static_synapse", synapse_parameters: dict = {}
) -> str:
    return TABLES.format(model=model, parameters=parameters, synapse=synapse, synapse_parameters=synapse_parameters)


# By name: the script, and all that is said.
SCRIPTS = {
    "missing_package": (
        "import nest\nimport no_such_package\n",
        "{script}, line 2: ModuleNotFoundError: No module named 'no_such_package'\n",
    ),
    "broken_module": (
        "import nest\nimport helper\n",
        "{folder}/helper.py, line 3: SyntaxError: '(' was never closed\n",
    ),
    "other_resolution": (
        "import nest\nnest.resolution = 0.25\n",
        "{script}, line 2: sets the resolution to 0.25 ms, but clock.resolution_ms = 0.1: "
        "set clock.resolution_ms = 0.25, or take it out of the script\n",
    ),
    "no_neurons": ("import nest\n", "{script}: creates no neurons before it simulates or ends\n"),
    "inside_a_call": (
        "import nest\ndef build(n):\n    return nest.Create('iaf_psc_exp', n, {'tau': 3.0})\nbuild(2)\n",
        "{script}, line 3: UnaccessedDictionaryEntry: Unaccessed elements in params, in function "
        "NodeManager::set_status:  tau\n"
        "  {script}, line 4, in <module>: build(2)\n"
        "  {script}, line 3, in build: return nest.Create('iaf_psc_exp', n, {{'tau': 3.0}})\n",
    ),
    "receptor": (
        "import nest\ncells = nest.Create('iaf_psc_alpha', 2)\n",
        "spike source drive: UnknownReceptorType: Receptor type 7 is not available in iaf_psc_alpha.\n",
    ),
}
# By name: the tables, and what ends all that is said.
NETWORKS = {
    "unknown_parameter": (
        tables(parameters={"tau_membrane": 10.0}),
        "population cells: UnaccessedDictionaryEntry: Unaccessed elements in params, in function "
        "NodeManager::set_status:  tau_membrane\n",
    ),
    "no_value": (tables(parameters={"C_m": None}), "population cells: AttributeError: "),
    "unknown_model": (tables(model="iaf_alpha"), "population cells: UnknownModelName: iaf_alpha is not a known"),
    "unknown_synapse": (tables(synapse="stdp"), "projection cells -> cells: NestlinkError: could not connect"),
    "synapse_parameter": (
        tables(synapse_parameters={"lamda": 0.1}),
        "projection cells -> cells: UnaccessedDictionaryEntry: Unaccessed elements in params, in function "
        "ModelManager::set_synapse_defaults_:  lamda\n",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An experiment for each script and each network."""
    root = tmp_path_factory.mktemp("brains")
    for name, (text, _) in SCRIPTS.items():
        (root / name).mkdir()
        (root / name / "net.py").write_text(text)
        (root / name / "helper.py").write_text("x = 1\n\ny = (2\n")
        more = SOURCE if name == "receptor" else ""
        (root / name / "experiment.toml").write_text(SETTINGS.format(brain='script = "net.py"', more=more))
    for name, (text, _) in NETWORKS.items():
        (root / name / "own").mkdir(parents=True)
        (root / name / "own/network.py").write_text(text)
        (root / name / "experiment.toml").write_text(SETTINGS.format(brain='model = "own"', more=""))
    return root


def test_what_all_brain_ranks_refuse_is_told_in_the_users_terms_and_leaves_nothing(launch, folder):
    names = [*SCRIPTS, *NETWORKS]
    result = launch(3, "tests/programs/run_several.py", *(folder / name for name in names), timeout_s=100)
    assert result.returncode == 0, result.stderr
    *said, rest = result.stderr.split(f"<{EXIT_CONFIGURATION}>\n")
    assert (len(said), rest) == (len(names), ""), result.stderr
    for name, text in zip(names, said, strict=True):
        assert "Traceback" not in text and "cosim/" not in text, text
        assert text.count("cosim: ") == 1, text
        message = text.split("cosim: ")[1]
        if name in NETWORKS:
            assert message.startswith(NETWORKS[name][1])
        else:
            assert message == SCRIPTS[name][1].format(script=folder / name / "net.py", folder=folder / name)
        assert not (folder / name / "results").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("others", ["", "nest.SyncProcesses()"], ids=["end well", "wait inside NEST"])
def test_a_script_that_fails_on_one_rank_ends_the_job_with_its_message_alone(launch, tmp_path, others):
    text = "import nest\ncells = nest.Create('iaf_psc_exp', 2)\nif nest.Rank() == 1:\n    raise OSError('no disk')\n"
    folder = tmp_path / "one_rank"
    folder.mkdir()
    (folder / "net.py").write_text(text + others)
    (folder / "experiment.toml").write_text(SETTINGS.format(brain='script = "net.py"', more=""))
    began = time.monotonic()
    result = launch(3, "tests/programs/impatient.py", folder, "--out", tmp_path / "run", timeout_s=30)
    assert time.monotonic() - began < 20
    assert result.returncode == EXIT_FAILED, result.stderr
    assert f"cosim: rank 2 stopped: {folder / 'net.py'}, line 4: OSError: no disk\n" in result.stderr
    assert "Traceback" not in result.stderr
