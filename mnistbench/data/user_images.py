"""A user's own pictures, made to look as the data set's images do.

MNIST's digits were fitted into a box of 20 x 20 pixels and placed with their centre of mass in
the middle of 28 x 28, white on black (http://yann.lecun.com/exdb/mnist): so are these.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mnistbench.config.datasets import DatasetFacts
from mnistbench.data.file_kinds import file_kind
from mnistbench.errors import InputError

Pixels = npt.NDArray[np.uint8]

_BOX_SHARE = 20 / 28
"""Side of the box a digit is fitted into, of the image's side."""
_INK = 0.1
"""What counts as drawn, as a share of the range from background to the strongest stroke."""

_MOST_PIXELS = 25_000_000
"""Each takes four bytes and more."""
_SHRUNK_PIXELS, _SHRUNK_SIDE = 16_000_000, 2048
"""A JPEG of more, as cameras make them, is read at about this side."""
_LEAST_CONTRAST = 16
"""Of 255: less is no drawing."""
_ONE_COLOUR = 64
"""Of 255: strokes whose shades differ by less are of one colour."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The kinds of pictures that are read."""


@dataclass(frozen=True)
class PreparedImage:
    """A picture as a model takes it."""

    file: str
    pixels: Pixels
    """uint8, (height, width, channels)."""
    steps: str
    """What was done to it, in a few words."""


def prepare_image(path: Path, facts: DatasetFacts) -> PreparedImage:
    """Read a picture and bring it into the data set's form.

    Raises InputError, naming the file, if it is missing, damaged, or empty of any drawing.
    """
    image, frames = _read(path)
    steps = [f"{image.width}x{image.height} {image.mode}"]
    if frames > 1:
        steps.append(f"the first of {frames} pictures in it")
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
    ink = _alpha_as_ink(image)
    if ink is not None:
        grey = ink
        steps.append("its transparency taken for the ground")
    else:
        grey = np.asarray(_flat(image).convert("L"), np.uint8)
        if image.mode != "L":
            steps.append("to grey")
    digit, more = _as_digit(grey, height, path)
    return PreparedImage(str(path), digit[..., None], ", ".join([*steps, *more]))


def _read(path: Path) -> tuple[Image.Image, int]:
    """Return the first picture of a file, upright, and how many there are in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a large picture, and of odd tags
            return _opened(path)
    except FileNotFoundError:
        raise InputError("no such file", source=path, field="--images") from None
    except IsADirectoryError:
        raise InputError(
            "is a folder", source=path, field="--images", hint=f"give its files: {path}/*"
        ) from None
    except PermissionError:
        raise InputError("cannot be read: no permission", source=path, field="--images") from None
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except InputError:
        raise
    except Exception:  # noqa: BLE001  whatever Pillow raises, the file is the cause
        raise _unreadable(path) from None


def _opened(path: Path) -> tuple[Image.Image, int]:
    with Image.open(path, formats=FORMATS) as image:
        if image.format == "JPEG" and image.width * image.height > _SHRUNK_PIXELS:
            image.draft(image.mode, (_SHRUNK_SIDE, _SHRUNK_SIDE))  # a fraction is decoded
        _check_size(image, path)
        image.load()
        frames: int = getattr(image, "n_frames", 1)
        image.seek(0)
        return ImageOps.exif_transpose(image), frames


def _check_size(image: Image.Image, path: Path) -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise _too_large(path)


def _too_large(path: Path) -> InputError:
    return InputError(
        f"has more than {_MOST_PIXELS // 1_000_000} million pixels",
        source=path,
        field="--images",
        hint="make it smaller; a side of some hundred is plenty",
    )


def _unreadable(path: Path) -> InputError:
    kind = file_kind(path)
    if kind is None or kind.name.endswith("picture"):
        problem = "is a damaged picture, or was cut short" if kind else "is no picture, or damaged"
    else:
        problem = f"is {kind.name}, not a picture"
    readable = f"give a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture"
    return InputError(
        problem, source=path, field="--images", hint=(kind and kind.remedy) or readable
    )


def _alpha_as_ink(image: Image.Image) -> Pixels | None:
    """Return the opacity where that is what draws: strokes of one colour on a clear canvas."""
    if not _has_alpha(image):
        return None
    pixels = np.asarray(image.convert("RGBA"))
    alpha = pixels[..., 3]
    if int(alpha.max()) - int(alpha.min()) < _LEAST_CONTRAST:
        return None
    shades = np.asarray(image.convert("RGBA").convert("RGB").convert("L"))[alpha > alpha.max() // 2]
    low, high = np.percentile(shades, (5, 95))
    return alpha if high - low < _ONE_COLOUR else None


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture without transparency, laid on white as a viewer shows it.

    Grey of 16 bits and more becomes 8: Pillow itself would cut off all that is above 255.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, np.float64))
        span = (values.max() - values.min()) or 1.0
        return Image.fromarray(((values - values.min()) * (255 / span)).astype(np.uint8))
    if not _has_alpha(image):
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
    if strongest < _LEAST_CONTRAST:
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
