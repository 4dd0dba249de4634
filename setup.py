# SPDX-License-Identifier: GPL-2.0-or-later
"""What pyproject.toml cannot say: models/ stands beside cosim/ here and is installed within it, as cosim/models."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["cosim", "cosim.*"]), "cosim.models"], package_dir={"cosim.models": "models"})
