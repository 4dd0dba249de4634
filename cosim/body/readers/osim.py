# SPDX-License-Identifier: GPL-2.0-or-later
"""The muscles of an OpenSim model or force set (.osim); nothing else is read of it.

Supported is Millard2012EquilibriumMuscle with a path of fixed points and OpenSim's own curves; what would
move otherwise here than in OpenSim is refused. Muscles that OpenSim leaves out (``appliesForce`` false, or
before version 4 ``isDisabled`` true) are left out here too. ``ignore_tendon_compliance`` and
``ignore_activation_dynamics`` have no effect: an experiment chooses both for all muscles, by ``body.tendon``
and ``body.driven``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from pydantic import BaseModel

from cosim.body import bodyfile
from cosim.body.musculoskeletal.description import Muscle
from cosim.body.readers import xmlfile

SUPPORTED = "Millard2012EquilibriumMuscle"

# OpenSim's names for the numbers of a muscle. The first three have defaults in OpenSim too (1000 N, 0.1 m and
# 0.2 m), but a muscle that does not say them is taken for a mistake.
NUMBERS = {
    "max_isometric_force": "max_isometric_force_N",
    "optimal_fiber_length": "optimal_fiber_length_m",
    "tendon_slack_length": "tendon_slack_length_m",
    "pennation_angle_at_optimal": "pennation_rad",
    "max_contraction_velocity": "max_contraction_velocity_per_s",
    "fiber_damping": "fiber_damping",
    "activation_time_constant": "activation_time_constant_s",
    "deactivation_time_constant": "deactivation_time_constant_s",
    "minimum_activation": "minimum_activation",
}
REQUIRED = ("max_isometric_force", "optimal_fiber_length", "tendon_slack_length")

# What our curves are made of: OpenSim's defaults. OpenSim itself sets minimum_value to 0 in this muscle.
FIXED = {
    "maximum_pennation_angle": (1.4706289,),
    "ActiveForceLengthCurve/min_norm_active_fiber_length": (0.4441,),
    "ActiveForceLengthCurve/transition_norm_fiber_length": (0.73,),
    "ActiveForceLengthCurve/max_norm_active_fiber_length": (1.8123,),
    "ActiveForceLengthCurve/shallow_ascending_slope": (0.8616,),
    "ActiveForceLengthCurve/minimum_value": (0.0, 0.1),
    "ForceVelocityCurve/concentric_slope_at_vmax": (0.0,),
    "ForceVelocityCurve/concentric_slope_near_vmax": (0.25,),
    "ForceVelocityCurve/isometric_slope": (5.0,),
    "ForceVelocityCurve/eccentric_slope_at_vmax": (0.0,),
    "ForceVelocityCurve/eccentric_slope_near_vmax": (0.15,),
    "ForceVelocityCurve/max_eccentric_velocity_force_multiplier": (1.4,),
    "ForceVelocityCurve/concentric_curviness": (0.6,),
    "ForceVelocityCurve/eccentric_curviness": (0.9,),
    "FiberForceLengthCurve/strain_at_zero_force": (0.0,),
    "FiberForceLengthCurve/strain_at_one_norm_force": (0.7,),
    "FiberForceLengthCurve/stiffness_at_low_force": (0.2,),
    "FiberForceLengthCurve/stiffness_at_one_norm_force": (2.0 / 0.7,),
    "FiberForceLengthCurve/curviness": (0.75,),
    "TendonForceLengthCurve/strain_at_one_norm_force": (0.049,),
    "TendonForceLengthCurve/stiffness_at_one_norm_force": (1.375 / 0.049,),
    "TendonForceLengthCurve/norm_force_at_toe_end": (2.0 / 3.0,),
    "TendonForceLengthCurve/curviness": (0.5,),
}
# Files round these numbers.
FIXED_TOLERANCE = 1e-3


class MuscleSet(BaseModel):
    """What is read of a file."""

    muscles: tuple[Muscle, ...]


def read(path: Path) -> tuple[Muscle, ...]:
    """The muscles in the file at ``path``, in its order; the links of their points are OpenSim's bodies.

    Raises one ValueError that lists every problem found.
    """
    root = xmlfile.read(path)
    defaults = root.find(f".//defaults/{SUPPORTED}")
    muscles = xmlfile.convert(path, _muscles(root), lambda muscle: _convert(muscle, defaults))
    if not muscles:
        raise ValueError(f"{path}: there is no {SUPPORTED} in a ForceSet of this file")
    return bodyfile.validate(path, {"muscles": muscles}, MuscleSet).muscles


def _muscles(root: Element) -> Iterator[Element]:
    """Muscles of any class that are in use; a force set has other forces too."""
    for forces in root.iter("ForceSet"):
        for force in forces.iterfind("objects/*"):
            if "Muscle" in force.tag and _is_used(force):
                yield force


def _is_used(force: Element) -> bool:
    applied, disabled = (force.findtext(flag, "").strip().lower() for flag in ("appliesForce", "isDisabled"))
    return applied != "false" and disabled != "true"


def _convert(muscle: Element, defaults: Element | None) -> dict:
    """``muscle`` as in a body file; values that it does not have are those of ``defaults``."""
    where = f"muscles[{muscle.get('name')}]"
    if muscle.tag != SUPPORTED:
        raise ValueError(f"{where}: {muscle.tag} is not supported, only {SUPPORTED} is")
    values = {name: _number(muscle, defaults, name, where) for name in (*NUMBERS, *FIXED)}
    for name in REQUIRED:
        if values[name] is None:
            raise ValueError(f"{where}: {name} is missing")
    changed = [said for name in FIXED if (said := _changed(name, values[name]))]
    if changed:
        raise ValueError(f"{where}: only OpenSim's default curves are supported, not {', '.join(changed)}")
    given = {NUMBERS[name]: values[name] for name in NUMBERS if values[name] is not None}
    return {"name": muscle.get("name"), **given, "path": list(_path(muscle, where))}


def _number(muscle: Element, defaults: Element | None, name: str, where: str) -> float | None:
    """The number ``name``; None where neither element has it, or has it empty, as OpenSim writes none."""
    for element in (muscle, defaults):
        text = None if element is None else element.findtext(name)
        if text is not None and text.strip():
            return xmlfile.numbers(text, 1, f"{where}.{name}")[0]
    return None


def _changed(name: str, value: float | None) -> str:
    """``value`` with its default, where it is another; empty otherwise."""
    if value is None or np.isclose(value, FIXED[name], rtol=FIXED_TOLERANCE, atol=1e-9).any():
        return ""
    return f"{name} = {value:g} (default {FIXED[name][0]:g})"


def _path(muscle: Element, where: str) -> Iterator[dict]:
    path = muscle.find(".//GeometryPath")
    if path is None:
        raise ValueError(f"{where}: it has no GeometryPath, the only kind of path that is supported")
    wrap = path.find("PathWrapSet/objects/*")
    if wrap is not None:
        around = wrap.findtext("wrap_object", "").strip()
        raise ValueError(
            f"{where}: {wrap.tag} around {around!r} is not supported, a path runs straight from point to point"
        )
    for i, point in enumerate(path.iterfind("PathPointSet/objects/*")):
        yield _point(point, f"{where}.path[{i}]")


def _point(point: Element, where: str) -> dict:
    if point.tag != "PathPoint":
        raise ValueError(f"{where}: {point.tag} {point.get('name')!r} is not supported, only PathPoint is")
    location = point.findtext("location")
    if location is None:
        raise ValueError(f"{where}: PathPoint {point.get('name')!r} has no location")
    return {"link": _body(point, where), "point_m": xmlfile.numbers(location, 3, f"{where}.location")}


def _body(point: Element, where: str) -> str:
    """Name of the body of a point, from ``humerus``, ``/bodyset/humerus`` or ``../../bodyset/humerus``."""
    frame = point.findtext("body") or point.findtext("socket_parent_frame") or ""
    steps = [step for step in frame.strip().split("/") if step not in ("", "..")]
    if steps[:1] == ["bodyset"]:
        steps = steps[1:]
    if len(steps) != 1:
        raise ValueError(f"{where}: frame {frame.strip()!r} is no body, points must be on bodies")
    return steps[0]
