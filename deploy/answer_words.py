"""What is said of the tokens that answer for a workload's labels, before a model is trained to write them."""

from __future__ import annotations

import json

from deploy.workloads_client import Checked


def answers_in_words(checked: Checked) -> list[str]:
    """Which word stands for which label, and how another is named; nothing where nothing is trained."""
    if not checked.trains or not checked.answers:
        return []
    other = [f"{label}: {text.strip()}" for label, text in checked.answers.items() if text.strip() != label]
    if not other:
        return ["Each label is answered by its own name.", *letters_in_words(checked)]
    by_name = len(checked.answers) - len(other)
    said = f"Answered by one word each: {', '.join(other)}" + (
        f", {by_name} by their names." if by_name else "."
    )
    return [f"{said} A better word is named under [words].", *letters_in_words(checked)]


def letters_in_words(checked: Checked) -> list[str]:
    """How labels that letters answer get words, where an earlier version gave the letters."""
    if not checked.words_to_name:
        return []
    table = ", ".join(
        f"{json.dumps(label)} = {json.dumps(word)}" for label, word in checked.words_to_name.items()
    )
    return [
        f"{len(checked.words_to_name)} labels keep the letters that an earlier version gave them. Words are "
        "learnt from fewer rows. To change to them, put this into the file, above its first [section]: "
        f"words = {{ {table} }}"
    ]
