"""An adapter's card says where it is from; what others wrote in it stays words."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.retraining.adapter_card import adapter_card, as_markdown
from services.retraining.training_outcome import MemoryTaken, Trained
from shared.events import DatasetPublished
from shared.training.defaults import plan
from shared.training.device import Device
from shared.training.section import Training
from shared.workload import Workload

EXAMPLE = Path(__file__).parents[3] / "shared/contracts/examples/dataset-published-v1/first.json"


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("Which desk answers this ticket?", "Which desk answers this ticket?"),
        ("SmolLM2-135M, CC0 1.0 (by J. Doe)", "SmolLM2-135M, CC0 1.0 (by J. Doe)"),
        ("<form action=//e><b>x</b>", r"\<form action=//e\>\<b\>x\</b\>"),
        ("[read](javascript:x) ![](//e/x.png)", r"\[read\](javascript:x) !\[\](//e/x.png)"),
        ("one\n\n# two\n| a |", r"one # two \| a \|"),
        ("# A heading", r"\# A heading"),
        ("1. A list", r"1\. A list"),
        ("`$x$` &lt; a_b_ \\<", r"\`\$x\$\` \&lt; a\_b\_ \\\<"),
    ],
)
def test_words_stay_words(words: str, written: str) -> None:
    assert as_markdown(words) == written


def test_no_text_of_others_gets_beyond_its_line() -> None:
    hostile = "x\n---\nlicense: mit\n# Planted\n<script>"
    workload = Workload(
        name="w", title=hostile, credit=hostile, base_model=hostile, prompt="{text}\n:", labels=("a", "b")
    )
    dataset = DatasetPublished.model_validate_json(EXAMPLE.read_text("utf-8"))
    settings = plan(Training(), 400, 10, 200, 135_000_000, Device(), 8192)
    trained = Trained(0.1, None, 40, 40, 400, 60.0, 0.1, notes=(hostile,))
    memory = MemoryTaken(2.0, None)
    header, _, card = adapter_card(workload, dataset, settings, trained, memory, [hostile]).partition(
        "\n---\n"
    )
    assert header.splitlines()[1] == 'base_model: "x\\n---\\nlicense: mit\\n# Planted\\n<script>"'
    assert not {"---", "license: mit", "# Planted", "<script>"} & set(card.splitlines())
    assert card.count("<script") == card.count("\\<script") == 5
