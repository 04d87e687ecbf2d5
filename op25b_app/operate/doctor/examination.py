"""Run every check of ``op25b doctor``."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from op25b_app.operate.doctor.bridge_checks import check_bridge
from op25b_app.operate.doctor.controller_checks import check_controller
from op25b_app.operate.doctor.finding import Finding, at, error, ok, warning
from op25b_app.operate.doctor.listening_address import ListeningAddress, listening_address
from op25b_app.operate.doctor.open_vswitch import Bridge, OpenVSwitch
from op25b_app.operate.doctor.state_checks import check_switches_elsewhere
from op25b_app.policy.diagnostic import names_in_words

SWITCH = "Open vSwitch"
CONTROLLER = "controller"
NOT_PERMITTED = os.strerror(errno.EACCES)
FLOW_LIMIT = 200_000
REVALIDATOR_MILLISECONDS = 500
"""Defaults of Open vSwitch, in flows and ms."""


def examine(
    switch: OpenVSwitch | str, controller: Mapping[str, Any] | str, names: Sequence[str]
) -> Iterator[Finding]:
    """Yield findings about both; a text in place of either says why it is missing.

    ``controller`` is its own report and holds, under ``switches``, what its policy expects by name; a switch
    has a text under ``refused`` where its certificate was refused lately. ``names`` are the bridges to look
    at, if not all.
    """
    where = ListeningAddress()
    if isinstance(controller, str):
        what, _, remedy = controller.partition(": ")
        why = "ports, datapath ids and tables are not compared with a policy"
        remedy = remedy or "op25b run --policy FILE, or op25b doctor --socket PATH"
        yield from at(CONTROLLER, [warning(what, why, remedy)])
        expected: dict[int | None, Mapping[str, Any]] | None = None
    else:
        yield from at(CONTROLLER, check_controller(controller))
        expected = {each["dpid"]: each for each in controller["switches"].values()}
        where = listening_address(controller["access"]["openflow"])
    if isinstance(switch, str):
        remedy = "start it (Debian: systemctl start openvswitch-switch), or op25b doctor --db SERVER"
        if NOT_PERMITTED in switch:
            remedy = "run the same command as root, for example with sudo"
        yield from at(SWITCH, [error(f"does not answer: {switch}", "bridges cannot be checked", remedy)])
        yield from check_switches_elsewhere((), expected or {})
        return
    yield from at(SWITCH, _check_switch(switch))
    yield from _check_bridges(switch, expected, names, where)


def _check_switch(switch: OpenVSwitch) -> Iterator[Finding]:
    yield ok(f"version {switch.version or 'unknown'}")
    if not switch.here:
        yield warning(
            "only its database is reached, not ovs-vswitchd",
            "how it handles fragments is not known",
            "op25b doctor on its own machine",
        )
    limit = _number(switch.other_config, "flow-limit", FLOW_LIMIT)
    if limit < FLOW_LIMIT:
        yield warning(
            f"flow-limit is {limit}",
            "a full flow cache sends each new connection to ovs-vswitchd",
            "ovs-vsctl remove Open_vSwitch . other_config flow-limit",
        )
    revalidator = _number(switch.other_config, "max-revalidator", REVALIDATOR_MILLISECONDS)
    if revalidator > REVALIDATOR_MILLISECONDS:
        yield warning(
            f"max-revalidator is {revalidator} ms",
            "for so long connections go on as before a change",
            "ovs-vsctl remove Open_vSwitch . other_config max-revalidator",
        )
    if switch.other_config.get("vlan-limit", "1") != "1":
        yield error(
            f"vlan-limit is {switch.other_config['vlan-limit']}",
            "rules are proven for 1, where nothing is read behind the first tag",
            "ovs-vsctl remove Open_vSwitch . other_config vlan-limit, then restart ovs-vswitchd",
        )
    if switch.other_config.get("hw-offload") == "true":
        yield warning(
            "hw-offload is on",
            "the card decides, and op25b is not tested with cards",
            "ovs-vsctl remove Open_vSwitch . other_config hw-offload, then restart ovs-vswitchd",
        )


def _check_bridges(
    switch: OpenVSwitch,
    expected: Mapping[int | None, Mapping[str, Any]] | None,
    names: Sequence[str],
    where: ListeningAddress,
) -> Iterator[Finding]:
    for name in sorted(set(names) - {bridge.name for bridge in switch.bridges}):
        there = names_in_words([bridge.name for bridge in switch.bridges]) or "none"
        missing = error("there is no such bridge", f"there are: {there}", f"ovs-vsctl add-br {name}")
        yield from at(name, [missing])
    for bridge in chosen(switch.bridges, expected or (), names):
        wanted = (expected or {}).get(bridge.datapath_id)
        if expected is not None and bridge.datapath_id is not None and wanted is None:
            yield from at(bridge.name, [_stranger(bridge)])
        found = check_bridge(bridge, wanted, switch.release, here=switch.here, listening=where)
        yield from at(bridge.name, found)
    yield from _check_twins(switch.bridges, names)
    if not names:
        yield from check_switches_elsewhere({bridge.datapath_id for bridge in switch.bridges}, expected or {})


def chosen(
    bridges: Sequence[Bridge], dpids: Collection[int | None], names: Collection[str]
) -> Sequence[Bridge]:
    """Return the bridges with these names; without names those of the policy, or all where none is of it."""
    if names:
        return [bridge for bridge in bridges if bridge.name in names]
    return [bridge for bridge in bridges if bridge.datapath_id in dpids] or bridges


def _stranger(bridge: Bridge) -> Finding:
    return error(
        f"datapath id {bridge.datapath_id:#x} is not in the policy",
        "op25b leaves this switch alone",
        f"add a switch with that dpid to the policy, or "
        f"ovs-vsctl set bridge {bridge.name} other-config:datapath-id=16_HEXADECIMAL_DIGITS",
    )


def _check_twins(bridges: Sequence[Bridge], names: Collection[str]) -> Iterator[Finding]:
    by_dpid: dict[int, list[str]] = defaultdict(list)
    for bridge in bridges:
        if bridge.datapath_id is not None:
            by_dpid[bridge.datapath_id].append(bridge.name)
    for dpid, twins in by_dpid.items():
        if len(twins) > 1 and (not names or set(twins) & set(names)):
            what = f"have the same datapath id {dpid:#x}"
            why = "the controller takes them for one switch, and each pushes the other out"
            remedy = f"ovs-vsctl set bridge {twins[-1]} other-config:datapath-id=16_HEXADECIMAL_DIGITS"
            yield from at(" and ".join(twins), [error(what, why, remedy)])


def _number(settings: Mapping[str, str], key: str, otherwise: int) -> int:
    try:
        return int(settings.get(key, otherwise))
    except ValueError:
        return otherwise
