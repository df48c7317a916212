"""Operations counted by hand and by TensorFlow itself are those that we count."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.config.files import known_configs
from mnistbench.config.loading import load_config
from mnistbench.config.work import forward_flops, layer_works, train_phase_work, training_flops

CONFIGS = sorted(known_configs())

COUNT = """
import json, sys
import keras, tensorflow as tf
from tensorflow.python.framework import ops
from mnistbench.measuring.inside import models
from mnistbench.config.loading import load_config

IMAGES = 3
PRODUCTS = ("MatMul", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")

def counted(function, images):
    graph = function.get_concrete_function(images).graph
    found = {"products": 0.0, "others": 0.0}
    for operation in graph.get_operations():
        flops = ops.get_stats_for_node_def(graph, operation.node_def, "flops").value or 0
        found["products" if operation.type in PRODUCTS else "others"] += float(flops) / IMAGES
    return found

def both(config):
    model = models.build_model(config)
    shape = config.model.input_shape(config.facts.image_shape)
    images = tf.zeros((IMAGES, *shape))

    def gradients(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True))
        return tape.gradient(loss, model.trainable_variables)

    forward = tf.function(lambda images: model(images, training=False))
    training = tf.function(gradients)
    return {"forward": counted(forward, images), "training": counted(training, images)}

told = {}
for name, overrides in json.loads(sys.argv[1]):
    told[name + str(overrides)] = both(load_config(name, overrides))
print(json.dumps(told))
"""

PADDED = ("model.padding=[same]",)


def overrides_of(name: str) -> tuple[str, ...]:
    return PADDED if name.endswith("cnn") else ()


@pytest.fixture(scope="module")
def tensorflow_counts() -> dict[str, dict[str, dict[str, float]]]:
    """What TensorFlow's profiler knows of the operations of every network."""
    wanted = [(name, []) for name in CONFIGS]
    wanted += [(name, list(PADDED)) for name in CONFIGS if name.endswith("cnn")]
    done = subprocess.run(
        [sys.executable, "-c", COUNT, json.dumps(wanted)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told: dict[str, dict[str, dict[str, float]]] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("name", CONFIGS)
def test_forward_is_what_tensorflow_counts(name, tensorflow_counts):
    counted = tensorflow_counts[name + "[]"]["forward"]
    assert forward_flops(load_config(name)) == counted["products"]
    # What the count leaves out of a forward pass is little.
    assert counted["others"] < 0.02 * counted["products"]


@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_what_tensorflow_counts(name, tensorflow_counts):
    """With padded convolutions: for the gradients of others its formula takes the larger image."""
    config = load_config(name, overrides_of(name))
    counted = tensorflow_counts[name + str(list(overrides_of(name)))]["training"]["products"]
    # TensorFlow's graph holds the gradient of the images too, where a convolution meets them;
    # nothing asks for it, and it is pruned before it runs.
    unasked = 2 * layer_works(config)[0].multiply_adds if name.endswith("cnn") else 0
    assert training_flops(config) == counted - unasked


@pytest.mark.parametrize(
    ("name", "forward", "training"),
    [
        # 784 x 64 and 64 x 10 products; the gradient of the images is nobody's
        ("mnist-dense", 2 * (784 * 64 + 640), 2 * (2 * 784 * 64 + 3 * 640)),
        ("mnist-dense-relu", 2 * (784 * 32 + 512 + 160), 2 * (2 * 784 * 32 + 3 * (512 + 160))),
    ],
)
def test_counts_by_hand(name, forward, training):
    assert forward_flops(load_config(name)) == forward
    assert training_flops(load_config(name)) == training


def test_the_documents_table_is_what_is_counted():
    text = (Path(__file__).parents[1] / "docs" / "roofline.md").read_text()
    for name in CONFIGS:
        config = load_config(name)
        assert f"| `{name}` | {forward_flops(config):,} | {training_flops(config):,} |" in text


def test_bytes_by_hand():
    """A linear classifier: 784 pixels, 10 outputs, 7,850 parameters, SGD, two steps of 3 images."""
    config = load_config("mnist-dense", ["model.hidden_units=[]", "training.optimizer=sgd"])
    work = train_phase_work(config, steps=2, trained=6, validated=5, precision="float32")
    forward = 784 + 10 * 4
    backward = 10 * 4 + 784
    # Read forward; gradient written and read; variable read and written.
    step = 7850 * 4 * (1 + 2 + 2)
    assert work.bytes == 11 * forward + 6 * backward + 2 * step
    assert work.flops == 2 * 7840 * (11 + 6)


def test_an_optimizer_that_remembers_moves_more():
    def moved(optimizer):
        config = load_config("mnist-mlp", [f"training.optimizer={optimizer}"])
        return train_phase_work(config, steps=1, trained=0, validated=0, precision="float32").bytes

    slot = 2 * 4 * 669_706
    assert moved("rmsprop") - moved("sgd") == slot
    assert moved("adam") - moved("sgd") == 2 * slot


def test_every_optimizer_is_known():
    schema = load_config("mnist-dense").model_json_schema()
    for optimizer in schema["$defs"]["TrainingConfig"]["properties"]["optimizer"]["enum"]:
        config = load_config("mnist-dense", [f"training.optimizer={optimizer}"])
        work = train_phase_work(config, steps=1, trained=1, validated=0, precision="float32")
        assert work.flops == training_flops(config), optimizer


def test_half_precision_halves_what_activations_move():
    config = load_config("mnist-cnn")

    def moved(precision):
        return train_phase_work(config, steps=0, trained=1, validated=0, precision=precision).bytes

    assert moved("mixed_bfloat16") == moved("mixed_float16")
    assert 0.5 < moved("mixed_bfloat16") / moved("float32") < 0.501


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 300), max_size=4), st.integers(0, 50), st.integers(0, 50),
    st.integers(0, 50),
)  # fmt: skip
def test_work_adds_up(units, steps, trained, validated):
    config = load_config("mnist-dense", [f"model.hidden_units={units}"])

    def work(steps, trained, validated):
        return train_phase_work(
            config, steps=steps, trained=trained, validated=validated, precision="float32"
        )

    apart = work(steps, 0, 0) + work(0, trained, 0) + work(0, 0, validated)
    assert work(steps, trained, validated) == apart
    assert work(0, 0, 1).flops == forward_flops(config)
    assert work(0, 1, 0).flops == training_flops(config) >= 2 * forward_flops(config)
