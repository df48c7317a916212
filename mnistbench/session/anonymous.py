"""The files of a run without what says whose machine it is: names, paths, and words of one's own.

Only what is known to be harmless is kept: a fact that is added later is left out until it is named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from mnistbench.analysis.identity import part_of
from mnistbench.analysis.submission import FREE_SETTINGS, Submission
from mnistbench.config.loading import load_config
from mnistbench.results.rows import MachineRow, MetricRow, RateRow, Row, TimingRow, to_csv
from mnistbench.results.tables import (
    CALIBRATION,
    CONFIG,
    MACHINE,
    METRICS,
    PEAK,
    TABLES,
    TIMINGS,
    read_table,
)

WORD = "anonymous"
"""Stands in a run's id where the host's name was."""
_HARMLESS = re.compile(
    r"load_\d+min|memory_available_bytes|swap_total_bytes|cpu_frequency_current_hz|cpu_affinity|"
    r"import_seconds|PRETTY_NAME|cloudmesh_common_version|python_compiler|dataset_.*|design|drift_.*|"
    r"target_ci.*|session|started_utc|repeats_planned|warmup_discarded|files_schema"
)
_PATH = re.compile(r"""(^|[\s=:,;"'])(/[\w.~-]|~|[A-Za-z]:[\\/]|\\\\)""")


def anonymous_id(submission: Submission, begun: str) -> str:
    """Return another id of a run, always the same one: of its time and config, not of its host.

    `begun` is its first row's `start_utc`. What stands at the end is drawn from the old id, whose
    own end is random: nobody finds the host's name by trying.
    """
    stamp = re.sub(r"[^0-9TZ]", "", begun.partition(".")[0].removesuffix("Z") + "Z")
    digest = hashlib.sha256(submission.run_id.encode()).hexdigest()[:6]
    return f"{stamp}-{submission.config.name}-{WORD}-{digest}"


def anonymous_files(submission: Submission, run_id: str) -> dict[str, bytes]:
    """Return the files of a run under another id, without names; logs and pictures are left out.

    Raises InputError for a table that is damaged.
    """
    names = _names_of(submission.facts)
    tables: dict[str, list[Row]] = {
        TIMINGS: [
            replace(row, run_id=run_id, tag="", node="", user="")
            for row in read_table(submission.folder, TIMINGS, TimingRow)
        ],
        METRICS: [
            replace(row, run_id=run_id, value=_without(str(row.value or ""), names))
            for row in read_table(submission.folder, METRICS, MetricRow)
        ],
        MACHINE: [
            replace(row, run_id=run_id, value=_without(str(row.value or ""), names))
            for row in read_table(submission.folder, MACHINE, MachineRow)
            if part_of(row.attribute) or _HARMLESS.fullmatch(row.attribute)
        ],
    }
    for name in (CALIBRATION, PEAK):
        rates = read_table(submission.folder, name, RateRow)
        if rates:
            tables[name] = [replace(row, run_id=run_id) for row in rates]
    texts = {name: to_csv(rows, TABLES[name]) for name, rows in tables.items()}
    texts[CONFIG] = _config(submission)
    return {name: text.encode() for name, text in texts.items()}


def _config(submission: Submission) -> str:
    """Return the shipped config with the settings that may differ: the same digest, no path."""
    own = submission.config
    values = {
        "training.execution": own.training.execution,
        "backend": own.backend,
        "training.seed": own.training.seed,
    }
    assert tuple(values) == FREE_SETTINGS
    config = load_config(own.name, [f"{field}={value}" for field, value in values.items()])
    return config.model_copy(update={"device": own.device}).to_yaml()


def _names_of(facts: Mapping[str, str]) -> re.Pattern[str] | None:
    """Return what finds the names of the user and the host as words of a text."""
    node = facts.get("node", "")
    words = {word for word in (facts.get("user", ""), node, node.partition(".")[0]) if word}
    if not words:
        return None
    listed = "|".join(map(re.escape, sorted(words)))
    return re.compile(rf"(?<![A-Za-z0-9])({listed})(?![A-Za-z0-9])", re.IGNORECASE)


def _without(value: str, names: re.Pattern[str] | None) -> str:
    """Return a value, or nothing where it holds a name or a path: then it is unknown."""
    tells = _PATH.search(value) or (names is not None and names.search(value))
    return "" if tells else value
