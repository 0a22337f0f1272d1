"""The manifests and the image fit Kubernetes, the programs, and one another."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from examples.relay import health
from examples.relay.counters import Board
from examples.relay.keys import main as keys_main
from examples.relay.settings import RelaySettings
from examples.relay.settings import parse_arguments as parse_relay
from examples.transceiver.settings import Settings
from examples.transceiver.settings import parse_arguments as parse_transceiver

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "examples" / "deploy"

# What the downward API says in these tests, by the field that is asked for.
FIELDS = {
    "status.podIP": "10.244.1.7",
    "metadata.labels['apps.kubernetes.io/pod-index']": "2",
}

Manifest = dict[str, Any]


@cache
def manifests() -> dict[tuple[str, str], Manifest]:
    """(kind, name) -> manifest, of all files."""
    found = {}
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            name = manifest["kind"], manifest["metadata"]["name"]
            assert name not in found
            found[name] = manifest
    return found


def workloads() -> Iterator[tuple[str, Manifest]]:
    """Name and pod template of everything that makes pods."""
    for (_, name), manifest in manifests().items():
        if "template" in manifest.get("spec", {}):
            yield name, manifest["spec"]["template"]


def pod(name: str) -> Manifest:
    """The pod specification of `name`."""
    return dict(workloads())[name]["spec"]


def container(name: str) -> Manifest:
    """Its only container."""
    (only,) = pod(name)["containers"]
    return only


def arguments(name: str, folder: Path) -> list[str]:
    """What the program is started with: variables in place, secrets in `folder`."""
    program = container(name)
    values = {
        each["name"]: FIELDS[each["valueFrom"]["fieldRef"]["fieldPath"]] for each in program["env"]
    }
    keys, api_keys = folder / "tokens", folder / "keys"
    if not keys.exists():
        assert keys_main(["make", str(keys)]) == 0
        api_keys.write_text("a-key-of-a-test-and-of-nothing-else\n", encoding="utf-8")
        api_keys.chmod(0o600)
    module, *rest = program["args"]
    assert module == f"examples.{name}"
    expanded = [re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], each) for each in rest]
    return [re.sub(r"/etc/rtcproto/[a-z-]+(?=/)", str(folder), each) for each in expanded]


@pytest.fixture
def relay(tmp_path: Path) -> RelaySettings:
    """The relay's settings, read by its own parser."""
    return parse_relay(arguments("relay", tmp_path))


@pytest.fixture
def transceiver(tmp_path: Path) -> Settings:
    """The transceiver's settings, read by its own parser."""
    return parse_transceiver(arguments("transceiver", tmp_path))


def ports_of(name: str) -> dict[str, tuple[str, int]]:
    """Name -> (protocol, number) of the container's ports."""
    return {
        port["name"]: (port.get("protocol", "TCP"), port["containerPort"])
        for port in container(name)["ports"]
    }


def test_manifests_fit_the_schemas_of_kubernetes() -> None:
    """Strictly: a field that Kubernetes does not know is an error. The newest version there is."""
    for manifest in manifests().values():
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    broken = {**manifests()["Service", "relay"], "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_everything_is_in_the_namespace_and_carries_no_secret() -> None:
    """Secrets are made by a command, never from a file of the repository."""
    for (kind, name), manifest in manifests().items():
        assert kind != "Secret"
        if kind == "Namespace":
            assert name == "rtcproto"
        else:
            assert manifest["metadata"]["namespace"] == "rtcproto"


def test_the_relay_is_where_clients_are_told(relay: RelaySettings, transceiver: Settings) -> None:
    """What answers advertise = what the relay calls itself = the ports of the Service."""
    assert [relay.public_of(bound) for bound in relay.listen] == list(transceiver.advertise)
    assert [relay.public_of(bound) for bound in relay.tcp] == list(transceiver.advertise_tcp)
    service = manifests()["Service", "relay"]["spec"]
    assert service["externalTrafficPolicy"] == "Local"
    assert service["type"] == "LoadBalancer"
    exposed = {(port["protocol"], port["port"]) for port in service["ports"]}
    assert exposed == {
        *(("UDP", port) for _, port in transceiver.advertise),
        *(("TCP", port) for _, port in transceiver.advertise_tcp),
    }
    assert len(exposed) == 2
    # A translated port would be another public address than the one in the relay's flows.
    for port in service["ports"]:
        assert ports_of("relay")[port["targetPort"]] == (port["protocol"], port["port"])


def test_ports_below_1024_are_open_to_those_who_are_not_root(relay: RelaySettings) -> None:
    """The lowest port is what the kernel is told."""
    (sysctl,) = pod("relay")["securityContext"]["sysctls"]
    assert sysctl["name"] == "net.ipv4.ip_unprivileged_port_start"
    assert int(sysctl["value"]) == min(port for _, port in (*relay.listen, *relay.tcp))


def test_ports_are_those_of_the_arguments(relay: RelaySettings, transceiver: Settings) -> None:
    """Each port of a container is one that its program binds, and the other way round."""
    inside = {("UDP", relay.inside[1] + worker) for worker in range(relay.workers)}
    assert relay.http is not None
    assert set(ports_of("relay").values()) == inside | {
        *(("UDP", port) for _, port in relay.listen),
        *(("TCP", port) for _, port in relay.tcp),
        ("TCP", relay.http[1]),
    }
    assert set(ports_of("transceiver").values()) == {
        ("UDP", transceiver.udp[1]),
        ("TCP", transceiver.http[1]),
    }
    annotations = dict(workloads())["relay"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(relay.http[1])


def test_they_find_each_other(relay: RelaySettings, transceiver: Settings) -> None:
    """One store at the address of its Service, and each side's network believed by the other."""
    service = manifests()["Service", "redis"]
    (port,) = service["spec"]["ports"]
    url = f"redis://{service['metadata']['name']}:{port['port']}"
    assert relay.redis == relay.owners == transceiver.directory == url
    assert relay.owner_networks == list(transceiver.relays)
    redis = {each["name"]: each["containerPort"] for each in container("redis")["ports"]}
    assert redis[port["targetPort"]] == port["port"]


def test_the_owner_is_the_ordinal(transceiver: Settings) -> None:
    """The flag is the pod's index, by the label that a StatefulSet puts on its pods."""
    assert str(transceiver.owner) == FIELDS["metadata.labels['apps.kubernetes.io/pod-index']"]
    assert manifests()["StatefulSet", "transceiver"]["spec"]["serviceName"] == "transceivers"


def test_peers_have_the_names_of_the_stateful_set(transceiver: Settings) -> None:
    """Each replica is in the list, under the name that its headless Service gives it."""
    stateful = manifests()["StatefulSet", "transceiver"]
    service = manifests()["Service", stateful["spec"]["serviceName"]]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    (port,) = service["spec"]["ports"]
    for owner, url in transceiver.peers.items():
        assert url == f"http://transceiver-{owner}.transceivers:{port['port']}"
    assert {*transceiver.peers, transceiver.owner} >= set(range(stateful["spec"]["replicas"]))


def test_probes_ask_what_the_programs_answer() -> None:
    """Paths that exist, on the named port. A relay that drains passes its probe."""
    paths = {
        "relay": {route.path for route in health.routes(Board(1))},
        "transceiver": _routes_of_transceiver(),
    }
    for name, known in paths.items():
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container(name)[kind]["httpGet"]
            assert asked["path"] in known
            assert asked["port"] == "http"
            assert "http" in ports_of(name)
    # `/readyz` of a relay says no while it drains, and the node would cut its calls off.
    assert container("relay")["readinessProbe"]["httpGet"]["path"] == "/livez"
    assert container("transceiver")["readinessProbe"]["httpGet"]["path"] == "/readyz"


def _routes_of_transceiver() -> set[str]:
    text = (ROOT / "examples" / "transceiver" / "server.py").read_text(encoding="utf-8")
    return set(re.findall(r'web\.get\("(/\w+)"', text))


@pytest.mark.parametrize("name", ["relay", "transceiver"])
def test_there_is_time_to_drain(name: str, tmp_path: Path) -> None:
    """Kubernetes waits longer than the program does, so nobody is killed while calls end."""
    parse = {"relay": parse_relay, "transceiver": parse_transceiver}[name]
    settings = parse(arguments(name, tmp_path))
    assert settings.drain_timeout >= 600
    assert pod(name)["terminationGracePeriodSeconds"] >= settings.drain_timeout + 30


@pytest.mark.parametrize("name", ["relay", "transceiver", "redis"])
def test_nobody_has_more_rights_than_needed(name: str) -> None:
    """No root, no capabilities, nothing to write to, no token of the cluster; memory is bounded."""
    spec, program = pod(name), container(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert program["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert program["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in program["resources"]["limits"]


@pytest.mark.parametrize("name", ["relay", "transceiver"])
def test_keys_are_files_of_secrets(name: str) -> None:
    """Each file of the arguments is in a folder of a secret that only the pod's group can read."""
    spec, program = pod(name), container(name)
    mounts = {mount["mountPath"]: mount for mount in program["volumeMounts"]}
    volumes = {volume["name"]: volume["secret"] for volume in spec["volumes"]}
    used = {
        match[1]
        for each in program["args"]
        if (match := re.fullmatch(r"--[a-z-]+=(/.*)/\w+", each)) is not None
    }
    assert used == set(mounts)
    for mount in mounts.values():
        # What is mounted as a single file never changes, so keys could not be rotated.
        assert "subPath" not in mount
        assert mount["readOnly"] is True
        assert volumes[mount["name"]]["defaultMode"] == 0o440
    assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]


def test_workers_have_a_cpu_each(relay: RelaySettings) -> None:
    """What the scheduler is asked for is what the program uses."""
    assert container("relay")["resources"]["requests"]["cpu"] == str(relay.workers)
    assert container("transceiver")["resources"]["requests"]["cpu"] == "1"


def test_selectors_select() -> None:
    """Services, budgets, policies, spread and autoscaler speak of pods that exist."""
    labels = [template["metadata"]["labels"] for _, template in workloads()]
    assert len(labels) == 3
    selectors = [
        labels_of
        for manifest in manifests().values()
        for key, labels_of in _selectors(manifest)
        if "app" in labels_of and key != "labels"
    ]
    assert len(selectors) >= 15
    assert [selector for selector in selectors if selector not in labels] == []
    target = manifests()["HorizontalPodAutoscaler", "relay"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in manifests()
    budgets = {name for kind, name in manifests() if kind == "PodDisruptionBudget"}
    assert budgets == {"relay", "transceiver"}


def _selectors(value: object, key: str = "") -> Iterator[tuple[str, Mapping[str, str]]]:
    if isinstance(value, dict):
        if key in {"selector", "matchLabels"} and "matchLabels" not in value:
            yield key, value
        for name, inner in value.items():
            yield from _selectors(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _selectors(inner, key)


Rule = tuple[str, str, int]


def rules(name: str, way: str) -> set[Rule]:
    """(who, protocol, port) that a policy lets through; who is an app, a namespace or anybody."""
    policy = manifests()["NetworkPolicy", name]["spec"]
    assert policy["podSelector"]["matchLabels"] == {"app": name}
    found = set()
    for rule in policy.get(way, []):
        peers = rule.get("from", rule.get("to"))
        names = {"anybody"} if peers is None else {who for peer in peers for who in _who(peer)}
        for port in rule["ports"]:
            for number in range(port["port"], port.get("endPort", port["port"]) + 1):
                found |= {(who, port["protocol"], number) for who in names}
    return found


def _who(peer: Manifest) -> Iterator[str]:
    if "namespaceSelector" in peer:
        yield peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    elif "matchLabels" in peer["podSelector"]:
        yield peer["podSelector"]["matchLabels"]["app"]
    else:
        (expression,) = peer["podSelector"]["matchExpressions"]
        yield from expression["values"]


def test_policies_let_through_what_is_needed_and_nothing_else(
    relay: RelaySettings, transceiver: Settings
) -> None:
    """Nothing by default. The inside faces are for the other side alone."""
    nothing = manifests()["NetworkPolicy", "nothing"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert relay.http is not None
    insides = {("UDP", relay.inside[1] + worker) for worker in range(relay.workers)}
    http, media, store = transceiver.http[1], transceiver.udp[1], 6379
    assert rules("relay", "ingress") == {
        *(("anybody", "UDP", port) for _, port in relay.listen),
        *(("anybody", "TCP", port) for _, port in relay.tcp),
        *(("transceiver", *inside) for inside in insides),
        ("monitoring", "TCP", relay.http[1]),
    }
    assert rules("relay", "egress") == {
        ("transceiver", "UDP", media),
        ("redis", "TCP", store),
    }
    assert rules("transceiver", "ingress") == {
        ("relay", "UDP", media),
        ("ingress", "TCP", http),
        ("transceiver", "TCP", http),
    }
    assert rules("transceiver", "egress") == {
        *(("relay", *inside) for inside in insides),
        ("transceiver", "TCP", http),
        ("redis", "TCP", store),
    }
    assert rules("redis", "ingress") == {("relay", "TCP", store), ("transceiver", "TCP", store)}


# The image


@cache
def steps() -> list[tuple[str, str]]:
    """(instruction, the rest) of the container file."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_image_runs_the_programs_as_nobody() -> None:
    """A fixed base, a user by number who is that of the manifests, and the module as argument."""
    said = dict(steps())
    assert re.fullmatch(r"python:\d+\.\d+-slim", said["FROM"])
    assert said["ENTRYPOINT"] == '["python", "-m"]'
    user, _, group = said["USER"].partition(":")
    for name in ("relay", "transceiver"):
        context = pod(name)["securityContext"]
        assert (str(context["runAsUser"]), str(context["runAsGroup"])) == (user, group)
        assert container(name)["image"] == container("relay")["image"]
        module = container(name)["args"][0]
        assert (ROOT / module.replace(".", "/") / "__main__.py").is_file()


def test_what_the_image_copies_exists() -> None:
    """The project, its metadata and the programs; nothing of the tests."""
    copied = [rest.split()[:-1] for instruction, rest in steps() if instruction == "COPY"]
    names = [name for each in copied for name in each]
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert {"src", "examples", "pyproject.toml", "examples/deploy/constraints.txt"} <= set(names)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {project["readme"], *project["license-files"]} <= set(names)


def test_all_that_is_installed_is_pinned() -> None:
    """Each dependency of the library and of the programs, to a version that they accept."""
    pins = dict(
        line.split("==")
        for line in (DEPLOY / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["examples"]]:
        wanted = Requirement(text)
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier
