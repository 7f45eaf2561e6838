"""The operator's console in a real browser: what an attack looks like, and what is done about it.

TIDEGATE names the program and `chromium` must be installed (`scripts/test` sees to both). With
SCREENSHOTS=folder each page is saved there as a picture.
"""

import os
import shutil
import unittest
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright
from running import READER, SCANNER, TOKEN, VIEWER, Running

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
        self.assertEqual(len([line for line in written if "replay a log" not in line]), 3)
        self.picture(page, "actions")
        self.assertEqual(self.told, [])

    def log(self) -> Path:
        """Three minutes of readers, in the last of them somebody who asks for what is not there; two lines are broken."""
        lines = ["192.0.2.1 - - yesterday", "<script>alert(1)</script>"]
        for second in range(180):
            clock = f"18/Jul/2023:13:{44 + second // 60:02}:{second % 60:02} +0000"
            line = '{} - - [{}] "GET {} HTTP/1.1" {} 400 "https://shop.example/" "{}"'
            lines.append(line.format(f"198.18.0.{second % 40}", clock, "/prices", 200, READER))
            if second >= 120:
                lines += [line.format(SCANNER, clock, f"/{second}/{probe}", 404, "curl/8.5") for probe in (".git", "a.bak", "x.zip")]
        path = self.folder / "access.log"
        path.write_text("\n".join(lines) + "\n")
        return path

    def test_a_log_is_replayed_looked_at_and_saved_by_the_keyboard(self) -> None:
        for scheme in ("light", "dark"):
            page = self.open(TOKEN, scheme)
            # By the keyboard alone, but for the system's own dialog of files.
            page.get_by_role("link", name="Replay").focus()
            page.keyboard.press("Enter")
            page.get_by_role("heading", level=1, name="Replay").wait_for()
            page.get_by_text("the policy that this server runs with now (enforcing)").wait_for()
            chooser = page.get_by_label("Access log, or drop it here")
            chooser.set_input_files(self.log())
            chooser.focus()
            page.keyboard.press("Tab")
            self.assertEqual(page.evaluate("document.activeElement.tagName"), "SELECT")
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            heading = page.get_by_role("heading", level=2, name="What became of access.log")
            heading.wait_for()
            self.assertTrue(heading.evaluate("(it) => it === document.activeElement"))
            page.get_by_text("Tidegate would have denied").first.wait_for()
            page.get_by_role("cell", name="byte 12: expected").wait_for()
            frame = page.frame_locator("iframe")
            frame.get_by_role("heading", level=1).wait_for()
            # It has its own style, and no power: a script in it would be of nobody's origin, and does not run.
            self.assertNotEqual(frame.locator("body").evaluate("(it) => getComputedStyle(it).fontFamily"), "serif")
            self.assertEqual(page.locator("iframe").get_attribute("sandbox"), "")
            self.picture(page, "replay" if scheme == "light" else "replay-dark")
            found = Axe().run(page).response["violations"]
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            self.assertEqual([(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in serious], [])
            with page.expect_download() as saved:
                page.get_by_role("button", name="Save the report").click()
            self.assertEqual(saved.value.suggested_filename, "access-replay.html")
            text = Path(saved.value.path()).read_text()
            self.assertIn("in force in the server that made this report", text)
            with page.context.expect_page() as opened:
                page.get_by_role("link", name="Open it in a tab of its own").click()
            opened.value.get_by_role("heading", level=1).wait_for()
            self.assertEqual(opened.value.content().count("<script"), 0)
        self.assertEqual(self.told, [])
        deeds = self.call("GET", "/v1/audit")
        self.assertEqual((deeds[0]["action"], deeds[0]["subject"]), ("replay a log as auto", "access.log"))

    def test_what_is_wrong_with_a_log_is_told_on_the_page(self) -> None:
        page = self.open(TOKEN)
        self.show(page, "replay")
        wrong = self.folder / "wrong.log"
        wrong.write_text("no log at all\n")
        page.get_by_label("Access log, or drop it here").set_input_files(wrong)
        page.get_by_role("button", name="Replay").click()
        page.get_by_role("alert").get_by_text("no known log format fits").wait_for()
        page.get_by_role("combobox", name="Format").select_option("own")
        page.get_by_label("log_format", exact=True).fill("$remote_addr$status")
        page.get_by_role("button", name="Replay").click()
        page.get_by_role("alert").get_by_text("log_format, byte").wait_for()
        # Dropped, and in a format that is found out.
        page.get_by_role("combobox", name="Format").select_option("auto")
        dropped = page.evaluate_handle(
            "(text) => { const all = new DataTransfer(); all.items.add(new File([text], 'dropped.log')); return all; }",
            self.log().read_text(),
        )
        page.locator(".drop").dispatch_event("drop", {"dataTransfer": dropped})
        page.get_by_role("heading", level=2, name="What became of dropped.log").wait_for()
        self.assertEqual(page.get_by_role("alert").count(), 0)
        self.assertEqual(self.told, [])

    def test_the_model_says_which_it_is(self) -> None:
        page = self.open(VIEWER)
        self.show(page, "model")
        told = self.call("GET", "/v1/model")
        page.get_by_text(f"built-in {told['version']['checksum']}").wait_for()
        page.get_by_text(told["calibration"]).wait_for()
        self.assertEqual(self.told, [])

    def test_who_may_only_look_has_no_replays(self) -> None:
        page = self.open(VIEWER)
        self.assertEqual(page.get_by_role("link", name="Replay").count(), 0)
        self.show(page, "replay")
        page.get_by_text("it needs the operator's token").wait_for()
        self.assertEqual(page.get_by_role("button", name="Replay").count(), 0)

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
        for name in [*PAGES, "replay"]:
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
