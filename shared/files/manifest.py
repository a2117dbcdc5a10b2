"""What an adapter's folder holds: names and digests, and the one digest over them that names the adapter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


class DigestMismatch(Exception):
    """A file is not what its digest says. Nothing may use it: restore it or make it again."""


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def folder_digest(files: Mapping[str, str]) -> str:
    """sha256 over the sorted list of every file's relative name and sha256."""
    names = sorted(files, key=lambda name: name.split("/"))
    return sha256("".join(f"{name}\0{files[name]}\n" for name in names).encode())


def manifest(files: Mapping[str, str]) -> bytes:
    """Written last, beside an adapter in an object store: with it the adapter is there, and only then."""
    return json.dumps({"files": files}, indent=1, sort_keys=True, ensure_ascii=False).encode()


def files_of(content: bytes, name: str, digest: str) -> dict[str, str]:
    """Name and digest of each file by a manifest; DigestMismatch if it is not of this adapter."""
    try:
        files = {str(path): str(each) for path, each in json.loads(content)["files"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DigestMismatch(f"the manifest of {name} is none: {error}") from error
    if folder_digest(files) != digest or any(".." in path.split("/") or path[:1] == "/" for path in files):
        raise DigestMismatch(f"the manifest of {name} is not of the adapter that its digest names")
    return files
