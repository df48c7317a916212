"""From what the user named to the whole report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from glob import glob
from itertools import count
from pathlib import Path

from mnistbench.analysis.comparison import Rules
from mnistbench.analysis.groups import Groups, compare_groups, read_groups
from mnistbench.errors import InputError
from mnistbench.report.document.answer import answer
from mnistbench.report.document.applied import applied_section
from mnistbench.report.document.bars import charts_of
from mnistbench.report.document.crowd import crowd
from mnistbench.report.document.hardware import METRICS, contention_section, roofline_section
from mnistbench.report.document.learning import learning_section
from mnistbench.report.document.machines import machines_section, read_section
from mnistbench.report.document.parts import Document, Section
from mnistbench.report.document.sweeps import sweep_answer, sweep_sections
from mnistbench.report.document.times import phases_section, repeats_section
from mnistbench.report.document.verdicts import verdicts_section
from mnistbench.results.tables import SWEEP_PLAN, TIMINGS
from mnistbench.session.sweep.sweep import SweepResult, look_at_sweep


@dataclass(frozen=True)
class _Named:
    """What the names on the command line stand for."""

    runs: tuple[str, ...]
    sweeps: tuple[Path, ...]


def build(names: Sequence[str]) -> Document:
    """Read results and return the report on them; raise InputError, naming what cannot be read."""
    named = _told_apart(names)
    sweeps = [look_at_sweep(folder) for folder in named.sweeps]
    runs = named.runs or _same_plans(sweeps)
    groups = read_groups(runs, METRICS) if runs else None
    first, details, sections = _of_runs(groups) if groups else ("", (), ())
    told = [line for sweep in sweeps for line in sweep_answer(sweep, len(sweeps))]
    if not first:
        first, told = told[0], told[1:]
    parts = [*sections, *(part for sweep in sweeps for part in sweep_sections(sweep, len(sweeps)))]
    if groups:
        parts.append(read_section(groups))
    return Document(first, (*details, *told), _with_own_names(parts))


def with_figures(document: Document, names: Sequence[str]) -> Document:
    """Return a report with these figures alone; raise InputError for one that is not there.

    Without names it is as it was.
    """
    known = [figure.name for figure in document.figures]
    for name in names:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "these results give none"
            raise InputError(f"no figure {name!r}; {there}", source="--figure")
    if not names:
        return document
    sections = tuple(
        replace(section, figures=tuple(each for each in section.figures if each.name in names))
        for section in document.sections
    )
    return replace(document, sections=sections)


def _told_apart(names: Sequence[str]) -> _Named:
    """Return which names hold runs, and which sweeps; a folder may hold both."""
    runs, sweeps = list[str](), list[Path]()
    for name in _without_globs_of_sweeps(names):
        folder = Path(name).expanduser()
        own = [folder] if (folder / SWEEP_PLAN).is_file() else []
        inner = sorted(path.parent for path in folder.glob(f"*/{SWEEP_PLAN}")) if not own else []
        sweeps += [*own, *inner]
        if not own and (not inner or any(folder.glob(f"*/{TIMINGS}"))):
            runs.append(name)
    return _Named(tuple(runs), tuple(dict.fromkeys(sweeps)))


def _without_globs_of_sweeps(names: Sequence[str]) -> list[str]:
    """Return the names, with what each glob stands for in place of one that finds sweeps."""
    found = []
    for name in names:
        path = Path(name).expanduser()
        matches = [] if path.exists() else sorted(glob(str(path), recursive=True))  # noqa: PTH207
        has_sweeps = any((Path(match) / SWEEP_PLAN).is_file() for match in matches)
        found += matches if has_sweeps else [name]
    return found


def _with_own_names(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Return the sections that hold anything, no two figures of one name: it is a file's too."""
    taken: set[str] = set()
    named = []
    for section in sections:
        figures = []
        for figure in section.figures:
            name = next(n for n in _names_like(figure.name) if n not in taken)
            taken.add(name)
            figures.append(replace(figure, name=name))
        if not section.is_empty:
            named.append(replace(section, figures=tuple(figures)))
    return tuple(named)


def _names_like(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def _same_plans(sweeps: Sequence[SweepResult]) -> tuple[str, ...]:
    """Return the folders of sweeps of one plan: they are compared point by point, as runs are."""
    are_same = all(
        sweep.plan.points == sweeps[0].plan.points
        and sweep.plan.base.fields == sweeps[0].plan.base.fields
        for sweep in sweeps
    )
    if len(sweeps) < 2 or not are_same or not all(sweep.ended for sweep in sweeps):
        return ()
    return tuple(str(sweep.folder) for sweep in sweeps)


def _of_runs(groups: Groups) -> tuple[str, tuple[str, ...], tuple[Section, ...]]:
    if not groups.sides:
        return crowd(groups)
    rules = Rules()
    comparisons = compare_groups(groups, rules)
    charts = charts_of(groups.sides)
    first, details = answer(groups, comparisons, rules)
    return first, details, (
        verdicts_section(comparisons, rules),
        applied_section(groups.sides),
        machines_section(groups.sides),
        phases_section(charts),
        repeats_section(charts),
        learning_section(charts),
        roofline_section(charts),
        contention_section(charts),
    )  # fmt: skip
