"""The command: options in, one call of the library, tables and an exit code out."""

from mnistbench.cli.main import command, main

__all__ = ["command", "main"]
