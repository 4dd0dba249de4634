# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program sees of a run that ends, stands still or does not answer while it waits for it."""

from __future__ import annotations

import signal
import threading
import time

import pytest

import cosim
from cosim.client import session
from cosim.client.live_run import LiveRun
from cosim.client.process import LaunchedRun
from cosim.errors import RunError
from cosim.record.folder import RunFolder
from cosim.tools import new

pytestmark = pytest.mark.starts

SLOW = """

_made = summarize


def summarize(run):
    import time

    time.sleep(1.5)
    return _made(run)
"""
SMALL = {"brain.virtual_processes": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run for the first tests here, each of which leaves it paused; the last one ends it."""
    folder = tmp_path_factory.mktemp("ends") / "run"
    with cosim.start("braitenberg", ranks=1, set=SMALL, steps=10_000, out=folder) as started:
        yield started


def test_whoever_waits_does_not_disturb_the_run(run, monkeypatch):
    asked, send = [], run._channel.send
    monkeypatch.setattr(run._channel, "send", lambda command, timeout_s: asked.append(command) or send(command))
    run.pace(1.0)
    with cosim.attach(run.folder) as other:
        timer = threading.Timer(0.8, other.pause)
        run.go()
        timer.start()
        began = time.monotonic()
        assert run.wait(30) == "paused" and time.monotonic() - began > 0.7
    assert [each["command"] for each in asked[:2]] == ["pace", "go"] and len(asked) < 6
    run.pace(None)


def test_a_loop_is_left_at_once_while_another_program_has_paused_the_run(run):
    with cosim.attach(run.folder) as other:

        def pause_and_interrupt():
            other.pause()
            time.sleep(0.2)  # until then the loop asks for a step that is not done
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        thread = threading.Thread(target=pause_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            for _ in run:
                thread.ident or thread.start()
        thread.join()
        assert run.state == other.state == "paused"
    done = run.steps_done
    with run.loop() as loop:  # at once: the run has not yet found that the one before is gone
        assert loop.step.number == done + 1, "in the step before, that one had its say"
    assert (run.state, run.steps_done) == ("paused", done + 2)


def test_finish_waits_no_longer_than_it_was_told_to_and_the_run_ends_later(run):
    with cosim.attach(run.folder) as other, other.loop():
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="has not ended within 0.3 s"):
            run.finish(timeout_s=0.3)
        assert time.monotonic() - began < 5
        assert run.is_alive
    assert run.wait(60) == "ended"
    assert run.finish().summary["stopped_by"] == "asked to by a command"


@pytest.fixture(scope="module")
def slow_to_end(tmp_path_factory):
    """An experiment that takes a while to make its results, as large ones do."""
    folder = tmp_path_factory.mktemp("experiment") / "slow"
    assert new.main(str(folder)) == 0
    with (folder / "transfer.py").open("a") as file:
        file.write(SLOW)
    return folder


def test_the_end_of_a_run_is_no_error_while_its_results_are_made(slow_to_end, tmp_path):
    with cosim.start(slow_to_end, ranks=1, steps=5, paused=False, out=tmp_path / "run") as run:
        states = set()
        while (state := run.state) != "ended":
            states.add(state)
            assert "does not answer" not in repr(run)
        assert run.wait() == "ended" and states <= {"runs"}
        assert run.steps_done == 5
        with pytest.raises(RunError, match=r"run: has ended"):
            run.step()


def test_a_loop_that_goes_to_the_very_end_of_a_run_ends_without_an_error(slow_to_end, tmp_path):
    """Of a run that does not stand still after its last step, as one from the shell."""
    folder = tmp_path / "run"
    words = [slow_to_end, "--out", folder, "--ranks", 1, "--steps", 5, "--paused"]
    with LiveRun(folder, LaunchedRun([*map(str, words)])) as run:
        await_paused(folder)
        assert [step.number for step in run] == [*range(5)]
        assert run.finish().summary["complete"]


def await_paused(folder):
    """Until it stands before its first step."""
    until = time.monotonic() + 60
    while not RunFolder(folder).state_file.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_run_that_was_over_before_anybody_looked_has_results(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_wait_until_there", lambda launched, *_: launched.wait())
    run = cosim.start("braitenberg", set=SMALL, ranks=1, steps=2, paused=False, out=tmp_path / "run")
    assert (run.state, run.steps_done) == ("ended", 2)
    with pytest.raises(RunError, match="has ended"):
        run.step()
    assert run.finish().summary["complete"]


def test_a_run_that_goes_on_is_looked_at_where_it_is_written(tmp_path):
    """Not in its old results, beside which the new ones lie until there are more of them."""
    folder = tmp_path / "run"
    old = cosim.run("braitenberg", ranks=1, set=SMALL, steps=6, out=folder)
    launched = LaunchedRun(["--resume", str(folder), "--steps", "9", "--paused"])
    await_paused(folder / "resumed")
    with cosim.attach(folder) as run:
        assert run.steps_done == 0 == len(run.results.exchange_time_ms) and run.steps == 9
        run.step(4)
        assert (
            run.ports["left_motor"].voltage_mv == old.readout["left_motor"][3] == run.results.readout["left_motor"][-1]
        )
        assert run.body["position_m"].tolist() == run.results.body["position_m"][-1].tolist()
        assert run.population("left_eye").rate_hz() == len(run.spikes()["left_eye"].node_ids) / 20 / 0.08
        run.go()
        assert run.wait(60) == "ended" and launched.wait(60) == 0
        assert run.steps_done == 9 and run.finish().summary["complete"]
