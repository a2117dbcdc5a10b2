"""`python -m deploy.signing_key FOLDER`: makes the pair of keys that adapters are signed and verified by."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PRIVATE, PUBLIC = "adapters-signing.pem", "adapters-public.pem"


def new_private_key() -> str:
    """A key on the curve P-256, as PEM."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def public_part(private_key: str) -> str:
    """The public key of a private one, both as PEM."""
    key = serialization.load_pem_private_key(private_key.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.signing_key", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    private_key = new_private_key()
    try:
        with open(os.open(folder / PRIVATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(private_key)
    except FileExistsError:
        print(f"{folder / PRIVATE} is there already. Choose another folder for a new pair.", file=sys.stderr)
        return 1
    (folder / PUBLIC).write_text(public_part(private_key))
    print(f"RETRAINING_SIGNING_KEY={folder / PRIVATE}  # a secret of retraining, and of nobody else")
    print(f"ADAPTERS_PUBLIC_KEY={folder / PUBLIC}  # for model_gateway, retraining and shadow_deployment")
    return 0


if __name__ == "__main__":
    sys.exit(main())
