# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration: what is wrong is named with file, key, value and what is allowed, all together."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.errors import ConfigurationError
from cosim.experiment.config import load
from cosim.experiment.options import parse
from cosim.modes.normal import NormalRun
from cosim.record.folder import RunFolder
from cosim.timegrid import is_multiple


def problems(*overrides: str, experiment: str = "mouse_m1") -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(experiment, overrides)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of mouse_m1 to be changed."""
    return Path(shutil.copytree(REPOSITORY / "models/mouse_m1", tmp_path / "mouse"))


def change(folder: Path, pattern: str, replacement: str) -> None:
    """Change the experiment's file; a pattern that is not there is an error of the test."""
    file = folder / "experiment.toml"
    text, count = re.subn(pattern, replacement, file.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    file.write_text(text)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("sede=3", "seed"),
        ("clock.step=3", "steps"),
        ("brain.pach_mm=0.2", "patch_mm"),
        ("brain.virtual_proceses=2", "virtual_processes"),
        ("protocol.stimulus_rate=0", "stimulus_rate_hz"),
        ("sinks.0.weigth_pa=1", "weight_pa"),
        ("sources.1.delay=1", "delay_ms"),
        ("record.spike='*'", "spikes"),
    ],
)
def test_an_unknown_key_names_the_nearest(key, nearest):
    message = problems(key)
    assert "unknown key" in message
    assert f"did you mean {nearest}?" in message


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("brain.patch_mm=0", "greater than or equal to 0.1"),
        ("brain.patch_mm=1.01", "less than or equal to 1"),
        ("brain.patch_mm=nan", "finite"),
        ("brain.patch_mm=wide", "valid number"),
        ("brain.regions=[]", "at least 1 item"),
        ("brain.variant=old", "'as_run', 'clean' or 'loop'"),
        ("brain.virtual_processes=0", "greater than 0"),
        ("brain.virtual_processes=2.5", "valid integer"),
        ("clock.steps=0", "greater than 0"),
        ("clock.physics_step_ms=-1", "greater than 0"),
        ("seed=0", "greater than or equal to 1"),
        ("seed=2147483648", "less than 2147483648"),
        ("body.driven=force", "'excitation' or 'activation'"),
        ("sources.0.delay_ms=0", "greater than 0"),
        ("clock=3", "must be a table"),
        ("body=3", "must be a table"),
        ("sources.0=3", "must be a table"),
        ("brain.regions=M1", "must be a list, such as ['M1']"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(override, allowed):
    key, value = override.split("=")
    message = problems(override)
    assert f"--set {key}: {key} = " in message
    assert value.strip("'") in message
    assert allowed in message


def test_all_problems_come_together():
    message = problems("brain.patch_mm=7", "clock.steps=-1", "seed=x", "protocol.colour=red")
    assert len(message.splitlines()) == 4


def test_clocks_that_do_not_fit_are_told_together_with_the_rest():
    message = problems("clock.physics_step_ms=0.3", "clock.resolution_ms=0.07", "brain.patch_mm=7")
    assert len(message.splitlines()) == 3
    assert "clock.physics_step_ms = 0.3" in message and "clock.resolution_ms = 0.07" in message


def test_a_problem_names_the_setting_around_it_or_below_it():
    assert "--set clock: clock.steps = -3" in problems("clock={steps=-3}")
    assert "--set colours.red: colours: unknown key" in problems("colours.red=1")


def test_a_problem_in_the_file_names_the_file(folder):
    change(folder, r"^steps = 50", "steps = -50")
    assert f"{folder / 'experiment.toml'}: clock.steps = -50" in problems(experiment=str(folder))


def test_a_missing_key_is_named(folder):
    change(folder, r"^steps = 50", "")
    assert "clock.steps: missing" in problems(experiment=str(folder))


def test_missing_keys_of_a_missing_table_are_named(folder):
    text = (folder / "experiment.toml").read_text()
    (folder / "experiment.toml").write_text(text[: text.index("[protocol]")])
    message = problems("brain.patch_mm=7", experiment=str(folder))
    assert "protocol.base_until_ms: missing" in message
    assert "protocol.stimulus_rate_hz: missing" in message
    assert "brain.patch_mm = 7" in message


@pytest.mark.parametrize("table", ["brain", "clock"])
def test_a_missing_table_is_named(folder, table):
    change(folder, rf"^\[{table}\]", "[record]")
    change(folder, r"^\[record\]\nspikes.*", "")
    assert re.search(rf": {table}(: missing|\.model = None)", problems(experiment=str(folder)))


def test_an_unknown_experiment_or_model_names_the_nearest():
    assert "did you mean mouse_m1?" in problems(experiment="mouse_m2")
    assert "brain.model = 'rodnet'" in problems("brain.model=rodnet")
    assert "did you mean rodent?" in problems("brain.model=rodnet")


def test_the_file_of_an_experiment_may_be_given(folder):
    assert load(str(folder / "experiment.toml")).folder == folder


MODEL = """
from cosim.network.layout import Unplaced
from cosim.network.network import Network, Population
from cosim import Table


class Parameters(Table):
    neurons: int = 7


def network(neurons):
    return Network((Population("M1_L1_ENGC", "R", "iaf_psc_alpha", {}, Unplaced(neurons)),))
"""


@pytest.fixture
def model(folder) -> Path:
    """A brain model in the experiment's folder that is called like one of ours."""
    (folder / "clustered").mkdir()
    change(folder, r'^model = "rodent"', 'model = "clustered"')
    for key in ("regions", "variant", "patch_mm"):
        change(folder, rf"^{key} = .*", "")
    (folder / "clustered/network.py").write_text(MODEL)
    return folder / "clustered/network.py"


def test_a_model_of_the_experiment_comes_before_one_of_ours(folder, model):
    experiment = load(str(folder))
    assert experiment.brain.path == model
    assert experiment.brain_parameters == {"neurons": 7}
    (folder / "clustered").rename(folder / "other")
    assert load(str(folder)).brain.path == REPOSITORY / "models/clustered/network.py"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("def network(neurons)", "def network(cells)", "network(cells): missing a required argument: 'cells'"),
        ("def network(neurons)", "def net(neurons)", "has no function network(neurons)"),
        ("class Parameters(Table)", "class Parameters", "must be a class derived from cosim.Table"),
        ("def network(neurons)", "full_network = 3\ndef network(neurons)", "full_network = 3: must be a function"),
    ],
)
def test_a_model_that_is_none_is_named_with_what_is_missing(folder, model, before, after, words):
    model.write_text(MODEL.replace(before, after))
    message = problems(experiment=str(folder))
    assert message.startswith(str(model)) and words in message


def test_a_model_without_parameters_needs_no_class_for_them(folder, model):
    plain = MODEL.replace("class Parameters", "class Other")
    model.write_text(plain.replace("(neurons)", "()", 1).replace("neurons)", "7)"))
    assert load(str(folder)).brain_parameters == {}


@pytest.mark.parametrize("base", ["", "(pydantic.BaseModel)"])
def test_a_protocol_must_be_a_table(folder, base):
    (folder / "transfer.py").write_text(f"import pydantic\n\nclass Protocol{base}:\n    pass\n")
    assert "Protocol = <class" in problems(experiment=str(folder))
    assert "must be a class derived from cosim.Table" in problems(experiment=str(folder))


def test_a_summary_function_must_take_the_run(folder):
    with (folder / "transfer.py").open("a") as file:
        file.write("\ndef summarize(run, more): pass\n")
    assert "summarize(run, more): missing a required argument: 'more'" in problems(experiment=str(folder))


def test_a_file_that_is_no_toml_is_named_with_the_line(folder):
    change(folder, r"^steps = 50", "steps = = 50")
    message = problems(experiment=str(folder))
    assert f"{folder / 'experiment.toml'}: not valid TOML" in message
    assert "line" in message


def test_a_file_that_is_no_text_is_named(folder):
    (folder / "experiment.toml").write_bytes(b"title = '\xff'")
    assert f"{folder / 'experiment.toml'}: not valid TOML" in problems(experiment=str(folder))


def test_an_integer_too_long_to_be_read_is_refused(folder):
    assert "--set seed: seed = '1111" in problems(f"seed={'1' * 5000}")
    change(folder, r"^seed = .*", f"seed = {'1' * 5000}")
    assert f"{folder / 'experiment.toml'}: not valid TOML" in problems(experiment=str(folder))


POSTPONED = """
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cosim import Table


@dataclass
class Filter:
    gain: float


class Protocol(Table):
    hand: Literal["left", "right"] = "left"
"""


def test_a_transfer_file_may_postpone_its_annotations(folder):
    change(folder, r"^\[protocol\]\n.*\n.*\n.*", "")
    (folder / "transfer.py").write_text(POSTPONED)
    assert load(str(folder)).config.protocol.hand == "left"
    assert "'left' or 'right'" in problems("protocol.hand=both", experiment=str(folder))


def test_a_transfer_file_that_cannot_be_run_is_named(folder):
    (folder / "transfer.py").write_text("import no_such_library\n")
    assert f"{folder / 'transfer.py'}: ModuleNotFoundError" in problems(experiment=str(folder))
    (folder / "transfer.py").write_text("def broken(:\n")
    assert f"{folder / 'transfer.py'}: SyntaxError" in problems(experiment=str(folder))
    (folder / "transfer.py").write_text("import sys\nsys.exit(3)\n")
    assert f"{folder / 'transfer.py'}: SystemExit: 3" in problems(experiment=str(folder))


def test_settings_do_not_pile_up_over_resets(tmp_path):
    run = NormalRun(parse(["mouse_m1", "--set", "seed=1", "--set", "brain.patch_mm=0.2"], quiet=True))
    for seed in range(2, 5):
        run = run.again(RunFolder(tmp_path), [f"seed={seed}", "clock.steps = 9"])
    assert run.options.overrides == ("brain.patch_mm=0.2", "seed=4", "clock.steps = 9")
    run = run.again(RunFolder(tmp_path), ["brain.patch_mm=0.3"])
    assert run.options.overrides == ("seed=4", "clock.steps = 9", "brain.patch_mm=0.3")


@pytest.mark.parametrize("override", ["brain.patch_mm", "=3", "brain.=3", ".patch_mm=3"])
def test_a_setting_that_is_no_key_and_value_is_refused(override):
    assert f"--set {override}: must be key=value" in problems(override)


@pytest.mark.parametrize(
    "override",
    ["seed.value=3", "seed.a.b=3"] + [f"sources.{key}=1" for key in ("7", "7.weight", "-1.weight", "first.weight")],
)
def test_a_setting_below_what_is_no_table_is_refused(override):
    assert f"--set {override}: there is no table" in problems(override)


def test_settings_change_the_configuration():
    changes = ["brain.patch_mm=0.2", "sources.1.weight=0.3", "brain.variant=clean", "brain.patch_mm=0.3"]
    config = load("mouse_m1", changes).config
    assert (config.brain.patch_mm, config.brain.variant) == (0.3, "clean")
    assert [source.weight for source in config.sources] == [0.15, 0.3, 0.15]


@pytest.mark.parametrize("part", ["physics_step_ms", "resolution_ms"])
def test_a_coupling_step_that_is_no_multiple_is_refused_with_both_numbers(part):
    message = problems("clock.coupling_step_ms=20.05", f"clock.{part}=0.1")
    assert f"clock.coupling_step_ms = 20.05: must be a multiple of clock.{part} = 0.1" in message


@pytest.mark.parametrize("resolution_ms", [0.0625, 0.0005])
def test_a_resolution_that_nest_cannot_count_in_is_refused(resolution_ms):
    message = problems(f"clock.resolution_ms={resolution_ms}", "clock.coupling_step_ms=20")
    assert f"clock.resolution_ms = {resolution_ms}: must be a multiple of 0.001 ms" in message


def test_multiples_are_told_in_spite_of_binary_fractions():
    assert is_multiple(0.3, 0.1) and is_multiple(20.0, 0.1) and is_multiple(1.1, 0.1)
    assert not any(is_multiple(whole, 0.1) for whole in (0.0, 0.05, 0.25, -0.1, float("inf"), float("nan")))


def test_the_effective_configuration_loads_again_as_it_was(folder):
    config = load("mouse_m1", ["brain.patch_mm=0.2", "seed=5", "brain.regions=['M1']"]).config
    (folder / "experiment.toml").write_text(config.to_toml())
    assert load(str(folder)).config.model_dump() == config.model_dump()


OPTIONAL = """
class Protocol(Table):
    until_ms: float | None = None
    loud: bool | None = None
    colour: str = "red"
"""


def test_optional_keys_of_a_protocol_may_be_left_out_or_given(folder):
    change(folder, r"^\[protocol\]\n.*\n.*\n.*", "")
    (folder / "transfer.py").write_text("from cosim import Table\n" + OPTIONAL)
    left_out = load(str(folder)).config
    (folder / "experiment.toml").write_text(left_out.to_toml())
    assert load(str(folder)).config.model_dump() == left_out.model_dump()
    given = load(str(folder), ["protocol.until_ms=3", "protocol.loud=true"]).config.protocol
    assert (given.until_ms, given.loud) == (3.0, True)


KEYS = [
    "seed", "clock.steps", "clock.coupling_step_ms", "clock.physics_step_ms",
    "brain.patch_mm", "brain.variant", "brain.virtual_processes", "body.driven",
    "protocol.stimulus_rate_hz", "sinks.0.weight_pa", "sources.2.name",
]  # fmt: skip
BAD = st.one_of(
    st.floats(max_value=-1e-3).map(str),
    st.lists(st.integers(), max_size=3).map(str),
    st.just("{ a = 1 }"),
    st.booleans().map(lambda value: str(value).lower()),
    st.dates().map(str),
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(KEYS), value=BAD)
def test_no_bad_value_gets_through_or_gives_another_error(key, value):
    with pytest.raises(ConfigurationError) as caught:
        load("mouse_m1", [f"{key}={value}"])
    assert key in str(caught.value)


def test_short_options_are_settings():
    typed = "mouse_m1 --steps 5 --seed 7 --out there --set a=1"
    options = parse(typed.split(), quiet=False)
    assert (options.experiment, options.out) == ("mouse_m1", "there")
    assert options.overrides == ("a=1", "clock.steps=5", "seed=7")


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["mouse_m1", "--sed", "3"], ["mouse_m1", "--steps"]])
def test_a_command_line_that_makes_no_sense_is_refused_with_the_usage(arguments):
    with pytest.raises(ConfigurationError, match="usage: run.py"):
        parse(arguments, quiet=False)
