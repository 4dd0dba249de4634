# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of source and sink, each in a file of this folder as cosim has it and as a plain PyNEST script has it.

All are built together, in cosim as in NEST alone: first all neurons, then all sources, then all sinks, case after case
in the order of their names, so that node ids and random numbers are the same. A case is a module with

- ``DEVICES``: its tables of ``experiment.toml``. All delays are multiples of 1 ms, the smallest delay of the network.
- ``brain(nest) -> {name: neurons}``: its populations, of names that no other case has.
- ``drive``: its transfer function, a plain function with ports as parameters. It may be left out.
- ``sources(nest, neurons)`` and ``sinks(nest, neurons)``: what makes its devices in NEST; ``neurons`` are those of
  ``brain``. Both may return something, which the functions below get back. They may be left out.
- ``set_values(nest, made, step)``: what its transfer function does after ``step`` steps, in NEST; it acts in the next.
- ``read(nest, made) -> {port: values}``: what its sinks hold at the end of a step, numbers of any shape. Names that
  begin with ``_`` are for ``check`` alone.
- ``check(run, expected)``: what is to be compared besides ``run.readout`` and spikes; ``expected`` are all values that
  ``read`` returned, end to end, by ``sink/PORT``, and ``spikes/POPULATION``. It may be left out.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

RESOLUTION_MS, STEP_MS, STEPS = 0.1, 10.0, 8
SEED, VIRTUAL_PROCESSES = 7, 6
DELAY_MS = 1.0

NAMES = sorted(each.stem for each in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> ModuleType:
    """A case by its name."""
    return import_module(f"device_cases.{name}")
