"""From a valid request to its answer: which model is meant, does it fit, and waiting for the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from deploy.laptop.model_server.adapters import Adapters, AlreadyLoaded, NoAdapter
from deploy.laptop.model_server.batching import Answer, Busy, Job, Sampling, Worker, WorkerDied
from deploy.laptop.model_server.limits import Limits
from deploy.laptop.model_server.lora_config import BadAdapter
from deploy.laptop.model_server.protocol import Refusal

if TYPE_CHECKING:
    from deploy.laptop.model_server.engine import TransformersEngine


class Serving:
    """One base model with its adapters, ready to answer. For one event loop."""

    def __init__(
        self, engine: TransformersEngine, name: str, limits: Limits, on_death: Callable[[], None]
    ) -> None:
        """`on_death`: see Worker."""
        self.engine = engine
        self.name = name
        self.limits = limits
        read = partial(engine.read, served=name, highest_rank=limits.max_lora_rank)
        self.adapters: Adapters[Any] = Adapters(read, engine.merge, limits.max_loras)
        self.worker = Worker(engine, on_death=on_death)
        self.worker.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Says whether the worker has ended in time."""
        return self.worker.stop(timeout_seconds)

    def weights(self, model: str | None) -> Any:
        """What to ask for this model name. Raises Refusal."""
        if model is None or model == self.name:
            return self.engine.base
        try:
            return self.adapters.weights(model)
        except NoAdapter as error:
            raise _unknown_model(model) from error

    def refuse_unknown(self, model: str | None) -> None:
        """Raises Refusal."""
        if model not in (None, self.name, *(adapter.name for adapter in self.adapters.known())):
            raise _unknown_model(str(model))

    async def load(self, name: str, path: str) -> None:
        """Raises Refusal, with vLLM's texts."""
        if not name or not path:
            raise Refusal(400, "Both 'lora_name' and 'lora_path' must be provided.", "InvalidUserInput")
        if name == self.name:
            message = f"The lora adapter '{name}' conflicts with a served base model."
            raise Refusal(400, message, "InvalidUserInput")
        try:
            await _in_a_thread(self.adapters.load, name, path)
        except AlreadyLoaded as error:
            message = f"The lora adapter '{name}' has already been loaded."
            raise Refusal(400, message, "InvalidUserInput") from error
        except NoAdapter as error:
            message = f"Loading lora {name} failed: No adapter found for {path}"
            raise Refusal(404, message, "NotFoundError") from error
        except BadAdapter as error:
            raise Refusal(400, f"Loading lora {name} failed: {error}") from error

    def unload(self, name: str) -> None:
        """Raises Refusal, with vLLM's texts."""
        if not name:
            message = "'lora_name' needs to be provided to unload a LoRA adapter."
            raise Refusal(400, message, "InvalidUserInput")
        try:
            self.adapters.unload(name)
        except NoAdapter as error:
            message = f"The lora adapter '{name}' cannot be found."
            raise Refusal(404, message, "NotFoundError") from error

    def room_for(self, prompt: Sequence[int], max_tokens: int | None) -> int:
        """How many tokens the answer may have: `max_tokens`, or what the context has left. Raises Refusal."""
        context = self.engine.max_model_len
        if not prompt:
            raise Refusal(400, "The decoder prompt cannot be empty")
        if any(token >= self.engine.vocabulary for token in prompt):
            raise Refusal(400, f"Token id {max(prompt)} is out of vocabulary")
        wanted = max_tokens or max(context - len(prompt), 1)
        if len(prompt) + wanted > context:
            raise Refusal(
                400,
                f"This model's maximum context length is {context} tokens. However, you requested {wanted} "
                f"output tokens and your prompt contains {len(prompt)} input tokens, for a total of "
                f"{len(prompt) + wanted} tokens.",
            )
        return wanted

    def submit(self, weights: Any, work: Sequence[tuple[Sequence[int], Sampling]]) -> list[Job]:
        """Hands prompts to the worker, all or none. Raises Refusal."""
        for _, sampling in work:
            if any(token >= self.engine.vocabulary for token in sampling.allowed or ()):
                raise Refusal(400, "allowed_token_ids contains out-of-vocab token id!")
        jobs = [Job(weights, tuple(prompt), sampling) for prompt, sampling in work]
        try:
            self.worker.submit(jobs)
        except (Busy, WorkerDied) as error:
            raise Refusal(503, str(error), "ServiceUnavailableError") from error
        return jobs


async def answers_of(jobs: Sequence[Job]) -> list[Answer]:
    """Waits for all. If it is cancelled or one fails, the worker drops the others. Raises Refusal."""
    try:
        return await asyncio.gather(*(asyncio.wrap_future(job.answer) for job in jobs))
    except WorkerDied as error:
        raise Refusal(503, str(error), "ServiceUnavailableError") from error
    except BaseException:
        for job in jobs:
            job.abandoned = True
        raise


def _unknown_model(name: str) -> Refusal:
    return Refusal(404, f"The model `{name}` does not exist.", "NotFoundError")


async def _in_a_thread(function: Callable[..., Any], *arguments: str) -> Any:
    """Runs it in a thread that ends with it.

    A thread that lives on keeps torch's OpenMP helpers. Seeing more of them than cores, libgomp then never
    spins, even where OMP_WAIT_POLICY asks for it: answers took half as long again on an idle machine.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="merge")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, function, *arguments)
    finally:
        thread.shutdown(wait=False)
