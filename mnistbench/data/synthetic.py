"""Images made from a seed: the shapes and counts of a data set, and something to learn.

Whole numbers only, from PCG64's raw output, whose stream NumPy guarantees: the same seed gives
the same bytes on every machine and with every version.
"""

from __future__ import annotations

import zlib
from math import prod
from typing import Any

import numpy as np

from mnistbench.config.datasets import DatasetFacts
from mnistbench.data.arrays import Arrays, Bytes

_BLOCK = 4  # side, in pixels, of the blocks a class's pattern is made of
_CHUNK = 5_000  # images made at a time, so that no second copy of all of them exists


def synthetic(facts: DatasetFacts, seed: int) -> Arrays:
    """Return the four arrays: uint8 images (n, height, width[, channels]) and labels (n,).

    An image is half its class's pattern of blocks and half noise.
    """
    bits = np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(facts.name.encode())]))
    patterns = _patterns(bits, facts)
    arrays: Arrays = {}
    for part, count in (("train", facts.train_count), ("test", facts.test_count)):
        labels = (bits.random_raw(count) % np.uint64(facts.classes)).astype(np.uint8)
        arrays[f"x_{part}"] = _images(bits, patterns, labels)
        arrays[f"y_{part}"] = labels
    return arrays


def _patterns(bits: np.random.PCG64, facts: DatasetFacts) -> Bytes:
    height, width, channels = facts.image_shape
    coarse = (facts.classes, -(-height // _BLOCK), -(-width // _BLOCK), channels)
    blocks = _bytes(bits, prod(coarse)).reshape(coarse) // 2
    fine = blocks.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)[:, :height, :width]
    return fine.squeeze(-1) if channels == 1 else fine


def _images(bits: np.random.PCG64, patterns: Bytes, labels: Bytes) -> Bytes:
    images = np.empty((len(labels), *patterns.shape[1:]), np.uint8)
    for start in range(0, len(labels), _CHUNK):
        chunk = images[start : start + _CHUNK]
        noise = _bytes(bits, chunk.size).reshape(chunk.shape)
        np.right_shift(noise, 1, out=chunk)
        chunk += patterns[labels[start : start + _CHUNK]]
    return images


def _bytes(bits: np.random.PCG64, count: int) -> Bytes:
    words: np.ndarray[Any, np.dtype[np.uint64]] = bits.random_raw(-(-count // 8))
    return words.astype("<u8", copy=False).view(np.uint8)[:count]
