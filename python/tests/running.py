"""A server that runs with an operator's and a viewer's token, and an attack that it has seen."""

import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TOKEN = "operators-token-for-the-test"
VIEWER = "viewers-token-for-the-test"
READER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SCANNER = "203.0.113.66"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.folder = Path(folder)
        (cls.folder / "act").write_text(TOKEN)
        (cls.folder / "look").write_text(VIEWER)
        cls.port = free_port()
        config = cls.folder / "tidegate.yaml"
        config.write_text(
            f"admin: {{listen: '127.0.0.1:{cls.port}', token_file: act, viewer_token_file: look, "
            "audit_log: audit.jsonl}\n"
        )
        cls.server = subprocess.Popen(
            [os.environ["TIDEGATE"], "serve", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.kill)
        cls.attack()

    @classmethod
    def ask(cls, method: str, path: str, body: object = None, token: str | None = TOKEN) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=60)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        value = answer.read()
        connection.close()
        return answer.status, value

    @classmethod
    def call(cls, method: str, path: str, body: object = None) -> object:
        status, text = cls.ask(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {text}")
        return json.loads(text)

    @classmethod
    def attack(cls) -> None:
        """Ten minutes of readers, told afterwards, and in the last of them a search for weaknesses."""
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", cls.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        start = time.time() - 601

        def send(at: float, client: str, path: str, agent: str, status: int) -> None:
            asked = {"client_ip": client, "path": path, "user_agent": agent, "time": start + at}
            ticket = cls.call("POST", "/v1/check", asked)["ticket"]
            cls.call("POST", "/v1/outcome", {"ticket": ticket, "status": status, "bytes": 400})

        for n in range(750):
            visitor = f"198.18.{n // 3 % 3}.{n // 3 % 200}"
            send(n * 0.8, visitor, ["/", "/slow", "/prices"][n % 3], READER, 404 if n % 30 == 2 else 200)
            if n >= 600:
                for later, probe in ((0.1, ".git/config"), (0.4, "old/.env.bak")):
                    send(n * 0.8 + later, SCANNER, f"/{n}/{probe}", "curl/8.5", 404)
