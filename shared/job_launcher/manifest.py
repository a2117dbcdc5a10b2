"""What a job's Kubernetes Job looks like (batch/v1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.job_launcher.command import command, order_in_environment
from shared.job_launcher.launcher import CannotStart
from shared.job_protocol.lines import Order

JOB_ID = "tuneloop.dev/job-id"
"""The annotation with the job's id; a label could not hold every id."""
CONTAINER = "job"
STATE_FOLDER = "/state"
SIGNS = "train"
"""The kind of job that needs the private key."""


class KubernetesSettings(BaseSettings):
    """What an operator may set, as JOB_KUBERNETES_… in the environment."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="JOB_KUBERNETES_")

    image: str = ""
    """The image of the service. Without it no job can start."""
    config_map: str = "tuneloop"
    """A ConfigMap with the addresses (MODELS_URL, FILES_URI, …), which become the job's environment."""
    secret: str = "tuneloop"
    """A Secret with CLICKHOUSE_URL, which holds a password; it becomes environment, too."""
    state_claim: str = ""
    """A PersistentVolumeClaim for scratch folders: a training that is started again goes on from its
    checkpoint. Without one it starts anew."""
    files_claim: str = ""
    """A claim with the files, mounted at /files, for FILES_URI file:///files. Empty for object storage."""
    signing_secret: str = ""
    """A Secret with the private key, mounted at /signing for trainings and for no other job. Then
    RETRAINING_SIGNING_KEY=/signing/adapters-signing.pem belongs into the ConfigMap."""
    public_keys_config_map: str = ""
    """A ConfigMap with public keys (*.pem), mounted at /public-keys. Then ADAPTERS_PUBLIC_KEY=/public-keys
    belongs into the other ConfigMap."""
    cpu: str = "2"
    """What a job asks for, as Kubernetes spells it."""
    memory: str = "8Gi"
    """What a job asks for, and what it may take at most."""
    gpus: dict[str, int] = Field(default={"train": 1})
    """GPUs by kind of job, as JSON; kinds that are not named get none. A job that gets several runs in as
    many processes, by `accelerate launch` and FSDP.
    """
    keep_seconds: int = Field(default=3600, ge=60)
    """How long Kubernetes keeps a Job that has ended: a service that was away must still find its answer."""
    run_as_user: int = Field(default=1000, ge=1)
    """The user and group of a job's process; root is never allowed."""


def job_name(service: str, job_id: str) -> str:
    """The same for the same job, so that a service finds what its predecessor has started; a DNS label."""
    return f"tuneloop-{service.replace('_', '-')}-{hashlib.sha256(job_id.encode()).hexdigest()[:16]}"


def manifest(service: str, order: Order, deadline: timedelta, settings: KubernetesSettings) -> dict[str, Any]:
    """The Job for an order. It holds no secret: passwords come from `settings.secret`. Raises CannotStart."""
    if not settings.image:
        raise CannotStart("JOB_KUBERNETES_IMAGE is not set. Name the image of the service in it.")
    folder = f"{STATE_FOLDER}/{service}/{order.job_id}"  # as the pod sees it
    said = order_in_environment(order.model_copy(update={"folder": folder}).model_dump_json())
    labels = {
        "app.kubernetes.io/name": "tuneloop",
        "app.kubernetes.io/component": service,
        "app.kubernetes.io/managed-by": "tuneloop",
    }
    seconds = max(1, round(deadline.total_seconds()))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(service, order.job_id),
            "labels": labels,
            "annotations": {JOB_ID: order.job_id},
        },
        "spec": {
            "backoffLimit": 0,  # the service counts attempts
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": settings.keep_seconds,
            "template": {
                "metadata": {"labels": labels, "annotations": {JOB_ID: order.job_id}},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 5,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": settings.run_as_user,
                        "runAsGroup": settings.run_as_user,
                        "fsGroup": settings.run_as_user,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(service, order.kind, said, settings)],
                    "volumes": _volumes(order.kind, settings),
                },
            },
        },
    }


def _container(
    service: str, kind: str, order: Mapping[str, str], settings: KubernetesSettings
) -> dict[str, Any]:
    resources = {"cpu": settings.cpu, "memory": settings.memory}
    gpus = settings.gpus.get(kind, 0)
    limits = {"memory": settings.memory} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "state", "mountPath": STATE_FOLDER},
    ]
    if gpus > 1:
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    if settings.files_claim:
        mounts.append({"name": "files", "mountPath": "/files"})
    mounts += [{"name": name, "mountPath": f"/{name}", "readOnly": True} for name in _keys(kind, settings)]
    return {
        "name": CONTAINER,
        "image": settings.image,
        "command": command("python", f"services.{service}.job", gpus),
        "env": [
            *({"name": name, "value": said} for name, said in order.items()),
            {"name": "STATE_FOLDER", "value": STATE_FOLDER},
            {"name": "HOME", "value": "/tmp"},
        ],
        "envFrom": [
            {"configMapRef": {"name": settings.config_map}},
            {"secretRef": {"name": settings.secret}},
        ],
        "resources": {"requests": resources, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _keys(kind: str, settings: KubernetesSettings) -> dict[str, dict[str, Any]]:
    """Mounts of keys by name → what is mounted."""
    keys: dict[str, dict[str, Any]] = {}
    if settings.signing_secret and kind == SIGNS:
        # Readable by the job's group, which fsGroup gives it, and by nobody else.
        keys["signing"] = {"secret": {"secretName": settings.signing_secret, "defaultMode": 0o440}}
    if settings.public_keys_config_map:
        keys["public-keys"] = {"configMap": {"name": settings.public_keys_config_map}}
    return keys


def _volumes(kind: str, settings: KubernetesSettings) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if settings.state_claim:
        volumes.append({"name": "state", "persistentVolumeClaim": {"claimName": settings.state_claim}})
    else:
        volumes.append({"name": "state", "emptyDir": {}})
    if settings.gpus.get(kind, 0) > 1:  # their processes exchange through it, and 64 MiB are too few
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
    if settings.files_claim:
        volumes.append({"name": "files", "persistentVolumeClaim": {"claimName": settings.files_claim}})
    return volumes + [{"name": name, **mounted} for name, mounted in _keys(kind, settings).items()]
