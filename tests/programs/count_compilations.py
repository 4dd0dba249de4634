# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py that says how many compiled functions of the body there are before and after the loop.

``mpiexec -n N python count_compilations.py <arguments of run.py>``; a function is there when it was compiled or
loaded from numba's cache.
"""

import sys

from mpi4py import MPI

from cosim import loop, program


def ready() -> int:
    """Compiled functions that are ready in this process."""
    ours = [module for name, module in sys.modules.items() if name.startswith("cosim.body.musculoskeletal.")]
    functions = {id(each): each for module in ours for each in vars(module).values() if hasattr(each, "overloads")}
    return sum(len(each.overloads) for each in functions.values())


def counted(parts, steps, step_ms):
    """The loop; the body rank tells the numbers."""
    before = ready()
    done = loop.loop(parts, steps, step_ms)
    if MPI.COMM_WORLD.rank == 0:
        print(f"<ready: {before}, {ready()}>", file=sys.stderr)
    return done


program.loop = counted
sys.exit(program.main(sys.argv[1:]))
