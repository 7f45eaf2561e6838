"""Tests of the traffic of two strangers, in python/: `python3 -m unittest tests.test_strangers`."""

from __future__ import annotations

import json
import sys
import unittest
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from strangers.cases import WORLDS, logs  # noqa: E402
from strangers.entries import Line, files, merged, written  # noqa: E402
from strangers.judge import Kind, Verdict, kinds_of  # noqa: E402
from strangers.tables import summed, table  # noqa: E402

HARMLESS = {
    "news": (
        "ad-verification app-polling applebot archive-bot bingbot flash-crowd googlebot "
        "link-checker link-preview live-ticker-5s login-mistakes many-tabs moderator nat-carrier "
        "nat-office nat-school old-link-404 prefetch-hover rss-fulltext-5min rss-reader "
        "screen-reader seo-audit-hired upload-200-photos uptime-monitor visitor visitor-mobile"
    ),
    "shop": (
        "applebot archive-bot backup-script bingbot bulk-buyer erp-sync giftcard-holder-30 "
        "googlebot jetpack-xmlrpc link-checker link-preview login-mistakes many-tabs merchant-bot "
        "nat-carrier nat-office newsletter-crowd old-link-404 pos-tablet price-partner-check "
        "price-partner-feed seo-audit-hired upload-200-photos uptime-monitor visitor visitor-mobile "
        "wp-admin-owner wp-cron-self"
    ),
    "uni": (
        "app-polling applebot archive-bot bingbot exam-results-rush googlebot googlescholar "
        "librarian-inventory link-checker link-preview login-mistakes nat-campus-wlan "
        "nat-library-course oai-harvester old-link-404 opac-kiosk rss-reader seo-audit-hired "
        "sru-partner uptime-monitor video-lecture visitor visitor-mobile webteam-linkcheck "
        "wget-researcher zotero-import"
    ),
    "city": (
        "applebot archive-bot autocomplete-form bingbot confirm-link export-script googlebot "
        "law-firm-books-20 link-checker link-preview lobby-display mail-gateway-scanner "
        "mail-link-scanner map-power-user map-tiles nat-shelter nat-townhall old-link-404 "
        "opendata-hobbyist queue-poll-5s seo-audit-hired slot-refresher slow-a11y upload-200-photos "
        "uptime-monitor visitor visitor-mobile"
    ),
    "oss": (
        "app-update-check app-update-nat applebot apt-client apt-company-proxy archive-bot bingbot "
        "bug-export-login bug-triager ci-egress ci-matrix-burst dev-git-browsing flash-crowd "
        "googlebot link-checker link-preview maven-404 mirror-rsync-http nat-office old-link-404 "
        "release-watchers rss-reader seo-audit-hired uptime-monitor visitor visitor-mobile "
        "webhook-forge wget-mirror-docs"
    ),
    "pod": (
        "app-user applebot archive-bot bingbot downloads-back-catalogue exporter-login "
        "giftcode-typos googlebot hls-live link-checker link-preview login-mistakes nat-carrier-app "
        "nat-school nat-smart-speakers old-link-404 podcatcher-phone podcatcher-server "
        "range-64k-player seo-audit-hired stale-token-401-loop upload-200-photos uptime-monitor "
        "visitor"
    ),
    "hotel": (
        "applebot archive-bot bingbot cdn-edge-shared channel-manager chat-widget-poll "
        "date-comparer frontdesk-poll googlebot guest-invoices-40 kiosk-tv-heartbeat lb-healthcheck "
        "link-checker link-preview login-mistakes metasearch-prices nat-conference-link "
        "nat-housekeeping nat-travel-agency old-link-404 prometheus-blackbox seo-audit-hired "
        "socketio-polling uptime-monitor visitor visitor-mobile"
    ),
    "pay": (
        "acquirer-hook billing-cron ci-testsuite dashboard-user developer expired-key export-cursor "
        "flash-sale health invoice-by-seq merchant new-importer reconcile-by-id rolled-key-job "
        "shopper status-poller"
    ),
    "game": (
        "esports-poller expired-token-app frenzy-player game-server health outdated-app player "
        "push-storm qa-farm support-agent"
    ),
    "iot": (
        "app-user cloud-integration developer device factory-provisioning firmware-update "
        "first-importer gateway grafana health revoked-device"
    ),
    "saas": (
        "admin-bulk-delete attachment-backup classroom-signup contacts-import developer e2e-ci "
        "export-cursor forgotten-tab googlebot health home-user long-poll office sign-up "
        "wallboard-2s zapier-poll"
    ),
    "idp": (
        "app-refresh ci-login-suite client-credentials cron-token developer health "
        "introspect-gateway invalid-grant-loop jwks-each-request jwks-fetcher office-9am "
        "push-refresh school scim-sync token-no-cache tv-device-code user-login"
    ),
    "logi": (
        "address-cleaner batch-on-the-hour call-centre carrier-status-feed ci-testsuite developer "
        "expired-key first-importer health manifest-export rate-comparer recipient shipper "
        "track-poller-10s track-poller-seq warehouse-handheld"
    ),
    "gql": (
        "app-shopper catalog-importer ci-codegen-e2e developer expired-token-app health "
        "office-lunch partner-feed push-storm search-as-you-type ssr-server subscription-poll "
        "web-shopper"
    ),
    "reg": (
        "ci-burst-nat ci-nightly-on-the-hour corp-proxy-private-404 dev-laptop expired-token-ci "
        "geocode-autocomplete hackathon-nat home-automation mirror mirror-full-sync ml-batch-embed "
        "ml-batch-eval ml-chat-app ml-job-poller office-devs publisher scientist-batch update-bot "
        "weather-app web-search"
    ),
}
"""The harmless kinds of each site."""

ATTACKS = {
    "news": (
        "comment-spam declared-bot-theft flood-400-slow reset-bombing scanner-slow scrape-200-ips "
        "scrape-headless scrape-id-order stuffing-distributed"
    ),
    "shop": (
        "bruteforce-one-account carding coupon-guessing giftcard-guessing hoarding scrape-200-ips "
        "scrape-headless scrape-id-order stuffing-distributed stuffing-page-200 xmlrpc-bruteforce "
        "xmlrpc-pingback-flood"
    ),
    "uni": (
        "bruteforce-one-account bruteforce-slow flood-1-source id-enumeration-200 reset-bombing "
        "scanner-noisy scrape-1500-proxies scrape-id-order search-scraping"
    ),
    "city": (
        "code-enumeration flood-400-slow flood-5-sources form-spam hoarding scanner-slow "
        "slot-sniping stuffing-fast tile-scraping"
    ),
    "oss": (
        "comment-spam declared-bot-theft fake-signups flood-1-source scanner-noisy "
        "scrape-1500-proxies scrape-id-order search-scraping stuffing-fast"
    ),
    "pod": (
        "bruteforce-slow carding fake-plays fake-signups giftcard-guessing id-enumeration "
        "media-ripping stuffing-distributed stuffing-fast"
    ),
    "hotel": (
        "booking-ref-enumeration carding-distributed fake-reviews graphql-enumeration "
        "otp-sms-pumping rate-scrape-40ips room-holding stuffing-1try-per-ip stuffing-distributed"
    ),
    "pay": (
        "api-scanner card-testing-1ip card-testing-300ip enum-random-1acct flood-1key key-guess-1ip "
        "key-guess-60ip leaked-key-40ip slow-flood-400ip webhook-replay"
    ),
    "game": (
        "action-spam-1acct action-spam-60acct coupon-guess-1acct coupon-guess-40acct "
        "fake-accounts-20ip fake-accounts-300ip flood-5ip player-enum-50ip slow-flood-500ip "
        "stuffing-1200ip"
    ),
    "iot": (
        "api-scanner-slow claim-code-1ip claim-code-40ip device-enum-50ip device-enum-seq "
        "firmware-flood-5ip hijacked-fleet-300 key-guess-1ip telemetry-spoof-1key"
    ),
    "saas": (
        "api-scanner fake-signup-40ip idor-all-200 idor-seq-1acct idor-seq-slow otp-guess-1ip "
        "otp-guess-50ip reset-mail-flood-30ip slow-search-flood-300ip sms-pump-1ip sms-pump-60ip "
        "spray-25ip-slow stuffing-1500ip stuffing-1ip"
    ),
    "idp": (
        "client-secret-guess-1ip flood-authorize-5ip mfa-guess-30ip stolen-client-30ip-introspect "
        "stuffing-login-400ip-browser stuffing-token-1500ip stuffing-token-1ip token-flood-1client "
        "user-enum-lookup"
    ),
    "logi": (
        "api-scanner event-replay expensive-quote-flood-200ip leaked-key-25ip-shipments "
        "rate-scrape-1key rate-scrape-30keys-slow track-enum-by-key track-enum-random-50ip "
        "track-enum-seq-public track-enum-seq-slow"
    ),
    "gql": (
        "flood-5ip heavy-query-1ip heavy-query-20ip login-alias-batch-1ip price-scrape-get-1ip "
        "price-scrape-get-60ip price-scrape-get-slow price-scrape-post-1ip slow-flood-400ip "
        "stuffing-gql-200-1ip"
    ),
    "reg": (
        "download-inflation-80ip geo-flood-5ip-history geo-grid-scrape-100ip geo-grid-scrape-fast "
        "ml-leaked-key-40ip ml-trial-account-farm name-enum-1ip spam-publish-20acct token-guess-1ip"
    ),
}
"""The attacks of each site."""

SMALL = ("oss", "idp")
"""A web site and an API system with few requests."""


@lru_cache(maxsize=None)
def clients(site: str) -> frozenset[tuple[str, str, bool]]:
    """The actor and the kind of everybody harmless on a site, and whether it is abusive."""
    return frozenset((entry.actor, entry.kind, entry.abusive) for entry in WORLDS[site](1).harmless())


def some_lines(site: str, seed: int, attack: str) -> list[Line]:
    """The lines of an attack and of every tenth harmless request."""
    world = WORLDS[site](seed)
    return written(world.harmless()[::10] + world.attacked([attack]), world.start)


class Determinism(unittest.TestCase):
    """The same seed tells the same, and another something else."""

    def test_seeds(self) -> None:
        for site, attack in zip(SMALL, ("fake-signups", "mfa-guess-30ip")):
            with self.subTest(site):
                first = some_lines(site, 1, attack)
                self.assertEqual(first, some_lines(site, 1, attack))
                self.assertNotEqual(first, some_lines(site, 2, attack))

    def test_an_attack_is_the_same_whatever_else_is_played(self) -> None:
        world = WORLDS["oss"](1)
        for log in world.logs():
            together = world.attacked(log)
            for name in log:
                alone = WORLDS["oss"](1).attacked([name])
                self.assertEqual(alone, [entry for entry in together if entry.kind == name])


class Logs(unittest.TestCase):
    """What is in a log and how it is written."""

    def test_lines_are_sorted_and_labelled(self) -> None:
        for site, attack in zip(SMALL, ("fake-signups", "mfa-guess-30ip")):
            attacked = some_lines(site, 1, attack)
            with self.subTest(site):
                log, labels = files(attacked)
                told = [json.loads(text) for text in log.splitlines()]
                truth = [text.split(",") for text in labels.decode().splitlines()]
                self.assertEqual(["line", "actor", "family", "abusive"], truth.pop(0))
                times = [request["time"] for request in told]
                self.assertEqual(sorted(times), times)
                self.assertEqual([str(number + 1) for number in range(len(told))], [row[0] for row in truth])
                self.assertTrue(all(len(row) == 4 for row in truth))
                self.assertEqual({attack}, {row[2] for row in truth if row[3] == "true"})
                self.assertNotIn(attack, {row[2] for row in truth if row[3] == "false"})

    def test_wanted_attacks_come_with_the_harmless(self) -> None:
        (none, quiet), (names, attacked) = logs("oss", 1, "lean", ("fake-signups", "scanner-slow"))
        self.assertEqual(([], ["fake-signups"]), (none, names))
        self.assertLessEqual(set(quiet), set(attacked))
        self.assertEqual(len(WORLDS["oss"](1).attacked(names)), len(attacked) - len(quiet))

    def test_every_harmless_kind_occurs(self) -> None:
        self.assertEqual(set(HARMLESS), set(WORLDS))
        for site, kinds in HARMLESS.items():
            with self.subTest(site):
                self.assertEqual(set(kinds.split()), {kind for _, kind, _ in clients(site)})
                self.assertFalse(any(abusive for _, _, abusive in clients(site)))

    def test_every_attack_occurs(self) -> None:
        for site, attacks in ATTACKS.items():
            world = WORLDS[site](1)
            self.assertEqual(set(attacks.split()), {name for log in world.logs() for name in log})
            for log in world.logs():
                with self.subTest(site, log=log):
                    entries = world.attacked(log)
                    self.assertEqual(set(log), {entry.kind for entry in entries if entry.abusive})

    def test_attacks_of_a_log_do_not_overlap_on_web_sites(self) -> None:
        world = WORLDS["news"](1)
        for log in world.logs():
            spans = []
            for name in log:
                times = [entry.at for entry in world.attacked([name])]
                spans.append((min(times), max(times)))
            for before, after in zip(spans, spans[1:]):
                self.assertLess(before[1], after[0])

    def test_actors_keep_to_one_kind(self) -> None:
        for site in HARMLESS:
            actors = [actor for actor, _, _ in clients(site)]
            self.assertEqual(len(set(actors)), len(actors))

    def test_merging_keeps_all(self) -> None:
        world = WORLDS["idp"](1)
        entries = world.attacked(["user-enum-lookup"])
        parts = written(entries[:500], world.start), written(entries[500:], world.start)
        self.assertEqual(written(entries, world.start), merged(*parts))


class Telling(unittest.TestCase):
    """What a lean log leaves out."""

    def fields(self, site: str, telling: str) -> set[str]:
        """All fields that a log has."""
        world = WORLDS[site](1)
        hidden = world.hidden if telling == "lean" else frozenset()
        some = written(world.harmless()[::7], world.start, hidden)
        return {name for line in some for name in json.loads(line.text)}

    def test_web(self) -> None:
        gone = {"bytes", "duration_ms", "user_agent", "header_names"}
        kept = {"time", "client_ip", "method", "path", "status", "referer", "user"}
        self.assertEqual(kept | gone, self.fields("oss", "full"))
        self.assertEqual(kept, self.fields("oss", "lean"))

    def test_api(self) -> None:
        gone = {"credential", "user", "user_agent", "duration_ms", "header_names", "referer"}
        kept = {"time", "client_ip", "method", "path", "status", "bytes"}
        self.assertEqual(kept | gone, self.fields("saas", "full") | self.fields("pay", "full"))
        self.assertEqual(kept, self.fields("saas", "lean"))


class Tables(unittest.TestCase):
    """How verdicts are read and summed up."""

    def test_sums(self) -> None:
        families = [
            dict(family="visitor", abusive=False, actors=50, harmed=5, requests=1000, denied=20),
            dict(family="flood", abusive=True, actors=2, harmed=2, requests=400, denied=300),
        ]
        attacked = Verdict("news", ["flood"], kinds_of({"labels": {"families": families}}))
        quiet = Verdict("news", [], [Kind("visitor", False, 50, 1, 1000, 10)])
        results = summed([quiet, attacked])
        self.assertEqual(75.0, results["overall"]["abuse_denied_pct"])
        self.assertEqual(1.0, results["overall"]["harmless_denied_pct"])
        (site,) = results["sites"]
        self.assertEqual((2.0, 10.0), (site["attacked"]["denied_pct"], site["attacked"]["harmed_pct"]))
        self.assertIn("visitor", table(results))
        self.assertNotIn("visitor", table(results, brief=True))
        self.assertIn("abuse denied 75.00 %", table(results).splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
