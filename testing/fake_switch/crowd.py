"""A crowd of fake switches at one controller.

``python -m testing.fake_switch.crowd --port 6653 --switches 1000`` prints one JSON object. For each time that
all switches connected at once, ``rounds`` has the seconds, from that moment on, until each was connected,
until it had confirmed changes for the last time (a barrier or a bundle's commit behind flow-mods; none where
nothing was to change), and until its table was read for the last time; and how many flow-mods it got.
Switches keep their rules from round to round.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from testing.fake_switch.actions import LOCAL
from testing.fake_switch.conduct import Abilities
from testing.fake_switch.dialler import Dialler
from testing.fake_switch.multipart import is_flow_request
from testing.fake_switch.switch import FakeSwitch
from testing.fake_switch.wire import Kind, Message

CONFIRMING = (Kind.BARRIER_REQUEST, Kind.BUNDLE_CONTROL, Kind.EXPERIMENTER)


@dataclass
class Member:
    """What one switch has seen in a round; moments in seconds since the round began."""

    dpid: int
    connected: float | None = None
    confirmed: float | None = None
    read: float | None = None
    flow_mods: int = 0


class Crowd:
    """As many switches with datapath ids from ``first`` on, and ports 1 to ``ports`` beside their own."""

    def __init__(
        self,
        port: int,
        switches: int,
        *,
        host: str = "127.0.0.1",
        first: int = 1,
        ports: int = 4,
        capabilities: Abilities | None = None,
    ) -> None:
        self.members = [Member(dpid) for dpid in range(first, first + switches)]
        self.diallers: list[Dialler] = []
        self.quiet_since = self._began = time.monotonic()
        """When a switch was last asked anything but whether it is there."""
        for member in self.members:
            switch = FakeSwitch(
                member.dpid, capabilities=capabilities or Abilities(), ports=(*range(1, ports + 1), LOCAL)
            )
            dialler = Dialler(switch, port, host=host)
            watch = _Watch(self, member, dialler)
            dialler.on_connected, dialler.on_handled = watch.connected, watch.handled
            self.diallers.append(dialler)

    @property
    def elapsed(self) -> float:
        """Seconds since the round began."""
        return time.monotonic() - self._began

    def connect(self) -> None:
        """Begin a round: connect all at once, or end all connections at once, so that they connect again."""
        self._began = time.monotonic()
        for member, dialler in zip(self.members, self.diallers, strict=True):
            member.connected = member.confirmed = member.read = None
            member.flow_mods = 0
            dialler.switch.flow_mods.clear()
            if dialler.connections:
                dialler.end()
            else:
                dialler.start()

    async def settle(self, seconds: float, quiet: float) -> bool:
        """Wait until every switch has rules that were read, and nothing was asked for ``quiet`` seconds.

        False if that does not come true in so many ``seconds``.
        """
        while not self._all_read() or time.monotonic() - self.quiet_since < quiet:
            if self.elapsed > seconds:
                return False
            await asyncio.sleep(0.05)
        return True

    def _all_read(self) -> bool:
        return all(
            member.read is not None
            and member.read >= (member.confirmed or 0.0)
            and len(dialler.switch.tables) > 0
            for member, dialler in zip(self.members, self.diallers, strict=True)
        )

    async def stop(self) -> None:
        for dialler in self.diallers:
            await dialler.stop()


class _Watch:
    """Notes the moments of one member."""

    def __init__(self, crowd: Crowd, member: Member, dialler: Dialler) -> None:
        self._crowd = crowd
        self._member = member
        self._dialler = dialler

    def connected(self) -> None:
        self._member.connected = self._crowd.elapsed

    def handled(self, message: Message) -> None:
        member, flow_mods = self._member, len(self._dialler.switch.flow_mods)
        if message.kind in CONFIRMING and flow_mods > member.flow_mods:
            member.confirmed, member.flow_mods = self._crowd.elapsed, flow_mods
        elif is_flow_request(message):
            member.read = self._crowd.elapsed
        if message.kind != Kind.ECHO_REQUEST:
            self._crowd.quiet_since = time.monotonic()


async def measure(options: argparse.Namespace) -> None:
    """Have the crowd connect, ``options.rounds`` times, and print what each switch has seen."""
    capabilities = Abilities(
        versions=(options.version,),
        tables=options.tables,
        bundles=not options.no_bundles,
        part_bytes=options.part_bytes,
    )
    crowd = Crowd(
        options.port,
        options.switches,
        host=options.host,
        first=options.first_dpid,
        ports=options.ports,
        capabilities=capabilities,
    )
    rounds = []
    for _ in range(options.rounds):
        gc.collect()
        gc.freeze()
        crowd.connect()
        settled = await crowd.settle(options.seconds, options.quiet)
        rounds.append(
            {
                "settled": settled,
                "confirmed": max((member.confirmed or 0 for member in crowd.members), default=0),
                "read": max((member.read or 0 for member in crowd.members), default=0),
                "switches": [asdict(member) for member in crowd.members],
            }
        )
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seen = {"rounds": rounds, "cpu": usage.ru_utime + usage.ru_stime, "peak_kib": usage.ru_maxrss}
    print(json.dumps(seen), flush=True)
    if options.hold:
        await asyncio.to_thread(sys.stdin.read)
    await crowd.stop()


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testing.fake_switch.crowd", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="the controller's OpenFlow port")
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--first-dpid", type=lambda text: int(text, 0), default=1)
    parser.add_argument("--ports", type=int, default=4, help="each has ports 1 to this")
    parser.add_argument("--tables", type=int, default=254)
    parser.add_argument("--version", type=int, default=4, help="4 for OpenFlow 1.3 to 6 for 1.5")
    parser.add_argument("--no-bundles", action="store_true")
    parser.add_argument("--part-bytes", type=int, default=1 << 15, help="about the size of a part of a reply")
    parser.add_argument("--rounds", type=int, default=1, help="how often all connect at once")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long a round may take")
    parser.add_argument("--quiet", type=float, default=2.0, help="how long nothing happens at the end of one")
    parser.add_argument("--hold", action="store_true", help="stay connected until standard input ends")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(measure(options_of()))
