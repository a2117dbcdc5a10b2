from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.failure_clustering.clusters import Group
from services.failure_clustering.names import LEAST_SOURCES, WORD, Text, name_groups
from services.failure_clustering.personal_words import PersonalWords
from shared.redaction.rules import Found

GRANTS = [
    f"permission is hereby granted {place}" for place in ("alpha", "beta", "gamma", "delta", "eta", "pi")
]
CLAUSES = [f"neither the name of {who}" for who in ("one", "two", "three", "four", "five", "six")]


def names(groups: Sequence[Group], texts: Sequence[str]) -> list[str]:
    return [named.name for named in name_groups(groups, list(map(Text, texts)))]


def test_a_cluster_is_named_after_what_was_read_as_what() -> None:
    assert names([Group("gpl-2.0", "gpl-3.0", range(6))], GRANTS) == ["gpl-3.0 read as gpl-2.0"]


def test_two_clusters_of_one_confusion_are_told_apart_by_their_words() -> None:
    groups = [Group("mit", "bsd", range(6)), Group("mit", "bsd", range(6, 12))]
    assert names(groups, GRANTS + CLAUSES) == [
        "bsd read as mit: permission, granted",
        "bsd read as mit: neither, name",
    ]


def test_the_same_text_sent_five_times_gives_no_word_away() -> None:
    texts = ["Johanna Meyer lives here", "johanna  meyer LIVES here"] * 5 + ["something else"] * 3
    (named,) = name_groups([Group("mit", "bsd", range(10))], list(map(Text, texts)))
    assert named.words == []


def test_a_word_that_one_person_uses_in_many_texts_is_not_told() -> None:
    texts = [Text(f"my hometown is {place}", "ada") for place in ("alpha", "beta", "gamma", "delta", "eta")]
    others = [Text(f"nothing {number}") for number in range(5)]
    (named,) = name_groups([Group("mit", "bsd", range(5))], texts + others)
    assert named.words == []
    texts = [Text(text.text, f"person-{number}") for number, text in enumerate(texts)]
    (named,) = name_groups([Group("mit", "bsd", range(5))], texts + others)
    assert named.words == ["hometown"]


def test_a_word_that_the_redactor_would_replace_in_any_text_is_not_told() -> None:
    texts = [f"write to meyer about {place}" for place in ("alpha", "beta", "gamma", "delta", "eta")]
    personal = PersonalWords(lambda some: iter([[Found(9, 14, "PERSON")] for _ in some]))
    (named,) = name_groups([Group("mit", "bsd", range(5))], list(map(Text, texts)), personal)
    assert set(named.words) <= {"write", "about"}
    assert named.words


def test_where_nothing_can_be_redacted_no_word_is_told() -> None:
    groups = [Group("mit", "bsd", range(6)), Group("mit", "bsd", range(6, 12))]
    named = name_groups(groups, list(map(Text, GRANTS + CLAUSES)), PersonalWords(None))
    assert [one.words for one in named] == [[], []]


def test_without_telling_words_clusters_of_one_confusion_are_numbered() -> None:
    groups = [Group("mit", "bsd", range(3)), Group("mit", "bsd", range(3, 6))]
    assert names(groups, ["same words"] * 6) == ["bsd read as mit", "bsd read as mit (2)"]


def test_labels_as_long_as_they_may_be_still_fit_into_a_name() -> None:
    (name,) = names([Group("a" * 200, "b" * 200, range(3))], ["text"] * 3)
    assert len(name) <= 200


words = st.sampled_from(["licence", "grant", "Meyer", "copy", "notice", "GPL", "x"])
texts_of_words = st.lists(st.lists(words, max_size=4).map(" ".join), min_size=1, max_size=40)


@given(texts_of_words, st.data())
def test_no_word_of_a_name_stands_in_fewer_than_five_texts_of_its_cluster(
    texts: list[str], data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts)))
    groups = [
        Group("mit", ("bsd", "gpl")[number % 2], members)
        for number in range(4)
        if (members := [place for place, found in enumerate(places) if found == number])
    ]
    named = name_groups(groups, list(map(Text, texts)))
    assert len({one.name for one in named}) == len(groups)
    for group, one in zip(groups, named, strict=True):
        assert len(one.words) <= 2
        for word in one.words:
            holding = {
                texts[place].lower() for place in group.members if word in WORD.findall(texts[place].lower())
            }
            assert len(holding) >= LEAST_SOURCES
