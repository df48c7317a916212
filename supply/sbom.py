"""Complete the bill of materials of a wheel: its digest, and what it bundles beside our own code.

    python supply/sbom.py WHEEL SBOM

`cyclonedx-py requirements` lists what is installed beside a wheel, and cannot see into it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

BUNDLED = {
    "mnistbench/report/html/static/plotly-cartesian.min.js": ("plotly.js", "library", "MIT"),
    "mnistbench/data/mnist.npz": ("MNIST", "data", "CC-BY-SA-3.0"),
}
"""Of the files in the wheel, those that others made: name, kind and licence."""


def completed(sbom: dict[str, Any], wheel: Path) -> dict[str, Any]:
    """Return the bill with the wheel's digest, and a component for each bundled file."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    sbom["metadata"]["component"]["version"] = wheel.name.split("-")[1]
    sbom["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": digest}]
    with zipfile.ZipFile(wheel) as archive:
        for file, (name, kind, licence) in BUNDLED.items():
            sbom["components"].append(component(name, kind, licence, file, archive.read(file)))
    return sbom


def component(name: str, kind: str, licence: str, file: str, content: bytes) -> dict[str, Any]:
    """Return one bundled file as CycloneDX has it."""
    found = re.search(rb"\bv(\d+\.\d+\.\d+)", content[:400]) if kind == "library" else None
    return {
        "type": kind,
        "bom-ref": f"bundled-{name}",
        "name": name,
        **({"version": found[1].decode()} if found else {}),
        "description": f"bundled as {file}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
        "licenses": [{"license": {"id": licence}}],
    }


if __name__ == "__main__":
    wheel, sbom = map(Path, sys.argv[1:])
    content = completed(json.loads(sbom.read_text(encoding="utf-8")), wheel)
    sbom.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
