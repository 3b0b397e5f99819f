"""What every spec model shares: unknown keys are errors, nothing changes after loading."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, WrapSerializer

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
NotNegativeInt = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Closed(BaseModel):
    """A frozen model that rejects unknown keys, NaN, infinities and lossy conversions."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, strict=True, ser_json_inf_nan="constants"
    )


def _written(value: object, write: SerializerFunctionWrapHandler) -> dict[str, object]:
    fields: dict[str, object] = write(value)
    return {name: field for name, field in fields.items() if field not in (None, [], ())}


# Annotates a field that holds a value object: the parts of it that are empty or None are not
# written, so that a value without them keeps the JSON, and the fingerprint, from before they were.
SPARSE = WrapSerializer(_written)
