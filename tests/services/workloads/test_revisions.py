"""Workloads over HTTP: added, changed, renamed, retired; checked against a real model server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.workloads.store import WorkloadStore
from shared.clickhouse import ClickHouse
from shared.events import DatasetPublished, DatasetRefused, Verdict, WorkloadAdded
from shared.model_server import ModelServer, ServerLimits
from tests.servers.model import base_model_folder
from tests.services.workloads.conftest import WHO, Workloads, body, definition, judged, minutes, rows

TOML = """\
name = "tickets"
title = "What does the customer want?"
rows = "rows.csv"
prompt = "{text}\\nIntent:"
labels = ["refund", "card", "parcel"]

[training]
rank = 4
max_steps = 10
"""


def csv(labels: tuple[str, ...] = ("refund", "card", "parcel")) -> str:
    return "text,label\n" + "".join(f"about {label} {n},{label}\n" for label in labels for n in range(30))


async def complaint(workloads: Workloads, given: dict[str, Any]) -> str:
    answer = await workloads.client.post("/workloads/check", json=given)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["errors"]
    return str(problem["detail"])


async def test_a_new_workload_is_stored_published_and_trained(workloads: Workloads) -> None:
    added = await workloads.add()
    assert (added["revision"], added["is_new"], added["trains"]) == (1, True, True)
    assert (added["rows"], added["labels"], added["repeated_texts"]) == (90, 3, 0)
    assert added["expected_minutes"] > 0
    assert added["round_id"] == DatasetPublished.id_of_revision("tickets", 1)
    (event,) = await workloads.publish_all()
    assert event == workloads.revisions()[0]
    assert sorted(workloads.revisions()[0].answers.values()) == [" card", " parcel", " refund"]
    assert len(list(workloads.context.files.rows(workloads.revisions()[0].rows))) == 90


async def test_files_are_taken_as_they_are(workloads: Workloads) -> None:
    files = {
        "definition": ("tickets.toml", TOML, "application/toml"),
        "rows": ("rows.csv", csv(), "text/csv"),
    }
    checked = await workloads.client.post("/workloads/check", files=files)
    assert checked.status_code == 200, checked.text
    assert (checked.json()["rows"], checked.json()["trains"]) == (90, True)
    assert (await workloads.client.get("/workloads")).json() == []
    assert (await workloads.client.post("/workloads", files=files)).json()["revision"] == 1


async def test_what_is_wrong_in_files_is_said_with_file_and_line(workloads: Workloads) -> None:
    files = {
        "definition": ("tickets.toml", TOML, "application/toml"),
        "rows": ("rows.csv", csv() + "hello,refnd\n", "text/csv"),
    }
    answer = await workloads.client.post("/workloads", files=files)
    assert answer.status_code == 422
    problem = 'label "refnd" is not in the workload. Did you mean "refund"?'
    assert answer.json()["errors"] == [{"where": "rows.csv, line 92", "problem": problem}]
    assert answer.json()["detail"] == f"rows.csv, line 92: {problem}"


async def test_rows_may_lie_below_the_files_root(workloads: Workloads) -> None:
    root = workloads.context.state_folder / "files"
    (root / "uploads").mkdir(parents=True)
    (root / "uploads" / "tickets.csv").write_text(csv())
    added = await workloads.add({"definition": definition(), "rows_uri": "uploads/tickets.csv"})
    assert added["rows"] == 90
    for elsewhere in ("../conftest.py", "/etc/passwd", "file:///etc/passwd", "uploads/none.csv"):
        given = {"definition": definition(), "rows_uri": elsewhere}
        assert "cannot be read" in await complaint(workloads, given)


async def test_an_unchanged_revision_trains_nothing(workloads: Workloads) -> None:
    await workloads.add()
    again = await workloads.add()
    assert again["changes"][0] == "nothing differs from revision 1, nothing is trained"
    assert (again["revision"], again["round_id"], again["trains"]) == (1, None, False)
    assert len(await workloads.publish_all()) == 1


async def test_a_revision_whose_training_came_to_nothing_is_tried_again(workloads: Workloads) -> None:
    added = await workloads.add()
    refused = DatasetRefused(
        workload="tickets",
        cycle_id=None,
        cutoff=minutes(0),
        reason="The disk is full.",
        refused_at=minutes(61),
    )
    await workloads.apply(refused)
    again = await workloads.add()
    assert (again["revision"], again["trains"]) == (2, True)
    assert again["round_id"] not in (None, added["round_id"])


async def test_what_only_concerns_reviews_trains_nothing(workloads: Workloads) -> None:
    await workloads.add()
    given = {"definition": definition(review={"doubt_below": 0.9}), "rows": None}
    changed = await workloads.add(given)
    assert changed["changes"] == [
        "review.doubt_below: it holds from the next prediction on.",
        "Nothing is trained for this.",
    ]
    assert (changed["revision"], changed["round_id"]) == (2, None)


async def test_another_prompt_trains(workloads: Workloads) -> None:
    await workloads.add()
    changed = await workloads.add({"definition": definition(prompt="{text}\nTopic:")})
    assert changed["trains"]
    assert changed["round_id"] == DatasetPublished.id_of_revision("tickets", 2)


async def test_a_renamed_label_keeps_its_token_and_trains_nothing(workloads: Workloads) -> None:
    await workloads.add()
    labels = ["refund", {"name": "bank card", "was": "card"}, "parcel"]
    renamed = await workloads.add({"definition": definition(labels=labels)})
    assert renamed["changes"][0].startswith('"card" is called "bank card" now: its token stays')
    assert (renamed["trains"], renamed["round_id"]) == (False, None)
    await workloads.publish_all()
    first, second = workloads.revisions()
    assert second.answers == {"refund": " refund", "bank card": " card", "parcel": " parcel"}
    assert second.definition.renamed == {"card": "bank card"}
    assert second.rows == first.rows
    again = await workloads.add({"definition": definition(labels=labels)})
    assert again["changes"][0] == "nothing differs from revision 2, nothing is trained"


async def test_a_renamed_label_s_rows_may_go_by_either_name(workloads: Workloads) -> None:
    await workloads.add()
    labels = ["refund", {"name": "bank card", "was": "card"}, "parcel"]
    renamed = await workloads.add({"definition": definition(labels=labels), "rows": rows()})
    assert not renamed["trains"]


async def test_a_removed_label_is_trained_without_and_its_token_never_given_again(
    workloads: Workloads,
) -> None:
    await workloads.add()
    removed = await workloads.add({"definition": definition(labels=["refund", "parcel"])})
    assert removed["changes"][0].startswith(
        '"card" is removed: corrections and rows that name it are left out'
    )
    assert (removed["rows"], removed["trains"]) == (60, True)
    more = await workloads.add(
        {
            "definition": definition(labels=["refund", "parcel", "card"]),
            "rows": rows(["refund", "parcel", "card"]),
        }
    )
    assert (
        more["changes"][0]
        == '"card" is a label again: the champion does not know it until a model is trained.'
    )
    await workloads.publish_all()
    _, second, third = workloads.revisions()
    assert second.definition.removed == ("card",)
    assert third.definition.removed == ()
    assert third.answers["card"] == " card"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([{"name": "a", "was": "nobody"}, "card"], "no such label"),
        ([{"name": "a", "was": "card"}, "card", "refund", "parcel"], "stay a label"),
        ([{"name": "refund", "was": "card"}, "parcel"], "is a label already"),
        ([{"name": "a", "was": "card"}, {"name": "b", "was": "card"}], 'two labels were "card"'),
        ([{"name": "a"}, "card"], "a label is a text, or { name"),
    ],
)
async def test_a_rename_that_cannot_be_is_refused(workloads: Workloads, labels: list[Any], said: str) -> None:
    await workloads.add()
    assert said in await complaint(workloads, {"definition": definition(labels=labels)})


async def test_a_retired_workload_is_not_listed_starts_no_cycle_and_comes_back(workloads: Workloads) -> None:
    await workloads.add_and_promote()
    answer = await workloads.client.post("/workloads/tickets/retire", json=WHO)
    assert (answer.status_code, answer.json()["revision"]) == (200, 2)
    assert (await workloads.client.post("/workloads/tickets/retire", json=WHO)).json()["revision"] == 2
    assert (await workloads.client.get("/workloads")).json() == []
    (listed,) = (await workloads.client.get("/workloads?retired=true")).json()
    assert listed["is_retired"]
    assert (await workloads.client.get("/workloads/tickets")).json()["is_retired"]
    assert "retired" in (await workloads.cycle()).json()["detail"]
    back = await workloads.add({"definition": definition()})
    assert back["changes"][0].startswith("It comes back; it was retired on")
    assert (back["revision"], back["round_id"]) == (3, None)
    assert [one.is_retired for one in await _published(workloads)] == [False, True, False]
    assert len((await workloads.client.get("/workloads")).json()) == 1


async def test_killed_between_store_and_publish_a_revision_is_published_when_it_is_back(
    workloads: Workloads,
) -> None:
    workloads.is_down = True
    await workloads.add()
    assert await workloads.publish_all() == []
    await workloads.kill()
    workloads.is_down = False
    await workloads.start()
    assert [one.revision for one in await _published(workloads)] == [1]
    assert await workloads.publish_all() == []


async def test_what_version_0_1_published_is_adopted(workloads: Workloads, clickhouse: ClickHouse) -> None:
    await workloads.add()
    (event,) = await _published(workloads)
    old = event.model_copy(update={"revision": 1_764_000_000_000})
    await workloads.apply(old, old)
    assert (await workloads.client.get("/workloads/tickets")).json()["revision"] == old.revision
    again = await workloads.add()
    assert again["revision"] == old.revision
    (row,) = await clickhouse.rows("SELECT count() AS n FROM workload_revisions_v1")
    assert row["n"] == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_model": "gpt-7"}, 'base_model: the model server does not serve "gpt-7". It serves SmolLM2'),
        ({"training": {"rank": 128}}, "training.lora_r: 128 is more than the model server loads (64)"),
        ({"language": "de"}, "privacy: the redactor finds PERSON in English texts only"),
        (
            {"labels": [f"l{n}" for n in range(600)]},
            "probabilities of 600 labels (it tells 512 at once). Use",
        ),
        ({"renamed": {"a": "b"}}, '"renamed" is not a setting'),
        ({"titel": "x"}, '"titel" is not a setting'),
    ],
)
async def test_what_cannot_be_trained_is_said_before_training(
    workloads: Workloads, clickhouse: ClickHouse, changes: dict[str, Any], said: str
) -> None:
    await clickhouse.insert("training_limits_v1", [{"lora_rank": 64}])
    labels = changes.get("labels", ["refund", "card", "parcel"])
    given = {"definition": definition(**changes), "rows": rows(labels, 30 if len(labels) < 9 else 2)}
    assert said in await complaint(workloads, given)


async def test_where_the_server_states_no_limit_it_is_asked_whether_it_tells_so_many_labels(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As vLLM, whose cards say nothing of it."""

    async def states_nothing(_: ModelServer) -> ServerLimits:
        return ServerLimits()

    monkeypatch.setattr(ModelServer, "limits", states_nothing)
    labels = six_hundred_words()
    said = await complaint(workloads, {"definition": definition(labels=labels), "rows": rows(labels, 2)})
    assert "the model server does not tell the probabilities of 600 labels (" in said
    assert "512" in said  # its own words


def six_hundred_words() -> list[str]:
    """Each is a token of the base model's, so that there is one for every label."""
    vocabulary = json.loads((base_model_folder() / "tokenizer.json").read_text())["model"]["vocab"]
    words = (token.removeprefix("Ġ") for token in vocabulary if token.startswith("Ġ"))
    return [word for word in words if len(word) > 3 and word.isascii() and word.islower() and word.isalpha()][
        :600
    ]


async def test_every_text_is_held_against_the_context_in_tokens(workloads: Workloads) -> None:
    fits = {"text": "word " * 1000, "label": "card"}
    assert (
        await workloads.client.post("/workloads/check", json=body(rows=[*rows(), fits]))
    ).status_code == 200
    too_long = [{"text": f"{number} " + "word " * 9000, "label": "card"} for number in range(2)]
    said = await complaint(workloads, body(rows=[*rows(), *too_long]))
    assert len(said.splitlines()) == 2
    assert "tokens with its prompt" in said
    assert len(said) < 600


async def test_a_new_workload_needs_rows(workloads: Workloads) -> None:
    assert "needs its labelled rows" in await complaint(workloads, {"definition": definition()})


@pytest.mark.parametrize("sent", [b"{", b"[]", json.dumps({"definition": 3}).encode()])
async def test_what_is_no_request_is_refused(workloads: Workloads, sent: bytes) -> None:
    json_type = {"content-type": "application/json"}
    answer = await workloads.client.post("/workloads", content=sent, headers=json_type)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await workloads.client.post("/workloads", content=sent)).status_code == 415


async def _published(workloads: Workloads) -> list[Any]:
    await workloads.publish_all()
    return workloads.revisions()


async def test_a_revision_that_was_not_stored_leaves_no_round_undecided(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workloads.add_and_promote()

    async def cut_off(*_: object, **__: object) -> None:
        raise OSError("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(WorkloadStore, "keep_revision", cut_off)
        other = body({"training": {"rank": 8, "max_steps": 10}})
        assert (await workloads.client.post("/workloads", json=other)).status_code == 503
    await workloads.kill()
    await workloads.start()
    refusal = await workloads.cycle()
    assert "nothing to learn from" in refusal.json()["detail"]


async def test_a_toml_may_name_its_rows_by_uri_and_begin_with_a_byte_order_mark(workloads: Workloads) -> None:
    root = workloads.context.state_folder / "files"
    (root / "uploads").mkdir(parents=True)
    (root / "uploads" / "tickets.csv").write_text(csv())

    async def posted(uri: str) -> Any:
        toml = TOML.replace("rows.csv", uri).encode("utf-8-sig")
        files = {"definition": ("tickets.toml", toml, "application/toml")}
        return await workloads.client.post("/workloads", files=files)

    assert (await posted((root / "uploads" / "tickets.csv").as_uri())).json()["rows"] == 90
    missing = await posted((root / "uploads" / "other.csv").as_uri())
    assert missing.status_code == 422
    assert "below FILES_URI" in missing.json()["detail"]


async def test_a_first_model_that_was_held_is_tried_again_once_added_again(
    workloads: Workloads,
) -> None:
    added = await workloads.add()
    again = await workloads.add()
    assert again["changes"][1].startswith("its round is under way")
    await workloads.apply(judged(added["round_id"], Verdict.HOLD, cycle=False))
    await workloads.client.post("/workloads/tickets/retire", json=WHO)
    assert (await workloads.add())["round_id"] is not None


async def test_labels_are_answered_by_words_of_theirs_and_the_answer_says_which(workloads: Workloads) -> None:
    labels = ["lost_or_stolen_card", "refund", "atm_support"]
    given = {"definition": definition(labels=labels, words={"refund": "money"}), "rows": rows(labels)}
    checked = await workloads.client.post("/workloads/check", json=given)
    answers = {"lost_or_stolen_card": " stolen", "refund": " money", "atm_support": " support"}
    assert checked.json()["answers"] == answers
    await workloads.add(given)
    await workloads.publish_all()
    (event,) = workloads.revisions()
    assert event.answers == answers
    assert event.tokenizer_digest is not None
    assert event.definition.words == {"refund": "money"}


async def test_a_workload_with_letters_keeps_them_and_is_told_how_to_get_words(workloads: Workloads) -> None:
    await workloads.add()
    (event,) = await workloads.publish_all()
    assert isinstance(event, WorkloadAdded)
    letters = {"refund": " A", "card": " B", "parcel": " C"}
    old = event.model_copy(update={"revision": 2, "answers": letters, "tokenizer_digest": None})
    await workloads.apply(old, old)
    kept = (await workloads.client.post("/workloads/check", json=body())).json()
    assert (kept["differs"], kept["answers"]) == (False, letters)
    assert kept["words_to_name"] == {"refund": "refund", "card": "card", "parcel": "parcel"}
    named = await workloads.add({"definition": definition(words=kept["words_to_name"])})
    assert (named["trains"], named["words_to_name"]) == (True, {})
    assert named["answers"] == {"refund": " refund", "card": " card", "parcel": " parcel"}


async def test_a_word_of_several_tokens_is_refused(workloads: Workloads) -> None:
    given = {"definition": definition(words={"card": "irgendwas"}), "rows": rows()}
    assert "is 4 tokens of this model, not one. Name another word" in await complaint(workloads, given)
