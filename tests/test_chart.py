"""The Helm chart: looked at as text everywhere; rendered where a renderer is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from s3shield.config import Config, loads

CHART: Final = Path(__file__).resolve().parents[1] / "pack" / "helm" / "s3shield"
Values = dict[str, Any]

SWITCHED: Final[Values] = {
    "image": {
        "repository": "registry.example.com/s3shield",
        "tag": "2",
        "digest": f"sha256:{'0' * 64}",
        "pullPolicy": "Always",
    },
    "imagePullSecrets": [{"name": "registry"}],
    "replicas": 3,
    "address": "[::]",
    "port": 8443,
    "adminPort": 9000,
    "readinessPath": "/live",
    "workers": "auto",
    "shutdownTimeout": "10m",
    "terminationGracePeriodSeconds": 620,
    "options": {"access_log_sample": "0.1", "stall_log": "5ms"},
    "config": "[location:/]\nserver = site\norigin = http://origin.example.com\n\n\n",
    "secret": "",
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}},
    "cache": {"size": "1.5Ti", "storageClass": "true"},
    "service": {"type": "LoadBalancer", "port": 443, "annotations": {"example.com/a": "1"}},
    "serviceMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}},
    "podSecurityContext": {"runAsUser": 1000650000, "runAsGroup": None, "fsGroup": None},
    "resources": {"limits": {"memory": "512Mi"}, "requests": None},
    "nodeSelector": {"disk": "nvme"},
    "tolerations": [{"key": "cache", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
}
"""Every value, another than that of values.yaml."""

REFUSED: Final[dict[str, tuple[Values, str]]] = {
    "a name that is not there": ({"replica": 2}, "replica"),
    "a port too high": ({"port": 99999}, "/port"),
    "one port for both": ({"port": 9000, "adminPort": 9000}, "must be two"),
    "the admin listener's": ({"port": 9180}, "another port"),
    "a number in words": ({"replicas": "two"}, "/replicas"),
    "no configuration": ({"config": None}, "config"),
    "an option that the chart writes": ({"options": {"workers": "3"}}, "workers"),
    "an option of two lines": ({"options": {"stall_log": "on\n[a]"}}, "stall_log"),
    "a probe of another path": ({"readinessPath": "/purge"}, "readinessPath"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "digest"),
}
"""What is refused, and what the message names."""

# By itself: the renderer is a library in Go, with threads and signals of its own.
RENDER: Final = """
import json, sys
import helm_python
given = json.load(sys.stdin)
out = {"lint": helm_python.lint(given["chart"])["messages"], "rendered": {}}
with helm_python.Chart.load(given["chart"]) as chart:
    for name, values in given["cases"].items():
        try:
            files = chart.render(values, name="media", namespace="web")
            out["rendered"][name] = [chr(10).join(["", "---", ""]).join(files.values()), ""]
        except helm_python.HelmError as error:
            out["rendered"][name] = ["", str(error)]
json.dump(out, sys.stdout)
"""


def yaml() -> Any:
    """Return the module PyYAML. Raises SkipTest."""
    try:
        return importlib.import_module("yaml")
    except ImportError:
        raise SkipTest("PyYAML is not installed") from None


def ran(*words: str, given: str) -> tuple[str, str]:
    """Run a program on `given`; return what it printed and, where it failed, what it said."""
    done = subprocess.run(
        words, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout, done.stderr if done.returncode else ""


@functools.cache
def rendered() -> dict[str, tuple[str, str]]:
    """Return the manifests of each case, and the error of those that have one. Raises SkipTest."""
    cases: dict[str, Values] = {"default": {}, "switched": SWITCHED}
    cases |= {name: values for name, (values, _) in REFUSED.items()}
    if importlib.util.find_spec("helm_python") is not None:
        given = json.dumps({"chart": str(CHART), "cases": cases})
        text, error = ran(sys.executable, "-c", RENDER, given=given)
        if error:
            raise AssertionError(error)
        out = json.loads(text)
        # 1 is a hint: there is no icon.
        loud = [message for message in out["lint"] if message["severity"] > 1]
        return {"lint": ("", repr(loud) if loud else "")} | {
            name: (text, error) for name, (text, error) in out["rendered"].items()
        }
    if shutil.which("helm") is None:
        raise SkipTest("no helm: neither on PATH nor helm-python-sdk")
    words = ("helm", "template", "media", str(CHART), "--namespace", "web", "--values", "-")
    found = {name: ran(*words, given=json.dumps(values)) for name, values in cases.items()}
    return found | {"lint": ("", ran("helm", "lint", "--strict", str(CHART), given="")[1])}


def manifests(case: str) -> dict[str, Any]:
    """Return what the case renders, by kind and name. Raises SkipTest."""
    text, error = rendered()[case]
    if error:
        raise AssertionError(error)
    documents = [each for each in yaml().safe_load_all(text) if each]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in documents}


def read(text: str) -> Config:
    """Return the configuration that `text` is, as `s3shield check` reads it in a pod."""
    return loads(text, environ={}, read_file=lambda _path: "x", mode_of=lambda _path: 0o440)


def leaves(values: Values, schema: Values) -> list[str]:
    """Return the paths of the values that are not sections of the chart's own."""
    found = []
    for name, value in values.items():
        inner = schema["properties"][name]
        if "properties" in inner:
            found += [f"{name}.{path}" for path in leaves(value, inner)]
        else:
            found.append(name)
    return found


def at(values: Values, path: str) -> object:
    """Return `.Values.path`. Raises KeyError for one that is not there."""
    found: Any = values
    for name in path.split("."):
        found = found[name]
    return found


class TextTests(SynchronousTestCase):
    """The chart, as far as it can be looked at without helm."""

    def setUp(self) -> None:
        """Read the values and their schema."""
        self.values = yaml().safe_load((CHART / "values.yaml").read_text())
        self.schema = json.loads((CHART / "values.schema.json").read_text())

    def test_values(self) -> None:
        """Each value that a template names is in values.yaml and the reverse; every block ends."""
        named = set()
        for path in sorted((CHART / "templates").iterdir()):
            text = path.read_text()
            named |= set(re.findall(r"\.Values\.([\w.]+)", text))
            opened = len(re.findall(r"\{\{-? *(?:if|define|with|range) ", text))
            self.assertEqual(opened, len(re.findall(r"\{\{-? *end *-?\}\}", text)), path.name)
            self.assertEqual(text.count("{{"), text.count("}}"), path.name)
        self.assertEqual(named, set(leaves(self.values, self.schema)))

    def test_schema(self) -> None:
        """The schema knows each value and no more; each is switched in the test that renders."""
        known = set(self.schema["properties"]) - {"global"}
        self.assertEqual(known, set(self.values))
        for path in leaves(self.values, self.schema):
            self.assertNotEqual(at(self.values, path), at(SWITCHED, path), path)

    def test_configuration(self) -> None:
        """What the daemon gets is a configuration without a mistake; purges are not passed on."""
        text = (CHART / "templates" / "configmap.yaml").read_text()
        text = textwrap.dedent(text.partition("s3shield.ini: |\n")[2])
        text = re.sub(r"(?s)\{\{- range .*?\{\{- end \}\}\n", "", text)
        text = text.replace("{{- .Values.config | trim | nindent 4 }}", self.values["config"])
        text = re.sub(
            r"\{\{ \.Values\.([\w.]+) \}\}", lambda match: str(at(self.values, match[1])), text
        )
        self.assertNotIn("{{", text)
        self.assertEqual(read(text).warnings, ())
        passed = [part for part in text.split("[")[1:] if "origin = http://127.0.0.1:9180" in part]
        self.assertEqual(
            [part.partition("]")[0] for part in passed],
            ["location:= /live", "location:= /ready", "location:= /metrics"],
        )


class RenderTests(SynchronousTestCase):
    """The chart as helm renders it, by default and with every value switched."""

    def container(self, case: str) -> tuple[Any, Any]:
        """Return the pods' spec and that of their container."""
        spec = manifests(case)["StatefulSet media"]["spec"]["template"]["spec"]
        return spec, spec["containers"][0]

    def test_lint(self) -> None:
        """Helm has nothing to complain about."""
        self.assertEqual(rendered()["lint"][1], "")

    def test_refused(self) -> None:
        """A value that would give pods that do not start is refused, and named."""
        for name, (_, word) in REFUSED.items():
            self.assertIn(word, rendered()[name][1], name)

    def test_what_there_is(self) -> None:
        """The objects by default; the ServiceMonitor and the secret as they are asked for."""
        usual = {
            "ConfigMap media",
            "Service media",
            "Service media-pods",
            "ServiceAccount media",
            "StatefulSet media",
        }
        self.assertEqual(set(manifests("default")), usual)
        self.assertEqual(set(manifests("switched")), usual | {"ServiceMonitor media"})
        volumes = [
            {volume["name"] for volume in self.container(case)[0]["volumes"]}
            for case in ("default", "switched")
        ]
        self.assertEqual(volumes, [{"config", "secret"}, {"config"}])

    def test_schemas(self) -> None:
        """Kubernetes, old and new, takes each object, and knows each of its fields."""
        rendered()
        try:
            kubernetes = importlib.import_module("kubernetes_validate")
        except ImportError:
            raise SkipTest("kubernetes-validate is not installed") from None
        for case in ("default", "switched"):
            for name, document in manifests(case).items():
                if document["kind"] != "ServiceMonitor":
                    for version in ("1.27", kubernetes.latest_version()):
                        with self.subTest(case=case, name=name, version=version):
                            kubernetes.validate(document, version, strict=True)

    def test_configuration(self) -> None:
        """The daemon gets a configuration without a mistake, on the ports that the pod names."""
        for case, address in (("default", "0.0.0.0:8080"), ("switched", "[::]:8443")):
            text = manifests(case)["ConfigMap media"]["data"]["s3shield.ini"]
            self.assertEqual(read(text).warnings, ())
            self.assertIn(f"\nlisten = {address}\n", text)
        self.assertIn("\naccess_log_sample = 0.1\nstall_log = 5ms\n[server:site]\n", text)

    def test_probes(self) -> None:
        """Restarts hang on /live alone; who is sent requests on /ready, or what was asked for."""
        for case, ready in (("default", "/ready"), ("switched", "/live")):
            pod, container = self.container(case)
            paths = [
                container[f"{name}Probe"]["httpGet"]["path"]
                for name in ("startup", "liveness", "readiness")
            ]
            self.assertEqual(paths, ["/live", "/live", ready])
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            text = manifests(case)["ConfigMap media"]["data"]["s3shield.ini"]
            for name in ("startup", "liveness", "readiness"):
                probed = ports[container[f"{name}Probe"]["httpGet"]["port"]]
                self.assertIn(f":{probed}\n[location:= /live]", text)
            # The daemon's time to end, with the wait before it, fits the pod's.
            wait = read(text).daemon.shutdown_timeout + float(
                container["lifecycle"]["preStop"]["exec"]["command"][1]
            )
            self.assertLess(wait, pod["terminationGracePeriodSeconds"])

    def test_what_fits(self) -> None:
        """Selectors find the pods, ports and mounts are there, the volume is the cache's."""
        for case in ("default", "switched"):
            found = manifests(case)
            whole = found["StatefulSet media"]["spec"]
            labels = whole["template"]["metadata"]["labels"].items()
            _, container = self.container(case)
            ports = {port["name"] for port in container["ports"]}
            self.assertLessEqual(whole["selector"]["matchLabels"].items(), labels)
            self.assertIn(f"Service {whole['serviceName']}", found)
            for name in ("Service media", "Service media-pods"):
                service = found[name]["spec"]
                self.assertLessEqual(service["selector"].items(), labels)
                self.assertIn(service["ports"][0]["targetPort"], ports)
            claims = {claim["metadata"]["name"] for claim in whole["volumeClaimTemplates"]}
            volumes = {volume["name"] for volume in whole["template"]["spec"]["volumes"]} | claims
            self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            self.assertEqual(mounts[claims.pop()], "/var/cache/s3shield")
        monitor = found["ServiceMonitor media"]["spec"]
        pods, site = found["Service media-pods"], found["Service media"]
        chosen = monitor["selector"]["matchLabels"].items()
        self.assertLessEqual(chosen, pods["metadata"]["labels"].items())
        self.assertFalse(chosen <= site["metadata"]["labels"].items())
        self.assertEqual(monitor["endpoints"][0]["port"], pods["spec"]["ports"][0]["name"])
        self.assertEqual(
            found["ServiceMonitor media"]["metadata"]["labels"]["release"], "prometheus"
        )

    def test_switched(self) -> None:
        """What was switched is what is rendered: numbers stay numbers, words stay words."""
        pod, container = self.container("switched")
        self.assertEqual(pod["securityContext"]["runAsUser"], 1000650000)
        self.assertNotIn("fsGroup", pod["securityContext"])
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertEqual(container["image"], f"registry.example.com/s3shield@sha256:{'0' * 64}")
        self.assertEqual(container["resources"], {"limits": {"memory": "512Mi"}})
        claim = manifests("switched")["StatefulSet media"]["spec"]["volumeClaimTemplates"][0]
        self.assertEqual(claim["spec"]["storageClassName"], "true")
        self.assertEqual(claim["spec"]["resources"]["requests"]["storage"], "1.5Ti")
        self.assertEqual(manifests("switched")["Service media"]["spec"]["ports"][0]["port"], 443)

    def test_rolls(self) -> None:
        """Another configuration is another pod: it rolls."""
        notes = [
            manifests(case)["StatefulSet media"]["spec"]["template"]["metadata"]["annotations"]
            for case in ("default", "switched")
        ]
        self.assertNotEqual(notes[0]["s3shield/config"], notes[1]["s3shield/config"])
