"""How well a training scales: its time on one device over N times its time on N of them.

1 is N times as fast, and 1/N no faster. Logical devices of one CPU share its cores: theirs is a
test of the wiring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnistbench.analysis.identity import CONFIG, DATA, HARDWARE, NUMERICS, Difference
from mnistbench.analysis.judging import PhaseComparison
from mnistbench.analysis.sweeps import Point, pairs_by_value, train_ratio
from mnistbench.config.frameworks import DEVICES, PROCESSES
from mnistbench.results.phases import TRAIN

EFFICIENCY = "scaling_efficiency"
ONE = "1"
_MAY_DIFFER = (DEVICES, PROCESSES, "training.batch_size")
"""Settings that leave the images that are trained on what they were."""
_OTHER_WORK = (CONFIG, DATA, HARDWARE)
_OTHER_WAY = ("backend", "device", "precision", "jit_compile")


@dataclass(frozen=True)
class Scaling:
    """What N devices take against one."""

    devices: int
    pairs: int
    efficiency: float
    low: float | None
    """End of its interval; None where the pairs are too few to tell."""
    high: float | None

    @property
    def text(self) -> str:
        """Return it in words."""
        interval = (
            "too few pairs to tell"
            if self.low is None or self.high is None
            else f"{self.low:.1%} to {self.high:.1%}"
        )
        many = self.devices
        return (
            f"Scaling efficiency of {many} devices: {self.efficiency:.1%} ({interval}), the train "
            f"time of 1 over {many} x that of {many}"
        )


def scalings_of(points: Sequence[Point], fields: Sequence[str]) -> list[Scaling]:
    """Return the efficiency of each number of devices that a sweep measured beside one device.

    Pairs differ in `training.devices` alone, as those of its effect. How many `all` were, and that
    they were in sync, is what the measuring processes told.
    """
    if DEVICES not in fields:
        return []
    scalings = []
    for value, pairs in pairs_by_value(points, fields.index(DEVICES), ONE).items():
        counts = {after.replicas for _, after in pairs}
        effect = train_ratio(pairs, DEVICES, ONE, value)
        devices = counts.pop() if len(counts) == 1 else None
        if effect is not None and devices is not None:
            scalings.append(
                _scaling(devices, effect.pairs, effect.estimate, effect.low, effect.high)
            )
    return sorted(scalings, key=lambda each: each.devices)


def scaling_remarks(
    differing: Sequence[Difference], phases: Sequence[PhaseComparison]
) -> list[str]:
    """Return the efficiency where BASE trained on one device, and NEW the same on N, or reversed.

    Nothing where anything else differs that a training's time is made of, or the number is `all`.
    """
    devices = next((d for d in differing if d.field == DEVICES), None)
    train = next((phase for phase in phases if phase.phase == TRAIN), None)
    if devices is None or train is None or train.ratio is None or _is_other(differing):
        return []
    base, new = (values[0] if len(values) == 1 else "" for values in (devices.base, devices.new))
    ratio, low, high = train.ratio, train.low, train.high
    if new == ONE:
        base, new = new, base
        ratio, low, high = 1 / ratio, _inverse(high), _inverse(low)
    if base != ONE or not new.isdecimal():
        return []
    return [_scaling(int(new), train.n_new, ratio, low, high).text]


def _is_other(differing: Sequence[Difference]) -> bool:
    return any(
        (d.part in _OTHER_WORK and d.field not in _MAY_DIFFER)
        or (d.part == NUMERICS and d.field in _OTHER_WAY)
        for d in differing
    )


def _scaling(
    devices: int, pairs: int, ratio: float, low: float | None, high: float | None
) -> Scaling:
    """Return the efficiency from the ratio of the time on N devices to that on one."""
    ends = [None if end is None else end / devices for end in (_inverse(high), _inverse(low))]
    return Scaling(devices, pairs, 1 / (devices * ratio), *ends)


def _inverse(value: float | None) -> float | None:
    return 1 / value if value else None
