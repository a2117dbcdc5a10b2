"""The numbers, in fp32 where they can be held closely, against transformers and PEFT used plainly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from deploy.laptop.model_server.adapter_files import CONFIG, WEIGHTS
from deploy.laptop.model_server.batching import Job, Sampling
from deploy.laptop.model_server.engine import MASKED, TransformersEngine, _Memory, _Span
from deploy.laptop.model_server.limits import HIGHEST_RANK
from deploy.laptop.model_server.lora_config import BadAdapter
from shared.adapters.base_model_digest import base_model_digest
from shared.adapters.contract import CONTRACT_FILE
from tests.servers.model import MODEL

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


@pytest.fixture(scope="module")
def beside(engine: TransformersEngine, adapter_folders: tuple[Path, Path]) -> Any:
    return engine.read(adapter_folders[0], MODEL, HIGHEST_RANK)


@pytest.mark.parametrize("is_merged", [False, True], ids=["beside the base", "merged"])
def test_an_adapter_answers_as_with_peft(
    engine: TransformersEngine,
    base_folder: Path,
    adapter_folders: tuple[Path, Path],
    beside: Any,
    is_merged: bool,
) -> None:
    with_peft = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base_folder, local_files_only=True), str(adapter_folders[0])
    ).eval()
    weights = engine.merge(beside) if is_merged else beside
    for prompt, got in zip(PROMPTS, scores(engine, weights, PROMPTS), strict=True):
        assert got == pytest.approx(plain_scores(with_peft, engine, prompt), abs=CLOSE)


def test_an_adapter_leaves_the_base_as_it_was(engine: TransformersEngine, plain: Any, beside: Any) -> None:
    engine.merge(beside)
    for (name, own), original in zip(engine.base.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(own, original), name


def test_an_adapter_takes_no_memory_but_for_what_it_changes(engine: TransformersEngine, beside: Any) -> None:
    base, merged = engine.base.model, engine.merge(beside).model
    assert merged.embed_tokens.weight.data_ptr() == base.embed_tokens.weight.data_ptr()
    changed = [model.layers[0].mlp.up_proj.weight.data_ptr() for model in (base, beside.model, merged)]
    assert changed[0] == changed[1] != changed[2]


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


LISTED = "Answer with one of these words: refund, order, delivery, account, address, other.\n\n"


def test_what_prompts_begin_with_alike_is_read_once_and_changes_nothing(
    engine: TransformersEngine, plain: Any
) -> None:
    prompts = [f"{LISTED}{prompt}" for prompt in PROMPTS]
    for prompt in prompts:
        scores(engine, engine.base, [prompt])
    job = label_job(engine, engine.base, prompts[0])
    assert engine.unread(job) <= len(engine.encode(PROMPTS[0])) + 1
    for prompt, got in zip(prompts, scores(engine, engine.base, prompts), strict=True):
        assert got == pytest.approx(plain_scores(plain, engine, prompt), abs=CLOSE)
    writing = Job(engine.base, job.prompt, Sampling(max_tokens=8, temperature=0))
    assert engine.unread(writing) < len(writing.prompt)
    ids = torch.tensor([job.prompt])
    written = plain.generate(ids, attention_mask=ids * 0 + 1, max_new_tokens=8, do_sample=False)
    assert finish(engine, [writing]) == [engine.decode(written[0, ids.shape[1] :].tolist())]


@pytest.mark.parametrize("length", [1, 2, MASKED, MASKED + 1])
@pytest.mark.parametrize("start", [0, 16])
def test_tokens_see_themselves_and_what_comes_before_and_many_of_them_without_a_mask(
    monkeypatch: pytest.MonkeyPatch, start: int, length: int
) -> None:
    asked = torch.nn.functional.scaled_dot_product_attention
    query, key, value = (torch.randn(1, heads, start + length, 8) for heads in (4, 2, 2))
    whole = asked(query, key, value, is_causal=True, enable_gqa=True)[:, :, start:]
    masks = []

    def spied(*tensors: Any, **how: Any) -> Any:
        masks.append(how["attn_mask"])
        return asked(*tensors, **how)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spied)
    memory = _Memory(1, {0: (key[:, :, :start], value[:, :, :start])} if start else {})
    span = _Span((1,) * length, start, memory, keeps=True)
    answered = span.attend(0, query[:, :, start:], key[:, :, start:], value[:, :, start:], None)
    assert torch.allclose(answered, whole, atol=1e-5)
    assert torch.equal(span.fresh[0][0], key)
    assert (masks[0] is not None) == (start > 0 and 1 < length <= MASKED)


def test_an_adapter_has_beginnings_of_its_own(engine: TransformersEngine, beside: Any, plain: Any) -> None:
    prompts = [f"{LISTED}Mine: {number}" for number in range(4)]
    before = scores(engine, beside, prompts[:1])
    for weights in (engine.base, beside):
        for prompt in prompts[1:]:
            scores(engine, weights, [prompt])
    assert engine.unread(label_job(engine, beside, prompts[0])) < 8
    assert scores(engine, beside, prompts[:1])[0] == pytest.approx(before[0], abs=CLOSE)
    again = scores(engine, engine.base, prompts[:1])[0]
    assert again == pytest.approx(plain_scores(plain, engine, prompts[0]), abs=CLOSE)


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


def test_a_pass_after_which_memory_is_short_leaves_its_jobs_as_they_were(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr("deploy.laptop.model_server.engine._first", no_memory)
    begun = Job(engine.base, tuple(engine.encode(PROMPTS[0])), Sampling(max_tokens=3, temperature=0))
    begun.tokens += engine.advance(engine.base, [begun])
    layers = dict(begun.memory.layers)
    alike = [label_job(engine, engine.base, f"{'A beginning of many words, ' * 8}{n}") for n in range(3)]
    with pytest.raises(RuntimeError, match="not enough memory"):
        engine.advance(engine.base, [begun, *alike])
    assert begun.memory.layers == layers


def changed(folder: Path, to: Path, config: dict[str, Any], weights: dict[str, Any] | None = None) -> Path:
    """A copy of an adapter with another configuration, or other weights."""
    shutil.copytree(folder, to)
    kept = json.loads((to / CONFIG).read_text())
    (to / CONFIG).write_text(json.dumps(kept | config))
    if weights is not None:
        save_file(weights, to / WEIGHTS)
    return to


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is not served"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices is not served"),
        ({"peft_type": "IA3"}, "only LoRA"),
        ({"r": 8}, "has the shape"),
        ({"r": HIGHEST_RANK + 1}, "rank 65 is greater than max_lora_rank 64"),
        ({"use_dora": True}, "use_dora is not served"),
        ({"bias": "all"}, "bias='all' is not served"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern is not served"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base model"),
        ({"lora_alpha": None}, "no rank"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_more_than_one_rank_on_linear_layers_is_refused(
    engine: TransformersEngine,
    adapter_folders: tuple[Path, Path],
    tmp_path: Path,
    config: dict[str, Any],
    why: str,
) -> None:
    with pytest.raises(BadAdapter, match=why):
        engine.read(changed(adapter_folders[0], tmp_path / "x", config), MODEL, HIGHEST_RANK)


UP = "base_model.model.model.layers.3.mlp.up_proj.lora_B.weight"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda weights: weights[UP].__setitem__((0, 0), float("nan")), "up_proj are not finite"),
        (lambda weights: weights[UP].fill_(1e38), "not finite"),
        (
            lambda weights: weights.update({UP: weights[UP][:-1].clone()}),
            r"\(1535, 4\), and \(1536, 4\) fits",
        ),
        (lambda weights: weights.pop(UP), "up_proj has no lora_B"),
        (lambda weights: weights.update({UP.replace("s.3.", "s.30."): weights.pop(UP)}), "no linear layer"),
        (
            lambda weights: weights.update({UP.replace("_B", "_magnitude_vector"): weights[UP].clone()}),
            "no linear layer",
        ),
        (lambda weights: weights.clear(), "no weights"),
    ],
    ids=["NaN", "overflow", "shape", "half a pair", "more layers", "DoRA", "empty"],
)
def test_weights_that_do_not_fit_or_are_not_finite_are_refused(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], tmp_path: Path, change: Any, why: str
) -> None:
    weights = load_file(adapter_folders[0] / WEIGHTS)
    change(weights)
    with pytest.raises(BadAdapter, match=why):
        engine.read(changed(adapter_folders[0], tmp_path / "x", {}, weights), MODEL, HIGHEST_RANK)


def test_half_a_file_is_refused(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = changed(adapter_folders[0], tmp_path / "x", {})
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(BadAdapter, match="cannot be read"):
        engine.read(folder, MODEL, HIGHEST_RANK)


def test_a_pickle_is_never_read(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = changed(adapter_folders[0], tmp_path / "x", {})
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(BadAdapter, match="is a pickle"):
        engine.read(folder, MODEL, HIGHEST_RANK)


def test_an_adapter_with_another_scale_is_read_as_peft_reads_it(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], tmp_path: Path, beside: Any
) -> None:
    folder = changed(adapter_folders[0], tmp_path / "x", {"use_rslora": True})
    up = [one.model.layers[0].mlp.up_proj.up for one in (beside, engine.read(folder, MODEL, HIGHEST_RANK))]
    assert torch.allclose(up[0] * 2, up[1])  # 8 / 4 and 8 / sqrt(4)


CONTRACT = {
    "workload": "tickets",
    "revision": 1,
    "prompt": "{text}:",
    "labels": [{"label": name, "answer": f" {name}", "token": n} for n, name in enumerate("ab")],
    "base_model": MODEL,
    "dataset_id": "d",
    "lora_r": 4,
}


def test_an_adapter_is_refused_if_its_base_model_had_other_weights_by_the_same_name(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], base_folder: Path, tmp_path: Path
) -> None:
    folder = changed(adapter_folders[0], tmp_path / "x", {})
    for digest in (base_model_digest(base_folder), None):
        (folder / CONTRACT_FILE).write_text(json.dumps(CONTRACT | {"base_model_digest": digest}))
        engine.read(folder, MODEL, HIGHEST_RANK)
    other = f"sha256:{'0' * 64}"
    (folder / CONTRACT_FILE).write_text(json.dumps(CONTRACT | {"base_model_digest": other}))
    with pytest.raises(BadAdapter, match=f"trained on other weights of {MODEL} than this server serves"):
        engine.read(folder, MODEL, HIGHEST_RANK)


def test_an_adapter_is_refused_if_its_contract_names_another_base_model(
    engine: TransformersEngine, adapter_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = changed(adapter_folders[0], tmp_path / "x", {})
    (folder / CONTRACT_FILE).write_text(json.dumps(CONTRACT))
    engine.read(folder, MODEL, HIGHEST_RANK)
    with pytest.raises(BadAdapter, match=f"trained on {MODEL}, and this server serves Another"):
        engine.read(folder, "Another", HIGHEST_RANK)
    (folder / CONTRACT_FILE).write_text("{}")
    with pytest.raises(BadAdapter, match=r"contract\.json cannot be read"):
        engine.read(folder, MODEL, HIGHEST_RANK)
