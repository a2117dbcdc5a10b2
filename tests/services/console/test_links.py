"""The header says who a visitor is, and leads them to the pages that open for them."""

from __future__ import annotations

import pytest

from services.console.pages.frame import links_of, who_is
from shared.access.principal import LOCAL_PRINCIPAL, Principal
from shared.access.roles import Role

FOR_ALL = ["Loop", "Review", "Candidates"]


@pytest.mark.parametrize(
    ("visitor", "more"),
    [
        (LOCAL_PRINCIPAL, ["Audit"]),
        (Principal("p-1", Role.OPERATOR), ["Audit"]),
        (Principal("p-1", Role.AUDITOR), ["Audit"]),
        (Principal("p-1", Role.AUDITOR, frozenset({"tickets"})), []),
        (Principal("p-1", Role.REVIEWER), []),
        (Principal("p-1", Role.REVIEWER, frozenset({"tickets"})), []),
    ],
)
def test_the_audit_log_is_linked_for_whom_it_opens(visitor: Principal, more: list[str]) -> None:
    assert [name for name, _ in links_of(visitor)] == FOR_ALL + more


@pytest.mark.parametrize(
    ("visitor", "name", "said"),
    [
        (LOCAL_PRINCIPAL, "", ""),
        (Principal("p-1", Role.OPERATOR), "Anna Berg", "Anna Berg · operator"),
        (Principal("p-1", Role.REVIEWER), "", "p-1 · reviewer"),
    ],
)
def test_who_signed_in_reads_their_name_or_the_id_they_have(visitor: Principal, name: str, said: str) -> None:
    assert who_is(visitor, name) == said
