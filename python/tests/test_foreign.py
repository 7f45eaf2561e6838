"""Traffic of another author: that it is the same each time, whole, labelled, and judged by the program."""

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foreign import __main__ as program  # noqa: E402
from foreign import dull  # noqa: E402
from foreign.attacks import ATTACKS, PROBES  # noqa: E402
from foreign.cases import KINDS, SITES, STRAY, assault, background, case, digest, written  # noqa: E402
from foreign.judge import Kind, Verdict, judge, summed, table  # noqa: E402
from foreign.telling import TELLINGS, Request, teller  # noqa: E402

SEED = 5
MINUTES = 20
GOOD = ("googlebot", "bingbot", "seo", "archiver", "audit", "preview", "health")
OPEN = ("/robots.txt", "/sitemap.xml", "/.well-known/security.txt")


class Traffic(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.harmless = {name: background(site, SEED, MINUTES) for name, site in SITES.items()}

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        site = SITES["tickets"]

        def made(seed: int) -> str:
            harmless = written(background(site, seed, 10), "all")
            return digest(case(site, "ticket-bots", harmless, written(assault(site, "ticket-bots", seed, 10), "all")))

        self.assertEqual(made(1), made(1))
        self.assertNotEqual(made(1), made(2))

    def test_every_site_names_kinds_and_attacks_that_there_are(self) -> None:
        for site in SITES.values():
            with self.subTest(site=site.name):
                self.assertLessEqual(set(site.cast), set(KINDS))
                self.assertLessEqual(set(site.attacks), set(ATTACKS))
                self.assertEqual(len(set(site.attacks)), len(site.attacks))
        self.assertEqual({attack for site in SITES.values() for attack in site.attacks}, set(ATTACKS))

    def strangers_stay_outside(self, name: str, requests: list[Request]) -> None:
        """Fails when the site lets somebody see what is private who has neither a session nor a key."""
        private = SITES[name].private
        for request in requests:
            if private and request.path.startswith(private) and not request.client.session and not request.client.key:
                self.assertIn(request.status, (SITES[name].refusal[0], 502, 503, 504), (name, request))

    def test_every_case_has_abuse_and_the_harmless_by_time(self) -> None:
        for name, site in SITES.items():
            requests = self.harmless[name]
            kinds = {request.client.kind for request in requests}
            self.assertEqual(kinds - {STRAY}, set(site.cast), name)
            self.assertEqual(requests, sorted(requests, key=lambda request: request.at))
            self.strangers_stay_outside(name, requests)
            for attack in site.attacks:
                with self.subTest(site=name, attack=attack):
                    found = assault(site, attack, SEED, MINUTES)
                    self.assertGreater(len(found), 20)
                    self.assertLess(len(found), 25_000)
                    self.assertTrue(all(r.client.abusive and r.client.kind == attack for r in found))
                    self.assertTrue(all("{" not in r.path.replace("{{7*7}}", "").replace("${jndi", "") for r in found))
                    self.assertFalse([r.path for r in found if r.path.endswith(OPEN)])
                    self.strangers_stay_outside(name, found)

    def test_nothing_is_left_to_be_filled_in(self) -> None:
        for name, requests in self.harmless.items():
            for request in requests:
                self.assertFalse("{" in request.path and request.client.kind != STRAY, (name, request.path))

    def test_what_is_private_is_known_and_asked_for(self) -> None:
        for name in ("bank", "saas", "keyed", "phones", "shop", "news", "forms", "tickets", "hotels"):
            asked = [r for r in self.harmless[name] if r.path.startswith(SITES[name].private)]
            self.assertTrue(any(r.status == 200 and (r.client.session or r.client.key) for r in asked), name)

    def test_good_programs_ask_for_what_is_public(self) -> None:
        for name, site in SITES.items():
            for request in self.harmless[name]:
                if request.client.kind in GOOD or (request.client.kind == "uptime" and not request.client.key):
                    self.assertFalse(site.hidden(request.path), (name, request))

    def test_people_are_let_in_by_logging_in(self) -> None:
        for kind in ("screen_reader", "synthetic"):
            entered: set[str] = set()
            for request in self.harmless["bank"]:
                client = request.client
                if client.kind == kind and request.method == "POST" and request.path.startswith("/login"):
                    entered.add(client.actor)
                # Who came before the log began may have logged in before.
                if client.kind == kind and client.session and client.actor not in entered:
                    first = next(r.at for r in self.harmless["bank"] if r.client.actor == client.actor)
                    self.assertLess(first, self.harmless["bank"][0].at + 120, request)

    def test_a_developer_is_refused_first(self) -> None:
        statuses = [r.status for r in self.harmless["phones"] if r.client.kind == "developer"]
        self.assertIn(401, statuses)
        self.assertIn(200, statuses)

    def test_what_everybody_may_ask_for_is_no_probe(self) -> None:
        self.assertFalse(set(OPEN) & set(PROBES))

    def test_labels_are_those_of_the_lines(self) -> None:
        site = SITES["forum"]
        harmless = written(self.harmless["forum"], "all")
        made = case(site, "scan-noisy", harmless, written(assault(site, "scan-noisy", SEED, MINUTES), "all"))
        lines = [json.loads(line) for line in made.log.splitlines()]
        times = [line["time"] for line in lines]
        self.assertEqual(times, sorted(times))
        rows = [row.split(",") for row in made.labels.decode().splitlines()]
        self.assertEqual(rows[0], ["line", "actor", "family", "abusive"])
        scanners = {lines[int(row[0]) - 1]["client_ip"] for row in rows[1:] if row[3] == "true"}
        self.assertEqual(len(scanners), 1)
        others = {lines[int(row[0]) - 1]["client_ip"] for row in rows[1:] if row[3] == "false"}
        self.assertFalse(scanners & others)
        self.assertEqual(len(rows) - 1, made.abusive + made.harmless)
        self.assertEqual(sum(row[3] == "true" for row in rows), made.abusive)

    def test_a_log_tells_no_more_than_it_should(self) -> None:
        request = next(r for r in self.harmless["keyed"] if r.client.key)
        keys = {telling: set(json.loads(teller(telling)(request))) for telling in TELLINGS}
        bare = {"time", "client_ip", "method", "path", "status"}
        self.assertEqual(keys["bare"], bare)
        self.assertEqual(keys["combined"], bare | {"bytes", "referer", "user_agent"})
        self.assertEqual(keys["all"] - keys["noreferer"], {"referer"})
        self.assertEqual(keys["all"] - keys["noagent"], {"user_agent"})
        self.assertEqual(keys["all"] - keys["combined"], {"duration_ms", "payload", "credential"})


class Dull(unittest.TestCase):
    def test_the_same_world_is_the_same_and_another_is_another(self) -> None:
        self.assertEqual(dull.written(dull.world(4)), dull.written(dull.world(4)))
        self.assertNotEqual(dull.world(4), dull.world(12))

    def test_every_world_is_by_time_and_within_its_length_and_its_labels_are_those_of_its_lines(self) -> None:
        for number, attack in enumerate(dull.ATTACKS):
            with self.subTest(world=number):
                lines = dull.world(number)
                self.assertTrue(lines)
                self.assertEqual(lines, sorted(lines, key=lambda line: line.at))
                self.assertTrue(all(0 <= line.at < dull.LENGTH for line in lines))
                self.assertEqual({line.attack for line in lines} - {""}, {attack.__name__} if attack else set())
                log, labels = (text.splitlines() for text in dull.written(lines))
                self.assertEqual(len(labels), len(log) + 1)
                self.assertEqual(
                    [label.endswith(",true") for label in labels[1:]], [bool(line.attack) for line in lines]
                )

    def test_the_program_judges_and_the_sums_are_printed(self) -> None:
        found = [dull.judged(number, os.environ["TIDEGATE"], None) for number in (1, 3)]
        self.assertIsNone(found[0]["denied"])
        self.assertGreater(found[1]["denied"], 50.0)
        text = dull.summary([found[0]] * 3 + [found[1]])
        self.assertIn("4 dull worlds", text)
        self.assertIn("scan denied:", text)


class Sums(unittest.TestCase):
    @staticmethod
    def verdict(site: str, attack: str, denied: int, harmed: int) -> Verdict:
        return Verdict(site, attack, 100, denied, None, 1, {"reader": Kind(10, harmed, 1000, 10 * harmed)})

    def test_sites_weigh_the_same_however_many_attacks_they_list(self) -> None:
        results = summed([
            self.verdict("bank", "exports", 90, 0), self.verdict("bank", "scan-slow", 60, 0),
            self.verdict("bank", "scan-noisy", 90, 0), self.verdict("shop", "scan-slow", 0, 4),
        ])
        all_ = results["overall"]
        self.assertEqual((all_["cases"], all_["sites"]), (4, 2))
        self.assertAlmostEqual(all_["mean_denied_pct"], 60)
        self.assertAlmostEqual(all_["mean_denied_pct_over_sites"], 40)
        self.assertAlmostEqual(all_["harmed_pct"], 20)
        self.assertAlmostEqual(all_["harmless_denied_pct"], 2)
        self.assertEqual((all_["harmless_clients"], all_["harmless_client_cases"]), (20, 40))
        self.assertEqual((all_["harmless_requests"], all_["harmless_requests_judged"]), (2000, 4000))
        self.assertIn("bank      exports", table(results))
        self.assertNotIn("bank      exports", table(results, brief=True))

    def test_nothing_cannot_be_summed_up(self) -> None:
        with self.assertRaisesRegex(ValueError, "no verdicts"):
            summed([])


class Judged(unittest.TestCase):
    def test_a_case_goes_through_the_program(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "results.json"
            asked = ["foreign", "--tidegate", os.environ["TIDEGATE"], "--only", "forms", "--attacks", "scan-noisy",
                     "--minutes", "12", "--jobs", "1", "--json", str(out), "--keep", folder]
            said = io.StringIO()
            with mock.patch.object(sys, "argv", asked), contextlib.redirect_stdout(said):
                program.main()
            results = json.loads(out.read_text())
            self.assertTrue((Path(folder) / "forms-scan-noisy" / "report.json").exists())
        self.assertEqual([row["attack"] for row in results["cases"]], ["scan-noisy"])
        self.assertGreater(results["cases"][0]["denied_pct"], 0)
        self.assertGreater(results["overall"]["harmless_requests"], 500)
        self.assertIn("1 cases on 1 sites", said.getvalue())
        self.assertTrue(results["program"]["version"].startswith("tidegate "))
        self.assertEqual(results["model"], {"name": "built in", "sha256": None})

    def test_the_model_is_named_with_its_sum(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "own.tgmd"
            model.write_bytes(b"a model")
            used = judge(os.environ["TIDEGATE"], str(model))
        self.assertEqual(used["model"], {"name": "own.tgmd", "sha256": hashlib.sha256(b"a model").hexdigest()})
        with self.assertRaises(FileNotFoundError):
            judge("/nowhere/tidegate", None)


if __name__ == "__main__":
    unittest.main()
