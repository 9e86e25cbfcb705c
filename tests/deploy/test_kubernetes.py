"""Manifests hold to the schemas of Kubernetes and KEDA, fit each other, and the autoscaler's query counts right."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import psycopg
import pytest
import yaml

from gapless import __version__
from gapless.core.job import Queue
from gapless.settings import load
from gapless.store.store import open_store
from gapless.testing.factories import claim, make_job, make_wish

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ["small", "large"]
FILES = sorted(one for one in FOLDER.rglob("*.yaml") if one.name != "kustomization.yaml")
#: Versions of Kubernetes: manifests are held against the new one, what the overlays make of them against the old one.
NEW, OLD = "1.37", "1.29"

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}


def strict(required: list[str], **properties: Any) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


#: The fields of KEDA 2 (group keda.sh, version v1alpha1) that we may use, written down after its custom resource
#: definitions and the parameters of its PostgreSQL scaler. A field that is not here has to be looked up first.
KEDA = {
    "ScaledObject": strict(
        ["scaleTargetRef", "triggers"],
        scaleTargetRef=strict(["name"], name=TEXT, kind=TEXT, apiVersion=TEXT, envSourceContainerName=TEXT),
        pollingInterval=COUNT,
        cooldownPeriod=COUNT,
        initialCooldownPeriod=COUNT,
        idleReplicaCount=COUNT,
        minReplicaCount=COUNT,
        maxReplicaCount=COUNT,
        fallback=strict(["failureThreshold", "replicas"], failureThreshold=COUNT, replicas=COUNT),
        advanced=strict(
            [],
            restoreToOriginalReplicaCount={"type": "boolean"},
            # `behavior` is Kubernetes' own and checked by its schema.
            horizontalPodAutoscalerConfig=strict([], name=TEXT, behavior={"type": "object"}),
        ),
        triggers={
            "type": "array",
            "minItems": 1,
            "items": strict(
                ["type", "metadata", "authenticationRef"],
                type={"const": "postgresql"},
                name=TEXT,
                metricType={"enum": ["AverageValue", "Value"]},
                useCachedMetrics={"type": "boolean"},
                authenticationRef=strict(["name"], name=TEXT, kind=TEXT),
                # All values are texts. Where to connect comes from the secret, so no host, user or database here.
                metadata=strict(
                    ["query", "targetQueryValue"], query=TEXT, targetQueryValue=TEXT, activationTargetQueryValue=TEXT
                ),
            ),
        },
    ),
    "TriggerAuthentication": strict(
        ["secretTargetRef"],
        secretTargetRef={
            "type": "array",
            "minItems": 1,
            "items": strict(["parameter", "name", "key"], parameter={"const": "connection"}, name=TEXT, key=TEXT),
        },
    ),
}


def documents(file: Path) -> list[dict[str, Any]]:
    """The objects of a file."""
    return [one for one in yaml.safe_load_all(file.read_text()) if one]


@cache
def _rendered(overlay: str) -> str:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not here: overlays are not rendered")
    done = subprocess.run([program, "kustomize", FOLDER / overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(overlay: str) -> list[dict[str, Any]]:
    """What `kubectl apply --kustomize` would send."""
    return list(yaml.safe_load_all(_rendered(overlay)))


def of(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind, by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod's spec, by the name of who makes it."""
    for one in objects:
        if one["kind"] in ("Deployment", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def validate(one: dict[str, Any], version: str) -> None:
    """Hold an object against the strict schema of its kind."""
    if one["apiVersion"] != "keda.sh/v1alpha1":
        kubernetes_validate.validate(one, version, strict=True)
        return
    jsonschema.validate(one["spec"], KEDA[one["kind"]])
    behavior = one["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior")
    if behavior is not None:
        # The autoscaler that KEDA makes of it.
        spec = {
            "behavior": behavior,
            "maxReplicas": one["spec"]["maxReplicaCount"],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", **one["spec"]["scaleTargetRef"]},
        }
        made = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": one["metadata"]}
        kubernetes_validate.validate(made | {"spec": spec}, version, strict=True)


# Schemas


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_every_manifest_holds_to_its_schema(file: Path):
    """Every field and type; nothing that the schema does not know."""
    assert documents(file)
    for one in documents(file):
        validate(one, NEW)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_the_overlays_render_holds_to_its_schema(overlay: str):
    """Patches, labels and counts are in place, and nothing is too new for an old cluster."""
    for one in rendered(overlay):
        validate(one, OLD)


@pytest.mark.parametrize(
    ("file", "path", "wrong"),
    [
        ("base/backfill.yaml", ["spec", "template", "spec", "terminationGracePeriod"], 45),
        ("base/backfill.yaml", ["spec", "template", "spec", "terminationGracePeriodSeconds"], "45 s"),
        ("components/keda/backfill.yaml", ["spec", "secretTargetRefs"], []),
        ("components/keda/backfill.yaml", ["spec", "secretTargetRef", 0, "parameter"], "url"),
    ],
)
def test_the_schemas_see_mistakes(file: str, path: list[Any], wrong: Any):
    """The tests above can fail."""
    one = deepcopy(documents(FOLDER / file)[0])
    place = one
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong

    with pytest.raises(jsonschema.ValidationError):
        validate(one, NEW)


def test_every_manifest_is_used():
    """A file that no overlay names is forgotten."""
    named = {
        (file.parent / name).resolve()
        for file in FOLDER.rglob("kustomization.yaml")
        for name in documents(file)[0].get("resources", [])
    }

    assert set(FILES) <= named


# Fit


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_labels_names_and_secrets_fit(overlay: str):
    """Selectors select, references lead somewhere, one secret serves all."""
    objects = rendered(overlay)
    deployments = of(objects, "Deployment")
    labels = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in deployments.items()}

    for name, one in deployments.items():
        assert one["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
    for name, one in of(objects, "PodDisruptionBudget").items():
        wanted = one["spec"]["selector"]["matchLabels"].items()
        assert [found for found in labels if wanted <= labels[found].items()] == [name]
    assert set(of(objects, "PodDisruptionBudget")) == set(deployments)
    assert {one["metadata"].get("namespace", "gapless") for one in objects} == {"gapless"}
    assert of(objects, "Secret") == {}

    for _, pod in pods(objects):
        [container] = pod["containers"]
        [variable] = container["env"]
        assert variable["valueFrom"]["secretKeyRef"] == {"name": "gapless-database", "key": "url"}
        assert {one["configMapRef"]["name"] for one in container["envFrom"]} <= set(of(objects, "ConfigMap"))
        assert container["image"] == f"gapless:{__version__}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_safe_and_have_time_to_drain(overlay: str):
    """Not root, nothing written but /tmp, a bound on memory, and longer than two requests may take."""
    objects = rendered(overlay)
    said = {key: value for one in of(objects, "ConfigMap").values() for key, value in one["data"].items()}
    timeout = load(said, ROOT / "nowhere").timeout.total_seconds()

    for name, pod in pods(objects):
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] == 10001, name
        assert not pod["automountServiceAccountToken"], name
        assert not pod["enableServiceLinks"], name
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert not container["securityContext"]["allowPrivilegeEscalation"], name
        assert "memory" in container["resources"]["limits"], name
    for name, one in of(objects, "Deployment").items():
        pod = one["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > 2 * timeout, name
        assert pod["containers"][0]["readinessProbe"]["exec"]["command"] == ["gapless", "workers", "--ready"], name


def test_every_queue_has_a_deployment():
    """Work of a queue that nobody serves would wait for ever."""
    deployments = of(rendered("small"), "Deployment")
    served = [one["spec"]["template"]["spec"]["containers"][0]["command"][3] for one in deployments.values()]

    assert sorted(served) == sorted({queue.value for queue in Queue})


# Autoscaling


def test_the_autoscaler_scales_what_is_there():
    """From nothing to its bound, a pod for as many segments as a pod has slots."""
    objects = rendered("large")
    [scaled] = of(objects, "ScaledObject").values()
    target = of(objects, "Deployment")[scaled["spec"]["scaleTargetRef"]["name"]]
    command = target["spec"]["template"]["spec"]["containers"][0]["command"]
    [trigger] = scaled["spec"]["triggers"]

    assert scaled["spec"]["minReplicaCount"] == 0 < scaled["spec"]["maxReplicaCount"]
    # A number of replicas here would undo the autoscaler's at every apply.
    assert "replicas" not in target["spec"]
    assert trigger["metadata"]["targetQueryValue"] == command[command.index("--slots") + 1]
    assert trigger["authenticationRef"]["name"] in of(objects, "TriggerAuthentication")


def test_the_query_counts_what_waits_and_what_runs(postgresql_url: str):
    """One whole number, always: KEDA takes no row for a fault, and a pod must not go while it works."""
    [scaled] = of(documents(FOLDER / "components" / "keda" / "backfill.yaml"), "ScaledObject").values()
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]

    with closing(open_store(postgresql_url)) as store, psycopg.connect(postgresql_url, autocommit=True) as connection:
        assert connection.execute(query).fetchall() == [(0,)]
        make_job(store, parts=[(0, 300), (300, 600), (600, 1000)])
        make_job(store, make_wish(owner="daily"), queue=Queue.DAILY, parts=[(0, 1000)])
        assert claim(store) is not None
        assert connection.execute(query).fetchall() == [(3,)]
