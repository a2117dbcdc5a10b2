"""`python -m deploy.laptop.model_server --port N --model FOLDER --served-model-name NAME`"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deploy.laptop.model_server.api import create_app
from deploy.laptop.model_server.limits import HIGHEST_RANK, Limits, copies_that_fit
from shared.cpu_dtype import cpu_dtype
from shared.http_doors.tracebacks import once_per_minute
from shared.http_server import HttpServer, server_config
from shared.loopback import NAME, CannotListen, bound_sockets

if TYPE_CHECKING:
    from deploy.laptop.model_server.serving import Serving

_GRACE_SECONDS = 2

log = logging.getLogger("model_server")


class ModelServerProcess:
    """The server while its model is being loaded, while it answers, and at its end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._serving: Serving | None = None
        self._failed = False
        app = create_app(lambda: self._serving, str(options.model))
        self._server = HttpServer(server_config(app, _GRACE_SECONDS))

    def run(self, listening: list[socket.socket]) -> int:
        """Answers until a signal. Returns the exit status."""
        threading.Thread(target=self._load, name="load", daemon=True).start()
        if self._options.stop_with_stdin:
            threading.Thread(target=_stop_when_stdin_ends, name="stdin", daemon=True).start()
        with contextlib.suppress(SystemExit):  # uvicorn gives the signal back once it has stopped
            self._server.run(sockets=listening)
        if self._serving is not None:
            self._serving.stop(timeout_seconds=_GRACE_SECONDS)
        return 1 if self._failed else 0

    def _load(self) -> None:
        try:
            from deploy.laptop.model_server.engine import TransformersEngine
            from deploy.laptop.model_server.serving import Serving

            dtype = cpu_dtype()
            options = self._options
            engine = TransformersEngine(options.model, dtype, options.threads)
            copies = options.max_loras
            if copies is None:
                copies = copies_that_fit(psutil.virtual_memory().available, engine.bytes_of_a_copy())
            limits = Limits(copies, options.max_lora_rank)
            self._serving = Serving(engine, options.served_model_name, limits, self._fail)
            log.info("%s is ready (%s)", self._options.served_model_name, dtype)
        except Exception as error:
            log.error("the model in %s cannot be loaded: %s", self._options.model, error)
            self._fail()

    def _fail(self) -> None:
        """Ends the process, which its supervisor starts anew."""
        self._failed = True
        self._server.stop()


def main() -> int:
    options = _options()
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    # Threads that wait sleep. By default they spin, which is a third faster on an idle machine, but beside a
    # training job on the same cores answers take seconds (measured: 1.7 requests/s against 15.6).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    once_per_minute()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    if not (options.model / "config.json").is_file():
        print(
            f"no model in {options.model}. Make one with: python -m deploy.laptop.base_model FOLDER",
            file=sys.stderr,
        )
        return 2
    try:
        listening = bound_sockets(options.host, options.port)
    except CannotListen as refusal:
        print(refusal, file=sys.stderr)
        return 2
    for one in listening:
        one.listen()
    return ModelServerProcess(options).run(listening)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.laptop.model_server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--model", type=Path, required=True, action=Once, help="folder with safetensors and tokenizer"
    )
    parser.add_argument("--served-model-name", required=True, action=Once)
    parser.add_argument("--host", type=_loopback, default=NAME, help="a loopback address")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--max-loras", type=int, help="adapters kept merged; else as fit into memory")
    parser.add_argument("--max-lora-rank", type=int, default=HIGHEST_RANK, help="adapters above are refused")
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input ends")
    return parser.parse_args()


class Once(argparse.Action):
    """Whoever names two models is told what to do instead of getting the second one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice: a server has one base model, as vLLM has")
        setattr(namespace, self.dest, values)


def _loopback(host: str) -> str:
    if host != NAME and not ipaddress.ip_address(host).is_loopback:
        # Whoever reaches the port can load any folder's adapter.
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address")
    return host


def _stop_when_stdin_ends() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    status = main()
    # Not sys.exit: a thread still inside torch would be torn down under its feet, and may abort the process.
    sys.stderr.flush()
    os._exit(status)
