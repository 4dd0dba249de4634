# SPDX-License-Identifier: GPL-2.0-or-later
"""What an experiment may choose of a body with muscles."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from cosim.body.engines import registry


class MuscleSettings(BaseModel):
    """Keys of ``[body]`` in an experiment."""

    driven: Literal["excitation", "activation"] = Field(
        "excitation", description="what transfer functions set: excitation acts through activation dynamics"
    )
    tendon: Literal["rigid", "elastic"] = Field(
        "rigid", description="whether tendons stretch; rigid is faster, and the same for short tendons"
    )
    engine: str = Field(registry.DEFAULT, description="what moves the joints; all but the first are optional extras")

    @field_validator("engine")
    @classmethod
    def _is_there(cls, engine: str) -> str:
        registry.check(engine)
        return engine
