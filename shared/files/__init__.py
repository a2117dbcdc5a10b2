"""Bulk in files, addressed by URI and proved by digest; in a folder or in an object store."""

from shared.files.atomic import write_atomically
from shared.files.frozen import JOB_PATIENCE_SECONDS, Files
from shared.files.manifest import DigestMismatch
from shared.files.secret_file import ensure_secret, write_secret
from shared.files.store import CannotUseFiles, FilesUnreachable

__all__ = [
    "JOB_PATIENCE_SECONDS",
    "CannotUseFiles",
    "DigestMismatch",
    "Files",
    "FilesUnreachable",
    "ensure_secret",
    "write_atomically",
    "write_secret",
]
