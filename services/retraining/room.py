"""The door to what is free here, memory within the container's limit and disk, and to what was taken."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from services.retraining import processes
from shared.training.base_model_shape import BaseModelShape
from shared.training.device import Kind
from shared.training.memory import GB, Attention, Estimate, estimate, refusal
from shared.training.plan import TrainingPlan

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
PAGE = os.sysconf("SC_PAGE_SIZE")


def why_no_room(
    plan: TrainingPlan, needed: Estimate, folder: Path, memory_gb: float | None = None
) -> str | None:
    """Why the training that needs so much must not start here; None if it may.

    `memory_gb` stands for what the device has free, which is looked up if it is left out. Of several GPUs the
    one with the least has to do.
    """
    memory = free_memory_gb(plan.device.kind, _together(plan)) if memory_gb is None else memory_gb
    disk = shutil.disk_usage(folder).free / GB
    return refusal(plan.method, needed, memory, disk, str(folder), free_host_memory() / GB)


def needs(
    plan: TrainingPlan, base: BaseModelShape | None, tokens: int, attention: Attention
) -> Estimate | None:
    """What the training of rows of at most `tokens` will take here; None for a model of unknown shape."""
    return None if base is None else estimate(plan, base, tokens, attention, _together(plan))


def _together(plan: TrainingPlan) -> int:
    """Processes of this training: a fusion is the first one's alone."""
    return 1 if plan.method == "fusion" else processes.count()


def peak_memory_gb(kind: Kind) -> float:
    """The most that this process has taken so far: of its GPU, or resident in the machine's memory.

    Of a GPU it is what torch's allocator held, without CUDA's own context.
    """
    if kind == "cuda":
        import torch

        return float(torch.cuda.max_memory_reserved()) / GB
    try:
        return _field(PROC / "self" / "status", "VmHWM:") * 1024 / GB
    except (OSError, ValueError):  # no Linux, which counts here whoever started this process; macOS: bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GB


def free_memory_gb(kind: Kind, gpus: int = 1) -> float:
    """What a process may take: of any of so many GPUs, or of this machine and what its container may have."""
    if kind == "cuda":
        import torch

        return min(float(torch.cuda.mem_get_info(gpu)[0]) for gpu in range(gpus)) / GB
    return free_host_memory() / GB


def free_host_memory(proc: Path = PROC, cgroups: Path = CGROUPS) -> float:
    """Bytes, with those that this process has taken already."""
    try:
        machine = _field(proc / "meminfo", "MemAvailable:") * 1024
        own = int((proc / "self" / "statm").read_text().split()[1]) * PAGE
    except (OSError, ValueError):  # no Linux: what is built in
        return float(PAGE * os.sysconf("SC_PHYS_PAGES"))
    return min([machine, *_left_in_cgroups(proc, cgroups)]) + own


def _left_in_cgroups(proc: Path, cgroups: Path) -> Iterator[float]:
    """What the limit of each group that this process is in leaves it, of version 2 and of version 1.

    Files that were read and may be forgotten count as taken by a group, and are free to be had.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers:
            root, limit, used, files = cgroups, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, limit, used = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            files = "total_inactive_file"
        else:
            continue
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            try:
                most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
                yield most - taken + _field(folder / "memory.stat", files)
            except (OSError, ValueError):  # no such group here, or its limit is "max"
                pass
            if folder == root:
                break


def _field(file: Path, name: str) -> int:
    """The number that follows `name` at the beginning of a line. Raises OSError, ValueError."""
    for line in file.read_text().splitlines():
        if line.startswith((f"{name} ", f"{name}\t")):
            return int(line.split()[1])
    raise ValueError(f"{file} does not say {name}")
