"""Stages are readable at every width: no name is cut, no bar floods a pipe."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from deploy.stages import Stages

CANDIDATE = "licences-smollm2-135m-instruct-v2-3fa9c1d2"
SENTENCES = {
    "data": "290 seed, 150 golden, 300 held-out rows, 1000 requests to come",
    "champion": "290 notices, 38 steps → held-out 71.7 % of 300 (66.3–76.5); base model 24.7 %",
    "verdict": f"PROMOTE {CANDIDATE} · answered users 14 ms later",
}
HAPPENING = "a candidate is trained while users are answered"
BAR = "━"


def shown(width: int, *, terminal: bool, summary: bool = True) -> str:
    """What a run of three stages prints, without the codes that move the cursor."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    with Stages(console) as stages:
        for name, sentence in SENTENCES.items():
            with stages.stage(name, "starting") as stage:
                stage.show(HAPPENING, 300, 600)
                stages._progress.refresh()
                stage.sentence = sentence
    if summary:
        out.seek(0)
        out.truncate()
        console.print(stages.summary(), highlight=False)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


@pytest.mark.parametrize("width", [50, 80, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_summary_holds_every_name_whole(width: int, terminal: bool) -> None:
    said = shown(width, terminal=terminal)
    assert "…" not in said
    assert CANDIDATE in said
    assert all(len(line) <= width for line in said.splitlines())
    assert all(name in said for name in SENTENCES)
    assert set(" ".join(SENTENCES.values()).split()) <= set(said.split())


def test_on_a_narrow_terminal_a_sentence_stands_below_its_name() -> None:
    first, second, *_ = shown(50, terminal=True).splitlines()
    assert first.strip().startswith("data")
    assert second.startswith("   290 seed")


@pytest.mark.parametrize("width", [50, 80, 200])
def test_what_happens_now_is_whole_and_nothing_is_cut(width: int) -> None:
    said = shown(width, terminal=True, summary=False)
    assert "…" not in said
    assert set(HAPPENING.split()) <= set(said.split())
    assert (BAR in said) == (width >= 80)


@pytest.mark.parametrize("width", [50, 80, 200])
def test_in_a_pipe_a_stage_is_one_line_when_it_begins_and_one_when_it_ends(width: int) -> None:
    lines = shown(width, terminal=False, summary=False).splitlines()
    assert lines == [
        line
        for name, sentence in SENTENCES.items()
        for line in (f"{name}: starting", f"{name}: {sentence}  (0 s)")
    ]


def test_how_far_it_is_stays_empty_where_nobody_knows() -> None:
    out = io.StringIO()
    with (
        Stages(Console(file=out, width=100, force_terminal=True, color_system=None)) as stages,
        stages.stage("servers", "starting"),
    ):
        stages._progress.refresh()
        assert "starting" in out.getvalue()
        assert "%" not in out.getvalue()
