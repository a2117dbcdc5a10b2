"""Keys: made, sent, expired, revoked; and what each role may do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.access.api_key import LOOKS_LIKE_A_KEY, NewKey, key_id_of, new_key
from shared.access.known_keys import KnownKeys, NotAdmitted
from shared.access.principal import LOCAL_PRINCIPAL, Principal
from shared.access.roles import MAY, Role, Verb
from shared.events import AccessChanged

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def made(key: NewKey, **more: Any) -> AccessChanged:
    said = {
        "key_id": key.key_id,
        "revision": 1,
        "principal": "p-anna",
        "role": Role.REVIEWER,
        "digest": key.digest,
        "changed_by": "p-root",
        "changed_at": NOW,
    }
    return AccessChanged.model_validate(said | more)


def known(*events: AccessChanged) -> KnownKeys:
    keys = KnownKeys()
    for event in events:
        keys.apply(event)
    return keys


def test_who_sends_a_key_is_known_by_it() -> None:
    key = new_key()
    keys = known(made(key, workloads=["tickets"]))
    assert keys.sender_of(key.text, NOW) == Principal(
        "p-anna", Role.REVIEWER, frozenset({"tickets"}), key.key_id
    )


@pytest.mark.parametrize("spoilt", ["", "tl_", "Bearer x", "tl_000000000000_" + "A" * 43, "\udcff", "ключ"])
def test_what_is_no_key_of_ours_opens_nothing(spoilt: str) -> None:
    with pytest.raises(NotAdmitted, match="not known"):
        known(made(new_key())).sender_of(spoilt, NOW)


def test_the_id_of_a_key_is_not_the_key() -> None:
    key, other = new_key(), new_key()
    forged = f"tl_{key.key_id}_{other.text[-43:]}"
    assert key_id_of(forged) == key.key_id
    with pytest.raises(NotAdmitted, match="not known"):
        known(made(key), made(other)).sender_of(forged, NOW)


def test_a_key_ends_when_it_expires_and_as_soon_as_it_is_revoked() -> None:
    key = new_key()
    keys = known(made(key, expires_at=NOW + timedelta(days=1)))
    keys.sender_of(key.text, NOW)
    with pytest.raises(NotAdmitted, match="expired on 2026-11-27"):
        keys.sender_of(key.text, NOW + timedelta(days=1))
    keys.apply(made(key, revision=2, revoked_at=NOW))
    with pytest.raises(NotAdmitted, match="revoked"):
        keys.sender_of(key.text, NOW)
    with pytest.raises(NotAdmitted, match="revoked"):
        keys.still_admits(key.key_id, NOW)


def test_a_revocation_holds_whatever_order_events_arrive_in() -> None:
    key = new_key()
    keys = known(made(key, revision=2, revoked_at=NOW), made(key))
    with pytest.raises(NotAdmitted, match="revoked"):
        keys.sender_of(key.text, NOW)


def test_no_event_and_no_repr_holds_a_key() -> None:
    key = new_key()
    assert LOOKS_LIKE_A_KEY.search(key.text)
    assert key.text[-43:] not in repr(key) + made(key).model_dump_json()


def test_keys_differ() -> None:
    assert len({new_key().text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        (Role.APP, {Verb.PREDICT, Verb.LOG, Verb.FEEDBACK}),
        (Role.REVIEWER, {Verb.REVIEW, Verb.READ}),
        (Role.AUDITOR, {Verb.READ, Verb.AUDIT}),
        (Role.OPERATOR, set(Verb)),
    ],
)
def test_a_role_may_do_this_and_nothing_else(role: Role, verbs: set[Verb]) -> None:
    principal = Principal("p-1", role)
    assert {verb for verb in Verb if principal.may(verb)} == verbs == MAY[role]


def test_a_key_for_a_workload_is_for_no_other() -> None:
    app = Principal("p-1", Role.APP, frozenset({"tickets"}))
    assert app.may(Verb.PREDICT, "tickets")
    assert not app.may(Verb.PREDICT, "loans")
    assert not app.may(Verb.OPERATE, "tickets")


def test_on_a_laptop_one_is_who_one_says_and_with_a_key_whose_it_is() -> None:
    assert LOCAL_PRINCIPAL.named("anna") == "anna"
    assert LOCAL_PRINCIPAL.named("") == "local"
    assert Principal("p-anna", Role.REVIEWER).named("ben") == "p-anna"
