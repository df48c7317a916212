"""scikit-learn's MLPClassifier; it has no convolutions, no dropout and no rmsprop.

    python benchmarks/peers/sklearn_mlp.py [CONFIG] [--set training.epochs=1]

Nothing is compiled. Its initial biases are random where the others' are 0: that cannot be set.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from common import PRECISE, Task, Timers, load_task, parser
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from mnistbench.config.network import Dense, Softmax

ACTIVATIONS = {"linear": "identity", "relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
SMALL_BATCH = 64
"""Below it, one thread multiplies faster than the handing over to several takes."""


def why_not(task: Task) -> str:
    """Return what of the network scikit-learn cannot express; nothing if it can."""
    other = {type(layer).__name__ for layer in task.layers} - {Dense.__name__, Softmax.__name__}
    if other:
        return f"scikit-learn has no layer {sorted(other)[0]}"
    return "" if task.optimizer in ("adam", "sgd") else f"scikit-learn has no {task.optimizer}"


def classifier(task: Task) -> MLPClassifier:
    hidden = [layer for layer in task.layers if isinstance(layer, Dense)][:-1]
    return MLPClassifier(
        hidden_layer_sizes=[layer.units for layer in hidden],
        activation=ACTIVATIONS[hidden[0].activation],
        solver=task.optimizer,
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate,
        momentum=0.0,
        nesterovs_momentum=False,
        epsilon=PRECISE,
        max_iter=task.epochs,
        n_iter_no_change=task.epochs + 1,
        random_state=task.seed,
    )


def train(network: MLPClassifier, task: Task) -> None:
    if not task.validates:
        network.fit(task.x_train, task.y_train)
        return
    classes = np.unique(task.y_train)
    for epoch in range(task.epochs):
        network.partial_fit(task.x_train, task.y_train, classes=classes)
        probabilities = network.predict_proba(task.x_test)
        loss = log_loss(task.y_test, probabilities, labels=network.classes_)
        accuracy = (probabilities.argmax(1) == task.y_test).mean()
        print(f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {accuracy:.4f}")


def main() -> None:
    options = parser(__doc__).parse_args()
    timers = Timers()
    task = load_task(options.config, options.set, options.seed, timers)
    problem = why_not(task)
    if problem:
        sys.exit(f"{options.config}: {problem}")
    network = classifier(task)
    warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are given
    threads = 1 if task.batch_size < SMALL_BATCH else None
    timers.seconds["compile"] = 0.0
    with threadpool_limits(threads), timers.phase("train"):
        train(network, task)
    with timers.phase("test"):
        accuracy = float(network.score(task.x_test, task.y_test))
    # It counts the samples it has seen; an epoch's partial batch is a step as well.
    epochs = round(network.t_ / len(task.x_train))
    timers.report(accuracy, epochs * task.steps)


if __name__ == "__main__":
    main()
