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
)

DATASETS: dict[str, DatasetFacts] = {facts.name: facts for facts in (MNIST,)}
