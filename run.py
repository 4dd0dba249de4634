# SPDX-License-Identifier: GPL-2.0-or-later
"""Run an experiment: ``mpiexec -n 2 python run.py mouse_m1``, or ``srun python run.py mouse_m1`` under Slurm."""

import sys

from cosim.program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
