"""The files of a run folder, each known here and nowhere else."""

from __future__ import annotations

TIMINGS = "timings.csv"
METRICS = "metrics.csv"
MACHINE = "machine.csv"
CONFIG = "config.yaml"
CLOUDMESH = "cloudmesh.log"
LOG = "log.txt"
CALIBRATION = "calibration.csv"
PEAK = "peak.csv"
