"""The page that comes with a dataset version: where its rows come from and what was done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from shared.events import DatasetCounts, DatasetPublished, FrozenFile, WorkloadAdded


def manifest(
    *,
    dataset_id: str,
    version: int,
    added: WorkloadAdded,
    cycle_id: str | None,
    cutoff: str,
    parent: DatasetPublished | None,
    corrections: FrozenFile | None,
    files: Mapping[str, FrozenFile],
    counts: DatasetCounts,
    labels_before: Mapping[str, int],
    labels_after: Mapping[str, int],
    redactor: str,
    replaced: Iterable[str],
) -> dict[str, Any]:
    """One JSON object. It names digests, counts and settings, and quotes no row."""
    workload = added.definition
    return {
        "dataset_id": dataset_id,
        "workload": workload.name,
        "title": workload.title,
        "version": version,
        "cycle_id": cycle_id,
        "cutoff": cutoff,
        "parent": parent and {"dataset_id": parent.dataset_id, "train": parent.train.digest},
        "sources": {
            "workload_revision": added.revision,
            "rows": added.rows.digest,
            "corrections": corrections and corrections.digest,
        },
        "files": {name: file.model_dump() for name, file in files.items()},
        "counts": counts.model_dump(),
        "labels": {
            label: {"before": labels_before.get(label, 0), "after": count}
            for label, count in labels_after.items()
        },
        "redaction": {
            "redactor": redactor,
            "language": workload.language,
            "entities": sorted(workload.privacy.entities),
            "keep": sorted(workload.privacy.keep),
            "applied_to": ["train", "golden", "held_out"],
            "replaced_in_this_run": dict(sorted(Counter(replaced).items())),
            "note": "Automatic redaction misses some personal data; this is no promise that none is left.",
        },
        "duplicates": "exact copies, whatever their label, after lower-casing and without punctuation but +",
        "leaks": "copies of golden or held-out rows, and near-identical ones (Jaccard similarity of tokens "
        "above 0.9) of the same label, are kept out of train",
        "credit": workload.credit,
    }
