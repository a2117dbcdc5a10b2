"""Why Kafka does not answer, in words: from what librdkafka reports of its connections; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

WHERE = "KAFKA_BOOTSTRAP_SERVERS says where to look."
LEARNT_BROKER = re.compile(r"(\S+)/(\d+): ")
"""How a report begins that is about a broker another one named; `host:port/bootstrap` is one of ours."""


def why_away(servers: str, reported: Sequence[str]) -> str:
    """No broker could be asked at all, or only one that sends on to where none is."""
    named = {int(one[2]): one[1] for report in reported if (one := LEARNT_BROKER.match(report))}
    if _elsewhere(servers, named):
        return why_not_reached(servers, named, reported)
    causes = _causes(reported)
    if any("authentication" in cause.lower() for cause in causes):
        hint = "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD say who we are: does Kafka know them? "
    elif any("certificate" in cause for cause in causes):
        hint = "KAFKA_SSL_CA names the certificates that it is verified by. "
    elif any("SSL" in cause or "security.protocol" in cause for cause in causes):
        hint = "KAFKA_SECURITY_PROTOCOL says how this listener is spoken to. "
    elif any("resolve" in cause for cause in causes):
        hint = "Is the name right, and known to this machine's DNS? "
    elif causes:
        hint = "Is it running? "
    else:  # nothing is said of a listener that hangs up on who speaks otherwise
        hint = "Is it running, and does its listener speak what KAFKA_SECURITY_PROTOCOL says? "
    said = f" ({'; '.join(causes)})" if causes else ""
    return f"no Kafka broker answers at {servers}{said}. {hint}{WHERE}"


def why_not_reached(servers: str, advertised: Mapping[int, str], reported: Sequence[str]) -> str:
    """A broker gave metadata, and then none could be reached where the metadata say that they are."""
    elsewhere = _elsewhere(servers, advertised)
    causes = _causes(one for one in reported if "/bootstrap" not in one)
    said = f" ({'; '.join(causes)})" if causes else ""
    if not elsewhere:
        return (
            f"Kafka at {servers} answers, but not in time{said}. Is it overloaded, or without a controller?"
        )
    return (
        f"Kafka answers at {servers} and sends its clients on to {', '.join(elsewhere)}, which cannot be "
        f"reached from here{said}. Set the brokers' advertised.listeners to addresses that can be."
    )


def _elsewhere(servers: str, advertised: Mapping[int, str]) -> list[str]:
    return sorted(set(advertised.values()) - {one.strip() for one in servers.split(",")})


def _causes(reported: Iterable[str]) -> list[str]:
    """Each once and short, without what librdkafka says of all of them together."""
    seen: dict[str, None] = {}
    for one in reported:
        text = one.partition(": ")[2] if "/" in one.partition(": ")[0] else one
        text = text.partition(" (after ")[0].strip()
        if text and "brokers are down" not in text:
            seen[text] = None
    return list(seen)[:3]
