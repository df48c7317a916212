"""A user's own pictures, made to look as the data set's images do.

MNIST's digits were fitted into a box of 20 x 20 pixels and placed with their centre of mass in
the middle of 28 x 28, white on black (http://yann.lecun.com/exdb/mnist): so are these.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mnistbench.config.datasets import DatasetFacts
from mnistbench.errors import InputError

Pixels = npt.NDArray[np.uint8]

_BOX_SHARE = 20 / 28
"""Side of the box a digit is fitted into, of the image's side."""
_INK = 0.1
"""What counts as drawn, as a share of the range from background to the strongest stroke."""


@dataclass(frozen=True)
class PreparedImage:
    """A picture as a model takes it."""

    file: str
    pixels: Pixels
    """uint8, (height, width, channels)."""
    steps: str
    """What was done to it, in a few words."""


def prepare_image(path: Path, facts: DatasetFacts) -> PreparedImage:
    """Read a PNG or JPEG and bring it into the data set's form.

    Raises InputError, naming the file, if it is missing, damaged, or empty of any drawing.
    """
    image = _read(path)
    steps = [f"{image.width}x{image.height} {image.mode}"]
    height, width, channels = facts.image_shape
    if channels == 3:
        side = min(image.size)
        if image.width != image.height:
            steps.append(f"cut to the middle {side}x{side}")
        colours = _flat(image).convert("RGB")
        fitted = ImageOps.fit(colours, (width, height), Image.Resampling.LANCZOS)
        if image.size != (width, height):
            steps.append(f"resized to {width}x{height}")
        return PreparedImage(str(path), np.asarray(fitted, np.uint8), ", ".join(steps))
    grey = np.asarray(_flat(image).convert("L"), np.uint8)
    if image.mode != "L":
        steps.append("to grey")
    digit, more = _as_digit(grey, height, path)
    return PreparedImage(str(path), digit[..., None], ", ".join([*steps, *more]))


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise InputError("no such file", source=path, field="--images") from None
    except UnidentifiedImageError:
        raise InputError(
            "is no PNG or JPEG, or is damaged", source=path, field="--images"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be read: {error}", source=path, field="--images") from None


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture without transparency, laid on white as a viewer shows it.

    Grey of 16 bits becomes 8: Pillow itself would cut off all that is above 255.
    """
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    colours = image.convert("RGBA")
    page = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(page, colours)


def _as_digit(grey: Pixels, side: int, path: Path) -> tuple[Pixels, list[str]]:
    """Return the drawing white on black, in a square of `side` pixels, and what was done."""
    steps = []
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(edge))
    if background > 127:
        grey = 255 - grey
        background = 255 - background
        steps.append("inverted (light background)")
    strokes = np.clip(grey.astype(np.float32) - background, 0, None)
    strongest = float(strokes.max())
    if strongest < 16:
        raise InputError(
            "shows nothing that stands out from its background", source=path, field="--images"
        )
    strokes *= 255 / strongest
    # What hardly differs from the background is paper and shadow, not drawing.
    strokes[strokes < 255 * _INK] = 0
    rows, columns = (np.flatnonzero(strokes.any(axis=axis)) for axis in (1, 0))
    trimmed = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    box = round(side * _BOX_SHARE)
    steps.append(f"trimmed to {trimmed.shape[1]}x{trimmed.shape[0]}")
    scaled = _scaled(trimmed, box)
    steps.append(f"fitted into {box}x{box} of {side}x{side}, centre of mass in the middle")
    return _centred(scaled, side), steps


def _scaled(strokes: npt.NDArray[np.float32], box: int) -> npt.NDArray[np.float32]:
    """Return the drawing with its longer side as long as the box."""
    height, width = strokes.shape
    factor = box / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = Image.fromarray(strokes.astype(np.uint8))
    smoothing = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    return np.asarray(image.resize(size, smoothing), np.float32)


def _centred(strokes: npt.NDArray[np.float32], side: int) -> Pixels:
    """Return the drawing on a black square, its centre of mass in the middle where it fits."""
    page = np.zeros((side, side), np.float32)
    places = []
    for axis, length in enumerate(strokes.shape):
        mass = strokes.sum(axis=1 - axis)
        centre = float(np.arange(length) @ mass / mass.sum())
        # Pixel 14 of 0 to 27 is MNIST's middle, by the mean over its images.
        places.append(int(np.clip(round(side / 2 - centre), 0, side - length)))
    top, left = places
    page[top : top + strokes.shape[0], left : left + strokes.shape[1]] = strokes
    return np.asarray(page.round(), np.uint8)
