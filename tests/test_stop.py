# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a run ends early: signals, a limit of wall time, failures; and which of them is told."""

from __future__ import annotations

import signal
import threading

import pytest
from conftest import PROGRAMS

from cosim.errors import ConfigurationError
from cosim.experiment import walltime
from cosim.experiment.options import parse
from cosim.parallel.stop import STOP_SIGNALS, StopSign


def test_the_first_reason_to_stop_stays():
    stop = StopSign()
    assert not stop
    stop.request("signal SIGTERM")
    stop.request("wall time")
    assert stop
    assert (stop.reason, stop.failure) == ("signal SIGTERM", "")


def test_a_failure_is_told_whatever_else_came_before():
    stop = StopSign()
    stop.request("signal SIGTERM")
    stop.request("transfer functions: first", failure="Traceback 1")
    stop.request("transfer functions: second", failure="Traceback 2")
    assert (stop.reason, stop.failure) == ("transfer functions: first", "Traceback 1")


@pytest.mark.parametrize("kind", [FloatingPointError, SystemExit])
def test_a_failure_is_kept_with_its_traceback_and_raised_no_further(kind):
    stop = StopSign()
    with stop.on_failure("body in the step from 40 ms"):
        raise kind("diverged")
    assert stop.reason == "body in the step from 40 ms: diverged"
    assert f"{kind.__name__}: diverged" in stop.failure
    assert "test_stop.py" in stop.failure


@pytest.fixture
def handlers():
    """What handled the signals before the test handles them again after it."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_asks_for_a_stop_that_is_no_failure(handlers, name):
    stop = StopSign()
    stop.listen()
    signal.raise_signal(signal.Signals[name])
    assert (stop.reason, stop.failure, stop.signal) == (f"signal {name}", "", signal.Signals[name])


def test_while_results_are_written_schedulers_are_not_heard(handlers):
    stop = StopSign()
    stop.listen().let_results_be_written()
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM):
        signal.raise_signal(number)
    assert not stop
    signal.raise_signal(signal.SIGINT)
    assert stop.reason == "signal SIGINT"


def test_the_first_signal_is_acknowledged_and_the_second_ends_the_process_in_the_middle_of_a_long_call(alone):
    result = alone(PROGRAMS / "two_signals.py", timeout_s=60)
    assert result.returncode == 128 + signal.SIGINT, result.stderr
    assert "SIGTERM noted: the run will stop after the running step" in result.stderr
    assert "SIGINT after SIGTERM: ended at once" in result.stderr
    assert "the call has returned" not in result.stderr


def test_a_stop_is_asked_for_when_the_time_is_over():
    stop, asked = StopSign(), threading.Event()
    stop.request = lambda reason: (StopSign.request(stop, reason), asked.set())
    stop.after(0.001, "--wall-limit of 0.001 s")
    assert asked.wait(30)
    assert (stop.reason, stop.failure) == ("--wall-limit of 0.001 s", "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("55min", 3300),
        ("90s", 90),
        ("0.5s", 0.5),
        ("1.5h", 5400),
        ("2 d", 172800),
        ("55", 55),
        ("0.5", 0.5),
        ("55:30", 3330),
        ("01:02:03", 3723),
        ("1-0", 86400),
        ("1-02:03", 93780),
        ("1-02:03:04", 93784),
    ],
)
def test_wall_times_are_read_as_people_and_slurm_write_them(text, seconds):
    assert walltime.seconds(text) == seconds
    assert parse(["mouse_m1", "--wall-limit", text], quiet=True).wall_limit_s == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "5 parsecs", "1:2:3:4", "00:00:00", "1e3s", "inf"])
def test_what_is_no_wall_time_is_refused_with_what_is_allowed(text):
    with pytest.raises(ConfigurationError, match="--wall-limit: .*must be a time such as 55min, 90s, 1.5h, HH:MM:SS"):
        parse(["mouse_m1", f"--wall-limit={text}"], quiet=True)
