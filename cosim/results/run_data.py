# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the results folder of a run, also of one that goes on, or that was killed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from cosim.body.quantities import quantity
from cosim.devices.series import DeviceSeries
from cosim.engines.built import BuiltPopulation
from cosim.errors import ConfigurationError
from cosim.record import lists, populations
from cosim.record.commands import Obeyed, read, read_log
from cosim.record.folder import RunFolder
from cosim.record.names import RETURNED
from cosim.record.profile import STEP_PHASES
from cosim.record.runfile import datasets
from cosim.record.weights import WeightsOverTime, read_weights
from cosim.results import shards
from cosim.results.spikes import ListedSpikes, Spikes

if TYPE_CHECKING:
    import neo


def load(folder: Path | str) -> RunData:
    """The data of a run; nothing in its folder is executed.

    Of a run that goes on it is what was on disk when it was first asked for; load again to see more.

    Examples:
        >>> import cosim
        >>> run = cosim.load("results/light")
        >>> run.summary["complete"], run.simulated_ms
        (True, 12000.0)

    Raises:
        ConfigurationError: the folder is not that of a run.
    """
    data = RunData(folder)
    if not data.folder.run_file.is_file():
        raise ConfigurationError(f"{folder}: no {data.folder.run_file.name}: must be the results folder of a run")
    return data


def load_ended(folder: Path | str) -> RunData:
    """The data of a run that has ended, with everything that is made then.

    Raises:
        ConfigurationError: the folder is not that of such a run.
    """
    data = RunData(folder)
    made = data.folder
    for file in (made.summary_file, made.config_file, made.run_file, made.spike_file, made.populations_file):
        if not file.is_file():
            raise ConfigurationError(
                f"{folder}: no {file.name}: must be the results folder of a run that has ended; "
                "`cosim recover` makes results of a run that was killed"
            )
    return data


class SpikeFile(Mapping[str, Spikes]):
    """Spikes by population; each is read when it is asked for, and not kept: all may not fit into memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of spikes of each recorded population."""
        with h5py.File(self._path, "r") as file:
            return {name: len(group["node_ids"]) for name, group in file["spikes"].items()}

    def __getitem__(self, population: str) -> Spikes:
        if population not in self.counts:
            raise KeyError(f"{population!r}: not recorded; there are {', '.join(self.counts) or 'none'}")
        with h5py.File(self._path, "r") as file:
            group = file["spikes"][population]
            return Spikes(group["timestamps"][:], group["node_ids"][:])

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)


class RunData:
    """The data of a run as numpy arrays; each is read when it is first asked for.

    Examples:
        >>> import cosim
        >>> run = cosim.load("results/light")
        >>> list(run.spikes)
        ['left_eye', 'left_motor', 'right_eye', 'right_motor']
        >>> times_ms, node_ids = run.spikes["left_motor"]
        >>> int(node_ids.max())
        9
        >>> run.readout["left_motor"].shape, run.body["position_m"].shape
        ((600,), (3000, 3))
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = RunFolder(Path(folder))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The effective configuration."""
        return tomllib.loads(self.folder.config_file.read_text())

    @cached_property
    def commands(self) -> list[Obeyed]:
        """What steering did to the run: for each command the steps done before, when, who and what, as it was sent."""
        if self.folder.command_log.exists():  # it goes on, or was killed
            return read_log(self.folder.command_log)
        with self._open() as file:
            return list(read(file))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``; FileNotFoundError for a run that has not ended."""
        return json.loads(self.folder.summary_file.read_text())

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine, ranks and whatever else is known of where the data come from."""
        with self._open() as file:
            return dict(file.attrs)

    @cached_property
    def populations(self) -> dict[str, BuiltPopulation]:
        """What is known of each population of the brain; FileNotFoundError before the brain stands."""
        return {each.name: each for each in populations.read(self.folder.populations_file)}

    def save(self, target: Path | str) -> None:
        """Keep what steering made of the run: in a new folder as an experiment that begins as the run now is, with its
        transfer functions and protocol; in a new ``.py`` file as a script that does to it what was done.

        Raises:
            ConfigurationError: the target is there already, the experiment is not there any more, or a script is wanted
                of a run in which a loop of another program took part.
        """
        from cosim.results import saved  # what reads experiments is there for those who ask for it

        save = saved.as_script if Path(target).suffix == ".py" else saved.as_experiment
        save(self, Path(target))

    @property
    def simulated_ms(self) -> float:
        """Simulated time of all steps."""
        return float(self.exchange_time_ms[-1]) if self.exchange_time_ms.size else 0.0

    def _open(self) -> h5py.File:
        # A file that is being written, or whose writer was killed, opens in this mode only.
        return h5py.File(self.folder.run_file, "r", swmr=True)

    def _read(self, group: str, most_rows: int | None = None) -> dict[str, np.ndarray]:
        """The datasets of a group, as long as the shortest: a writer appends to one after the other."""
        with self._open() as file:
            # There may be no body, no sinks or no sources.
            items = file[group].items() if group in file else ()
            datasets = {name: item for name, item in items if isinstance(item, h5py.Dataset)}
            rows = min((len(each) for each in datasets.values()), default=0)
            return {name: each[: rows if most_rows is None else most_rows] for name, each in datasets.items()}

    @cached_property
    def _steps(self) -> int:
        """Steps of which all that was exchanged is there."""
        with self._open() as file:
            groups = ("exchange/time_ms", "exchange/readout", "exchange/stimulus")
            items = [file[name] for name in groups if name in file]
            series = [each for item in items for each in (item.values() if isinstance(item, h5py.Group) else [item])]
            return min(len(each) for each in series)

    @cached_property
    def body(self) -> dict[str, np.ndarray]:
        """Series of the body by name, (physics steps, columns); ``time_ms`` is the time of each row.

        Empty for a run without a body.
        """
        return self._read("body")

    @cached_property
    def readout(self) -> dict[str, np.ndarray]:
        """What each spike sink read at the end of every step, (steps,); its unit is in `sinks`."""
        return self._read("exchange/readout", self._steps)

    @cached_property
    def stimulus(self) -> dict[str, np.ndarray]:
        """What each spike source was set to in every step, (steps,); its unit is in `sources`."""
        return self._read("exchange/stimulus", self._steps)

    @cached_property
    def sinks(self) -> dict[str, DeviceSeries]:
        """`readout` with what is known of it: quantity, unit, kind, population."""
        return self._devices("readout", self.readout)

    @cached_property
    def sources(self) -> dict[str, DeviceSeries]:
        """`stimulus` with what is known of it."""
        return self._devices("stimulus", self.stimulus)

    @cached_property
    def returned(self) -> dict[str, np.ndarray]:
        """What transfer functions returned at the end of every step, (steps, ...); NaN where nothing.

        By the name of the function, or ``function.key`` for each key of a dictionary.
        """
        with self._open() as file:
            steps = slice(self._steps)
            found = {name: each[steps] for name, each in datasets(file[RETURNED]).items()} if RETURNED in file else {}
        if not found:
            found = {name: rows[: self._steps] for name, rows in shards.read_returned(self.folder).items()}
        return {name.replace("/", "."): rows for name, rows in found.items()}

    @property
    def returned_columns(self) -> dict[str, np.ndarray]:
        """Each number of `returned` as a column of its own, (steps,): ``see``, or ``see[0]``, ``see[1]`` of arrays."""
        columns = {}
        for name, rows in self.returned.items():
            for place in np.ndindex(rows.shape[1:]):
                columns[f"{name}[{','.join(map(str, place))}]" if place else name] = rows[:, *place]
        return columns

    def _devices(self, group: str, series: Mapping[str, np.ndarray]) -> dict[str, DeviceSeries]:
        with self._open() as file:
            return {
                name: DeviceSeries.of(group, name, values, file[f"exchange/{group}/{name}"].attrs)
                for name, values in series.items()
            }

    @cached_property
    def exchanged_spikes(self) -> dict[str, ListedSpikes]:
        """Spikes that were exchanged one by one: what each injector sent, and what each sink of spikes read.

        Of a sink they are here only where ``spikes`` does not have all its neurons.
        """
        with self._open() as file:
            names = list(file[lists.LISTS]) if lists.LISTS in file else []
            return {name: ListedSpikes(*lists.read(file, name, self._steps)) for name in names}

    @cached_property
    def exchange_time_ms(self) -> np.ndarray:
        """End of every step, (steps,)."""
        return self._read("exchange", self._steps)["time_ms"]

    @cached_property
    def profile(self) -> dict[str, np.ndarray]:
        """Wall time in s of each phase of a step in its order, (ranks, steps); rank 0 is the body."""
        found = self._read("profile")
        if not found and shards.are_in(self.folder):
            found = shards.read_profile(self.folder)
        in_loop = [name for name in STEP_PHASES if name in found]
        return {name: found[name] for name in (*in_loop, *(found.keys() - in_loop))}

    @cached_property
    def memory_mb(self) -> np.ndarray:
        """Largest resident memory of each rank, (ranks,); empty for a run that has not ended."""
        return self._read("profile/memory").get("peak_mb", np.empty(0))

    @cached_property
    def spikes(self) -> Mapping[str, Spikes]:
        """Spikes of each recorded population.

        Of a run that has not ended they come from its shards, up to the last step that all ranks wrote.
        """
        if self.folder.spike_file.is_file():
            return SpikeFile(self.folder.spike_file)
        recorded = [each for each in self.populations.values() if each.recorded]
        found = shards.read_spikes(self.folder, recorded)
        return {name: Spikes(*each) for name, each in found.items()}

    @cached_property
    def spike_counts(self) -> dict[str, int]:
        """Number of spikes of each recorded population."""
        if isinstance(self.spikes, SpikeFile):
            return self.spikes.counts
        return {name: len(each.node_ids) for name, each in self.spikes.items()}

    def weights(self, sink: str) -> WeightsOverTime:
        """All weights of the projection that a sink looks at whose ``full_every`` is set; KeyError for any other."""
        return read_weights(self.folder.weights_file, sink)

    def spiketrains(self, population: str) -> list[neo.SpikeTrain]:
        """Neo spike trains in ms of all neurons of a population, in the order of node ids.

        Silent neurons are included; where only a part of the population is recorded, they are not.
        """
        from cosim.results import neo_objects  # Neo is there for those who ask for it

        return neo_objects.of_population(self, population)

    def neo(self) -> neo.Block:
        """The run as a Neo block: all spike trains, values of sinks and sources, body."""
        from cosim.results import neo_objects

        return neo_objects.block(self)

    def columns(self, series: str) -> list[str]:
        """Names of the columns of a series of the body, such as the muscles."""
        with self._open() as file:
            return [str(name) for name in file[f"body/{series}"].attrs["columns"]]

    def quantity(self, series: str) -> tuple[str, str]:
        """Quantity in words and unit of a series of the body; older runs have them in its name alone."""
        with self._open() as file:
            known = file[f"body/{series}"].attrs
            words, units = quantity(series)
            return str(known.get("quantity", words)), str(known.get("units", units))

    def tip_position_m(self, time_ms: float) -> np.ndarray:
        """Position (3,) of the body's tip at ``time_ms``.

        Raises:
            ValueError: the run ended before.
        """
        times_ms = self.body["time_ms"]
        row = int(np.searchsorted(times_ms, time_ms - 1e-6))
        if row == len(times_ms):
            raise ValueError(f"the run ended at {times_ms[-1]:g} ms, before {time_ms:g} ms")
        return self.body["tip_position_m"][row]
