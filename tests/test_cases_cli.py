"""What the command line failed at: files by bare name, readers that leave, an early Ctrl-C."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from conftest import command

from mnistbench.cli import main
from mnistbench.report.exports import EXPORTS

CASES = Path(__file__).parents[2] / "shared" / "cases"
JSON = '{"model": {"family": "dense", "hidden_units": [64]}}'


def case(number: str) -> Path:
    """Return the folder of a case; the test is skipped where the cases are not."""
    folder = next(iter(CASES.glob(f"{number}-*")), None)
    if folder is None:
        pytest.skip(f"{CASES} is not here: it lies beside a checkout of the project's own")
    return folder


def told(*arguments: str) -> tuple[object, str, str]:
    """Run a command that measures nothing in this process; return its code, output and error."""
    output, error = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["mnistbench", *arguments]
    try:
        with redirect_stdout(output), redirect_stderr(error), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
    return end.value.code, output.getvalue(), error.getvalue().strip()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_case_21_a_config_file_by_its_bare_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case("21"))
    code, output, error = told("config", "validate", "c.json")
    assert (code, error) == (0, "")
    assert output.startswith("c.json: valid, 50,890 parameters")
    assert output.split(": ", 1)[1] == told("config", "validate", "./c.json")[1].split(": ", 1)[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", JSON),
        ("c.yaml", JSON),
        ("c.yml", JSON),
        ("c", JSON),
        ("c.conf", JSON),
        ("tabs.json", JSON.replace("{", "{\n\t")),
        ("mark.yaml", "\ufeff" + JSON),
        ("lines.yaml", "model:\r\n  family: dense\r\n"),
    ],
)
def test_a_file_here_is_a_config_whatever_its_suffix(here: Path, name: str, text: str) -> None:
    (here / name).write_bytes(text.encode())
    code, output, error = told("config", "show", name)
    assert (code, error) == (0, "")
    assert f"name: {Path(name).stem}\n" in output


def test_a_shipped_name_means_the_shipped_config_in_every_folder(here: Path) -> None:
    (here / "mnist-dense").write_text(JSON.replace("64", "7"))
    code, output, error = told("config", "show", "mnist-dense")
    assert (code, "hidden_units: [64]" in output) == (0, True)
    assert error == (
        "mnistbench: mnist-dense is the config that ships with mnistbench; the file of that name "
        "here is ./mnist-dense"
    )
    assert "hidden_units: [7]" in told("config", "show", "./mnist-dense")[1]
    (here / "mnist-mlp").mkdir()
    assert told("config", "show", "mnist-mlp")[::2] == (0, "")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("folder.json", "folder.json: is a folder, not a config file; see: mnistbench config list"),
        ("run", f"run: is a folder, not a config file; give {Path('run', 'config.yaml')}"),
        ("mine.jsn", "mine.jsn: no such file; did you mean mine.json?"),
        ("mnist-cnn.yaml", "mnist-cnn.yaml: no such file; did you mean mnist-cnn?"),
        ("min", "no config named 'min'; did you mean mine.json? (or give a file's path)"),
        (
            "mnist",
            "no config named 'mnist'; did you mean mnist-cnn, mnist-mlp, mnist-dense, "
            "mnist-dense-512 or mnist-dense-relu? (or give a file's path)",
        ),
        ("", "CONFIG: the name is empty; see: mnistbench config list"),
        ("wide.yaml", "wide.yaml: is UTF-16 text; save it as UTF-8"),
        (
            "tab.yaml",
            r"tab.yaml:2: not valid YAML: found character '\t' that cannot start any token; "
            "indent by blanks: YAML takes no tabs",
        ),
    ],
)
def test_what_is_no_config_is_told_with_what_is_like_it(here: Path, name: str, line: str) -> None:
    (here / "folder.json").mkdir()
    (here / "run").mkdir()
    (here / "run" / "config.yaml").write_text(JSON)
    (here / "mine.json").write_text(JSON)
    (here / "wide.yaml").write_bytes("model: {family: dense}\n".encode("utf-16"))
    (here / "tab.yaml").write_text("model:\n\tfamily: dense\n")
    assert told("config", "show", name) == (2, "", f"mnistbench: {line}")


def test_a_name_too_long_for_a_file_is_one_line() -> None:
    code, _, error = told("config", "show", "a" * 300)
    assert (code, error) == (2, f"mnistbench: {'a' * 300}: cannot be read: File name too long")


def piped(reader: str, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run the command into a reader by a real pipe; return its code, what was read, its error."""
    line = f'"$@" | {reader}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", line, "bash", *command(*arguments)],
        capture_output=True, text=True, cwd=cwd, timeout=200,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("reader", ["head -1", "head -c 1", "true", "cat"])
def test_case_25_a_reader_that_leaves_does_not_change_the_verdict(reader: str) -> None:
    code, _, error = piped(reader, "compare", "base.csv", "new.csv", cwd=case("25"))
    assert (code, error) == (4, "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("config", "schema"), 0),
        (("config", "list"), 0),
        (("--help",), 0),
        (("data", "list"), 0),
        (("config", "show", "nowhere"), 2),
    ],
)
def test_a_reader_that_leaves_is_no_failed_run(arguments: tuple[str, ...], code: int) -> None:
    ended, _, error = piped("true", *arguments)
    assert ended == code
    assert "Traceback" not in error
    assert "BrokenPipe" not in error


def test_a_reader_of_both_streams_that_leaves(tmp_path: Path) -> None:
    line = '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}'
    arguments = command("compare", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    done = subprocess.run(["bash", "-c", line, "bash", *arguments], timeout=200)
    assert done.returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("config", "schema"), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 74
    assert done.stderr == (
        "mnistbench: standard output cannot be written: No space left on device; "
        "send it elsewhere\n"
    )


HALF_IMPORTED = """
import os, signal, sys
sys.argv = ["mnistbench", *sys.argv[1:]]
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
        return None
sys.meta_path.insert(0, Interrupted())
from mnistbench.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["click", "mnistbench.cli.config", "pydantic", "mnistbench.config.loading", "yaml"]
)
def test_ctrl_c_while_anything_is_imported_is_one_line(module: str) -> None:
    script = HALF_IMPORTED.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", script, "config", "show", "mnist-dense"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mnistbench: interrupted\n")


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    script = HALF_IMPORTED.format(module="pydantic")
    line = "trap '' INT; exec \"$@\""
    done = subprocess.run(
        ["bash", "-c", line, "bash", sys.executable, "-c", script, "config", "show", "mnist-dense"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert "family: dense" in done.stdout


def begins(error: str) -> bool:
    """Return whether Python itself was interrupted, before it came to the command."""
    return "runpy" in error or "import the site module" in error


def test_ctrl_c_at_any_moment_of_a_command_that_only_talks() -> None:
    ends = []
    for tenths in range(1, 10):
        process = subprocess.Popen(
            command("config", "show", "mnist-dense"), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(0.1 + tenths / 30)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
        if begins(error) and "__main__.py" not in error:
            continue  # Python's own start, on a busy machine: not a line of ours has run
        ends.append((process.returncode, error))
    assert set(ends) <= {(0, ""), (130, "mnistbench: interrupted\n")}
    assert len(ends) > 4


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("bench",), "no command 'bench'; did you mean benchmark? (see: mnistbench --help)"),
        (("benhcmark",), "no command 'benhcmark'; did you mean benchmark?"),
        (("mnist-mlp",), "no command 'mnist-mlp', but a config: mnistbench benchmark mnist-mlp"),
        (("mine.yaml",), "no command 'mine.yaml', but a config: mnistbench benchmark mine.yaml"),
        (("zzz",), "no command 'zzz'; there are benchmark, train, evaluate, infer, compare"),
        (("benchmark", "mnist"), "no config named 'mnist'; did you mean mnist-cnn, mnist-mlp"),
    ],
)
def test_a_misspelt_command_is_told_the_nearest(arguments: tuple[str, ...], line: str) -> None:
    code, output, error = told(*arguments)
    assert (code, output) == (2, "")
    assert error.startswith(f"mnistbench: {line}")
    assert "\n" not in error


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("benchmark", "--repeats", "99999999999999999999"),
            "Invalid value for '--repeats': '99999999999999999999' is not a whole number from 1 to "
            "10000",
        ),
        (("benchmark", "--repeats", "10001"), "'10001' is not a whole number from 1 to 10000"),
        (("benchmark", "--repeats", "0"), "'0' is not a whole number from 1 to 10000"),
        (("benchmark", "--repeats", "1e3"), "'1e3' is not a whole number from 1 to 10000"),
        (("benchmark", "--warmup", "10001"), "'10001' is not a whole number from 0 to 10000"),
        (("benchmark", "--rerun-contended", "-1"), "'-1' is not a whole number from 0 to 10000"),
        (("selfcheck", "--pairs", "4"), "'4' is not a whole number from 5 to 10000"),
        (("explain", "--epochs", "10001"), "'10001' is not a whole number from 1 to 10000"),
        (("explain", "--repeats", "x"), "'x' is not a whole number from 1 to 10000"),
        (("reproduce", "--repeats", "10001"), "'10001' is not a whole number from 1 to 10000"),
        (("train", "--checkpoint-every", "0"), "'0' is not a whole number from 1 to 10000"),
        (("selfcheck", "--seed", "4294967296"), "a whole number from 0 to 4294967295"),
    ],
)
def test_a_count_beyond_all_sense_is_refused_at_once(arguments: tuple[str, ...], line: str) -> None:
    code, output, error = told(*arguments)
    assert (code, output) == (2, "")
    assert line in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("benchmark", "--until", "test_accuracy>=97"),
            "--until: 'test_accuracy>=97' is no share of the test images: it must be above 0 and "
            "at most 1 or 100 %; write 'test_accuracy>=97%' or 'test_accuracy>=0.97'",
        ),
        (
            ("train", "--until", "test_accuracy>=0"),
            "--until: 'test_accuracy>=0' is no share of the test images: it must be above 0 and "
            "at most 1 or 100 %; write 'test_accuracy>=97%' or 'test_accuracy>=0.97'",
        ),
        (
            ("benchmark", "--execution", "fused", "--set", "training.execution=fit"),
            "--set training.execution=fit: --execution sets training.execution too; "
            "give it by --execution alone; see: mnistbench benchmark --help",
        ),
        (
            ("benchmark", "--until", "test_accuracy>=.9", "--set", "training.validation=0.1"),
            "--set training.validation=0.1: --until sets training.validation too; "
            "give it by --until alone; see: mnistbench benchmark --help",
        ),
        (
            ("benchmark", "--device", "cpu", "--set", "device=gpu"),
            "--set device=gpu: --device sets device too; give it by --device alone; "
            "see: mnistbench benchmark --help",
        ),
        (
            ("explain", "--set", "training.epochs=3"),
            "--set training.epochs=3: --epochs sets training.epochs too; give it by "
            "--epochs alone; see: mnistbench explain --help",
        ),
    ],
)
def test_an_option_is_answered_by_its_own_name(arguments: tuple[str, ...], line: str) -> None:
    assert told(*arguments) == (2, "", f"mnistbench: {line}")


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_of_a_command_has_its_function(name: str) -> None:
    code, output, _ = told(name.split()[0], "--help")
    assert code == 0
    if name == "export":
        assert f"FORMAT is {', '.join(EXPORTS[name])}." in " ".join(output.split())
    elif name == "plot":  # by the name of the file
        shown = " ".join(output.split())
        assert "ends: .png, .svg or .pdf. [default: drawn in the terminal]" in shown
        assert [*EXPORTS[name]] == ["terminal", "png", "svg", "pdf"]
    else:
        assert f"[{'|'.join(EXPORTS[name])}]" in output
    for place in EXPORTS[name].values():
        module, _, function = place.rpartition(".")
        __import__(f"mnistbench.report.{module}")
        assert callable(getattr(sys.modules[f"mnistbench.report.{module}"], function))


def test_the_streams_of_the_process_are_left_as_they_were() -> None:
    before = sys.stdout, sys.stderr, signal.getsignal(signal.SIGINT)
    told("config", "list")
    assert before == (sys.stdout, sys.stderr, signal.getsignal(signal.SIGINT))
