# SPDX-License-Identifier: GPL-2.0-or-later
"""How bright a lamp looks to a sensor: the inverse-square law and Lambert's cosine law.

    I = brightness * max(0, cos(angle)) / max(d, radius)^2

d is the distance in m from the sensor to the middle of the lamp, ``angle`` lies between the sensor's axis and
the direction to the lamp. So ``brightness`` is what a sensor sees that looks straight at the lamp from 1 m.
What lies between them casts no shadow.
"""

import numpy as np


def intensity(
    sensor_m: np.ndarray, axis: np.ndarray, light_m: np.ndarray, brightness: float, radius_m: float
) -> np.ndarray:
    """Intensity (n,), never negative, at sensors (n, 3) with unit axes (n, 3), of a light at (3,)."""
    away_m = light_m - sensor_m
    distance_m = np.maximum(np.linalg.norm(away_m, axis=1), radius_m)
    cosine = np.einsum("ij,ij->i", away_m, axis) / distance_m
    return brightness * np.maximum(cosine, 0.0) / distance_m**2
