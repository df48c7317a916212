"""The pictures of a run, each a function from figures to a Figure, and one that saves it.

Matplotlib's objects without pyplot: no display, no state that outlives a picture. This module is
imported where a picture is drawn and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.ticker import MaxNLocator

from mnistbench.config.network import (
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LayerShape,
    MaxPooling,
    Shape,
    Softmax,
)
from mnistbench.errors import OutputError
from mnistbench.results.rows import HistoryRow
from mnistbench.results.whole import whole_file

DOTS_PER_INCH = 120

# Inches, of a grid of images.
_CELL = 1.6
_IMAGE = 1.3
_TITLE = 0.6

_INK = "#22272e"
_MUTED = "#6b7480"
_BLUE = "#1f6fb4"
_ORANGE = "#d9730d"
_RED = "#c0262d"
_PART_COLORS = (
    "#8a94a0", "#5aa9e6", "#9fd8cb", "#c9cdd2", "#e9b44c", "#2a9d4a", "#7b5ea7", "#d9534f",
    "#b8a99a", "#1f6fb4", "#5b3a29",
)  # fmt: skip
_COLORS: dict[type[Layer], str] = {
    Dense: "#d7e7f6",
    Convolution: "#dcefdc",
    MaxPooling: "#f5efd2",
    Flatten: "#eceef1",
    Dropout: "#f7e0e3",
    Softmax: "#e9e1f4",
}


def save(figure: Figure, path: Path) -> None:
    """Write the figure, as its name ends, whole or not at all; raise OutputError if it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            figure.savefig(partial, format=path.suffix.removeprefix("."))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None


def curves_figure(name: str, history: Sequence[HistoryRow]) -> Figure:
    """Return accuracy and loss by epoch, training and validation, 1200 by 504 pixels."""
    figure = _figure(10, 4.2)
    figure.suptitle(f"{name}: learning curves", fontsize=14, color=_INK)
    epochs = [row.epoch for row in history]
    panels: Any = figure.subplots(1, 2)
    for axes, quantity in zip(panels, ("accuracy", "loss"), strict=True):
        training = [getattr(row, quantity) for row in history]
        validation = [getattr(row, f"val_{quantity}") for row in history]
        axes.plot(epochs, training, "o-", color=_BLUE, markersize=4, label="training")
        if any(value is not None for value in validation):
            known = [np.nan if value is None else value for value in validation]
            axes.plot(epochs, known, "s--", color=_ORANGE, markersize=4, label="validation")
        axes.set_title(quantity.capitalize(), fontsize=12, color=_INK)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.margins(x=0.05, y=0.12)
        axes.legend(frameon=False)
        _lighten(axes)
    return figure


def architecture_figure(name: str, input_shape: Shape, table: Sequence[LayerShape]) -> Figure:
    """Return the layers from top to bottom, each with its output shape and parameters."""
    rows = len(table) + 1
    figure = _figure(7.5, 0.62 * rows + 1.3)
    axes = figure.add_subplot()
    axes.set_xlim(0, 10)
    axes.set_ylim(rows - 0.4, -1.15)
    axes.set_axis_off()
    total = sum(row.parameters for row in table)
    axes.set_title(f"{name}: {total:,} parameters", fontsize=14, color=_INK)
    for x, heading in ((0.35, "layer"), (6.9, "output shape"), (9.65, "parameters")):
        side = "left" if x < 1 else "right"
        axes.text(x, -0.75, heading, ha=side, va="center", color=_MUTED, fontsize=10)
    _box(axes, 0, "Input", input_shape, None, "#ffffff")
    for number, row in enumerate(table, start=1):
        color = _COLORS[type(row.layer)]
        _box(axes, number, layer_text(row.layer), row.output_shape, row.parameters, color)
        axes.annotate(
            "", (5, number - 0.36), (5, number - 0.64),
            arrowprops={"arrowstyle": "-|>", "color": _MUTED, "linewidth": 1},
        )  # fmt: skip
    return figure


def layer_text(layer: Layer) -> str:
    """Return a layer in a few words."""
    if isinstance(layer, Dense):
        return f"Dense {layer.units}, {layer.activation}"
    if isinstance(layer, Convolution):
        side = layer.kernel_size
        return f"Convolution {layer.filters} of {side}x{side}, {layer.padding}, {layer.activation}"
    if isinstance(layer, MaxPooling):
        return f"Max pooling {layer.size}x{layer.size}"
    if isinstance(layer, Dropout):
        return f"Dropout {layer.rate:g}"
    return type(layer).__name__


def confusion_figure(title: str, counts: npt.NDArray[Any], class_names: Sequence[str]) -> Figure:
    """Return the counts as a map: a row for each true class, a column for each guess.

    The colour is the share of the row; 960 by 900 pixels.
    """
    figure = _figure(8, 7.5)
    axes = figure.add_subplot()
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(class_names))
    long = max(map(len, class_names)) > 2
    axes.set_xticks(
        places, class_names, rotation=45 if long else 0, ha="right" if long else "center"
    )
    axes.set_yticks(places, class_names)
    axes.set_xlabel("guess")
    axes.set_ylabel("truth")
    axes.set_title(title, fontsize=13, color=_INK)
    for truth in places:
        for guess in places:
            color = "white" if shares[truth, guess] > 0.5 else _INK
            if counts[truth, guess]:
                text = str(counts[truth, guess])
                axes.text(guess, truth, text, ha="center", va="center", fontsize=9, color=color)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.83)
    return figure


def grid_figure(
    title: str,
    images: npt.NDArray[np.uint8],
    captions: Sequence[str],
    wrong: Sequence[bool],
    side: int,
) -> Figure:
    """Return images in rows of `side`, each under its caption; those marked wrong are red.

    `images` is uint8, (n, height, width) or (n, height, width, channels).
    """
    rows = max(1, ceil(len(images) / side))
    lines = 1 + max((caption.count("\n") for caption in captions), default=0)
    width, cell_height = _CELL * side, _CELL - 0.1 + 0.2 * lines
    height = cell_height * rows + _TITLE
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    figure.suptitle(title, fontsize=13, color=_INK, y=1 - _TITLE / 2 / height, va="center")
    # All in one: axes for each image take a tenth of a second apiece.
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    for number, (image, caption, is_wrong) in enumerate(zip(images, captions, wrong, strict=True)):
        left = _CELL * (number % side) + (_CELL - _IMAGE) / 2
        bottom = _TITLE + cell_height * (number // side + 1) - 0.08
        _tile(axes, image, left, bottom)
        color = _RED if is_wrong else _INK
        axes.text(left + _IMAGE / 2, bottom - _IMAGE - 0.05, caption, fontsize=10, color=color,
                  ha="center", va="bottom")  # fmt: skip
    return figure


def _tile(axes: Axes, image: npt.NDArray[np.uint8], left: float, bottom: float) -> None:
    pixels = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    box = (left, left + _IMAGE, bottom, bottom - _IMAGE)
    axes.imshow(pixels, cmap="Greys", vmin=0, vmax=255, extent=box, aspect="auto")
    axes.add_patch(
        Rectangle((left, bottom - _IMAGE), _IMAGE, _IMAGE, fill=False, edgecolor="#d5d9de")
    )


def parts_figure(title: str, parts: Sequence[tuple[str, float]]) -> Figure:
    """Return one bar of the parts' seconds, each with its name and share; 1200 by 360 pixels."""
    figure = _figure(10, 3)
    axes = figure.add_subplot()
    whole = sum(seconds for _, seconds in parts) or 1.0
    start = 0.0
    for number, (name, seconds) in enumerate(parts):
        color = _PART_COLORS[number % len(_PART_COLORS)]
        label = f"{name}  {seconds:.3f} s  {seconds / whole:.0%}"
        axes.barh(0, seconds, left=start, height=0.6, color=color, label=label, linewidth=0)
        start += seconds
    axes.set_yticks([])
    axes.set_xlim(0, whole)
    axes.set_xlabel("seconds")
    axes.set_title(title, fontsize=13, color=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    return figure


def _lighten(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_MUTED)
    axes.tick_params(colors=_MUTED)
    axes.grid(visible=True, color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)


def _box(axes: Axes, row: int, text: str, shape: Shape, parameters: int | None, color: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (0.15, row - 0.3), 9.7, 0.6,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=color, edgecolor="#b9c0c8", linewidth=1,
        )
    )  # fmt: skip
    size = " x ".join(map(str, shape))
    axes.text(0.35, row, text, va="center", color=_INK, fontsize=11)
    axes.text(6.9, row, size, ha="right", va="center", color=_INK, fontsize=11)
    count = "" if parameters is None else f"{parameters:,}"
    axes.text(9.65, row, count, ha="right", va="center", color=_INK, fontsize=11)
