"""Keys that tests sign and verify adapters by."""

from __future__ import annotations

from pathlib import Path

from deploy.signing_key import new_private_key, public_part
from shared.adapters import signature
from shared.adapters.signature import RETRAINING_SIGNING_KEY


def key_pair(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """A private key's file and its public one's, which lies in a folder of its own."""
    private, public = folder / f"{name}-signing.pem", folder / "public" / f"{name}.pem"
    public.parent.mkdir(parents=True, exist_ok=True)
    private.write_text(new_private_key())
    public.write_text(public_part(private.read_text()))
    return private, public


def sign(folder: Path, private_key: Path) -> None:
    """As retraining signs what it trained."""
    signature.sign(folder, private_key, RETRAINING_SIGNING_KEY)
