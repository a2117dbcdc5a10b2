"""A damaged segment becomes one that can be served: intact batches stay, the rest is set aside in a file.

Readers of the hole go on at the next batch that there is, as they do in a topic with deleted records.
"""

import logging
import os
from pathlib import Path

from deploy.laptop.kafka.segment_scan import intact_parts

logger = logging.getLogger(__name__)

NO_LIMIT = 1 << 62


def damaged_path(log: Path) -> Path:
    return log.with_suffix(".log.damaged")


def repair(log: Path, base_offset: int, below: int, problem: Exception, *, is_last: bool) -> None:
    """Keeps the whole batches of `log` (offsets from `base_offset`, less than `below`); raises OSError.

    A torn end of the last segment is a write that a kill interrupted and nobody was told of: it is cut off.
    Anything else is set aside beside the segment; a segment that keeps nothing goes aside altogether. Killed
    half-way, it is done again from the start.
    """
    size, parts = log.stat().st_size, intact_parts(log, base_offset, below)
    kept = sum(end - start for start, end in parts)
    is_one_run_from_the_start = [(0, kept)] == parts or not parts
    if is_last and is_one_run_from_the_start:
        logger.warning("%s: cut %d bytes from byte %d on: %s", log, size - kept, kept, problem)
        os.truncate(log, kept)
        return
    aside = damaged_path(log)
    logger.error(
        "%s is damaged (%s): %d of its %d bytes are whole batches and are served; readers go on behind "
        "the hole. The segment as it was is kept in %s: delete that when nobody needs it.",
        log, problem, kept, size, aside,
    )  # fmt: skip
    if not kept:
        log.replace(aside)
        return
    repaired = log.with_suffix(".log.repaired")
    with log.open("rb") as old, repaired.open("wb") as new:
        for start, end in parts:
            old.seek(start)
            new.write(old.read(end - start))
        new.flush()
        os.fsync(new.fileno())
    if not aside.exists():  # a second repair keeps the first's evidence
        os.link(log, aside)
    repaired.replace(log)
