# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tables of a configuration file have in common."""

from __future__ import annotations

from typing import Any, get_args

import pydantic
import pydantic_core
from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of a configuration file: unknown keys are errors, values stay as they were read.

    A class derived from it says what ``[protocol]`` of an experiment, or ``[brain]`` of a model, may hold. Fields are
    those of pydantic:

    Examples:
        >>> from pydantic import Field
        >>> from cosim import Table
        >>> class Protocol(Table):
        ...     rate_hz: float = Field(800.0, ge=0, description="of the stimulus")
        >>> Protocol(rate_hz=50.0)
        Protocol(rate_hz=50.0)
        >>> Protocol(rate_hz=-1.0)
        Traceback (most recent call last):
        pydantic_core._pydantic_core.ValidationError: 1 validation error for Protocol
        ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_values(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """True is no 1: pydantic would take it as a number, also in a list."""
        assert info.field_name is not None  # this is a validator of fields
        if _has_truth_value(value) and not _may_be_truth_value(cls.model_fields[info.field_name].annotation):
            raise pydantic_core.PydanticCustomError("truth_value", "must not be true or false")
        return value


def _has_truth_value(value: Any) -> bool:
    return any(map(_has_truth_value, value)) if isinstance(value, list) else isinstance(value, bool)


def _may_be_truth_value(annotation: Any) -> bool:
    return annotation is bool or any(map(_may_be_truth_value, get_args(annotation)))
