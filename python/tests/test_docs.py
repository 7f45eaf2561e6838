"""The documentation beside the program: what a page links to, shows and says must be there and work.

TIDEGATE names the program. UPDATE=1 writes docs/command-line.md anew.
"""

import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from functools import cache
from pathlib import Path
from typing import Iterator, NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.glob("*.md") if path.name != "SUMMARY.md")]
COMMANDS = DOCS / "command-line.md"
LARGEST_PICTURE = 120_000
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
INCLUDE = re.compile(r"\{\{#include ([^}\s]+)\}\}")
COMMANDS_HEAD = """# Command line

What `--help` says of every command. Made by a test that fails when this page is out of date; write it anew with

```sh
UPDATE=1 TIDEGATE=target/release/tidegate python3 python/tests/test_docs.py
```

`tidegate manual DIR` writes the same as pages for `man`, and `tidegate completions SHELL` completions.
"""


class Block(NamedTuple):
    page: Path
    line: int
    words: list[str]
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def split(page: Path) -> tuple[str, list[Block]]:
    """The text of a page without what is fenced, and what is fenced."""
    plain, blocks, inside = [], [], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("```"):
            (plain if inside is None else inside[2]).append(line)
        elif inside is None:
            inside = (number, re.split(r"[,\s]+", line[3:].strip()), [])
        else:
            text = "\n".join(inside[2]) + "\n"
            text = INCLUDE.sub(lambda named: (page.parent / named[1]).read_text(), text)
            blocks.append(Block(page, inside[0], inside[1], text))
            inside = None
    assert inside is None, f"{page}: the block of line {inside[0]} has no end"
    return "\n".join(plain), blocks


def blocks(kind: str) -> Iterator[Block]:
    return (block for page in PAGES for block in split(page)[1] if block.words[0] == kind)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names of a page's headings, as mdBook and others make them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", split(page)[0], re.M):
        text = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.lower()))
        again = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", old) is not None for old in found)
        found.append(f"{name}-{again}" if again else name)
    return frozenset(found)


@cache
def told(*names: str) -> str:
    asked = subprocess.run([os.environ["TIDEGATE"], *names, "--help"], capture_output=True, text=True)
    assert asked.returncode == 0, f"tidegate {' '.join(names)} --help: {asked.stderr}"
    return asked.stdout


@cache
def below(*names: str) -> tuple[str, ...]:
    """The commands below one."""
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", told(*names), re.M)
    found = re.findall(r"^  (\S+)", listed[1], re.M) if listed else []
    return tuple(name for name in found if name != "help")


def every(*names: str) -> Iterator[tuple[str, ...]]:
    yield names
    for name in below(*names):
        yield from every(*names, name)


@cache
def flags(*names: str) -> frozenset[str]:
    listed = re.findall(r"^\s+(-\w)?(?:, )?(--[\w-]+)?(?: |$)", told(*names), re.M)
    return frozenset(flag for pair in listed for flag in pair if flag)


def calls(text: str) -> Iterator[list[str]]:
    """The commands of a piece of shell, each as its words."""
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=";&|<>()\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    comment = False
    for word in lexer:
        if set(word) <= set(";&|<>()\n"):
            comment = comment and "\n" not in word
            if not comment:
                yield words
                words = []
        elif comment or word.startswith("#"):
            comment = True
        else:
            words.append(word)
    yield words


def called(words: list[str]) -> list[str] | None:
    """What stands behind `tidegate`, when that is what the words call."""
    for at, word in enumerate(words):
        if word == "tidegate":
            return words[at + 1 :]
        if not re.fullmatch(r"\w+=.*|taskset|nice|time|sudo|-\w|\d+", word):
            return None
    return None


def wrong(words: list[str]) -> str | None:
    """What is wrong with the words behind `tidegate`."""
    names: tuple[str, ...] = ()
    while words and words[0] in below(*names):
        names, words = (*names, words[0]), words[1:]
    if below(*names) and not (words and words[0].startswith("-")):
        return f"no such command: {' '.join([*names, *words[:1]])}"
    for word in words:
        flag = word.split("=")[0]
        if len(word) > 1 and word.startswith("-") and flag not in flags(*names):
            return f"{' '.join(names)} has no {flag}"
    return None


@cache
def sources() -> str:
    """All of the program's text, with strings that go over several lines put together."""
    files = sorted(ROOT.glob("crates/*/src/**/*.rs"))
    return re.sub(r"\\\n\s*", "", "\n".join(path.read_text() for path in files)).replace('\\"', '"')


@cache
def routes() -> dict[str, set[str]]:
    """What the admin listener serves, by its OpenAPI document, to which a test of the server holds it."""
    document = json.loads((ROOT / "crates/server/src/openapi.json").read_text())
    verbs = {"get", "post"}
    return {path: {verb.upper() for verb in verbs & item.keys()} for path, item in document["paths"].items()}


class Docs(unittest.TestCase):
    maxDiff = None

    def none(self, found: list[str]) -> None:
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_every_link_and_anchor_leads_somewhere(self) -> None:
        # A book holds only what `scripts/docs` copies.
        copied = re.search(r"^cp --parents -r (.*) \"\$source\"$", (ROOT / "scripts/docs").read_text(), re.M)
        self.assertIsNotNone(copied)
        copied = [ROOT / name for name in copied[1].split()[1:]]
        found, links = [], 0
        for page in [*PAGES, DOCS / "SUMMARY.md"]:
            for target in LINK.findall(CODE.sub("`", split(page)[0])):
                if re.match(r"https?:", target):
                    continue
                links += 1
                path, _, anchor = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                at = f"{page.relative_to(ROOT)}: {target}"
                if not file.exists():
                    found.append(f"{at}: there is no such file")
                elif anchor and anchor not in anchors(file):
                    found.append(f"{at}: there is no such heading")
                elif not any(file.is_relative_to(one) for one in [*ROOT.glob("*.md"), *copied]):
                    found.append(f"{at}: scripts/docs does not copy it")
        self.none(found)
        self.assertGreater(links, 50)

    def test_every_page_is_in_the_summary_and_what_it_includes_exists(self) -> None:
        summary = LINK.findall((DOCS / "SUMMARY.md").read_text())
        self.assertEqual(sorted(summary), [path.name for path in PAGES if path.parent == DOCS])
        named = [(page, name) for page in PAGES for name in INCLUDE.findall(page.read_text())]
        self.none([f"{page.name}: {name}" for page, name in named if not (page.parent / name).is_file()])
        self.assertGreater(len(named), 5)

    def test_every_picture_is_shown_and_small(self) -> None:
        shown = "".join(page.read_text() for page in PAGES)
        for picture in DOCS.glob("pictures/*"):
            self.assertIn(f"(pictures/{picture.name})", shown)
            self.assertLess(picture.stat().st_size, LARGEST_PICTURE, picture.name)

    def test_every_configuration_is_valid(self) -> None:
        """`yaml` is a whole configuration; `yaml,partial` names files that are not here, and nothing else may be wrong
        with it; `yaml,other` is for another program."""
        found, whole = [], 0
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "tidegate.yaml"
            for block in blocks("yaml"):
                if block.words[1:] == ["other"]:
                    continue
                file.write_text(block.text)
                asked = [os.environ["TIDEGATE"], "check-config", str(file)]
                checked = subprocess.run(asked, capture_output=True, text=True)
                said = " ".join(checked.stderr.replace("│", " ").split())
                missing = "No such file" in said
                if block.words[1:] not in ([], ["partial"]):
                    found.append(f"{block.place}: write yaml, yaml,partial or yaml,other")
                elif checked.returncode and not (missing and block.words[1:]):
                    found.append(f"{block.place}: {said[:400]}")
                elif block.words[1:] and not checked.returncode:
                    found.append(f"{block.place}: it is whole, write yaml alone")
                whole += not checked.returncode
        self.none(found)
        self.assertGreater(whole, 15)

    def test_every_command_exists_with_its_flags(self) -> None:
        found, seen = [], 0
        for block in blocks("sh"):
            for words in calls(block.text):
                if (behind := called(words)) is not None:
                    seen += 1
                    problem = wrong(behind)
                    found += [f"{block.place}: {problem}"] if problem else []
                for word in words:
                    if re.match(r"(scripts|python|examples|deploy|crates)/", word) and not (ROOT / word).exists():
                        found.append(f"{block.place}: there is no {word}")
        for page in PAGES:
            for code in CODE.findall(split(page)[0]):
                if re.match(r"tidegate [a-z-]+", code):
                    seen += 1
                    problem = wrong(shlex.split(code)[1:])
                    found += [f"{page.name}: `{code}`: {problem}"] if problem else []
        self.none(found)
        self.assertGreater(seen, 60)

    def test_every_call_of_the_admin_api_is_one_and_all_are_listed(self) -> None:
        known = [re.sub(r"\{\w+\}", "[^/]+", path) for path in routes()]
        found = []
        for block in blocks("sh"):
            for path in re.findall(r"(?:9901|ADMIN)(/[^\s'\"?]*)", block.text):
                if path != "/" and not any(re.fullmatch(one, path) for one in known):
                    found.append(f"{block.place}: {path}")
        self.none(found)
        rows = re.findall(r"^\| `(/[^`]+)` \| (\w+) \|", (DOCS / "admin-api.md").read_text(), re.M)
        served = [(path, verb) for path, verbs in routes().items() for verb in verbs]
        self.assertEqual(sorted(rows), sorted(served))

    def test_every_message_that_is_explained_is_one_of_the_program(self) -> None:
        found, seen = [], 0
        for row in re.findall(r"^\| (.*?) \|", (DOCS / "errors.md").read_text(), re.M):
            for message in CODE.findall(row):
                parts = [part.strip() for part in message.split("…") if part.strip()]
                seen += 1
                # What the library of YAML says stands in no file here.
                if message.startswith(("unknown field", "duplicate mapping key")):
                    continue
                place = re.escape(parts[0]) + "".join(r"[^\n]{1,60}?" + re.escape(part) for part in parts[1:])
                if not re.search(place, sources()):
                    found.append(message)
        self.none(found)
        self.assertGreater(seen, 40)

    def test_every_metric_that_is_named_is_one(self) -> None:
        listed = set(re.findall(r"tidegate_\w+", (DOCS / "metrics.md").read_text()))
        found = []
        for page in PAGES:
            for name, star in re.findall(r"\b(tidegate_[a-z_]+)(\*?)", page.read_text()):
                plain = re.sub(r"_(bucket|sum|count)$", "", name)
                if not (plain in listed or star and any(one.startswith(name) for one in listed)):
                    found.append(f"{page.name}: {name}{star}")
        self.none(found)

    def test_the_page_of_commands_is_what_the_program_says(self) -> None:
        page = COMMANDS_HEAD
        for names in every():
            told_lines = "\n".join(line.rstrip() for line in told(*names).splitlines())
            page += f"\n## {' '.join(['tidegate', *names])}\n\n```text\n{told_lines}\n```\n"
        if os.environ.get("UPDATE"):
            COMMANDS.write_text(page)
        self.assertEqual(COMMANDS.read_text(), page, "UPDATE=1 in the environment of this test writes it")


if __name__ == "__main__":
    unittest.main()
