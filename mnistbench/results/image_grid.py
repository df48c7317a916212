"""A grid of small images as a PNG, as the lessons draw it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnistbench.data.arrays import Bytes
from mnistbench.errors import OutputError

_CELL_INCHES = 1.2


def image_grid(
    images: Bytes, titles: Sequence[str], rows: int, columns: int, path: Path, suptitle: str
) -> None:
    """Write the first rows x columns images to a PNG, each with its title (none if empty).

    Images are uint8 (n, height, width[, channels]); a single channel is drawn dark on light.
    Raises OutputError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * _CELL_INCHES, rows * _CELL_INCHES + 0.6))
    figure.suptitle(suptitle)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, cell in enumerate(cells):
        cell.set_axis_off()
        if number < len(images):
            _draw(cell, images[number], titles[number] if titles else "")
    figure.tight_layout()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=100)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another file"
        ) from None


def _draw(cell: Any, image: Bytes, title: str) -> None:
    if image.ndim == 2 or image.shape[-1] == 1:
        cell.imshow(image.reshape(image.shape[:2]), cmap="Greys", vmin=0, vmax=255)
    else:
        cell.imshow(image)
    if title:
        cell.set_title(title, fontsize=8, pad=2)
