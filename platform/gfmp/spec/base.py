"""What every spec model shares: unknown keys are errors, nothing changes after loading."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Closed(BaseModel):
    """A frozen model that rejects unknown keys, NaN, infinities and lossy conversions."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, strict=True, ser_json_inf_nan="constants"
    )
