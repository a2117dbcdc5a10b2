"""Rows and adapters that never change: written once, addressed below one root, proved by digest."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from shared.fields import FrozenAdapter, FrozenFile
from shared.files.adapter_cache import AdapterCache, files_in
from shared.files.manifest import DigestMismatch, files_of, folder_digest, manifest, sha256
from shared.files.store import PARTIAL, Store

ADAPTERS, MANIFEST, UNFINISHED = "adapters", ".manifest.json", ".unfinished"
JOB_PATIENCE_SECONDS = 300.0
"""For an object store that does not answer: nobody waits for a job, and a few crashes end it for good."""
LEFTOVER_AGE = timedelta(days=1)  # no upload takes so long


class Files:
    """Files under one fsspec URI. A file is written whole or not at all, and never changed.

    What it gives out is addressed relative to that root, so that a folder may be moved. Nobody else reads a
    `uri`. Version 0.1 wrote absolute ones; they are found where they point to or, once moved, below the root.
    An adapter in an object store is there when its manifest is, which is written last.
    """

    def __init__(
        self, root_uri: str, cache: Path, models_folder: str = "", patience_seconds: float = 0.0
    ) -> None:
        """`models_folder` is where the model server sees the root, if it sees it elsewhere than we do.

        An object store that does not answer is asked again for `patience_seconds`. Raises CannotUseFiles.
        """
        self._store = Store(root_uri, patience_seconds)
        self._cache = AdapterCache(cache / "adapters")
        self._models_folder = models_folder.rstrip("/")

    def freeze_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> FrozenFile:
        """Writes JSON Lines under `name` and its digest. The same rows give the same file, and make it whole
        again if it was damaged. Raises FilesUnreachable.
        """
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        digest = sha256(content)
        uri = f"{name}-{digest[7:15]}.jsonl"
        path = f"{self._store.root}/{uri}"
        if not self._holds(path, digest):
            self._store.write(path, content)
        return FrozenFile(uri=uri, digest=digest, rows=len(lines))

    def _holds(self, path: str, digest: str) -> bool:
        try:
            return sha256(self._store.read(path)) == digest
        except FileNotFoundError:
            return False

    def rows(self, file: FrozenFile) -> Iterator[dict[str, Any]]:
        """The rows of a frozen file. Raises FileNotFoundError, DigestMismatch before the first one."""
        content = self._store.read(self._path(file.uri))
        if sha256(content) != file.digest:
            raise DigestMismatch(f"{file.uri} does not have the digest {file.digest}")
        return (json.loads(line) for line in content.decode().split("\n") if line)

    def content(self, uri: str) -> bytes:
        """A file that somebody put below the root, by its path there or its whole URI.

        Raises FileNotFoundError, for any other place too: this reads nobody's files but those given to it.
        """
        protocol, _, literal = uri.rpartition("://")
        below = uri
        if protocol in self._store.protocols and self._plain(literal).startswith(f"{self._store.root}/"):
            below = self._plain(literal).removeprefix(f"{self._store.root}/")
        if not below or below.startswith("/") or "://" in below or ".." in PurePosixPath(below).parts:
            raise FileNotFoundError(f"{uri} is not below the root of all files")
        return self._store.read(f"{self._store.root}/{below}")

    def freeze_adapter(self, name: str, folder: Path, base_model: str) -> FrozenAdapter:
        """Copies an adapter's folder to `adapters/<name>-<digest8>`; that is the adapter's name for ever.

        The same files give the same adapter, and make it whole again if it was damaged. Raises
        FilesUnreachable.
        """
        files = files_in(folder)
        digest = folder_digest(files)
        full_name = f"{name}-{digest[7:15]}"
        uri = f"{ADAPTERS}/{full_name}"
        target = f"{self._store.root}/{uri}"
        self._remove_leftovers()
        if self._store.is_folder:
            self._move_in(folder, files, target)
        else:
            self._upload(folder, files, target)
        return FrozenAdapter(name=full_name, uri=uri, digest=digest, base_model=base_model)

    def _move_in(self, folder: Path, files: Mapping[str, str], target: str) -> None:
        """Killed half-way nothing of it is seen: the next try begins anew, and its rest goes a day later."""
        if files_in(Path(target)) == files:
            return
        whole, damaged = (f"{target}.{uuid.uuid4().hex}{PARTIAL}" for _ in range(2))
        for name in sorted(files):
            self._store.put(folder / name, f"{whole}/{name}")
        try:
            self._store.move_folder(whole, target)
        except OSError:  # something is there
            if files_in(Path(target)) == files:  # another process was faster
                self._store.remove(whole)
                return
            self._store.move_folder(target, damaged)
            self._store.move_folder(whole, target)
            self._store.remove(damaged)

    def _upload(self, folder: Path, files: Mapping[str, str], target: str) -> None:
        """Killed half-way it does not count, because it has no manifest: the next try writes over it, and if
        there is none it is removed a day later."""
        if self._is_uploaded(files, target):
            return
        self._store.write(f"{target}{UNFINISHED}", b"")
        for name in sorted(files):
            self._store.put(folder / name, f"{target}/{name}")
        self._store.write(f"{target}{MANIFEST}", manifest(files))
        self._store.remove(f"{target}{UNFINISHED}")

    def _is_uploaded(self, files: Mapping[str, str], target: str) -> bool:
        """By its manifest, and by every object that it names."""
        try:
            files_of(self._store.read(f"{target}{MANIFEST}"), target, folder_digest(files))
        except (FileNotFoundError, DigestMismatch):
            return False
        return all(self._holds(f"{target}/{name}", digest) for name, digest in files.items())

    def _remove_leftovers(self) -> None:
        """Of copies that were killed, and that nobody tried again."""
        adapters = f"{self._store.root}/{ADAPTERS}"
        for left in self._store.older_than(LEFTOVER_AGE, adapters, PARTIAL):
            self._store.remove(left)
        for mark in self._store.older_than(LEFTOVER_AGE, adapters, UNFINISHED):
            target = mark.removesuffix(UNFINISHED)
            if not self._store.exists(f"{target}{MANIFEST}"):
                self._store.remove(target)
            self._store.remove(mark)

    def adapter_folder(self, adapter: FrozenAdapter, *, as_stored: bool = False) -> Path:
        """A local folder with the adapter's files, checked.

        Of an object store it is this machine's copy, which may outlive what it was copied from. `as_stored`
        proves that as well; so does, always, a model server that reads the store itself. Raises
        DigestMismatch, FileNotFoundError, FilesUnreachable.
        """
        path = self._path(adapter.uri)
        if not self._store.is_folder:
            fetch = partial(self._fetch, adapter, path)
            return self._cache.folder_of(adapter, fetch, as_stored=as_stored or bool(self._models_folder))
        local = Path(path)
        if not local.is_dir():
            raise FileNotFoundError(f"adapter {adapter.name} is not at {path}")
        if folder_digest(files_in(local)) != adapter.digest:
            raise DigestMismatch(f"adapter {adapter.name} at {path} does not have its digest")
        return local

    def holds(self, adapter: FrozenAdapter, name: str) -> bool:
        """Whether an adapter's folder has a file of that name. Proves nothing. Raises FilesUnreachable."""
        return self._store.exists(f"{self._path(adapter.uri)}/{name}")

    def folder_for_models(self, adapter: FrozenAdapter, here: Path) -> Path:
        """Where the model server finds the adapter whose checked files `adapter_folder` gave as `here`."""
        path = self._path(adapter.uri)
        is_below = path.startswith(f"{self._store.root}/")
        if not self._models_folder or not is_below:
            return here
        return Path(self._models_folder + path.removeprefix(self._store.root))

    def _fetch(self, adapter: FrozenAdapter, path: str, to: Path) -> None:
        """Without a manifest it is one of 0.2, if anything: its digest says whether all of it is there."""
        if self._store.exists(f"{path}{UNFINISHED}") and not self._store.exists(f"{path}{MANIFEST}"):
            raise FileNotFoundError(f"adapter {adapter.name} at {path} is not complete: it is being uploaded")
        try:
            content = self._store.read(f"{path}{MANIFEST}")
        except FileNotFoundError:
            names = self._store.names_below(path)
        else:
            names = list(files_of(content, adapter.name, adapter.digest))
        if not names:
            raise FileNotFoundError(f"adapter {adapter.name} is not at {path}")
        for name in names:
            self._store.fetch(f"{path}/{name}", to / name)

    def _path(self, uri: str) -> str:
        """Where it lies in the store; where it ought to lie if it is not there."""
        root = self._store.root
        if ".." in uri.split("/"):
            raise FileNotFoundError(f"{uri} leaves its folder")
        if not uri.startswith("/") and "://" not in uri:
            return f"{root}/{uri}"
        protocol, _, literal = uri.rpartition("://")
        plain = unquote(literal)
        parts = [part for part in plain.split("/") if part]
        places = [f"{root}/{'/'.join(parts[start:])}" for start in range(len(parts))]
        if not protocol or protocol in self._store.protocols:
            # 0.1 took the address of a folder with a blank in it literally, and wrote below a folder `%20`.
            places = [plain, literal, *places]
        return next((path for path in places if self._store.exists(path)), places[0])

    def _plain(self, literal: str) -> str:
        """A folder's URI is percent-encoded; an object's key is what it is."""
        return unquote(literal) if self._store.is_folder else literal
