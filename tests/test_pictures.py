"""Every picture shows what it should: panels, axes, titles and texts, and a PNG of its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from mnistbench.config.datasets import MNIST
from mnistbench.config.loading import load_config
from mnistbench.config.network import layer_table
from mnistbench.results import pictures
from mnistbench.results.rows import HistoryRow

NAMES = ("airplane", "automobile", "bird")


def history(epochs: int, validation: bool) -> list[HistoryRow]:
    return [
        HistoryRow(
            epoch,
            1 / epoch,
            1 - 0.5 / epoch,
            1.1 / epoch if validation else None,
            0.9 - 0.5 / epoch if validation else None,
            0.01,
            2.0,
            500.0,
        )
        for epoch in range(1, epochs + 1)
    ]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def test_curves_have_two_panels_with_titled_axes() -> None:
    figure = pictures.curves_figure("mnist-mlp", history(5, validation=True))
    assert figure.get_suptitle() == "mnist-mlp: learning curves"
    accuracy, loss = figure.axes
    assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == ("epoch", "accuracy")
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss")
    for axes in (accuracy, loss):
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    training, validation = loss.get_lines()
    assert list(training.get_xdata()) == [1, 2, 3, 4, 5]
    assert list(training.get_ydata()) == [1 / epoch for epoch in range(1, 6)]
    assert list(validation.get_ydata()) == [1.1 / epoch for epoch in range(1, 6)]


def test_curves_without_validation_have_one_line_each() -> None:
    figure = pictures.curves_figure("mnist-dense", history(1, validation=False))
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 1]


def test_architecture_names_every_layer_with_shape_and_parameters() -> None:
    config = load_config("mnist-cnn")
    table = layer_table(config.model, MNIST.image_shape, MNIST.classes)
    shape = config.model.input_shape(MNIST.image_shape)
    figure = pictures.architecture_figure("mnist-cnn", shape, table)
    (axes,) = figure.axes
    assert axes.get_title() == "mnist-cnn: 112,074 parameters"
    shown = texts(figure)
    assert shown.count("Convolution 64 of 3x3, same, relu") == 3
    assert shown.count("36,928") == 3
    for text in ("Input", "28 x 28 x 1", "Dropout 0.2", "Dense 10, linear", "Softmax"):
        assert text in shown
    assert len(axes.patches) == len(table) + 1


def test_confusion_counts_every_pair_and_names_both_axes() -> None:
    counts = np.array([[90, 10, 0], [5, 40, 5], [0, 0, 0]])
    figure = pictures.confusion_figure("two of three", counts, NAMES)
    axes, scale = figure.axes
    assert axes.get_title() == "two of three"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("guess", "truth")
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    assert {(t.get_position(), t.get_text()) for t in axes.texts} == {
        ((0, 0), "90"), ((1, 0), "10"), ((0, 1), "5"), ((1, 1), "40"), ((2, 1), "5"),
    }  # fmt: skip
    assert scale.get_ylabel() == "share of the true class"
    np.testing.assert_allclose(axes.images[0].get_array()[0], [0.9, 0.1, 0])


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (3, 5)])
def test_grid_shows_each_image_under_its_caption(channels: int, side: int) -> None:
    rng = np.random.default_rng(1)
    count = side * side - 1
    images = rng.integers(0, 256, (count, 8, 8, channels), dtype=np.uint8)
    wrong = [number == 2 for number in range(count)]
    captions = [f"guess {number}" for number in range(count)]
    figure = pictures.grid_figure("some", images, captions, wrong, side)
    assert figure.get_suptitle() == "some"
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == captions
    assert len(axes.images) == count
    for number, (shown, image) in enumerate(zip(axes.images, images, strict=True)):
        expected = image[..., 0] if channels == 1 else image
        np.testing.assert_array_equal(np.asarray(shown.get_array()), expected)
        left, right, bottom, top = shown.get_extent()
        assert left // 1.6 == right // 1.6 == number % side, "its column"
        assert axes.texts[number].get_position()[0] == pytest.approx((left + right) / 2)
        assert axes.texts[number].get_position()[1] < top < bottom, "above it"
        assert number < side or bottom > axes.images[number - side].get_extent()[2]
    colors = [to_hex(text.get_color()) for text in axes.texts]
    assert colors[2] not in (colors[0], colors[1])
    assert colors[0] == colors[1]


def test_saved_pictures_have_their_size_and_are_not_blank(tmp_path: Path) -> None:
    figure = pictures.curves_figure("mnist-mlp", history(3, validation=True))
    pictures.save(figure, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
        assert image.size == (1200, 504)
        assert len(set(image.convert("L").tobytes())) > 20
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_text_of_a_picture_does_not_overlap() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (25, 32, 32, 3), dtype=np.uint8)
    captions = ["automobile, 98%\nis airplane"] * 25
    figure = pictures.grid_figure(
        "cifar10-cnn: the worst mistakes", images, captions, [True] * 25, 5
    )
    figure.draw_without_rendering()
    [axes] = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    pixels = [image.get_window_extent() for image in axes.images]
    for number, box in enumerate(boxes):
        others = [other for place, other in enumerate(boxes) if place != number]
        assert box.count_overlaps(others) == 0
        assert box.count_overlaps(pixels) == 0
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
