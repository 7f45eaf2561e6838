"""Dashboard and rules, held to a Tidegate that runs, by a Prometheus that scrapes it.

Every query of the dashboard and of the rules must be one that Prometheus can answer, ask for metrics that there are,
and, unless it is listed below with the reason, have an answer. Needs the program, named by TIDEGATE, and `prometheus`
on the path (`scripts/test` sees to both).
"""

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEPLOY = Path(__file__).parent
DASHBOARD = json.loads((DEPLOY / "grafana/tidegate.json").read_text())
RUNBOOKS = (DEPLOY.parent / "docs/runbooks.md").read_text()

# Metrics that have no value on a server that was just started, and why.
NATURALLY_EMPTY = {
    "tidegate_anomaly": "half an hour is learned from first",
    "tidegate_risk_drift": "two hours are needed to compare",
    "tidegate_descriptor_hits_total": "only gateways that speak gRPC ask by descriptors",
}
# What Grafana would put in place of its variables.
VARIABLES = {"$__rate_interval": "30s", "$job": "tidegate", "$instance": ".*"}
# Longest time until everything has an answer.
PATIENCE = 90


# Below those that the system gives to clients for their own end.
PORTS = itertools.count(os.getpid() * 97)


def free_port() -> int:
    while True:
        port = 10_000 + next(PORTS) % 22_000
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


class Api(BaseHTTPRequestHandler):
    """An API that answers with the status that the path ends with."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status = self.path.rpartition("/")[2]
        self.send_response(int(status) if status.isdigit() else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Scene:
    """An API, Tidegate in front of it, Prometheus beside it, and a few clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen] = []
        self.over = threading.Event()
        self.api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.proxy, self.admin, port = free_port(), free_port(), free_port()
        self.prometheus = f"http://127.0.0.1:{port}"
        shutil.copy(DEPLOY.parent / "crates/engine/model/default.tgmd", folder / "challenger.tgmd")
        (folder / "tidegate.yaml").write_text(
            f"listen: 127.0.0.1:{self.proxy}\n"
            f"upstream: http://127.0.0.1:{self.api.server_port}\n"
            f"admin: {{listen: '127.0.0.1:{self.admin}'}}\n"
            "capacity: 1000\n"
            "identity: {trusted_hops: [127.0.0.1]}\n"
            "challenger: challenger.tgmd\n"
            "rules:\n"
            "  - {name: busy, limit: 20/s}\n"
            "  - {name: tried, limit: 2/s, mode: shadow}\n"
        )
        (folder / "prometheus.yaml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{DEPLOY}/prometheus/recording.yaml, {DEPLOY}/prometheus/alerts.yaml]\n"
            "scrape_configs:\n"
            "  - job_name: tidegate\n"
            f"    static_configs: [{{targets: ['127.0.0.1:{self.admin}']}}]\n"
        )
        self.start("tidegate", [os.environ["TIDEGATE"], "serve", "--config", "tidegate.yaml"])
        self.start(
            "prometheus",
            [
                "prometheus",
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
        )
        self.ready(f"http://127.0.0.1:{self.admin}/readyz", "tidegate")
        self.ready(f"{self.prometheus}/-/ready", "prometheus")
        for client in range(3):
            threading.Thread(target=self.traffic, args=(client,), daemon=True).start()

    def start(self, name: str, command: list[str]) -> None:
        log = (self.folder / f"{name}.log").open("w")
        with log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self.running.append(process)

    def ready(self, url: str, name: str) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                get(url)
                return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > until or any(process.poll() is not None for process in self.running):
                    raise AssertionError(f"{name} does not start: {(self.folder / f'{name}.log').read_text()}")
                time.sleep(0.05)

    def traffic(self, client: int) -> None:
        """Good calls with a key, some errors, and now and then more than a rule lets pass."""
        at = 0
        while not self.over.is_set():
            at += 1
            # Whoever has a key makes no errors, so that a slow machine does not make it look odd.
            paths = ["/orders/7", "/orders/8"] + (["/missing/404", "/broken/503"] if client == 2 else [])
            path = paths[at % len(paths) if at % 20 < 4 else 0]
            request = urllib.request.Request(f"http://127.0.0.1:{self.proxy}{path}")
            # Who has a key calls from one machine; one key on forty of them is a shared one.
            machine = 0 if client < 2 else at % 40
            request.add_header("X-Forwarded-For", f"192.0.2.{client * 50 + machine}")
            if client < 2:
                request.add_header("Authorization", f"Bearer key-of-client-{client}")
            try:
                urllib.request.urlopen(request, timeout=10).close()
            except urllib.error.HTTPError as error:
                error.close()
            except OSError:
                # The end of the scene comes in the midst of a call.
                pass
            self.over.wait(0.02)

    def ask(self, query: str) -> list:
        """What a query has for an answer; one that Prometheus refuses fails."""
        url = f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            return json.loads(get(url))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def rules(self) -> list[dict]:
        groups = json.loads(get(f"{self.prometheus}/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def samples(self) -> set[str]:
        """The names of all samples that there are or could be."""
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
        text = get(f"http://127.0.0.1:{self.admin}/metrics")
        types = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
        return {name + ending for name, kind in types for ending in endings[kind]}

    def stop(self) -> None:
        self.over.set()
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=30)
        self.api.shutdown()
        self.api.server_close()


def panels() -> list[dict]:
    """All panels that are no rows, those of folded rows among them."""
    all_panels = [each for panel in DASHBOARD["panels"] for each in [panel, *panel.get("panels", [])]]
    return [panel for panel in all_panels if panel["type"] != "row"]


def substituted(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def queries() -> list[str]:
    own = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [substituted(query) for query in own]


def names(query: str) -> set[str]:
    """The metrics that a query asks for, without those that rules record."""
    return set(re.findall(r"(?<![:\w])(?:tidegate|process)_\w+(?![:\w])", query))


class Dashboard(unittest.TestCase):
    """What can be told of the dashboard by looking at it."""

    def test_it_has_what_grafana_asks_for(self) -> None:
        for key in ["uid", "title", "schemaVersion", "time", "templating", "panels"]:
            self.assertIn(key, DASHBOARD)
        self.assertGreaterEqual(DASHBOARD["schemaVersion"], 39)
        self.assertNotIn("id", DASHBOARD, "an id is that of one Grafana alone")
        for panel in panels():
            for key in ["id", "type", "title", "description", "gridPos", "datasource", "targets", "fieldConfig"]:
                self.assertTrue(panel.get(key), f"{panel.get('title')} has no {key}")
            self.assertEqual(panel["datasource"]["uid"], "${datasource}", panel["title"])
            for target in panel["targets"]:
                self.assertEqual(target["datasource"]["uid"], "${datasource}", panel["title"])
            letters = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(letters), len(set(letters)), panel["title"])

    def test_ids_are_unique_and_no_panel_covers_another(self) -> None:
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken: dict[tuple[int, int], str] = {}
        for panel in DASHBOARD["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    other = taken.setdefault((x, y), panel["title"])
                    self.assertEqual(other, panel["title"], f"{panel['title']} covers {other}")

    def test_every_variable_is_there(self) -> None:
        defined = {"$" + variable["name"] for variable in DASHBOARD["templating"]["list"]}
        self.assertEqual(defined, {"$datasource", "$job", "$instance"})
        for query in queries():
            self.assertNotIn("$", query)


class Running(unittest.TestCase):
    """What only a Prometheus that scrapes a Tidegate can tell."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.scene = Scene(Path(folder.name))
        cls.addClassCleanup(cls.scene.stop)

    def answered(self, all_queries: list[str]) -> None:
        """Waits until every query has an answer, but for those that have none by nature."""
        until = time.monotonic() + PATIENCE
        left = set(all_queries)
        while left:
            left = {query for query in left if not self.scene.ask(query)}
            left = {query for query in left if not names(query) & NATURALLY_EMPTY.keys()}
            if left and time.monotonic() > until:
                self.fail("no answer to:\n" + "\n".join(sorted(left)))
            time.sleep(0.2 if left else 0)

    def known(self, all_queries: list[str]) -> None:
        there = self.scene.samples()
        for query in all_queries:
            self.assertEqual(names(query) - there, set(), f"there are no such metrics: {query}")

    def test_every_query_of_the_dashboard_has_an_answer(self) -> None:
        self.known(queries())
        self.answered(queries())

    def test_the_variables_of_the_dashboard_find_the_server(self) -> None:
        self.answered(['tidegate_build_info{job="tidegate"}'])

    def test_what_is_listed_as_empty_is(self) -> None:
        for name, reason in NATURALLY_EMPTY.items():
            self.assertEqual(self.scene.ask(name), [], f"it is not empty any more although {reason}")

    def test_every_rule_is_evaluated_and_asks_for_what_there_is(self) -> None:
        until = time.monotonic() + PATIENCE
        while any(rule["health"] == "unknown" for rule in self.scene.rules()) and time.monotonic() < until:
            time.sleep(0.2)
        rules = self.scene.rules()
        self.assertTrue(rules)
        for rule in rules:
            self.assertEqual(rule["health"], "ok", f"{rule['name']}: {rule.get('lastError')}")
        self.known([rule["query"] for rule in rules])
        recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
        for rule in rules:
            used = re.findall(r"\w+:\w+:\w+", rule["query"])
            self.assertEqual(set(used) - set(recorded), set(), rule["name"])
        self.answered(recorded)

    def test_every_alert_says_how_bad_it_is_and_what_to_do(self) -> None:
        alerts = [rule for rule in self.scene.rules() if rule["type"] == "alerting"]
        headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)}
        self.assertEqual(headings, {alert["name"].lower() for alert in alerts}, "docs/runbooks.md")
        for alert in alerts:
            self.assertIn(alert["labels"]["severity"], ["critical", "warning", "info"], alert["name"])
            said = alert["annotations"]
            self.assertTrue(said["summary"] and said["description"], alert["name"])
            self.assertEqual(said["runbook_url"], f"docs/runbooks.md#{alert['name'].lower()}")

    def test_nothing_fires_while_all_is_well(self) -> None:
        firing = self.scene.ask('ALERTS{alertstate="firing", severity="critical"}')
        self.assertEqual(firing, [])


if __name__ == "__main__":
    unittest.main()
