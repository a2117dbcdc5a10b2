"""Every label gets one token of its own, a word of its name where there is one, whatever the tokenizer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import simple_icd_10_cm as icd

from services.workloads.complaints import BadWorkload
from services.workloads.label_words import LabelWords, NoTokenLeft, is_code, words_instead
from tests.services.workloads.tokenizers_for_tests import KINDS, chosen, smollm2, tokens_of, word_pieces

BANK = [
    "card_arrival", "lost_or_stolen_card", "atm_support", "top_up_by_card_charge", "pending_card_payment",
    "reverted_card_payment?", "transfer_into_account", "why_verify_identity", "Refund_not_showing_up",
]  # fmt: skip
LICENCES = [
    "mit", "apache-2.0", "bsd-new", "gpl-1.0-plus", "gpl-2.0", "gpl-2.0-plus", "gpl-3.0", "gpl-3.0-plus",
    "lgpl-2.1-plus", "agpl-3.0",
]  # fmt: skip
GERMAN = ["Karte verloren", "Überweisung fehlgeschlagen", "Passwort vergessen", "Rückerstattung", "Konto"]
CHINESE = ["退款", "转账", "密码", "丢失的卡"]
HINDI = ["कील", "काल", "वापसी"]
NUMBERS = [str(number) for number in range(1, 151)]
DISEASES = [icd.get_description(code) for code in icd.get_all_codes() if len(code) == 3]
SYMBOLS = ["👍", "👎", "C#", "C++", "€5", "$5", "a > b", "a < b", "   ", "?"]
DISEASES = list(dict.fromkeys(DISEASES))[:427]
LABELS = {
    "bank": BANK, "licences": LICENCES, "German": GERMAN, "Chinese": CHINESE, "Hindi": HINDI,
    "numbers": NUMBERS, "427 diseases": DISEASES, "symbols": SYMBOLS, "alike": ["mit", "MIT", "Mit", " mit "],
}  # fmt: skip
BOTH = [
    pytest.param(kind, labels, id=f"{name}, {kind}")
    for kind in KINDS
    for name, labels in LABELS.items()
    if len(labels) < 40 or kind == "smollm2"  # a vocabulary of a few hundred has no such number to give
]


def words(labels: Sequence[str], **more: Any) -> dict[str, str]:
    return chosen(LabelWords(labels, **more), tokens_of(smollm2()))


@pytest.mark.parametrize(("kind", "labels"), BOTH)
def test_each_label_is_answered_by_exactly_one_token_that_nobody_else_has(
    kind: str, labels: list[str]
) -> None:
    of = tokens_of(KINDS[kind]())
    answers = chosen(LabelWords(labels), of)
    assert list(answers) == labels
    tokens = [of(answer) for answer in answers.values()]
    assert all(len(token) == 1 for token in tokens)
    assert len({token[0] for token in tokens}) == len(labels)


@pytest.mark.parametrize(("kind", "labels"), BOTH)
def test_no_answer_is_white_space_nothing_or_the_token_of_unknown_words(kind: str, labels: list[str]) -> None:
    tokenizer = KINDS[kind]()
    of = tokens_of(tokenizer)
    for answer in chosen(LabelWords(labels), of).values():
        decoded = tokenizer.decode(of(answer), skip_special_tokens=False)
        assert decoded.strip()
        assert "UNK" not in decoded.upper()
        assert decoded.strip().lower().strip("▁") == answer.strip().lower()


def test_the_words_tell_the_labels_apart() -> None:
    assert words(BANK) == {
        "card_arrival": " arrival",
        "lost_or_stolen_card": " stolen",
        "atm_support": " support",
        "top_up_by_card_charge": " charge",
        "pending_card_payment": " pending",
        "reverted_card_payment?": " payment",
        "transfer_into_account": " transfer",
        "why_verify_identity": " identity",
        "Refund_not_showing_up": " showing",
    }


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (["atm", "top"], " ATM"),
        (["contactless", "top"], " contact"),
        (["cardArrival", "cardLinking"], " arrival"),
        (["not_for_the_mice", "top"], " mice"),
        (["a_the", "top"], " the"),
        (["gpl-2.0-later", "gpl-2.0"], " later"),
    ],
    ids=[
        "another spelling is better than a part", "a part of a word", "humps part words",
        "common words come last", "a common word is better than a letter", "a number comes after words",
    ],
)  # fmt: skip
def test_which_word_stands_for_a_label(labels: list[str], answer: str) -> None:
    assert words(labels)[labels[0]].lower() == answer.lower()


def test_a_word_that_two_labels_could_have_moves_where_it_is_needed() -> None:
    """ "card" alone has but one word, so the other takes its second, whichever comes first."""
    assert words(["card_refund", "card"]) == {"card_refund": " refund", "card": " card"}
    assert words(["card", "card_refund"]) == {"card_refund": " refund", "card": " card"}


def test_letters_only_where_no_word_is_left() -> None:
    answers = words(["card", "card!", "card?", "card.", "card,", "refund"])
    assert [label for label, answer in answers.items() if is_code(answer)] == ["card?", "card.", "card,"]
    assert len([answer for answer in words(NUMBERS).values() if is_code(answer)]) == 141


def test_letters_and_their_capitals_are_one_token_to_some_tokenizers_and_answer_for_one_label() -> None:
    of = tokens_of(KINDS["word pieces"]())
    labels = [chr(0x1F600 + number) for number in range(26)]
    answers = chosen(LabelWords(labels), of)
    assert len({of(answer)[0] for answer in answers.values()}) == len(labels)
    with pytest.raises(NoTokenLeft, match=r"only \d+\. Use fewer labels"):
        chosen(LabelWords([*labels, *(chr(0x1F650 + number) for number in range(26))]), of)


def test_the_order_of_labels_changes_no_answer() -> None:
    labels = list(DISEASES[:60])
    before = words(labels)
    random.Random(1).shuffle(labels)
    assert words(labels) == before


def test_the_owner_names_a_word_and_the_others_give_way() -> None:
    answers = words(["gpl-2.0", "gpl-2.0-plus", "later"], named={"gpl-2.0-plus": "later", "gpl-2.0": "two"})
    assert answers["gpl-2.0-plus"] == " later"
    assert answers["gpl-2.0"] == " two"
    assert answers["later"] != " later"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"card": "irgendwas"}, 'words: "irgendwas" for "card" is 4 tokens of this model, not one.'),
        ({"card": "same", "refund": "same"}, '"same" for "card" stands for "refund"'),
        ({"card": "\ue000"}, "tokens of this model, not one"),
    ],
    ids=["several tokens", "named twice", "no word"],
)
def test_a_named_word_that_cannot_be_is_refused_with_the_reason(named: dict[str, str], said: str) -> None:
    with pytest.raises(BadWorkload) as refused:
        words(["card", "refund"], named=named)
    assert said in str(refused.value)


def test_a_named_word_that_is_unknown_to_the_tokenizer_is_refused_as_that() -> None:
    with pytest.raises(BadWorkload) as refused:
        chosen(LabelWords(["card", "refund"], {"card": "возврат"}), tokens_of(word_pieces()))
    assert '"возврат" for "card" is unknown to this model' in str(refused.value)


def test_words_are_offered_for_letters_of_before_and_not_for_letters_that_are_needed() -> None:
    answers = {"card": " A", "10": " B", "refund": " refund"}
    afresh = {"card": " card", "10": " A", "refund": " refund"}
    assert words_instead(answers, afresh) == {"card": "card"}
