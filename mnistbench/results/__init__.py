"""The files of a run: rows, tables, folders, logs and pictures."""
