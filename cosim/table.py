# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tables of a configuration file have in common."""

from __future__ import annotations

from typing import Any, get_args

import pydantic
import pydantic_core
from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of a configuration file: unknown keys are errors, values stay as they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """True is no 1: pydantic would take it as a number."""
        annotation = cls.model_fields[info.field_name].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise pydantic_core.PydanticCustomError("truth_value", "must not be true or false")
        return value
