"""The chart: what it renders to, and how its pods come together when one of them loses its volumes."""

import json
import pathlib
import re
import shutil
import subprocess
import time
import unittest

import helm_python as helm
import yaml

ROOT = pathlib.Path(__file__).parent.parent.parent
CHART = str(ROOT / "deploy" / "helm" / "z4")
PATIENCE = 120
NO_BOOTSTRAP = {"peers": 5, "bootstrap": False}
EVERYTHING = {
    "image": {"repository": "registry.example/z4", "tag": "9"}, "sqlUsersSecret": "users", "env": {"Z4_LOG_RETAINED_BYTES": "1073741824"},
    "storage": {"db": {"size": "1Gi", "className": "slow"}, "peer": {"size": "1Gi", "className": "fast"}},
    "service": {"type": "LoadBalancer", "annotations": {"a": "b"}}, "podAnnotations": {"c": "d"}, "nodeSelector": {"disk": "nvme"},
    "tolerations": [{"key": "k", "operator": "Exists"}], "seccompProfile": {"type": "Unconfined"}, "resources": {},
}


def render(values):
    """What the chart makes of some values: {(kind, name): object}."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name="mq", namespace="prod")
    found = [thing for name, text in files.items() if not name.endswith(".txt") for thing in yaml.safe_load_all(text) if thing]
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in found}


def pod(things):
    return things["StatefulSet", "mq"]["spec"]["template"]["spec"]["containers"][0]


class Rendered(unittest.TestCase):
    def test_lint(self):
        self.assertEqual(helm.lint(CHART)["errors"], [])

    def test_every_form(self):
        for values in [{}, {"peers": 1}, NO_BOOTSTRAP, EVERYTHING]:
            kinds = sorted(kind for kind, _ in render(values))
            expected = ["ConfigMap", "Job", "PodDisruptionBudget", "Service", "Service", "StatefulSet"]
            self.assertEqual(kinds, expected if values.get("bootstrap", True) else expected[1:])

    def test_variables_are_options(self):
        options = (ROOT / "src" / "config" / "options.rs").read_text()
        for variable in (entry["name"] for entry in pod(render(EVERYTHING))["env"]):
            if variable.startswith("Z4_"):
                self.assertRegex(options, rf"(?m)^ +{variable.removeprefix('Z4_').lower()}: ")

    def test_the_first_pod_asks_all_others(self):
        things = render({"peers": 3})
        addresses = things["ConfigMap", "mq-peers"]["data"]["addresses"].split(" ")
        self.assertEqual(addresses, [f"mq-{n}=mq-{n}.mq-peers.prod.svc:6355" for n in range(3)])
        self.assertEqual(things["Service", "mq-peers"]["spec"]["publishNotReadyAddresses"], True)
        self.assertEqual(things["StatefulSet", "mq"]["spec"]["podManagementPolicy"], "Parallel")
        self.assertEqual(pod(things)["command"], ["start-peer"])
        self.assertNotIn("command", pod(render(NO_BOOTSTRAP)))

    def test_more_peers_replace_no_pod(self):
        self.assertEqual(pod(render({"peers": 3})), pod(render({"peers": 5})))

    def test_a_profile_without_a_file_names_none(self):
        self.assertEqual(pod(render(EVERYTHING))["securityContext"]["seccompProfile"], {"type": "Unconfined"})
        self.assertEqual(pod(render({}))["securityContext"]["seccompProfile"], {"type": "Localhost", "localhostProfile": "z4.json"})


def docker(*words, check=True):
    done = subprocess.run(["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def until(what, probe):
    give_up = time.monotonic() + PATIENCE
    while not (found := probe()):
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {PATIENCE} s in vain: {what}")
        time.sleep(0.5)
    return found


class Pods(unittest.TestCase):
    """The containers that the chart describes, in a network that knows their names. Whoever is called `mq` there stands for the service."""

    def setUp(self):
        if not shutil.which("docker") or docker("image", "inspect", "z4", check=False).startswith(("[]", "Cannot", "Error")):
            self.skipTest("Docker or its image z4 is missing: make compose_up makes it")
        self.things = render({"peers": 3, "shards": 1, "groups": 3})
        self.clean()
        self.addCleanup(self.clean)
        docker("network", "create", "z4-chart")

    def clean(self):
        for n in range(3):
            docker("rm", "--force", f"z4-chart-{n}", check=False)
            docker("volume", "rm", f"z4-chart-{n}-db", f"z4-chart-{n}-peer", check=False)
        docker("network", "rm", "z4-chart", check=False)

    def start(self, n, *more):
        variables = []
        for entry in pod(self.things)["env"]:
            value = {"POD_NAME": f"mq-{n}", "PEERS": self.things["ConfigMap", "mq-peers"]["data"]["addresses"]}.get(entry["name"])
            variables += ["--env", f"{entry['name']}={value or entry['value'].replace('$(POD_NAME)', f'mq-{n}')}"]
        docker("run", "--detach", "--name", f"z4-chart-{n}", "--network", "z4-chart", "--network-alias", f"mq-{n}.mq-peers.prod.svc", *more,
               *variables, "--read-only", "--cap-drop", "ALL", "--security-opt", f"seccomp={ROOT / 'deploy' / 'seccomp.json'}",
               "--ulimit", "memlock=8388608", "--volume", f"z4-chart-{n}-db:/data/db", "--volume", f"z4-chart-{n}-peer:/data/peer",
               "--entrypoint", pod(self.things)["command"][0], "z4")

    def until_says(self, n, words):
        return until(f"mq-{n} says {words}", lambda: words in docker("logs", f"z4-chart-{n}"))

    def info(self, n):
        told = until(f"mq-{n} answers", lambda: re.search(r"\{.*\}", docker("exec", f"z4-chart-{n}", "z4t", "--json", "info", check=False)))
        return json.loads(told.group())

    def add_peers(self):
        job = self.things["Job", "mq-add-peers-1"]["spec"]["template"]["spec"]["containers"][0]["command"]
        docker("run", "--rm", "--network", "z4-chart", "--entrypoint", job[0], "z4", *job[1:])

    def test_the_first_pod_begins_one_cluster_whatever_it_loses(self):
        self.start(0, "--network-alias", "mq")
        self.until_says(0, "WAITING: no answer from mq-1 mq-2")
        self.start(1)
        self.until_says(0, "WAITING: no answer from mq-2")
        self.start(2)
        self.until_says(0, "mq-0 starts one")
        self.add_peers()
        cluster = self.info(0)["cluster_id"]
        self.assertEqual([self.info(n)["cluster_id"] for n in (1, 2)], [cluster] * 2)

        # Its volumes are lost, and one of the others is away. The one that is there stands for the service.
        docker("rm", "--force", "z4-chart-0", "z4-chart-1", "z4-chart-2")
        docker("volume", "rm", "z4-chart-0-db", "z4-chart-0-peer")
        self.start(1, "--network-alias", "mq")
        self.start(0)
        self.until_says(0, "mq-1 belongs to a cluster: mq-0 starts none")
        self.assertEqual(self.info(0)["membership"], "not_yet")
        self.start(2)
        self.add_peers()
        self.assertEqual((self.info(0)["cluster_id"], self.info(0)["membership"]), (cluster, "member"))


if __name__ == "__main__":
    unittest.main()
