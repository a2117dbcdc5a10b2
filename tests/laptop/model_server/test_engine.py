"""The numbers, in fp32 where they can be held closely, against transformers and PEFT used plainly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from deploy.laptop.model_server.adapters import CONFIG, BadAdapter
from deploy.laptop.model_server.batching import Job, Sampling
from deploy.laptop.model_server.engine import TransformersEngine

PROMPTS = ["The capital of France is", "One, two,", "This program is free software. " * 12 + "Licence:"]
CLOSE = 2e-3


@pytest.fixture(scope="module")
def engine(base_folder: Path) -> TransformersEngine:
    return TransformersEngine(base_folder, "float32", threads=2)


@pytest.fixture(scope="module")
def plain(base_folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(base_folder, local_files_only=True).eval()


def label_job(engine: TransformersEngine, weights: Any, prompt: str) -> Job:
    allowed = tuple(engine.encode(" A B C D E F"))
    sampling = Sampling(max_tokens=1, temperature=0, allowed=allowed, logprobs=len(allowed))
    return Job(weights, tuple(engine.encode(prompt)), sampling)


def scores(engine: TransformersEngine, weights: Any, prompts: list[str]) -> list[dict[int, float]]:
    """Of all prompts in one pass."""
    tokens = engine.advance(weights, [label_job(engine, weights, prompt) for prompt in prompts])
    return [dict(token.top or ()) for token in tokens]


def plain_scores(model: Any, engine: TransformersEngine, prompt: str) -> dict[int, float]:
    allowed = engine.encode(" A B C D E F")
    with torch.inference_mode():
        logits = model(torch.tensor([engine.encode(prompt)])).logits[0, -1, allowed]
    return dict(zip(allowed, logits.log_softmax(-1).tolist(), strict=True))


def finish(engine: TransformersEngine, jobs: list[Job]) -> list[str]:
    answers: dict[int, str] = {}
    while len(answers) < len(jobs):
        running = [n for n in range(len(jobs)) if n not in answers]
        tokens = engine.advance(jobs[0].weights, [jobs[n] for n in running])
        for n, token in zip(running, tokens, strict=True):
            jobs[n].tokens.append(token)
            if (answer := engine.ending(jobs[n])) is not None:
                answers[n] = answer.text
    return [answers[n] for n in range(len(jobs))]


def test_a_merged_adapter_answers_as_the_unmerged_one(
    engine: TransformersEngine, base_folder: Path, adapter_folders: tuple[Path, Path]
) -> None:
    unmerged = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base_folder, local_files_only=True), str(adapter_folders[0])
    ).eval()
    merged = engine.merge(adapter_folders[0])
    for prompt, got in zip(PROMPTS, scores(engine, merged, PROMPTS), strict=True):
        assert got == pytest.approx(plain_scores(unmerged, engine, prompt), abs=CLOSE)


def test_merging_leaves_the_base_as_it_was(
    engine: TransformersEngine, plain: Any, adapter_folders: tuple[Path, Path]
) -> None:
    for folder in adapter_folders:
        engine.merge(folder)
    for (name, own), original in zip(engine.base.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(own, original), name


def test_a_merged_copy_shares_its_embeddings_with_the_base(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path]
) -> None:
    base, merged = engine.base.model, engine.merge(adapter_folders[0]).model
    assert merged.embed_tokens.weight.data_ptr() == base.embed_tokens.weight.data_ptr()
    assert merged.layers[0].mlp.up_proj.weight.data_ptr() != base.layers[0].mlp.up_proj.weight.data_ptr()


def test_prompts_packed_into_one_pass_are_answered_as_alone(engine: TransformersEngine, plain: Any) -> None:
    for prompt, got in zip(PROMPTS, scores(engine, engine.base, PROMPTS), strict=True):
        assert got == pytest.approx(plain_scores(plain, engine, prompt), abs=CLOSE)


def test_packed_generation_writes_what_transformers_writes(engine: TransformersEngine, plain: Any) -> None:
    jobs = [
        Job(engine.base, tuple(engine.encode(prompt)), Sampling(max_tokens=8, temperature=0))
        for prompt in PROMPTS
    ]
    for prompt, text in zip(PROMPTS, finish(engine, jobs), strict=True):
        ids = torch.tensor([engine.encode(prompt)])
        written = plain.generate(ids, attention_mask=ids * 0 + 1, max_new_tokens=8, do_sample=False)
        assert text == engine.decode(written[0, ids.shape[1] :].tolist())


def test_a_request_that_joins_one_under_way_changes_nothing(engine: TransformersEngine) -> None:
    def generation() -> Job:
        return Job(engine.base, tuple(engine.encode(PROMPTS[0])), Sampling(max_tokens=6, temperature=0))

    [alone] = finish(engine, [generation()])
    joined = generation()
    joined.tokens += engine.advance(engine.base, [joined])
    guest = label_job(engine, engine.base, PROMPTS[2])
    mixed = engine.advance(engine.base, [guest, joined])
    joined.tokens.append(mixed[1])
    assert finish(engine, [joined]) == [alone]
    assert dict(mixed[0].top or ()) == pytest.approx(scores(engine, engine.base, [PROMPTS[2]])[0], abs=CLOSE)


def test_a_pass_that_fails_leaves_its_jobs_as_they_were(engine: TransformersEngine) -> None:
    good = Job(engine.base, tuple(engine.encode(PROMPTS[0])), Sampling(max_tokens=3, temperature=0))
    good.tokens += engine.advance(engine.base, [good])
    layers = dict(good.memory.layers)
    bad = Job(engine.base, (engine.vocabulary,), Sampling(max_tokens=3))
    with pytest.raises(IndexError):
        engine.advance(engine.base, [good, bad])
    assert good.memory.layers == layers
    assert bad.memory is None


@pytest.mark.parametrize(
    "change",
    [
        {"modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"trainable_token_indices": [1, 2]},
        {"peft_type": "IA3"},
        {"r": 8},
    ],
)
def test_an_adapter_that_cannot_be_merged_is_refused(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(adapter_folders[0], folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | change))
    with pytest.raises(BadAdapter):
        engine.merge(folder)
