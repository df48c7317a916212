"""BASE against NEW: which configs belong together, what differs, and the verdict of each phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnistbench.analysis import stats
from mnistbench.analysis.calibration import calibration_rates
from mnistbench.analysis.identity import DATA, HARDWARE, Difference, differences
from mnistbench.analysis.judging import (
    Accuracies,
    PhaseComparison,
    Rules,
    Samples,
    judge_phases,
    median,
    normalize,
)  # fmt: skip
from mnistbench.analysis.normalization import Prediction, predict
from mnistbench.analysis.pairing import Array, Design, design_of, samples_of
from mnistbench.analysis.remarks import Measured, remarks_on, was_looked_at, without_partner
from mnistbench.analysis.sides import ALL_PHASES, ConfigRuns, Side, sort_phases, unknown_phase
from mnistbench.errors import InputError

__all__ = ["Comparison", "ConfigComparison", "PhaseComparison", "Rules", "compare_sides"]


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
    """Phases that no option compares, and why."""
    phases: tuple[PhaseComparison, ...]
    """Empty if they cannot be compared."""
    accuracies: Accuracies
    notes: tuple[str, ...]
    machines: Prediction | None = None
    """What the calibrations predict; None where the hardware does not differ."""

    @property
    def name(self) -> str:
        """Return the config's name; both, where they differ."""
        names = [name for name in (self.base.name, self.new.name) if name]
        return " -> ".join(dict.fromkeys(names)) or "(no name)"

    @property
    def force_helps(self) -> bool:
        """Return whether `--force` would give a verdict where there is none."""
        return not self.phases and bool(_shared(self.base, self.new))


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
    pairs, unmatched = _matched(base, new)
    configs = tuple(_compare((before, base), (after, new), rules) for before, after in pairs)
    return Comparison(base, new, configs, tuple(unmatched))


def paired_times(base: Side, new: Side, phase: str) -> tuple[Array, Array, int]:
    """Return the times of a phase, pair by pair, and how many effects were taken out of them.

    Raises InputError for what was measured neither interleaved nor in a duet.
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
    return *samples_of(before, after, phase, design), design.removed


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
    samples = [
        Samples(phase, *samples_of(before, after, phase, design))
        for phase in _shared(before, after)
    ]
    accuracies = Accuracies(median(before.accuracies), median(after.accuracies))
    phases: list[PhaseComparison] = []
    if rules.force or not obstacles:
        confidence = _confidence(before, after, rules)
        phases = judge_phases(samples, design, confidence, accuracies, rules)
    machines = _prediction(base, new, differing)
    notes = [
        *remarks_on(base, new, differing, design),
        *without_partner(before, after, samples, design),
    ]
    incomparable = _incomparable(before, after)
    if not samples and not incomparable:
        obstacles = (*obstacles, _nothing_shared(base, new))
    return ConfigComparison(
        before, after, design, differing, obstacles, incomparable,
        normalize(phases, machines), accuracies, tuple(notes), machines,
    )  # fmt: skip


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


def _incomparable(base: ConfigRuns, new: ConfigRuns) -> dict[str, str]:
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
