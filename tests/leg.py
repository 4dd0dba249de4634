# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg of two moving links and two muscles, as URDF and OpenSim files that a body file includes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

Changes = Sequence[tuple[str, str]]

# A thigh and a shank that hang on a base, with a fixed foot; the shank's frame is turned against the thigh's.
LEG = """<robot name="leg">
  <material name="blue"><color rgba="0.1 0.2 0.9 1"/></material>
  <link name="base"/>
  <link name="thigh">
    <inertial><origin xyz="0 0 -0.1"/><mass value="2"/><inertia ixx="0.02" iyy="0.02" izz="0.002"/></inertial>
    <visual><origin xyz="0 0 -0.1"/><geometry><cylinder radius="0.03" length="0.2"/></geometry>
      <material name="blue"/></visual>
    <visual><origin rpy="0.3 0 0"/><geometry><box size="1 1 1"/></geometry></visual>
    <visual><geometry><mesh filename="thigh.stl"/></geometry></visual>
    <collision><origin xyz="0 0 -0.1"/><geometry><cylinder radius="0.03" length="0.2"/></geometry></collision>
  </link>
  <link name="shank">
    <inertial><origin xyz="0.1 0 0" rpy="0 0.1 0"/><mass value="1"/>
      <inertia ixx="0.001" iyy="0.01" izz="0.01" ixy="0.0001"/></inertial>
    <visual><origin xyz="0.1 0 0" rpy="0 1.5707963267948966 0"/>
      <geometry><box size="0.02 0.04 0.2"/></geometry>
      <material name=""><color rgba="0.9 0.1 0.1 1"/></material></visual>
    <collision><origin xyz="0.2 0 0"/><geometry><sphere radius="0.02"/></geometry></collision>
  </link>
  <link name="foot">
    <inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4"/></inertial>
  </link>
  <joint name="hip" type="continuous">
    <parent link="base"/><child link="thigh"/><origin xyz="0 0 1"/><axis xyz="0 2 0"/>
  </joint>
  <joint name="knee" type="revolute">
    <parent link="thigh"/><child link="shank"/><origin xyz="0 0 -0.2" rpy="0 1.5707963267948966 0"/>
    <axis xyz="0 1 0"/><limit lower="-0.1" upper="2" effort="10" velocity="5"/><dynamics damping="0.05"/>
  </joint>
  <joint name="ankle" type="fixed"><parent link="shank"/><child link="foot"/><origin xyz="0.2 0 0"/></joint>
</robot>
"""

# Two muscles of it; the first in the layout of OpenSim 4, the second in that of older files.
LEG_OSIM = """<OpenSimDocument Version="40000"><Model><ForceSet><objects>
  <Millard2012EquilibriumMuscle name="flexor">
    <GeometryPath><PathPointSet><objects>
      <PathPoint name="P1"><socket_parent_frame>/bodyset/femur</socket_parent_frame>
        <location>-0.02 0 -0.05</location></PathPoint>
      <PathPoint name="P2"><socket_parent_frame>../../bodyset/shank</socket_parent_frame>
        <location>0.05 0 -0.03</location></PathPoint>
    </objects></PathPointSet></GeometryPath>
    <max_isometric_force>300</max_isometric_force>
    <optimal_fiber_length>0.15</optimal_fiber_length>
    <tendon_slack_length>0.05</tendon_slack_length>
    <pennation_angle_at_optimal>0.2</pennation_angle_at_optimal>
    <max_contraction_velocity>8</max_contraction_velocity>
    <fiber_damping>0.05</fiber_damping>
    <activation_time_constant>0.015</activation_time_constant>
    <deactivation_time_constant>0.05</deactivation_time_constant>
    <minimum_activation>0.02</minimum_activation>
    <ActiveForceLengthCurve><minimum_value>0.1</minimum_value></ActiveForceLengthCurve>
    <TendonForceLengthCurve>
      <strain_at_one_norm_force>0.049</strain_at_one_norm_force>
    </TendonForceLengthCurve>
  </Millard2012EquilibriumMuscle>
  <Millard2012EquilibriumMuscle name="extensor">
    <GeometryPath><PathPointSet><objects>
      <PathPoint name="P1"><location>0.03 0 -0.05</location><body>femur</body></PathPoint>
      <PathPoint name="P2"><location>0.05 0 0.03</location><body>shank</body></PathPoint>
    </objects></PathPointSet><PathWrapSet><objects/></PathWrapSet></GeometryPath>
    <max_isometric_force>300</max_isometric_force>
    <optimal_fiber_length>0.15</optimal_fiber_length>
    <tendon_slack_length>0.05</tendon_slack_length>
    <isDisabled>false</isDisabled>
  </Millard2012EquilibriumMuscle>
  <CoordinateLimitForce name="stop"/>
</objects></ForceSet></Model></OpenSimDocument>
"""

LEG_TOML = """name = "leg"
urdf = "leg.urdf"
osim = "leg.osim"
osim_bodies = { femur = "thigh" }
gravity_m_s2 = [0.0, 0.0, -9.81]
tip = { link = "foot", point_m = [0.0, 0.0, 0.0] }
"""


def write(folder: Path, toml: Changes = (), urdf: Changes = (), osim: Changes = ()) -> Path:
    """Write the leg's three files, each text after its (old, new) changes, and return the body file."""
    for name, text, changes in (("body.toml", LEG_TOML, toml), ("leg.urdf", LEG, urdf), ("leg.osim", LEG_OSIM, osim)):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / name).write_text(text)
    return folder / "body.toml"


def refused(load_file) -> str:
    with pytest.raises(ValueError) as error:
        load_file()
    return str(error.value)
