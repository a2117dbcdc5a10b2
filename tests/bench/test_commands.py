"""The benches run, and their last line is the JSON that they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers.model import ROOT
from tests.services.retraining.tiny_base_model import tiny_base_model

CHAOS_SECONDS, INGEST_SECONDS, LABEL_WORDS_SECONDS = 300, 200, 300
TRAINING_SECONDS, RESUME_SECONDS = 300, 300


def last_line(module: str, *arguments: str, seconds: float) -> dict[str, Any]:
    """Raises AssertionError with what it said if it does not end well."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_nothing_acknowledged_of_50_000_is_lost_or_shown_twice_whatever_is_killed(tmp_path: Path) -> None:
    told = last_line(
        "chaos", "--events", "50000", "--kills", "4", "--data", str(tmp_path), seconds=CHAOS_SECONDS
    )
    assert list(told) == [
        "acknowledged", "stored", "visible", "visible_twice", "kills", "store_outages", "recovery_p95_s"
    ]  # fmt: skip
    assert told["acknowledged"] > 49_000
    assert told["stored"] == told["visible"] == told["acknowledged"]
    assert (told["visible_twice"], told["kills"], told["store_outages"]) == (0, 4, 2)


def test_the_ingest_bench_ends_with_its_figures() -> None:
    small = ("--events", "2000", "--rounds", "1", "--seconds", "2", "--rate", "300", "--rows", "2000")
    told = last_line("ingest", *small, seconds=INGEST_SECONDS)
    assert list(told) == [
        "cpu_us_per_event", "cpu_ratio_arroyo", "cpu_ratio_faststream_single", "publish_cpu_us",
        "end_to_end_cpu_us_per_event", "events_per_s_end_to_end", "p99_visible_s", "lost", "visible_twice",
    ]  # fmt: skip
    assert (told["lost"], told["visible_twice"]) == (0, 0)
    assert all(told[name] > 0 for name in list(told)[:7])


def test_a_training_that_is_killed_at_random_steps_ends_with_the_same_weights() -> None:
    told = last_line("resume", "--kills", "2", seconds=RESUME_SECONDS)
    assert told == {"kills": 2, "identical": True, "largest_difference": 0.0}


def test_the_intake_bench_ends_with_its_figures() -> None:
    told = last_line("intake", "--events", "5000", "--rounds", "1", seconds=INGEST_SECONDS)
    assert list(told) == ["single_per_s_core", "batch_per_s_core"]
    assert told["batch_per_s_core"] > 3 * told["single_per_s_core"] > 0


def test_the_bench_of_the_door_finds_that_keys_cost_little() -> None:
    told = last_line("door_cost", "--requests", "100", "--rounds", "10", seconds=INGEST_SECONDS)
    assert list(told) == ["without_keys_us", "with_keys_us", "ratio"]
    assert 0 < told["ratio"] < 1.5, "a busy machine: the bench itself tells it exactly"


def test_the_training_bench_ends_with_its_figures(tmp_path: Path) -> None:
    small = (
        "--device",
        "cpu",
        "--steps",
        "3",
        "--rows",
        "40",
        "--base-model",
        tiny_base_model(tmp_path),
    )
    told = last_line("training", *small, seconds=TRAINING_SECONDS)
    assert list(told) == [
        "tokens_per_s", "tokens_per_s_plain_trl", "speedup", "eval_loss", "eval_loss_plain_trl",
        "min_grad_norm", "peak_memory_gb",
    ]  # fmt: skip
    assert all(figure > 0 for figure in told.values())


def test_the_bench_of_memory_finds_no_peak_above_its_estimate(tmp_path: Path) -> None:
    told = last_line(
        "training_memory", "--rows", "16", "--base-model", tiny_base_model(tmp_path / "tiny"),
        seconds=TRAINING_SECONDS,
    )  # fmt: skip
    assert list(told) == ["lora", "qlora", "full"]
    for figures in told.values():
        assert list(figures) == ["estimated_gb", "peak_gb", "ratio"]
        assert 0 < figures["peak_gb"] <= figures["estimated_gb"]


def test_the_bench_of_large_tables_ends_with_its_figures() -> None:
    told = last_line("large_tables", "--rows", "20000", seconds=INGEST_SECONDS)
    assert list(told) == ["rows", "unpaired_ms", "status_ms", "insert_rows_per_s"]
    assert told["rows"] == 20_000
    assert all(figure > 0 for figure in told.values())


def test_the_bench_of_label_words_ends_with_its_figures(tmp_path: Path) -> None:
    labels = ("card_lost", "refund_late", "parcel_late")
    rows = "".join(
        f"where is my {label.partition('_')[0]} {n},{label}\n" for label in labels for n in range(9)
    )
    (tmp_path / "rows.csv").write_text(f"text,category\n{rows}")
    told = last_line(
        "label_words", "--rows", str(tmp_path / "rows.csv"), "--train", "4", "--training", '{"max_steps": 2}',
        seconds=LABEL_WORDS_SECONDS,
    )  # fmt: skip
    assert list(told) == [
        "labels", "train_rows", "steps", "accuracy_words", "accuracy_letters", "accuracy_linear", "n"
    ]  # fmt: skip
    assert (told["labels"], told["train_rows"], told["steps"], told["n"]) == (3, 12, 2, 15)
    assert told["accuracy_linear"] == 1.0
