# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer functions: plain Python functions of an experiment that connect brain and body. Body rank only.

A transfer function is marked with ``@transfer_function``; its parameters are ports, found by name: spike sinks, spike
sources, what the body offers (such as ``muscles``, ``joints`` and ``tip``), ``protocol`` (the experiment's own
settings), ``t_ms``, ``step``, ``log`` and ``random``. A parameter whose default is a ``variable`` is a memory of the
function that a reset restores; other parameters with a default value are left alone.

All are called once before the first step (t_ms = 0, nothing read yet) and then at the end of every step, in the order
in which the file defines them, unless their marks say otherwise. ``t_ms`` is the time of the call and ``step`` the
number of steps done; what a call writes acts from that time on for one step, what it does not write stays as it was.
What a call returns is recorded.
"""

from cosim.transfer.functions import StimulusMaker, TransferFunctions
from cosim.transfer.mark import transfer_function
from cosim.transfer.module import wanted_ports
from cosim.transfer.rehearsal import check
from cosim.transfer.variable import variable

__all__ = ["StimulusMaker", "TransferFunctions", "check", "transfer_function", "variable", "wanted_ports"]
