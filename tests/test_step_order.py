# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of a coupling step: what is read belongs to the step that is over, what is set acts from the next one on.

First seen from outside, in whole runs: every number is compared with that of the step to which it must belong, so
that a run in which anything comes one step, or one resolution step, late or early fails. Then from inside: the calls
of two steps, one by one.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from types import MappingProxyType

import numpy as np
import pytest
from conftest import REPOSITORY, clean_environment, find_mpiexec

from cosim.control.steering import NoSteering
from cosim.loop import Idle, Parts, loop
from cosim.parallel.stop import StopSign
from cosim.record.profile import STEP_PHASES, StepProfile
from cosim.results.run_data import RunData

EXPERIMENT = REPOSITORY / "tests/data/step_order"
RESOLUTION_MS = 0.1
# A Poisson generator that NEST starts at t is silent in the resolution step from t on, so in the first one of a run.
SILENT_TICKS = 1
# Activation at which muscles start.
UNEXCITED = 0.01
# How many times as many neurons a sink would hear in `full_network` as in `network`.
PATCH_SCALE = {"chatter": 82 / 41, "every_other": 41 / 21, "early": 6 / 3}


@pytest.fixture(
    scope="module",
    params=[(3, 6.0, 8), (2, 1.9, 20), (3, 0.5, 24)],
    ids=["4 min_delays", "1.27 min_delays", "0.33 min_delays"],
)
def run(request, tmp_path_factory) -> RunData:
    """The experiment of this test on ranks, with a coupling step in ms, for some steps; min_delay is 1.5 ms."""
    ranks, step_ms, steps = request.param
    out = tmp_path_factory.mktemp("order") / "run"
    clock = ["--set", f"clock.coupling_step_ms={step_ms}", "--steps", str(steps), "--out", str(out)]
    command = [find_mpiexec(), "-n", str(ranks), sys.executable, "run.py", str(EXPERIMENT), *clock]
    result = subprocess.run(
        command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return RunData(out)


def ticks(times_ms: np.ndarray) -> np.ndarray:
    """Times as numbers of resolution steps."""
    return np.rint(np.asarray(times_ms) / RESOLUTION_MS).astype(int)


def in_steps(run: RunData, command: str) -> np.ndarray:
    """Whether a command of the protocol holds in each step, (steps,)."""
    return np.isin(np.arange(len(run.exchange_time_ms)), run.config["protocol"][f"{command}_steps"])


def voltage_mv(sink: dict, spikes_ms: np.ndarray, t_ms: float) -> float:
    """Voltage of a sink at ``t_ms``: `cosim.devices.leaky_integrator_alpha`, solved for spikes at given times.

    Each spike brings a current w (e / tau_syn) s exp(-s / tau_syn) from its delay on, which the membrane smooths.
    """
    since_ms = np.maximum(t_ms - spikes_ms - sink["delay_ms"], 0.0)
    tau_m_ms, tau_syn_ms = sink["tau_m_ms"], sink["tau_syn_ms"]
    rate = 1 / tau_syn_ms - 1 / tau_m_ms
    response = np.exp(-since_ms / tau_m_ms) * (1 - np.exp(-rate * since_ms) * (1 + rate * since_ms)) / rate**2
    return sink["weight_pa"] * np.e / tau_syn_ms / sink["c_m_pf"] * response.sum()


def heard_by(run: RunData, sink: dict) -> np.ndarray:
    """Times in ms of all spikes of the neurons to which a sink listens."""
    population, _, part = sink["populations"].partition("[")
    spikes = run.spikes[population]
    return spikes.timestamps_ms[spikes.node_ids % 2 == 0] if part == "::2]" else spikes.timestamps_ms


@pytest.mark.parametrize("name", ["chatter", "every_other", "early"])
def test_a_readout_is_the_voltage_that_all_spikes_until_the_end_of_its_step_make(run, name):
    (sink,) = (each for each in run.config["sinks"] if each.get("name", each["populations"]) == name)
    spikes_ms = heard_by(run, sink)
    expected_mv = [PATCH_SCALE[name] * voltage_mv(sink, spikes_ms, t_ms) for t_ms in run.exchange_time_ms]
    np.testing.assert_allclose(run.readout[name], expected_mv, rtol=1e-9)
    changes = np.diff(run.readout[name][len(expected_mv) // 2 :])
    assert (np.abs(changes) > 1e-3).all(), "a step more or less would make no difference"


@pytest.mark.parametrize(("population", "delay_ms"), [("early", 1.5), ("late", 2.7)])
def test_a_rate_set_at_the_end_of_a_step_acts_in_the_whole_next_step_and_no_longer(run, population, delay_ms):
    """At a rate that leaves no resolution step without a spike, which comes at its end, neurons fire after the delay.

    Every neuron has the same spike train then, and it is known.
    """
    ticks_of_step, last = ticks(np.diff(run.exchange_time_ms)[0]), ticks(run.exchange_time_ms[-1])
    is_on = np.repeat(in_steps(run, population), ticks_of_step)
    is_on[:SILENT_TICKS] = False
    expected = 1 + np.flatnonzero(is_on) + ticks(delay_ms)
    spikes = run.spikes[population]
    for neuron in range(run.populations[population].size):
        own = ticks(spikes.timestamps_ms[spikes.node_ids == neuron])
        np.testing.assert_array_equal(own, expected[expected <= last])
    assert len(own) > ticks_of_step


def test_transfer_functions_see_brain_and_body_at_the_end_of_the_step_that_is_over(run):
    """They set rates to what they see, and these are recorded with the next step."""
    steps = np.arange(len(run.exchange_time_ms))
    elbow_rad = np.abs(run.body["joint_angle_rad"][:, run.columns("joint_angle_rad").index("elbow")])
    physics_steps = len(elbow_rad) // len(steps)
    seen = run.stimulus
    np.testing.assert_array_equal(seen["told_step"], steps)
    np.testing.assert_allclose(seen["told_ms"], steps * run.exchange_time_ms[0])
    np.testing.assert_array_equal(seen["heard"], [0.0, *run.readout["chatter"][:-1]])
    np.testing.assert_array_equal(seen["felt"], [0.0, *elbow_rad[physics_steps - 1 :: physics_steps][:-1]])
    assert len(np.unique(seen["heard"])) > len(steps) // 2
    assert len(np.unique(seen["felt"])) == len(steps)


def test_an_excitation_set_at_the_end_of_a_step_acts_in_the_whole_next_step_and_no_longer(run):
    """A muscle's activation rises as long as it is excited."""
    activation = run.body["muscle_activation"][:, run.columns("muscle_activation").index("BRA")]
    is_on = in_steps(run, "pull")
    rises = np.diff(activation, prepend=UNEXCITED) > 0
    np.testing.assert_array_equal(rises, np.repeat(is_on, len(activation) // len(is_on)))


class Notes:
    """All calls of a loop, a line for each phase; ``acts`` says what some calls do besides being noted."""

    def __init__(self, acts: Mapping[str, Callable[[], object]]) -> None:
        self._acts, self._calls, self.lines = acts, [], []

    def call(self, name: str, *arguments: object, **named: object) -> object:
        """Note a call."""
        words = [*map(str, arguments), *(f"{key}={value}" for key, value in named.items())]
        what = f"{name}({', '.join(words)})"
        self._calls.append(what)
        return self._acts.get(what, lambda: False)()

    def end_line(self, phase: str) -> None:
        """What was called since the last line was ``phase``."""
        self.lines.append(f"{phase}: {', '.join(self._calls)}".strip())
        self._calls = []


class Noted:
    """Stands in for a part of the loop that is on this rank: every method is noted."""

    def __init__(self, name: str, notes: Notes) -> None:
        self._name, self._notes = name, notes

    def __getattr__(self, method: str) -> Callable:
        return partial(self._notes.call, f"{self._name}.{method}")


class NotedExchange(Noted):
    """Agrees as the real one does: on what this rank wants when it shares, and it is known after `receive`."""

    readout, stimulus = "readout", "stimulus"
    stop_agreed = flush_agreed = round_agreed = _wish = False

    def __init__(self, notes: Notes, stop: StopSign) -> None:
        super().__init__("exchange", notes)
        self._stop = stop

    def gather(self, flush: bool) -> None:
        self._wish = flush
        self._notes.call("exchange.gather", flush=flush)

    def share(self, announce: bool) -> None:
        self._told = bool(self._stop), self._wish, announce
        self._notes.call("exchange.share", announce=announce)

    def receive(self) -> None:
        self.stop_agreed, self.flush_agreed, self.round_agreed = self._told
        self._notes.call("exchange.receive")


class NotedProfile(StepProfile):
    """The real one, which ends a line of the notes at every lap."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(lambda rows: notes.call("profile.write", f"{len(rows)} steps"))
        self._notes = notes

    def start(self) -> None:
        super().start()
        self._notes.call("profile.start")

    def lap(self, phase: str) -> None:
        super().lap(phase)
        self._notes.end_line(phase)


class NotedSteering(NoSteering):
    """Wishes a round after some steps, and shares the stimulus once more at its end as the real one does."""

    def __init__(self, notes: Notes, exchange: NotedExchange, after: float = math.inf) -> None:
        self._notes, self._exchange, self.next_round = notes, exchange, after

    def round(self, step: int) -> None:
        self.next_round = math.inf
        self._notes.call("steering.round", step)
        self._exchange.share(False)
        self._exchange.receive()


def noted_parts(kind: str, notes: Notes, stop: StopSign, round_after: float = math.inf) -> Parts:
    """What there is on the ``body`` rank, or on a ``brain`` rank."""

    def only_on(where: str, name: str) -> Noted | Idle:
        return Noted(name, notes) if kind == where else Idle()

    exchange = NotedExchange(notes, stop)
    return Parts(
        brain=only_on("brain", "brain"),
        body=only_on("body", "body"),
        transfer=only_on("body", "transfer"),
        exchange=exchange,
        recorder=Noted("recorder", notes),
        profile=NotedProfile(notes),
        progress=only_on("body", "progress"),
        stop=stop,
        steering=NotedSteering(notes, exchange, round_after),
    )


def noted_loop(
    kind: str, steps: int, stop: StopSign, acts: Mapping[str, Callable] = MappingProxyType({})
) -> tuple[list[str], int]:
    """Run the loop of a rank in steps of 5 ms; what was called, and how many steps were done."""
    notes = Notes(acts)
    done = loop(noted_parts(kind, notes, stop), steps, step_ms=5.0)
    notes.end_line("end")
    return notes.lines, done


def fail_from(call: int, error: type[BaseException]) -> Callable[[], None]:
    """An act that raises from its call number ``call`` on."""
    calls = count(1)

    def act() -> None:
        if next(calls) >= call:
            raise error("diverged")

    return act


# A line begins with the phase to which the profile counts its calls.
TWO_STEPS = {
    "body": """
        steer: progress.update(0), transfer.apply(0), SHARE, exchange.receive(), profile.start()
        stimulate:
        brain:
        body: body.advance()
        read:
        gather: recorder.flush_is_due(), exchange.gather(flush=False)
        transfer: transfer.apply(1)
        share: SHARE
        record: recorder.record()
        ahead:
        receive: exchange.receive()
        flush: progress.update(1)
        steer:
        stimulate:
        brain:
        body: body.advance()
        read:
        gather: recorder.flush_is_due(), exchange.gather(flush=False)
        transfer: transfer.apply(2)
        share: SHARE
        record: recorder.record()
        ahead:
        receive: exchange.receive()
        flush: progress.update(2)
        end: profile.write(2 steps)
        """,
    "brain": """
        steer: SHARE, exchange.receive(), profile.start()
        stimulate: brain.stimulate(stimulus)
        brain: brain.run()
        body:
        read: brain.read(readout)
        gather: recorder.flush_is_due(), exchange.gather(flush=False)
        transfer:
        share: SHARE
        record: recorder.record()
        ahead: brain.run_ahead()
        receive: exchange.receive()
        flush:
        steer:
        stimulate: brain.stimulate(stimulus)
        brain: brain.run()
        body:
        read: brain.read(readout)
        gather: recorder.flush_is_due(), exchange.gather(flush=False)
        transfer:
        share: SHARE
        record: recorder.record()
        ahead:
        receive: exchange.receive()
        flush:
        end: profile.write(2 steps)
        """,
}
TWO_STEPS = {
    kind: [line.strip() for line in text.replace("SHARE", "exchange.share(announce=False)").strip().splitlines()]
    for kind, text in TWO_STEPS.items()
}
FIRST, SECOND = slice(len(STEP_PHASES)), slice(len(STEP_PHASES), None)
both_kinds = pytest.mark.parametrize("kind", ["body", "brain"])


@both_kinds
def test_each_rank_makes_exactly_these_calls_in_two_steps(kind):
    stop = StopSign()
    assert noted_loop(kind, 2, stop) == (TWO_STEPS[kind], 2)
    assert not stop


@pytest.mark.parametrize(
    ("kind", "end"),
    [("body", ["steer:"]), ("brain", ["steer:"])],
)
def test_a_stop_that_is_asked_for_ends_the_loop_after_the_running_step(kind, end):
    stop = StopSign()
    ask = {"exchange.gather(flush=False)": lambda: stop.request("signal SIGTERM")}
    assert noted_loop(kind, 2, stop, ask) == (
        [*TWO_STEPS[kind][FIRST], *end, "end: profile.write(1 steps)"],
        1,
    )


@both_kinds
def test_a_round_comes_between_two_steps_with_all_on_disk_and_nobody_has_run_ahead(kind):
    """It is announced a step before, so that brain ranks do not begin the next step."""
    notes = Notes({})
    loop(noted_parts(kind, notes, StopSign(), round_after=2), 4, step_ms=5.0)
    ahead = [line for line in notes.lines if line.startswith("ahead:")]
    runs_ahead = "ahead: brain.run_ahead()" if kind == "brain" else "ahead:"
    assert ahead == [runs_ahead, "ahead:", runs_ahead, "ahead:"]
    shared = [line for line in notes.lines if line.startswith("share:")]
    assert shared[0] == "share: exchange.share(announce=True)"
    assert shared[2:] == ["share: exchange.share(announce=False)"] * 2
    steered = [line for line in notes.lines if line.startswith("steer:")]
    once_more = "exchange.share(announce=False), exchange.receive()"
    assert steered[2] == f"steer: profile.write(2 steps), recorder.flush(), steering.round(2), {once_more}"
    assert not any("round" in line for line in [*steered[:2], *steered[3:]])


@both_kinds
def test_a_round_may_come_before_the_first_step_and_after_the_last_one(kind):
    notes = Notes({})
    loop(noted_parts(kind, notes, StopSign(), round_after=0), 1, step_ms=5.0)
    assert "recorder.flush(), steering.round(0)" in notes.lines[0]
    notes = Notes({})
    loop(noted_parts(kind, notes, StopSign(), round_after=2), 2, step_ms=5.0)
    notes.end_line("end")
    assert "profile.write(2 steps), recorder.flush(), steering.round(2)" in notes.lines[-1]


@pytest.mark.parametrize("error", [ArithmeticError, SystemExit])
@pytest.mark.parametrize(
    ("call", "number", "reason"),
    [
        ("body.advance()", 2, "body in the step from 5 ms: diverged"),
        ("transfer.apply(2)", 1, "transfer functions after step 2, at 10 ms: diverged"),
    ],
)
def test_what_fails_on_the_body_rank_leaves_the_step_whole_and_ends_the_loop_after_it(call, number, reason, error):
    stop = StopSign()
    end = ["steer:", "end: profile.write(2 steps)"]
    assert noted_loop("body", 5, stop, {call: fail_from(number, error)}) == ([*TWO_STEPS["body"][:-1], *end], 2)
    assert stop.reason == reason
    assert error.__name__ in stop.failure


def test_transfer_functions_that_fail_at_0_ms_end_the_loop_before_its_first_step():
    stop = StopSign()
    fail = {"transfer.apply(0)": fail_from(1, ArithmeticError)}
    assert noted_loop("body", 5, stop, fail) == ([TWO_STEPS["body"][0], "end:"], 0)
    assert stop.reason == "transfer functions at 0 ms: diverged"


@both_kinds
def test_a_flush_that_a_rank_wishes_comes_at_the_end_of_the_same_step_with_the_times_of_those_before(kind):
    wish = {"recorder.flush_is_due()": iter([False, True]).__next__}
    first, second = TWO_STEPS[kind][FIRST], "\n".join(TWO_STEPS[kind][SECOND])
    changes = {
        "flush=False": "flush=True",
        "flush:": "flush: profile.write(1 steps), recorder.flush(),",
        "2 steps": "1 steps",
    }
    for old, new in changes.items():
        second = second.replace(old, new)
    second = second.replace("recorder.flush(),\n", "recorder.flush()\n")  # brain ranks show nothing
    assert noted_loop(kind, 2, StopSign(), wish) == ([*first, *second.splitlines()], 2)


def test_what_fails_on_a_brain_rank_is_raised_and_the_profile_of_the_steps_before_is_kept():
    notes = Notes({"brain.run()": fail_from(2, ArithmeticError)})
    with pytest.raises(ArithmeticError, match="diverged"):
        loop(noted_parts("brain", notes, StopSign()), 2, step_ms=5.0)
    notes.end_line("end")
    assert notes.lines[-2:] == ["stimulate: brain.stimulate(stimulus)", "end: brain.run(), profile.write(1 steps)"]


@pytest.fixture
def profile():
    """A profile and what it wrote, a list of (steps, phases) rows."""
    written = []
    return StepProfile(written.append), written


def laps(profile: StepProfile, phases: Sequence[str]) -> None:
    for phase in phases:
        profile.lap(phase)


def test_a_phase_at_another_place_than_its_own_is_refused_and_gets_no_time(profile):
    step_profile, written = profile
    for wrong in ("brain", "flush", "no such phase"):
        step_profile.start()
        laps(step_profile, STEP_PHASES)
        with pytest.raises(ValueError, match=f"phase '{wrong}' of a step: must be 'steer' here"):
            step_profile.lap(wrong)
    step_profile.start()
    laps(step_profile, STEP_PHASES[:-1])
    with pytest.raises(ValueError, match="phase 'receive' of a step: must be 'flush' here"):
        step_profile.lap("receive")
    step_profile.hand_over()
    assert written == []


def test_rows_may_be_handed_over_in_the_middle_of_a_step(profile):
    step_profile, written = profile
    step_profile.start()
    laps(step_profile, (*STEP_PHASES, *STEP_PHASES[:4]))
    step_profile.hand_over()
    step_profile.hand_over()
    laps(step_profile, (*STEP_PHASES[4:], *STEP_PHASES))
    step_profile.hand_over()
    assert [rows.shape for rows in written] == [(1, len(STEP_PHASES)), (2, len(STEP_PHASES))]
    assert all((rows > 0).all() for rows in written)


def test_a_profile_that_is_started_in_the_middle_of_a_step_begins_a_new_one(profile):
    step_profile, written = profile
    step_profile.start()
    laps(step_profile, STEP_PHASES[:4])
    step_profile.start()
    laps(step_profile, STEP_PHASES)
    step_profile.hand_over()
    assert [rows.shape for rows in written] == [(1, len(STEP_PHASES))]
