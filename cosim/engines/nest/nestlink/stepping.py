# SPDX-License-Identifier: GPL-2.0-or-later
"""Advance NEST by one coupling step: set rates, run, read voltages, collect spikes.

Each of these is a single call into NEST's kernel that makes no Python object. Devices are looked up once, when they are
opened: after ``nest.Prepare()``, and before the next ``Create`` or ``ResetKernel``. So are the addresses of arrays, as
asking numpy for one takes longer than the call: give the same array in every step. ``stepper.cpp``, ``sinks.cpp`` and
``journal.cpp`` say why each call is needed.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from cosim.devices.base import Reading, Samples, Setting, Tapping, Weights
from cosim.engines.engine import JournalSpikes
from cosim.engines.nest.nestlink.blocks import BLOCK_SIGNATURES, add_block
from cosim.engines.nest.nestlink.library import Library, Signatures, view

_NODES = (ctypes.c_void_p, ctypes.c_long)

STEPPING_SIGNATURES: Signatures = {
    "nestlink_open_stepper": (
        ctypes.c_int,
        [ctypes.c_void_p, ctypes.c_long, ctypes.c_double, ctypes.c_void_p],
    ),
    "nestlink_set_sources": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    "nestlink_run_ahead": (ctypes.c_int, [ctypes.c_void_p]),
    "nestlink_run": (ctypes.c_int, [ctypes.c_void_p]),
    "nestlink_close_stepper": (None, [ctypes.c_void_p]),
    "nestlink_register_models": (ctypes.c_int, []),
    "nestlink_fit_min_delay": (ctypes.c_int, [ctypes.c_double]),
    "nestlink_tell_targets": (ctypes.c_int, []),
    "nestlink_pre_run_hook": (ctypes.c_int, [*_NODES]),
    "nestlink_check_synchrony": (ctypes.c_int, []),
    "nestlink_open_sinks": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p]),
    "nestlink_read_sinks": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    "nestlink_close_sinks": (None, [ctypes.c_void_p]),
    "nestlink_journal_open": (ctypes.c_int, [*_NODES, ctypes.c_double, ctypes.c_int]),
    **BLOCK_SIGNATURES,
    "nestlink_journal_collect": (ctypes.c_long, []),
    "nestlink_journal_read": (None, [ctypes.c_void_p] * 4),
    "nestlink_journal_forget": (None, []),
}


class Stepping(Library):
    """The part of ``Nestlink`` for what comes before and after stepping; the classes below are used with it."""

    def register_models(self) -> None:
        """Make the models of ``values_by_target.cpp`` known to NEST, which forgets them at ``ResetKernel``."""
        if self.lib.nestlink_register_models():
            self.fail("could not register models")

    def fit_min_delay(self, step_ms: float) -> None:
        """Make NEST's min_delay divide ``step_ms``, by lowering it to no less than its half. Collective.

        After the last ``Connect``, before ``Prepare``. Nothing happens where NEST was simulated, or its
        delays were set by hand. Steps that min_delay does not divide give other random numbers than those
        that it does.
        """
        if self.lib.nestlink_fit_min_delay(step_ms):
            self.fail(f"could not fit min_delay to steps of {step_ms:g} ms")

    def tell_targets(self) -> None:
        """Do in one round what ``Prepare`` would do in several, with errors on two ranks and more. Collective.

        After the last ``Connect``, before every ``Prepare``; ``targets.cpp`` says what goes wrong without it.

        Raises:
            NestlinkError: what was simulated before was connected since; NEST would send spikes to wrong neurons.
        """
        self._check(self.lib.nestlink_tell_targets(), "NEST's connections cannot be used")

    def pre_run_hook(self, node_ids: np.ndarray) -> None:
        """Let parameters of nodes, (n,) int64, act that NEST takes over only at ``Prepare``. Inside ``Prepare``.

        Nodes of other ranks are passed over; of a device all copies on this rank are meant. Not collective.
        """
        code = self.lib.nestlink_pre_run_hook(node_ids.ctypes.data, len(node_ids))
        self._check(code, "nodes did not take over their parameters")

    def check_synchrony(self) -> None:
        """Compare random numbers over ranks and threads, as ``nest.Run`` does before and after. Collective."""
        if self.lib.nestlink_check_synchrony():
            self.fail("ranks or threads have drawn different random numbers")


class _Setting(ctypes.Structure):
    """As in ``sources.h``."""

    _fields_ = [
        ("node_id", ctypes.c_long),
        ("parameter", ctypes.c_char_p),
        ("nodes", ctypes.c_long),
        ("way", ctypes.c_long),
        ("values", ctypes.c_long),
        ("targets", ctypes.POINTER(ctypes.c_long)),
    ]

    @classmethod
    def of(cls, setting: Setting) -> _Setting:
        targets = (ctypes.c_long * len(setting.targets))(*setting.targets)
        return cls(*setting[:1], setting.parameter.encode(), *setting[2:5], targets)


class Stepper:
    """Advances NEST in steps of ``step_ms``; ``sources`` are what is set before each of them.

    Spikes and NEST's own time are those of ``nest.Run``, whose comparison of random numbers over ranks is left out.
    """

    def __init__(self, link: Stepping, sources: Sequence[Setting], step_ms: float) -> None:
        self._link, self._address = link, 0
        self._array: np.ndarray | None = None
        settings = (_Setting * len(sources))(*map(_Setting.of, sources))
        self._handle = open_handle(self, link, "stepper", settings, len(sources), step_ms)
        lib = link.lib
        self._set, self._run, self._run_ahead = lib.nestlink_set_sources, lib.nestlink_run, lib.nestlink_run_ahead

    def set(self, values: np.ndarray) -> None:
        """Set the values of all sources, (n,) float64; they act from the next `run` on. On all ranks alike.

        The rate of a Poisson generator set through PyNEST between two ``Run`` calls of one ``Prepare`` has no effect
        in NEST 3.10.
        """
        if values is not self._array:
            self._array, self._address = values, values.ctypes.data
        if self._set(self._handle, self._address):
            self._link.fail(f"could not set sources to {values}")

    def run(self) -> None:
        """Advance by one step. Collective, without a barrier: a rank returns when its part is done."""
        if self._run(self._handle):
            self._link.fail("NEST could not advance by a step")

    def run_ahead(self) -> None:
        """Begin the next `run` before the values of its sources are known; not collective.

        Every rank delivers the spikes of the last step to its neurons and updates the nodes that come before the
        first source, as far as NEST does this before ranks exchange spikes again. No source has an effect on it.

        Afterwards some nodes are ahead of the others. So read sinks and collect spikes before, and call nothing but
        `run` of this stepper next, which does the rest of the step (``ResetKernel`` is allowed too). NEST's own
        recorders hold the spikes up to here.

        It does nothing in a network with gap junctions, rate connections or structural plasticity, or with an
        ``update_time_limit``: there `run` does all of the step.
        """
        if self._run_ahead(self._handle):
            self._link.fail("NEST could not begin the next step")


class _Reading(ctypes.Structure):
    """As in ``sinks.cpp``."""

    _fields_ = [
        ("node_id", ctypes.c_long),
        ("variable", ctypes.c_char_p),
        ("scale", ctypes.c_double),
        ("is_count", ctypes.c_long),
        ("place", ctypes.c_long),
    ]


class SinkValues:
    """What sinks read, one ``readings`` after the other in the message.

    Spikes of a `Tapping` come otherwise. A `Reading` is ``scale`` times the variable, or times what it grew by since
    the last `read` if it is a count.
    """

    def __init__(self, link: Stepping, readings: Sequence[Reading | Samples | Weights | Tapping]) -> None:
        self._link, self._address = link, 0
        self._array: np.ndarray | None = None
        places = accumulate((each.size for each in readings), initial=0)
        placed = [*zip(readings, places, strict=False)]  # the last place is the end
        single = [
            _Reading(each.node_id, each.variable.encode(), each.scale, each.is_count, place)
            for each, place in placed
            if isinstance(each, Reading)
        ]
        self._handle = open_handle(self, link, "sinks", (_Reading * len(single))(*single), len(single))
        blocks = [(each, place) for each, place in placed if isinstance(each, (Samples, Weights))]
        kept = [add_block(link, self._handle, each, place) for each, place in blocks]
        self.kept_weights = [each for each in kept if each is not None]
        self._read = link.lib.nestlink_read_sinks

    def read(self, values: np.ndarray) -> None:
        """Write them into ``values``, (n,) float64; entries of nodes on other ranks are left alone.

        A device is on all ranks, and each of them writes what its own copies hold.
        """
        if values is not self._array:
            self._array, self._address = values, values.ctypes.data
        if self._read(self._handle, self._address):
            self._link.fail("could not read sinks")


class Journal:
    """Records the spikes of neurons, ``node_ids`` (n,) int64, without a recorder and without connections.

    One at a time in a kernel, opened after the last ``Create``. Times are those that NEST's recorders write. Where NEST
    started anew in a run that ``goes_on``, they are ``before_ms`` more, and what was collected so far stays.
    """

    def __init__(self, link: Stepping, node_ids: np.ndarray, before_ms: float = 0.0, goes_on: bool = False) -> None:
        self._link = link
        if link.lib.nestlink_journal_open(node_ids.ctypes.data, len(node_ids), before_ms, goes_on):
            link.fail("could not record spikes")

    def collect(self) -> int:
        """Take over the spikes since the last call, and return how many wait to be forgotten.

        Raises:
            NestlinkError: no memory for them; they are taken over by the next call that goes well.
        """
        waiting = self._link.lib.nestlink_journal_collect()
        if waiting < 0:
            self._link.fail("could not take over spikes")
        return waiting

    def spikes(self) -> JournalSpikes:
        """What was collected since the last ``forget``."""
        times, ids, done = (ctypes.c_void_p() for _ in range(3))
        counts = (ctypes.c_long * 2)()
        self._link.lib.nestlink_journal_read(*map(ctypes.byref, (times, ids, done)), counts)
        spikes, collects = counts
        return JournalSpikes(
            view(times, spikes, ctypes.c_double),
            view(ids, spikes, ctypes.c_int64),
            view(done, collects, ctypes.c_int64),
        )

    def forget(self) -> None:
        """Empty the journal."""
        self._link.lib.nestlink_journal_forget()


def open_handle(owner: object, link: Stepping, kind: str, *arguments: object) -> ctypes.c_void_p:
    """Look up nodes in the kernel; what is kept of them is freed with ``owner``."""
    handle = ctypes.c_void_p()
    if getattr(link.lib, f"nestlink_open_{kind}")(*arguments, ctypes.byref(handle)):
        link.fail(f"could not open {kind}")
    weakref.finalize(owner, getattr(link.lib, f"nestlink_close_{kind}"), handle)
    return handle
