"""Write what is generated: the JSON Schema and the table of config fields here, results/README.md.

make docs
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mnistbench.config.run_config import json_schema

DOCS = Path(__file__).parent
GROUPS = {
    "": "RunConfig",
    "dataset.": "DatasetConfig",
    "model.": "DenseModel",
    "model. ": "CnnModel",
    "training.": "TrainingConfig",
    "sweep.": "SweepBlock",
}
TITLES = {
    "": "Top level",
    "dataset.": "`dataset`",
    "model.": "`model` with `family: dense`",
    "model. ": "`model` with `family: cnn`",
    "training.": "`training`",
    "sweep.": "`sweep`, for [`mnistbench sweep`](sweeps.md)",
}
HEAD = """# Config fields

Generated from the schema by `make docs`; `mnistbench config schema` prints the same as JSON Schema.
An editor with a YAML language server completes and checks a config that begins with

```yaml
# yaml-language-server: $schema=PATH/config.schema.json
```
"""


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


def config_text() -> str:
    schema = json_schema()
    definitions = {**schema["$defs"], "RunConfig": schema}
    parts = [HEAD]
    for prefix, name in GROUPS.items():
        parts.append(f"## {TITLES[prefix]}\n")
        parts.append("| field | allowed | default | meaning |\n|---|---|---|---|")
        for field, told in definitions[name]["properties"].items():
            if "description" in told:
                parts.append(_row(prefix.strip() + field, told))
        parts.append("")
    return "\n".join(parts)


def _row(field: str, told: dict[str, Any]) -> str:
    default = json.dumps(told["default"]) if "default" in told else ""
    meaning = " ".join(told["description"].split()).replace("|", "\\|")
    return f"| `{field}` | {_allowed(told)} | {f'`{default}`' if default else ''} | {meaning} |"


def _allowed(told: dict[str, Any]) -> str:
    if "anyOf" in told:
        return " or ".join(_allowed(part) for part in told["anyOf"])
    if "const" in told:
        return f"`{told['const']}`"
    if "enum" in told:
        return ", ".join(f"`{value}`" for value in told["enum"])
    if told.get("type") == "array":
        return f"list of: {_allowed(told['items'])}"
    return _bounded(told)


def _bounded(told: dict[str, Any]) -> str:
    words = {
        "null": "left out", "string": "text", "boolean": "`true`, `false`",
        "object": "fields with values",
    }  # fmt: skip
    kind = str(told.get("type"))
    signs = {
        "minimum": "at least", "exclusiveMinimum": "above",
        "maximum": "at most", "exclusiveMaximum": "below",
    }  # fmt: skip
    bounds = [f"{sign} {told[key]}" for key, sign in signs.items() if key in told]
    return " ".join([words.get(kind, kind), ", ".join(bounds)]).strip()


def main() -> None:
    import standings_page  # beside this script; it reads every published run

    (DOCS / "config.schema.json").write_text(schema_text(), encoding="utf-8")
    (DOCS / "config.md").write_text(config_text(), encoding="utf-8")
    standings_page.write()


if __name__ == "__main__":
    main()
