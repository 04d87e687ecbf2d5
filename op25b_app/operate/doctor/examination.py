"""Run every check of ``op25b doctor``."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from op25b_app.operate.doctor.bridge_checks import check_bridge
from op25b_app.operate.doctor.controller_checks import check_controller
from op25b_app.operate.doctor.finding import Finding, error, ok, warning
from op25b_app.operate.doctor.listening_address import ListeningAddress, listening_address
from op25b_app.operate.doctor.mirror_checks import check_mirrors
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
        yield warning(
            CONTROLLER,
            what,
            "ports, datapath ids and tables are not compared with a policy",
            remedy or "op25b run --policy FILE, or op25b doctor --socket PATH",
        )
        expected: list[Mapping[str, Any]] | None = None
    else:
        yield from check_controller(controller)
        expected = list(controller["switches"].values())
        where = listening_address(controller["access"]["openflow"])
    if isinstance(switch, str):
        remedy = "start it (Debian: systemctl start openvswitch-switch), or op25b doctor --db SERVER"
        if NOT_PERMITTED in switch:
            remedy = "run the same command as root, for example with sudo"
        yield error(SWITCH, f"does not answer: {switch}", "bridges cannot be checked", remedy)
        yield from check_switches_elsewhere((), _by_dpid(expected))
        return
    yield from _check_switch(switch)
    yield from _check_bridges(switch, expected, names, where)


def _check_switch(switch: OpenVSwitch) -> Iterator[Finding]:
    yield ok(SWITCH, f"version {switch.version or 'unknown'}")
    if not switch.here:
        yield warning(
            SWITCH,
            "only its database is reached, not ovs-vswitchd",
            "how it handles fragments is not known",
            "op25b doctor on its own machine",
        )
    limit = _number(switch.other_config, "flow-limit", FLOW_LIMIT)
    if limit < FLOW_LIMIT:
        yield warning(
            SWITCH,
            f"flow-limit is {limit}",
            "a full flow cache sends each new connection to ovs-vswitchd",
            "ovs-vsctl remove Open_vSwitch . other_config flow-limit",
        )
    revalidator = _number(switch.other_config, "max-revalidator", REVALIDATOR_MILLISECONDS)
    if revalidator > REVALIDATOR_MILLISECONDS:
        yield warning(
            SWITCH,
            f"max-revalidator is {revalidator} ms",
            "for so long connections go on as before a change",
            "ovs-vsctl remove Open_vSwitch . other_config max-revalidator",
        )
    if switch.other_config.get("vlan-limit", "1") != "1":
        yield error(
            SWITCH,
            f"vlan-limit is {switch.other_config['vlan-limit']}",
            "rules are proven for 1, where nothing is read behind the first tag",
            "ovs-vsctl remove Open_vSwitch . other_config vlan-limit, then restart ovs-vswitchd",
        )
    if switch.other_config.get("hw-offload") == "true":
        yield warning(
            SWITCH,
            "hw-offload is on",
            "the card decides, and op25b is not tested with cards",
            "ovs-vsctl remove Open_vSwitch . other_config hw-offload, then restart ovs-vswitchd",
        )


def _by_dpid(expected: Collection[Mapping[str, Any]] | None) -> dict[int | None, Mapping[str, Any]]:
    return {each["dpid"]: each for each in expected or ()}


def _check_bridges(
    switch: OpenVSwitch,
    expected: Collection[Mapping[str, Any]] | None,
    names: Sequence[str],
    where: ListeningAddress,
) -> Iterator[Finding]:
    by_dpid = _by_dpid(expected)
    for name in sorted(set(names) - {bridge.name for bridge in switch.bridges}):
        there = names_in_words([bridge.name for bridge in switch.bridges]) or "none"
        yield error(name, "there is no such bridge", f"there are: {there}", f"ovs-vsctl add-br {name}")
    for bridge in chosen(switch.bridges, by_dpid, names):
        wanted = by_dpid.get(bridge.datapath_id)
        if expected is not None and bridge.datapath_id is not None and wanted is None:
            yield _stranger(bridge)
        yield from check_bridge(bridge, wanted, switch.release, here=switch.here, listening=where)
        yield from check_mirrors(bridge, wanted)
    yield from _check_twins(switch.bridges, names)
    if not names:
        yield from check_switches_elsewhere({bridge.datapath_id for bridge in switch.bridges}, by_dpid)


def chosen(
    bridges: Sequence[Bridge], dpids: Collection[int | None], names: Collection[str]
) -> Sequence[Bridge]:
    """Return the bridges with these names; without names those of the policy, or all where none is of it."""
    if names:
        return [bridge for bridge in bridges if bridge.name in names]
    return [bridge for bridge in bridges if bridge.datapath_id in dpids] or bridges


def _stranger(bridge: Bridge) -> Finding:
    return error(
        bridge.name,
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
            yield error(
                " and ".join(twins),
                f"have the same datapath id {dpid:#x}",
                "the controller takes them for one switch, and each pushes the other out",
                f"ovs-vsctl set bridge {twins[-1]} other-config:datapath-id=16_HEXADECIMAL_DIGITS",
            )


def _number(settings: Mapping[str, str], key: str, otherwise: int) -> int:
    try:
        return int(settings.get(key, otherwise))
    except ValueError:
        return otherwise
