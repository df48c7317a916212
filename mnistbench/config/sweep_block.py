"""The block `sweep` of a config file: which settings `mnistbench sweep` tries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

MOST_POINTS = 10_000
"""Of one sweep: what is above is a slip of the hand, and would not end."""

_Values = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [{"type": "array", "minItems": 1}, {"type": "string", "pattern": r"\.\."}]
            },
        }
    ),
]


_Points = Annotated[list[Any], WithJsonSchema({"type": "array", "items": {"type": "object"}})]


class SweepBlock(BaseModel):
    """What `mnistbench sweep` makes of the config; every other command passes over it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    grid: _Values = {}
    """Field, with dots as for `--set`, to the list of its values: every value with every value of
    the others. With `random` a value may be a range: `1e-4..1e-1`, or `1e-4..1e-1:log` to draw its
    logarithm evenly."""
    listed: _Points = Field(default=[], alias="list")
    """The points themselves, each as fields with values; `{}` is the config as it is. Instead of
    `grid`."""
    random: Annotated[int, Field(ge=1, le=MOST_POINTS)] | None = None
    """So many different points drawn from the grid, by the config's seed."""
    repeats: Annotated[int, Field(ge=1, le=MOST_POINTS)] = 1
    """Of each point, each in a fresh process."""
