"""Who a person of an identity provider is in events."""

from __future__ import annotations

from shared.subject_ids import subject_id

ID_DIGITS = 12


def person_id(subject_key: str, issuer: str, subject: str) -> str:
    """The same whenever they come, whatever they are called then; nobody finds it by trying addresses.

    `issuer` and `subject` are what the provider's ID token says: `iss`, with a slash at its end or without,
    and `sub`.
    """
    digest = subject_id(subject_key, f"{issuer.rstrip('/')} {subject}")
    assert digest is not None, "there is a key, and the text is not empty"
    return f"p-{digest[:ID_DIGITS]}"
