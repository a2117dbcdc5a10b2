"""What is free: on this machine, and no more than its container may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.retraining import room
from services.retraining.room import PAGE, free_host_memory, free_memory_gb, needs, why_no_room
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.section import Training
from tests.shared.training.shapes import LLAMA_7B

MB = 1_000_000


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """A machine with 8192 MiB free, and a process that has taken a hundred pages."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    cgroups.mkdir()
    (proc / "meminfo").write_text(f"MemTotal: 16777216 kB\nMemAvailable: {8 * 1024 * 1024} kB\n")
    (proc / "self" / "statm").write_text("900 100 50 1 0 200 0\n")
    return proc, cgroups


def limited(folder: Path, most: str, taken: int, files: int, names: tuple[str, str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(
        names, (most, str(taken), f"anon 5\n{files_named(names)} {files}\n"), strict=True
    ):
        (folder / name).write_text(content)


def files_named(names: tuple[str, str, str]) -> str:
    return "inactive_file" if names[0] == "memory.max" else "total_inactive_file"


V2 = ("memory.max", "memory.current", "memory.stat")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")


def test_without_a_limit_it_is_what_the_machine_has(machine: tuple[Path, Path]) -> None:
    proc, cgroups = machine
    assert free_host_memory(proc, cgroups) == 8 * 1024**3 + 100 * PAGE


def test_a_containers_limit_counts_and_files_that_may_be_forgotten_do_not(
    machine: tuple[Path, Path],
) -> None:
    proc, cgroups = machine
    (proc / "self" / "cgroup").write_text("0::/\n")
    limited(cgroups, str(2000 * MB), 1500 * MB, 300 * MB, V2)
    assert free_host_memory(proc, cgroups) == 800 * MB + 100 * PAGE


def test_the_tightest_of_nested_groups_counts(machine: tuple[Path, Path]) -> None:
    proc, cgroups = machine
    (proc / "self" / "cgroup").write_text("0::/pods/this\n")
    limited(cgroups / "pods" / "this", "max", 0, 0, V2)
    limited(cgroups / "pods", str(1000 * MB), 400 * MB, 0, V2)
    assert free_host_memory(proc, cgroups) == 600 * MB + 100 * PAGE


def test_a_limit_of_the_first_version_counts_too(machine: tuple[Path, Path]) -> None:
    proc, cgroups = machine
    (proc / "self" / "cgroup").write_text("5:cpu:/x\n4:memory:/docker/abc\n")
    limited(cgroups / "memory", str(900 * MB), 200 * MB, 100 * MB, V1)
    assert free_host_memory(proc, cgroups) == 800 * MB + 100 * PAGE


def test_of_several_gpus_the_one_with_the_least_free_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    free = [20e9, 8e9, 30e9]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (free[gpu], 40e9))
    assert free_memory_gb("cuda", 3) == 8.0
    assert free_memory_gb("cuda", 1) == 20.0


def test_processes_that_train_together_are_refused_for_what_they_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(Training(), 100, 3, 64, LLAMA_7B.parameters, Device(kind="cuda", dtype="bfloat16"))
    monkeypatch.setattr(room, "free_host_memory", lambda: 40e9)
    for processes, is_refused in (("2", False), ("4", True)):
        monkeypatch.setenv("WORLD_SIZE", processes)
        needed = needs(planned, LLAMA_7B, 64, "sdpa")
        assert needed is not None
        reason = why_no_room(planned, needed, tmp_path, memory_gb=1000.0)
        assert (reason is not None) is is_refused


def test_a_fusion_is_the_first_processs_alone_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fusion = Training(method="fusion", adapters=("one", "two"))
    planned = plan(fusion, 100, 3, 64, LLAMA_7B.parameters, Device(kind="cuda", dtype="bfloat16"))
    monkeypatch.setenv("WORLD_SIZE", "4")
    needed = needs(planned, LLAMA_7B, 64, "sdpa")
    assert needed is not None
    reason = why_no_room(planned, needed, tmp_path, memory_gb=12.0)
    assert reason is not None
    assert "weights 13." in reason


def test_a_training_with_too_little_memory_is_refused_before_it_starts(tmp_path: Path) -> None:
    planned = plan(Training(method="full"), 100, 3, 64, LLAMA_7B.parameters, Device())
    needed = needs(planned, LLAMA_7B, 64, "eager")
    assert needed is not None
    reason = why_no_room(planned, needed, tmp_path, memory_gb=24.0)
    assert reason is not None
    assert "24.0 GB are free" in reason
    assert needs(planned, None, 64, "eager") is None  # of unknown shape


def test_the_peak_is_this_processs_and_not_that_of_who_started_it() -> None:
    large = b"x" * 400 * MB
    asked = "from services.retraining.room import peak_memory_gb; print(peak_memory_gb('cpu'))"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True, text=True).stdout
    assert len(large) > 0
    assert 0.01 < float(said) < 0.3
