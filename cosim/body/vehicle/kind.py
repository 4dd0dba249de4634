# SPDX-License-Identifier: GPL-2.0-or-later
"""Vehicles as a kind of bodies; transfer functions can move the light, an experiment has nothing to choose."""

from __future__ import annotations

from cosim.body.kind import Body, Kind
from cosim.body.vehicle.description import VehicleDescription
from cosim.body.vehicle.ports import VehicleState, make_ports


def _make_ports(description: VehicleDescription) -> dict[str, object]:
    return {**make_ports(description, VehicleState(description))}


def _make_body(description: VehicleDescription, physics_step_ms: float, coupling_step_ms: float) -> Body:
    from cosim.body.vehicle.vehicle import Vehicle  # PyBullet is imported where a body starts

    return Vehicle(description, physics_step_ms, coupling_step_ms)


KIND = Kind(VehicleDescription, _make_ports, _make_body)
