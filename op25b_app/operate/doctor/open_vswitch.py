"""Read the state of Open vSwitch with its own tools, as values.

The database's tables and columns are those of ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from op25b_app.net.port_number import LOCAL_PORT as LOCAL_PORT_OF_OPENFLOW
from op25b_app.openflow.flow_rule import COOKIE_OWNER

TIMEOUT = "10"
"""Seconds that each tool may take."""
PROTOCOLS = "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15"
TABLES = ("Open_vSwitch", "Bridge", "Controller", "Flow_Table", "Port", "Interface", "Mirror")
LOCAL_PORT = 65534

Row = dict[str, Any]


class OpenVSwitchError(Exception):
    """Open vSwitch does not answer; the text is the message of its tool."""


class OpenFlowController(NamedTuple):
    """One controller of a bridge; ``inactivity_probe`` in milliseconds, None where the default holds."""

    uuid: str
    target: str
    connected: bool
    connection_mode: str | None
    inactivity_probe: int | None
    last_error: str | None

    @property
    def passive(self) -> bool:
        """True where the bridge waits for any controller, instead of calling one."""
        return self.target.startswith(("ptcp:", "pssl:"))


class FlowTable(NamedTuple):
    """The settings of one table; ``prefixes`` None where the defaults hold."""

    uuid: str
    prefixes: frozenset[str] | None
    flow_limit: int | None
    evicts: bool


class Interface(NamedTuple):
    """One interface; ``ofport`` is its OpenFlow port number, None where it has none."""

    name: str
    ofport: int | None
    error: str | None


class Mirror(NamedTuple):
    """One mirror; ``selects`` is True where it copies anything.

    ``output_ports`` are the OpenFlow numbers of the port that it copies to: several for a bond, none where
    the bridge has no such port.
    """

    uuid: str
    name: str
    selects: bool
    output_name: str
    output_ports: frozenset[int]
    output_vlan: int | None


class Counters(NamedTuple):
    """Packets that op25b's rules have handed to NORMAL, and that all ports but LOCAL have sent."""

    handed_over: int
    sent: int


class TableUse(NamedTuple):
    """Numbers of rules, of packets looked up, and of packets matched in one flow table."""

    rules: int
    looked_up: int
    matched: int


class Bridge(NamedTuple):
    """One bridge; ``fragments``, ``version``, ``counters`` and ``uses`` come from ovs-vswitchd.

    They are None where it does not answer.
    """

    name: str
    datapath_id: int | None
    datapath_type: str
    fail_mode: str | None
    protocols: frozenset[str]
    other_config: Mapping[str, str]
    mcast_snooping: bool
    controllers: tuple[OpenFlowController, ...]
    tables: Mapping[int, FlowTable]
    interfaces: tuple[Interface, ...]
    fragments: str | None
    version: str | None
    counters: Counters | None
    local_is_up: bool = False
    uses: Mapping[int, TableUse] | None = None
    mirrors: tuple[Mirror, ...] = ()


class OpenVSwitch(NamedTuple):
    """One Open vSwitch; ``here`` is True where its ovs-vswitchd can be asked, not only its database."""

    bridges: tuple[Bridge, ...]
    other_config: Mapping[str, str]
    here: bool
    version: str | None

    @property
    def release(self) -> tuple[int, int] | None:
        """(3, 1) for version 3.1.0; None where it is unknown."""
        found = re.match(r"(\d+)\.(\d+)", self.version or "")
        return (int(found[1]), int(found[2])) if found else None


def read_open_vswitch(database: str | None = None) -> OpenVSwitch:
    """Read the Open vSwitch with this database, by default this machine's (or OVS_RUNDIR's).

    Raises OpenVSwitchError where it does not answer.
    """
    here = database is None or database.startswith("unix:")
    listed = _list_tables(database)
    (root,) = listed["Open_vSwitch"].values()
    bridges = tuple(
        _bridge(row, listed, _way_to(row["name"], database))
        for row in sorted(listed["Bridge"].values(), key=lambda row: str(row["name"]))
    )
    running = next((bridge.version for bridge in bridges if bridge.version), None)
    return OpenVSwitch(bridges, root["other_config"], here, running or root["ovs_version"])


def _way_to(bridge: str, database: str | None) -> str | None:
    """Return ovs-ofctl's name for a bridge: its name, a socket beside the database's, or None."""
    if database is None:
        return bridge
    kind, _, path = database.partition(":")
    return f"unix:{Path(path).parent / bridge}.mgmt" if kind == "unix" else None


def _list_tables(database: str | None) -> dict[str, dict[str, Row]]:
    """Return the rows of each table by UUID, all of one moment."""
    commands = [part for table in TABLES for part in ("--", "list", table)][1:]
    where = [] if database is None else [f"--db={database}"]
    answer = _run("ovs-vsctl", f"--timeout={TIMEOUT}", "--format=json", *where, *commands)
    tables = (_rows(json.loads(line)) for line in answer.splitlines() if line)
    return dict(zip(TABLES, tables, strict=True))


def _rows(table: Mapping[str, Any]) -> dict[str, Row]:
    rows = [dict(zip(table["headings"], map(_value, row), strict=True)) for row in table["data"]]
    return {row["_uuid"]: row for row in rows}


def _value(value: Any) -> Any:
    """Return a database value (RFC 7047, section 5.1): None for an empty set, a set of one as its element."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "map":
        return {key: _value(item) for key, item in content}
    if kind == "set":
        return [_value(item) for item in content] or None
    return content


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _bridge(row: Row, listed: Mapping[str, Mapping[str, Row]], way: str | None) -> Bridge:
    ports = [listed["Port"][uuid] for uuid in _several(row["ports"])]
    interfaces = [listed["Interface"][uuid] for port in ports for uuid in _several(port["interfaces"])]
    datapath_id = row["datapath_id"]
    return Bridge(
        name=row["name"],
        datapath_id=int(datapath_id, 16) if datapath_id else None,
        datapath_type=row["datapath_type"],
        fail_mode=row["fail_mode"],
        protocols=frozenset(_several(row["protocols"])),
        other_config=row["other_config"],
        mcast_snooping=row["mcast_snooping_enable"],
        controllers=tuple(
            sorted(
                (_controller(listed["Controller"][uuid]) for uuid in _several(row["controller"])),
                key=lambda each: (not each.connected, each.passive, each.target),
            )
        ),
        tables={
            number: _flow_table(listed["Flow_Table"][uuid]) for number, uuid in row["flow_tables"].items()
        },
        interfaces=tuple(
            _interface(each)
            for each in sorted(interfaces, key=lambda each: str(each["name"]))
            if each["ofport"] != LOCAL_PORT
        ),
        local_is_up=any(
            each["ofport"] == LOCAL_PORT and each["admin_state"] == each["link_state"] == "up"
            for each in interfaces
        ),
        fragments=_asked(way, "get-frags", r"(\S+)\s*$"),
        version=_asked(way, "dump-desc", r"Software: (\S+)"),
        counters=_counters(way),
        uses=_uses(way),
        mirrors=tuple(
            sorted(
                (_mirror(listed["Mirror"][uuid], row, listed) for uuid in _several(row["mirrors"])),
                key=lambda each: (each.name, each.uuid),
            )
        ),
    )


def _mirror(row: Row, bridge: Row, listed: Mapping[str, Mapping[str, Row]]) -> Mirror:
    ports = set(_several(bridge["ports"]))
    selected = {*_several(row["select_src_port"]), *_several(row["select_dst_port"])}
    port = listed["Port"][row["output_port"]] if row["output_port"] in ports else None
    devices = [listed["Interface"][uuid] for uuid in _several(port["interfaces"])] if port else []
    numbers = [_interface(device).ofport for device in devices]
    return Mirror(
        row["_uuid"],
        row["name"],
        selects=row["select_all"] or bool(selected & ports),
        output_name=port["name"] if port else "",
        output_ports=frozenset(
            LOCAL_PORT_OF_OPENFLOW if number == LOCAL_PORT else number
            for number in numbers
            if number is not None
        ),
        output_vlan=None if row["output_port"] else row["output_vlan"],
    )


def _counters(way: str | None) -> Counters | None:
    flows = _ofctl(way, "dump-flows", f"cookie={COOKIE_OWNER << 48:#x}/{0xFFFF << 48:#x}")
    ports = None if flows is None else _ofctl(way, "dump-ports")
    if flows is None or ports is None:
        return None
    handed_over = re.findall(r"n_packets=(\d+).*actions=NORMAL$", flows, re.MULTILINE)
    sent = re.findall(r"port +(\S+): rx .*?tx pkts=(\d+)", ports, re.DOTALL)
    return Counters(sum(map(int, handed_over)), sum(int(count) for port, count in sent if port != "LOCAL"))


def _uses(way: str | None) -> dict[int, TableUse] | None:
    dumped = _ofctl(way, "dump-tables")
    return None if dumped is None else uses_in(dumped)


def uses_in(dumped: str) -> dict[int, TableUse]:
    """Return the use of each flow table by number, from the output of ``ovs-ofctl dump-tables``.

    There "ditto" means as the table before.
    """
    uses: dict[int, TableUse] = {}
    before = None
    heads = (
        r"tables? (\d+)(?:\.\.\.(\d+))?(?: \([^)]*\))?:\s+(?:active=(\d+), lookup=(\d+), matched=(\d+)|ditto)"
    )
    for first, last, *counts in re.findall(heads, dumped):
        if counts[0]:
            before = TableUse(*map(int, counts))
        if before is not None:
            uses.update(dict.fromkeys(range(int(first), int(last or first) + 1), before))
    return uses


def _controller(row: Row) -> OpenFlowController:
    probe = row["inactivity_probe"]
    return OpenFlowController(
        row["_uuid"],
        row["target"],
        row["is_connected"],
        row["connection_mode"],
        probe,
        row["status"].get("last_error"),
    )


def _flow_table(row: Row) -> FlowTable:
    prefixes = row["prefixes"]
    return FlowTable(
        row["_uuid"],
        None if prefixes is None else frozenset(_several(prefixes)),
        row["flow_limit"],
        row["overflow_policy"] == "evict",
    )


def _interface(row: Row) -> Interface:
    port = row["ofport"]
    return Interface(row["name"], port if port is not None and port > 0 else None, row["error"])


def _asked(way: str | None, question: str, pattern: str) -> str | None:
    """Return the wanted part of ovs-vswitchd's answer, None where it is not there."""
    found = re.search(pattern, _ofctl(way, question) or "")
    return found[1] if found else None


def _ofctl(way: str | None, question: str, *arguments: str) -> str | None:
    """Return ovs-vswitchd's answer about a bridge through ovs-ofctl, None without an answer."""
    if way is None:
        return None
    try:
        return _run("ovs-ofctl", f"--timeout={TIMEOUT}", "-O", PROTOCOLS, question, way, *arguments)
    except OpenVSwitchError:
        return None


def _run(program: str, *arguments: str) -> str:
    command: Sequence[str] = [program, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as failure:
        raise OpenVSwitchError(f"cannot run {program}: {failure.strerror}") from None
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise OpenVSwitchError(said.splitlines()[-1].removeprefix(f"{program}: "))
    return done.stdout
