# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program sees of a run that goes on, and touches: ports, populations, the body, transfer functions.

Values are read from the run's files, so that to look disturbs nothing: they are complete up to the step while the run
stands still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from cosim.client.acted import Acted
from cosim.client.held_run import HeldRun
from cosim.client.known import as_json, files_of, steps_on_disk
from cosim.control.drive_layout import properties
from cosim.devices.devices import Device, Devices, SpikeLists, make_ports, places
from cosim.errors import nearest
from cosim.network.address import Address
from cosim.results.spikes import Spikes

# Methods of ports that find places in arrays, and change nothing.
FINDERS = ("index", "indices")


class PortViews(Mapping[str, "PortView"]):
    """Sinks, sources and ports of the body, by name."""

    def __init__(self, run: HeldRun) -> None:
        self._run = run

    def __getitem__(self, name: str) -> PortView:
        if name in self._run.device_ports:
            return DevicePort(self._run, name)
        if name in self._run.body_ports:
            return BodyPort(self._run, name)
        raise KeyError(f"port {name!r}: {nearest(name, self)}")

    def __iter__(self) -> Iterator[str]:
        return iter([*self._run.device_ports, *self._run.body_ports])

    def __len__(self) -> int:
        return len([*iter(self)])

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.values()))


class PortView:
    """A port of a run: its attributes are those that transfer functions find; to set one is a command of its own.

    What is set acts from the next step on, until a transfer function sets it; `hold` sets it again in every step.
    """

    def __init__(self, run: HeldRun, name: str) -> None:
        object.__setattr__(self, "_run", run)
        object.__setattr__(self, "_name", name)

    def _shape(self) -> object:
        """A port of this kind, of which the names and checks of attributes are taken."""
        raise NotImplementedError

    def _read(self, attribute: str) -> Any:
        raise NotImplementedError

    def hold(self, **values: Any) -> None:
        """Set attributes, and set them again after the transfer functions in every step."""
        for attribute in values:
            self._check(attribute, to_set=True)
        acted = Acted(f"{self._name} holds")
        for attribute, value in values.items():
            with acted.one(attribute):
                self._set(attribute, value, hold=True)

    def release(self, *attributes: str) -> None:
        """Let transfer functions set these attributes again."""
        for attribute in attributes:
            self._check(attribute, to_set=True)
        acted = Acted(f"{self._name} holds no longer")
        for attribute in attributes:
            with acted.one(attribute):
                self._run.send({"command": "release_port", "port": self._name, "attribute": attribute})

    def __getattr__(self, attribute: str) -> Any:
        if self._is_fixed(attribute):
            return getattr(self._shape(), attribute)
        self._check(attribute, to_set=False)
        return self._read(attribute)

    def _is_fixed(self, attribute: str) -> bool:
        """Whether it is the same all the run: names, populations, edges, and what finds places in them."""
        if attribute.startswith("_") or attribute in dict(properties(self._shape())):
            return False
        return attribute in FINDERS or isinstance(getattr(self._shape(), attribute, None), tuple)

    def __setattr__(self, attribute: str, value: Any) -> None:
        self._set(attribute, value, hold=False)

    def _set(self, attribute: str, value: Any, hold: bool) -> None:
        self._check(attribute, to_set=True)
        command = {"command": "set_port", "port": self._name, "attribute": attribute, "value": as_json(value)}
        self._run.send(command | ({"hold": True} if hold else {}))

    def _check(self, attribute: str, to_set: bool) -> None:
        known = dict(properties(self._shape()))
        if attribute not in known:
            raise AttributeError(f"{self._name}.{attribute}: {nearest(attribute, known)}")
        if to_set and not known[attribute]:
            settable = [name for name, is_settable in known.items() if is_settable]
            raise AttributeError(f"{self._name}.{attribute} cannot be set; allowed: {', '.join(settable) or 'none'}")

    def __dir__(self) -> list[str]:
        fixed = [name for name in dir(self._shape()) if self._is_fixed(name)]
        return ["hold", "release", *fixed, *(name for name, _ in properties(self._shape()))]

    def __repr__(self) -> str:
        return f"<{self._name}: {', '.join(self._values())}>"

    def _values(self) -> Iterator[str]:
        for name, _ in properties(self._shape()):
            try:
                yield f"{name}={getattr(self, name)}"
            except (AttributeError, LookupError):  # not among what is recorded
                yield name


class DevicePort(PortView):
    """Sinks or sources: what was read at the end of the last step or acted in it, or was set by a command since."""

    def send(self, times_ms: ArrayLike, neurons: ArrayLike | None = None) -> None:
        """Send spikes in the coming step, as a transfer function does through a spike_injector."""
        command = {"command": "send", "port": self._name, "times_ms": as_json(times_ms)}
        self._run.send(command | ({} if neurons is None else {"neurons": as_json(neurons)}))

    def _members(self, devices: Sequence[Device]) -> list[Device]:
        return [each for each in devices if each.port == self._name]

    def _shape(self) -> object:
        return self._run.device_ports[self._name]

    def __getitem__(self, variable: str) -> np.ndarray:
        """Of recorded variables one such as ``V_m``, as in a transfer function."""
        port: Any = self._filled()
        return port[variable]

    def _read(self, attribute: str) -> Any:
        return getattr(self._filled(), attribute)

    def _filled(self) -> object:
        """A port like this one, with its values."""
        devices = self._run.devices
        readout, stimulus = np.zeros(devices.readout_size), np.zeros(devices.stimulus_size)
        with h5py.File(files_of(self._run.folder).run_file, "r", swmr=True) as file:
            self._fill(file, "readout", devices.sinks, readout)
            self._fill(file, "stimulus", devices.sources, stimulus)
        port = make_ports(devices, readout, stimulus, self._lists(devices))[self._name]
        for each in _set_since(self._run, self._name):
            setattr(port, each["attribute"], each["value"])
        return port

    def _fill(self, file: h5py.File, group: str, devices: Sequence[Device], message: np.ndarray) -> None:
        """Write what was exchanged last into the places of the members."""
        of_device = places(devices, message)
        for each in self._members(devices):
            last = [rows[-1] for name in each.datasets if len(rows := file[f"exchange/{group}/{name}"])]
            if last:
                of_device[each.name][:] = np.concatenate([np.ravel(row) for row in last])

    def _lists(self, devices: Devices) -> SpikeLists:
        """All lists, of which those of the members have their spikes of the last step."""
        lists = SpikeLists(devices, np.zeros(devices.readout_size), np.zeros(devices.stimulus_size))
        members = {each.name: each for each in self._members((*devices.sinks, *devices.sources))}
        for each in (*lists.sinks, *lists.sources):
            if each.name in members:
                times_ms, neurons = self._listed(members[each.name])
                last = times_ms > (steps_on_disk(self._run.folder) - 1) * self._run.step_ms
                each.put(times_ms[last], neurons[last].astype(float))
        return lists

    def _listed(self, device: Device) -> tuple[np.ndarray, np.ndarray]:
        """Times and neurons of a list of spikes; those of a sink may be recorded as the spikes of its population."""
        if listed := self._run.results.exchanged_spikes.get(device.name):
            return listed.times_ms, listed.neurons
        found = self._run.spikes(self._run.step_ms)[device.neurons.pattern]
        own = np.isin(found.node_ids, np.array(device.numbers, np.uint64))
        return found.timestamps_ms[own], found.node_ids[own]

    def __repr__(self) -> str:
        devices = self._run.devices
        sinks, sources = self._members(devices.sinks), self._members(devices.sources)
        first = [*sinks, *sources][0]
        populations = ", ".join(each.neurons.pattern for each in (*sinks, *sources))
        words = f"{first.table.kind} {'sink' if sinks else 'source'} of {populations}"
        return f"<{self._name}, {words}: {', '.join(self._values())}>"


def _set_since(run: HeldRun, port: str) -> list[Mapping[str, Any]]:
    """What commands have set at a port since the last step."""
    done = steps_on_disk(run.folder)
    since = [each.what for each in run.commands if each.step == done]
    return [what for what in since if what["command"] == "set_port" and what["port"] == port]


class BodyView:
    """The ports of the body, by attribute: ``body.joints["humerus_radius"].angle_rad``; and hands on its parts."""

    def __init__(self, run: HeldRun) -> None:
        self._run = run

    def push(
        self,
        part: str,
        force_n: Sequence[float] = (0.0, 0.0, 0.0),
        duration_ms: float = 1.0,
        torque_nm: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        """Push a part with a force at its centre of mass and a torque, in world axes, from the next step on."""
        vectors = {"force_n": as_json(force_n), "torque_nm": as_json(torque_nm)}
        self._run.send({"command": "push", "part": part, "duration_ms": duration_ms, **vectors})

    def place(self, part: str, position_m: Sequence[float], quaternion: Sequence[float] | None = None) -> None:
        """Put a part to a place, at rest; ``quaternion`` is (x, y, z, w)."""
        command = {"command": "place", "part": part, "position_m": as_json(position_m)}
        self._run.send(command | ({} if quaternion is None else {"quaternion": as_json(quaternion)}))

    @property
    def parts(self) -> list[str]:
        """Names of what can be pushed, placed and held."""
        return self._run.send({"command": "status"})["parts"]

    def set_joints(self, **angle_rad: float) -> None:
        """Put joints at these angles, all at rest: ``set_joints(elbow=1.2)``; the others stay where they are."""
        angles = {name: as_json(angle) for name, angle in angle_rad.items()}
        self._run.send({"command": "set_joints", "angle_rad": angles})

    def hold(self, part: str, position_m: Sequence[float] | None) -> None:
        """Grab a part and pull it to a position; None lets it go."""
        self._run.send({"command": "hold", "part": part, "position_m": as_json(position_m)})

    def __getattr__(self, name: str) -> BodyPort:
        if name.startswith("_") or name not in self._run.body_ports:
            raise AttributeError(
                f"the body has no port {name!r}; there are {', '.join(self._run.body_ports) or 'none'}"
            )
        return BodyPort(self._run, name)

    def __getitem__(self, series: str) -> np.ndarray:
        """The last sample of any series of the body, as in ``body["tip_position_m"]``."""
        with h5py.File(files_of(self._run.folder).run_file, "r", swmr=True) as file:
            group = file.get("body", {})
            if series not in group:
                raise KeyError(f"body series {series!r}: {nearest(series, group)}")
            rows = group[series]
            return rows[-1] if len(rows) else np.full(rows.shape[1:], np.nan)

    def __dir__(self) -> list[str]:
        return ["hold", "parts", "place", "push", "set_joints", *self._run.body_ports]

    def __repr__(self) -> str:
        return "\n".join(repr(BodyPort(self._run, name)) for name in self._run.body_ports) or "<no body>"


class BodyPort(PortView):
    """A port of the body; sensors that are recorded can be read, as of the end of the last step, NaN before it."""

    def __init__(self, run: HeldRun, name: str, entry: str | None = None) -> None:
        super().__init__(run, name)
        object.__setattr__(self, "_entry", entry)

    def __getitem__(self, entry: str) -> BodyPort:
        names = getattr(self._shape(), "names", ())
        if entry not in names:
            raise KeyError(f"{self._name}: {nearest(entry, names)}")
        return BodyPort(self._run, self._name, entry)

    def _shape(self) -> object:
        return self._run.body_ports[self._name]

    def _read(self, attribute: str) -> Any:
        body, name = BodyView(self._run), self._name
        for series in (f"{name.removesuffix('s')}_{attribute}", f"{name}_{attribute}", attribute):
            try:
                row = body[series]
            except KeyError:
                continue
            if self._entry is not None:
                return float(row[self._run.results.columns(series).index(self._entry)])
            kind = type(getattr(self._shape(), attribute))
            return row if kind is np.ndarray else kind(row[0])
        raise LookupError(f"{name}.{attribute}: not recorded; transfer functions and loops of one's own see it")

    def _set(self, attribute: str, value: Any, hold: bool) -> None:
        if self._entry is not None:
            raise AttributeError(f"{self._name}.{attribute}: must be set as a whole, for all {self._name} together")
        super()._set(attribute, value, hold)


class PopulationView:
    """A population of the brain, or a part of it."""

    def __init__(self, run: HeldRun, name: str) -> None:
        self.name, self._run = name, run
        pattern = Address.parse(name).pattern
        if pattern not in run.built_populations:
            raise KeyError(f"population {pattern!r}: {nearest(pattern, run.built_populations)}")
        self._built, self._part = run.built_populations[pattern], Address.parse(name).part

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self._ids)

    @property
    def _ids(self) -> range:
        return range(self._built.size)[self._part]

    def set(self, **parameters: float) -> None:
        """Set parameters of NEST's, such as ``V_th=-48.0``, of all its neurons; they act from the next step on."""
        values = {name: as_json(value) for name, value in parameters.items()}
        self._run.send({"command": "set_population", "population": self.name, "parameters": values})

    def get(self, *parameters: str) -> dict[str, np.ndarray]:
        """Parameters and variables of NEST's, such as ``V_th`` and ``V_m``: a value for each neuron, by name."""
        command = {"command": "get_population", "population": self.name, "parameters": parameters}
        return {name: np.array(values) for name, values in self._run.send(command)["parameters"].items()}

    def spikes(self, last_ms: float | None = None) -> Spikes:
        """Its spikes in the last ``last_ms``, by default in all of the run; node ids are the population's."""
        if not self._built.recorded:
            raise LookupError(f"{self._built.name}: its spikes are not recorded")
        found = self._run.spikes(last_ms)[self._built.name]
        own = np.isin(found.node_ids, np.array(self._ids, np.uint64))
        return Spikes(found.timestamps_ms[own], found.node_ids[own])

    def rate_hz(self, last_ms: float | None = None) -> float:
        """Mean rate of its neurons in the last ``last_ms``; NaN before the first step. All have to be recorded."""
        simulated_ms = steps_on_disk(self._run.folder) * self._run.step_ms
        window_ms = simulated_ms if last_ms is None else min(last_ms, simulated_ms)
        if not window_ms:
            return float("nan")
        neurons = min(self.size, self._built.recorded)
        return len(self.spikes(window_ms).node_ids) / neurons / window_ms * 1000

    def __repr__(self) -> str:
        model = self._built.neuron_model
        return f"<population {self.name}: {self.size} neurons{f' of {model}' if model else ''}>"


class FunctionViews(Mapping[str, "FunctionView"]):
    """The transfer functions of a run, by name, in the order in which they are called."""

    def __init__(self, run: HeldRun) -> None:
        self._run = run

    @property
    def known(self) -> dict[str, dict[str, str]]:
        """State, message and source of each."""
        return self._run.send({"command": "functions"})["functions"]

    @property
    def text(self) -> str:
        """The whole transfer.py as it now is."""
        return self._run.send({"command": "functions"})["text"]

    def add(self, text: str) -> FunctionView:
        """Add the function of which ``text`` is the source; it is rehearsed before it acts."""
        return self[self._run.send({"command": "tf", "action": "add", "text": text})["name"]]

    def __getitem__(self, name: str) -> FunctionView:
        known = self.known
        if name not in known:
            raise KeyError(f"transfer function {name!r}: {nearest(name, known)}")
        return FunctionView(self, self._run, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def __repr__(self) -> str:
        return "\n".join(f"<{name}: {known['state']}>" for name, known in self.known.items()) or "<no functions>"


class FunctionView:
    """A transfer function of a run."""

    def __init__(self, functions: FunctionViews, run: HeldRun, name: str) -> None:
        self._functions, self._run, self.name = functions, run, name

    @property
    def known(self) -> dict[str, str]:
        """State, message and source."""
        return self._functions.known[self.name]

    @property
    def source(self) -> str:
        """Its text, as it was edited last."""
        return self.known["source"]

    @property
    def state(self) -> str:
        """``enabled``, ``disabled`` or ``failed``."""
        return self.known["state"]

    @property
    def message(self) -> str:
        """Why it failed; empty if it did not."""
        return self.known["message"]

    def edit(self, text: str) -> None:
        """Replace it by the function of which ``text`` is the source; it is rehearsed before it acts."""
        self._change("edit", text=text)

    def disable(self, silence: bool = False) -> None:
        """Do not call it any more; what it wrote stays as it is.

        With ``silence`` the sources among its parameters are set to 0, and get their values back when it is enabled.
        """
        self._change("disable", **({"silence": True} if silence else {}))

    def enable(self) -> None:
        """Call it again."""
        self._change("enable")

    def remove(self) -> None:
        """Take it out of the run."""
        self._change("remove")

    def _change(self, action: str, **more: Any) -> None:
        self._run.send({"command": "tf", "action": action, "name": self.name, **more})

    def __repr__(self) -> str:
        return f"<transfer function {self.name}: {self.state}>\n{self.source}"
