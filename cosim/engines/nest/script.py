# SPDX-License-Identifier: GPL-2.0-or-later
"""Any PyNEST script becomes a brain. Brain ranks only, except ``check``; the script runs on all of them.

It runs as ``python script.py`` would run it, on a kernel that is set up already, up to its first call that
would simulate (``Simulate``, ``Run``, ``Prepare``, ``RunManager``). Then its network is complete: cosim does
the stepping, and what comes after, its own further simulation, evaluation and plots, is not run. The module
``populations`` says which populations it has and what they are called.

Threads, virtual processes and the seed are the experiment's, also after ``ResetKernel``; another resolution
than the experiment's is an error. ``print_time`` is left out, all other kernel settings act. What the script
prints appears once, it needs no display, and Python's and numpy's global random numbers start from the
experiment's seed, the same on all ranks.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.engines.nest.script_populations import Batch, NodeCollection, find
from cosim.engines.nest.variable_names import assigned_name
from cosim.errors import BrainError, ConfigurationError

if TYPE_CHECKING:
    from cosim.engines.nest.kernel import Kernel

# Kernel settings that belong to the experiment: the key that sets them there, and its name in Kernel.
EXPERIMENTS_OWN = {
    "local_num_threads": ("brain.virtual_processes", "virtual_processes"),
    "total_num_virtual_procs": ("brain.virtual_processes", "virtual_processes"),
    "rng_seed": ("seed", "seed"),
}
SIMULATING = ("llapi_simulate", "llapi_run", "llapi_prepare")


class ScriptError(BrainError):
    """A script cannot be a brain; the message names its file and line, and the calls on the way."""


@dataclass(frozen=True)
class Script:
    """What stands when a script has run: its populations, disjoint, and other names for parts of them.

    ``notes`` are lines for the log: where the network was complete, and which settings were left out.
    """

    populations: Mapping[str, NodeCollection]
    aliases: Mapping[str, NodeCollection]
    notes: tuple[str, ...]


def check(path: Path) -> None:
    """Check what can be known without NEST: the script is there and compiles. Any rank.

    Raises:
        ConfigurationError: with file and line.
    """
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; must be a PyNEST script") from None
    except SyntaxError as error:
        place = f"{path}, line {error.lineno}" if error.lineno else str(path)
        raise ConfigurationError(f"{place}: {type(error).__name__}: {error.msg}") from None


def run_script(path: Path, nest: ModuleType, kernel: Kernel) -> Script:
    """Run the script at ``path`` and find its populations. Collective over the brain ranks.

    Raises:
        ScriptError: it raises, exits before its network is complete, sets another resolution, or creates no
            neurons.
    """
    path = path.resolve()
    watch = _Watch(nest, kernel, path.parent)
    module = ModuleType("__main__")
    module.__file__ = str(path)
    with _as_program(module, path, kernel.seed, quiet=nest.Rank() != 0), watch.over_kernel():
        _execute(module, path, watch)
    neurons = [each for each in watch.batches if nest.GetDefaults(each.model, "element_type") == "neuron"]
    if not neurons:
        raise ScriptError(f"{path}: creates no neurons before it simulates or ends")
    return Script(*find(neurons, vars(module), nest), tuple(watch.notes))


def _execute(module: ModuleType, path: Path, watch: _Watch) -> None:
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    try:
        exec(code, vars(module))
    except _NetworkComplete:
        pass
    except (Exception, SystemExit) as error:
        if not watch.is_complete:  # a `finally` of the script that does not fit the way it ended is no error
            raise ScriptError(_what_went_wrong(path, error)) from error


@contextlib.contextmanager
def _as_program(module: ModuleType, path: Path, seed: int, quiet: bool) -> Iterator[None]:
    """The surroundings of ``python script.py``; several ranks print once, and plots need no display."""
    argv, folders, main = sys.argv, list(sys.path), sys.modules["__main__"]
    modules = set(sys.modules)
    os.environ.setdefault("MPLBACKEND", "Agg")
    random.seed(seed)
    np.random.seed(seed)
    sys.argv, sys.modules["__main__"] = [str(path)], module
    sys.path.insert(0, str(path.parent))
    try:
        with contextlib.chdir(Path.cwd()), open(os.devnull, "w") as nowhere:
            with contextlib.redirect_stdout(nowhere if quiet else sys.stdout):
                yield
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = argv, folders, main
        _forget_modules(path.parent, set(sys.modules) - modules)


def _forget_modules(folder: Path, imported: set[str]) -> None:
    """Modules that lie with the script begin anew where it runs again, as the script itself does."""
    for name in imported:
        file = getattr(sys.modules[name], "__file__", None)
        if file and _lies_with(folder, Path(file)):
            del sys.modules[name]


def _lies_with(folder: Path, file: Path) -> bool:
    """Whether a file is the script's, and not that of an environment in its folder."""
    return file.is_relative_to(folder) and "site-packages" not in file.relative_to(folder).parts


def _is_users(frame: FrameType, folder: Path) -> bool:
    """Whether a frame runs the script or a module that lies with it, and not a library."""
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package not in ("nest", "cosim") and _lies_with(folder, Path(frame.f_code.co_filename))


def _what_went_wrong(path: Path, error: BaseException) -> str:
    """The message for an error: its place in the user's files, the error, the calls on the way if several."""
    walked = traceback.walk_tb(error.__traceback__)
    users = ((frame, line) for frame, line in walked if _is_users(frame, path.parent))
    places = traceback.StackSummary.extract(users)
    file, line, said = places[-1].filename, places[-1].lineno, str(error)
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():  # a module that it imports
        file, line, said = error.filename, error.lineno, error.msg
    if isinstance(error, SystemExit):
        text = f"exits with {error.code!r} before its network is complete"
    else:
        text = str(error) if isinstance(error, ScriptError) else f"{type(error).__name__}: {said}"
    calls = [f"  {each.filename}, line {each.lineno}, in {each.name}: {each.line}" for each in places]
    return "\n".join([f"{file}, line {line}: {text}", *(calls if len(calls) > 1 else [])])


class _NetworkComplete(BaseException):
    """The script wants to simulate. No Exception, so that scripts do not catch it."""


@dataclass
class _Watch:
    """Watches over the calls into the kernel that all spellings of PyNEST end in, while a script runs."""

    nest: ModuleType
    kernel: Kernel
    folder: Path
    batches: list[Batch] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_complete: bool = False
    _settings_act: bool = False

    @contextlib.contextmanager
    def over_kernel(self) -> Iterator[None]:
        low_level = self.nest.ll_api.nestkernel
        guards: dict[str, Callable[..., Any]] = {
            "llapi_reset_kernel": self._reset,
            "llapi_set_kernel_status": self._set,
            "llapi_create": self._create,
            "llapi_create_spatial": self._create_spatial,
            **dict.fromkeys(SIMULATING, self._simulate),
        }
        originals = {name: getattr(low_level, name) for name in guards}
        try:
            for name, guard in guards.items():
                setattr(low_level, name, self._until_complete(guard, originals[name]))
            yield
        finally:
            for name, original in originals.items():
                setattr(low_level, name, original)

    def _until_complete(self, guard: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
        """A script that does not end when it is told to, by a bare ``except``, is told again."""

        def guarded(*arguments: Any) -> Any:
            if self.is_complete:
                raise _NetworkComplete
            return guard(original, *arguments)

        return guarded

    def _reset(self, original: Callable[[], None]) -> None:
        self.batches.clear()
        original()
        self._settings_act = True
        try:
            self.kernel.restore()
        finally:
            self._settings_act = False

    def _set(self, original: Callable[[Mapping[str, Any]], None], settings: Mapping[str, Any]) -> None:
        allowed = settings if self._settings_act else self._allowed(settings)
        if allowed:
            original(allowed)

    def _allowed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings without those that are the experiment's."""
        resolution_ms = self.kernel.resolution_ms
        wanted_ms = settings.get("resolution", resolution_ms)
        if not math.isclose(wanted_ms, resolution_ms):
            raise ScriptError(
                f"sets the resolution to {wanted_ms} ms, but clock.resolution_ms = {resolution_ms}: "
                f"set clock.resolution_ms = {wanted_ms}, or take it out of the script"
            )
        for name in filter(EXPERIMENTS_OWN.get, settings):
            key, attribute = EXPERIMENTS_OWN[name]
            decided = getattr(self.kernel, attribute)
            if settings[name] != decided:
                self._note(f"{name} = {settings[name]} is left out: {key} = {decided} decides")
        left_out = {"print_time", *EXPERIMENTS_OWN}
        return {name: value for name, value in settings.items() if name not in left_out}

    def _create(self, original: Callable[..., NodeCollection], model: str, n: int = 1) -> NodeCollection:
        nodes = original(model, n)
        self.batches.append(Batch(nodes, model, assigned_name(self._frames())))
        return nodes

    def _create_spatial(self, original: Callable[..., NodeCollection], layer: Mapping) -> NodeCollection:
        nodes = original(layer)
        self.batches.append(Batch(nodes, layer["elements"], assigned_name(self._frames())))
        return nodes

    def _simulate(self, *_: Any) -> None:
        self._note("the network is complete; what comes after is not run")
        self.is_complete = True
        raise _NetworkComplete

    def _frames(self) -> Iterator[FrameType]:
        """The user's frames, the innermost first."""
        walked = traceback.walk_stack(sys._getframe())
        return (frame for frame, _ in walked if _is_users(frame, self.folder))

    def _note(self, text: str) -> None:
        frame = next(self._frames())
        note = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}: {text}"
        if note not in self.notes:
            self.notes.append(note)
