"""What a session writes into the folders of its runs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mnistbench import data
from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.run_config import RunConfig
from mnistbench.machine import host
from mnistbench.measuring.interrupts import held_back
from mnistbench.measuring.jobs import InferenceResult
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.phases import PhaseRecord, utc_now
from mnistbench.results.rows import MachineRow, MetricRow, TimingRow, cell
from mnistbench.results.tables import INFERENCE, MACHINE, METRICS, SCHEMA, SCHEMA_FACT, TIMINGS
from mnistbench.session.crews import Crew
from mnistbench.session.records import RepeatRecord, Run


@contextmanager
def kept_if_measured(runs: Sequence[Run]) -> Iterator[None]:
    """Remove, however the block ends, the folders made for runs that have no repeat then."""
    try:
        yield
    finally:
        for run in runs:
            if not run.repeats:
                run.folder.remove()


def create_runs(
    configs: Sequence[RunConfig], output: Path, tag: str, downloads: Mapping[str, PhaseRecord]
) -> list[Run]:
    """Check every config's data and make every run's folder; on an error, none is left.

    Each download, by data set, is of the first run of that data. Raises InputError, OutputError.
    """
    identities = [checked_identity(config) for config in configs]
    runs: list[Run] = []
    try:
        for config, identity in zip(configs, identities, strict=True):
            run_id = new_run_id(config.name, host.node())
            folder = RunFolder.create(output, run_id, config.to_yaml())
            runs.append(Run(config, run_id, folder, identity, tag=tag))
    except BaseException:
        for run in runs:
            run.folder.remove()
        raise
    assign_downloads(downloads, runs)
    return runs


def assign_downloads(downloads: Mapping[str, PhaseRecord], runs: Sequence[Run]) -> None:
    """Give each download, by data set, to the first run of that data."""
    for name, phase in downloads.items():
        first = next(run for run in runs if run.config.dataset_label == name)
        first.download = phase


def checked_identity(config: RunConfig) -> data.DataIdentity:
    """Return the digests of the config's data; raise InputError if it cannot be read whole."""
    whole = data.load(config)
    data.select(whole, config)  # only a user's own copy can hold fewer images than were checked
    return data.identify(whole, config)


def describe(
    crew: Crew,
    repeats: int | None,
    warmup: int,
    facts: Mapping[str, object],
    session_id: str = "",
) -> None:
    """Write machine.csv and begin the log of every run; runs of one call share the session.

    `repeats` is None where a rule decides.
    """
    session = {
        SCHEMA_FACT: SCHEMA,
        "session": session_id or secrets.token_hex(6),
        "started_utc": utc_now(),
        "repeats_planned": repeats,
        "warmup_discarded": warmup,
        "start_method": "fork" if crew.executor.forks else "spawn",
    }
    for run in crew.runs:
        add_facts(run, {**facts, **session, **_data_facts(run.identity)})
        if crew.executor.forks:
            title = BACKENDS[run.config.backend].title
            text = crew.executor.startup_text or "(nothing)"
            run.folder.log(f"{title} said while it was imported:\n{text}")
        often = "repeats until precise" if repeats is None else f"{repeats} repeats"
        run.folder.log(f"{run.config.name}: {often}, {warmup} warm-ups, on {run.device}")


def add_facts(run: Run, facts: Mapping[str, object]) -> None:
    """Add attributes to the run's machine.csv."""
    rows = [MachineRow(run.run_id, name, cell(value)) for name, value in facts.items()]
    run.folder.append(MACHINE, rows)


def _data_facts(identity: data.DataIdentity) -> Mapping[str, object]:
    return {
        "dataset_source": identity.source,
        "dataset_canonical": identity.canonical,
        **{f"dataset_{name}_sha256": digest for name, digest in identity.digests.items()},
    }


def keep(record: RepeatRecord, run: Run) -> None:
    """Write the repeat's rows to the disk, to all its tables or to none."""
    if run.download is not None and not run.repeats:
        record = replace(record, phases=(run.download, *record.phases))
    number = record.turn.repeat
    metrics = [MetricRow(run.run_id, number, m.name, m.value, m.unit) for m in record.metrics]
    result = record.result
    own = {INFERENCE: [result.row]} if isinstance(result, InferenceResult) else {}
    with held_back():
        # Its times last: whoever reads takes a repeat that has them for whole.
        times = timing_rows(record, run)
        run.folder.append_together({**own, METRICS: metrics, TIMINGS: times})
        run.repeats.append(record)  # from here on its folder is kept, whatever fails next
    run.folder.log(f"repeat {number} ended: {record.status} {record.reason}")


def timing_rows(record: RepeatRecord, run: Run) -> list[TimingRow]:
    """Return one row for each phase of the repeat."""
    config, result = run.config, record.result
    return [
        TimingRow(
            run_id=run.run_id,
            config=config.name,
            config_digest=config.digest(),
            dataset=config.dataset_label,
            data_digest=result.identity.digest if result else run.identity.digest,
            model=config.model.family,
            backend=result.backend if result else config.backend,
            device=result.device if result else run.device,
            precision=result.precision if result else "",
            epochs=config.training.epochs,
            batch_size=config.training.batch_size,
            repeat=record.turn.repeat,
            seed=record.turn.seed,
            phase=phase.phase,
            seconds=phase.seconds,
            cpu_seconds=phase.cpu_seconds,
            start_utc=phase.start_utc,
            status=phase.status,
            tag=run.tag,
            node=host.node(),
            user=host.user(),
        )
        for phase in record.phases
    ]


def write_cloudmesh_report(run: Run) -> None:
    """Write cloudmesh.log of the repeats so far, if there is any."""
    if not run.repeats:
        return
    with held_back():
        # Imported here: it takes 0.2 s and changes PyYAML for the whole process.
        from mnistbench.results.cloudmesh_report import write_report

        rows = [row for record in run.repeats for row in timing_rows(record, run)]
        write_report(run.folder, rows)
