"""An OpenFlow switch in memory: bytes in, bytes out, the time an argument.

It reads and writes its messages with code of its own and shares none with what it tests, so it can be the
judge of that. Where the specification leaves a choice, it does as Open vSwitch does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from testing.fake_switch.actions import LOCAL
from testing.fake_switch.channel import Channel
from testing.fake_switch.conduct import Abilities, Conduct
from testing.fake_switch.flow_mod import Command, FlowMod
from testing.fake_switch.forwarding import Passage, forward
from testing.fake_switch.tables import Change, Entry, Tables

AS_OPEN_VSWITCH = Abilities()


class FakeSwitch:
    """The switch itself, with any number of connections to controllers.

    ``flow_mods`` are those that controllers sent, bundled ones once their bundle is committed, refused ones
    too. ``on_handled`` is called after each thing that may have changed a table, so that a test can look at
    the switch at every moment.
    """

    def __init__(
        self,
        dpid: int = 1,
        *,
        capabilities: Abilities = AS_OPEN_VSWITCH,
        ports: Iterable[int] = (1, 2, 3, 4, LOCAL),
    ) -> None:
        self.dpid = dpid
        self.capabilities = capabilities
        self.conduct = Conduct()
        self.ports = set(ports)
        self.tables = Tables(capabilities.tables, capabilities.capacity, capabilities.room_of)
        self.channels: list[Channel] = []
        self.generation: int | None = None
        self.flow_mods: list[FlowMod] = []
        self.on_handled: Callable[[], None] = lambda: None
        self.now = 0.0

    def connect(self, version: int | None = None) -> Channel:
        """A new connection to a controller; with a version, the hellos are over."""
        channel = Channel(self, version)
        self.channels.append(channel)
        return channel

    def forward(self, fields: Mapping[str, int]) -> Passage:
        """What becomes of a frame with these header fields, by OXM name, in the tables as they are now."""
        return forward(self.tables, fields)

    def entries(self) -> list[Entry]:
        return [*self.tables.entries()]

    def advance(self, now: float) -> None:
        """Let time pass: entries end at their time-outs."""
        self.now = max(self.now, now)
        if gone := self.tables.expire(self.now):
            self.report(gone)

    def tamper(self, *flows: FlowMod) -> None:
        """Change the tables as another controller, or a person with a tool, does it."""
        for flow in flows:
            self.report(self.tables.apply(flow, self.now))

    def remove(self, *entries: Entry) -> None:
        """Delete these entries as somebody else does it."""
        for entry in entries:
            self.tamper(entry.flow._replace(command=Command.DELETE_STRICT, instructions=b""))

    def restart(self) -> None:
        """Come back empty: the tables, and what controllers had agreed upon, are gone."""
        self.tables.clear()
        self.generation = None
        for channel in [*self.channels]:
            channel.close()
        self.on_handled()

    def set_port(self, number: int, *, present: bool) -> None:
        """Plug a port in or out."""
        (self.ports.add if present else self.ports.discard)(number)
        for channel in self.channels:
            channel.report_port(number, present=present)

    def report(self, changes: list[Change], by: Channel | None = None, xid: int = 0) -> None:
        """Report to controllers what happened to entries; ``by`` and ``xid`` say whose message did it."""
        for channel in self.channels:
            channel.report_changes(changes, by_itself=channel is by, xid=xid)
        self.on_handled()
