"""Write what is generated in the documents: the schema and table of config fields, the commands'
help, the README's table of them, the files that a page shows, and results/README.md.

make docs
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click import Command, Context, Group, Option

from mnistbench.cli import command as mnistbench
from mnistbench.config.run_config import json_schema

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
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

COMMANDS_HEAD = """# Commands

Generated from the program by `make docs`; `mnistbench COMMAND --help` prints the same. How a
command ends: [exit-codes.md](exit-codes.md).
"""
SHOWN_FILES = {"github.yml": "yaml", "gitlab.yml": "yaml", "Makefile": "make"}
"""Of the folder `ci`, each shown whole in `ci.md`."""


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


def commands_text() -> str:
    """Return the page of all commands, each with its arguments and options as Click has them."""
    return "\n".join([COMMANDS_HEAD, *(_section(told) for told in _commands(mnistbench))])


def readme_text() -> str:
    """Return the README with a line for each command."""
    group = Context(mnistbench)
    lines = []
    for name in mnistbench.list_commands(group):
        told = mnistbench.get_command(group, name)
        assert told is not None
        sentence = _paragraphs(told)[0].rstrip(".")
        lines.append(f"| [`{name}`](docs/commands.md#mnistbench-{name}) | {_cell(sentence)} |")
    table = "\n".join(["| command | what it does |", "|---|---|", *lines])
    return _with_block(README.read_text(encoding="utf-8"), "commands", table)


def ci_text() -> str:
    """Return the page on CI with its files in it."""
    text = (DOCS / "ci.md").read_text(encoding="utf-8")
    for name, language in SHOWN_FILES.items():
        content = (DOCS / "ci" / name).read_text(encoding="utf-8")
        text = _with_block(text, f"ci/{name}", f"```{language}\n{content}```")
    return text


def _commands(group: Group, parent: Context | None = None) -> Iterator[Context]:
    """Yield a context for each command, a group before its own, in the order of the help."""
    settings = group.context_settings  # Click keeps what an option was called the first time
    context = Context(group, parent, "mnistbench" if parent is None else group.name, **settings)
    if parent is not None:
        yield context
    for name in group.list_commands(context):
        told = group.get_command(context, name)
        assert told is not None
        if isinstance(told, Group):
            yield from _commands(told, context)
        else:
            yield Context(told, context, name)


def _section(context: Context) -> str:
    told = context.command
    usage = " ".join([context.command_path, *told.collect_usage_pieces(context)])
    rows = [
        f"| `{names.replace('|', ', ')}` | {_cell(meaning)} |"
        for option in told.params
        if isinstance(option, Option) and (record := option.get_help_record(context))
        for names, meaning in [record]
    ]
    level = "#" * len(context.command_path.split())
    table = ["| option | meaning |\n|---|---|", *rows, ""] if rows else []
    return "\n".join(
        [
            f"{level} `{context.command_path}`\n",
            f"```text\n{usage}\n```\n",
            *(f"{_cell(paragraph)}\n" for paragraph in _paragraphs(told)),
            *table,
        ]
    )


def _paragraphs(told: Command) -> list[str]:
    return [" ".join(part.split()) for part in (told.help or "").split("\n\n")]


def _cell(text: str) -> str:
    """Return help as Markdown has it: no bar ends a cell, no name in capitals is a tag."""
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")


def _with_block(text: str, name: str, block: str) -> str:
    """Return a text with what stands between its marks of that name put anew."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    marks = re.compile(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", re.DOTALL)
    new, count = marks.subn(lambda _: f"\n{block}\n\n", text)
    assert count == 1, f"{name}: marked {count} times"
    return new


def main() -> None:
    import standings_page  # beside this script; it reads every published run

    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
    standings_page.write()


def generated() -> dict[Path, str]:
    """Return every generated file of this script with what it should hold."""
    return {
        DOCS / "config.schema.json": schema_text(),
        DOCS / "config.md": config_text(),
        DOCS / "commands.md": commands_text(),
        DOCS / "ci.md": ci_text(),
        README: readme_text(),
    }


if __name__ == "__main__":
    main()
