"""Apps that share an installation: one takes what is another's, or learns of it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.attacks.team import OURS, THEIRS, Team, on_team

KEY = {"idempotency-key": "batch-42"}
INVENTED = "nobodys"
LOGGED = {"workload": OURS, "input": "x", "answer": "refund", "confidence": 0.9, "adapter": "a"}


@on_team
def an_app_uses_up_anothers_idempotency_keys(team: Team) -> str:
    """They number their batches, as everybody does: the second app's batch is refused, or is the first's."""
    url, app = f"{team.services}/predictions", team.keys["app"]
    other = team.make("another-app", "--role", "app", "--workload", OURS)["key"]
    first, second = (
        team.asked("POST", url, key, headers=KEY, json=LOGGED | {"input": text})
        for key, text in ((app, "of the first"), (other, "of the second"))
    )
    if first.status_code != 202:
        return f"the first one is answered {first.status_code}, so nothing is proved"
    own = team.asked("POST", url, app, headers=KEY, json=LOGGED | {"input": "another"})
    if own.status_code != 422:
        return f"an app's own key is taken twice: {own.status_code}"
    if second.status_code != 202:
        return f"the second app's batch is answered {second.status_code}: {second.text[:200]}"
    return "both batches have one id" if first.json()["ids"] == second.json()["ids"] else ""


@on_team
def an_app_learns_which_workloads_there_are(team: Team) -> str:
    """It asks for names that its key is not for: what is there is answered otherwise than what is not."""
    said = []
    for what, path in (
        ("prediction", "/predictions"),
        ("many predictions", "/predictions"),
        ("feedback", "/feedback"),
        ("completion", "/v1/completions"),
        ("chat", "/v1/chat/completions"),
        ("model", "/v1/models/{}"),
    ):
        theirs, nobodys, ours = (_told(team, what, path, name) for name in (THEIRS, INVENTED, OURS))
        if (theirs.status_code, theirs.text) != (nobodys.status_code, nobodys.text):
            said.append(f"{what}: {theirs.status_code} {theirs.text[:200]}, or else {nobodys.text[:200]}")
        elif THEIRS in nobodys.text:
            said.append(f"{what}: {nobodys.text[:300]}")
        elif ours.status_code == nobodys.status_code:
            said.append(f"{what}: its own is answered {ours.status_code} too, so nothing is proved")
    return "; ".join(said)


def _told(team: Team, what: str, path: str, name: str) -> httpx.Response:
    logged = LOGGED | {"workload": name, "prediction_id": "known"}
    bodies: dict[str, Any] = {
        "prediction": logged,
        "many predictions": [LOGGED | {"prediction_id": "own"}, logged],
        "feedback": {"workload": name, "prediction_id": "p", "thumb": "up"},
        "completion": {"model": name, "prompt": "x"},
        "chat": {"model": name, "messages": [{"role": "user", "content": "x"}]},
    }
    door = team.gateway if path.startswith("/v1") else team.services
    method = "POST" if what in bodies else "GET"
    return team.asked(method, door + path.format(name), team.keys["app"], json=bodies.get(what))
