"""BASE against NEW: which configs belong together, what differs, and the verdict of each phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnistbench.analysis import stats
from mnistbench.analysis.calibration import calibration_rates
from mnistbench.analysis.identity import DATA, HARDWARE, Difference, differences
from mnistbench.analysis.judging import (
    Accuracies,
    MetricComparison,
    PhaseComparison,
    Rules,
    Samples,
    judge,
    median,
    normalize,
)
from mnistbench.analysis.metrics import metric_samples, unknown_metric
from mnistbench.analysis.normalization import Prediction, predict
from mnistbench.analysis.pairing import Design, Sample, design_of, samples_of
from mnistbench.analysis.remarks import Measured, remarks_on, was_looked_at, without_partner
from mnistbench.analysis.scaling import scaling_remarks
from mnistbench.analysis.sides import ALL_PHASES, ConfigRuns, Side, sort_phases, unknown_phase
from mnistbench.analysis.waiting import Waiting
from mnistbench.errors import InputError
from mnistbench.results.metrics import known_kind

__all__ = [
    "Comparison", "ConfigComparison", "MetricComparison", "PhaseComparison", "Rules",
    "compare_sides",
]  # fmt: skip


@dataclass(frozen=True)
class ConfigComparison:
    """One config of BASE against one of NEW."""

    base: ConfigRuns
    new: ConfigRuns
    design: Design
    differences: tuple[Difference, ...]
    obstacles: tuple[str, ...]
    """Why these are apples and oranges; empty if they can be compared."""
    incomparable: Mapping[str, str]
    """Phases and metrics that no option compares, and why."""
    phases: tuple[PhaseComparison, ...]
    """Empty if they cannot be compared."""
    accuracies: Accuracies
    notes: tuple[str, ...]
    machines: Prediction | None = None
    """What the calibrations predict; None where the hardware does not differ."""
    metrics: tuple[MetricComparison, ...] = ()
    """Those asked for; empty if they cannot be compared."""

    @property
    def name(self) -> str:
        """Return the config's name; both, where they differ."""
        names = [name for name in (self.base.name, self.new.name) if name]
        return " -> ".join(dict.fromkeys(names)) or "(no name)"

    @property
    def force_helps(self) -> bool:
        """Return whether `--force` would give a verdict where there is none."""
        return bool(self.obstacles) and not self.is_judged and bool(_shared(self.base, self.new))

    @property
    def is_judged(self) -> bool:
        """Return whether anything was compared."""
        return bool(self.phases or self.metrics)


@dataclass(frozen=True)
class Comparison:
    """BASE against one NEW."""

    base: Side
    new: Side
    configs: tuple[ConfigComparison, ...]
    unmatched: tuple[str, ...]
    """Configs that only one side has."""


def compare_sides(base: Side, new: Side, rules: Rules) -> Comparison:
    """Compare every config that both sides have; raise InputError if they are the same runs."""
    _check_apart(base, new)
    _check_phases(base, new, rules.phases)
    _check_metrics(base, new, rules.metrics)
    pairs, unmatched = _matched(base, new)
    configs = tuple(_compare((before, base), (after, new), rules) for before, after in pairs)
    return Comparison(base, new, configs, tuple(unmatched))


def paired_times(base: Side, new: Side, phase: str) -> tuple[Sample, Design]:
    """Return the times of a phase, pair by pair, and how they were measured.

    Raises InputError for what was measured neither interleaved nor at the same time.
    """
    _check_apart(base, new)
    for side in (base, new):
        if len(side.configs) != 1:
            raise InputError(f"holds {len(side.configs)} configs", source=side.name, hint="give 1")
    before, after = base.configs[0], new.configs[0]
    design = design_of(before, after)
    if not design.paired or design.unit != "repeat":
        raise InputError(
            f"was not measured interleaved with {base.name}",
            source=new.name,
            hint="give two runs of one mnistbench benchmark",
        )
    if phase not in _shared(before, after):
        raise InputError(f"no repeat finished its phase {phase}", source=base.name)
    times = before.phases[phase], after.phases[phase]
    waiting = Waiting(before, after, design).of(times)
    return (*samples_of(before, after, times, design), waiting), design


def _check_apart(base: Side, new: Side) -> None:
    shared = {path.absolute() for path in base.files} & {path.absolute() for path in new.files}
    runs = {run.run_id for config in base.configs for run in config.runs if run.run_id}
    again = {run.run_id for config in new.configs for run in config.runs} & runs
    if shared or again:
        which = sorted(again)[0] if again else str(sorted(shared)[0])
        raise InputError(f"{which} is part of BASE too", source=new.name, hint="give another run")


def _check_phases(base: Side, new: Side, wanted: Sequence[str]) -> None:
    names = sort_phases({*base.phases, *new.phases})
    for phase in wanted:
        if phase not in names and phase != ALL_PHASES:
            raise unknown_phase(phase, names, "BASE and NEW")


def _check_metrics(base: Side, new: Side, wanted: Sequence[str]) -> None:
    """Raise InputError for a metric that nobody knows, and for one that is no number."""
    names = {*base.metrics.names, *new.metrics.names}
    for name in wanted:
        for side in (base, new):
            if name in side.metrics.texts:
                raise InputError(
                    f"{name} is no number in {side.name}: {side.metrics.texts[name]!r}",
                    source="--metric",
                    hint="what differs in words is told without asking",
                )
        if name not in names and known_kind(name) is None:
            raise unknown_metric(name, names, {*base.phases, *new.phases})


def _matched(base: Side, new: Side) -> tuple[list[tuple[ConfigRuns, ConfigRuns]], list[str]]:
    """Return the configs that belong together: by digest, by name, or because there is one each."""
    if len(base.configs) == len(new.configs) == 1:
        return [(base.configs[0], new.configs[0])], []
    pairs = []
    left, right = list(base.configs), list(new.configs)
    for same in (_same_config, _same_name):
        for before in list(left):
            after = next((config for config in right if same(before, config)), None)
            if after is not None:
                pairs.append((before, after))
                left.remove(before)
                right.remove(after)
    names = [(base.name, config) for config in left] + [(new.name, config) for config in right]
    return pairs, [f"{config.name or '(no name)'}: only in {side}" for side, config in names]


def _same_config(base: ConfigRuns, new: ConfigRuns) -> bool:
    return (base.name, base.digest) == (new.name, new.digest)


def _same_name(base: ConfigRuns, new: ConfigRuns) -> bool:
    return base.name == new.name or (base.digest == new.digest and base.digest != "")


def _compare(base: Measured, new: Measured, rules: Rules) -> ConfigComparison:
    before, after = base[0], new[0]
    design = design_of(before, after)
    differing = tuple(differences(before.identity, after.identity))
    obstacles = tuple(f"not the same data ({d.field})" for d in differing if d.part == DATA)
    if design.obstacle:
        obstacles = (*obstacles, f"one side was {design.obstacle}")
    of_phases = _phase_samples(before, after, design) if _wants_phases(rules) else []
    of_metrics, incomparable = metric_samples(base, new, rules.metrics, design)
    accuracies = Accuracies(median(before.accuracies), median(after.accuracies))
    phases, metrics = list[PhaseComparison](), list[MetricComparison]()
    judged = [*of_phases, *of_metrics]
    if rules.force or not obstacles:
        confidence = _confidence(before, after, rules)
        phases, metrics = judge(judged, design, confidence, accuracies, rules)
    machines = _prediction(base, new, differing)
    notes = [
        *remarks_on(base, new, differing, design),
        *scaling_remarks(differing, phases),
        *without_partner(before, after, judged, design),
    ]
    if _wants_phases(rules):
        incomparable = {**_zero_phases(before, after), **incomparable}
    if not (judged or incomparable):
        obstacles = (*obstacles, _nothing_shared(base, new))
    return ConfigComparison(
        before, after, design, differing, obstacles, incomparable,
        normalize(phases, machines), accuracies, tuple(notes), machines, tuple(metrics),
    )  # fmt: skip


def _wants_phases(rules: Rules) -> bool:
    """Return whether phases are compared: where metrics are asked for, only those asked for too."""
    return bool(rules.phases or not rules.metrics)


def _phase_samples(base: ConfigRuns, new: ConfigRuns, design: Design) -> list[Samples]:
    waiting = Waiting(base, new, design)
    samples = []
    for phase in _shared(base, new):
        values = base.phases[phase], new.phases[phase]
        sides = samples_of(base, new, values, design)
        samples.append(Samples(phase, *sides, waiting=waiting.of(values)))
    return samples


def _confidence(base: ConfigRuns, new: ConfigRuns, rules: Rules) -> float:
    looked = was_looked_at(base) or was_looked_at(new)
    return stats.after_looking(rules.confidence) if looked else rules.confidence


def _prediction(
    base: Measured, new: Measured, differing: Sequence[Difference]
) -> Prediction | None:
    """Return what the calibrations say of the two machines, if they are two."""
    if not any(difference.part == HARDWARE for difference in differing):
        return None
    rates = calibration_rates(base[0].runs), calibration_rates(new[0].runs)
    return predict(*rates, base[1].name, new[1].name)


def _shared(base: ConfigRuns, new: ConfigRuns) -> list[str]:
    return sort_phases(phase for phase in base.phases if phase in new.phases)


def _zero_phases(base: ConfigRuns, new: ConfigRuns) -> dict[str, str]:
    there = {*base.phases, *base.zeros} & {*new.phases, *new.zeros}
    return dict.fromkeys(
        sort_phases(there & (base.zeros | new.zeros)), "a time of 0 s cannot be compared"
    )


def _nothing_shared(base: Measured, new: Measured) -> str:
    phases = [
        f"{side.name} has {', '.join(sort_phases(config.phases)) or 'no finished repeat'}"
        for config, side in (base, new)
    ]
    return f"no phase that both sides have: {'; '.join(phases)}"
