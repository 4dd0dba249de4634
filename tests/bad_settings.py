# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings and options that must be refused: values, keys, numbers that do not fit together, ports."""

from __future__ import annotations

from bad_configuration import Bad, negative, one_of, setting, words
from hypothesis import assume
from hypothesis import strategies as st

from cosim.experiment.config import MOST_PHYSICS_STEPS
from cosim.network.counting import LONGEST_TIME_MS, MOST_THREADS

EXPERIMENTS = ["mouse_m1", "braitenberg"]
NOT_FINITE = st.sampled_from(["nan", "inf", "-inf"])

# Values

NUMBERS = [
    "seed", "clock.steps", "clock.coupling_step_ms", "clock.physics_step_ms", "clock.resolution_ms",
    "brain.patch_mm", "brain.virtual_processes", "sources.0.weight", "sources.2.delay_ms",
    "sources.1.receptor", "sinks.0.weight_pa", "sinks.0.tau_m_ms", "sinks.0.delay_ms",
    "protocol.stimulus_rate_hz",
]  # fmt: skip
TEXTS = [
    "title", "brain.model", "brain.variant", "body.model", "body.driven", "sources.0.name",
    "sinks.0.populations",
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
POSITIVE = [
    key for key in NUMBERS if key not in ("sources.0.weight", "sources.1.receptor", "protocol.stimulus_rate_hz")
]
out_of_range = one_of(
    st.builds(lambda key, value: setting(key, value, f"{key} = "), st.sampled_from(POSITIVE), negative),
    st.builds(lambda key: setting(key, "0", f"{key} = 0"), st.sampled_from(POSITIVE)),
    st.builds(lambda key, value: setting(key, value, f"{key} = "), st.sampled_from(NUMBERS), NOT_FINITE),
    st.integers(2**31, 2**70).map(lambda each: setting("seed", str(each), f"seed = {each}")),
    st.floats(1.001, 1e9).map(lambda each: setting("brain.patch_mm", str(each), f"brain.patch_mm = {each}")),
    st.integers(2**21, 10**12)
    .map(lambda steps: str(steps / 10))
    .map(lambda delay: setting("sources.1.delay_ms", delay, f"sources.1.delay_ms = {delay}", "at most 209715")),
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
            "brain.virtual_processes",
            str(processes),
            f"brain.virtual_processes = {processes}",
            brain_ranks=ranks,
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
    words.map(lambda word: setting("sources.0.kind", f"no_{word}", f"kind = 'no_{word}'", "allowed: ", "poisson")),
    words.map(lambda word: setting("record.spikes", f"['no_{word}']", f"'no_{word}'")),
    st.builds(
        lambda experiment, name: setting(
            "sources.0.name", repr(name), f"{name!r}: must be a Python name", experiment=experiment
        ),
        st.sampled_from(EXPERIMENTS),
        no_identifier,
    ),
    st.builds(
        lambda experiment, name: Bad((f"{name!r}",), ("--set", f"sources.0.name={name}"), experiment),
        st.sampled_from(EXPERIMENTS),
        st.sampled_from(["protocol", "t_ms", "step"]),
    ),
    st.builds(
        lambda experiment, delay: setting(
            "sources.0.delay_ms", f"{delay}.05", f"delay_ms = {delay}.05", experiment=experiment
        ),
        st.sampled_from(EXPERIMENTS),
        st.integers(0, 100),
    ),
    st.integers(-9, 0).map(lambda step: setting("sinks.0.populations", f"M1_*[::{step}]", f"the step is {step}")),
    st.integers(10**5, 10**9).map(
        lambda first: setting("record.spikes", f"M1_L1_ENGC[{first}:]", f"[{first}:]", "no neuron is left")
    ),
)

# Body and options

body_settings = one_of(
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
    st.builds(
        lambda name, word: Bad((word,), (f"--{name}=/no/{word}",)),
        st.sampled_from(["resume", "replay"]),
        words,
    ),
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
