"""The process around the server: starting, failing to start, and never outliving its supervisor."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.laptop.model_server.conftest import Client
from tests.servers.model import MODEL, ROOT, free_port, model_server


def start(port: int, model: Path, *options: str) -> subprocess.Popen[str]:
    command: Sequence[str] = [sys.executable, "-m", "deploy.laptop.model_server", "--port", str(port)]
    return subprocess.Popen(
        [*command, "--model", str(model), "--served-model-name", MODEL, *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_taken_port_is_said_in_one_line(base_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(port, base_folder)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said.count("\n") == 1
    assert f"port {port} is taken" in said
    assert "--port" in said


def test_a_folder_without_a_model_is_said_with_the_way_to_make_one(tmp_path: Path) -> None:
    process = start(free_port(), tmp_path)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "python -m deploy.laptop.base_model" in said


def test_weights_that_cannot_be_read_end_the_process(base_folder: Path, tmp_path: Path) -> None:
    for file in base_folder.glob("*.json"):
        shutil.copy(file, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    process = start(free_port(), tmp_path)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot be loaded" in said
    assert "Traceback" not in said


def test_only_loopback_addresses_are_listened_on(base_folder: Path) -> None:
    process = start(free_port(), base_folder, "--host", "0.0.0.0")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "not a loopback address" in said


def test_a_second_base_model_is_refused_in_one_line(base_folder: Path) -> None:
    process = start(free_port(), base_folder, "--model", str(base_folder))
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "--model is given twice: a server has one base model" in said.splitlines()[-1]


@pytest.mark.parametrize("way", ["stdin", "SIGTERM"])
def test_it_stops_at_once_even_while_the_model_is_being_loaded(base_folder: Path, way: str) -> None:
    port = free_port()
    process = start(port, base_folder, "--stop-with-stdin")
    with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as http:  # retries wait for the port
        assert http.get(f"http://127.0.0.1:{port}/health").status_code == 503
    if way == "SIGTERM":
        process.send_signal(signal.SIGTERM)
    else:
        assert process.stdin is not None
        process.stdin.close()
    assert process.wait(timeout=5) == 0


def test_it_ends_when_the_thread_that_asks_the_model_dies_and_nobody_waits_on(
    base_folder: Path,
) -> None:
    port = free_port()
    fault = "Worker._advance = lambda *_: 1 / 0"
    program = f"import runpy; from deploy.laptop.model_server.batching import Worker; {fault}; " + (
        "runpy.run_module('deploy.laptop.model_server', run_name='__main__')"
    )
    options = ["--port", str(port), "--model", str(base_folder), "--served-model-name", MODEL]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *options], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=10), timeout=60
        ) as http:
            while http.get("/health").status_code == 503:
                time.sleep(0.2)
            answer = http.post("/v1/completions", json={"model": MODEL, "prompt": "One, two,"})
        assert answer.status_code == 503
        assert "the model is asked no more (ZeroDivisionError)" in answer.text
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "the thread that asks the model has ended" in said


def test_it_serves_in_float32_if_told_to_and_stops_with_requests_under_way(base_folder: Path) -> None:
    with model_server(environment={"TUNELOOP_DTYPE": "float32"}) as url, httpx.Client(base_url=url) as http:
        body = {"model": MODEL, "prompt": "The capital of France is", "max_tokens": 1, "temperature": 0}
        assert http.post("/v1/completions", json=body).json()["choices"][0]["text"] == " Paris"
        with pytest.raises(httpx.TimeoutException):
            http.post("/v1/completions", json=body | {"max_tokens": 4000}, timeout=0.5)


def test_metrics_have_vllms_names(server: Client) -> None:
    server.complete("One, two,")
    told = server.http.get("/metrics").text
    for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:request_success_total"):
        assert name in told
