"""Who comes in: on a laptop, with keys, before they are known, and for how long without Kafka."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.access.admission import Admission, NotKnownNow
from shared.access.api_key import digest_of, new_key
from shared.access.known_keys import NotAdmitted
from shared.access.principal import HOST_PRINCIPAL, LOCAL_PRINCIPAL, Principal
from shared.access.roles import Role
from shared.access.session import LASTS, Session, signed
from shared.files import write_atomically
from tests.shared.access.test_keys import NOW, made


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


def admission(folder: Path, *, beyond_loopback: bool = False, clock: Clock | None = None) -> Admission:
    return Admission.restored(clock or Clock(), folder / "keys.json", beyond_loopback=beyond_loopback)


async def test_on_a_laptop_without_keys_everybody_is_its_user_whatever_key_is_sent(tmp_path: Path) -> None:
    here = admission(tmp_path)
    await here.completed()
    assert here.principal("") == here.principal("Bearer sk-anything") == LOCAL_PRINCIPAL


async def test_with_the_first_key_nobody_comes_in_without_one_and_never_again_does(tmp_path: Path) -> None:
    here, key = admission(tmp_path), new_key()
    await here.completed()
    await here.on_access_changed(made(key))
    assert here.principal(f"Bearer {key.text}").id == "p-anna"
    assert here.principal(f"bearer  {key.text} ").id == "p-anna"
    await here.on_access_changed(made(key, revision=2, revoked_at=NOW))
    for sent in ("", "Bearer sk-anything", f"Basic {key.text}", key.text, f"Bearer {key.text}"):
        with pytest.raises(NotAdmitted):
            here.principal(sent)


async def test_what_the_full_disk_did_not_take_is_kept_when_it_is_told_again(tmp_path: Path) -> None:
    """A start without Kafka would let a revoked key in."""
    here, key = admission(tmp_path), new_key()
    await here.completed()
    await here.on_access_changed(made(key))
    file, here.file = here.file, tmp_path / "away" / "keys.json"
    with pytest.raises(OSError, match="away"):
        await here.on_access_changed(made(key, revision=2, revoked_at=NOW))
    here.file = file
    await here.on_access_changed(made(key, revision=2, revoked_at=NOW))
    with pytest.raises(NotAdmitted, match="was revoked"):
        admission(tmp_path).principal(f"Bearer {key.text}")


@pytest.mark.parametrize("sent", ["tl_…", "tl_0123456789ab_short", "none", "sk-proj-x", "a.b"])
async def test_a_key_with_a_letter_missing_is_called_no_key_and_not_a_session(
    tmp_path: Path, sent: str
) -> None:
    here = admission(tmp_path)
    await here.completed()
    await here.on_access_changed(made(new_key()))
    with pytest.raises(NotAdmitted, match=r"^This is no key: they begin with tl_ .*tuneloop keys create$"):
        here.principal(f"Bearer {sent}")
    with pytest.raises(NotAdmitted, match="no session of ours"):
        here.principal("Bearer a.b.c")


async def test_open_to_a_network_without_a_key_nobody_comes_in(tmp_path: Path) -> None:
    here = admission(tmp_path, beyond_loopback=True)
    await here.completed()
    for sent in ("", "Bearer sk-anything", f"Bearer {new_key().text}"):
        with pytest.raises(NotKnownNow, match=r"has no key yet.*tuneloop keys create"):
            here.principal(sent)


@pytest.mark.parametrize("beyond_loopback", [False, True])
async def test_before_it_is_known_which_keys_hold_nobody_comes_in(
    tmp_path: Path, *, beyond_loopback: bool
) -> None:
    """A laptop too: it may have had keys when it stopped."""
    here, key = admission(tmp_path, beyond_loopback=beyond_loopback), new_key()
    await here.on_access_changed(made(key))
    for sent in ("", f"Bearer {key.text}"):
        with pytest.raises(NotKnownNow):
            here.principal(sent)
    await here.completed()
    assert here.principal(f"Bearer {key.text}").id == "p-anna"


async def test_without_kafka_the_last_known_keys_hold_for_an_hour(tmp_path: Path) -> None:
    key, before = new_key(), admission(tmp_path)
    await before.on_access_changed(made(key))
    await before.completed()
    os.utime(tmp_path / "keys.json", (NOW.timestamp(), NOW.timestamp()))
    clock = Clock()
    after = admission(tmp_path, clock=clock)
    assert after.principal(f"Bearer {key.text}").id == "p-anna"
    clock.time += timedelta(hours=1)
    after.principal(f"Bearer {key.text}")
    clock.time += timedelta(seconds=1)
    with pytest.raises(NotKnownNow, match="Kafka has not answered since 00:00 UTC"):
        after.principal(f"Bearer {key.text}")


async def test_a_file_that_cannot_be_read_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("[{]")
    with pytest.raises(NotKnownNow):
        admission(tmp_path).principal("")


async def test_the_kept_keys_open_nothing_to_who_reads_them(tmp_path: Path) -> None:
    here, key = admission(tmp_path), new_key()
    await here.completed()
    await here.on_access_changed(made(key))
    assert key.key_id in (tmp_path / "keys.json").read_text()
    assert key.text[-43:] not in (tmp_path / "keys.json").read_text()


async def test_that_there_is_no_key_is_known_without_kafka_for_an_hour_and_no_longer(tmp_path: Path) -> None:
    before = admission(tmp_path)
    await before.completed()
    os.utime(tmp_path / "keys.json", (NOW.timestamp(), NOW.timestamp()))
    clock = Clock()
    after = admission(tmp_path, clock=clock)
    assert after.principal("") == LOCAL_PRINCIPAL
    clock.time += timedelta(hours=1, seconds=1)
    with pytest.raises(NotKnownNow, match="Kafka has not answered"):
        after.principal("")


async def test_kafka_is_looked_at_where_there_is_no_key_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.access.admission.LOOK_SECONDS", 0.0)
    clock = Clock()
    here, looked = admission(tmp_path, clock=clock), asyncio.Event()
    await here.completed()
    clock.time += timedelta(minutes=59)

    async def look() -> None:
        looked.set()

    confirming = asyncio.create_task(here.confirm_for_ever(look))
    await looked.wait()
    await asyncio.sleep(0)
    confirming.cancel()
    assert here.confirmed_at == clock.time


async def test_the_host_s_key_opens_on_its_machine_alone_and_begins_no_session(tmp_path: Path) -> None:
    here, key = admission(tmp_path, beyond_loopback=True), new_key()
    here.host_key_digest = digest_of("the host's")
    await here.completed()
    await here.on_access_changed(made(key))
    assert here.principal("Bearer the host's", from_this_machine=True) == HOST_PRINCIPAL
    with pytest.raises(NotAdmitted):
        here.principal("Bearer the host's")
    with pytest.raises(NotAdmitted, match="no key"):
        here.holder_of("the host's")


async def test_what_a_session_s_person_is_called_is_known_and_of_a_key_nothing_is(tmp_path: Path) -> None:
    here = admission(tmp_path, beyond_loopback=True)
    here.session_key = "secret"
    anna = Session(Principal("p-1", Role.OPERATOR), "Anna Berg")
    assert here.name_in(signed(anna, "secret", NOW)) == "Anna Berg"
    for shown in ("", new_key().text, signed(anna, "another", NOW), signed(anna, "secret", NOW - 2 * LASTS)):
        assert here.name_in(shown) == ""


async def test_a_process_that_heard_itself_that_there_is_no_key_goes_on_without_kafka(tmp_path: Path) -> None:
    clock = Clock()
    here = admission(tmp_path, clock=clock)
    await here.completed()
    clock.time += timedelta(days=1)
    assert here.principal("") == LOCAL_PRINCIPAL


async def test_kafka_is_not_looked_at_more_than_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.access.admission.LOOK_SECONDS", 0.0)
    clock, looks = Clock(), 0
    here = admission(tmp_path, clock=clock)
    await here.completed()

    async def look() -> None:
        nonlocal looks
        looks += 1

    confirming = asyncio.create_task(here.confirm_for_ever(look))
    for minutes in (0, 1, 0, 480):  # the last: the machine was asleep
        clock.time += timedelta(minutes=minutes)
        for _ in range(5):
            await asyncio.sleep(0)
    confirming.cancel()
    assert looks == 2


async def test_the_host_s_key_is_nothing_special_where_nobody_needs_one(tmp_path: Path) -> None:
    here = admission(tmp_path)
    here.host_key_digest = digest_of("the host's")
    await here.completed()
    assert here.principal("Bearer the host's", from_this_machine=True) == LOCAL_PRINCIPAL


async def test_the_file_has_the_last_of_changes_that_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, first, second = admission(tmp_path), new_key(), new_key()
    await here.completed()

    def write(file: Path, content: bytes) -> None:
        if second.key_id not in content.decode():
            time.sleep(0.1)  # in a thread: the first is still being written when the second comes
        write_atomically(file, content)

    monkeypatch.setattr("shared.access.admission.write_atomically", write)
    writing = asyncio.create_task(here.on_access_changed(made(first)))
    await asyncio.sleep(0)
    await asyncio.gather(writing, here.on_access_changed(made(second)))
    assert second.key_id in (tmp_path / "keys.json").read_text()
