"""The operator's API is what its OpenAPI document says: schemathesis calls a running server by the document.

TIDEGATE names the program (`scripts/test` sees to it).
"""

import json
import subprocess
import sys
import time
import unittest
from pathlib import Path

from running import SCANNER, TOKEN, VIEWER, Running

# Of each operation, besides the examples of the document and the edges of its schemas.
EXAMPLES = 25
# An answer that never ends can't be compared with a schema.
ENDLESS = "/v1/live"


class Api(Running):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.document = cls.call("GET", "/v1/openapi.json")

    def test_a_server_that_is_called_in_every_way_keeps_to_its_document(self) -> None:
        # So that lists are not empty, and the examples of the document are of what there is.
        self.call("POST", f"/v1/clients/{SCANNER}/label", {"abusive": True})
        for _ in range(100):
            if self.call("GET", "/v1/incidents")["incidents"]:
                break
            time.sleep(0.1)
        self.assertEqual(self.call("GET", "/v1/incidents/1")["members"][0]["name"], SCANNER)
        said = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")),
                "run",
                f"http://127.0.0.1:{self.port}/v1/openapi.json",
                *("--header", f"Authorization: Bearer {TOKEN}"),
                *("--exclude-path", ENDLESS),
                *("--checks", "all"),
                *("--phases", "examples,coverage,fuzzing"),
                *("--max-examples", str(EXAMPLES)),
                "--generation-deterministic",
                "--continue-on-failure",
                "--no-color",
            ],
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=300,
        )
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        # None but the endless one has been left out, and the document, which schemathesis has read already.
        operations = sum(len(item.keys() - {"parameters"}) for item in self.document["paths"].values())
        self.assertIn(f"Tested: {operations - 2}\n", said.stdout)
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)

    def test_who_has_no_token_is_let_in_nowhere_and_viewers_only_look(self) -> None:
        for path, item in self.document["paths"].items():
            for method in item.keys() - {"parameters"}:
                place = path.replace("{client}", SCANNER).replace("{id}", "1")
                told = f"{method} {path}"
                if path in ("/healthz", "/readyz"):
                    self.assertEqual(self.ask(method.upper(), place, token=None)[0], 200, told)
                    continue
                for token in (None, "wrong"):
                    status, text = self.ask(method.upper(), place, token=token)
                    self.assertEqual((status, json.loads(text)["status"]), (401, 401), told)
                if path == ENDLESS:
                    continue
                looked = {"get": 200, "post": 403}[method]
                self.assertEqual(self.ask(method.upper(), place, token=VIEWER)[0], looked, told)


if __name__ == "__main__":
    unittest.main()
