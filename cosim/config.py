# SPDX-License-Identifier: GPL-2.0-or-later
"""``experiment.toml`` and ``--set`` become one checked, typed configuration.

Everything is checked before NEST starts, on the body rank, and all problems are reported together: file, key, value
and what is allowed. The keys of ``[brain]`` that belong to one brain model are declared by that model (``Parameters``
in its ``network.py``), those of ``[body]`` by the kind of the body (``Settings`` of its description), those of
``[protocol]`` by the experiment (``Protocol`` in its ``transfer.py``); all are pydantic models and are checked like all
the rest.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import pydantic
import pydantic_core
import tomli_w
from pydantic import BaseModel, ConfigDict, Field

from cosim.body import kinds
from cosim.brain.kinds import ScriptBrain, TableBrain
from cosim.errors import ConfigurationError
from cosim.timegrid import is_multiple

MODELS = Path(__file__).resolve().parents[1] / "models"


class Table(BaseModel):
    """A table of a configuration file: unknown keys are errors, values stay as they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """True is no 1: pydantic would take it as a number."""
        annotation = cls.model_fields[info.field_name].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise pydantic_core.PydanticCustomError("truth_value", "must not be true or false")
        return value


class Clock(Table):
    """All clocks of a run."""

    coupling_step_ms: float = Field(20.0, gt=0, description="brain and body exchange after every coupling step")
    physics_step_ms: float = Field(1.0, gt=0, description="the body's; without a body it means nothing")
    resolution_ms: float = Field(0.1, gt=0, description="NEST's resolution")
    steps: int = Field(gt=0, description="number of coupling steps")

    def problems(self, has_body: bool) -> Iterator[str]:
        """A coupling step must hold whole NEST steps and whole physics steps of a body."""
        for name in ("physics_step_ms", "resolution_ms") if has_body else ("resolution_ms",):
            part_ms = getattr(self, name)
            if not is_multiple(self.coupling_step_ms, part_ms):
                yield (
                    f"clock.coupling_step_ms = {self.coupling_step_ms}: must be a multiple of "
                    f"clock.{name} = {part_ms}, but is {self.coupling_step_ms / part_ms:.6g} times that"
                )


class Brain(Table):
    """What every brain has; a model adds its own keys."""

    model: str | None = Field(None, description="folder with the network tables of a brain")
    script: str | None = Field(None, description="instead of a model: a PyNEST script, relative to the experiment")
    wiring: Literal["nestlink", "nest"] = Field("nestlink", description="who draws the synapses; NEST's rules are slow")
    virtual_processes: int = Field(
        4, gt=0, description="brain ranks x threads per rank; fixes the random numbers, however it is split"
    )


class Body(Table):
    """What hangs on the other side; its kind adds its own keys. An experiment may do without."""

    model: str


class SpikeSource(Table):
    """Poisson trains into a population: one independent train for every neuron, all at one rate."""

    name: str
    population: str = Field(description="name, or a part such as E[0:100]")
    weight: float = Field(description="in the unit of the population's neurons: nS or pA")
    delay_ms: float = Field(gt=0)


class SpikeSink(Table):
    """A leaky integrator that listens to a population; see ``cosim.devices`` for its equation and defaults."""

    populations: str = Field(
        description="name or shell pattern such as M1_*, or a part such as E[0:100]; every match gets a sink of its name"
    )
    name: str | None = Field(None, description="another name than the population's, for a single match")
    kind: Literal["leaky_integrator_alpha"] = "leaky_integrator_alpha"
    weight_pa: float = Field(gt=0)
    delay_ms: float = Field(gt=0)
    c_m_pf: float = Field(1000.0, gt=0)
    tau_m_ms: float = Field(10.0, gt=0)
    tau_syn_ms: float = Field(2.0, gt=0)


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


class Configuration(Table):
    """A whole experiment. ``brain``, ``body`` and ``protocol`` have types that its models and its folder declare."""

    title: str = ""
    seed: int = Field(1, ge=1, lt=2**31, description="all randomness comes from it")
    clock: Clock
    brain: Brain
    body: Body | None = None
    sources: tuple[SpikeSource, ...] = ()
    sinks: tuple[SpikeSink, ...] = ()
    protocol: Table = Table()
    record: Record = Record()

    def to_toml(self) -> str:
        """The effective configuration; as an ``experiment.toml`` it gives the same run."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))  # TOML has no None


class Experiment:
    """An experiment's folder, its checked configuration, its body's description and the modules that belong to it."""

    def __init__(
        self,
        folder: Path,
        config: Configuration,
        brain: TableBrain | ScriptBrain,
        body: kinds.Description,
        transfer_module: ModuleType,
    ) -> None:
        self.folder, self.config, self.brain, self.body = folder, config, brain, body
        self.transfer_module = transfer_module

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def brain_parameters(self) -> dict[str, Any]:
        """The keys of ``[brain]`` that belong to the brain model."""
        return {key: getattr(self.config.brain, key) for key in self.brain.Parameters.model_fields}

    @property
    def body_settings(self) -> dict[str, Any]:
        """The keys of ``[body]`` that belong to the body's kind."""
        return {key: getattr(self.config.body, key) for key in self.body.Settings.model_fields}


def load(experiment: str, overrides: Sequence[str] = (), models: Path = MODELS) -> Experiment:
    """Load and check an experiment: a name below ``models/`` or the path of a folder.

    ``overrides`` are ``key=value`` strings as in ``--set brain.patch_mm=0.2``; values are read as TOML, else as text.

    Raises:
        ConfigurationError: all problems together.
    """
    file = _experiment_folder(experiment, models) / "experiment.toml"
    tables = _read_toml(file)
    overridden = _apply_overrides(tables, overrides)
    tables.setdefault("protocol", {})
    brain = _brain(tables, file.parent, models)
    body = _body(tables, file, models)
    transfer_module = load_optional_module(file.parent / "transfer.py")
    schema = _schema(brain, body, transfer_module)
    problems = [f"{file}: {problem}" for problem in _clock_problems(tables.get("clock"), "body" in tables)]
    try:
        config = schema.model_validate(tables)
    except pydantic.ValidationError as error:
        problems += _explain(error, schema, file, overridden)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Experiment(file.parent, config, brain, body, transfer_module)


def model_folder(name: str, base: Path, models: Path = MODELS) -> Path:
    """Folder of a brain or body model: a name below ``models/``, or a path relative to the experiment's folder."""
    return next((folder for folder in (models / name, base / name) if folder.is_dir()), models / name)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``allowed`` as a hint for a message, the most similar name first if one is similar."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(word, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed) or 'none'}"


def load_module(file: Path) -> ModuleType:
    """Run a Python file as a module of its own, fresh at every call.

    Raises:
        ConfigurationError: it is missing, raises, or exits.
    """
    if not file.is_file():
        raise ConfigurationError(f"{file}: no such file")
    if str(MODELS.parent) not in sys.path:
        sys.path.append(str(MODELS.parent))  # a model may import its neighbours: from models.rodent import tables
    spec = importlib.util.spec_from_file_location(f"cosim_models.{file.parent.name}.{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pydantic look up annotations that are text
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{file}: {type(error).__name__}: {error}") from error
    return module


def load_optional_module(file: Path) -> ModuleType:
    """`load_module`, or an empty module where there is no such file."""
    return load_module(file) if file.exists() else ModuleType(file.stem)


def _experiment_folder(experiment: str, models: Path) -> Path:
    for folder in (Path(experiment), models / experiment):
        if (folder / "experiment.toml").is_file():
            return folder.resolve()
    known = [path.parent.name for path in models.glob("*/experiment.toml")]
    raise ConfigurationError(f"experiment {experiment!r} has no experiment.toml; {nearest(experiment, known)}")


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except ValueError as error:  # also of text that is no UTF-8, and of endless integers
        raise ConfigurationError(f"{file}: not valid TOML: {error}") from None


def _apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Set each ``key=value`` in ``tables``; return the keys."""
    keys = []
    for override in overrides:
        key, equals, text = (part.strip() for part in override.partition("="))
        if not equals or not all(key.split(".")):
            raise ConfigurationError(f"--set {override}: must be key=value, such as brain.patch_mm=0.2")
        *parents, last = key.split(".")
        try:
            _inner_table(tables, parents)[last] = _toml_value(text)
        except (AttributeError, IndexError, ValueError, TypeError):
            raise ConfigurationError(f"--set {override}: there is no table {'.'.join(parents)}") from None
        keys.append(key)
    return keys


def _inner_table(tables: dict[str, Any], parents: Sequence[str]) -> dict[str, Any]:
    """The table at ``parents``; a number picks an entry of an array of tables, such as sources.0."""
    table = tables
    for parent in parents:
        table = table[int(parent)] if isinstance(table, list) else table.setdefault(parent, {})
    if not isinstance(table, dict):
        raise TypeError(parents)
    return table


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _model_file(tables: dict[str, Any], part: str, file_name: str, base: Path, models: Path) -> Path:
    table = tables.get(part)
    name = table.get("model") if isinstance(table, dict) else None
    if not isinstance(name, str):
        raise ConfigurationError(f"{base / 'experiment.toml'}: {part}.model = {name!r}: must name a folder")
    folder = model_folder(name, base, models)
    if not (folder / file_name).is_file():
        known = [path.parent.name for path in models.glob(f"*/{file_name}")]
        raise ConfigurationError(
            f"{base / 'experiment.toml'}: {part}.model = {name!r}: no {folder / file_name}; {nearest(name, known)}"
        )
    return folder / file_name


def _brain(tables: dict[str, Any], base: Path, models: Path) -> TableBrain | ScriptBrain:
    """What ``[brain]`` names: the tables of a model or a script."""
    table = tables.get("brain")
    script = table.get("script") if isinstance(table, dict) else None
    if not isinstance(script, str):
        return TableBrain(load_module(_model_file(tables, "brain", "network.py", base, models)))
    where = f"{base / 'experiment.toml'}: brain.script = {script!r}"
    if "model" in table:
        raise ConfigurationError(f"{where}: but there is also brain.model = {table['model']!r}; give one of both")
    if not (base / script).is_file():
        raise ConfigurationError(f"{where}: no such file {base / script}")
    return ScriptBrain(base / script)


def _body(tables: dict[str, Any], file: Path, models: Path) -> kinds.Description:
    """The description of the body that ``[body]`` names; of no body without that table."""
    if "body" not in tables:
        return kinds.NoBody()
    body_file = _model_file(tables, "body", "body.toml", file.parent, models)
    try:
        return kinds.load(body_file)
    except ValueError as error:
        raise ConfigurationError(f"{file}: body.model = {tables['body']['model']!r}: {error}") from None


def _schema(
    brain: TableBrain | ScriptBrain, body: kinds.Description, transfer_module: ModuleType
) -> type[Configuration]:
    """The configuration with the keys that this brain, this body and this experiment add."""
    brain_table = pydantic.create_model("Brain", __base__=(brain.Parameters, Brain))
    settings = pydantic.create_model("Body", __base__=(body.Settings, Body))
    protocol = getattr(transfer_module, "Protocol", Table)
    return pydantic.create_model(
        "Configuration",
        __base__=Configuration,
        brain=(brain_table, ...),
        body=(settings | None, None),
        protocol=(protocol, ...),
    )


def _clock_problems(table: Any, has_body: bool) -> list[str]:
    """Problems of clocks that do not fit together, where each of them is right."""
    try:
        return list(Clock.model_validate(table).problems(has_body))
    except pydantic.ValidationError:
        return []  # explained with all the rest


def _explain(
    error: pydantic.ValidationError, schema: type[BaseModel], file: Path, overridden: Sequence[str]
) -> Iterator[str]:
    for problem in error.errors():
        location = [part for part in problem["loc"] if part != "[key]"]
        key = ".".join(str(part) for part in location)
        where = f"{_origin(key, file, overridden)}: {key}"
        if problem["type"] == "extra_forbidden":
            *parents, last = location
            prefix = "".join(f"{parent}." for parent in parents)
            hint = nearest(str(last), _fields(schema, parents))
            yield f"{where}: unknown key; {hint}" if not prefix else f"{where}: unknown key in {prefix[:-1]}; {hint}"
        elif problem["type"] == "missing":
            yield f"{where}: missing; it must be given"
        else:
            message = problem["msg"].replace("Input should", "must").removeprefix("Value error, ")
            yield f"{where} = {problem['input']!r}: {message}"


def _origin(key: str, file: Path, overridden: Sequence[str]) -> str:
    """Where the value of ``key`` came from: a --set of it, of a table around it or of a key in it, else the file."""
    related = (each for each in overridden if f"{key}.".startswith(f"{each}.") or each.startswith(f"{key}."))
    return next((f"--set {each}" for each in related), str(file))


def _fields(schema: type[BaseModel], parents: Sequence[str | int]) -> list[str]:
    """Keys that the table at ``parents`` may have."""
    for parent in parents:
        if isinstance(parent, str):
            kind = schema.model_fields[parent].annotation
            inner = [entry for entry in getattr(kind, "__args__", ()) if isinstance(entry, type)]
            schema = inner[0] if inner else kind
    return list(schema.model_fields)
