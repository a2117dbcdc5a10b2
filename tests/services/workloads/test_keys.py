"""Keys over HTTP: made, shown once, published, revoked; and who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.workloads.key_store import KeyStore
from shared.access.api_key import digest_of
from shared.access.known_keys import NotAdmitted
from shared.events import AccessChanged
from tests.services.workloads.conftest import Workloads, answer_lost

WANTED = {"name": "anna", "role": "reviewer"}


async def made(workloads: Workloads, **more: Any) -> dict[str, Any]:
    answer = await workloads.client.post("/keys", json=WANTED | more)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


async def test_a_key_is_shown_once_and_its_digest_is_published(workloads: Workloads) -> None:
    key = await made(workloads)
    [event] = await workloads.publish_all()
    assert isinstance(event, AccessChanged)
    assert event.digest == digest_of(key["key"])
    assert (event.key_id, event.principal, event.changed_by) == (key["key_id"], key["principal"], "local")
    assert "anna" not in event.model_dump_json(), "who that is stands in no event"
    listed = (await workloads.client.get("/keys")).text
    assert key["key"][-43:] not in listed
    assert event.digest not in listed
    assert await workloads.publish_all() == []


async def test_two_keys_of_one_name_are_one_principal_s(workloads: Workloads) -> None:
    first, second, other = await made(workloads), await made(workloads), await made(workloads, name="ben")
    assert first["principal"] == second["principal"] != other["principal"]
    assert first["key_id"] != second["key_id"]


async def test_a_key_that_is_stored_is_published_after_a_kill(workloads: Workloads) -> None:
    workloads.is_down = True
    key = await made(workloads)
    await workloads.kill()
    workloads.is_down = False
    await workloads.start()
    assert [event.key_id for event in await workloads.publish_all() if isinstance(event, AccessChanged)] == [
        key["key_id"]
    ]


async def test_a_revoked_key_is_published_as_such_and_stays_listed(workloads: Workloads) -> None:
    key = await made(workloads)
    await workloads.publish_all()
    for _ in range(2):  # a second time changes nothing
        answer = await workloads.client.post(f"/keys/{key['key_id'][:6]}/revoke")
        assert answer.status_code == 200
        assert answer.json()["revoked_at"]
    [event] = await workloads.publish_all()
    assert isinstance(event, AccessChanged)
    assert (event.revision, event.revoked_at is not None) == (2, True)
    assert [one["key_id"] for one in (await workloads.client.get("/keys")).json()] == [key["key_id"]]


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        ({"role": "king"}, 422, "role"),
        ({"workloads": []}, 422, "workloads"),
        ({"workloads": ["nobody"]}, 404, "no workload “nobody”"),
        ({"expires_in_days": 0}, 422, "expires_in_days"),
        ({"expires_in_days": 4000}, 422, "expires_in_days"),
        ({"name": ""}, 422, "name"),
        ({"name": " "}, 422, "name: String should have at least 1 character"),
        ({"name": "an\nna"}, 422, "name: Value error, holds a line break"),
        ({"name": "an\u2028na"}, 422, "holds a line break"),
        ({"name": "an\x1b[2Jna"}, 422, "another control character"),
        ({"nonsense": 1}, 422, "nonsense"),
    ],
)
async def test_what_is_wrong_with_a_wanted_key_is_said(
    workloads: Workloads, wanted: dict[str, Any], status: int, said: str
) -> None:
    answer = await workloads.client.post("/keys", json=WANTED | wanted)
    assert answer.status_code == status
    assert said in answer.text
    assert (await workloads.client.get("/keys")).json() == []


async def made_and_known(workloads: Workloads, file: Path) -> dict[str, Any]:
    """A key that opens the doors of this process, which keeps what it knows in the file."""
    key = await made(workloads)
    admission = workloads.context.admission
    admission.file = file
    await admission.completed()
    for event in await workloads.publish_all():
        assert isinstance(event, AccessChanged)
        await admission.on_access_changed(event)
    assert admission.principal(f"Bearer {key['key']}").id == key["principal"]
    return key


async def test_a_revoked_key_opens_nothing_where_it_was_revoked_whatever_becomes_of_kafka(
    workloads: Workloads, tmp_path: Path
) -> None:
    key = await made_and_known(workloads, tmp_path / "keys.json")
    workloads.is_down = True
    assert (await workloads.client.post(f"/keys/{key['key_id']}/revoke")).status_code == 200
    with pytest.raises(NotAdmitted, match="was revoked"):
        workloads.context.admission.principal(f"Bearer {key['key']}")


async def test_a_key_that_is_revoked_again_after_a_503_opens_nothing_and_is_published(
    workloads: Workloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await made_and_known(workloads, tmp_path / "keys.json")
    with answer_lost(monkeypatch, KeyStore, "keep"):
        assert (await workloads.client.post(f"/keys/{key['key_id']}/revoke")).status_code == 503
    assert (await workloads.client.post(f"/keys/{key['key_id']}/revoke")).status_code == 200
    with pytest.raises(NotAdmitted, match="was revoked"):
        workloads.context.admission.principal(f"Bearer {key['key']}")
    assert workloads.wakes_outbox()


async def test_a_revoked_key_is_published_though_the_disk_is_full_here(
    workloads: Workloads, tmp_path: Path
) -> None:
    key = await made_and_known(workloads, tmp_path / "keys.json")
    workloads.context.admission.file = tmp_path / "away" / "keys.json"
    with pytest.raises(OSError, match="away"):
        await workloads.client.post(f"/keys/{key['key_id']}/revoke")
    assert workloads.wakes_outbox()


async def test_a_name_is_told_from_another_by_what_one_sees(workloads: Workloads) -> None:
    first, second = await made(workloads, name="Anna Ø. 安"), await made(workloads, name=" Anna Ø. 安\n")
    assert (second["name"], second["principal"]) == (first["name"], first["principal"])


async def test_what_can_be_no_id_is_not_looked_for_and_not_repeated(workloads: Workloads) -> None:
    key = await made(workloads)
    key_id, secret = key["key_id"], key["key"][-43:]
    for said in (key["key"], "x", f"{key_id}0", f"%0A{key_id}", f"{key_id}%0A"):
        answer = await workloads.client.post(f"/keys/{said}/revoke")
        assert answer.status_code == 422, said
        assert secret not in answer.text
    assert (await workloads.client.get("/keys")).json()[0]["revoked_at"] is None


async def test_an_unknown_key_cannot_be_revoked(workloads: Workloads) -> None:
    answer = await workloads.client.post("/keys/ffffff/revoke")
    assert answer.status_code == 404
    assert "begins with" in answer.text


async def test_the_audit_log_is_told_which_key_was_made_and_revoked_and_for_what(
    workloads: Workloads,
) -> None:
    key = await made(workloads)
    assert (await workloads.client.post(f"/keys/{key['key_id'][:6]}/revoke")).status_code == 200
    assert [one.about for one in workloads.asked] == [
        f"key {key['key_id']} of {key['principal']}, reviewer"
    ] * 2
