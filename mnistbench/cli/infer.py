"""`mnistbench infer`: how fast a network is applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.output import progress, show_log
from mnistbench.cli.parameters import Counts, TimeSpan, Words
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED, InputError
from mnistbench.report.exports import export
from mnistbench.results.inference import BATCH_SIZES, WAYS

if TYPE_CHECKING:
    from mnistbench.session.infer import Subject


@click.command("infer")
@click.argument("targets", nargs=-1, required=True, metavar="CONFIG|RUN|MODEL...")
@click.option(
    "--batch-sizes",
    type=Counts(1, 1_000_000),
    default=",".join(map(str, BATCH_SIZES)),
    show_default=True,
    help="Images of a query, by commas.",
)
@click.option(
    "--executions",
    type=Words(tuple(WAYS)),
    default=",".join(WAYS),
    show_default=True,
    help="Ways to apply it, by commas: Keras's own predict, the model called, one program.",
)
@click.option(
    "--seconds",
    type=TimeSpan(),
    default="2",
    show_default=True,
    help="Of single queries in each process, and as long again of offline ones.",
)
@options.repeats(3, "Rounds: every way at every batch size is a fresh process in each.")
@click.option("--config", help="The config of a model that has no config.yaml beside it.")
@options.overrides
@options.synthetic
@options.backend
@options.device
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder that receives a folder for each run; default: inference beside the model, or "
    "results/inference.",
)
@options.tag
@options.start_method
@options.format_of("infer")
@options.quiet
@options.verbose_framework
def command(
    targets: tuple[str, ...], batch_sizes: tuple[int, ...], executions: tuple[str, ...],
    seconds: float, repeats: int, config: str | None, overrides: tuple[str, ...], synthetic: bool,
    backend: str | None, device: str | None, output: Path | None, tag: str, start_method: str,
    output_format: str, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Measure latency and throughput of applying networks to the test images.

    RUN is a folder that `train` wrote, MODEL a .keras file; of a CONFIG the network is applied as
    it is drawn, not trained, which takes as long. Several are measured in turn, to be compared.
    """
    from mnistbench.session.infer import InferencePlan, run_inference

    chosen = options.as_overrides(overrides, synthetic=synthetic, backend=backend)
    subjects = tuple(_subject(target, config, chosen, device) for target in targets)
    plan = InferencePlan(
        subjects, executions, batch_sizes, seconds, repeats, output, tag,
        start_method,  # type: ignore[arg-type]
    )  # fmt: skip
    with progress(quiet) as listener:
        inference = run_inference(plan, listener)
    if verbose:
        for run in inference.runs:
            show_log(run.folder)
    if inference.runs:
        export("infer", output_format, inference)
    if inference.interrupted:
        return INTERRUPTED
    return RUN_FAILED if inference.failures else OK


def _subject(
    target: str, config: str | None, overrides: Sequence[str], device: str | None
) -> Subject:
    from mnistbench.config.files import known_configs
    from mnistbench.session.evaluate import find_model
    from mnistbench.session.infer import Subject

    path = Path(target)
    is_model = path.is_dir() or path.suffix == ".keras"
    if target in known_configs() or not is_model:
        if config is not None:
            raise InputError(
                f"is for a model; {target} is a config", source="--config", hint="leave it out"
            )
        return Subject(options.load(target, overrides, device), None)
    for override in overrides:
        if override.strip().startswith("model."):
            raise InputError(
                f"the network is that of {target}", source=f"--set {override}", hint="leave it out"
            )
    if device is not None:
        options.refuse_twice("--device", ("device=",), overrides)
    model, loaded = find_model(path, config, overrides)
    return Subject(
        loaded if device is None else loaded.model_copy(update={"device": device}), model
    )
