"""What watches a server: spans at a collector (rotel), errors at Sentry's protocol (Bugsink), and a log whose
reader may be as slow as it likes.

TIDEGATE names the program; rotel and Bugsink are installed beside the Python that runs this.
"""

import gzip
import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, TypeVar

from running import free_port

BIN = Path(sys.prefix) / "bin"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ASKED = "7ad6b3169203331feb8a1e3c2f0b61d5"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
CLIENT = "203.0.113.77"
T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """What is there at last; the time is only for a machine that is very busy."""
    for _ in range(1200):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come")


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Upstream(BaseHTTPRequestHandler):
    """Answers with the trace that it was told."""

    def do_GET(self) -> None:
        body = self.headers.get("traceparent", "none").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Watched(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.admin = free_port()
        self.config = self.folder / "tidegate.yaml"

    def start(self, text: str, env: dict[str, str] | None = None, **streams: object) -> subprocess.Popen[bytes]:
        self.configure(text)
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | streams
        command = [os.environ["TIDEGATE"], "serve", "--config", str(self.config)]
        server = subprocess.Popen(command, env=os.environ | (env or {}), **streams)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_for("the server", lambda: answers(self.admin))
        return server

    def configure(self, text: str) -> None:
        new = self.config.with_suffix(".new")
        new.write_text(f"admin: {{listen: '127.0.0.1:{self.admin}'}}\n{text}\n")
        new.rename(self.config)

    def metric(self, series: str) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(re.search(rf"^{re.escape(series)} (\S+)$", text, re.M)[1])


class Collector(Watched):
    def test_spans_arrive_by_either_protocol_and_by_the_variables_that_others_go_by(self) -> None:
        spec = importlib.util.find_spec("rotel")
        assert spec is not None and spec.origin is not None
        upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        self.addCleanup(upstream.server_close)
        self.addCleanup(upstream.shutdown)
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        ports = {"grpc": free_port(), "http/protobuf": free_port()}
        got = self.folder / "rotel.out"
        with got.open("wb") as out:
            collector = subprocess.Popen(
                [
                    Path(spec.origin).with_name("rotel-agent"),
                    "start",
                    *("--pid-file", self.folder / "rotel.pid"),
                    *("--otlp-grpc-endpoint", f"127.0.0.1:{ports['grpc']}"),
                    *("--otlp-http-endpoint", f"127.0.0.1:{ports['http/protobuf']}"),
                    *("--debug-log", "traces", "--debug-log-verbosity", "detailed", "--exporter", "blackhole"),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(collector.wait)
        self.addCleanup(collector.kill)
        for runs, (protocol, port) in enumerate(ports.items(), 1):
            proxy = free_port()
            text = (
                f"listen: 127.0.0.1:{proxy}\nupstream: http://127.0.0.1:{upstream.server_port}\n"
                "telemetry: {otlp: {sample: 0}}"
            )
            env = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_SERVICE_NAME": f"edge-{protocol}",
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            }
            wait_for("the collector", lambda: self.listens(port))
            server = self.start(text, env)
            connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=60)
            path = f"/of-{protocol.partition('/')[0]}?key=secret"
            connection.request("GET", path, headers={"traceparent": SAMPLED})
            told = connection.getresponse().read().decode()
            self.assertRegex(told, rf"^00-{TRACE}-[0-9a-f]{{16}}-01$")
            connection.close()
            admin = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
            question = {"client_ip": CLIENT, "method": "GET", "path": "/asked?key=secret"}
            fields = {"traceparent": SAMPLED.replace(TRACE, ASKED), "content-type": "application/json"}
            admin.request("POST", "/v1/check", json.dumps(question), fields)
            self.assertEqual(admin.getresponse().status, 200)
            admin.close()
            # What is left is sent before the end.
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            seen = wait_for(f"spans by {protocol}", lambda: self.seen(got, env["OTEL_SERVICE_NAME"], 2 * runs))
            self.assertIn(TRACE, seen)
            self.assertIn(ASKED, seen)
            self.assertIn("/asked", seen)
            self.assertIn("/of-" + protocol.partition("/")[0], seen)
            self.assertIn("deployment.environment.name", seen)
            self.assertIn("tidegate.action", seen)
            self.assertNotIn("secret", seen)

    @staticmethod
    def listens(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @staticmethod
    def seen(got: Path, service: str, decisions: int) -> str | None:
        text = got.read_text(errors="replace")
        return text if service in text and text.count("tidegate.action") >= decisions else None


class Sentry(Watched):
    SEED = """
from projects.models import Project
from teams.models import Team
print("DSN", Project.objects.create(name="tidegate", team=Team.objects.create(name="ops")).dsn)
"""

    def bugsink(self) -> str:
        """Starts Bugsink with an empty database; returns the DSN of a project there."""
        port = free_port()
        env = os.environ | {"PYTHONPATH": str(self.folder)}

        def run(*words: str, **more: object) -> str:
            done = subprocess.run(
                [BIN / words[0], *words[1:]], cwd=self.folder, env=env, capture_output=True, text=True, **more
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        where = ("--host", "127.0.0.1", "--port", str(port), "-o", "bugsink_conf.py")
        run("bugsink-create-conf", "--template", "local", *where)
        run("bugsink-manage", "migrate")
        dsn = re.search(r"^DSN (\S+)$", run("bugsink-manage", "shell", input=self.SEED), re.M)[1]
        served = subprocess.Popen(
            [BIN / "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "bugsink.wsgi"],
            cwd=self.folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(served.wait)
        self.addCleanup(served.terminate)
        wait_for("Bugsink", lambda: answers(port))
        return dsn

    def events(self) -> list[dict]:
        """What Bugsink has taken in."""
        with sqlite3.connect(self.folder / "db.sqlite3", timeout=60) as base:
            return [json.loads(data) for (data,) in base.execute("SELECT data FROM events_event")]

    def test_an_error_is_told_with_release_and_environment_and_nothing_of_a_client(self) -> None:
        dsn = self.bugsink()
        text = "telemetry: {sentry: {dsn_env: WHERE, environment: staging}}"
        env = {"WHERE": dsn}
        server = self.start(text, env)
        told = subprocess.run(
            [os.environ["TIDEGATE"], "check-config", str(self.config)],
            env=os.environ | env,
            capture_output=True,
            text=True,
        )
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("`staging`", told.stdout)
        self.assertNotIn(dsn.partition("//")[2].partition("@")[0], told.stdout)
        # A refused reload is an error; it names a network, which stays here.
        self.configure(f"{text}\nallow: [{CLIENT}/99]")
        server.send_signal(signal.SIGHUP)
        event = wait_for("the event", self.events)[0]
        self.assertEqual(event["environment"], "staging")
        version = subprocess.run([os.environ["TIDEGATE"], "--version"], capture_output=True, text=True).stdout
        self.assertEqual(event["release"], version.split()[1])
        self.assertIn("the one before stays in force", event["message"])
        self.assertIn("tidegate.yaml:3", event["extra"]["cause"])
        self.assertNotIn("server_name", event)
        self.assertNotIn("user", event)
        wait_for("the count", lambda: self.metric('tidegate_error_reports_total{result="sent"}') >= 1)

    def test_without_sentry_at_the_other_end_the_server_goes_on(self) -> None:
        text = "telemetry: {sentry: {}}"
        server = self.start(text, {"SENTRY_DSN": f"http://key@127.0.0.1:{free_port()}/1"})
        self.configure(f"{text}\nmode: maybe")
        server.send_signal(signal.SIGHUP)
        wait_for("the count", lambda: self.metric('tidegate_error_reports_total{result="failed"}') >= 1)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)


class Sink(BaseHTTPRequestHandler):
    """Takes whatever is sent, and keeps where it was sent to and what it was."""

    got: list[tuple[str, bytes]] = []

    def do_POST(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.got.append((self.path, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Encrypted(Watched):
    def listener(self) -> tuple[int, Path]:
        """A server of TLS with a certificate of its own; returns its port and the certificate."""
        certificate, key = self.folder / "own.pem", self.folder / "own.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
        sink.socket = context.wrap_socket(sink.socket, server_side=True)
        self.addCleanup(sink.server_close)
        self.addCleanup(sink.shutdown)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        Sink.got = []
        return sink.server_port, certificate

    def tell(self, port: int, env: dict[str, str]) -> None:
        """Has a server send a span and an error to a port, and ends it."""
        text = (
            f"telemetry: {{otlp: {{endpoint: 'https://localhost:{port}/v1/traces', protocol: http, sample: 1}}, "
            "sentry: {}}"
        )
        server = self.start(text, env | {"SENTRY_DSN": f"https://key@localhost:{port}/1"})
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        connection.request("POST", "/v1/check", json.dumps({"client_ip": CLIENT, "path": "/asked"}))
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.configure(f"{text}\nmode: maybe")
        server.send_signal(signal.SIGHUP)
        series = 'tidegate_error_reports_total{result="%s"}'
        wait_for("the report", lambda: self.metric(series % "sent") + self.metric(series % "failed"))
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)

    def test_spans_and_errors_go_over_tls_to_whom_the_certificate_names(self) -> None:
        port, certificate = self.listener()
        self.tell(port, {"SSL_CERT_FILE": str(certificate)})
        got = dict(Sink.got)
        self.assertEqual(sorted(got), ["/api/1/envelope/", "/v1/traces"])
        self.assertIn(b"/asked", got["/v1/traces"])
        self.assertIn(b"the one before stays in force", got["/api/1/envelope/"])

    def test_nothing_is_told_to_whom_nobody_vouches_for(self) -> None:
        port, _ = self.listener()
        self.tell(port, {})
        self.assertEqual(Sink.got, [])


class Log(Watched):
    def test_a_reader_that_never_reads_holds_up_no_request(self) -> None:
        server = self.start("log: {decisions: true}", stderr=subprocess.PIPE)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        call = json.dumps({"client_ip": CLIENT, "path": "/" + "long" * 100})
        dropped = 0.0
        # Each is a line; pipe and queue have room for a few thousand of them.
        for _ in range(20):
            for _ in range(500):
                connection.request("POST", "/v1/check", call)
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(answer.status, 200)
            dropped = self.metric("tidegate_log_lines_dropped_total")
            if dropped:
                break
        self.assertGreater(dropped, 0)
        connection.close()
        # Nor does it hold up the end.
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        assert server.stderr is not None
        first = json.loads(server.stderr.readline())
        self.assertEqual(first["level"], "INFO")
        server.stderr.close()

    def test_the_last_lines_are_there_after_the_end(self) -> None:
        log = self.folder / "log"
        with log.open("wb") as out:
            server = self.start("log: {decisions: true}", stderr=out)
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        for n in range(300):
            connection.request("POST", "/v1/check", json.dumps({"client_ip": CLIENT, "path": f"/{n}"}))
            connection.getresponse().read()
        connection.close()
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        decided = [line["fields"]["path"] for line in lines if line["target"] == "tidegate::decision"]
        self.assertEqual(decided, [f"/{n}" for n in range(300)])
        self.assertEqual(lines[-1]["fields"]["message"], "draining")

    def test_an_error_at_the_start_is_there_too(self) -> None:
        # The admin listener's port is taken by somebody else.
        taken = ThreadingHTTPServer(("127.0.0.1", self.admin), Upstream)
        self.addCleanup(taken.server_close)
        self.configure("")
        done = subprocess.run(
            [os.environ["TIDEGATE"], "serve", "--config", str(self.config)], capture_output=True, text=True
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"can't listen on 127.0.0.1:{self.admin}", done.stderr.replace("\n", " "))


if __name__ == "__main__":
    unittest.main()
