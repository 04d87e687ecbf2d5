"""Rules that change and a switch that restarts, under attempts without end; a program for a private world.

It prints as JSON how many frames of each kind were sent and got past the switch at which moment, and what
came of mail.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import environment
from controller import LabController
from isp import DYNAMIC, UNLISTED
from standard_output import claim_standard_output

from tests.bypasses import link_layer
from tests.bypasses.arrangements import Sender
from tests.bypasses.attempt import send
from tests.bypasses.bends import Bend, straight
from tests.bypasses.fragments import ipv4_fragments
from tests.bypasses.headers import ETH_IPV4, ETH_IPV6, TCP, Ethernet, Ipv4, Ipv6, with_checksum
from tests.bypasses.network import BRIDGE, Host, LineNetwork, packed_address
from tests.bypasses.rulesets import DEFAULTS, SWITCH, Setting, plain_rules, policy_text
from tests.bypasses.wires import Arrived, Neighbour

CONTROLLER = "tcp:127.0.0.1:6653"
RELOADS, RESTARTS = 4, 2
SETTLE_SECONDS = 1.0
INTERVAL_SECONDS = 0.001
OTHER = DEFAULTS - {Setting.PORT_25} | {Setting.PREFIX, Setting.TUNNELS}
"""Settings that need another table than the defaults, and more rules."""


class Observer(Neighbour):
    """The neighbour behind the uplink, which counts by kind the frames of attackers that reach it."""

    def __init__(self, neighbour: Neighbour) -> None:
        super().__init__(neighbour.addresses)
        self.kinds: dict[bytes, str] = {}
        self.leaked: Counter[str] = Counter()

    def incoming(self, frame: bytes) -> Arrived:
        arrived = super().incoming(frame)
        for plain in arrived.to_host:
            source = plain[26:30] if plain[12:14] == b"\x08\x00" else plain[22:38]
            if source in self.kinds:
                self.leaked[self.kinds[source]] += 1
        return arrived


class Attackers:
    """A thread that sends one frame of every kind after the other, all of them attempts to reach port 25."""

    def __init__(self, network: LineNetwork) -> None:
        self._network = network
        self.observer = Observer(network.neighbour)
        network.transit.wire.program = self.observer
        self._frames: list[tuple[Host, list[bytes]]] = []
        edge, neighbour = network.edge.mac, network.transit.mac
        self._add("IPv4", network.line(), 4, edge)
        self._add("IPv6", network.line(), 6, edge)
        self._add("fragments", network.line(), 4, edge, ipv4_fragments(8))
        self._add("two tags", network.line(), 4, neighbour, link_layer.tags((0x8100, 1), (0x8100, 2)))
        self._add("unlisted", network.line(UNLISTED), 4, edge)
        threading.Thread(target=self._send, daemon=True).start()

    def _add(self, kind: str, line: Host, version: int, to: str, bend: Bend = straight) -> None:
        source = packed_address(line.own[version == 6])
        self.observer.kinds[source] = kind
        frame = _syn(line.mac, to, source, packed_address(self._network.external.addresses[version]))
        self._frames.append((line, bend(frame)))

    def _send(self) -> None:
        for line, frames in itertools.cycle(self._frames):
            for frame in frames:
                line.wire.send(frame)
            time.sleep(INTERVAL_SECONDS)

    @contextmanager
    def observed(self, into: dict[str, dict[str, tuple[int, int]]], moment: str) -> Iterator[None]:
        """Count by kind the frames that are sent and those that get past the switch meanwhile."""
        self.observer.leaked.clear()
        before = [line.wire.sent for line, _ in self._frames]
        yield
        sent = [line.wire.sent - count for (line, _), count in zip(self._frames, before, strict=True)]
        kinds = self.observer.kinds.values()
        into[moment] = {
            kind: (count, self.observer.leaked[kind]) for kind, count in zip(kinds, sent, strict=True)
        }


def _syn(source_mac: str, destination_mac: str, source: bytes, destination: bytes) -> bytes:
    header = struct.pack("!HHIIBBHHH", 40000, 25, 7, 0, 5 << 4, 0x02, 64240, 0, 0)
    segment = with_checksum(source, destination, TCP, header)
    ethertype = ETH_IPV4 if len(source) == 4 else ETH_IPV6
    packet = (Ipv4 if len(source) == 4 else Ipv6)(source, destination, TCP, segment)
    to, by = (bytes.fromhex(mac.replace(":", "")) for mac in (destination_mac, source_mac))
    return Ethernet(to, by, ethertype, packet.write()).write()


class Moments:
    """One network, brought to each moment in turn."""

    def __init__(self, directory: Path) -> None:
        self._network = network = LineNetwork(directory)
        spammer, customer = network.line(DYNAMIC), network.line(DYNAMIC)
        self._spam = Sender(spammer, network.external.addresses[4], network.external.domain)
        isp = network.server("isp.example")
        self._honest = Sender(customer, isp.addresses[4], isp.domain)
        self._attackers = Attackers(network)
        self._policy = directory / "policy.yaml"
        network.start_mail_servers()
        self.frames: dict[str, dict[str, tuple[int, int]]] = {}
        self.mail: dict[str, dict[str, object]] = {}

    def run(self) -> None:
        self._plain()
        self._ours()
        if self._network.wires.faults:
            raise RuntimeError("\n".join(self._network.wires.faults))

    def _plain(self) -> None:
        """Rules loaded as scripts do it, on a bridge as Open vSwitch makes it: fail_mode=standalone."""
        ovs = self._network.ovs
        ovs.vsctl("set-fail-mode", BRIDGE, "standalone")
        rules = plain_rules((), of_ipv6=True)
        with self._observed("no rules"):
            ovs.add_flows(BRIDGE, "actions=NORMAL\n")
        with self._observed("plain rules, reloaded"):
            for _ in range(RELOADS):
                ovs.ofctl("del-flows", BRIDGE)
                for rule in rules.splitlines():
                    ovs.ofctl("add-flow", BRIDGE, rule)
        self._try_mail("plain rules", spam=False)
        with self._observed("plain rules, restarted"):
            ovs.restart_switch()
        self._try_mail("plain rules, restarted", spam=True)

    def _ours(self) -> None:
        ovs = self._network.ovs
        ovs.vsctl("set-fail-mode", BRIDGE, "secure")
        ovs.ofctl("del-flows", BRIDGE)
        self._write(DEFAULTS)
        controller = LabController(self._policy, self._policy.with_name("controller.log"))
        controller.start()
        time.sleep(SETTLE_SECONDS)
        with self._observed("ours, connected"):
            ovs.vsctl("set-controller", BRIDGE, CONTROLLER)
            controller.wait_until_protected([SWITCH])
        with self._observed("ours, reloaded"):
            for settings in itertools.islice(itertools.cycle((OTHER, DEFAULTS)), RELOADS):
                self._write(settings)
                subprocess.run([_op25b(), "reload"], check=True, stdout=subprocess.DEVNULL)
                time.sleep(SETTLE_SECONDS)
                controller.wait_until_protected([SWITCH])
        self._try_mail("ours, reloaded", spam=False)
        with self._observed("ours, restarted"):
            for _ in range(RESTARTS):
                ovs.restart_switch()
                time.sleep(SETTLE_SECONDS)
                controller.wait_until_protected([SWITCH])
        self._try_mail("ours, restarted", spam=False)
        with self._observed("ours, restarted without a controller"):
            controller.kill()
            ovs.restart_switch()
        # Nothing at all passes then, honest mail included.
        controller.start()
        time.sleep(SETTLE_SECONDS)
        controller.wait_until_protected([SWITCH])
        self._try_mail("ours, controller back", spam=False)

    @contextmanager
    def _observed(self, moment: str) -> Iterator[None]:
        with self._attackers.observed(self.frames, moment):
            yield
            time.sleep(SETTLE_SECONDS)

    def _try_mail(self, moment: str, *, spam: bool) -> None:
        attempts: dict[str, Callable[[], object]] = {
            "spam": lambda: asdict(send(self._network, self._spam, spam)),
            "honest": lambda: asdict(send(self._network, self._honest, True)),
        }
        self.mail[moment] = {name: attempt() for name, attempt in attempts.items()}

    def _write(self, settings: frozenset[Setting]) -> None:
        self._policy.write_text(policy_text(settings, self._network.layout))


def _op25b() -> str:
    return str(Path(sys.executable).with_name("op25b"))


def main() -> int:
    claim_standard_output()
    sys.setswitchinterval(0.001)
    os.environ["TMPDIR"] = "/run"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    directory = Path("/run/mail")
    directory.mkdir()
    environment.enter(directory)
    moments = Moments(directory)
    moments.run()
    print(json.dumps({"frames": moments.frames, "mail": moments.mail}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
