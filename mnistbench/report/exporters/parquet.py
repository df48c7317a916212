"""The merged timings as one Parquet file, as `mnistbench merge -o FILE.parquet` writes them."""

from __future__ import annotations

from pathlib import Path

from mnistbench.errors import OutputError
from mnistbench.report.exporters.measured import Measured
from mnistbench.results.keyed_tables import number_columns
from mnistbench.results.parquet import write_parquet
from mnistbench.results.rows import TimingRow
from mnistbench.results.tables import TIMINGS
from mnistbench.results.whole import whole_file


def write_file(measured: Measured, file: Path) -> None:
    """Write every row, those of failed repeats too; raise OutputError if they cannot be."""
    import duckdb

    try:
        with whole_file(file) as partial:
            write_parquet(measured.folder / TIMINGS, partial, number_columns(TimingRow))
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:  # a full disk, to DuckDB
        reason = str(error).splitlines()[0]
        raise OutputError(f"{file}: cannot be written: {reason}") from None
