# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of bad configurations, made by hypothesis: each is refused before NEST starts, in words for its user."""

from __future__ import annotations

import re
import shutil
import string
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tomli_w
from conftest import REPOSITORY
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cosim.brain.counting import LONGEST_TIME_MS, MOST_THREADS
from cosim.config import MOST_PHYSICS_STEPS
from cosim.errors import ConfigurationError
from cosim.machine import Machine
from cosim.options import parse
from cosim.plan import prepare

EXAMPLES, LEAST_DISTINCT = 30, 20
ALLOWED = re.compile(
    r"must|allowed|permitted|did you mean|there (is|are) no|no such|not valid TOML|expected|give one|name one|Error|"
    r"should be|required|called with|usage|in line"
)
MODELS = {"mouse_m1": "forelimb", "braitenberg": "husky"}
TABLES = {name: tomllib.loads((REPOSITORY / f"models/{name}/experiment.toml").read_text()) for name in MODELS}
BODIES = {name: tomllib.loads((REPOSITORY / f"models/{name}/body.toml").read_text()) for name in MODELS.values()}

pytestmark = pytest.mark.timeout(200)


@dataclass(frozen=True)
class Bad:
    """A configuration with a mistake; the message has to hold all of ``named``.

    ``files`` take the place of files in the folder of the experiment.
    """

    named: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    experiment: str = "mouse_m1"
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    brain_ranks: int = 1


def setting(key: str, value: str, *named: str, **others) -> Bad:
    return Bad((key, *named), ("--set", f"{key}={value}"), **others)


def one_of(*strategies: st.SearchStrategy[Bad]) -> st.SearchStrategy[Bad]:
    return st.one_of(*strategies)


NO_WORDS = ("true", "false", "nan", "inf")
words = st.text(string.ascii_lowercase, min_size=3, max_size=8).filter(lambda word: word not in NO_WORDS)
NOT_FINITE = st.sampled_from(["nan", "inf", "-inf"])
negative = st.floats(-1e6, -1e-6).map(str)


# Values


NUMBERS = [
    "seed", "clock.steps", "clock.coupling_step_ms", "clock.physics_step_ms", "clock.resolution_ms",
    "brain.patch_mm", "brain.virtual_processes", "sources.0.weight", "sources.2.delay_ms", "sources.1.receptor",
    "sinks.0.weight_pa", "sinks.0.tau_m_ms", "sinks.0.delay_ms", "protocol.stimulus_rate_hz",
]  # fmt: skip
TEXTS = [
    "title", "brain.model", "brain.variant", "body.model", "body.driven", "sources.0.name", "sinks.0.populations",
]  # fmt: skip
NO_NUMBER = st.one_of(
    st.sampled_from(["true", "false", "[]", "{}", "{ a = 1 }", "2020-01-01", "''"]),
    words.map(repr),
    st.lists(st.integers(), min_size=1, max_size=3).map(str),
)
NO_TEXT = st.one_of(st.integers().map(str), st.sampled_from(["true", "false", "[]", "{}", "1.5"]))
wrong_types = one_of(
    st.builds(lambda key, value: setting(key, value, f"{key} = "), st.sampled_from(NUMBERS), NO_NUMBER),
    st.builds(lambda key, value: setting(key, value, f"{key} = "), st.sampled_from(TEXTS), NO_TEXT),
    st.builds(
        lambda table, value: setting(table, value, f"{table} = ", "table"),
        st.sampled_from(["clock", "brain", "body", "record", "protocol", "sources.0"]),
        st.one_of(st.integers().map(str), words),
    ),
    st.builds(lambda value: setting("brain.regions", value), st.one_of(words, st.integers().map(str))),
    st.builds(
        lambda truth: setting("protocol.light_m", f"[1.0, {truth}, 2.0]", experiment="braitenberg"),
        st.sampled_from(["true", "false"]),
    ),
)
POSITIVE = [key for key in NUMBERS if key not in ("sources.0.weight", "sources.1.receptor", "protocol.stimulus_rate_hz")]
out_of_range = one_of(
    st.builds(lambda key, value: setting(key, value, f"{key} = "), st.sampled_from(POSITIVE), negative),
    st.builds(lambda key: setting(key, "0", f"{key} = 0"), st.sampled_from(POSITIVE)),
    st.builds(lambda key, value: setting(key, value, f"{key} = "), st.sampled_from(NUMBERS), NOT_FINITE),
    st.integers(2**31, 2**70).map(lambda each: setting("seed", str(each), f"seed = {each}")),
    st.floats(1.001, 1e9).map(lambda each: setting("brain.patch_mm", str(each), f"brain.patch_mm = {each}")),
    st.integers(2**21, 10**12).map(lambda steps: str(steps / 10)).map(
        lambda delay: setting("sources.1.delay_ms", delay, f"sources.1.delay_ms = {delay}", "at most 209715")
    ),
    st.integers(1, 10**30).map(lambda each: setting("sources.0.receptor", str(each), f"receptor = {each}")),
)

# Keys, files, settings

PLACES = ["", "clock.", "brain.", "body.", "record.", "protocol.", "sources.0.", "sinks.0."]
unknown_keys = st.builds(
    lambda place, word: setting(f"{place}no_{word}", "1", "unknown key"), st.sampled_from(PLACES), words
)
missing_files = one_of(
    words.map(lambda word: setting("brain.model", f"no_{word}", f"'no_{word}'")),
    words.map(lambda word: setting("body.model", f"no/{word}", f"'no/{word}'")),
    words.map(lambda word: setting("brain.script", f"{word}.txt", f"{word}.txt", experiment="braitenberg")),
    words.map(lambda word: setting("brain.script", "brain.py", "brain.model", files={"brain.py": f"{word} = 1"})),
    words.map(lambda word: Bad((f"'no_{word}'",), experiment=f"no_{word}")),
    st.integers(300, 5000).map(lambda length: setting("body.model", "x" * length)),
)
bad_settings = one_of(
    st.one_of(words, words.map("={}".format), words.map("{}.=1".format), words.map("a..{}=1".format)).map(
        lambda text: Bad((f"--set {text}: must be key=value",), ("--set", text))
    ),
    st.builds(
        lambda key, word: Bad((f"--set {key}.{word}=1", "there is no table"), ("--set", f"{key}.{word}=1")),
        st.sampled_from(["seed", "sources.9", "sinks.first", "sources.-1", "title.a"]),
        words,
    ),
    st.integers(200, 3000).map(lambda depth: setting("seed", "[" * depth, "seed = ")),
)

# Numbers that do not fit together

ranks_and_threads = one_of(
    st.builds(
        lambda ranks, processes: setting(
            "brain.virtual_processes", str(processes), f"brain.virtual_processes = {processes}", brain_ranks=ranks
        ),
        st.integers(2, 64),
        st.integers(1, 10**4),
    ).filter(lambda bad: int(bad.arguments[1].partition("=")[2]) % bad.brain_ranks),
    st.builds(
        lambda ranks, threads: setting("brain.virtual_processes", str(ranks * threads), "threads", brain_ranks=ranks),
        st.integers(1, 64),
        st.integers(MOST_THREADS + 1, 10**30),
    ),
)


@st.composite
def clocks(draw) -> Bad:
    """A coupling step that is no multiple of what it must hold, in whole microseconds."""
    part = draw(st.sampled_from(["physics_step_ms", "resolution_ms"]))
    whole_us, part_us = draw(st.integers(1, 10**6)), draw(st.integers(2, 10**6))
    assume(whole_us % part_us)
    changes = f"clock.coupling_step_ms={whole_us / 1000}", f"clock.{part}={part_us / 1000}"
    named = f"clock.coupling_step_ms = {whole_us / 1000}", f"clock.{part} = {part_us / 1000}"
    return Bad(named, ("--set", changes[0], "--set", changes[1]))


contradicting_clocks = one_of(
    clocks(),
    st.integers(1, 999).map(lambda n: setting("clock.resolution_ms", str(n / 1000 + 0.0005), "NEST's unit of time")),
    st.integers(int(LONGEST_TIME_MS), 10**40).map(
        lambda steps: setting("clock.steps", str(steps), f"clock.steps = {steps}", "clock.coupling_step_ms = 20.0")
    ),
    st.integers(MOST_PHYSICS_STEPS + 1, 10**12).map(lambda ms: setting("clock.coupling_step_ms", f"{ms}.0", "at most")),
)

# Ports

no_identifier = st.one_of(
    st.integers().map(str), words.map("{} x".format), words.map("{}-x".format), st.sampled_from(["class", ""])
)
ports = one_of(
    words.map(lambda word: setting("sources.0.population", f"no_{word}", f"'no_{word}'", "no such population")),
    words.map(lambda word: setting("sinks.0.populations", f"no_{word}*", f"'no_{word}*'")),
    words.map(lambda word: setting("record.spikes", f"['no_{word}']", f"'no_{word}'")),
    st.builds(
        lambda experiment, name: setting(
            "sources.0.name", repr(name), f"{name!r}: must be a Python name", experiment=experiment
        ),
        st.sampled_from(list(MODELS)),
        no_identifier,
    ),
    st.builds(
        lambda experiment, name: Bad((f"{name!r}",), ("--set", f"sources.0.name={name}"), experiment),
        st.sampled_from(list(MODELS)),
        st.sampled_from(["protocol", "t_ms", "step"]),
    ),
    st.builds(
        lambda experiment, delay: setting(
            "sources.0.delay_ms", f"{delay}.05", f"delay_ms = {delay}.05", experiment=experiment
        ),
        st.sampled_from(list(MODELS)),
        st.integers(0, 100),
    ),
    st.integers(-9, 0).map(lambda step: setting("sinks.0.populations", f"M1_*[::{step}]", f"the step is {step}")),
    st.integers(10**5, 10**9).map(
        lambda first: setting("record.spikes", f"M1_L1_ENGC[{first}:]", f"[{first}:]", "no neuron is left")
    ),
)

# Files that users write

PORTS = {"mouse_m1": ("muscles", "excitation", 8), "braitenberg": ("wheels", "left_rad_s", 1)}


def transfer_file(experiment: str, code: str, *named: str) -> Bad:
    """An experiment without settings of its own, and these transfer functions."""
    tables = {name: table for name, table in TABLES[experiment].items() if name != "protocol"}
    text = f"from cosim.transfer import transfer_function\n\n{code}\n"
    files = {"experiment.toml": tomli_w.dumps(tables), "transfer.py": text}
    return Bad(("transfer.py", *named), experiment=experiment, files=files)


@st.composite
def transfer_files(draw) -> Bad:
    experiment, word = draw(st.sampled_from(list(MODELS))), "no_" + draw(words)
    port, command, width = PORTS[experiment]
    mark = "@transfer_function\n"
    shape = draw(st.integers(width + 1, 40))
    code, named = draw(
        st.sampled_from([
            (f"{mark}def move({word}): pass", (f"unknown port '{word}'", "allowed")),
            (f"{mark}def move({port}, t_ms): {port}.{word} = 1.0", ("move", word)),
            (f"{mark}def move({port}): {port}.{command} = [0.5] * {shape}", ("move", "Error")),
            (f"{mark}def move(): {word}()", ("move", "NameError", word)),
            (f"{mark}def move(): raise SystemExit('{word}')", ("move", "SystemExit", word)),
            (f"def {word}(): pass", ("no function is marked", word)),
            (f"{mark}def {word}(): yield", ("TypeError", word, "plain function")),
            (f"{mark}async def {word}(): pass", ("TypeError", word, "plain function")),
            (f"import {word}", ("ModuleNotFoundError", word)),
            (f"def {word}(:", ("SyntaxError",)),
            (f"summarize = {word!r}", ("summarize", word, "must be a function")),
            (f"def tell({word}, more): pass", ("tell", word, "more")),
            (f"Protocol = {word!r}", ("Protocol", word, "must be a class")),
        ])
    )  # fmt: skip
    return transfer_file(experiment, code, *named)


@st.composite
def damaged_tables(draw) -> Bad:
    """An ``experiment.toml`` that is no TOML any more."""
    text = tomli_w.dumps(TABLES["mouse_m1"])
    lines = text.splitlines()
    line = draw(st.integers(0, len(lines)))
    wrong = draw(st.one_of(words, words.map("= {}".format), words.map("[{}".format), words.map('{} = "'.format)))
    return Bad(
        ("experiment.toml: not valid TOML",), files={"experiment.toml": "\n".join([*lines[:line], wrong, *lines[line:]])}
    )


damaged_files = one_of(
    damaged_tables(),
    words.map(lambda word: Bad(("not valid TOML",), files={"experiment.toml": b"title = '\xff" + word.encode()})),
    words.map(lambda word: Bad(("brain.py",), experiment="braitenberg", files={"brain.py": f"def {word}(:"})),
)


@st.composite
def bodies(draw) -> Bad:
    """A body file of the experiment's own in which a value has another type, or a key too many."""
    experiment = draw(st.sampled_from(list(MODELS)))
    table = tomllib.loads(tomli_w.dumps(BODIES[MODELS[experiment]]))
    container = table
    while True:
        key = draw(st.sampled_from(list(container) if isinstance(container, dict) else range(len(container))))
        if not (isinstance(container[key], (dict, list)) and container[key] and draw(st.booleans())):
            break
        container = container[key]
    if isinstance(container, dict) and draw(st.booleans()):
        container["no_" + draw(words)] = 1
    else:
        container[key] = draw(st.sampled_from([{"no_such": {}}, float("nan"), [[["x"]]]]))
    return Bad(
        ("body.toml",), ("--set", "body.model=own"), experiment, files={"own/body.toml": tomli_w.dumps(table)}
    )


body_settings = one_of(
    bodies(),
    words.map(lambda word: setting("body.driven", f"no_{word}", f"'no_{word}'", "'excitation' or 'activation'")),
    words.map(lambda word: setting("body.engine", f"no_{word}", f"'no_{word}'", "'pybullet' or 'mujoco'")),
    words.map(lambda word: setting(f"body.{word}_m", "1", "unknown key", experiment="braitenberg")),
)
options = one_of(
    st.one_of(words, negative, st.just("0")).map(lambda text: Bad(("clock.steps",), (f"--steps={text}",))),
    st.one_of(words, st.integers(-(10**9), 0).map(str)).map(lambda text: Bad(("seed",), (f"--seed={text}",))),
    st.one_of(words, negative, st.just("0"), st.integers(10**10, 10**400).map("{}h".format)).map(
        lambda text: Bad(("--wall-limit",), (f"--wall-limit={text}",))
    ),
    words.map(lambda word: Bad((f"--no-{word}", "usage"), (f"--no-{word}",))),
    st.builds(lambda name, word: Bad((word,), (f"--{name}=/no/{word}",)), st.sampled_from(["resume", "replay"]), words),
    st.builds(lambda word: Bad(("--set", "--resume"), (f"--set={word}=1", f"--resume={word}")), words),
    st.sampled_from(["out", "resume", "replay"]).map(
        lambda name: Bad((f"--{name}", "must name a folder"), (f"--{name}=",))
    ),
    st.builds(
        lambda place, word: Bad((f"{place}/{word}",), (f"--out={place}/{word}",)),
        st.sampled_from(["/proc", "/dev/null", "/etc/passwd"]),
        words,
    ),
)  # fmt: skip

KINDS = {
    "wrong types": wrong_types,
    "unknown keys": unknown_keys,
    "out of range": out_of_range,
    "missing files": missing_files,
    "bad --set": bad_settings,
    "ranks and threads": ranks_and_threads,
    "contradicting clocks": contradicting_clocks,
    "ports": ports,
    "transfer files": transfer_files(),
    "damaged files": damaged_files,
    "body": body_settings,
    "options": options,
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_configurations_are_refused_before_nest_starts(kind, tmp_path):
    made = set()

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(bad=KINDS[kind])
    def check(bad: Bad) -> None:
        made.add(repr(bad))
        assert_refused(bad, tmp_path / "here")

    check()
    assert len(made) >= LEAST_DISTINCT, "all kinds together must be 200 or more"


def test_these_are_more_than_two_hundred():
    assert len(KINDS) * LEAST_DISTINCT > 200


def assert_refused(bad: Bad, folder: Path) -> None:
    """A ConfigurationError that names what is wrong and what is allowed; nothing has been started or made."""
    shutil.rmtree(folder, ignore_errors=True)
    experiment, out = experiment_folder(bad, folder), folder / "out"
    had_nest = "nest" in sys.modules
    arguments = [str(experiment), *bad.arguments]
    if not any(each.startswith(("--out", "--resume")) for each in arguments):
        arguments += ["--out", str(out)]
    with pytest.raises(ConfigurationError) as caught:
        prepare(parse(arguments, quiet=False), bad.brain_ranks, [Machine(bad.brain_ranks, True, 2**36)])
    message = str(caught.value)
    for text in bad.named:
        assert text in message, message
    assert "Traceback" not in message
    assert ALLOWED.search(message), message
    assert names_its_place(message, experiment), message
    assert ("nest" in sys.modules) == had_nest
    assert not out.exists()


def experiment_folder(bad: Bad, folder: Path) -> Path | str:
    """A copy with the files that are bad; a name that no experiment has stays a name."""
    if bad.experiment not in MODELS:
        return bad.experiment
    copy = Path(shutil.copytree(REPOSITORY / "models" / bad.experiment, folder / bad.experiment))
    for name, content in bad.files.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return copy


def names_its_place(message: str, experiment: Path | str) -> bool:
    """A file, an option, or the key that both a file and an option can set."""
    places = (str(experiment), "--", "brain.virtual_processes = ", "/no/", "results folder")
    return any(place in message for place in places)


@pytest.mark.wheel
@pytest.mark.parametrize(
    "bad",
    [
        setting("clock.steps", "1" + "0" * 20, "clock.steps = 1" + "0" * 20),
        setting("sinks.0.delay_ms", "3e5", "sinks.0.delay_ms = 300000.0: must be at most"),
        setting("brain.virtual_processes", "1024", "at most 511"),
        transfer_file("braitenberg", "@transfer_function\ndef move(weels): pass", "'weels'; did you mean wheels?"),
    ],
    ids=["clock", "delay", "threads", "transfer"],
)
def test_under_mpi_too(bad, launch, tmp_path):
    experiment = experiment_folder(bad, tmp_path)
    result = launch(2, "run.py", experiment, *bad.arguments, "--out", tmp_path / "out", timeout_s=60)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr and "INFO" not in result.stderr
    for text in bad.named:
        assert text in result.stderr
    assert not (tmp_path / "out").exists()
