"""People sign in over real HTTP: by a key, and by a provider, which is a package's stand-in for one."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from oidc_provider_mock import User, run_server_in_thread

from services.console import signing_in
from services.console.oidc import Provider
from services.console.settings import Settings
from services.console.sign_in import SignIn, oidc_routes, sign_in_routes
from services.console.templating import make_render
from shared.access.admission import Admission
from shared.access.api_key import new_key
from shared.access.door import COOKIE, OIDC, OIDC_BACK, Door, principal_of
from shared.access.person_id import person_id
from shared.access.principal import Principal
from shared.access.roles import Role
from shared.access.session import Session, signed
from shared.events.envelope import now
from shared.http_conventions import HttpSettings, follow_http_conventions, guard
from shared.problems import answer_with_problems
from tests.servers.http import serving
from tests.servers.model import free_port
from tests.services.console.browser import browser
from tests.shared.access.test_keys import made

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECRET, SUBJECT_KEY = "ab" * 32, "cd" * 32
KEY = new_key()
PAGE = {"accept": "text/html"}
SUPPORT = {"name": "Anna", "groups": ["support"]}


def settings(issuer: str, **more: Any) -> Settings:
    given = {
        "oidc_issuer": issuer,
        "oidc_client_id": "tuneloop",
        "oidc_client_secret": "s3cret",
        "oidc_roles": {"support": Role.REVIEWER},
        "oidc_contact": "help@example.org",
    }
    return Settings(**{**given, **more})


async def admission(folder: Path, *, with_key: bool = True) -> Admission:
    made_here = Admission(now, folder / "keys.json", beyond_loopback=False, session_key=SECRET)
    await made_here.completed()
    if with_key:
        await made_here.on_access_changed(made(KEY, role=Role.OPERATOR, principal="p-ben"))
    return made_here


def app_of(admission: Admission, settings: Settings) -> FastAPI:
    app = FastAPI()
    answer_with_problems(app)
    parts = SignIn(admission, settings, SUBJECT_KEY, make_render(now))
    app.include_router(sign_in_routes(parts))
    if settings.oidc_issuer:
        app.include_router(oidc_routes(parts, Provider(settings)))

    @app.get("/")
    @app.get("/review")
    async def page(request: Request) -> HTMLResponse:
        principal = principal_of(request)
        return HTMLResponse(f"<p id=who>{principal.id} {principal.role} {request.url.path}</p>")

    app.add_middleware(Door, admission=admission)
    follow_http_conventions(app, HttpSettings())
    guard(app, HttpSettings())
    return app


@contextmanager
def provider(claims: dict[str, Any]) -> Iterator[str]:
    """Its issuer. `claims` stand in Anna's ID token, over those that belong there."""
    with run_server_in_thread(user_claims=[User(sub="anna", claims=claims)]) as server:
        yield f"http://localhost:{server.server_port}"


@asynccontextmanager
async def console(folder: Path, issuer: str, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(await admission(folder), settings(issuer, **more))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, headers=PAGE) as client:
        yield client


async def at_provider(begun: httpx.Response, **changed: str) -> str:
    """Where it sends the browser back to, once Anna has said who she is. `changed`: of what it was asked."""
    asked = urlsplit(begun.headers["location"])
    query = {name: value[0] for name, value in parse_qs(asked.query).items()} | changed
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(urlunsplit(asked._replace(query=urlencode(query))), data={"sub": "anna"})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def cookies(answer: httpx.Response) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for one in answer.headers.get_list("set-cookie"):
        found.load(one)
    return found


async def test_who_the_provider_vouches_for_comes_in_by_their_group(tmp_path: Path) -> None:
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client:
            assert (await client.get("/review")).headers["location"] == "/sign-in?next=%2Freview"
            assert f"{OIDC}?next=/review" in (await client.get("/sign-in?next=/review")).text
            begun = await client.get(f"{OIDC}?next=/review")
            asked = parse_qs(urlsplit(begun.headers["location"]).query)
            assert asked["code_challenge_method"] == ["S256"]
            assert {"state", "nonce", "code_challenge"} <= set(asked)
            held = cookies(begun)[signing_in.COOKIE]
            assert (held["httponly"], held["samesite"], held["path"]) == (True, "lax", OIDC)
            ended = await client.get(await at_provider(begun))
            assert ended.status_code == 200
            assert 'content="0; url=/review"' in ended.text
            session = cookies(ended)[COOKIE]
            assert (session["httponly"], session["samesite"], session["path"]) == (True, "strict", "/")
            anna = person_id(SUBJECT_KEY, issuer, "anna")
            assert f"{anna} reviewer /review" in (await client.get("/review")).text
            assert "s3cret" not in ended.text + str(ended.headers)


async def test_who_is_in_no_group_is_told_whom_to_ask(tmp_path: Path) -> None:
    with provider({"name": "<b>Anna</b>", "groups": ["sales"]}) as issuer:
        async with console(tmp_path, issuer) as client:
            ended = await client.get(await at_provider(await client.get(OIDC)))
            assert ended.status_code == 403
            assert "&lt;b&gt;Anna&lt;/b&gt;" in ended.text
            assert "help@example.org" in ended.text
            assert COOKIE not in cookies(ended)
            assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize(
    "spoilt",
    [
        {"nonce": "another"},
        {"aud": ["somebody-else"]},
        {"aud": ["somebody-else"], "azp": "tuneloop"},
        {"iss": "https://another.example.org"},
        {"exp": int(time.time()) - 3600},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
)
async def test_a_token_that_is_for_somebody_else_or_over_lets_nobody_in(
    tmp_path: Path, spoilt: dict[str, Any]
) -> None:
    with provider(SUPPORT | spoilt) as issuer:
        async with console(tmp_path, issuer) as client:
            ended = await client.get(await at_provider(await client.get(OIDC)))
            assert ended.status_code == 401
            assert "begin again" in ended.text
            assert COOKIE not in cookies(ended)


async def test_another_state_is_refused_and_so_is_another_browser_s(tmp_path: Path) -> None:
    """Login CSRF: a link with the attacker's own code signs nobody in as the attacker."""
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client:
            for changed in ({"state": "another"}, {"nonce": "another"}):
                back = await at_provider(await client.get(OIDC), **changed)
                assert (await client.get(back)).status_code == 401
            back = await at_provider(await client.get(OIDC))
            client.cookies.clear()
            assert (await client.get(back)).status_code == 401


async def test_a_code_signs_in_once(tmp_path: Path) -> None:
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client:
            begun = await client.get(OIDC)
            back = await at_provider(begun)
            kept = cookies(begun)[signing_in.COOKIE].value
            assert (await client.get(back)).status_code == 200
            again = {"cookie": f"{signing_in.COOKIE}={kept}"}
            async with httpx.AsyncClient(base_url=client.base_url, headers=again) as thief:
                assert (await thief.get(back)).status_code == 401


async def test_a_provider_that_refuses_is_said(tmp_path: Path) -> None:
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client:
            state = parse_qs(urlsplit((await client.get(OIDC)).headers["location"]).query)["state"][0]
            ended = await client.get(f"{OIDC_BACK}?error=access_denied&error_description=no&state={state}")
            assert ended.status_code == 401


async def test_what_is_kept_of_a_sign_in_is_no_session_and_ends(tmp_path: Path) -> None:
    token = signing_in.signed(signing_in.SigningIn({"a": 1}, "/"), SECRET, now())
    assert signing_in.read(token, SECRET, now()).kept == {"a": 1}
    assert signing_in.read(token, SECRET, now() + signing_in.LASTS).kept == {}
    session = signed(Session(Principal("p-1", Role.OPERATOR), ""), SECRET, now())
    assert signing_in.read(session, SECRET, now()).kept == {}
    async with console(tmp_path, "") as client:
        client.cookies.set(COOKIE, token)
        assert (await client.get("/")).status_code == 303


async def test_while_the_provider_is_away_one_signs_in_by_a_key(tmp_path: Path) -> None:
    async with console(tmp_path, f"http://127.0.0.1:{free_port()}") as client:
        begun = await client.get(OIDC)
        assert begun.status_code == 503
        assert "use a key" in begun.text
        answer = await client.post("/sign-in", data={"key": KEY.text, "next": "/review"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/review")
        assert "p-ben operator /review" in (await client.get("/review")).text


async def test_metadata_of_another_issuer_sends_nobody_there(tmp_path: Path) -> None:
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer.replace("localhost", "127.0.0.1") + "/") as client:
            assert (await client.get(OIDC)).status_code == 302  # named by the Host it is asked by
        async with console(tmp_path, issuer + "/.well-known/..") as client:
            assert (await client.get(OIDC)).status_code == 503


async def test_the_workload_of_the_page_outlives_signing_in(tmp_path: Path) -> None:
    wanted = "/review?workload=tickets"
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client:
            asked = await client.get(wanted)
            assert asked.headers["location"] == f"/sign-in?{urlencode({'next': wanted})}"
            signing_in_page = await client.get(asked.headers["location"])
            assert f'name="next" value="{wanted}"' in signing_in_page.text
            begun = await client.get(f"{OIDC}?{urlencode({'next': wanted})}")
            assert f'content="0; url={wanted}"' in (await client.get(await at_provider(begun))).text
            for sent, place in ((wanted, wanted), ("/review?workload=x&next=//evil", "/review")):
                answer = await client.post("/sign-in", data={"key": KEY.text, "next": sent})
                assert answer.headers["location"] == place


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/candidates/../x",
        "/sign-out",
        "/x?workload=y",
    ],
)
async def test_nobody_is_sent_elsewhere_after_signing_in(tmp_path: Path, elsewhere: str) -> None:
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client:
            answer = await client.post("/sign-in", data={"key": KEY.text, "next": elsewhere})
            assert answer.headers["location"] == "/"
            begun = await client.get(f"{OIDC}?{urlencode({'next': elsewhere})}")
            ended = await client.get(await at_provider(begun))
            assert 'content="0; url=/"' in ended.text


async def test_a_session_begins_no_other_and_what_is_no_key_none(tmp_path: Path) -> None:
    async with console(tmp_path, "") as client:
        session = signed(Session(Principal("p-1", Role.OPERATOR), ""), SECRET, now())
        for key, status in ((session, 422), ("x.y.z", 401), ("x", 401), (new_key().text, 401)):
            answer = await client.post("/sign-in", data={"key": key})
            assert answer.status_code == status
            assert COOKIE not in cookies(answer)


async def test_before_the_first_key_there_is_no_session_that_could_outlive_it(tmp_path: Path) -> None:
    app = app_of(await admission(tmp_path, with_key=False), settings(""))
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/sign-in", data={"key": "anything"})
        assert answer.status_code == 303
        assert COOKIE not in cookies(answer)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
async def test_a_browser_signs_in_by_key_and_by_provider_and_out_again(tmp_path: Path) -> None:
    """Its rules hold: the policy of forms, and a strict cookie after the provider's page on another site."""
    with provider(SUPPORT) as issuer:
        async with console(tmp_path, issuer) as client, browser(str(CHROMIUM), tmp_path / "profile") as page:
            url = str(client.base_url)
            await page.open(f"{url}/review")
            await page.until("!!document.querySelector('input[name=key]')")
            await page.value(f"document.querySelector('input[name=key]').value = '{KEY.text}'")
            await page.value("document.querySelector('form button').click()")
            await page.until("document.querySelector('#who')?.textContent == 'p-ben operator /review'")
            client.cookies.clear()
            await page.open(f"{url}/sign-in?next=/review")
            await page.until("!!document.querySelector('a.push')")
            await page.value("document.querySelector('a.push').click()")
            await page.until("!!document.querySelector('[name=sub][value=anna]')")
            await page.value("document.querySelector('[name=sub][value=anna]').click()")
            anna = person_id(SUBJECT_KEY, issuer, "anna")
            await page.until(f"document.querySelector('#who')?.textContent == '{anna} reviewer /review'")
