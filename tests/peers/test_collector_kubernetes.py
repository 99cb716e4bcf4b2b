"""The manifests fit Kubernetes, the Collector's configuration, and each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import yaml

from tests.peers.collector import CONFIG, Tier, collector_program
from tests.peers.collector_deployed import (
    assert_same_start,
    assert_told_all_it_reads,
    launched,
    ports,
)
from tests.peers.collector_kubernetes import (
    Cluster,
    Environment,
    Pod,
    built,
    complaints,
    kustomize,
    validator,
)
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.support.ports import free_port
from tests.support.program import REPOSITORY, wait_until

TIERS: tuple[Tier, ...] = get_args(Tier)
OLDEST, NEWEST = "1.26.0", "1.37.0"
"""Before 1.26 `internalTrafficPolicy` is no promise."""


@pytest.fixture(scope="module", autouse=True)
def _programs_are_there() -> None:
    for name, program in (
        ("kustomize", kustomize),
        ("The validator of Kubernetes", validator),
        ("The OpenTelemetry Collector", collector_program),
    ):
        try:
            program()
        except PeerUnavailable as reason:
            skip_or_fail(name, reason)


@pytest.fixture(scope="module", params=get_args(Environment))
def environment(request: pytest.FixtureRequest) -> Environment:
    told: Environment = request.param
    return told


@pytest.fixture(scope="module")
def cluster(environment: Environment) -> Cluster:
    return Cluster(environment)


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> Tier:
    told: Tier = request.param
    return told


@pytest.fixture
def pod(cluster: Cluster, tier: Tier) -> Pod:
    return cluster.pod(tier)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(cluster: Cluster, version: str, tmp_path: Path) -> None:
    manifests = tmp_path / "all.yaml"
    manifests.write_text(cluster.text)

    assert complaints(manifests, version) == (len(cluster.objects), "")


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("replicas: ", "replikas: ", "'replikas' was unexpected"),
        ("internalTrafficPolicy: Local", "internalTrafficPolicies: Local", "was unexpected"),
        ("containerPort: 4317", "containerPort: grpc", "'grpc' is not of type 'integer'"),
        ("readOnlyRootFilesystem: true", "readonlyRootFilesystem: true", "was unexpected"),
        ("serviceName: gateway", "podManagement: Parallel", "was unexpected"),
    ],
)
def test_a_wrong_field_is_found(
    cluster: Cluster, right: str, wrong: str, complaint: str, tmp_path: Path
) -> None:
    assert right in cluster.text
    manifests = tmp_path / "all.yaml"
    manifests.write_text(cluster.text.replace(right, wrong, 1))
    passed, told = complaints(manifests, NEWEST)

    assert passed == len(cluster.objects) - 1
    assert complaint in told


def test_a_pod_starts_as_the_launcher_does(
    pod: Pod, tier: Tier, environment: Environment, tmp_path: Path
) -> None:
    wanted = launched(tier, environment, tmp_path, COLLECTOR_HOST_NAME="node-1")

    assert_same_start(pod.start, wanted)


def test_every_variable_that_must_be_told_is_told_and_no_other(pod: Pod) -> None:
    assert_told_all_it_reads(pod.start)


def test_the_collector_accepts_what_a_pod_gives_it(pod: Pod, tmp_path: Path) -> None:
    said = subprocess.run(
        [collector_program(), "validate", *pod.arguments(tmp_path)],
        capture_output=True, text=True, check=False, env=pod.variables(),
    )  # fmt: skip

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_what_a_pod_starts_answers_its_probes(tier: Tier, tmp_path: Path) -> None:
    # Production has certificates, and is else the same.
    pod = Cluster("staging").pod(tier)
    listens = {name: str(free_port()) for name in ports(pod.start)}
    here = listens | {
        "COLLECTOR_LISTEN": "127.0.0.1",
        "COLLECTOR_STORAGE": str(tmp_path / "queue"),
        "COLLECTOR_GATEWAY_HOST": "127.0.0.1",
    }
    process = subprocess.Popen(
        [collector_program(), *pod.arguments(tmp_path)],
        stderr=subprocess.DEVNULL,
        env=pod.variables() | here,
    )

    def answers(probe: dict[str, Any]) -> bool:
        assert pod.ports[probe["httpGet"]["port"]] == ports(pod.start)["COLLECTOR_HEALTH_PORT"]
        url = f"http://127.0.0.1:{listens['COLLECTOR_HEALTH_PORT']}{probe['httpGet']['path']}"
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    probes = [pod.container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    try:
        wait_until(lambda: all(map(answers, probes)) or process.poll() is not None, 30)
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(pod.spec.get("terminationGracePeriodSeconds", 30))


def test_every_port_is_one_that_the_collector_listens_on(cluster: Cluster, tier: Tier) -> None:
    pod = cluster.pod(tier)
    assert sorted(pod.ports.values()) == sorted(ports(pod.start).values())

    service = cluster.one("Service", tier)["spec"]
    assert {one["targetPort"] for one in service["ports"]} <= pod.ports.keys()
    assert all(one["port"] == pod.ports[one["targetPort"]] for one in service["ports"])


def test_agents_find_all_gateways_by_the_name_of_the_headless_service(cluster: Cluster) -> None:
    gateways = cluster.pod("gateway").workload
    service = cluster.one("Service", gateways["spec"]["serviceName"])
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]

    assert service["spec"]["clusterIP"] == "None"
    agent = cluster.pod("agent")
    assert agent.variables()["COLLECTOR_GATEWAY_HOST"] == f"{name}.{namespace}.svc"
    wanted = re.search(r"COLLECTOR_GATEWAY_PORT:-(\d+)", "\n".join(agent.start.configurations))
    assert wanted is not None
    assert [one["port"] for one in service["spec"]["ports"]] == [int(wanted[1])]
    assert cluster.one("Service", "agent")["spec"]["internalTrafficPolicy"] == "Local"


def test_whatever_selects_pods_finds_some_and_names_their_ports(cluster: Cluster) -> None:
    pods = {tier: cluster.pod(tier) for tier in TIERS}

    def selected(labels: dict[str, str]) -> Pod:
        [found] = [pod for pod in pods.values() if labels.items() <= pod.labels.items()]
        return found

    for service in cluster.of_kind("Service"):
        selected(service["spec"]["selector"])
    for kind in ("PodDisruptionBudget", "DaemonSet", "StatefulSet"):
        for one in cluster.of_kind(kind):
            selected(one["spec"]["selector"]["matchLabels"])
    [apart] = pods["gateway"].spec["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert selected(apart["labelSelector"]["matchLabels"]) == pods["gateway"]

    held = []
    for policy in (one["spec"] for one in cluster.of_kind("NetworkPolicy")):
        own = selected(policy["podSelector"]["matchLabels"])
        held.append(own)
        named = [(own, rule) for rule in policy["ingress"]]
        named += [
            (selected(rule["to"][0]["podSelector"]["matchLabels"]), rule)
            for rule in policy["egress"]
            if "to" in rule
        ]
        assert all(port["port"] in to.ports for to, rule in named for port in rule["ports"])
    assert held == list(pods.values())


def test_the_queue_outlives_the_pod(pod: Pod, tier: Tier) -> None:
    storage = pod.variables()["COLLECTOR_STORAGE"]
    [name] = [one["name"] for one in pod.container["volumeMounts"] if one["mountPath"] == storage]
    on_node = [one["name"] for one in pod.spec["volumes"] if "hostPath" in one]
    claimed = [
        one["metadata"]["name"] for one in pod.workload["spec"].get("volumeClaimTemplates", [])
    ]

    assert [name] == on_node + claimed
    if tier == "agent":
        assert pod.workload["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0


def test_no_container_can_do_more_than_it_needs(pod: Pod, cluster: Cluster) -> None:
    assert cluster.of_kind("Secret") == []
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert pod.spec["securityContext"]["runAsUser"] > 0
    for container in [*pod.spec["containers"], *pod.spec.get("initContainers", [])]:
        rights = dict(container["securityContext"])
        if container["name"] == "queue":
            # The node's folder is root's; this alone may give it away.
            assert rights.pop("runAsUser") == 0
            assert rights.pop("runAsNonRoot") is False
            assert rights["capabilities"].pop("add") == ["CHOWN"]
        assert rights == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_the_collector_refuses_before_the_pod_is_out_of_memory(pod: Pod) -> None:
    limits = [
        told["processors"]["memory_limiter"]["limit_mib"]
        for told in map(yaml.safe_load, pod.start.configurations)
        if "memory_limiter" in told.get("processors", {})
    ]
    pod_mib = mib(pod.container["resources"]["limits"]["memory"])

    assert limits[-1] * 1.4 <= pod_mib
    assert limits[-1] < mib(pod.variables()["GOMEMLIMIT"]) < pod_mib


def mib(told: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)B?", told).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def test_pods_are_of_a_priority_that_is_there(pod: Pod, cluster: Cluster) -> None:
    names = [one["metadata"]["name"] for one in cluster.of_kind("PriorityClass")]

    assert [pod.spec["priorityClassName"]] == names


def test_the_image_is_of_the_collector_that_is_built_here(pod: Pod) -> None:
    version = yaml.safe_load((CONFIG / "builder.yaml").read_text())["dist"]["version"]

    assert pod.container["image"].endswith(f"/otelcol:{version}")


def test_the_guide_shows_how_a_gateway_gets_to_another_port(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "guides" / "collector.md").read_text()
    [patches] = re.findall(r"  ```yaml\n(  patches:.*?)  ```", guide, re.DOTALL)
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    with (config / "kubernetes" / "staging" / "kustomization.yaml").open("a") as file:
        file.write(textwrap.dedent(patches))

    objects = yaml.safe_load_all(built("staging", config))

    [policy] = [
        one for one in objects
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "gateway"
    ]  # fmt: skip
    assert {"ports": [{"port": 9000}]} in policy["spec"]["egress"]


def test_the_guide_names_every_secret_that_has_to_be_there(pod: Pod) -> None:
    guide = (REPOSITORY / "docs" / "guides" / "collector.md").read_text()
    referenced = re.findall(r"'secretKeyRef': {'key': '([^']+)', 'name': '([^']+)'}", str(pod.spec))
    names = {part for reference in referenced for part in reference}
    names |= {one["secret"]["secretName"] for one in pod.spec["volumes"] if "secret" in one}

    assert {name for name in names if f"`{name}`" not in guide} == set()
