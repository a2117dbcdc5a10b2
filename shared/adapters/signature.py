"""The door to model-signing (OpenSSF): signs an adapter's folder with an offline key, and verifies it.

The digest in an event says that a folder is the one that was meant; the signature says who made it, even to
one who trusts neither the store of files nor the event. `model.sig` is a Sigstore bundle over the SHA-256 of
every other file, by an elliptic-curve key of this installation. Nothing is asked of any server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shared.adapters.refusals import NotSigned, Tampered, UnsafeFiles

if TYPE_CHECKING:
    from model_signing import hashing, verifying

SIGNATURE_FILE = "model.sig"
RETRAINING_SIGNING_KEY = "RETRAINING_SIGNING_KEY"
"""The setting that signs what is trained; shadow_deployment has its own, for what it gives a contract."""
UNSIGNED = (
    f"adapters are neither signed nor verified: {RETRAINING_SIGNING_KEY} and ADAPTERS_PUBLIC_KEY are not set "
    "(python -m deploy.signing_key makes a pair)"
)
SAFE_SUFFIXES = (".safetensors", ".json", ".md", ".txt", ".jinja")
"""Files that hold data. A .bin, .pt or .pkl is a pickle, which runs code in whoever loads it."""


class CannotUseKeys(OSError):
    """The keys are not there, are none, or do not belong together. Says which setting is wrong.

    An OSError: a key that goes away later is waited for, as adapters are that cannot be read.
    """


class Verifier:
    """Verifies adapters by the public keys it is given: an adapter that one of them proves is good.

    `public_key` is a PEM file, or a folder of such files (`*.pem`), which is read each time: a key that is
    put there counts at once, one that is taken away counts no more. Without one, or with an empty name, no
    signature is asked for.
    """

    def __init__(self, public_key: Path | str | None) -> None:
        """Raises CannotUseKeys."""
        self._public_key = Path(public_key) if public_key else None
        if self._public_key is not None:
            list(self._keys(self._public_key))

    @property
    def is_on(self) -> bool:
        return self._public_key is not None

    def verify(self, folder: Path) -> None:
        """Takes as long as reading the folder once: not for an event loop.

        Raises UnsafeFiles, with or without a key; NotSigned, Tampered; CannotUseKeys, OSError.
        """
        refuse_unsafe_files(folder)
        if self._public_key is None:
            return
        signature = folder / SIGNATURE_FILE
        if not signature.exists():
            raise NotSigned(
                f"{folder.name} is not signed, and ADAPTERS_PUBLIC_KEY asks for it",
                train=f"train it anew with {RETRAINING_SIGNING_KEY} set",
            )
        for name, key in self._keys(self._public_key):
            try:
                key.verify(folder, signature)
            except OSError:
                raise
            except Exception as error:  # of many kinds: whatever it says, this key did not prove the folder
                if not str(error).startswith("Key mismatch"):
                    why = str(error) or type(error).__name__
                    raise Tampered(
                        f"{folder.name} is not what was signed ({name}): {why}", mend="restore its files"
                    ) from error
            else:
                return
        raise NotSigned(
            f"{folder.name} is signed by a key that ADAPTERS_PUBLIC_KEY does not hold",
            mend="put its public key there if it is to be trusted",
        )

    def _keys(self, public_key: Path) -> Iterator[tuple[str, verifying.Config]]:
        from model_signing import verifying

        files = sorted(public_key.glob("*.pem")) if public_key.is_dir() else [public_key]
        if not files:
            raise CannotUseKeys(f"ADAPTERS_PUBLIC_KEY={public_key} is a folder without a key: *.pem")
        for file in files:
            try:
                config = verifying.Config().use_elliptic_key_verifier(public_key=file)
            except (OSError, ValueError, AttributeError) as error:  # AttributeError: a key of another kind
                raise CannotUseKeys(
                    f"ADAPTERS_PUBLIC_KEY: {file} is no elliptic-curve public key in PEM: {error}"
                ) from error
            yield file.name, config.set_hashing_config(_every_file())


def sign(folder: Path, private_key: Path | str, setting: str) -> None:
    """Writes `model.sig` over everything else in the folder. `setting` is what names the key.

    Raises UnsafeFiles, CannotUseKeys.
    """
    from model_signing import signing

    refuse_unsafe_files(folder)
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=Path(private_key))
    except (OSError, ValueError, TypeError, AttributeError) as error:  # TypeError: it wants a password
        raise CannotUseKeys(
            f"{setting}: {private_key} is no unencrypted elliptic-curve key in PEM: {error}"
        ) from error
    config.set_hashing_config(_every_file()).sign(folder, folder / SIGNATURE_FILE)


def sign_and_prove(folder: Path, private_key: Path | str, setting: str, verifier: Verifier) -> None:
    """Like `sign`, and nobody refuses for its signature what is there then."""
    sign(folder, private_key, setting)
    try:
        verifier.verify(folder)
    except (NotSigned, Tampered) as error:
        raise CannotUseKeys(
            f"ADAPTERS_PUBLIC_KEY does not hold the public key of {setting}={private_key}. "
            "Put it there, beside the older ones."
        ) from error


def prove_keys(private_key: Path | str | None, verifier: Verifier) -> None:
    """Signs something and verifies it, so that no training ends with an adapter nobody will load.

    For `retraining`: without any key there is nothing to prove. Raises CannotUseKeys.
    """
    if not private_key:
        if verifier.is_on:
            raise CannotUseKeys(
                f"ADAPTERS_PUBLIC_KEY is set and {RETRAINING_SIGNING_KEY} is not: no adapter that is trained "
                "here would ever be loaded. Set both or neither."
            )
        return
    with tempfile.TemporaryDirectory() as folder:
        sign_and_prove(Path(folder), private_key, RETRAINING_SIGNING_KEY, verifier)


def refuse_unsafe_files(folder: Path) -> None:
    """Raises UnsafeFiles for anything that is neither data of a known kind nor a plain file or folder."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UnsafeFiles(f"{folder.name} holds {name}, which is a link or no file")
        if path.is_file() and path.suffix not in SAFE_SUFFIXES and name != SIGNATURE_FILE:
            raise UnsafeFiles(
                f"{folder.name} holds {name}. Weights are safetensors only, and beside them stand "
                f"{', '.join(SAFE_SUFFIXES[1:])}: other kinds may run code in who loads them"
            )


def _every_file() -> hashing.Config:
    """Git's files as well, which model-signing leaves out unless it is told."""
    from model_signing import hashing

    return (
        hashing.Config()
        .use_file_serialization()
        .set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False)
    )
