# SPDX-License-Identifier: GPL-2.0-or-later
"""MuJoCo behind the joint-space seam: joint torques go in, joint angles and speeds come out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import mujoco
import numpy as np

from cosim.body.engines.engine import FRICTION, kept_apart
from cosim.body.musculoskeletal.description import (
    WORLD,
    Closure,
    Link,
    MusculoskeletalDescription,
    RevoluteJoint,
    Shape,
)
from cosim.body.rotation import matrix_from_rpy

# MuJoCo's constraints are springs with dampers. Their time constant (s) and damping ratio: MuJoCo raises the
# former to two time steps, the stiffest that is stable, so that constraints harden as steps get shorter.
HOLD = (1e-9, 1.0)
# What only pushes, limits and contacts, would throw back an eighth of the speed at critical damping.
STOP = (1e-9, 3.0)
# How much of a constraint is enforced (MuJoCo allows at most 0.9999), the same at all distances.
FIRM = (0.9999, 0.9999, 0.001, 0.5, 2.0)
# Runge-Kutta of fourth order. Against OpenSim the forelimb with rigid tendons and 1 ms is 0.8e-4 rad off (rms
# of 0.5 s; with Euler's method, explicit or implicit in damping, 3.4e-4 to 8.8e-4), its loop 1 nm (100 nm),
# and 1 s of free fall keeps its energy to 6e-7 (1e-3), at 13 us a step (4 us).
INTEGRATOR = mujoco.mjtIntegrator.mjINT_RK4
# Bad numbers stay where they are, for `MusculoskeletalBody` to find; parents are kept apart from children by name.
SWITCHED_OFF = mujoco.mjtDisableBit.mjDSBL_AUTORESET | mujoco.mjtDisableBit.mjDSBL_FILTERPARENT
# `MusculoskeletalBody` says the same with time and joint; MuJoCo would write a file into the working directory.
UNSAID = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


class MuJoCoEngine:
    """The mechanism of ``description`` in a MuJoCo world of its own; an `Engine`.

    Of the shapes only the solid ones are there.
    """

    def __init__(self, description: MusculoskeletalDescription) -> None:
        self._model = _world(description).compile()
        self._data = mujoco.MjData(self._model)
        joints = description.revolute_joints
        self._address = np.array([self._model.joint(joint.name).dofadr[0] for joint in joints], dtype=int)
        self._ends = np.array(
            [[self._model.site(name).id for name in _ends(closure)] for closure in description.closures], dtype=int
        ).reshape(-1, 2)
        solid = [link.name for link in description.solid_links]
        owners = [self._model.body(body).name for body in self._model.geom_bodyid]
        self._owner = np.array([solid.index(owner) for owner in owners], dtype=int)
        self._force = np.zeros(len(solid))
        self.reset(np.zeros(len(joints)), np.zeros(len(joints)))

    def reset(self, angle_rad: np.ndarray, speed_rad_s: np.ndarray) -> None:
        """Put the joints at these angles and speeds and forget everything else."""
        mujoco.mj_resetData(self._model, self._data)
        for warning in UNSAID:
            self._data.warning[warning].number = 1  # MuJoCo speaks up at the first one only
        self._data.qpos[self._address] = angle_rad
        self._data.qvel[self._address] = speed_rad_s
        self._force[:] = 0.0

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint angles and speeds."""
        return self._data.qpos[self._address], self._data.qvel[self._address]

    def step(self, torque_N_m: np.ndarray, step_s: float) -> None:
        """Advance by ``step_s`` under constant joint torques, joint damping and gravity."""
        self._model.opt.timestep = step_s
        self._data.qfrc_applied[self._address] = torque_N_m
        mujoco.mj_step(self._model, self._data)
        if self._force.size:
            self._feel()

    def loop_error(self) -> float:
        """Largest distance in m between the two points of a loop closure; 0 where there are no closures."""
        mujoco.mj_kinematics(self._model, self._data)
        a, b = self._data.site_xpos[self._ends[:, 0]], self._data.site_xpos[self._ends[:, 1]]
        return float(np.linalg.norm(a - b, axis=1).max(initial=0.0))

    def contact_force_N(self) -> np.ndarray:
        """Sum of the normal forces on each solid link (n_solid_links,) in the last step."""
        return self._force.copy()

    def bare_step(self, step_s: float) -> Callable[[], object]:
        """MuJoCo's own call for a step of ``step_s`` without torques."""
        self._model.opt.timestep = step_s
        self._data.qfrc_applied[:] = 0.0
        return partial(mujoco.mj_step, self._model, self._data)

    def close(self) -> None:
        """Nothing to release: MuJoCo's world goes with this object."""

    def _feel(self) -> None:
        """Take over the normal forces at the end of the step, the first of the forces of each contact."""
        self._force[:] = 0.0
        contact = self._data.contact
        acting = contact.efc_address >= 0
        normal = self._data.efc_force[contact.efc_address[acting]]
        for side in (0, 1):
            np.add.at(self._force, self._owner[contact.geom[acting, side]], normal)


def _world(description: MusculoskeletalDescription) -> mujoco.MjSpec:
    """The mechanism of ``description`` with our choices of integrator and constraints."""
    world = mujoco.MjSpec()
    world.compiler.degree = False
    world.option.gravity = description.gravity_m_s2
    world.option.integrator = INTEGRATOR
    world.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    world.option.disableflags |= int(SWITCHED_OFF)
    _add_children(world.worldbody, WORLD, description)
    for closure in description.closures:
        for name, point in zip(_ends(closure), (closure.a, closure.b), strict=True):
            world.body(point.link).add_site(name=name, pos=point.point_m)
        a, b = _ends(closure)
        world.add_equality(
            type=mujoco.mjtEq.mjEQ_CONNECT, objtype=mujoco.mjtObj.mjOBJ_SITE, name1=a, name2=b, solref=HOLD, solimp=FIRM
        )
    for a, b in kept_apart(description):
        world.add_exclude(bodyname1=a, bodyname2=b)
    return world


def _add_children(parent: mujoco.MjsBody, name: str, description: MusculoskeletalDescription) -> None:
    """Add all links below the link ``name``; frames and conventions are those of the description."""
    for joint in description.joints:
        if joint.parent == name:
            child = _add_link(parent, name, description.link(joint.child), description)
            if joint.type == "revolute":
                _add_hinge(child, joint)
            _add_children(child, joint.child, description)


def _add_link(
    parent: mujoco.MjsBody, above: str, link: Link, description: MusculoskeletalDescription
) -> mujoco.MjsBody:
    turn, position = np.eye(3), np.zeros(3)
    if above != WORLD:
        turn, position = description.link(above).rotation(), np.array(description.link(above).position_m)
    moments, axes = np.linalg.eigh(link.inertia_kg_m2.matrix())
    axes[:, 2] *= np.sign(np.linalg.det(axes))  # right-handed
    moments[2] = min(moments[2], moments[0] + moments[1])  # MuJoCo forgives no rounding here
    body = parent.add_body(
        name=link.name,
        pos=turn.T @ (link.position_m - position),
        quat=_quaternion(turn.T @ link.rotation()),
        mass=link.mass_kg,
        ipos=link.com_m,
        iquat=_quaternion(matrix_from_rpy(link.com_rpy_rad) @ axes),
        inertia=moments,
        explicitinertial=True,
    )
    for shape in link.shapes:
        if shape.solid:
            _add_solid(body, shape)
    return body


def _add_hinge(child: mujoco.MjsBody, joint: RevoluteJoint) -> None:
    hinge = child.add_joint(
        name=joint.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        pos=joint.origin_m,
        damping=joint.damping_N_m_s_rad,
    )
    if joint.limits_rad is not None:
        hinge.limited, hinge.range = mujoco.mjtLimited.mjLIMITED_TRUE, joint.limits_rad
        hinge.solref_limit, hinge.solimp_limit = STOP, FIRM


def _add_solid(body: mujoco.MjsBody, shape: Shape) -> None:
    geom = body.add_geom(friction=(FRICTION, 0.0, 0.0), solref=STOP, solimp=FIRM)
    if shape.kind == "rod":
        geom.type, geom.size[0] = mujoco.mjtGeom.mjGEOM_CAPSULE, shape.radius_m
        geom.fromto = np.ravel(shape.ends_m)
    elif shape.kind == "sphere":
        geom.type, geom.size[0], geom.pos = mujoco.mjtGeom.mjGEOM_SPHERE, shape.radius_m, shape.centre_m
    else:
        geom.type, geom.size, geom.pos = mujoco.mjtGeom.mjGEOM_BOX, np.divide(shape.size_m, 2), shape.centre_m


def _ends(closure: Closure) -> tuple[str, str]:
    """Names of MuJoCo's sites at the two points."""
    return f"{closure.name}.a", f"{closure.name}.b"


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation).ravel())
    return quaternion
