"""Which configs of two sides belong together, and what is refused: on sides written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnistbench.analysis.comparison import compare_sides, paired_times
from mnistbench.analysis.identity import identify_runs
from mnistbench.analysis.judging import Rules
from mnistbench.analysis.sides import ConfigRuns, Side, SideRun, Values
from mnistbench.errors import InputError

SECONDS = (1.0, 1.02, 0.97, 1.01)


def config(name="c", digest="", *, run="", session="", target="", zeros=(), facts=(), **phases):
    """Return one run of a config, its phases by name."""
    times = {
        phase: Values(
            np.array(seconds), np.arange(1, len(seconds) + 1), np.zeros(len(seconds), int)
        )
        for phase, seconds in (phases or {"train": SECONDS}).items()
    }
    return ConfigRuns(
        name=name, digest=digest, runs=(SideRun(run, session, "anna", target=target),),
        identity=identify_runs([dict(facts)], None), phases=times, accuracies=np.array([0.9]),
        unfinished=0, contended=0, repeats=0, zeros=frozenset(zeros), drifts=(),
    )  # fmt: skip


def side(name, *configs, files=()):
    phases = tuple({phase for config in configs for phase in (*config.phases, *config.zeros)})
    return Side(name, tuple(map(Path, files)), configs, phases, (), without_contended=False)


def compared(before, after, **rules):
    [found] = compare_sides(side("BASE", before), side("NEW", after), Rules(**rules)).configs
    return found


def test_configs_belong_together_by_digest_and_name_then_by_either():
    base = side("BASE", config("a", "1"), config("b", "2"), config("c", "3"), config("d", ""),
                config("", "7"))  # fmt: skip
    new = side("NEW", config("b", "9"), config("a", "8"), config("a", "1"), config("e", "3"),
               config("f", ""))  # fmt: skip
    found = compare_sides(base, new, Rules())
    pairs = [(each.base.name, each.new.name, each.new.digest) for each in found.configs]
    assert pairs == [("a", "a", "1"), ("b", "b", "9"), ("c", "e", "3")]
    assert found.unmatched == (
        "d: only in BASE", "(no name): only in BASE", "a: only in NEW", "f: only in NEW",
    )  # fmt: skip
    assert [each.name for each in found.configs] == ["a", "b", "c -> e"]


def test_one_config_each_belong_together_whatever_their_names():
    assert compared(config("a", "1"), config("b", "2")).name == "a -> b"
    assert compared(config("", "1"), config("b", "2")).name == "b"
    assert compared(config("", "1"), config("", "2")).name == "(no name)"
    several = compare_sides(
        side("BASE", config("a", "1")), side("NEW", config("b", "2"), config("c", "3")), Rules()
    )
    assert several.configs == ()


def test_a_run_is_not_compared_with_itself():
    with pytest.raises(InputError, match="r2 is part of BASE too"):
        compare_sides(side("B", config(run="r2")), side("N", config(run="r2")), Rules())
    shared = ("/x/b.csv", "/x/a.csv")
    with pytest.raises(InputError, match=r"/x/a\.csv is part of BASE too"):
        compare_sides(side("B", config(), files=shared), side("N", config(), files=shared), Rules())
    apart = side("B", config(run=""), files=shared[:1]), side("N", config(run=""), files=shared[1:])
    assert len(compare_sides(*apart, Rules()).configs) == 1
    with pytest.raises(InputError, match="r2 is part of BASE too"):
        paired_times(side("B", config(run="r2")), side("N", config(run="r2")), "train")


def test_a_phase_that_no_side_has_is_refused():
    base, new = side("B", config(train=SECONDS)), side("N", config(test=SECONDS))
    for known in ("train", "test", "all"):
        assert compare_sides(base, new, Rules(phases=(known,))).base is base
    with pytest.raises(InputError, match="tran"):
        compare_sides(base, new, Rules(phases=("train", "tran")))


def test_other_data_is_compared_by_force_only():
    before, after = config(facts={"data_digest": "1"}), config(facts={"data_digest": "2"})
    found = compared(before, after)
    assert found.obstacles == ("not the same data (data_digest)",)
    assert (found.phases, found.force_helps) == ((), True)
    forced = compared(before, after, force=True)
    assert forced.obstacles == found.obstacles
    assert ([each.phase for each in forced.phases], forced.force_helps) == (["train"], False)
    # Nothing that both have: no force helps.
    no_phase = compared(before, replace(after, phases={}))
    assert no_phase.obstacles == (
        "not the same data (data_digest)",
        "no phase that both sides have: BASE has train; NEW has no finished repeat",
    )
    assert (no_phase.phases, no_phase.force_helps) == ((), False)
    other_code = compared(
        config(facts={"mnistbench_version": "1"}), config(facts={"mnistbench_version": "2"})
    )
    assert (other_code.obstacles, len(other_code.phases), other_code.force_helps) == ((), 1, False)


def test_only_phases_of_both_sides_are_judged_in_their_order():
    before = config(test=SECONDS, train=SECONDS, build=SECONDS)
    found = compared(before, config(test=SECONDS, train=SECONDS, compile=SECONDS))
    assert [each.phase for each in found.phases] == ["train", "test"]
    assert (found.obstacles, found.incomparable) == ((), {})


def test_a_time_of_0_s_is_named_where_both_sides_have_the_phase():
    before = config(zeros=["build", "compile"], train=SECONDS)
    found = compared(before, config(zeros=["test"], train=SECONDS, build=SECONDS))
    assert found.incomparable == {"build": "a time of 0 s cannot be compared"}
    nothing = compared(config(zeros=["build"], train=SECONDS), config(build=SECONDS))
    assert (nothing.incomparable.keys(), nothing.obstacles) == ({"build"}, ())
    both = compared(config(zeros=["train"], test=SECONDS), config(zeros=["train"], test=SECONDS))
    assert both.incomparable.keys() == {"train"}


@pytest.mark.parametrize("looked", [("", ""), ("5%", ""), ("", "5%"), ("5%", "5%")])
def test_repeats_that_went_on_until_narrow_are_judged_with_more_confidence(looked):
    before, after = (config(target=target) for target in looked)
    [phase] = compared(before, after, confidence=0.9).phases
    assert phase.confidence == pytest.approx(0.95 if any(looked) else 0.9)


def test_calibrations_are_asked_only_where_the_hardware_differs():
    facts = {"cpu_model": "a", "kernel": "1"}
    assert compared(config(facts=facts), config(facts={**facts, "kernel": "2"})).machines is None
    for changed in ({"cpu_model": "b"}, {"cpu_model": "b", "kernel": "2"}):
        other = compared(config(facts=facts), config(facts={**facts, **changed})).machines
        assert other is not None
        assert other.refusal


def test_accuracies_are_medians():
    before = replace(config(), accuracies=np.array([0.1, 0.9, 0.8]))
    found = compared(before, replace(config(), accuracies=np.array([])))
    assert (found.accuracies.base, found.accuracies.new) == (0.8, None)


def test_paired_times_are_those_of_two_interleaved_configs():
    one = config("a", session="s", train=[1.0, 2.0])
    two = config("b", session="s", train=[3.0, 4.0])
    sample, design = paired_times(side("B", one), side("N", two), "train")
    base, new, waiting = sample
    assert (base.tolist(), new.tolist(), design.removed) == ([1.0, 2.0], [3.0, 4.0], 0)
    assert waiting is None  # no evidence lies beside them
    refused = [
        (side("B", one, two), side("N", two), "B: holds 2 configs"),
        (side("B", one), side("N"), "N: holds 0 configs"),
        (side("B", one), side("N", config(session="t")), "N: was not measured interleaved with B"),
        (
            side("B", one),
            side("N", config(session="s", test=[1.0])),
            "B: no repeat finished its phase",
        ),
    ]
    for before, after, message in refused:
        with pytest.raises(InputError, match=message):
            paired_times(before, after, "train")
    nodes = tuple(SideRun("", "s", node) for node in ("anna", "berta"))
    with pytest.raises(InputError, match="not measured interleaved"):
        paired_times(
            side("B", replace(one, runs=nodes)), side("N", replace(two, runs=nodes)), "train"
        )
