"""Networks as plain data: the model families of the config, and the layers each one stands for.

A family turns its config fields into a list of layers. A layer knows its output shape and its
number of parameters, so that a network that cannot be built is refused before TensorFlow loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Shape = tuple[int, ...]
Padding = Literal["same", "valid"]
Activation = Literal[
    "linear", "relu", "elu", "selu", "gelu", "leaky_relu", "silu", "softplus", "softsign",
    "sigmoid", "tanh",
]  # fmt: skip


class ShapeError(ValueError):
    """A layer cannot take the shape it is given; `field` is the config field to change."""

    def __init__(self, field: str, problem: str) -> None:
        """`field` is relative to the model's part of the config."""
        super().__init__(problem)
        self.field = field


@dataclass(frozen=True)
class Dense:
    """A fully connected layer over a flat input."""

    units: int
    activation: str = "linear"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of one sample's output."""
        return (self.units,)

    def parameters(self, shape: Shape) -> int:
        """Return the number of weights and biases."""
        return (shape[0] + 1) * self.units

    def multiply_adds(self, shape: Shape) -> int:
        """Return the multiplications of one sample by the weights, each with its addition."""
        return shape[0] * self.units


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional convolution with stride 1."""

    filters: int
    kernel_size: int
    padding: Padding
    activation: str

    def output_shape(self, shape: Shape) -> Shape:
        """Return (height, width, filters); raise ShapeError if the kernel does not fit."""
        if self.padding == "same":
            return (*shape[:2], self.filters)
        if self.kernel_size > min(shape[:2]):
            raise ShapeError(
                "kernel_size",
                f"a {self.kernel_size}x{self.kernel_size} kernel is larger than the "
                f"{shape[0]}x{shape[1]} image it meets",
            )
        return (shape[0] - self.kernel_size + 1, shape[1] - self.kernel_size + 1, self.filters)

    def parameters(self, shape: Shape) -> int:
        """Return the number of weights and biases."""
        return (self.kernel_size**2 * shape[2] + 1) * self.filters

    def multiply_adds(self, shape: Shape) -> int:
        """Return the multiplications of one sample by the weights, those with padding too."""
        height, width, filters = self.output_shape(shape)
        return height * width * self.kernel_size**2 * shape[2] * filters


@dataclass(frozen=True)
class MaxPooling:
    """Max pooling over squares of `size`, with stride `size`, the incomplete edge left out."""

    size: int

    def output_shape(self, shape: Shape) -> Shape:
        """Return (height, width, channels); raise ShapeError if nothing would be left."""
        if self.size > min(shape[:2]):
            raise ShapeError(
                "pool_size",
                f"a {self.size}x{self.size} pool is larger than the "
                f"{shape[0]}x{shape[1]} image it meets",
            )
        return (shape[0] // self.size, shape[1] // self.size, shape[2])

    def parameters(self, shape: Shape) -> int:
        """Return 0: pooling learns nothing."""
        return 0

    def multiply_adds(self, shape: Shape) -> int:
        """Return 0: there is no weight."""
        return 0


@dataclass(frozen=True)
class Flatten:
    """All values of a sample in one row."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of values."""
        return (prod(shape),)

    def parameters(self, shape: Shape) -> int:
        """Return 0."""
        return 0

    def multiply_adds(self, shape: Shape) -> int:
        """Return 0: there is no weight."""
        return 0


@dataclass(frozen=True)
class Dropout:
    """Random zeros in training."""

    rate: float

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape

    def parameters(self, shape: Shape) -> int:
        """Return 0."""
        return 0

    def multiply_adds(self, shape: Shape) -> int:
        """Return 0: there is no weight."""
        return 0


@dataclass(frozen=True)
class Softmax:
    """The probabilities of the classes."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape

    def parameters(self, shape: Shape) -> int:
        """Return 0."""
        return 0

    def multiply_adds(self, shape: Shape) -> int:
        """Return 0: there is no weight."""
        return 0


Layer = Dense | Convolution | MaxPooling | Flatten | Dropout | Softmax

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
_Size = Annotated[int, Field(ge=1, le=65_536)]
_Rate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class DenseModel(BaseModel):
    """A network of fully connected layers over the flat image."""

    model_config = _FROZEN

    family: Literal["dense"]
    """`dense`: fully connected layers."""
    hidden_units: tuple[_Size, ...] = Field(default=(64,), strict=False)
    """Units of each hidden layer; as many layers as numbers, none for a linear classifier."""
    activation: Activation = "linear"
    """Activation of the hidden layers."""
    dropout: _Rate = 0.0
    """Share of values dropped before the output layer in training."""

    def input_shape(self, image_shape: Shape) -> Shape:
        """Return the shape of one sample as the network takes it: (values,)."""
        return (prod(image_shape),)

    def layers(self, classes: int) -> list[Layer]:
        """Return the layers from the input to the probabilities."""
        hidden: list[Layer] = [Dense(units, self.activation) for units in self.hidden_units]
        return [*hidden, *_head(self.dropout, classes)]


class CnnModel(BaseModel):
    """Convolutions with pooling between them, then fully connected layers."""

    model_config = _FROZEN

    family: Literal["cnn"]
    """`cnn`: convolutions."""
    filters: Annotated[tuple[_Size, ...], Field(min_length=1)] = Field(
        default=(64, 64, 64, 64), strict=False
    )
    """Filters of each convolution; as many convolutions as numbers."""
    kernel_size: _Size = 3
    """Side of the square kernels, in pixels."""
    padding: Annotated[tuple[Padding, ...], Field(min_length=1)] = Field(
        default=("same", "same", "same", "valid"), strict=False
    )
    """`same` or `valid` for each convolution; a single one stands for all."""
    pool_size: _Size = 2
    """Side of the max pooling between convolutions, in pixels; 1 for none."""
    hidden_units: tuple[_Size, ...] = Field(default=(), strict=False)
    """Units of each fully connected layer after the convolutions."""
    activation: Activation = "relu"
    """Activation of the convolutions and of the fully connected layers."""
    dropout: _Rate = 0.2
    """Share of values dropped before the output layer in training."""

    def input_shape(self, image_shape: Shape) -> Shape:
        """Return the shape of one sample as the network takes it: (height, width, channels)."""
        return image_shape

    def layers(self, classes: int) -> list[Layer]:
        """Return the layers from the input to the probabilities."""
        dense: list[Layer] = [Dense(units, self.activation) for units in self.hidden_units]
        return [*self._convolutions(), Flatten(), *dense, *_head(self.dropout, classes)]

    def _convolutions(self) -> list[Layer]:
        layers: list[Layer] = []
        for number, (filters, padding) in enumerate(
            zip(self.filters, self._paddings(), strict=True)
        ):
            if number > 0 and self.pool_size > 1:
                layers.append(MaxPooling(self.pool_size))
            layers.append(Convolution(filters, self.kernel_size, padding, self.activation))
        return layers

    def _paddings(self) -> tuple[Padding, ...]:
        if len(self.padding) == 1:
            return self.padding * len(self.filters)
        if len(self.padding) != len(self.filters):
            raise ShapeError(
                "padding",
                f"{len(self.padding)} paddings for {len(self.filters)} convolutions; "
                "give one, or one for each",
            )
        return self.padding


Model = Annotated[DenseModel | CnnModel, Field(discriminator="family")]
"""Every model family; a new one is a class above and a name here."""


@dataclass(frozen=True)
class LayerShape:
    """One row of a layer table."""

    layer: Layer
    output_shape: Shape
    parameters: int


def layer_table(model: DenseModel | CnnModel, image_shape: Shape, classes: int) -> list[LayerShape]:
    """Walk the network; raise ShapeError at the first layer that cannot take its input."""
    shape = model.input_shape(image_shape)
    table = []
    for layer in model.layers(classes):
        parameters = layer.parameters(shape)
        shape = layer.output_shape(shape)
        table.append(LayerShape(layer, shape, parameters))
    return table


def _head(dropout: float, classes: int) -> list[Layer]:
    dropped: list[Layer] = [Dropout(dropout)] if dropout else []
    return [*dropped, Dense(classes), Softmax()]
