"""One cycle's failures in groups: embedded, put together, named, and known again from the cycle before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.failure_clustering.cluster_life import Found, Known, Life, centroid, lives
from services.failure_clustering.clusters import Group, find_groups
from services.failure_clustering.cycle_files import clustered_failures
from services.failure_clustering.failure import Failure
from services.failure_clustering.names import Named, Text, name_groups
from services.failure_clustering.personal_words import PersonalWords
from services.failure_clustering.store import FailureStore
from services.failure_clustering.task import Task
from shared.events import Cluster, FailureClustersFound, derived_id, now
from shared.fields import Part
from shared.files import Files
from shared.redaction.rules import cannot_redact
from shared.workload import Workload


class Clustered(Part):
    """What the job answers."""

    found: FailureClustersFound
    centroids: dict[str, list[float]]
    """Cluster id → the direction of its texts, to know it again by."""
    gone: list[Cluster]
    """Clusters of the cycle before in which nothing fails any more. Their size is what it was."""

    @classmethod
    def read(cls, result: Mapping[str, Any]) -> Clustered:
        """A result as a job's row has it. Version 0.1 answered with the event alone."""
        if "found" in result:
            return cls.model_validate(result)
        return cls(found=FailureClustersFound.model_validate(result), centroids={}, gone=[])


@dataclass(frozen=True)
class Clustering:
    """Groups the failures that one task names."""

    task: Task
    files: Files
    store: FailureStore
    progress: Callable[[str, int, int], None]
    """Told of a phase, how much of it is done and how much there is."""

    async def run(self) -> Clustered:
        """Failures whose text is no longer kept stand alone."""
        task = self.task
        failures = [Failure.of(row) for row in self.files.rows(task.failures)]
        texts = await self.store.texts(task.workload, [one.prediction_id for one in failures])
        kept = [failure for failure in failures if failure.prediction_id in texts]
        clusters, cluster_of, centroids, gone = await self._clusters(
            kept, [texts[failure.prediction_id] for failure in kept]
        )
        members = [
            {"prediction_id": one.prediction_id, "cluster_id": cluster_of.get(one.prediction_id)}
            for one in failures
        ]
        found = FailureClustersFound(
            cycle_id=task.cycle_id,
            workload=task.workload,
            cutoff=task.cutoff,
            clusters=clusters,
            failures=self.files.freeze_rows(clustered_failures(task.workload, task.cycle_id), members),
            corrections=task.corrections,
            found_at=now(),
        )
        return Clustered(found=found, centroids=centroids, gone=gone)

    async def _clusters(
        self, failures: Sequence[Failure], texts: Sequence[Text]
    ) -> tuple[list[Cluster], dict[str, str], dict[str, list[float]], list[Cluster]]:
        """The clusters, prediction id → cluster id, cluster id → centroid, and the clusters that are gone."""
        known, previous_cutoff = await self.store.known_clusters(self.task.workload, self.task.cutoff)
        if not any(failure.right_answer for failure in failures):
            # Without a correction nothing says how the model fails: spare the encoder.
            _, gone = lives([], known, str)
            return [], {}, {}, list(map(_gone, gone))
        from services.failure_clustering.encoder import embed

        plain = [one.text for one in texts]
        vectors = embed(plain, lambda done: self.progress("embedding", done, len(texts)))
        groups = find_groups(failures, vectors)
        definition = await self.store.definition(self.task.workload, self.task.revision)
        named = name_groups(groups, texts, _personal_words(definition))
        found = [
            Found(
                group,
                centroid(group.members, vectors),
                frozenset(failures[place].prediction_id for place in group.members),
                sum(_is_after(failures[place], previous_cutoff) for place in group.members),
            )
            for group in groups
        ]
        all_lives, gone = lives(
            found, known, lambda place: derived_id("cluster", self.task.cycle_id, named[place].name)
        )
        self.progress("clustering", len(texts), len(texts))
        clusters = [_cluster(*one) for one in zip(groups, named, all_lives, strict=True)]
        cluster_of = {
            prediction_id: life.cluster_id
            for one, life in zip(found, all_lives, strict=True)
            for prediction_id in one.members
        }
        centroids = {life.cluster_id: list(one.centroid) for one, life in zip(found, all_lives, strict=True)}
        return clusters, cluster_of, centroids, list(map(_gone, gone))


def _is_after(failure: Failure, cutoff: Any) -> bool:
    return cutoff is None or failure.predicted_at is None or failure.predicted_at > cutoff


def _cluster(group: Group, named: Named, life: Life) -> Cluster:
    return Cluster(
        cluster_id=life.cluster_id,
        name=named.name,
        size=len(group.members),
        answer=group.answer,
        right_answer=group.right_answer,
        words=list(named.words),
        status=life.status,
        size_before=life.size_before,
    )


def _gone(before: Known) -> Cluster:
    from shared.events import ClusterStatus

    return Cluster(
        cluster_id=before.cluster_id,
        name=before.name,
        size=max(1, before.size),
        answer=before.answer,
        right_answer=before.right_answer,
        status=ClusterStatus.RESOLVED,
        size_before=before.size,
    )


def _personal_words(definition: Workload | None) -> PersonalWords:
    """By the workload's own rules of redaction; where they cannot be followed, no word is told."""
    if definition is None or cannot_redact(definition.language, definition.privacy.entities):
        return PersonalWords(None)
    from shared.redaction.redactor import Redactor

    return PersonalWords(Redactor(definition.language, definition.privacy).find)
