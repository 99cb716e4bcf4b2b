"""The manifests of ``collector-config/kubernetes/``: built by kustomize, read as a cluster does."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

import yaml

from tests.peers.collector import CONFIG, Tier
from tests.peers.collector_deployed import Start, started
from tests.peers.environments import go_program, peer_environment

Environment: TypeAlias = Literal["staging", "production"]
Object: TypeAlias = dict[str, Any]

LOCK = Path(__file__).with_name("kubernetes.lock")
TIMEOUT_S = 60.0

SECRETS = {
    ("sentry", "traces-url"): "https://sentry.example/api/1/integration/otlp/v1/traces/",
    ("sentry", "public-key"): "5ba9b21d9e0c4b5f8e7d6c5b4a392817",
}
"""What an administrator would have put into the Secrets that are read as variables."""

_KINDS: dict[Tier, str] = {"agent": "DaemonSet", "gateway": "StatefulSet"}


def kustomize() -> Path:
    """The program, which is built at the first call.

    Raises:
        PeerUnavailable: It cannot be built.
    """
    return go_program("kustomize", Path(__file__).with_name("kustomize"))


def validator() -> Path:
    """The program that knows the schemas of Kubernetes, which is installed at the first call.

    Raises:
        PeerUnavailable: It cannot be installed.
    """
    environment = peer_environment("kubernetes", LOCK, lambda _: None, prepared_from="")
    return environment / "bin" / "kubernetes-validate"


def built(environment: Environment, config: Path = CONFIG) -> str:
    """All objects of an environment, as ``kubectl apply`` would get them.

    Args:
        environment: Which.
        config: Where the configurations and manifests are.

    Raises:
        PeerUnavailable: There is no kustomize.
    """
    folder = config / "kubernetes" / environment
    done = subprocess.run(
        [kustomize(), "build", "--load-restrictor", "LoadRestrictionsNone", folder],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def complaints(manifests: Path, version: str) -> tuple[int, str]:
    """How many objects were read, and what one release of Kubernetes has against them.

    Raises:
        PeerUnavailable: The schemas cannot be had.
    """
    done = subprocess.run(
        [validator(), "--strict", "--kubernetes-version", version, manifests],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    lines = (done.stdout + done.stderr).splitlines()
    passed = [line for line in lines if " passed for resource " in line]
    return len(passed), "\n".join(line for line in lines if line not in passed)


class Cluster:
    """What an environment consists of."""

    def __init__(self, environment: Environment) -> None:
        self.text = built(environment)
        self.objects: list[Object] = list(yaml.safe_load_all(self.text))

    def of_kind(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        """The only object of a kind and name."""
        [found] = [one for one in self.of_kind(kind) if one["metadata"]["name"] == name]
        return found

    def pod(self, tier: Tier) -> Pod:
        """What the pods of a tier are made of."""
        return Pod(self, self.one(_KINDS[tier], tier))


@dataclass(frozen=True)
class Pod:
    """What the pods of a tier are made of."""

    cluster: Cluster
    workload: Object

    @property
    def labels(self) -> dict[str, str]:
        """What Services and policies find it by."""
        labels: dict[str, str] = self.workload["spec"]["template"]["metadata"]["labels"]
        return labels

    @property
    def spec(self) -> Object:
        """Its specification."""
        spec: Object = self.workload["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Object:
        """The Collector in it."""
        [container] = self.spec["containers"]
        found: Object = container
        return found

    @property
    def ports(self) -> dict[str, int]:
        """The names of its ports."""
        return {one["name"]: one["containerPort"] for one in self.container["ports"]}

    def variables(self) -> dict[str, str]:
        """The environment of the Collector: that of maps, then its own, which may name others."""
        found: dict[str, str] = {}
        for source in self.container["envFrom"]:
            found |= self.cluster.one("ConfigMap", source["configMapRef"]["name"])["data"]
        for one in self.container["env"]:
            found[one["name"]] = re.sub(r"\$\((\w+)\)", lambda m: found[m[1]], self._value(one))
        return found

    def files(self) -> dict[str, str]:
        """The files that the Collector finds because a ConfigMap is mounted: their text by path."""
        maps = {
            one["name"]: self.cluster.one("ConfigMap", one["configMap"]["name"])["data"]
            for one in self.spec["volumes"]
            if "configMap" in one
        }
        return {
            str(PurePosixPath(mount["mountPath"]) / name): text
            for mount in self.container["volumeMounts"]
            for name, text in maps.get(mount["name"], {}).items()
        }

    @property
    def start(self) -> Start:
        """How it starts the Collector."""
        return started(self.container["args"], self.files(), self.variables())

    def arguments(self, root: Path) -> list[str]:
        """Its arguments, if its files lay below another root; they are written there."""
        for path, text in self.files().items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return [one.replace("--config=/", f"--config={root}/") for one in self.container["args"]]

    def _value(self, variable: Object) -> str:
        if "value" in variable:
            value: str = variable["value"]
            return value
        source = variable["valueFrom"]
        if "secretKeyRef" in source:
            return SECRETS[source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]]
        namespace: str = self.workload["metadata"]["namespace"]
        told = {"spec.nodeName": "node-1", "metadata.namespace": namespace}
        return told[source["fieldRef"]["fieldPath"]]
