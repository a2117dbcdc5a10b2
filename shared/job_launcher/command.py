"""The command of a job's process and its environment: one process, or one for each of several GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from shared.job_launcher.launcher import CannotStart
from shared.job_protocol.lines import LONGEST_ORDER_BYTES, ORDER_VARIABLE

FSDP = (
    "--use_fsdp",
    "--fsdp_version", "2",
    "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP",
    "--fsdp_state_dict_type", "FULL_STATE_DICT",
    "--fsdp_reshard_after_forward", "true",
    "--fsdp_cpu_ram_efficient_loading", "false",
)  # fmt: skip
"""Each GPU holds its part of the weights, the gradients and the optimiser (FSDP, Zhao et al. 2023).

Every process reads the base model before they meet, so none waits for another's weights.
"""


def command(python: str, module: str, gpus: int) -> list[str]:
    """`python -m MODULE`; for several GPUs as many processes of it by `accelerate launch`, by FSDP.

    Several processes share no standard input: their order comes in the environment.
    """
    if gpus <= 1:
        return [python, "-m", module]
    launch = [python, "-m", "accelerate.commands.launch", "--num_machines", "1", "--num_processes", str(gpus)]
    # Any free port: runs beside each other would meet at the usual one.
    return [*launch, "--main_process_port", "0", "--dynamo_backend", "no", *FSDP, "--module", module]


def environment(order: str, gpus: Sequence[str]) -> dict[str, str]:
    """What a child gets besides what its service has. Raises CannotStart."""
    if not gpus:
        return {}
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}
    return visible if len(gpus) == 1 else visible | order_in_environment(order)


def order_in_environment(order: str) -> dict[str, str]:
    """Raises CannotStart for an order that no variable has room for."""
    size = len(order.encode())
    if size > LONGEST_ORDER_BYTES:
        raise CannotStart(
            f"its order has {size} bytes, and a process's environment takes {LONGEST_ORDER_BYTES}. "
            "Use fewer or shorter labels."
        )
    return {ORDER_VARIABLE: order}
