"""A plain PyTorch loop at its best on a CPU, eager or with torch.compile.

    python benchmarks/peers/torch_loop.py [CONFIG] [--compile] [--set training.epochs=1]

No DataLoader: the images are one tensor, put into a new order once an epoch and then cut into
views, which is faster than a gather a step. Fused optimizers, channels_last for convolutions, one
thread where batches are small. Loss and accuracy of an epoch are taken from the kept outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from common import PRECISE, Task, Timers, load_task, parser
from torch import Tensor, nn
from torch.nn import functional

from mnistbench.config import network as plan

ACTIVATIONS = {"relu": nn.ReLU, "linear": nn.Identity}
SMALL_BATCH = 64
"""Below it, dense layers are faster on one thread."""

Forward = Callable[[Tensor], Tensor]
Step = Callable[[Tensor, Tensor], Tensor]


def modules_of(layer: plan.Layer, shape: tuple[int, ...]) -> list[nn.Module]:
    """Return a layer as modules; the softmax is in the loss."""
    if isinstance(layer, plan.Dense):
        return [nn.Linear(shape[0], layer.units), ACTIVATIONS[layer.activation]()]
    if isinstance(layer, plan.Convolution):
        convolution = nn.Conv2d(shape[2], layer.filters, layer.kernel_size, padding=layer.padding)
        return [convolution, ACTIVATIONS[layer.activation](inplace=True)]
    if isinstance(layer, plan.MaxPooling):
        return [nn.MaxPool2d(layer.size)]
    if isinstance(layer, plan.Flatten):
        return [nn.Flatten()]
    return [nn.Dropout(layer.rate)] if isinstance(layer, plan.Dropout) else []


def network(task: Task) -> nn.Sequential:
    modules: list[nn.Module] = []
    shape = task.x_train.shape[1:]
    for layer in task.layers:
        modules += modules_of(layer, shape)
        shape = layer.output_shape(shape)
    model = nn.Sequential(*(m for m in modules if not isinstance(m, nn.Identity)))
    for module in model:
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return model.to(memory_format=torch.channels_last) if task.x_train.ndim == 4 else model


def optimizer_of(model: nn.Module, task: Task) -> torch.optim.Optimizer:
    weights, rate = list(model.parameters()), task.learning_rate
    if task.optimizer == "adam":
        return torch.optim.Adam(weights, rate, eps=PRECISE, fused=True)
    if task.optimizer == "sgd":
        return torch.optim.SGD(weights, rate, fused=True)
    # Keras adds epsilon under the root, PyTorch after it. There is no fused one.
    return torch.optim.RMSprop(weights, rate, alpha=0.9, eps=PRECISE**0.5, foreach=False)


def images_of(numbers: object) -> Tensor:
    """Return (n, values), or (n, channels, height, width) with the channels last in memory."""
    images = torch.as_tensor(numbers)
    return images.permute(0, 3, 1, 2) if images.ndim == 4 else images


def step_of(forward: Forward, optimizer: torch.optim.Optimizer) -> Step:
    def step(images: Tensor, labels: Tensor) -> Tensor:
        logits = forward(images)
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return logits.detach()

    return step


def compiled(model: nn.Module, task: Task, images: Tensor, labels: Tensor) -> Forward:
    """Compile for both sizes of batch, by a step of each, and leave the weights as they were."""
    forward = torch.compile(model, dynamic=False)
    before = copy.deepcopy(model.state_dict())
    step = step_of(forward, optimizer_of(model, task))
    rest = len(images) - task.full_steps * task.batch_size
    for size in {min(task.batch_size, len(images)), rest} - {0}:
        step(images[:size], labels[:size])
    model.load_state_dict(before)
    return forward


def train_epoch(step: Step, task: Task, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Go once through the images in a new order; return loss and accuracy over the steps."""
    order = torch.randperm(len(images))
    images, labels = images[order], labels[order]
    logits = torch.empty(len(images), int(labels.max()) + 1)
    size = task.batch_size
    for batch, answers, kept in zip(
        images.split(size), labels.split(size), logits.split(size), strict=True
    ):
        kept.copy_(step(batch, answers))
    return scores(logits, labels)


def scores(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    loss = functional.cross_entropy(logits, labels)
    return float(loss), float((logits.argmax(1) == labels).float().mean())


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    model.eval()
    with torch.inference_mode():
        found = scores(torch.cat([model(part) for part in images.split(1000)]), labels)
    model.train()
    return found


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, task: Task, timers: Timers,
    data: list[Tensor], compile_it: bool,
) -> int:  # fmt: skip
    """Train every epoch, validation included, and return the number of steps."""
    forward: Forward = model
    timers.seconds["compile"] = 0.0
    if compile_it:
        with timers.phase("compile"):
            forward = compiled(model, task, *data[:2])
    step = step_of(forward, optimizer)
    steps = 0
    for epoch in range(task.epochs):
        loss, accuracy = train_epoch(step, task, *data[:2])
        steps += task.steps
        print(f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {accuracy:.4f}")
        if task.validates:
            loss, accuracy = evaluate(model, *data[2:])
            print(f"validation: loss {loss:.4f}, accuracy {accuracy:.4f}")
    return steps


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--compile", action="store_true", help="through torch.compile")
    chosen = options.parse_args()
    timers = Timers()
    task = load_task(chosen.config, chosen.set, chosen.seed, timers)
    torch.manual_seed(chosen.seed)
    if task.x_train.ndim == 2 and task.batch_size < SMALL_BATCH:
        torch.set_num_threads(1)
    data = [
        images_of(task.x_train), torch.as_tensor(task.y_train),
        images_of(task.x_test), torch.as_tensor(task.y_test),
    ]  # fmt: skip
    model = network(task)
    optimizer = optimizer_of(model, task)  # the first one imports for seconds: no training
    with timers.phase("train"):
        steps = train(model, optimizer, task, timers, data, chosen.compile)
    with timers.phase("test"):
        _, accuracy = evaluate(model, *data[2:])
    timers.report(accuracy, steps)


if __name__ == "__main__":
    main()
