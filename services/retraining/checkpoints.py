"""What an earlier attempt at a training left in its folder: its last whole checkpoint, and when it began."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path

from services.retraining import processes
from services.retraining.best_epoch import evaluations, is_over

STATE = "trainer_state.json"  # the last file of a checkpoint to be written


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; a half-written one is removed."""
    newest_first = sorted(
        folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True
    )
    for checkpoint in newest_first:
        try:
            json.loads((checkpoint / STATE).read_text("utf-8"))
        except (OSError, ValueError):
            if processes.is_first():
                shutil.rmtree(checkpoint)
        else:
            return checkpoint
    return None


def ended_at(checkpoint: Path | None, patience: int) -> int | None:
    """The step of a checkpoint after which there is no other, because no epoch had got better."""
    if checkpoint is None:
        return None
    state = json.loads((checkpoint / STATE).read_text("utf-8"))
    is_ended = is_over(evaluations(state["log_history"]), patience)
    return int(state["global_step"]) if is_ended else None


def first_start(folder: Path) -> float:
    """When the training was first started, in seconds of the clock; now if it never was."""
    note = folder / "started"
    with suppress(
        FileNotFoundError, ValueError
    ):  # ValueError: killed, or not yet done, before it was written
        return float(note.read_text())
    started = time.time()
    note.write_text(str(started))
    return started
