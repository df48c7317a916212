"""Repeats until it is enough: the rule on simulated times, and the command that follows it."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import random
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from conftest import FEW, Session, benchmark_here, failure_line, rows, run_here
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, verdicts, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.analysis import stats
from mnistbench.cli.parameters import TimeSpan
from mnistbench.config.loading import load_config
from mnistbench.results.phases import PhaseRecord
from mnistbench.session import target, until_precise
from mnistbench.session.events import News
from mnistbench.session.records import RepeatRecord

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


class Machine:
    """Simulated repeats: each takes the time that `seconds(config, repeat)` says; None fails."""

    def __init__(self, configs, goal, seconds, *, max_seconds=1e6, warmup=0, least=10):
        self.now = 0.0
        self.told = []
        self.expected = []
        self.turns = []
        self._seconds = seconds
        self.schedule = until_precise.UntilPrecise(
            [load_config(name) for name in configs],
            target.Target(goal, max_seconds),
            warmup,
            self.told.append,
            least,
            lambda: self.now,
        )

    def run(self, most=10_000):
        while len(self.turns) < most and (turn := self.schedule.next_turn()) is not None:
            self.expected.append(self.schedule.expected_turns)
            self.turns.append(turn)
            seconds = self._seconds(turn.config_index, turn.repeat)
            self.now += 1.0 if seconds is None else seconds
            status = "failed" if seconds is None else "ok"
            phase = PhaseRecord("train", seconds, None, "", status)
            self.schedule.ended(RepeatRecord(turn, (phase,), (), status))
        return self.schedule.outcome()


def noisy(spread, seed=1, factors=(1.0, 1.1)):
    chance = random.Random(seed)
    return lambda config, repeat: 20 * factors[config] * math.exp(chance.gauss(0, spread))


def test_it_stops_where_the_interval_is_narrow_enough():
    machine = Machine(["mnist-dense"], 0.03, noisy(0.05))
    outcome = machine.run()
    [precision] = outcome.precisions
    assert outcome.ending == "reached"
    assert precision.n == len(machine.turns) > 10
    assert precision.half_width <= 0.03
    assert precision.low < 20 < precision.high
    assert target.outcome_lines(outcome)[0] == "Precise enough, within 3 %:"
    assert f"n = {precision.n}" in target.outcome_lines(outcome)[1]


def test_a_quiet_machine_still_repeats_10_times_or_as_often_as_asked():
    quiet = Machine(["mnist-dense"], 0.5, noisy(0.001))
    assert quiet.run().precisions[0].n == 10
    more = Machine(["mnist-dense"], 0.5, noisy(0.001), least=14, warmup=2)
    assert more.run().precisions[0].n == 14
    assert len(more.turns) == 16


def test_of_several_configs_it_is_the_ratio_to_the_first():
    machine = Machine(["mnist-dense", "mnist-mlp"], 0.05, noisy(0.05))
    outcome = machine.run()
    [precision] = outcome.precisions
    assert precision.what == "train of mnist-mlp / mnist-dense"
    assert len(machine.turns) == 2 * precision.n
    assert precision.low < 1.1 < precision.high
    # Drift that both share widens the time of either, and not the ratio.
    drifting = Machine(
        ["mnist-dense", "mnist-mlp"],
        0.05,
        lambda config, repeat: (1 + repeat / 10) * noisy(0.02, 2 * repeat + config)(0, 0),
    )
    assert drifting.run().precisions[0].n == 10


def test_time_is_up_and_what_was_missing_is_told():
    machine = Machine(["mnist-dense"], 0.01, noisy(0.17), max_seconds=300)
    outcome = machine.run()
    assert outcome.ending == "time-is-up"
    assert machine.now <= 300
    assert outcome.repeats_expected > 100
    assert outcome.seconds_expected == pytest.approx(20 * outcome.repeats_expected, rel=0.2)
    first = target.outcome_lines(outcome)[0]
    assert first.startswith("Time is up (5 min) before the train time was known within 1 %")
    assert "it would have taken about" in first


def test_the_expected_turns_never_fall_below_those_begun_and_end_right():
    for max_seconds in (1e6, 500):
        machine = Machine(["mnist-dense", "mnist-mlp"], 0.05, noisy(0.1), max_seconds=max_seconds)
        machine.run()
        begun = range(1, len(machine.turns) + 1)
        assert all(told >= turn for told, turn in zip(machine.expected, begun, strict=True))
    assert machine.expected[-1] == len(machine.turns)


def test_news_say_what_is_left():
    machine = Machine(["mnist-dense"], 0.02, noisy(0.05), max_seconds=1e5)
    machine.run()
    assert all(isinstance(news, News) for news in machine.told)
    assert "2 % are wanted: about " in machine.told[0].text
    late = Machine(["mnist-dense"], 0.001, noisy(0.17), max_seconds=400)
    late.run()
    assert "more than the" in late.told[-1].text


def test_three_failures_in_a_row_end_it():
    machine = Machine(["mnist-dense"], 0.03, lambda config, repeat: None if repeat > 2 else 1.0)
    outcome = machine.run()
    assert outcome.ending == "failed"
    assert len(machine.turns) == 5
    assert target.outcome_lines(outcome)[0].startswith("Given up after 3 failures in a row")


def test_an_interrupted_session_tells_what_it_had():
    outcome = Machine(["mnist-dense"], 0.03, noisy(0.05)).run(most=6)
    assert outcome.ending == "interrupted"
    assert outcome.precisions[0].n == 6
    lines = target.outcome_lines(outcome)
    assert lines[0].startswith("Interrupted before the train time was known within 3 %")
    assert "train of mnist-dense, in this session: " in lines[1]


def test_a_failure_has_no_partner_and_no_time():
    machine = Machine(
        ["mnist-dense", "mnist-mlp"],
        0.2,
        lambda config, repeat: (
            None if (config, repeat) == (1, 4) else noisy(0.02, 2 * repeat + config)(0, 0)
        ),
    )
    assert machine.run().precisions[0].n == len(machine.turns) / 2 - 1


def test_equal_times_are_no_precision():
    outcome = Machine(["mnist-dense"], 0.03, lambda config, repeat: 1.0, max_seconds=30).run()
    assert outcome.ending == "time-is-up"
    assert outcome.widest is None
    assert "too equal" in target.outcome_lines(outcome)[1]


@given(st.lists(st.floats(0.01, 100.0), min_size=2, max_size=40, unique=True), st.floats(0.01, 99))
@settings(max_examples=50, deadline=None)
def test_a_typical_time_lies_in_its_interval_and_follows_the_unit(seconds, scale):
    found = stats.typical_time(np.array(seconds), 0.95)
    assert found.low <= found.ratio <= found.high
    scaled = stats.typical_time(np.array(seconds) * scale, 0.95)
    assert float(scaled.ratio) == pytest.approx(float(found.ratio) * scale, rel=1e-6)


@pytest.fixture(scope="module")
def simulation():
    sys.path.insert(0, BENCHMARKS)
    try:
        yield importlib.import_module("target_ci")
    finally:
        sys.path.remove(BENCHMARKS)


SESSIONS = 600


@pytest.mark.parametrize(
    ("cell", "noise", "goal"),
    [
        ("times_cell", "lognormal, 5 %", 0.03),
        ("times_cell", "heavy tails, 17 %", 0.10),
        ("times_cell", "outliers, 1 in 10 at 2x", 0.05),
        ("times_cell", "drift, 17 %", 0.10),
        ("ratio_cell", "lognormal, 17 %", 0.10),
        ("ratio_cell", "outliers, 1 in 10 at 2x", 0.05),
        ("ratio_cell", "drift, 17 %", 0.10),
    ],
)
def test_the_interval_holds_after_all_the_looking(simulation, monkeypatch, cell, noise, goal):
    monkeypatch.setattr(simulation, "LONGEST", 150)
    found = getattr(simulation, cell)(noise, goal, SESSIONS)
    slack = 3.5 * math.sqrt(0.95 * 0.05 / SESSIONS)
    assert found.coverage >= 0.95 - slack
    assert found.naive_coverage < found.coverage, "the naive rule must do worse, or why this one"
    assert found.reached == 1.0
    if found.false_alarms is not None:
        assert found.false_alarms <= 0.05 + slack


def test_it_looks_often_at_first_and_then_rarely():
    looks = [n for n in range(1, 2_000) if until_precise.is_look(n)]
    assert looks[:20] == list(range(1, 21))
    assert all(later - n <= max(1, n / 20) for n, later in itertools.pairwise(looks))
    assert len(looks) < 130


@settings(deadline=None)
@given(st.floats(0.01, 500), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600)]))
def test_durations_are_read_as_written(number, unit):
    seconds = number * unit[1]
    text = f"{number:.10f}{unit[0]}"
    if seconds > 7 * 24 * 3600:
        with pytest.raises(click.BadParameter):
            TimeSpan().convert(text, None, None)
    else:
        assert TimeSpan().convert(text, None, None) == pytest.approx(seconds, rel=1e-6)


@settings(deadline=None)
@given(st.text(max_size=8))
def test_anything_else_is_refused_in_one_line(text):
    try:
        seconds = TimeSpan().convert(text, None, None)
    except click.BadParameter as error:
        assert "give 90s, 10m or 1.5h" in error.format_message()
    else:
        assert 0 < seconds <= 7 * 24 * 3600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target-ci", "3"], "'3' is not a share from 0.1% to 50%; give 3% or 0.03"),
        (["--target-ci", "nan"], "'nan' is not a share"),
        (["--target-ci", "3%", "--max-time", "10q"], "'10q' is not a time"),
        (["--target-ci", "3%", "--max-time", "0"], "'0' is not a time above 0"),
        (["--max-time", "5m"], "--max-time: it limits --target-ci, which is not given"),
        (["--target-ci", "3%", "--repeats", "4"], "--repeats 4: with --target-ci it is the fewest"),
    ],
)
def test_bad_values_are_one_line(arguments, words):
    done = run_here("benchmark", *arguments)
    assert done.returncode == 2
    assert words in failure_line(done)


@pytest.fixture(scope="module")
def reached(tmp_path_factory) -> Session:
    return benchmark_here(
        tmp_path_factory.mktemp("reached"), "mnist-dense-512", *FEW,
        "--target-ci", "50%", "--max-time", "200s", "--format", "json", "--no-calibrate",
    )  # fmt: skip


def machine_facts(session: Session, config: str) -> dict[str, str]:
    table = rows(session.folder(config) / "machine.csv")
    facts = {row["attribute"]: row["value"] for row in table}
    assert len(facts) == len(table), "an attribute is there twice"
    return facts


def test_the_command_stops_by_the_rule_and_writes_down_how(reached: Session) -> None:
    assert reached.done.returncode == 0, reached.done.stderr
    told = json.loads(reached.done.stdout)["target"]
    facts = machine_facts(reached, "mnist-dense-512")
    folder = reached.folder("mnist-dense-512")
    repeats = {row["repeat"] for row in rows(folder / "timings.csv")}
    assert told["ending"] == facts["target_ci_ending"] == "reached"
    assert told["precisions"][0]["n"] == len(repeats) >= 10
    assert float(facts["target_ci"]) == 0.5
    assert float(facts["target_ci_max_seconds"]) == 200
    assert float(facts["target_ci_half_width"]) <= 0.5
    assert facts["repeats_planned"] == facts["target_ci_repeats_expected"] == ""
    log = (folder / "log.txt").read_text()
    assert "repeats until precise" in log
    assert "Precise enough, within 50 %" in log
    assert "50 % are wanted" in reached.done.stderr


def test_time_that_is_up_is_no_failure(tmp_path: Path) -> None:
    session = benchmark_here(
        tmp_path,
        "mnist-dense-512",
        *FEW,
        "--no-calibrate",
        "--target-ci",
        "1%",
        "--max-time",
        "0.1s",
        "-q",
    )
    assert session.done.returncode == 0, session.done.stderr
    assert "Time is up (0 s) before the train time was known within 1 %" in session.done.stdout
    facts = machine_facts(session, "mnist-dense-512")
    assert facts["target_ci_ending"] == "time-is-up"
    assert facts["target_ci_half_width"] == ""


def test_compare_allows_for_the_looking_and_says_so(tmp_path: Path) -> None:
    sides = {}
    for name, facts in (("plain", {}), ("looked", {"target_ci": "0.03"})):
        base = write_run(
            tmp_path / name / "a", {"train": times(20.0, NOISE)}, session="s", machine=facts
        )
        new = write_run(
            tmp_path / name / "b", {"train": times(20.0, OTHER_NOISE)}, session="s", machine=facts
        )
        sides[name] = base, new
    _, _, [plain] = verdicts(*sides["plain"])
    _, _, [looked] = verdicts(*sides["looked"])
    assert float(looked["low"]) < float(plain["low"]) < float(plain["high"]) < float(looked["high"])
    assert float(looked["confidence"]) == pytest.approx(0.975)
    assert "--target-ci chose the number of repeats" in compare(*sides["looked"])[1]
    assert "--target-ci" not in compare(*sides["plain"])[1]
