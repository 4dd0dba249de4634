# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tables of body files are made of: numbers within a range, vectors, and tables that know no other keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0.0)]
NonNegative = Annotated[Number, Field(ge=0.0)]
Fraction = Annotated[Number, Field(ge=0.0, le=1.0)]
Vector = tuple[Number, Number, Number]


class Part(BaseModel):
    """A table of a body file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
