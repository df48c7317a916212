"""The data sets mnistbench knows: their shapes, counts, digests and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a data set before a byte of it is read."""

    name: str
    title: str
    image_shape: tuple[int, int, int]
    """Height, width and channels, in pixels."""
    classes: int
    class_names: tuple[str, ...]
    train_count: int
    test_count: int
    digests: Mapping[str, str]
    """Array name to the sha256 of its C-order uint8 bytes."""
    origin: str
    """Who made it, and under which licence."""
    embedded: str | None
    """The file inside the package that holds it, if it ships with mnistbench."""
    accepted: str
    """What a user may give as a copy, in words."""
    grid: int
    """Images in a row, and rows, of the picture that shows it."""
    keras_cache: tuple[str, ...] = ()
    """What Keras's loader leaves in its folder `datasets`, by several of its versions."""
    download_bytes: int | None = None
    """Size of the archive that Keras's loader downloads."""


MNIST = DatasetFacts(
    name="mnist",
    title="MNIST",
    image_shape=(28, 28, 1),
    classes=10,
    class_names=tuple("0123456789"),
    train_count=60_000,
    test_count=10_000,
    digests={
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
    origin="Yann LeCun, Corinna Cortes, Christopher J. C. Burges; CC BY-SA 3.0",
    embedded="mnist.npz",
    accepted="a Keras mnist.npz, or a folder of the four IDX files, plain or .gz",
    grid=8,
)

CIFAR10 = DatasetFacts(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(32, 32, 3),
    classes=10,
    class_names=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    train_count=50_000,
    test_count=10_000,
    digests={
        "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "x_test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
    origin="Alex Krizhevsky, Vinod Nair, Geoffrey Hinton; no licence stated, cite Krizhevsky 2009",
    embedded=None,
    accepted="the official Python or binary files, as their folder or .tar.gz, or a .npz",
    grid=7,
    keras_cache=(
        "cifar-10-batches-py-target",
        "cifar-10-batches-py-target_archive",
        "cifar-10-batches-py",
        "cifar-10-batches-py.tar.gz",
    ),
    download_bytes=170_498_071,
)  # fmt: skip

DATASETS: dict[str, DatasetFacts] = {facts.name: facts for facts in (MNIST, CIFAR10)}
