# SPDX-License-Identifier: GPL-2.0-or-later
"""Any PyNEST script becomes a brain. Brain ranks only; the script runs on all of them.

The script runs as ``python script.py`` would run it, on a kernel that is set up already, up to its first call that would
simulate (``Simulate``, ``Run``, ``Prepare``, ``RunManager``): then its network is complete, cosim does the stepping, and what
comes after, its own evaluation and plots, is left out.

- What one ``Create`` call of neurons made is a population. Its name is that of the module-level variable that holds it, or
  its key if the script has a dictionary ``populations``; one that has no such name is called by its model and number, such
  as ``iaf_psc_alpha_2``. Every other NodeCollection with a name (a slice, a sum) is an alias: it can be addressed, but
  its neurons are counted and recorded as those of their populations.
- ``ResetKernel`` resets and then sets the kernel up again. Threads, virtual processes and the seed are the experiment's;
  the script's are left out and said in the log. A resolution that is not ``clock.resolution_ms`` is an error.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from cosim.errors import ConfigurationError

NodeCollection = Any  # NEST's type
POPULATIONS = "populations"
# Kernel settings that belong to the experiment, with the key that sets them there.
EXPERIMENTS_OWN = {
    "local_num_threads": "brain.virtual_processes",
    "total_num_virtual_procs": "brain.virtual_processes",
    "rng_seed": "seed",
    "print_time": "how far it is by itself",
}
SIMULATING = ("llapi_simulate", "llapi_run", "llapi_prepare")


class Kernel(Protocol):
    """What a script's kernel was set to."""

    resolution_ms: float

    def restore(self) -> None:
        """Set the kernel up again after a reset."""


@dataclass(frozen=True)
class Script:
    """What stands when a script has run: disjoint populations of consecutive node ids, and other names for nodes.

    ``notes`` say what of the script was left out.
    """

    populations: Mapping[str, NodeCollection]
    aliases: Mapping[str, NodeCollection]
    notes: tuple[str, ...]


class _NetworkComplete(BaseException):
    """The script wants to simulate. No Exception, so that a script does not catch it."""


def run_script(path: Path, nest: ModuleType, kernel: Kernel) -> Script:
    """Run the script at ``path`` and collect its populations. Collective over the brain ranks.

    Raises:
        ConfigurationError: it raises, exits, sets another resolution, or creates no neurons.
    """
    created: list[NodeCollection] = []
    notes: list[str] = []
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(path), "__builtins__": __builtins__}
    with _guards(nest, kernel, created, notes), _as_program(path, quiet=nest.Rank() != 0):
        _execute(path, namespace, notes)
    neurons = [nodes for nodes in created if _are_neurons(nodes, nest)]
    if not neurons:
        raise ConfigurationError(f"{path}: creates no neurons")
    populations, aliases = _named(neurons, _names(namespace, nest))
    return Script(populations, aliases, tuple(notes))


def _execute(path: Path, namespace: dict[str, Any], notes: list[str]) -> None:
    try:
        exec(compile(path.read_text(), str(path), "exec"), namespace)
    except _NetworkComplete as stop:
        notes.append(f"{path.name}, line {_line(path, stop)}: the network is complete; what comes after is left out")
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}, line {_line(path, error)}: {error}") from None
    except (Exception, SystemExit) as error:
        where = f"{path}, line {_line(path, error)}"
        raise ConfigurationError(f"{where}: {type(error).__name__}: {error}") from error


def _line(path: Path, error: BaseException) -> int | str:
    """The last line of the script on the way to ``error``."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or "?"
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), "?")


@contextlib.contextmanager
def _as_program(path: Path, quiet: bool) -> Iterator[None]:
    """The surroundings of ``python script.py``; several ranks print once, and plots need no display."""
    argv, folders = sys.argv, list(sys.path)
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.argv, sys.path[:0] = [str(path)], [str(path.parent)]
    try:
        with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
            yield
    finally:
        sys.argv, sys.path[:] = argv, folders


@contextlib.contextmanager
def _guards(
    nest: ModuleType, kernel: Kernel, created: list[NodeCollection], notes: list[str]
) -> Iterator[None]:
    """Watch over the calls into the kernel, which all spellings of PyNEST go through, while the script runs.

    ``created`` and ``notes`` are added to.
    """
    low_level = nest.ll_api.nestkernel
    names = ("llapi_reset_kernel", "llapi_set_kernel_status", "llapi_create", "llapi_create_spatial", *SIMULATING)
    originals = {name: getattr(low_level, name) for name in names}

    def reset() -> None:
        created.clear()
        originals["llapi_reset_kernel"]()
        with _patched(low_level, {"llapi_set_kernel_status": originals["llapi_set_kernel_status"]}):
            kernel.restore()

    def set_status(settings: Mapping[str, Any]) -> None:
        allowed = _allowed_settings(settings, kernel.resolution_ms)
        notes.extend(_left_out(settings))
        if allowed:
            originals["llapi_set_kernel_status"](allowed)

    def remembering(name: str) -> Callable[..., Any]:
        def create(*arguments: Any) -> Any:
            nodes = originals[name](*arguments)
            created.append(nodes)
            return nodes

        return create

    def complete(*_: Any) -> None:
        raise _NetworkComplete

    patches = {"llapi_reset_kernel": reset, "llapi_set_kernel_status": set_status}
    patches |= {name: remembering(name) for name in ("llapi_create", "llapi_create_spatial")}
    with _patched(low_level, patches | dict.fromkeys(SIMULATING, complete)):
        yield


@contextlib.contextmanager
def _patched(module: ModuleType, patches: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    before = {name: getattr(module, name) for name in patches}
    for name, function in patches.items():
        setattr(module, name, function)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(module, name, function)


def _allowed_settings(settings: Mapping[str, Any], resolution_ms: float) -> dict[str, Any]:
    """What a script may set; the rest is the experiment's.

    Raises:
        ConfigurationError: another resolution, for which the script's network was made.
    """
    if settings.get("resolution", resolution_ms) != resolution_ms:
        raise ConfigurationError(
            f"the script sets the resolution to {settings['resolution']} ms, but clock.resolution_ms = {resolution_ms}: "
            "make them equal"
        )
    return {name: value for name, value in settings.items() if name not in {"resolution", *EXPERIMENTS_OWN}}


def _left_out(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, key in EXPERIMENTS_OWN.items():
        if name in settings:
            yield f"the script's {name} = {settings[name]} is left out; the experiment says {key}"


def _are_neurons(nodes: NodeCollection, nest: ModuleType) -> bool:
    return nest.GetDefaults(_model(nodes), "element_type") == "neuron"


def _model(nodes: NodeCollection) -> str:
    """One Create call makes nodes of one model."""
    return nodes[0].get("model")


def _names(namespace: Mapping[str, Any], nest: ModuleType) -> dict[str, NodeCollection]:
    """All named NodeCollections, in the order in which the script names them."""
    named = namespace.get(POPULATIONS)
    if not isinstance(named, Mapping):
        named = {name: value for name, value in namespace.items() if not name.startswith("_")}
    return {str(name): value for name, value in named.items() if isinstance(value, nest.NodeCollection) and len(value)}


def _span(nodes: NodeCollection) -> tuple[int, int, int]:
    return nodes[0].global_id, nodes[-1].global_id, len(nodes)


def _named(
    neurons: list[NodeCollection], names: Mapping[str, NodeCollection]
) -> tuple[dict[str, NodeCollection], dict[str, NodeCollection]]:
    """Give every batch of neurons its name; all other names are aliases, those of devices are left out."""
    name_of: dict[tuple[int, int, int], str] = {}
    for name, nodes in names.items():
        name_of.setdefault(_span(nodes), name)
    populations: dict[str, NodeCollection] = {}
    for number, nodes in enumerate(neurons, start=1):
        populations[name_of.get(_span(nodes), f"{_model(nodes)}_{number}")] = nodes
    spans = [_span(nodes) for nodes in neurons]
    aliases = {
        name: nodes
        for name, nodes in names.items()
        if name not in populations and any(first <= nodes[0].global_id <= last for first, last, _ in spans)
    }
    return populations, aliases
