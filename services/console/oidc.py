"""An OpenID Connect provider, as Authlib speaks to it: authorization code flow with PKCE, state and nonce."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App
from fastapi import Request, Response
from joserfc.errors import JoseError

from services.console.settings import Settings

PATH = "/.well-known/openid-configuration"
ANSWER_SECONDS = 10.0
SIGNED_BY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the provider can make: neither `none` nor one by a secret that we hold, too."""
CLOCKS_DIFFER_SECONDS = 60

log = logging.getLogger(__name__)


class NotVouchedFor(Exception):
    """The provider, or whoever says to come from it, vouches for nobody. The message is for the person."""


class ProviderAway(Exception):
    """It does not answer, or in no way that can be understood. The message is for the person."""


class Provider:
    """What is kept between the two requests of a sign-in lies in `request.scope["session"]`, a dictionary."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer.rstrip("/")
        self._audience = settings.oidc_client_id
        self._client: StarletteOAuth2App = OAuth().register(
            "oidc",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            server_metadata_url=self._issuer + PATH,
            client_kwargs={
                "scope": settings.oidc_scope,
                "code_challenge_method": "S256",
                "timeout": ANSWER_SECONDS,
            },
        )

    async def begin(self, request: Request, back: str) -> Response:
        """Sends the browser to the provider, which sends it `back`. Raises ProviderAway."""
        try:
            await self._metadata()
            answer: Response = await self._client.authorize_redirect(request, back)
        except (AuthlibBaseError, httpx2.HTTPError, ValueError, RuntimeError) as error:
            raise self._away(error) from error
        return answer

    async def vouched_for(self, request: Request) -> Mapping[str, Any]:
        """The claims of who comes back, with `iss` and `sub`. Raises NotVouchedFor, ProviderAway."""
        try:
            metadata = await self._metadata()
            token = await self._client.authorize_access_token(
                request,
                leeway=CLOCKS_DIFFER_SECONDS,
                claims_options={
                    "iss": {"essential": True, "values": [metadata["issuer"]]},
                    "aud": {"essential": True, "value": self._audience},
                    "sub": {"essential": True},
                },
            )
            claims: Mapping[str, Any] = token["userinfo"]
        except (AuthlibBaseError, JoseError, KeyError) as error:
            log.warning("a sign-in was refused: %s", type(error).__name__)
            raise NotVouchedFor("You were not signed in: begin again, in this browser.") from error
        except (httpx2.HTTPError, ValueError, RuntimeError) as error:
            raise self._away(error) from error
        return claims

    async def _metadata(self) -> Mapping[str, Any]:
        """Raises ValueError if it is another's than the one that is set."""
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != self._issuer:
            raise ValueError(f"its metadata is of {metadata.get('issuer')}")
        offered = metadata.get("id_token_signing_alg_values_supported") or SIGNED_BY[:1]
        metadata["id_token_signing_alg_values_supported"] = [one for one in offered if one in SIGNED_BY]
        return metadata

    def _away(self, error: Exception) -> ProviderAway:
        log.warning("%s does not sign people in: %s %s", self._issuer, type(error).__name__, error)
        return ProviderAway(f"{self._issuer} does not sign people in now. Try again, or use a key.")
