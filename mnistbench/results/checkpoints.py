"""The checkpoints that a training leaves in its run folder."""

from __future__ import annotations

from pathlib import Path

from mnistbench.results.tables import CHECKPOINTS


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the file of the checkpoint after an epoch; its state is beside it as `.json`."""
    return folder / CHECKPOINTS / f"epoch-{epoch:04d}.keras"


def last_checkpoint(folder: Path) -> Path | None:
    """Return the file of the last whole checkpoint, if there is one."""
    whole = [
        path
        for path in (folder / CHECKPOINTS).glob("epoch-*.keras")
        if path.with_suffix(".json").is_file() and path.stem.removeprefix("epoch-").isdigit()
    ]
    return max(whole, key=checkpoint_epoch, default=None)


def checkpoint_epoch(path: Path) -> int:
    """Return how many epochs a checkpoint has behind it."""
    return int(path.stem.removeprefix("epoch-"))
