"""A cloud for sensors: devices that report each thirty seconds, gateways, a factory, an app."""

from __future__ import annotations

from . import agents
from .addresses import CARRIERS, HOUSEHOLDS
from .agents import DEVICE_HEADERS, GO_1, OLD_PYTHON
from .api import Client, System, attack
from .world import END, ordinary

FIRMWARE = "SenseNode/4.1.6 ESP-IDF/5.1"
REVOKED_HEADERS = [name for name in DEVICE_HEADERS if name != "content-length"]
BLACKOUT = (2700.0, 2940.0)
"""When a carrier's network is down; its devices deliver later what they could not."""
WEAK_SPOTS = (
    "/.env", "/swagger.json", "/v2/devices", "/admin", "/actuator/env", "/mqtt", "/cgi-bin/luci",
    "/boaform/admin", "/api/v1/login", "/HNAP1", "/v1/users", "/shell?cd+/tmp", "/setup.cgi", "/fw/",
    "/config.json",
)


class Iot(System):
    """The cloud for sensors."""

    name = "iot"
    page = ""
    deploy = (1000, 1030)
    attack_begins = 2000

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.networks = [self.carrier() for _ in range(12)]
        self.devices = [self.digits16(6, "dv-") for _ in range(460)]

    def hex_key(self, prefix: str) -> str:
        """A key."""
        return self.digits16(24, prefix)

    def sensor(self, kind: str, address: str) -> Client:
        """A device."""
        agent = f"SenseNode/4.1.{self.pick((5, 6, 6, 6))} ESP-IDF/5.1"
        return self.program(kind, agent, address, self.hex_key("dk_"), DEVICE_HEADERS)

    def report(self, client: Client, device: str, aligned: bool, cut_off: bool) -> None:
        """A device reports; aligned ones all at the same second."""
        path = f"/ingest/v1/{device}/telemetry"
        at = self.between(0, 1.2 if aligned else 30)
        stored = 0
        number = 0
        while at < END:
            if cut_off and BLACKOUT[0] <= at < BLACKOUT[1]:
                stored += 1
            else:
                for late in range(stored):
                    client.send(at + late * 0.15, "POST", path, 202, 12)
                stored = 0
                client.send(at, "POST", path, 202, 12, self.about(15))
                if number % 20 == 3:
                    client.send(at + 0.5, "GET", f"/config/v1/{device}", 304)
            number += 1
            drift = 0.05 if aligned else 0.3
            at += 30 + self.between(-drift, drift)

    @ordinary
    def sensors(self) -> None:
        """Devices, most behind carriers, and a roll-out of firmware in small parts."""
        clients = []
        for number, device in enumerate(self.devices):
            address = self.pick(self.networks) if number < 300 else self.home()
            clients.append(self.sensor("device", address))
            self.report(clients[-1], device, number % 5 == 0, address == self.networks[0])
        headers = ["host", "user-agent", "range", "authorization"]
        for sensor in clients[:70]:
            client = self.program("firmware-update", sensor.agent, sensor.address, sensor.key, headers)
            at = 1500 + self.between(0, 500)
            for _ in range(60):
                client.send(at, "GET", "/fw/sensenode-4.1.7.bin", 206, 32768, self.about(80))
                at += self.about(0.8)

    @ordinary
    def revoked(self) -> None:
        """Devices whose key was revoked do not notice."""
        for number in range(20):
            address = self.pick(self.networks) if number < 14 else self.home()
            client = self.program(
                "revoked-device", "SenseNode/3.8.0 ESP-IDF/4.4", address, self.hex_key("dk_"), REVOKED_HEADERS
            )
            path = f"/ingest/v1/{self.digits16(6, 'dv-')}/telemetry"
            for at in self.every(self.pick((10, 10, 30)), self.between(0, 60), jitter=0.02):
                client.send(at, "POST", path, 401, 40, 3)

    @ordinary
    def machines(self) -> None:
        """Gateways, and the factory that registers one device after the other."""
        for number in range(5):
            client = self.program("gateway", f"edge-gw/2.2 {GO_1}", self.home(), self.hex_key("gw_"))
            for at in self.every(1, number, jitter=0.05):
                client.send(at, "POST", "/ingest/v1/batch", 202, 60)
        agent = f"provision-cli/1.4 {agents.PYTHON}"
        client = self.program("factory-provisioning", agent, self.home(), self.hex_key("mf_"))
        for number, at in enumerate(self.every(1.3, 600, 1900, 0.2), 0x30A000):
            client.send(at, "POST", f"/provision/v1/dv-{number:06x}", 201, 700)
            client.send(at + 0.2, "GET", f"/provision/v1/dv-{number:06x}/cert", 200, 1900)

    @ordinary
    def people(self) -> None:
        """People with the app, developers, and somebody who imports four thousand devices."""
        for _ in range(60):
            address = self.address(HOUSEHOLDS, CARRIERS)
            client = self.app(
                "app-user", "SenseApp/7.1 (iOS 18.3; CFNetwork/1568)", address, self.token(40, "eyJ")
            )
            begin, path = self.between(0, END - 700), f"/app/v1/homes/{self.whole(10000, 99999)}/devices"
            client.send(begin, "POST", "/oauth/token", self.draw({200: 0.9, 401: 0.1}))
            for at in self.every(5, begin + 1, begin + self.between(60, 600)):
                client.send(at, "GET", path)
        paths = ("/v1/devices", "/v1/device/dv-12", "/v1/devices/dv-0a1b2c/latest", "/v1/query",
                 "/v1/devices/test/commands")
        self.developers(5, paths, (200, 400, 404, 422), most=10, key="ak_")
        client, at = self.program("first-importer", agents.HTTPX, key=self.hex_key("ak_")), 3000.0
        for _ in range(4000):
            client.send(at, "POST", "/v1/devices", self.draw({201: 97, 409: 3}))
            at += self.about(0.04)

    @ordinary
    def integrations(self) -> None:
        """Clouds of others read each minute, dashboards each ten seconds, and monitors."""
        for number, count in enumerate((60, 120, 40)):
            agent = "HomeBridge/2.0 node-fetch/3.3"
            client, devices = self.program("cloud-integration", agent, key=self.hex_key("ak_")), self.devices
            chosen = [self.pick(devices) for _ in range(count)]
            for minute in range(75):
                if number == 1 and minute % 3:
                    continue
                at = minute * 60 + self.between(0, 0.5)
                for device in chosen:
                    client.send(at, "GET", f"/v1/devices/{device}/latest", 200, 300, 8)
                    at += 0.05
        for number in range(3):
            client = self.program("grafana", "Grafana/11.2", self.home(), self.hex_key("ak_"))
            for at in self.every(10, number, END - number * 900, 0.01):
                for _ in range(12):
                    client.send(at + self.between(0, 0.3), "POST", "/v1/query", 200, 9000, 150)
        self.health_checks("UptimeRobot/2.0", 15, 3, spread=10)

    def claimer(self) -> Client:
        """An abusive app at home."""
        return self.app(self.playing, "SenseApp/7.1 (Android 14)", self.home(), self.token(40, "eyJ"))

    @attack("claim-code-1ip")
    def guess_claims(self) -> None:
        """One app guesses the codes of devices, three a second."""
        client, begin = self.claimer(), self.attack_begins
        for at in self.every(0.33, begin, begin + 900):
            client.send(at, "POST", f"/claim/v1/{self.digits16(8).upper()}", 404, 60)

    @attack("claim-code-40ip")
    def guess_claims_from_many(self) -> None:
        """Forty apps guess them each ten seconds."""
        begin = self.attack_begins
        for _ in range(40):
            client = self.claimer()
            for at in self.every(10, begin + self.between(0, 30), begin + 900, 0.5):
                client.send(at, "POST", f"/claim/v1/{self.digits16(8).upper()}", 404, 60)

    def _look(self, client: Client, at: float, number: int) -> None:
        """Asks for a device that is probably not one's own."""
        status = self.draw({404: 70, 403: 25, 200: 5})
        client.send(at, "GET", f"/v1/devices/dv-{0x2F0000 + number:06x}/latest", status, 80)

    @attack("device-enum-seq")
    def enumerate_devices(self) -> None:
        """One key asks for one device after the other."""
        client = self.program(self.playing, OLD_PYTHON, self.rented(), self.hex_key("ak_"))
        begin = self.attack_begins
        for number, at in enumerate(self.every(0.1, begin, begin + 600, 0.2)):
            self._look(client, at, number)

    @attack("device-enum-50ip")
    def enumerate_devices_from_many(self) -> None:
        """Fifty keys share the list."""
        begin = self.attack_begins
        for source in range(50):
            client = self.program(self.playing, OLD_PYTHON, self.mixed(), self.hex_key("ak_"))
            for at in self.every(2, begin + self.between(0, 3), begin + 600, 0.5):
                self._look(client, at, int((at - begin) * 25) + source)

    @attack("hijacked-fleet-300")
    def hijack(self) -> None:
        """Three hundred devices report each second."""
        begin = self.attack_begins
        for _ in range(300):
            client = self.program(
                self.playing,
                FIRMWARE,
                self.address(CARRIERS, HOUSEHOLDS),
                self.hex_key("dk_"),
                DEVICE_HEADERS,
            )
            path = f"/ingest/v1/{self.digits16(6, 'dv-')}/telemetry"
            for at in self.every(1, begin + self.between(0, 20), begin + 180, 0.4):
                client.send(at, "POST", path, self.draw({202: 0.8, 503: 0.2}), 12, self.about(300))

    @attack("telemetry-spoof-1key")
    def spoof(self) -> None:
        """One key reports for devices of others."""
        client = self.program(self.playing, FIRMWARE, self.rented(), self.hex_key("dk_"), REVOKED_HEADERS)
        for at in self.every(0.05, self.attack_begins, self.attack_begins + 400):
            path = f"/ingest/v1/{self.digits16(6, 'dv-')}/telemetry"
            client.send(at, "POST", path, self.draw({403: 0.7, 202: 0.3}), 40)

    @attack("firmware-flood-5ip")
    def flood(self) -> None:
        """Five machines load a large file ten times a second each."""
        begin = self.attack_begins
        for _ in range(5):
            client = self.program(self.playing, agents.CURL, self.rented(), headers=agents.CURL_HEADERS)
            for at in self.every(0.1, begin, begin + 300):
                path = f"/fw/sensenode-4.1.7.bin?x={self.whole(1, 10**6)}"
                client.send(at, "GET", path, 200, 1966080, self.about(2500))

    @attack("key-guess-1ip")
    def guess_keys(self) -> None:
        """One machine guesses keys."""
        client, begin = self.program(self.playing, GO_1, self.rented()), self.attack_begins
        for at in self.every(0.2, begin, begin + 600):
            client.send(at, "GET", "/v1/devices", 401, 40, 3, key=self.hex_key("ak_"))

    @attack("api-scanner-slow")
    def scan_paths(self) -> None:
        """A scanner that takes its time."""
        self.scan(self.browser_agent(), WEAK_SPOTS, ("", "/", "?a=1", ".bak"), 5, 1200, 1.0)
