# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim recover``: results of a run that was killed, from the files that its ranks have left.

What counts are the steps that all ranks have written whole; everything is cut after them. The results are
made by the same code as those of a run that ends well.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from pathlib import Path
from types import ModuleType

from cosim.body import kinds
from cosim.body.nobody import NoBody
from cosim.errors import EXIT_COMPLETE, EXIT_FAILED, FAILURES, ConfigurationError, RecordingError
from cosim.experiment.brains import TableBrain
from cosim.experiment.config import Clock, Experiment, assemble, read_toml
from cosim.finalize import EndedRun, finalize
from cosim.modes import recorded_code
from cosim.network.network import Network
from cosim.record import built, failure, populations
from cosim.record.disk import BYTES_PER_MB, check_space
from cosim.record.folder import RunFolder, start_logging
from cosim.record.owner import claim, is_locked, living_owner
from cosim.record.runfile import whole_steps
from cosim.results.run_data import RunData

SILENT = "killed: no rank could say why"
# Results take about what shards and run.h5 take, and figures and small files this.
MARGIN_BYTES = 2 * BYTES_PER_MB
CLEAN_UP_S = 3.0

log = logging.getLogger("cosim")


def main(path: str, out: str | None, force: bool) -> int:
    """Make results of the run in ``path`` there, or in a new folder ``out``, and say how far they go.

    Raises:
        ConfigurationError: it is no run, or goes on, unless ``force``.
    """
    source = RunFolder(Path(path).resolve())
    if not source.shard_folder.is_dir():
        if not source.summary_file.is_file():
            problem = "neither results nor shards: must be the results folder of a run"
            raise ConfigurationError(f"{path}: {problem}")
        print(f"{path}: its results are there, there is nothing to recover")
        return EXIT_COMPLETE
    _check_ended(source, force)
    if not source.built_file.is_file():
        print(f"{path}: the run ended while it was built, before its first step: there is nothing to recover")
        return EXIT_COMPLETE
    try:
        folder = _copy(source, Path(out)) if out else source
        start_logging(folder)
        return _recover(source, folder)
    except RecordingError as error:
        print(f"cosim: {error}", file=sys.stderr)
        return EXIT_FAILED


def _recover(source: RunFolder, folder: RunFolder) -> int:
    _check_space(source, folder)
    claimed = claim(folder)
    try:
        run = ended_run(source, folder)
        is_well = finalize(run)
        shutil.rmtree(folder.control_folder, ignore_errors=True)  # nobody listens there any more
    finally:
        os.close(claimed)
    end_ms = run.steps * run.clock.coupling_step_ms
    print(f"{folder.path}: complete up to step {run.steps} of {run.clock.steps}, {end_ms:g} ms")
    return EXIT_COMPLETE if is_well else EXIT_FAILED


def ended_run(source: RunFolder, folder: RunFolder) -> EndedRun:
    """The run that ``source`` holds, as far as all ranks have written it; results shall go to ``folder``."""
    tables = read_toml(source.config_file)
    clock = Clock.model_validate(tables["clock"])
    stands = built.read(source.built_file, populations.read(source.populations_file))
    shards, experiment = source.shards(len(stands.reports)), _experiment(source)
    return EndedRun(
        name=Path(RunData(source.path).provenance["experiment"]).name,
        source=source,
        folder=folder,
        clock=clock,
        seed=tables["seed"],
        body=kinds.load(source.body_file) if source.body_file.is_file() else NoBody(),
        network=_network(experiment) if experiment else None,
        transfer_module=experiment.transfer_module if experiment else ModuleType("unknown"),
        built=stands.brain,
        reports=stands.reports,
        steps=whole_steps(source.run_file, shards, clock.substeps, source.returned_files()),
        stopped_by=failure.first_told(source) or SILENT,
    )


def _check_ended(source: RunFolder, force: bool) -> None:
    """Raises ConfigurationError. After a process was killed the kernel needs a moment to clean up."""
    latest = time.monotonic() + CLEAN_UP_S
    while (owner := living_owner(source)) and time.monotonic() < latest:
        time.sleep(0.05)
    if owner and is_locked(source):
        raise ConfigurationError(f"{source.path}: {owner}, still writes it; it must end first")
    if owner and not force:
        hint = "if you know that it does not, add --force"
        raise ConfigurationError(f"{source.path}: {owner}, may still write it from there; {hint}")


def _experiment(source: RunFolder) -> Experiment | None:
    """The experiment as it ran; None, with a warning, if it is no longer where or what it was."""
    provenance = RunData(source.path).provenance
    try:
        folder = recorded_code.experiment_folder(provenance["experiment"])
        is_replay = "replay_of" in provenance
        functions = ModuleType("replay") if is_replay else recorded_code.transfer_functions(folder)
        tables = read_toml(source.config_file)
        return assemble(folder, source.config_file, tables, functions, admit=recorded_code.admit)
    except ConfigurationError as error:
        log.warning("without positions of neurons and what the experiment adds to the summary: %s", error)
        return None


def _network(experiment: Experiment) -> Network | None:
    """Its tables; None for a script and, with a warning, if its network.py fails today, whatever it raises."""
    try:
        return experiment.network() if isinstance(experiment.brain, TableBrain) else None
    except FAILURES as error:
        log.warning("without positions of neurons: %s: %s: %s", experiment.brain.path, type(error).__name__, error)
        return None


def _check_space(source: RunFolder, folder: RunFolder) -> None:
    """Raises RecordingError. The shards go only when the results are whole."""
    files = (source.run_file, *source.shard_folder.glob("*.h5"))
    needed = sum(path.stat().st_size for path in files) + MARGIN_BYTES
    hint = f"make space, or let the results go elsewhere: cosim recover {source.path} --out FOLDER"
    check_space(folder.path, needed, hint)


def _copy(source: RunFolder, out: Path) -> RunFolder:
    """A new folder with the files of the run that are there from its start."""
    if out.exists():
        raise ConfigurationError(f"--out {out}: already there; must be a new folder")
    folder = RunFolder(out.resolve())
    folder.shard_folder.mkdir(parents=True)
    for file in (source.config_file, source.body_file, source.log_file, source.populations_file):
        if file.is_file():
            shutil.copy2(file, folder.path)
    return folder
