"""The door to torch and transformers: one base model, its adapters, and passes through them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as functional
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from deploy.laptop.model_server.adapter_files import AdapterFiles
from deploy.laptop.model_server.batching import Answer, Job, Sampling, Token
from deploy.laptop.model_server.beginnings import Beginning, Beginnings
from deploy.laptop.model_server.lora_config import LoraConfig, refuse_another_base
from deploy.laptop.model_server.low_rank import linear_layers, merged, read_weights, with_low_rank
from deploy.laptop.model_server.sampling import next_token
from shared.adapters.base_model_digest import base_model_digest

_PACKED = "tuneloop_packed"
_WARM_UP = Sampling(max_tokens=1, temperature=0)

Layers = dict[int, tuple[Tensor, Tensor]]
"""Keys and values, [1, heads, tokens, width], by layer."""
NOTHING_READ: Beginning[Layers] = Beginning((), {})
MASKED = 512
"""So many tokens at most see what comes before them by a mask. More are the end of a causal whole, with empty
rows before them: there torch leaves out what nobody sees, which under a mask it computes."""


class _Memory:
    """What a job keeps between passes: keys and values of each layer, and its random numbers."""

    def __init__(self, seed: int | None, layers: Layers) -> None:
        self.layers = layers
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)


class _Span:
    """One job's tokens within a packed pass. `fresh` becomes the job's memory once the pass has succeeded."""

    def __init__(self, ids: tuple[int, ...], start: int, memory: _Memory, keeps: bool) -> None:
        self.ids, self.start, self.memory, self._keeps = ids, start, memory, keeps
        self.fresh: Layers = {}
        self._sees: Tensor | None = None
        """Which of all tokens each of these sees, where some come before them."""
        self._rows_before = start if len(ids) > MASKED else 0
        if start and 1 < len(ids) <= MASKED:
            self._sees = torch.ones(len(ids), start + len(ids), dtype=torch.bool).tril(start)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        if (past := self.memory.layers.get(layer)) is not None:
            key, value = torch.cat((past[0], key), dim=2), torch.cat((past[1], value), dim=2)
        if self._keeps:
            self.fresh[layer] = key, value
        if self._rows_before:
            query = functional.pad(query, (0, 0, self._rows_before, 0))
        answered = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=self._sees,
            is_causal=self._sees is None and len(self.ids) > 1,
            scale=scaling,
            enable_gqa=True,
        )
        return answered[:, :, self._rows_before :]


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    *,
    spans: Sequence[_Span],
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention for sequences laid end to end, [1, heads, all tokens, width]: each sees itself and its past.

    The linear layers, where the time goes, see one long row without padding; one sequence's numbers never
    depend on who else is in the pass, but for rounding.
    """
    lengths = [len(span.ids) for span in spans]
    packed = zip(spans, query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    parts = [span.attend(int(module.layer_idx), q, k, v, scaling) for span, q, k, v in packed]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


# Registered without a mask function of the same name, so that transformers builds no mask.
ALL_ATTENTION_FUNCTIONS.register(_PACKED, _attend)


class TransformersEngine:
    """A decoder with full attention from a safetensors folder. `advance` belongs to one thread at a time."""

    def __init__(self, folder: Path, dtype: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.base = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=_PACKED,
            local_files_only=True,
            trust_remote_code=False,
        ).eval()
        self._digest = base_model_digest(folder)
        self._tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        self.max_model_len = int(self.base.config.max_position_embeddings)
        self.vocabulary = int(self.base.config.vocab_size)
        ends = self.base.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends])
        self._beginnings: WeakKeyDictionary[Any, Beginnings[Layers]] = WeakKeyDictionary()
        self.advance(self.base, [Job(self.base, (0, 0), _WARM_UP)])

    def encode(self, text: str, *, special_tokens: bool = True) -> list[int]:
        # The Rust tokenizer itself: transformers' wrapper sets padding on it at each call; threads share it.
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=special_tokens).ids)

    def encode_chat(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Raises ValueError if the model's chat template cannot take them."""
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template raises whatever its author chose
            raise ValueError(f"the chat template does not take these messages: {error}") from error
        return self.encode(text, special_tokens=False)

    def decode(self, tokens: Sequence[int], *, special_tokens: bool = False) -> str:
        return str(
            self._tokenizer.backend_tokenizer.decode(list(tokens), skip_special_tokens=not special_tokens)
        )

    def read(self, folder: Path, served: str, highest_rank: int) -> Any:
        """The base model with the adapter in `folder` beside it; all else is the base's own memory.

        `served`: the base model's name. Raises NoAdapter, BadAdapter.
        """
        files = AdapterFiles.read(folder)
        if files.contract is not None:
            refuse_another_base(files.contract, served, self._digest)
        config = LoraConfig.read(files.config, highest_rank)
        return with_low_rank(self.base, read_weights(files.weights, config, linear_layers(self.base)))

    def merge(self, weights: Any) -> Any:
        """The same model with the adapter added into copies of the layers that it changes."""
        return merged(weights)

    def bytes_of_a_copy(self) -> int:
        """What one merged model takes beside the base."""
        return sum(
            layer.weight.numel() * layer.weight.element_size() for layer in linear_layers(self.base).values()
        )

    def advance(self, weights: Any, jobs: Sequence[Job]) -> list[Token]:
        """See batching.Engine."""
        with torch.inference_mode():
            return self._advance(weights, jobs)

    def unread(self, job: Job) -> int:
        """See batching.Engine."""
        return 1 if job.tokens else len(job.prompt) - len(self._beginning(job).ids)

    def _advance(self, weights: Any, jobs: Sequence[Job]) -> list[Token]:
        beginnings = self._beginnings.setdefault(weights, Beginnings())
        learnt = [0 if job.tokens else beginnings.worth_keeping(job.prompt) for job in jobs]
        spans = [self._span(job, keeps=bool(length)) for job, length in zip(jobs, learnt, strict=True)]
        hidden = weights.model(
            input_ids=torch.tensor([[token for span in spans for token in span.ids]]),
            position_ids=torch.cat([torch.arange(s.start, s.start + len(s.ids)) for s in spans])[None],
            use_cache=False,
            spans=spans,
        ).last_hidden_state[0]
        last = torch.tensor([len(span.ids) for span in spans]).cumsum(0) - 1
        tokens = [
            next_token(_logits(weights, row, job.sampling.allowed), job.sampling, span.memory.generator)
            for job, span, row in zip(jobs, spans, hidden[last], strict=True)
        ]
        for job, span, length in zip(jobs, spans, learnt, strict=True):
            if length:
                beginnings.keep(job.prompt[:length], _first(span.fresh, length))
        for job, span in zip(jobs, spans, strict=True):  # after all that may fail for want of memory
            span.memory.layers = span.fresh
            job.memory = span.memory
        return tokens

    def _span(self, job: Job, keeps: bool) -> _Span:
        if job.tokens:
            start = len(job.prompt) + len(job.tokens) - 1
            return _Span((job.tokens[-1].id,), start, job.memory, keeps=True)
        beginning = self._beginning(job)
        memory = _Memory(job.sampling.seed, beginning.memory)
        start = len(beginning.ids)
        return _Span(job.prompt[start:], start, memory, keeps or job.sampling.max_tokens > 1)

    def _beginning(self, job: Job) -> Beginning[Layers]:
        kept = self._beginnings.get(job.weights)
        return (kept and kept.of(job.prompt)) or NOTHING_READ

    def ending(self, job: Job) -> Answer | None:
        """See batching.Engine. The text leaves out the end token and all from a stop string on."""
        tokens = tuple(job.tokens)
        ids = [token.id for token in tokens]
        if ids[-1] in self._ends:
            return Answer(tokens, self.decode(ids[:-1]), "stop")
        if job.sampling.stop:
            text = self.decode(ids)
            found = [(place, stop) for stop in job.sampling.stop if (place := text.find(stop)) >= 0]
            if found:
                place, stop = min(found)
                return Answer(tokens, text[:place], "stop", stop)
        if len(tokens) >= job.sampling.max_tokens:
            return Answer(tokens, self.decode(ids), "length")
        return None


def _first(layers: Layers, tokens: int) -> Layers:
    return {number: (k[:, :, :tokens].clone(), v[:, :, :tokens].clone()) for number, (k, v) in layers.items()}


def _logits(weights: Any, hidden: Tensor, allowed: tuple[int, ...] | None) -> Tensor:
    """Of the whole vocabulary, or only of the allowed tokens and then in fp32, in their order."""
    if allowed is None:
        return weights.lm_head(hidden[None])[0].float()
    return functional.linear(hidden.float(), weights.lm_head.weight[list(allowed)].float())
