"""`mnistbench data`: where the data sets are, how they get here, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_data
from mnistbench.cli.output import progress
from mnistbench.errors import OK, RUN_FAILED, InputError

if TYPE_CHECKING:
    from mnistbench.config.datasets import DatasetFacts
    from mnistbench.data import Dataset
    from mnistbench.data.description import DatasetDescription
    from mnistbench.data.sources import Source


@click.group("data")
def command() -> None:
    """List, fetch, import, verify and show data sets."""


@command.command("list")
def list_data() -> None:
    """List the data sets, where each one is, and its digests."""
    from rich.table import Table

    from mnistbench.config.datasets import DATASETS
    from mnistbench.data.sources import find
    from mnistbench.report.terminal import output_console

    table = Table("Data set", "Where", "Training", "Test", "sha256 of x_train", "of x_test")
    for facts in DATASETS.values():
        counts = (f"{facts.train_count:,}", f"{facts.test_count:,}")
        short = [facts.digests[name][:12] for name in ("x_train", "x_test")]
        table.add_row(facts.name, _place(facts, find(facts)), *counts, *short)
    output_console().print(table)


@command.command("fetch")
@click.argument("name", shell_complete=complete_data)
@options.quiet
@options.verbose
def fetch(name: str, quiet: bool, verbose: bool) -> None:
    """Bring the data set NAME to this machine: from Keras's cache, or by a download."""

    from mnistbench import data
    from mnistbench.data import store
    from mnistbench.session.fetching import fetch as download

    facts = _facts(name)
    source = data.find(facts)
    if source is not None and source.kind == "embedded":
        click.echo(f"{facts.title} is inside mnistbench: nothing to fetch")
        return
    place = store.stored(facts)
    if place is not None and store.is_intact(place, facts.digests):
        click.echo(f"{facts.title} is here already, whole: {place}")
        return
    if _from_cache(facts):
        return
    with progress(quiet) as listener:
        phase = download(facts, listener)
    click.echo(f"{facts.title} downloaded in {phase.seconds:.1f} s: {store.stored(facts)}")


def _from_cache(facts: DatasetFacts) -> bool:
    """Take the data set from Keras's cache; tell of a copy that is damaged, and return False."""
    from mnistbench import data
    from mnistbench.data.sources import keras_sources

    if not keras_sources(facts):
        return False
    try:
        place = data.keep_cached(facts)
    except InputError as error:
        problem = str(error).split("; ")[0]
        click.echo(f"mnistbench: {problem}; passed over", err=True)
        return False
    click.echo(f"{facts.title} taken from Keras's cache: {place}")
    return True


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@options.verbose
def import_data(path: Path, verbose: bool) -> None:
    """Copy a data set from PATH into mnistbench's folder.

    PATH is a file or folder in any format that dataset.path takes, of the published data.
    """
    from mnistbench import data

    facts, place = data.import_copy(path)
    if place is None:
        click.echo(f"{facts.title} is inside mnistbench, and {path} is the same: nothing to import")
    else:
        click.echo(f"{facts.title} imported: {place}")


@command.command("verify")
def verify() -> int:
    """Read every data set here whole and compare its digests; exit 1 if one differs."""
    from mnistbench.config.datasets import DATASETS
    from mnistbench.data.sources import find

    good = True
    for facts in DATASETS.values():
        source = find(facts)
        if source is None:
            click.echo(f"{facts.name}: not on this machine")
        else:
            good = _verify(source) and good
    return OK if good else RUN_FAILED


@command.command("show")
@click.argument("name", shell_complete=complete_data)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the first training images into this PNG.",
)
@click.option("--path", help="A copy of your own, as dataset.path.")
@click.option("--synthetic", is_flag=True, help="The images that --synthetic makes.")
@options.verbose
def show(name: str, output: Path | None, path: str | None, synthetic: bool, verbose: bool) -> None:
    """Print the data set NAME in figures; with --output, draw its first training images."""
    from mnistbench import data
    from mnistbench.data.description import describe
    from mnistbench.data.sources import Source

    facts = _facts(name)
    if synthetic:
        source = Source("synthetic", facts, seed=42)
    else:
        found = Source("path", facts, Path(path).expanduser()) if path else data.find(facts)
        if found is None:
            raise data.not_here(facts)
        source = found
    dataset = data.checked(source.read(), facts, source.name)
    _print_description(describe(dataset, facts), facts, source)
    if output is None:
        click.echo("Picture: add --output FILE.png")
        return
    _draw(dataset, source, output)
    click.echo(f"Picture: {output}")


def _draw(dataset: Dataset, source: Source, file: Path) -> None:
    from mnistbench.results import pictures

    facts = source.facts
    count = min(facts.grid**2, len(dataset.x_train))
    names = [facts.class_names[label] for label in dataset.y_train[:count]]
    whose = facts.title if source.path is None or source.must_be_canonical else source.path.name
    title = f"{whose}, the first training images"
    shown = dataset.x_train[:count]
    figure = pictures.grid_figure(title, shown, names, [False] * count, facts.grid)
    pictures.save(figure, file)


def _facts(name: str) -> DatasetFacts:
    from mnistbench.config.datasets import DATASETS

    if name not in DATASETS:
        raise InputError(f"no data set named {name!r}", hint=f"known are {', '.join(DATASETS)}")
    return DATASETS[name]


def _place(facts: DatasetFacts, source: Source | None) -> str:
    if source is None:
        return f"not here; mnistbench data fetch {facts.name}"
    where = {"embedded": "inside mnistbench", "keras": f"Keras's cache, {source.path}"}
    return where.get(source.kind, str(source.path))


def _verify(source: Source) -> bool:
    """Print each file and array of a source with its digest; return whether all are right."""
    from mnistbench.data import checked
    from mnistbench.data.arrays import digests
    from mnistbench.data.description import file_digests

    facts = source.facts
    try:
        for file, sha256 in file_digests(source).items():
            click.echo(f"{facts.name}: file {file}: {sha256}")
        found = digests(dict(vars(checked(source.read(), facts, source.name))))
    except InputError as error:
        click.echo(f"{facts.name}: DAMAGED: {error}")
        return False
    for name, sha256 in found.items():
        verdict = "ok" if sha256 == facts.digests[name] else f"DIFFERS from {facts.digests[name]}"
        click.echo(f"{facts.name}: array {name}: {sha256} {verdict}")
    return found == dict(facts.digests)


def _origin(description: DatasetDescription, source: Source) -> str:
    """Return who made the images, where that is known."""
    if source.kind == "synthetic":
        return f"made from the seed {source.seed}"
    published = source.facts.digests
    if all(array.sha256 == published[array.name] for array in description.arrays):
        return source.facts.origin
    return f"not the published {source.facts.title}: who made it, under which licence, is not known"


def _print_description(
    description: DatasetDescription, facts: DatasetFacts, source: Source
) -> None:
    from rich.table import Table

    from mnistbench.report.terminal import output_console

    console = output_console()
    made = _origin(description, source)
    console.print(f"{facts.title}: {source.name}\n{made}", highlight=False, soft_wrap=True)
    arrays = Table("Array", "dtype", "Shape", "Range", "sha256")
    for array in description.arrays:
        span = f"{array.minimum} to {array.maximum}"
        arrays.add_row(array.name, array.dtype, str(array.shape), span, array.sha256)
    console.print(arrays)
    balance = Table("Class", "Name", "Training", "Test")
    for number, (name, (train, test)) in enumerate(description.balance.items()):
        balance.add_row(str(number), name, f"{train:,}", f"{test:,}")
    console.print(balance)
    one_hot = ", ".join(f"{value:g}" for value in description.first_one_hot)
    label = description.first_label
    name = facts.class_names[label]
    named = "" if name == str(label) else f" ({name})"
    console.print(f"First label: {label}{named}\nOne-hot: [{one_hot}]", highlight=False)
