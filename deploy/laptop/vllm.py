"""vLLM in the place of the CPU model server: from which environment, and how it is started."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from deploy.laptop.errors import LaptopError
from deploy.laptop.model_server.limits import HIGHEST_RANK, MOST_LOGPROBS
from shared.loopback import IPV4

SETTING = "TUNELOOP_VLLM_PYTHON"
GPU_SHARE = "VLLM_GPU_SHARE"
"""As in compose: of a GPU's memory, so that trainings on the same one have the rest. By itself it takes
nearly all."""
ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; without it the CPU build takes half of the memory
}
PATIENCE_SECONDS = 600.0
"""It was ready after 23 s on idle cores; on a GPU it captures graphs first."""
AT_ONCE = 4
KEPT = 32


def vllm_python(environment: Mapping[str, str]) -> Path | None:
    """The interpreter that has vLLM, if one is named. Its environment is its own: vLLM wants another fastapi.

    Raises LaptopError if there is none.
    """
    named = environment.get(SETTING)
    if not named:
        return None
    python = (
        Path(named).expanduser().absolute()
    )  # not resolved: a link is what makes it a virtual environment
    if not os.access(python, os.X_OK) or not python.is_file():
        raise LaptopError(f"{SETTING} is {named}, and no Python interpreter is there. Name one that has vLLM")
    return python


def left_to_the_cpu(python: Path | None, gpus: Collection[str]) -> str:
    """What is to be said where answers come from the CPU though there is a GPU; else nothing."""
    if python is not None or not gpus:
        return ""
    return (
        f"There is a GPU, and answers come from the CPU model server: {SETTING} names an interpreter that "
        "has vLLM (docs/operate.md#vllm)"
    )


def vllm_command(
    python: Path, port: int, model: Path, name: str, at_once: int = AT_ONCE, gpu_share: str = ""
) -> list[str]:
    """`name`: of the base model in the folder `model`. `at_once`: adapters in one batch.

    `gpu_share`: of the GPU's memory, a number up to 1; as much as vLLM takes by itself where it is empty.
    """
    options = {
        "host": IPV4,  # who reaches the port can load any folder's adapter
        "port": port,
        "model": model,
        "served-model-name": name,
        "max-logprobs": MOST_LOGPROBS,
        "logprobs-mode": "processed_logprobs",
        "max-loras": at_once,
        "max-cpu-loras": KEPT,
        "max-lora-rank": HIGHEST_RANK,
    }
    if gpu_share:
        options["gpu-memory-utilization"] = gpu_share
    # Not the command `vllm`: that of the CPU build looks for a package of this name and ends.
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--enable-lora"]
    return command + [f"--{option}={value}" for option, value in options.items()]
