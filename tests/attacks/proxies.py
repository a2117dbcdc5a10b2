"""What comes through a proxy that nobody named, and what somebody says who only looks like one."""

from __future__ import annotations

import time

from deploy.laptop.running import running
from shared.access.door import BY_A_PROXY
from tests.attacks.asking import asked
from tests.attacks.attack import attack
from tests.attacks.target import Target
from tests.attacks.team import Team, on_team, tuneloop

FAR = "203.0.113.9"
WANTED = {"name": "attacker", "role": "operator"}
SHOWS_SECONDS = 20.0
REQUESTS, MOST_BYTES = 2000, 40 << 20


@attack
def a_stranger_comes_through_a_proxy_that_nobody_named(target: Target) -> str:
    """A laptop without keys behind a proxy on its own machine: the first to come makes an operator's key."""
    said = []
    for name in sorted(BY_A_PROXY):
        headers = {name.decode(): FAR}
        for method, url, more in (
            ("POST", f"{target.services}/keys", {"json": WANTED}),
            ("GET", f"{target.services}/workloads", {}),
            ("GET", f"{target.gateway}/v1/models", {}),
        ):
            status = asked(method, url, headers=headers, **more).status_code
            if status < 400:
                said.append(f"{method} {url} with {name.decode()} answered {status}")
    if asked("GET", f"{target.services}/workloads").status_code != 200:
        said.append("its own machine is not answered any more")
    return "; ".join(said)


@on_team
def a_proxy_is_named_before_any_key_is_made(team: Team) -> str:
    """It listens on loopback alone, and the whole network speaks to it through the proxy."""
    said = []
    for setting in ({"HTTP_HOSTS": "tuneloop.example.org"}, {"HTTP_PROXIES": "127.0.0.1"}):
        folder = team.target.data.parent / "behind-a-proxy"
        up = tuneloop("up", "--data", str(folder), **setting)
        if up.returncode != 1 or "tuneloop keys create" not in up.stderr:
            said.append(f"with {setting} it ended with {up.returncode} and said {up.stderr[-200:]}")
    return "; ".join(said)


@on_team
def the_audit_log_says_that_somebody_else_did_it(team: Team) -> str:
    """Whoever asks says in a proxy's header whose address it is."""
    path = f"/workloads/said-elsewhere-{time.time_ns()}/retire"
    near = running(team.target.data).services_url
    headers = _bearer(team.keys["operator"]) | {"x-forwarded-for": FAR}
    asked("POST", near + path, json={"reason": "nobody shall know"}, headers=headers)
    until = time.monotonic() + SHOWS_SECONDS
    while time.monotonic() < until:
        rows = team.asked("GET", f"{team.services}/audit", team.keys["auditor"]).json()
        if found := [row["address"] for row in rows if row["path"] == path]:
            return f"the log has {FAR}" if FAR in found else ""
        time.sleep(0.2)  # another process: there is nothing to await
    return "it is on no record"


@on_team
def the_hosts_own_key_opens_from_elsewhere(team: Team) -> str:
    """A copy of it, sent over the network, and shown where people sign in to get a session by it."""
    key = running(team.target.data).host_key()
    said = []
    if (
        asked("GET", f"{running(team.target.data).services_url}/keys", headers=_bearer(key)).status_code
        != 200
    ):
        return "it opens nothing on its host, so nothing is proved"
    if (status := team.asked("GET", f"{team.services}/keys", key).status_code) != 401:
        said.append(f"from the network it is answered {status}")
    answer = team.asked("POST", f"{team.services}/sign-in", data={"key": key})
    if answer.status_code != 401 or answer.cookies:
        said.append(f"it signs in: {answer.status_code}")
    return "; ".join(said)


@on_team
def a_stranger_fills_the_memory_beside_the_sign_in(team: Team) -> str:
    """Paths that begin like the page to sign in at: each answer of the console keeps a page for a minute."""
    with team.target.watched("services") as grown, team.client() as client:
        seen = {client.get(f"{team.services}/sign-in/{number}").status_code for number in range(REQUESTS)}
        seen |= {client.get(f"{team.services}/sign-in{number}").status_code for number in range(10)}
    if seen != {401}:
        return f"they are answered {sorted(seen)}"
    return f"memory rose by {grown.bytes >> 20} MiB" if grown.bytes > MOST_BYTES else ""


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
