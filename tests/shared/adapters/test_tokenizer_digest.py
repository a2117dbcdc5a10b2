"""A tokenizer is told by what it makes of the probes, and by nothing else."""

from __future__ import annotations

import pytest

from shared.adapters.tokenizer_digest import PROBES, served_tokenizer_digest, tokenizer_digest


def by_characters(text: str) -> list[int]:
    return [ord(character) for character in text]


def by_bytes(text: str) -> list[int]:
    return list(text.encode())


async def test_asked_over_http_it_is_the_digest_of_the_local_tokenizer() -> None:
    async def tokenize(text: str) -> list[int]:
        return by_bytes(text)

    assert await served_tokenizer_digest(tokenize) == tokenizer_digest([by_bytes(probe) for probe in PROBES])


def test_another_tokenizer_has_another_digest() -> None:
    both = {tokenizer_digest([tokens(probe) for probe in PROBES]) for tokens in (by_characters, by_bytes)}
    assert len(both) == 2


def test_one_id_that_differs_is_another_tokenizer() -> None:
    ids = [by_characters(probe) for probe in PROBES]
    changed = [*ids[:-1], [*ids[-1][:-1], ids[-1][-1] + 1]]
    assert tokenizer_digest(ids) != tokenizer_digest(changed)


def test_a_probe_that_was_not_asked_is_said() -> None:
    with pytest.raises(ValueError, match="probes"):
        tokenizer_digest([by_bytes(probe) for probe in PROBES[1:]])


def test_the_digest_of_a_byte_tokenizer_never_changes() -> None:
    """Stored in events for ever: a changed list of probes would make every tokenizer another."""
    stored = tokenizer_digest([by_bytes(probe) for probe in PROBES])
    assert stored == "sha256:363fa617e2afa7c556957f0f83dc95ddd6a44c2725531156cd73f1d729d87bf0"
