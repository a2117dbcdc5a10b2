"""New ids that sort by time: UUID version 7."""

from __future__ import annotations

import os
from datetime import datetime

from shared.uuid7 import RANDOM_BYTES, uuid7


def time_ordered_id(moment: datetime) -> str:
    return uuid7(int(moment.timestamp() * 1000), os.urandom(RANDOM_BYTES))
