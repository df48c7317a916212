"""One repeat beside another one: both train at the same time, and test at the same time.

Who ends a phase first keeps its cores busy with the same work, untimed, until the other has ended
too: otherwise the slower one would run its last part on a quiet machine, and the ratio of the two
would be drawn towards 1. Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from mnistbench.config.work import fresh_bytes
from mnistbench.measuring.child import has_heard, wait_for
from mnistbench.measuring.inside import memory
from mnistbench.measuring.inside.measures import EpochClock
from mnistbench.measuring.inside.repeat import (
    Prepared,
    prepare,
    repeat_result,
    target_callbacks,
    test,
    train,
)
from mnistbench.measuring.jobs import Listener, RepeatJob, RepeatResult
from mnistbench.measuring.partners import Go, PartnerEnded, Ready
from mnistbench.results.phases import TEST, TRAIN, PhaseRecord


class _Ended(Exception):  # noqa: N818  leaves `fit` in the middle of an epoch
    """The partner has ended its training."""


def run_duet(job: RepeatJob, import_phase: PhaseRecord, tell: Listener) -> RepeatResult:
    """Run every phase once, `train` and `test` in step with the partner."""
    prepared = prepare(job, tell)
    # Once more: while it waits, the partner's phases take what was brought in.
    memory.bring_in(fresh_bytes(job.config))
    epochs = EpochClock(tell)
    _meet(TRAIN, tell)
    learned = train(prepared, [epochs, *target_callbacks(job.config)])
    weights = prepared.model.get_weights()
    _busy_until_partner_ended(TRAIN, lambda: _train_further(prepared))
    prepared.model.set_weights(weights)
    _meet(TEST, tell)
    tested = test(prepared.clock, prepared.execution, prepared.test_images)
    _busy_until_partner_ended(TEST, lambda: prepared.execution.test(prepared.test_images))
    return repeat_result(job, prepared, epochs, learned, tested, import_phase)


def _meet(phase: str, tell: Listener) -> None:
    tell(Ready(phase))
    wait_for(Go(phase))


def _busy_until_partner_ended(phase: str, work: Callable[[], object]) -> None:
    while not has_heard(PartnerEnded(phase)):
        work()


def _train_further(prepared: Prepared) -> None:
    try:
        prepared.execution.train_further(
            prepared.train_images, prepared.test_images, [_UntilPartnerEnded()]
        )
    except _Ended:
        return


class _UntilPartnerEnded(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        if has_heard(PartnerEnded(TRAIN)):
            raise _Ended

    def on_test_batch_begin(self, batch: int, logs: object = None) -> None:
        self.on_train_batch_begin(batch)
