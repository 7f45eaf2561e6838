"""The operator's console in a real browser: what an attack looks like, and what is done about it.

TIDEGATE names the program and `chromium` must be installed (`scripts/test` sees to both). With
SCREENSHOTS=folder each page is saved there as a picture.
"""

import os
import shutil
import unittest

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright
from running import SCANNER, TOKEN, VIEWER, Running

PATIENCE = 120_000
PAGES = ["now", "clients", "incidents", "routes", "model", "policy", "actions"]


class Console(Running):
    @classmethod
    def setUpClass(cls) -> None:
        browser = shutil.which("chromium")
        if browser is None:
            raise RuntimeError("chromium is not installed; run scripts/test, or apt-get install chromium")
        super().setUpClass()
        play = cls.enterClassContext(sync_playwright())
        # Who tests as root has no sandbox to give.
        cls.browser = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        self.told: list[str] = []

    def open(self, token: str | None, scheme: str = "light") -> Page:
        context = self.browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
        self.addCleanup(context.close)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: self.told.append(str(error)))
        page.on("requestfailed", lambda request: self.told.append(request.url))
        page.on(
            "console",
            lambda said: said.type == "error" and "401" not in said.text and self.told.append(said.text),
        )
        page.goto(f"http://127.0.0.1:{self.port}/")
        if token is not None:
            page.get_by_label("Token", exact=True).fill(token)
            page.get_by_role("button", name="Open").click()
        page.get_by_role("heading", level=1, name="Now").wait_for()
        return page

    def show(self, page: Page, name: str, heading: str | None = None) -> None:
        page.evaluate(f"location.hash = '#/{name}'")
        page.get_by_role("heading", level=1, name=heading or name.capitalize()).wait_for()

    def picture(self, page: Page, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/{name}.png", timeout=PATIENCE)

    def test_an_attack_is_found_understood_and_answered(self) -> None:
        page = self.open(TOKEN)
        page.get_by_text("live", exact=True).wait_for()
        self.picture(page, "now")
        # By the keyboard alone: to the list, to the worst, to its page.
        page.get_by_role("link", name="Clients").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name="Clients").wait_for()
        page.get_by_label("Search").fill("203.0")
        page.get_by_text("1 to 1 of 1 clients").first.wait_for()
        self.picture(page, "clients")
        page.get_by_role("link", name=SCANNER).focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name=SCANNER).wait_for()
        page.get_by_role("table", name="What moved the score, in log-odds").wait_for()
        self.picture(page, "client")

        page.get_by_role("button", name="Block", exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Note for the audit log").fill("a test <b>of</b> text")
        dialog.get_by_role("button", name="Block this client").click()
        page.get_by_text("block for 1h").first.wait_for()
        self.assertEqual(self.call("GET", "/v1/by-hand")[0]["do"], "block")

        self.show(page, "incidents")
        page.get_by_role("region").get_by_role("link").first.click()
        page.get_by_role("heading", level=1, name="Incident").wait_for()
        page.get_by_role("button", name="This is a mistake").click()
        page.get_by_role("dialog").get_by_role("button", name="Mark as a mistake").click()
        page.get_by_text("mark as wrong and release all for 1h").first.wait_for()
        self.picture(page, "incident")
        labels = self.call("GET", "/v1/labels")["labels"]
        self.assertIn((SCANNER, False), [(one["name"], one["abusive"]) for one in labels])

        self.show(page, "actions")
        # Text is text, whatever it looks like.
        page.get_by_text("a test <b>of</b> text").wait_for()
        page.get_by_role("button", name=f"End what is set for {SCANNER}").click()
        page.get_by_text("end what was set").first.wait_for()
        written = (self.folder / "audit.jsonl").read_text().splitlines()
        self.assertEqual(len(written), 3)
        self.picture(page, "actions")
        self.assertEqual(self.told, [])

    def test_nothing_is_hidden_from_those_who_see_or_hear_otherwise(self) -> None:
        for scheme in ("light", "dark"):
            page = self.open(VIEWER, scheme)
            names = [*PAGES, f"clients/{SCANNER}"]
            for name in names:
                self.show(page, name, SCANNER if "/" in name else None)
                page.get_by_text("live", exact=True).wait_for()
                found = Axe().run(page).response["violations"]
                serious = [one for one in found if one["impact"] in ("serious", "critical")]
                told = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in serious]
                self.assertEqual(told, [], f"{scheme} {name}")
                self.picture(page, f"{name.split('/')[0]}-{scheme}")
            self.assertEqual(self.told, [])

    def test_who_may_only_look_has_no_buttons(self) -> None:
        page = self.open(VIEWER)
        self.show(page, f"clients/{SCANNER}", SCANNER)
        self.assertEqual(page.get_by_role("button", name="Block").count(), 0)
        self.assertEqual(page.get_by_role("button", name="Theme").count(), 1)

    def test_a_small_screen_needs_no_scrolling_sideways(self) -> None:
        page = self.open(TOKEN)
        page.set_viewport_size({"width": 390, "height": 800})
        for name in PAGES:
            self.show(page, name)
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            self.assertLessEqual(wide, 0, name)

    def test_all_of_it_is_small(self) -> None:
        page = self.open(TOKEN)
        loaded = page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".map((one) => [one.name, one.decodedBodySize])"
        )
        files = [name for name, _ in loaded if "/console/" in name]
        self.assertGreaterEqual(len(files), 7)
        self.assertLess(sum(size for _, size in loaded), 300 * 1024)


if __name__ == "__main__":
    unittest.main()
