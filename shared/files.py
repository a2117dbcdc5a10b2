"""Bulk in files, addressed by URI and proved by digest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import fsspec

from shared.fields import FrozenAdapter, FrozenFile


class DigestMismatch(Exception):
    """A file is not what its digest says. Nothing may use it: restore it or make it again."""


class Files:
    """Files under one fsspec URI. A file is written whole or not at all, and never changed.

    What it gives out is addressed relative to that root, so that a folder may be moved. Nobody else reads a
    `uri`. Version 0.1 wrote absolute ones; they are found where they point to or, once moved, below the root.
    """

    def __init__(self, root_uri: str, cache: Path) -> None:
        self._filesystem, root = fsspec.core.url_to_fs(root_uri)
        # A `file:` URI is percent-encoded, as `Path.as_uri` writes it; fsspec takes it literally.
        self._root: str = (unquote(root) if root_uri.startswith("file:") else root).rstrip("/")
        self._cache = cache

    def freeze_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> FrozenFile:
        """Writes JSON Lines under `name` and its digest; the same rows give the same file."""
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        digest = _sha256(content)
        uri = f"{name}-{digest[7:15]}.jsonl"
        path = f"{self._root}/{uri}"
        if not self._filesystem.exists(path):
            partial = f"{path}.{uuid.uuid4().hex}.partial"
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._filesystem.open(partial, "wb") as out:
                out.write(content)
            self._filesystem.mv(partial, path)
        return FrozenFile(uri=uri, digest=digest, rows=len(lines))

    def rows(self, file: FrozenFile) -> Iterator[dict[str, Any]]:
        """The rows of a frozen file. Raises FileNotFoundError, DigestMismatch before the first one."""
        content = self._filesystem.cat_file(self._path(file.uri))
        if _sha256(content) != file.digest:
            raise DigestMismatch(f"{file.uri} does not have the digest {file.digest}")
        return (json.loads(line) for line in content.decode().split("\n") if line)

    def content(self, uri: str) -> bytes:
        """A file that somebody put below the root, by its path there or its whole URI.

        Raises FileNotFoundError, for any other place too: this reads nobody's files but those given to it.
        """
        protocol, _, literal = uri.rpartition("://")
        below = (
            unquote(literal).removeprefix(f"{self._root}/")
            if protocol in _protocols(self._filesystem)
            else uri
        )
        if not below or below.startswith("/") or "://" in below or ".." in PurePosixPath(below).parts:
            raise FileNotFoundError(f"{uri} is not below the root of all files")
        return bytes(self._filesystem.cat_file(f"{self._root}/{below}"))

    def freeze_adapter(self, name: str, folder: Path, base_model: str) -> FrozenAdapter:
        """Copies an adapter's folder to `adapters/<name>-<digest8>`; that is the adapter's name for ever."""
        digest = folder_digest(folder)
        full_name = f"{name}-{digest[7:15]}"
        uri = f"adapters/{full_name}"
        target = f"{self._root}/{uri}"
        if not self._filesystem.exists(target):
            partial = f"{target}.{uuid.uuid4().hex}.partial"
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                copy = f"{partial}/{file.relative_to(folder).as_posix()}"
                self._filesystem.makedirs(copy.rpartition("/")[0], exist_ok=True)
                # Not `put` on the whole folder, which takes a [ or * in the path for a pattern.
                self._filesystem.put_file(str(file), copy)
            self._filesystem.mv(partial, target, recursive=True)
        return FrozenAdapter(name=full_name, uri=uri, digest=digest, base_model=base_model)

    def adapter_folder(self, adapter: FrozenAdapter) -> Path:
        """A local folder with the adapter's files, checked. Raises DigestMismatch, FileNotFoundError."""
        path = self._path(adapter.uri)
        if "file" in _protocols(self._filesystem):
            local = Path(path)
            if not local.is_dir():
                raise FileNotFoundError(f"adapter {adapter.name} is not at {path}")
        else:
            local = self._cache / "adapters" / adapter.name
            if not local.is_dir():
                partial = local.with_name(f"{local.name}.{uuid.uuid4().hex}.partial")
                self._filesystem.get(f"{path}/", f"{partial}/", recursive=True)
                partial.rename(local)
        if folder_digest(local) != adapter.digest:
            if "file" not in _protocols(self._filesystem):
                shutil.rmtree(local)
            raise DigestMismatch(f"adapter {adapter.name} at {path} does not have its digest")
        return local

    def _path(self, uri: str) -> str:
        """Where it lies in the file system; where it ought to lie if it is not there."""
        if ".." in uri.split("/"):
            raise FileNotFoundError(f"{uri} leaves its folder")
        if not uri.startswith("/") and "://" not in uri:
            return f"{self._root}/{uri}"
        protocol, _, literal = uri.rpartition("://")
        plain = unquote(literal)
        parts = [part for part in plain.split("/") if part]
        places = [f"{self._root}/{'/'.join(parts[start:])}" for start in range(len(parts))]
        if not protocol or protocol in _protocols(self._filesystem):
            # 0.1 took the address of a folder with a blank in it literally, and wrote below a folder `%20`.
            places = [plain, literal, *places]
        return next((path for path in places if self._filesystem.exists(path)), places[0])


def folder_digest(folder: Path) -> str:
    """sha256 over the sorted list of every file's relative name and sha256."""
    listing = "".join(
        f"{path.relative_to(folder).as_posix()}\0{_sha256(path.read_bytes())}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    return _sha256(listing.encode())


def write_atomically(path: Path, content: bytes) -> None:
    """A reader sees the old content or the new, never a part; a crash of the machine loses neither."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")  # two containers may share a volume
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
