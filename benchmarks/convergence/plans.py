"""Address plans, and policies over them for a few switches, to change from one to another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.policies import Space, listed_space, mail_destinations, scattered_space
from op25b_app.net.prefix import Prefix
from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

LINES, UPLINK = (1, 2, 3), 4
PORTS = (*LINES, UPLINK)


class Variant(NamedTuple):
    """A policy: an address plan, and what else stands in the file. ``roles`` are those of the ports."""

    name: str
    space: Space
    hardening: str = "{}"
    inbound: str = "{}"
    mode: str = "enforce"
    roles: str = "subscriber_ports: [1-3], uplink_ports: [4]"
    more: str = ""

    def write(self, path: Path, switches: Sequence[str]) -> None:
        """The policy file, its lists of prefixes beside it; datapath ids count from 1."""
        folder, stem = path.parent, path.stem
        lists = {"mail": mail_destinations(), "dynamic": self.space.dynamic, "static": self.space.static}
        for name, prefixes in lists.items():
            (folder / f"{stem}-{name}.txt").write_text("".join(f"{prefix}\n" for prefix in prefixes))
        lines = [
            f"isp: {{mail_destinations: [{{file: {stem}-mail.txt}}]}}",
            "address_space:",
            f"  dynamic: [{{file: {stem}-dynamic.txt}}]",
            f"  static: [{{file: {stem}-static.txt}}]",
            f"mode: {self.mode}",
            f"hardening: {self.hardening}",
            f"inbound: {self.inbound}",
            "switches:",
        ]
        for dpid, switch in enumerate(switches, start=1):
            lines.append(f"  {switch}: {{dpid: {dpid}, {self.roles}, {self.more}}}")
        path.write_text("\n".join([*lines, ""]))

    def policy(self, folder: Path, switches: Sequence[str]) -> Policy:
        path = folder / "examined.yaml"
        self.write(path, switches)
        loaded = load(path, time.time())
        assert loaded.policy is not None, loaded.errors
        return loaded.policy


def two_plans(lists: Path | None, names: tuple[str, str]) -> tuple[Space, Space]:
    """Those of two networks, from a folder with lists of their prefixes; generated ones without it."""
    if lists is not None and lists.is_dir():
        first, second = (listed_space(next(lists.glob(f"{name}*.txt"))) for name in names)
        return first, second
    whole = scattered_space(400)
    half = len(whole.dynamic) // 2, len(whole.static) // 2
    return (
        Space("generated, first", whole.dynamic[: half[0]], whole.static[: half[1]], whole.enclosed_by),
        Space("generated, second", whole.dynamic[half[0] :], whole.static[half[1] :], whole.enclosed_by),
    )


def binding(space: Space) -> str:
    """Bindings of some addresses to lines, as they stand in the file."""
    found = []
    for number, prefix in enumerate((*space.dynamic[:6], *space.static[:6])):
        bound = Prefix(prefix.version, prefix.network, max(prefix.length, 24 if prefix.version == 4 else 56))
        found.append(f'{{port: {LINES[number % len(LINES)]}, addresses: ["{bound}"]}}')
    return f"bindings: [{', '.join(found)}]"
