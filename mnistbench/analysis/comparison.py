"""BASE against NEW: which configs belong together, what differs, and the verdict of each phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mnistbench.analysis import stats
from mnistbench.analysis.calibration import calibration_rates
from mnistbench.analysis.identity import DATA, HARDWARE, Difference, differences
from mnistbench.analysis.normalization import Prediction, Ratio, predict
from mnistbench.analysis.pairing import Array, Design, design_of, intervals_of, samples_of
from mnistbench.analysis.sides import ALL_PHASES, ConfigRuns, Side
from mnistbench.errors import InputError
from mnistbench.results.phases import PHASES


@dataclass(frozen=True)
class Rules:
    """What the user asked verdicts to be measured against."""

    margin: float = 0.05
    """Smallest change that matters, as a share of the time."""
    accuracy_margin: float = 0.005
    """Largest loss of test accuracy that "faster" may cost, from 0 to 1."""
    confidence: float = 0.95
    phases: tuple[str, ...] = ()
    """Phases asked for; empty for the default ones."""
    force: bool = False
    """Compare what cannot be compared."""


@dataclass(frozen=True)
class PhaseComparison:
    """One phase of one config: BASE against NEW."""

    phase: str
    n_base: int
    """Pairs, repeats or machines; see the design."""
    n_new: int
    base_median_seconds: float | None
    new_median_seconds: float | None
    ratio: float | None
    """NEW / BASE: above 1 is slower. None if there is not one pair."""
    low: float | None
    """End of the ratio's interval; None if the repeats cannot tell."""
    high: float | None
    confidence: float
    """Of this interval, which is more than asked for where phases are judged together."""
    verdict: stats.Verdict
    reason: str
    """Why the verdict is not what the interval alone would say; mostly empty."""
    normalized_ratio: float | None = None
    """The ratio over what the machines' calibrations predict, its interval of both errors; None
    on one kind of hardware, and where the prediction is refused."""
    normalized_low: float | None = None
    normalized_high: float | None = None


@dataclass(frozen=True)
class ConfigComparison:
    """One config of BASE against one of NEW."""

    base: ConfigRuns
    new: ConfigRuns
    design: Design
    differences: tuple[Difference, ...]
    obstacles: tuple[str, ...]
    """Why these are apples and oranges; empty if they can be compared."""
    phases: tuple[PhaseComparison, ...]
    """Empty if they cannot be compared."""
    base_accuracy: float | None
    """Median test accuracy, from 0 to 1."""
    new_accuracy: float | None
    notes: tuple[str, ...]
    machines: Prediction | None = None
    """What the calibrations predict; None where the hardware does not differ."""

    @property
    def name(self) -> str:
        """Return the config's name; both, where they differ."""
        names = [name for name in (self.base.name, self.new.name) if name]
        return " -> ".join(dict.fromkeys(names)) or "(no name)"


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
    return Comparison(
        base,
        new,
        tuple(_compare_configs(before, after, base, new, rules) for before, after in pairs),
        tuple(unmatched),
    )


def paired_times(base: Side, new: Side, phase: str) -> tuple[Array, Array]:
    """Return the times of a phase, pair by pair; raise InputError for what is not interleaved."""
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
    if phase not in _shared_phases(before, after):
        raise InputError(f"no repeat finished its phase {phase}", source=base.name)
    return samples_of(before, after, phase, design)


def _check_apart(base: Side, new: Side) -> None:
    shared = {path.absolute() for path in base.files} & {path.absolute() for path in new.files}
    runs = {run.run_id for config in base.configs for run in config.runs if run.run_id}
    again = {run.run_id for config in new.configs for run in config.runs} & runs
    if shared or again:
        which = sorted(again)[0] if again else str(sorted(shared)[0])
        raise InputError(f"{which} is part of BASE too", source=new.name, hint="give another run")


def _check_phases(base: Side, new: Side, wanted: Sequence[str]) -> None:
    known = {phase for side in (base, new) for config in side.configs for phase in config.phases}
    for phase in wanted:
        if phase not in known and phase != ALL_PHASES:
            raise InputError(
                f"neither side has a time of the phase {phase!r}",
                source="--phase",
                hint=f"phases are {', '.join(PHASES)}, or {ALL_PHASES}",
            )


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


def _compare_configs(
    base: ConfigRuns, new: ConfigRuns, base_side: Side, new_side: Side, rules: Rules
) -> ConfigComparison:
    design = design_of(base, new)
    differing = tuple(differences(base.identity, new.identity))
    shared = _shared_phases(base, new)
    obstacles = _obstacles(differing, shared)
    samples = [samples_of(base, new, phase, design) for phase in shared]
    accuracy = _median(base.accuracies), _median(new.accuracies)
    compared: list[PhaseComparison] = []
    if rules.force or not obstacles:
        looked = _was_looked_at(base) or _was_looked_at(new)
        confidence = stats.after_looking(rules.confidence) if looked else rules.confidence
        intervals = intervals_of(samples, design, confidence)
        compared = [
            _compare_phase(phase, sample, design, interval, accuracy, rules)
            for phase, sample, interval in zip(shared, samples, intervals, strict=True)
        ]
    notes = [
        *_notes(base, new, base_side, new_side, differing),
        *(_alone(base, new, shared, samples) if design.paired and design.unit == "repeat" else []),
    ]
    machines = _prediction(base, new, base_side, new_side, differing)
    return ConfigComparison(
        base, new, design, differing, obstacles, tuple(_normalized(compared, machines)), *accuracy,
        tuple(notes), machines,
    )  # fmt: skip


def _prediction(
    base: ConfigRuns, new: ConfigRuns, base_side: Side, new_side: Side,
    differing: Sequence[Difference],
) -> Prediction | None:  # fmt: skip
    """Return what the calibrations say of the two machines, if they are two."""
    if not any(difference.part == HARDWARE for difference in differing):
        return None
    rates = calibration_rates(base.runs), calibration_rates(new.runs)
    return predict(*rates, base_side.name, new_side.name)


def _normalized(
    phases: Sequence[PhaseComparison], machines: Prediction | None
) -> list[PhaseComparison]:
    if machines is None or machines.refusal:
        return list(phases)
    found = []
    for phase in phases:
        if phase.ratio is not None:
            raw = Ratio(phase.ratio, phase.low, phase.high)
            left = machines.normalized(raw, phase.confidence)
            phase = replace(
                phase,
                normalized_ratio=left.ratio,
                normalized_low=left.low,
                normalized_high=left.high,
            )
        found.append(phase)
    return found


def _was_looked_at(config: ConfigRuns) -> bool:
    """Return whether repeats went on until they looked precise enough."""
    return any(run.target for run in config.runs)


def _shared_phases(base: ConfigRuns, new: ConfigRuns) -> list[str]:
    shared = [phase for phase in base.phases if phase in new.phases]
    return sorted(shared, key=lambda phase: (_place(phase), phase))


def _place(phase: str) -> int:
    return PHASES.index(phase) if phase in PHASES else len(PHASES)


def _obstacles(differing: Sequence[Difference], shared: Sequence[str]) -> tuple[str, ...]:
    found = [f"not the same data ({d.field})" for d in differing if d.part == DATA]
    if not shared:
        found.append("no phase that both sides have")
    return tuple(found)


def _compare_phase(
    phase: str,
    sample: tuple[Array, Array],
    design: Design,
    judged: tuple[stats.Interval, float],
    accuracy: tuple[float | None, float | None],
    rules: Rules,
) -> PhaseComparison:
    base, new = sample
    interval, confidence = judged
    verdict = stats.verdict(interval, rules.margin)
    reason = _why_unknown(sample, interval, design)
    if verdict == stats.FASTER and not reason:
        reason = _accuracy_lost(accuracy, rules.accuracy_margin)
        verdict = stats.INCONCLUSIVE if reason else verdict
    known = bool(np.isfinite(interval.high))
    return PhaseComparison(
        phase=phase,
        n_base=len(base),
        n_new=len(new),
        base_median_seconds=_median(base),
        new_median_seconds=_median(new),
        ratio=float(interval.ratio) if np.isfinite(interval.ratio) else None,
        low=float(interval.low) if known else None,
        high=float(interval.high) if known else None,
        confidence=confidence,
        verdict=verdict,
        reason=reason,
    )


def _why_unknown(sample: tuple[Array, Array], interval: stats.Interval, design: Design) -> str:
    n = min(map(len, sample))
    if n < 2:
        what = "pair" if design.paired else design.unit
        return f"{n} {what}: 2 or more are needed, 10 advised"
    if not np.isfinite(interval.high):
        return "equal times: the clock is too coarse to judge by"
    return ""


def _accuracy_lost(accuracy: tuple[float | None, float | None], margin: float) -> str:
    before, after = accuracy
    if before is None or after is None or before - after <= margin:
        return ""
    return f"faster, but test accuracy fell from {before:.2%} to {after:.2%}"


def _alone(
    base: ConfigRuns,
    new: ConfigRuns,
    shared: Sequence[str],
    samples: Sequence[tuple[Array, Array]],
) -> list[str]:
    """Tell of times without a partner, of the phase that has most of them."""
    times = [
        max(len(base.phases[phase].seconds), len(new.phases[phase].seconds)) - len(sample[0])
        for phase, sample in zip(shared, samples, strict=True)
    ]
    return [f"up to {max(times)} times have no partner and are left out"] if any(times) else []


def _median(values: Array) -> float | None:
    return float(np.median(values)) if len(values) else None


def _notes(
    base: ConfigRuns, new: ConfigRuns, base_side: Side, new_side: Side,
    differing: Sequence[Difference],
) -> list[str]:  # fmt: skip
    notes = []
    if any(difference.part == HARDWARE for difference in differing):
        notes.append("different hardware: the ratio is about the machines")
    else:
        nodes = [{run.node for run in config.runs if run.node} for config in (base, new)]
        if nodes[0] and nodes[1] and not nodes[0] & nodes[1]:
            notes.append("different machines: the ratio may be about them")
    for config, side in ((base, base_side), (new, new_side)):
        if _was_looked_at(config):
            notes.append(
                f"{side.name}: --target-ci chose the number of repeats; the intervals are wider "
                "to allow for it"
            )
        if not config.identity.parts[DATA]:
            notes.append(f"{side.name} does not tell what data it was measured on")
        if config.unfinished:
            notes.append(
                f"{side.name}: {config.unfinished} repeats did not finish and are left out"
            )
        if side.unreadable_lines:
            notes.append(f"{side.name}: {side.unreadable_lines} torn lines are left out")
        notes += _disturbances(config, side)
    return notes


def _disturbances(config: ConfigRuns, side: Side) -> list[str]:
    """Tell what the evidence beside the repeats says of one side."""
    notes = []
    if config.contended:
        counted = "counted; --without-contended leaves them out"
        what = "left out" if side.without_contended else counted
        notes.append(
            f"{side.name}: contended repeats, {config.contended} of {config.repeats}, are {what}"
        )
    if config.drifts:
        worst = max(config.drifts, key=lambda ratio: max(ratio, 1 / ratio))
        notes.append(
            f"{side.name}: the train phase drifted in {len(config.drifts)} of {len(config.runs)} "
            f"runs; the last repeat took up to {worst:.2f} times as long as the first"
        )
    return notes
