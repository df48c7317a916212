"""What the lessons themselves report: the figures that `mnistbench reproduce` is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LessonReport:
    """One lesson's network, and what its text prints of it."""

    config: str
    """The shipped config that is this network."""
    lesson: str
    parameters: int
    """Of the layers in the lesson's code, or in its printed output where they differ."""
    accuracy: float | None
    """Test accuracy as the lesson states it; None where it states none."""
    accuracy_epochs: int
    """Epochs after which the lesson states it."""
    lowest: float
    """The least test accuracy, at the config's own epochs, that counts as reproduced."""
    highest: float = 1.0
    """The most; above it the network is not the lesson's."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """A phase, or a metric in seconds, to what the lesson prints for it."""
    notes: tuple[str, ...] = ()
    """Where the lesson contradicts itself, or cannot be compared as it stands."""


LESSONS: dict[str, LessonReport] = {
    report.config: report
    for report in (
        LessonReport(
            "mnist-dense",
            "MNIST benchmark with cloudmesh (2019)",
            50_890,
            0.910,
            1,
            lowest=0.895,
            highest=0.925,
            seconds={"data-load": 1.335, "compile": 0.047, "train": 20.58, "test": 1.393},
            notes=(
                "The lesson's data-load holds a download of 1 s; its machine is Colab, 2 vCPU.",
            ),
        ),
        LessonReport(
            "mnist-dense-512",
            "MNIST on Google Colab",
            407_050,
            0.9148,
            1,
            lowest=0.8998,
            highest=0.9298,
            seconds={"train": 3.0},
            notes=("Its code says 64 units and batch 4; its printed output is of 512 and 128.",),
        ),
        LessonReport(
            "mnist-cnn",
            "MNIST CNN on Google Colab",
            112_074,
            0.9813,
            1,
            lowest=0.985,
            seconds={"epoch_1_seconds": 125.0, "test": 6.0},
            notes=("Its code says 10 epochs; its printed figures are of 1.",),
        ),
        LessonReport(
            "mnist-mlp",
            "Hello World of deep learning",
            669_706,
            None,
            5,
            lowest=0.97,
            notes=('It says "close to 100 %" and no figure; it names no optimizer: rmsprop.',),
        ),
        LessonReport(
            "mnist-dense-relu",
            "Keras dense network, MNIST",
            25_818,
            0.95,
            10,
            lowest=0.94,
            seconds={"steady_step_seconds": 558e-6},
            notes=(
                "Its heading says two layers of 512; its code has 32 and 16.",
                'It says "more than 0.95".',
            ),
        ),
        LessonReport(
            "cifar10-dense",
            "Keras dense network, CIFAR-10",
            99_034,
            0.44,
            10,
            lowest=0.40,
            highest=0.48,
            notes=("It divides by 255 and then by the maximum, 1: the second changes nothing.",),
        ),
        LessonReport(
            "cifar10-cnn",
            "asked for by the dense lesson's last line",
            122_570,
            None,
            10,
            lowest=0.67,
            notes=(
                "The lesson gives no network: this is that of TensorFlow's CNN tutorial, "
                "which reports about .70.",
            ),
        ),
    )
}
