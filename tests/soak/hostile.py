"""Hostile files and words, made from a seed: each kind a function from a folder to arguments."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Make = Callable[[random.Random, Path], Sequence[str]]
"""From a seed and an empty folder to the arguments of a command that reads what was made in it."""

RUNS = Path("runs")
"""Of the working folder: two run folders that were measured, `base` and `new`."""


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Return bytes with a few of them flipped, cut, doubled or replaced."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(max(1, len(data)))
        end = min(len(data), place + draw.randint(1, 40))
        way = draw.randrange(5)
        if way == 0 and data:
            data[place] ^= 1 << draw.randrange(8)
        elif way == 1:
            del data[place:end]
        elif way == 2:
            data[place:place] = data[place:end] * draw.randint(1, 3)
        elif way == 3:
            data[place:place] = draw.choice(BITS)
        else:
            del data[place:]
    return bytes(data)


def sometimes(content: bytes, draw: random.Random) -> bytes:
    """Return bytes as they are, or now and then mutated."""
    return mutated(content, draw) if draw.random() < 0.3 else content


CANARY = Path("code-run")
"""Made in the working folder by what must never run."""
RUN = f"touch {CANARY}".encode()

BITS = (
    b"!!python/object/apply:os.system ['" + RUN + b"']\n", b"=cmd|'/c " + RUN + b"'!A0",
    b"\0", b"\x1b[31m", b"\xff\xfe", b"\r", b"1e308", b"5e-324", b"1_000", "²".encode(), b"-1",
    b"9223372036854775808", b"nan", b"inf", b"=cmd|' /C calc'!A0", b"&a [*a,*a]", b"!!bool maybe",
    b"!!python/object:os.system", b"2026-01-01", b"? 1\n: 2\n", b"{", b"[" * 200, b'"', b",,,",
    "\u202e".encode(), b"\n", b"<<: *a", b"1" * 5000,
)  # fmt: skip


def config(draw: random.Random, folder: Path) -> Sequence[str]:
    """A config that ships, mutated."""
    from mnistbench.config.files import known_configs

    file = folder / "c.yaml"
    source = draw.choice(sorted(known_configs().values()))
    file.write_bytes(mutated(source.read_bytes(), draw))
    return ["config", draw.choice(["validate", "show"]), str(file)]


def yaml_bomb(draw: random.Random, folder: Path) -> Sequence[str]:
    """A few bytes that stand for many: aliases of aliases, deep nesting, merges."""
    file = folder / "bomb.yaml"
    wide, deep = draw.randint(3, 12), draw.randint(4, 20)
    lines = ["a0: &a0 [1, 2, 3]"]
    for level in range(1, deep):
        inner = ", ".join([f"*a{level - 1}"] * wide)
        form = draw.choice([f"[{inner}]", f"{{<<: [{inner}], k{level}: 1}}", f"{{k: [{inner}]}}"])
        lines.append(f"a{level}: &a{level} {form}")
    kinds = ["\n".join(lines), "a: " + "[" * draw.randint(10, 100_000), "a: &a [*a]",
             "? " * draw.randint(10, 5000), "a: " + "1" * draw.randint(10, 400_000)]  # fmt: skip
    file.write_text(draw.choice(kinds))
    return ["config", "validate", str(file)]


def flags(draw: random.Random, folder: Path) -> Sequence[str]:
    """Words that no option takes."""
    word = draw.choice(["x" * draw.randint(1, 5000), "\x1b[2J", "é", "a.b" * draw.randint(1, 3000),
                        "1e999", "-0", "٣", "a=" + "[" * 3000, "\udcff", "${HOME}"])  # fmt: skip
    return draw.choice([
        ["config", "show", "mnist-dense", "--set", word],
        ["config", "show", word],
        ["config", "show", "mnist-dense", "--set", f"training.epochs={word}"],
        ["compare", "runs/base", "runs/new", "--phase", word],
        ["compare", "runs/base", word],
        ["compare", "runs/base", "runs/new", "--margin", word],
        ["compare", "runs/base", "runs/new", "--metric", word],
        ["data", "show", "mnist", "--path", word],
        ["evaluate", word],
        ["benchmark", "--repeats", word],
        ["train", "--resume", word],
    ])  # fmt: skip


def table(draw: random.Random, folder: Path) -> Sequence[str]:
    """A run folder with a file of it mutated, or a cell of it replaced."""
    new = folder / "new"
    shutil.copytree(RUNS / "new", new)
    name = draw.choice(["timings.csv", "timings.csv", "metrics.csv", "machine.csv", "config.yaml",
                        "calibration.csv", "cloudmesh.log"])  # fmt: skip
    file = new / name
    if draw.random() < 0.5 and name.endswith(".csv"):
        lines = file.read_text().splitlines()
        row = draw.randrange(1, len(lines))
        cells = lines[row].split(",")
        cells[draw.randrange(len(cells))] = draw.choice(BITS).decode(errors="replace")
        lines[row] = ",".join(cells)
        file.write_text("\n".join(lines))
    else:
        file.write_bytes(mutated(file.read_bytes(), draw))
    given = file if name == "cloudmesh.log" else new
    output = draw.choice(["table", "markdown", "csv", "json"])
    phases = draw.choice([[], ["--phase", "all"], ["--metric", "test_accuracy"]])
    return ["compare", str(RUNS / "base"), str(given), "--format", output, *phases]


def table_by_others(draw: random.Random, folder: Path) -> Sequence[str]:
    """The same, read by the other commands that read run folders."""
    run, *_ = [word for word in table(draw, folder) if word.startswith(str(folder))]
    base, target = str(RUNS / "base"), folder / "result"
    given = [base, run] if draw.random() < 0.5 else [run]
    return draw.choice([
        ["merge", *given, "-o", str(target)],
        ["merge", *given, "-o", f"{target}.parquet"],
        ["report", *given, "-o", f"{target}.html"],
        ["report", *given, "--format", "markdown"],
        ["export", draw.choice(["pytest-benchmark", "hyperfine", "github-action-benchmark"]), run],
        ["export", draw.choice(["asv", "otava", "mlperf"]), run, "-o", str(target)],
        ["train", "--resume", run],
        ["benchmark", f"{run}/config.yaml", "--repeats", "0"],
    ])  # fmt: skip


def _read(path: Path, draw: random.Random) -> Sequence[str]:
    dataset = draw.choice(["mnist", "cifar10"])
    return draw.choice(
        [["data", "import", str(path)], ["data", "show", dataset, "--path", str(path)]]
    )


def npz(draw: random.Random, folder: Path) -> Sequence[str]:
    """A NumPy archive: a bomb, a claim, a flipped byte, too many members."""
    file = folder / "a.npz"
    way = draw.randrange(5)
    if way == 0:
        small = {name: np.zeros((3, 28, 28), np.uint8) for name in ("x_train", "x_test")}
        labels = {name: np.zeros(3, np.uint8) for name in ("y_train", "y_test")}
        np.savez(file, **small, **labels)
        file.write_bytes(mutated(file.read_bytes(), draw))
        return _read(file, draw)
    shape = draw.choice(
        [(1,) * 255, (True, 28, 28), (1 << 40,), (60_000, 28, 28), (-1, 28, 28), ()]
    )
    head = repr({"descr": draw.choice(["|u1", "<f8", "|O", "|V1000000000"]),
                 "fortran_order": False, "shape": shape}).encode()  # fmt: skip
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    array = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", array + bytes(draw.choice([0, 100, 1 << 25])))
        for number in range(draw.choice([0, 0, 20_000]) if way == 1 else 0):
            archive.writestr(f"m{number}", b"")
    return _read(file, draw)


def idx(draw: random.Random, folder: Path) -> Sequence[str]:
    """A folder of IDX files whose headers claim too much, plain, gzipped or sparse."""
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        dimensions = draw.choice([0, 1, 3, 3, 3, 4, 255])
        sizes = [draw.choice([0, 1, 3, 28, 28, 60_000, 1 << 31]) for _ in range(dimensions)]
        content = bytes([0, 0, 8, dimensions]) + struct.pack(f">{dimensions}I", *sizes)
        if draw.random() < 0.5:
            (folder / f"{name}-ubyte").write_bytes(content)
            with (folder / f"{name}-ubyte").open("r+b") as file:
                file.truncate(draw.choice([len(content), len(content) + 2352, 1 << 33]))
        else:
            zeros = gzip.compress(bytes(1 << 24), 1)
            body = gzip.compress(content) + zeros * draw.choice([0, 1, 30])
            (folder / f"{name}-ubyte.gz").write_bytes(
                mutated(body, draw) if draw.random() < 0.3 else body
            )
    return _read(folder, draw)


def tar(draw: random.Random, folder: Path) -> Sequence[str]:
    """An archive with endless members, huge headers, links out of it, or nothing but zeros."""
    file = folder / "a.tar.gz"
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as archive:
        way = draw.randrange(5)
        member = tarfile.TarInfo(
            draw.choice(["../../x", "/etc/x", "cifar-10-batches-py/data_batch_1"])
        )
        if way == 0:
            member.pax_headers = {"comment": "x" * draw.choice([10, 1 << 17, 1 << 24])}
        elif way == 1:
            member.name = "n" * draw.choice([200, 1 << 17, 1 << 24])
        elif way == 2:
            member.type, member.linkname = (
                draw.choice([tarfile.SYMTYPE, tarfile.LNKTYPE]),
                "/etc/passwd",
            )
        for _ in range(draw.choice([1, 20, 20_000]) if way == 3 else 1):
            archive.addfile(member)
    body = text.getvalue() + bytes(draw.choice([0, 1 << 24]))
    packed = gzip.compress(body, 1)
    file.write_bytes(sometimes(packed, draw))
    return _read(file, draw)


def pickles(draw: random.Random, folder: Path) -> Sequence[str]:
    """A batch whose pickle names code, nests, refers to itself, or never ends."""
    place = folder / "cifar-10-batches-py"
    place.mkdir()
    depth = draw.choice([10, 200_000])
    body = draw.choice([
        b"\x80\x02cos\nsystem\nU" + bytes([len(RUN)]) + RUN + b"\x85R.",
        b"cposix\nsystem\n(S'" + RUN + b"'\ntR.",
        b"\x80\x02}" + b"(" * depth + b".",
        b"\x80\x02)" + b"\x85" * depth + b".",
        b"\x80\x02" + b"]q\x00h\x00a" * depth + b".",
        b"\x80\x02}" + b")q\x00" + b"h\x00h\x00\x86q\x00" * 30 + b"K\x01s.",
        b"\x80\x02" + b"N0" * 2_000_000 + b".",
        b"\x80\x02}U\x04dataU\x04datas}U\x04dataU\x04datas.",
        b"\x80\x02" + b"\x8b" + struct.pack("<i", 1 << 30) + b".",
    ])  # fmt: skip
    for number in range(1, 6):
        (place / f"data_batch_{number}").write_bytes(
            mutated(body, draw) if draw.random() < 0.3 else body
        )
    (place / "test_batch").write_bytes(body)
    return _read(folder, draw)


def models(draw: random.Random, folder: Path) -> Sequence[str]:
    """A saved model that unpacks to far more, nests, holds code, or is none."""
    file = folder / f"model{draw.choice(['.keras', '.keras', '.h5'])}"
    layer = {"class_name": "Lambda", "config": {"function": f"__import__('os').system('{RUN!r}')"}}
    depth = draw.choice([1, 2000, 100_000])
    parts = {
        "config.json": draw.choice([
            b"{" * depth, b'{"config":{"layers":[' * depth, json.dumps({"config": 1}).encode(),
            b"[" + b"1," * depth, bytes(draw.choice([10, 1 << 25])), b"\xff\xfe", b"1" * depth,
            json.dumps({"config": {"layers": [layer]}}).encode()[: draw.randint(5, 60)],
        ]),
        "model.weights.h5": bytes(draw.choice([0, 1 << 26])),
    }  # fmt: skip
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    file.write_bytes(sometimes(file.read_bytes(), draw))
    return ["evaluate", str(file), "--config", "mnist-dense"]


def pictures(draw: random.Random, folder: Path) -> Sequence[str]:
    """A picture of too many pixels, mutated, cut short, or empty of any drawing."""
    model, file = folder / "model.keras", folder / "picture"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("config.json", '{"config": {"layers": []}}')
        archive.writestr("model.weights.h5", "")
    size = draw.choice([(28, 28), (300, 200), (6000, 5000), (13_000, 13_000), (1, 60_000)])
    image = Image.new(draw.choice(["1", "L", "P"]), size)
    image.save(file, draw.choice(["PNG", "GIF", "BMP", "TIFF"]))
    content = file.read_bytes()
    file.write_bytes(mutated(content, draw) if len(content) < 1 << 20 else content)
    return ["evaluate", str(model), "--config", "mnist-dense", "--images", str(file)]


KINDS: dict[str, Make] = {
    "config": config, "YAML bombs": yaml_bomb, "flags": flags, "tables and logs": table,
    "tables, by others": table_by_others, "npz": npz,
    "IDX and gzip": idx, "tar": tar, "pickles": pickles, "models": models, "pictures": pictures,
}  # fmt: skip
"""What is made, by the name in the report."""
