"""The GPUs of a host, by the names CUDA gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DEVICE = re.compile(r"nvidia\d+")


def host_gpus(visible: str | None, devices: Iterable[str]) -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES says where it is set; else one for each of the driver's device files.

    CUDA counts those that it sees from 0, whatever the driver calls them: a container that is given
    `nvidia3` alone has GPU 0.
    """
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    found = [name for name in devices if _DEVICE.fullmatch(name)]
    return tuple(str(number) for number in range(len(found)))
