# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory that a run shares with a loop of a user's own: what each of both sees, refuses and records."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY

from cosim.body import kinds
from cosim.client.loop import LoopStep, Partner
from cosim.control.drive import DrivenFunctions
from cosim.control.drive_layout import GO, LEAVE, REFUSED, STATE
from cosim.devices.devices import Device, Devices, make_ports
from cosim.devices.leaky_integrator_alpha import LeakyIntegratorAlpha
from cosim.devices.poisson import PoissonSource
from cosim.errors import CommandError
from cosim.network.address import Address
from cosim.parallel.stop import StopSign
from cosim.record import drive
from cosim.record.drive import DriveFile

SINK = Device("voltage", Address("E"), LeakyIntegratorAlpha(populations="E", weight_pa=1.0, delay_ms=1.0))
SOURCE = Device("rate", Address("E"), PoissonSource(name="rate", population="E", weight=1.0, delay_ms=1.0))
DEVICES = Devices((SOURCE,), (SINK,), ())


class BodyRank:
    """Everything of a body rank that takes part; its transfer function sets the rate to 100 Hz at each step."""

    def __init__(self, path, recorded=()):
        self.readout, self.stimulus = np.zeros(1), np.zeros(1)
        ports = make_ports(DEVICES, self.readout, self.stimulus)
        self.rate = ports["rate"]
        self.body = kinds.make_ports(kinds.load(REPOSITORY / "models/forelimb/body.toml"))
        self.file = DriveFile(path)
        exchange = SimpleNamespace(readout=self.readout, stimulus=self.stimulus, lists=None)
        functions = SimpleNamespace(names=[], apply=lambda step: setattr(self.rate, "rate_hz", 100.0))
        sources = {"rate": self.rate}
        self.driven = DrivenFunctions(functions, exchange, sources, self.body, self.file, dict(recorded))
        self.stop, self.left = StopSign(), threading.Event()
        self.driven.leave = self.left.set

    def apply(self, step, readout=0.0):
        """The end of a step, which waits for the loop, in another thread."""
        self.readout[:] = readout
        thread = threading.Thread(target=self.driven.apply, args=(step,), daemon=True)
        thread.start()
        return thread


class Program:
    """A user's program that takes part."""

    def __init__(self, rank):
        self.partner = Partner()
        rank.driven.begin(self.partner.path, rank.stop)
        layout = rank.driven.layout
        self.step = LoopStep(layout, self.partner.meet(layout.size), DEVICES, step_ms=20.0)


@pytest.fixture
def rank(tmp_path) -> Iterator[BodyRank]:
    made = BodyRank(tmp_path / "drive.h5")
    yield made
    made.driven.close()


@pytest.fixture
def program(rank) -> Iterator[Program]:
    made = Program(rank)
    yield made
    made.partner.close()


def test_a_loop_sees_readout_stimulus_and_body_of_the_step_and_what_it_writes_acts(rank, program):
    rank.body["joints"]._state.angle[:] = range(len(rank.body["joints"].names))
    waiting = rank.apply(3, readout=1.5)
    assert program.partner.hear() == STATE + (3).to_bytes(8, "little")
    step = program.step
    assert step.ports["voltage"].voltage_mv == step.readout[0] == 1.5
    assert step.ports["rate"].rate_hz == step.stimulus[0] == 100.0, "what transfer functions set comes first"
    elbow = rank.body["joints"].names[1]
    assert step.body.joints[elbow].angle_rad == step.body["joints"].angle_rad[1] == 1.0
    step.ports["rate"].rate_hz = 2500.0
    step.body.muscles.excitation[2] = 0.25
    program.partner.say(GO)
    waiting.join(10)
    assert rank.rate.rate_hz == 2500.0 and rank.body["muscles"].excitation.tolist() == [0, 0, 0.25, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_what_no_source_takes_is_refused_and_taken_back_and_the_loop_may_try_again(rank, program, wrong):
    waiting = rank.apply(0)
    program.partner.hear()
    program.step.body.muscles.excitation = 0.5
    program.step.stimulus[:] = wrong
    program.partner.say(GO)
    refused = program.partner.hear()
    assert refused[:1] == REFUSED and waiting.is_alive()
    assert (b"rate.rate_hz = -1.0: must be" if wrong == -1.0 else b"finite") in refused
    assert program.step.stimulus[0] == 100.0 and not program.step.body.muscles.excitation.any()
    assert rank.rate.rate_hz == 100.0 and not rank.body["muscles"].excitation.any()
    program.step.stimulus[:] = 7.0
    program.partner.say(GO)
    waiting.join(10)
    assert rank.rate.rate_hz == 7.0


def test_sensors_and_readouts_cannot_be_written(program):
    with pytest.raises(AttributeError, match="joints.angle_rad is a sensor"):
        program.step.body.joints.angle_rad = 1.0
    with pytest.raises(ValueError, match="read-only"):
        program.step.readout[:] = 1.0
    with pytest.raises(ValueError, match=r"muscles.excitation: must be a number or have shape \(8,\)"):
        program.step.body.muscles.excitation = [1.0, 2.0]
    with pytest.raises(AttributeError, match="muscles has no 'exitation'; there are .*excitation"):
        program.step.body.muscles.exitation = 1.0
    with pytest.raises(ValueError, match="must be a finite number, 0 or more"):
        program.step.ports["rate"].rate_hz = -5.0


def test_a_program_that_dies_leaves_the_run_standing_still_with_a_message(rank, program, caplog):
    waiting = rank.apply(5)
    program.partner.hear()
    program.step.stimulus[:] = 9000.0
    program.partner.close()
    waiting.join(10)
    assert not waiting.is_alive() and rank.left.is_set()
    assert "has gone: the run stands still" in caplog.text
    assert rank.rate.rate_hz == 100.0, "it never said that it had written"
    rank.driven.apply(6)


def test_a_program_that_leaves_is_taken_at_its_last_word(rank, program, caplog):
    waiting = rank.apply(5)
    program.partner.hear()
    program.step.stimulus[:] = 900.0
    program.partner.say(LEAVE)
    waiting.join(10)
    assert rank.left.is_set() and rank.rate.rate_hz == 900.0 and not caplog.text
    rank.driven.apply(6)
    assert rank.rate.rate_hz == 100.0


def test_a_stop_ends_the_wait_for_a_program_that_does_nothing(rank, program):
    waiting = rank.apply(5)
    program.partner.hear()
    rank.stop.request("signal SIGTERM")
    waiting.join(10)
    assert not waiting.is_alive() and rank.left.is_set()


def test_one_loop_takes_part_and_nobody_listens_elsewhere(rank, program):
    with pytest.raises(CommandError, match="another loop takes part already"):
        rank.driven.begin("/nowhere", rank.stop)
    rank.driven.close()
    with pytest.raises(CommandError, match="/nowhere/socket: .*must be a program that listens on this machine"):
        rank.driven.begin("/nowhere/socket", rank.stop)


def test_a_loop_begins_after_the_commands_of_a_round_and_writes_once_between_two_steps(rank, program):
    rank.driven._handed_over = -1
    rank.rate.rate_hz = 40.0  # by a command
    waiting = threading.Thread(target=rank.driven.hand_over, args=(8,), daemon=True)
    waiting.start()
    program.partner.hear()
    assert program.step.stimulus[0] == 40.0
    program.step.stimulus[:] = 50.0
    program.partner.say(GO)
    waiting.join(10)
    rank.driven.hand_over(8)  # another round at the same step: it does not wait
    assert rank.rate.rate_hz == 50.0


def test_what_was_written_is_recorded_and_written_again_at_the_same_place(rank, program, tmp_path):
    written = {0: 10.0, 1: 20.0, 2: 100.0, 3: 40.0}
    for number, rate_hz in written.items():
        waiting = rank.apply(number) if number else threading.Thread(target=rank.driven.hand_over, args=(0,))
        waiting.is_alive() or waiting.start()
        program.partner.hear()
        program.step.stimulus[:] = rate_hz
        program.step.body.muscles.excitation[number] = 1.0
        program.partner.say(GO)
        waiting.join(10)
    rank.file.close()
    with h5py.File(tmp_path / "run.h5", "w") as run:
        drive.merge(tmp_path / "drive.h5", run, steps=2)
        columns = run["drive/values"].attrs["columns"]
        assert list(columns)[:2] == ["stimulus[0]", "muscles.excitation[Foot1]"]
    recorded = drive.read(tmp_path / "run.h5")
    assert {step: each.in_round for step, each in recorded.items()} == {0: True, 1: False, 2: False}
    again = BodyRank(tmp_path / "again.h5", recorded)
    seen = []
    for number in range(4):
        again.driven.apply(number)
        before = again.rate.rate_hz
        again.driven.hand_over(number)
        seen.append((before, again.rate.rate_hz, again.body["muscles"].excitation[:4].tolist()))
    assert seen == [
        (100.0, 10.0, [1, 0, 0, 0]),
        (20.0, 20.0, [1, 1, 0, 0]),
        (100.0, 100.0, [1, 1, 1, 0]),
        (100.0, 100.0, [1, 1, 1, 0]),
    ]
    again.file.close()
    with h5py.File(tmp_path / "again.h5") as file, h5py.File(tmp_path / "run.h5") as run:
        assert file["drive/values"][:].tobytes() == run["drive/values"][:].tobytes()


def test_a_run_without_a_loop_has_no_record_of_one(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as run:
        drive.merge(tmp_path / "drive.h5", run, steps=2)
        assert not list(run)
    assert drive.read(tmp_path / "run.h5") == {}
