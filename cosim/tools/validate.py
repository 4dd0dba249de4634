# SPDX-License-Identifier: GPL-2.0-or-later
"""``cosim validate``: how far a body's muscles, kinematics and movements are from reference data of OpenSim."""

from __future__ import annotations

import json as json_format
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cosim.body import kinds
from cosim.body.engines import registry
from cosim.body.musculoskeletal.description import MusculoskeletalDescription
from cosim.errors import ConfigurationError
from cosim.experiment import search
from cosim.tools import opensim_comparison

# The unit of each error, and what it means.
MEANINGS = {
    "curves_max": ("", "characteristic curves"),
    "curve_slopes_max": ("", "slopes of these curves"),
    "static_force_max": ("F0", "elastic tendon at rest, force"),
    "static_fibre_max": ("L0", "elastic tendon at rest, fibre length"),
    "rigid_force_max": ("F0", "rigid tendon, force"),
    "sinus_force_max": ("F0", "elastic tendon on a sinusoidal path, force"),
    "activation_max": ("", "activation after a step of the excitation"),
    "path_length_max_m": ("m", "muscle path lengths"),
    "path_speed_max_m_s": ("m/s", "muscle path speeds"),
    "moment_arm_max_m": ("m", "moment arms"),
    "foot_tip_max_m": ("m", "end of the arm"),
    "loop_error_max_m": ("m", "gap of the loop closures in these movements"),
}


def main(body: str, reference: str, engine: str, physics_step_ms: float, json: bool = False) -> int:
    """Print the deviations of ``body`` from the file ``reference`` as one JSON object or as a table.

    Raises:
        ConfigurationError: no such body, engine or file, or one that does not hold what it should.
    """
    description = _load(body)
    try:
        registry.check(engine)
    except ValueError as error:
        raise ConfigurationError(f"--engine {engine}: {error}") from None
    if not (math.isfinite(physics_step_ms) and physics_step_ms > 0.0):
        raise ConfigurationError(f"--physics-step-ms {physics_step_ms:g}: must be a positive number")
    errors = validate(description, _read(Path(reference)), reference, engine, physics_step_ms)
    head = {"body": description.name, "reference": reference, "engine": engine, "physics_step_ms": physics_step_ms}
    if json:
        print(json_format.dumps({**head, **errors}, indent=2))
    else:
        _print(head, errors)
    return 0


def validate(
    description: MusculoskeletalDescription,
    reference: dict[str, np.ndarray],
    name: str,
    engine: str,
    physics_step_ms: float,
) -> dict[str, Any]:
    """The deviations of every section of the ``reference`` called ``name``, by the keys of the JSON output.

    Raises:
        ConfigurationError: an array is missing, or does not fit the body or the others.
    """
    step_s = physics_step_ms / 1000.0
    errors: opensim_comparison.Errors = {}
    for section in (
        lambda: opensim_comparison.curve_errors(reference),
        lambda: opensim_comparison.static_errors(description, reference),
        lambda: opensim_comparison.rigid_errors(description, reference),
        lambda: opensim_comparison.sinus_errors(description, reference, step_s),
        lambda: opensim_comparison.activation_errors(description, reference, step_s),
        lambda: opensim_comparison.kinematic_errors(description, reference),
        lambda: _forward(description, reference, engine, step_s),
    ):
        errors |= _checked(name, section)
    return errors


def _forward(
    description: MusculoskeletalDescription, reference: dict[str, np.ndarray], engine: str, step_s: float
) -> dict[str, Any]:
    results = {
        case: opensim_comparison.forward_errors(description, reference, case, engine, step_s)
        for case in opensim_comparison.forward_cases(reference)
    }
    return {
        "forward_rms_rad": {case: rms for case, (rms, _) in results.items()},
        "loop_error_max_m": max((loop for _, loop in results.values()), default=0.0),
    }


def _checked(name: str, section: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``section`` returns; its complaints name the file."""
    try:
        return section()
    except KeyError as error:
        raise ConfigurationError(f"{name}: has no array {error.args[0]!r}") from error
    except (ValueError, IndexError) as error:
        raise ConfigurationError(f"{name}: does not fit: {error}") from error
    except FloatingPointError as error:
        raise ConfigurationError(str(error)) from error


def _load(name: str) -> MusculoskeletalDescription:
    try:
        file = search.find(name, "body.toml") / "body.toml"
    except LookupError as error:
        raise ConfigurationError(f"no body {name!r}: there is no body.toml in such a folder; {error}") from None
    try:
        description = kinds.load(file)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if not isinstance(description, MusculoskeletalDescription):
        raise ConfigurationError(f"{file}: kind = {description.kind!r}: only bodies with muscles can be validated")
    return description


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: cannot be read as an .npz file of arrays: {error}") from error


def _print(head: dict[str, Any], errors: dict[str, Any]) -> None:
    title = "{body} on {engine} at {physics_step_ms:g} ms against {reference}".format(**head)
    table = Table("what", "largest deviation", "", title=title, title_justify="left")
    for case, rms in errors["forward_rms_rad"].items():
        table.add_row(f"movement {case}, RMS over angles and time", f"{rms:.2e}", "rad")
    for key, (unit, meaning) in MEANINGS.items():
        table.add_row(meaning, f"{errors[key]:.2e}", unit)
    Console(markup=False, highlight=False).print(table)
