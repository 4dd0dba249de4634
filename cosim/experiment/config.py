# SPDX-License-Identifier: GPL-2.0-or-later
"""``experiment.toml`` and ``--set`` become one checked, typed configuration.

Everything is checked before NEST starts, on the body rank, and all problems are reported together: file, key, value
and what is allowed. The keys of ``[brain]`` that belong to one brain model are declared by that model (``Parameters``
in its ``network.py``), those of ``[body]`` by the kind of the body (``settings`` of `cosim.body.kind.Kind`), those of
``[[sources]]`` and ``[[sinks]]`` by their kinds (``cosim.devices``), those of ``[protocol]`` by the experiment
(``Protocol`` in its ``transfer.py``); all are pydantic models and are checked like all the rest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pydantic
import pydantic_core
import tomli_w
from pydantic import BaseModel, Field

from cosim.body import kinds
from cosim.body.kind import Description
from cosim.devices import kinds as device_kinds
from cosim.devices.base import SinkTable, SourceTable
from cosim.devices.resolve import Wanted
from cosim.errors import ConfigurationError, nearest
from cosim.experiment import search
from cosim.experiment.brains import ScriptBrain, TableBrain
from cosim.experiment.models import Tables, find_body, find_brain
from cosim.experiment.overrides import override
from cosim.experiment.usercode import load_transfer_functions, table_class
from cosim.network.counting import LONGEST_TIME_MS, TIC_MS
from cosim.network.network import Network
from cosim.table import Table
from cosim.timegrid import is_multiple

# Samples of all of them are kept in memory until the end of the coupling step.
MOST_PHYSICS_STEPS = 1_000_000


class Clock(Table):
    """All clocks of a run."""

    coupling_step_ms: float = Field(20.0, gt=0, description="brain and body exchange after every coupling step")
    physics_step_ms: float = Field(1.0, gt=0, description="the body's; without a body it means nothing")
    resolution_ms: float = Field(0.1, gt=0, description="NEST's resolution")
    steps: int = Field(gt=0, description="number of coupling steps")

    @property
    def substeps(self) -> int:
        """Physics steps in a coupling step."""
        return round(self.coupling_step_ms / self.physics_step_ms)

    def problems(self, has_body: bool) -> Iterator[str]:
        """A coupling step must hold whole NEST steps and whole physics steps of a body, a NEST step whole tics."""
        if not is_multiple(self.resolution_ms, TIC_MS):
            yield f"clock.resolution_ms = {self.resolution_ms}: must be a multiple of {TIC_MS} ms, NEST's unit of time"
        if self.steps > LONGEST_TIME_MS / self.coupling_step_ms:
            allowed = f"must be at most {LONGEST_TIME_MS:.3g} ms, as NEST counts no further"
            what = f"as many of clock.coupling_step_ms = {self.coupling_step_ms}"
            yield f"clock.steps = {self.steps}: {what} {allowed}"
        if has_body and self.coupling_step_ms / self.physics_step_ms > MOST_PHYSICS_STEPS:
            allowed = f"must be at most {MOST_PHYSICS_STEPS:,} times clock.physics_step_ms = {self.physics_step_ms}"
            yield f"clock.coupling_step_ms = {self.coupling_step_ms}: {allowed}"
        for name in ("physics_step_ms", "resolution_ms") if has_body else ("resolution_ms",):
            part_ms = getattr(self, name)
            if not is_multiple(self.coupling_step_ms, part_ms):
                yield (
                    f"clock.coupling_step_ms = {self.coupling_step_ms}: must be a multiple of "
                    f"clock.{name} = {part_ms}, but is {self.coupling_step_ms / part_ms:.6g} times that"
                )


class BrainSection(Table):
    """What every brain has; a model adds its own keys."""

    model: str | None = Field(None, description="folder with the network tables of a brain")
    script: str | None = Field(None, description="instead of a model: a PyNEST script, relative to the experiment")
    wiring: Literal["nestlink", "nest"] = Field("nestlink", description="who draws the synapses; NEST's rules are slow")
    virtual_processes: int = Field(
        4, gt=0, description="brain ranks x threads per rank; fixes the random numbers, however it is split"
    )


class BodySection(Table):
    """What hangs on the other side; its kind adds its own keys. An experiment may do without."""

    model: str


class Record(Table):
    """What goes to disk besides exchange, body and profile."""

    spikes: str | tuple[str, ...] = Field(
        "*",
        description="names or shell patterns of the populations whose spikes are recorded, or parts such as "
        "E[0:100]; empty for none",
    )

    @property
    def patterns(self) -> tuple[str, ...]:
        """``spikes`` as a list of patterns."""
        spikes = (self.spikes,) if isinstance(self.spikes, str) else self.spikes
        return tuple(pattern for pattern in spikes if pattern)


class Transfer(Table):
    """What becomes of a run when a transfer function fails."""

    on_error: Literal["stop", "disable"] = Field(
        "stop", description="end the run after that step, or switch the function off and go on"
    )


class Configuration(Table):
    """A whole experiment. ``brain``, ``body`` and ``protocol`` have types that its models and its folder declare,
    ``sources`` and ``sinks`` those of their kinds.
    """

    title: str = ""
    seed: int = Field(1, ge=1, lt=2**31, description="all randomness comes from it")
    clock: Clock
    brain: BrainSection
    body: BodySection | None = None
    sources: tuple[SourceTable, ...] = ()
    sinks: tuple[SinkTable, ...] = ()
    protocol: Table = Table()
    transfer: Transfer = Transfer()
    record: Record = Record()

    @property
    def devices(self) -> Wanted:
        """What has to be known to find the populations of sources and sinks."""
        clock = self.clock
        return Wanted(self.sources, self.sinks, self.record.patterns, clock.resolution_ms, clock.coupling_step_ms)

    def plain(self) -> dict[str, Any]:
        """The effective configuration in the types of TOML, which has no None."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The effective configuration; as an ``experiment.toml`` it gives the same run."""
        return tomli_w.dumps(self.plain())


class Experiment:
    """An experiment's folder, its checked configuration, its body's description and the modules that belong to it."""

    def __init__(
        self,
        folder: Path,
        config: Configuration,
        brain: TableBrain | ScriptBrain,
        body: Description,
        body_file: Path | None,
        transfer_module: ModuleType,
    ) -> None:
        self.folder, self.config, self.brain, self.body = folder, config, brain, body
        self.body_file, self.transfer_module = body_file, transfer_module

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def brain_parameters(self) -> dict[str, Any]:
        """The keys of ``[brain]`` that belong to the brain model."""
        return {key: getattr(self.config.brain, key) for key in self.brain.Parameters.model_fields}

    def network(self) -> Network:
        """The checked tables of a brain that is a model. Raises ValueError with all problems."""
        assert isinstance(self.brain, TableBrain)
        return self.brain.network(self.brain_parameters, self.config.clock.resolution_ms)

    @property
    def body_settings(self) -> dict[str, Any]:
        """The keys of ``[body]`` that belong to the body's kind."""
        return {key: getattr(self.config.body, key) for key in kinds.settings(self.body).model_fields}


def load(experiment: str, overrides: Sequence[str] = ()) -> Experiment:
    """Load and check an experiment: the path of a folder or of its ``experiment.toml``, or a name (`search.folders`).

    ``overrides`` are ``key=value`` strings as in ``--set brain.patch_mm=0.2``; values are read as TOML, else as text.

    Raises:
        ConfigurationError: all problems together.
    """
    folder = find_experiment(experiment)
    file = folder / "experiment.toml"
    return assemble(folder, file, read_toml(file), load_transfer_functions(folder / "transfer.py"), overrides)


def assemble(
    folder: Path,
    file: Path,
    content: dict[str, Any],
    transfer_module: ModuleType,
    overrides: Sequence[str] = (),
    admit: Callable[[Path, bool], None] = lambda _file, _is_code: None,
) -> Experiment:
    """`load` of an experiment whose tables were read from another ``file`` than its folder's ``experiment.toml``.

    ``content`` are these tables, which are changed; ``admit`` may refuse files that they name, see `Tables`.
    """
    tables = Tables(content, file, folder, override(content, overrides), admit)
    content.setdefault("protocol", {})
    brain = find_brain(tables)
    body, body_file = find_body(tables)
    schema = _schema(brain, body, transfer_module)
    problems = [f"{file}: {problem}" for problem in _clock_problems(content.get("clock"), "body" in content)]
    try:
        config = schema.model_validate(content)
    except pydantic.ValidationError as error:
        problems += _explain(error, schema, tables)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Experiment(folder, config, brain, body, body_file, transfer_module)


def find_experiment(experiment: str) -> Path:
    """The folder of an experiment, by name or path. Raises ConfigurationError."""
    path = Path(experiment)
    if path.name == "experiment.toml" and search.is_file(path):
        return path.resolve().parent
    try:
        return search.find(experiment, "experiment.toml").resolve()
    except LookupError as error:
        raise ConfigurationError(f"experiment {experiment!r} has no experiment.toml; {error}") from None


def read_toml(file: Path) -> dict[str, Any]:
    """The tables in a file. Raises ConfigurationError."""
    try:
        return tomllib.loads(file.read_text())
    except ValueError as error:  # also of text that is no UTF-8, and of endless integers
        raise ConfigurationError(f"{file}: not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{file}: not valid TOML: its tables or lists are too deep in each other") from None
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None


def _schema(brain: TableBrain | ScriptBrain, body: Description, transfer_module: ModuleType) -> type[Configuration]:
    """The configuration with the keys that this brain, this body, kinds of devices and this experiment add."""
    brain_table = pydantic.create_model("Brain", __base__=(brain.Parameters, BrainSection))
    settings = pydantic.create_model("Body", __base__=(kinds.settings(body), BodySection))
    protocol = table_class(transfer_module, "Protocol", Table)
    return pydantic.create_model(
        "Configuration",
        __base__=Configuration,
        brain=(brain_table, ...),
        body=(settings | None, None),
        sources=(tuple[Annotated[SourceTable, device_kinds.ANY_SOURCE], ...], ()),
        sinks=(tuple[Annotated[SinkTable, device_kinds.ANY_SINK], ...], ()),
        protocol=(protocol, ...),
    )


def _clock_problems(table: Any, has_body: bool) -> list[str]:
    """Problems of clocks that do not fit together, where each of them is right."""
    try:
        return list(Clock.model_validate(table).problems(has_body))
    except pydantic.ValidationError:
        return []  # explained with all the rest


def _explain(error: pydantic.ValidationError, schema: type[BaseModel], tables: Tables) -> Iterator[str]:
    for problem in error.errors():
        location = _location(problem["loc"], tables.content)
        key = ".".join(str(part) for part in location)
        where = f"{tables.origin(key)}: {key}"
        if problem["type"] == "extra_forbidden":
            *parents, last = location
            prefix = "".join(f"{parent}." for parent in parents)
            hint = nearest(str(last), _keys(schema, parents, tables.content))
            yield f"{where}: unknown key; {hint}" if not prefix else f"{where}: unknown key in {prefix[:-1]}; {hint}"
        elif problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
            yield f"{where}.{_unknown_kind(location, problem['input'])}"
        elif problem["type"] == "missing":
            yield f"{where}: missing; it must be given"
        else:
            yield f"{where} = {problem['input']!r}: {_allowed(problem)}"


def _location(parts: Sequence[str | int], content: Any) -> list[str | int]:
    """Where a problem is in the tables; pydantic also names the types that it tried there."""
    if parts[0] in device_kinds.DEFAULTS:
        parts = [*parts[:2], *parts[3:]]  # the third is the kind
    location = []
    for part in parts:
        if isinstance(content, dict):
            location.append(part)
            content = content.get(part)
        elif isinstance(content, list) and isinstance(part, int):
            location.append(part)
            content = content[part] if part < len(content) else None
    return location


def _allowed(problem: pydantic_core.ErrorDetails) -> str:
    """What a value must be, in the words of TOML."""
    if problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "must be a table"
    if problem["type"] == "tuple_type":
        return f"must be a list, such as [{problem['input']!r}]"
    return re.sub(r"^\w+ should", "must", problem["msg"].removeprefix("Value error, "))


def _unknown_kind(location: Sequence[str | int], table: Any) -> str:
    """What is wrong with the kind of a source or sink."""
    section, kind = str(location[0]), table["kind"]
    return f"kind = {kind!r}: {nearest(str(kind), device_kinds.kinds(section))}"


def _keys(schema: type[BaseModel], parents: Sequence[str | int], content: Any) -> list[str]:
    """Keys that the table at ``parents`` may have."""
    if len(parents) > 1 and parents[0] in device_kinds.DEFAULTS:
        section, place = parents
        return [*device_kinds.keys(str(section), content[section][place])]
    for parent in parents:
        if isinstance(parent, str):
            kind: Any = schema.model_fields[parent].annotation
            inner = [entry for entry in getattr(kind, "__args__", ()) if isinstance(entry, type)]
            schema = inner[0] if inner else kind
    return list(schema.model_fields)
