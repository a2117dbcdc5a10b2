"""What others wrote is shown on the terminal, and does nothing to it."""

from __future__ import annotations

import io
import json

import pytest
from rich.text import Text

from deploy.stages import Stages
from deploy.status import print_list
from deploy.tables import print_table
from deploy.terminal import Terminal, visible
from deploy.workloads_client import Listed, as_json

CLEAR, TITLE, C1, TURNED = "\x1b[2J\x1b[H", "\x1b]0;planted\x07", "\x9b2J", "\u202etxt.exe\u2066"
HOSTILE = f"a{CLEAR}b{TITLE}c{C1}d{TURNED}e\rf\x08g\x00[red]h"
OBEYED = set("\x1b\x07\x08\r\x00\x9b\u202e\u2066")


def on(*, is_terminal: bool) -> tuple[Terminal, io.StringIO]:
    out = io.StringIO()
    return Terminal(file=out, force_terminal=is_terminal, width=200, color_system=None), out


def listed(title: str) -> Listed:
    return Listed(
        name="tickets", title=title, revision=1, labels=[HOSTILE], is_retired=False, champion=HOSTILE,
        champion_since=None, accuracy=None, stage="shadow",
    )  # fmt: skip


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_table_shows_what_it_was_given_and_obeys_nothing(is_terminal: bool) -> None:
    terminal, out = on(is_terminal=is_terminal)
    print_list(terminal, [listed(HOSTILE)])
    assert not OBEYED & set(out.getvalue())
    assert "a␛[2J␛[Hb" in out.getvalue()
    assert "[red]h" in out.getvalue()


def test_a_text_of_several_lines_makes_no_row_of_its_own() -> None:
    terminal, out = on(is_terminal=False)
    print_table(terminal, ("workload", "title"), [("tickets", "one\nrefunds   a planted row\u2028more")])
    assert len(out.getvalue().splitlines()) == 2


def test_a_message_and_its_styles_pass_while_the_codes_within_do_not() -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, force_terminal=True, width=200, color_system="truecolor")
    terminal.print(HOSTILE, style="red", markup=False, highlight=False, soft_wrap=True)
    terminal.print(Text(HOSTILE))
    assert out.getvalue().startswith("\x1b[31m")
    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b]" not in out.getvalue()


def test_live_stages_show_words_as_they_are() -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, force_terminal=True, width=200, color_system=None)
    with Stages(terminal) as stages, stages.stage("train") as stage:
        stage.show(HOSTILE)
        stage.sentence = HOSTILE
    terminal.print(stages.summary())
    assert "\x1b[2J\x1b[H" not in out.getvalue()
    assert "\x1b]0" not in out.getvalue()
    assert "␛[2J" in out.getvalue()


def test_json_says_the_same_and_holds_nothing_to_obey() -> None:
    document = as_json({"title": HOSTILE, "ö": "日本"})
    assert not OBEYED & set(document)
    assert json.loads(document) == {"title": HOSTILE, "ö": "日本"}
    assert "日本" in document


def test_what_no_terminal_obeys_stays_as_it_is() -> None:
    said = "Größe\t日本 😀 a\u200db\nنعم"
    assert visible(said) == said
