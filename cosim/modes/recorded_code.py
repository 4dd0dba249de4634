# SPDX-License-Identifier: GPL-2.0-or-later
"""The code that a recorded run brings: where it may lie, and that it is named before it is executed. Body rank only.

``run.h5`` says where the experiment was, and ``config.toml`` which brain and body it had. Both lie in the results
folder, so whoever hands one over can write there what he likes. Refused is everything inside of a results folder, as
it is spelt and as links lead, and a recorded folder that is no absolute path without links, which is what cosim
records. Any other place on this machine may have been that of the experiment: a file there is executed, and only shown.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType

from cosim.errors import ConfigurationError
from cosim.experiment.config import find_experiment
from cosim.experiment.results_folder import results_folder_around
from cosim.experiment.usercode import load_transfer_functions

log = logging.getLogger("cosim")


def experiment_folder(recorded: str, moved_to: str | None = None) -> Path:
    """The folder of an experiment: where it was when it was ``recorded``, or where it has ``moved_to``.

    Raises:
        ConfigurationError: it is not there, or must not be.
    """
    if moved_to is None and os.path.realpath(recorded) != recorded:
        allowed = "must be an absolute path without links, as cosim records it"
        raise ConfigurationError(f"experiment {recorded!r}, as the run names it: {allowed}")
    folder = find_experiment(moved_to or recorded)
    admit(folder, is_code=False)
    return folder


def transfer_functions(folder: Path) -> ModuleType:
    """`load_transfer_functions` of the ``transfer.py`` in the folder of an experiment. Raises ConfigurationError."""
    file = folder / "transfer.py"
    if file.exists():
        admit(file)
    return load_transfer_functions(file)


def admit(path: Path, is_code: bool = True) -> None:
    """Let a recorded run use what lies at ``path``; code is shown first.

    Raises:
        ConfigurationError: it lies inside of a results folder, or is one.
    """
    results = results_folder_around(path)
    if results:
        raise ConfigurationError(f"{path}: must not lie in a results folder, of which nothing is executed: {results}")
    if is_code:
        log.warning("code of the recorded run: %s", os.path.realpath(path))  # also seen where no log is open yet
