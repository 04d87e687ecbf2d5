"""Check one bridge of Open vSwitch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from op25b_app.net.port_number import LOCAL_PORT, port_name
from op25b_app.operate.doctor.finding import Finding, error, ok, ranges_of, warning
from op25b_app.operate.doctor.listening_address import ListeningAddress
from op25b_app.operate.doctor.mirror_checks import check_mirrors
from op25b_app.operate.doctor.open_vswitch import Bridge
from op25b_app.operate.doctor.state_checks import check_state, is_refused, refused
from op25b_app.operate.doctor.table_checks import check_handover, check_tables
from op25b_app.sync.normal_forwarding import forwards_nothing

NEWER_PROTOCOLS = {"OpenFlow13", "OpenFlow14", "OpenFlow15"}


def check_bridge(
    bridge: Bridge,
    expected: Mapping[str, Any] | None,
    release: tuple[int, int] | None,
    *,
    here: bool,
    listening: ListeningAddress,
) -> Iterator[Finding]:
    """Yield findings about a bridge; ``expected`` is what the policy wants of it, None where unknown."""
    if bridge.datapath_id is None:
        yield _no_datapath(bridge)
        yield from check_mirrors(bridge, expected)
        return
    datapath = "user-space datapath" if bridge.datapath_type == "netdev" else "datapath of the kernel"
    yield ok(f"datapath id {bridge.datapath_id:#x}, {datapath}")
    yield from _check_fail_mode(bridge)
    yield from _check_protocols(bridge)
    yield from _check_controllers(bridge, expected, listening)
    yield from _check_interfaces(bridge)
    if expected is not None:
        yield from _check_connection(bridge, expected, listening)
        if expected.get("ports_known", True):
            yield from _check_ports(bridge, expected["roles"])
        yield from check_handover(bridge, expected)
    yield from check_tables(bridge, expected["tables"] if expected else {}, release)
    yield from _check_multicast(bridge)
    yield from _check_forwarding(bridge)
    if here:
        yield from _check_fragments(bridge)
    yield from check_mirrors(bridge, expected)


def _no_datapath(bridge: Bridge) -> Finding:
    remedy = f"ovs-vsctl set bridge {bridge.name} datapath_type=netdev"
    if bridge.datapath_type != "netdev":
        remedy = f"modprobe openvswitch, or {remedy}"
    what = f"has no datapath (datapath_type is {bridge.datapath_type or 'system'})"
    return error(what, "it forwards nothing, and no controller is called", remedy)


def _check_fail_mode(bridge: Bridge) -> Iterator[Finding]:
    if bridge.fail_mode == "secure":
        yield ok("fail_mode is secure: its rules outlive the controller")
        return
    yield error(
        f"fail_mode is {bridge.fail_mode or 'not set, which is standalone'}",
        "seconds after the controller is gone it drops all rules, and port 25 is open",
        f"ovs-vsctl set-fail-mode {bridge.name} secure",
    )


def _check_protocols(bridge: Bridge) -> Iterator[Finding]:
    if not bridge.protocols or bridge.protocols & NEWER_PROTOCOLS:
        yield ok(f"protocols: {', '.join(sorted(bridge.protocols)) or 'all'}")
        return
    yield error(
        f"protocols are only {', '.join(sorted(bridge.protocols))}",
        "op25b speaks OpenFlow 1.3 to 1.5, so this switch gets no rules",
        f"ovs-vsctl set bridge {bridge.name} protocols=OpenFlow13",
    )


def _check_controllers(
    bridge: Bridge, expected: Mapping[str, Any] | None, listening: ListeningAddress
) -> Iterator[Finding]:
    """Yield findings about controllers; the running one knows of a connection seconds before the database."""
    name, controllers = bridge.name, bridge.controllers
    known = expected is not None and expected["connected"]
    connected = ", ".join(each.target for each in controllers if each.connected)
    if not controllers:
        yield error(
            "has no controller",
            "no controller sends it rules",
            f"ovs-vsctl set-controller {name} {listening.target()}",
        )
    elif expected is not None and is_refused(expected):
        yield refused(expected)
    elif not connected and not known:
        yield _not_connected(bridge, listening)
    else:
        yield ok(f"connected to {connected or 'the running controller'}")
    if len(controllers) > 1:
        targets = ", ".join(each.target for each in controllers)
        yield warning(
            f"has {len(controllers)} controllers: {targets}",
            "each may change rules: op25b repairs its own, and only reports others that change a verdict",
            f"ovs-vsctl set-controller {name} {controllers[0].target}, if only that one is wanted",
        )
    for controller in controllers:
        if controller.passive:
            yield warning(
                f"takes any controller that connects to {controller.target}",
                "any host that reaches that port can change rules",
                f"ovs-vsctl set-controller {name} {listening.target()}",
            )
        if controller.inactivity_probe == 0:
            yield warning(
                f"inactivity_probe of {controller.target} is 0",
                "a connection that died silently is never noticed, and no other is made",
                f"ovs-vsctl clear controller {controller.uuid} inactivity_probe",
            )
    yield from _check_in_band(bridge)


def _not_connected(bridge: Bridge, listening: ListeningAddress) -> Finding:
    targets = ", ".join(
        f"{each.target} ({each.last_error})" if each.last_error else each.target
        for each in bridge.controllers
    )
    return error(
        f"is not connected to its controller {targets}",
        "its rules are not repaired, and reloads do not reach it",
        _way_to_controller(bridge, listening),
    )


def _way_to_controller(bridge: Bridge, listening: ListeningAddress) -> str:
    """Return the remedy for a bridge that is not connected, with its own hosts where it calls any."""
    set_controller = f"ovs-vsctl set-controller {bridge.name}"
    called = [each.target for each in bridge.controllers if each.target.startswith(("tcp:", "ssl:"))]
    right = [*dict.fromkeys(map(listening.corrected, called))]
    if not called:
        return f"{set_controller} {listening.target()}"
    if not listening.ports:
        return f"op25b run at that address, or {set_controller} {called[0].partition(':')[0]}:HOST:PORT"
    if right == called:
        ports = " or ".join(map(str, listening.ports))
        return f"let that address lead to the running controller, at its port {ports}{listening.about_tls}"
    where = f"where the running controller awaits switches{listening.about_tls}"
    return f"{set_controller} {' '.join(right)}, {where}"


def _check_in_band(bridge: Bridge) -> Iterator[Finding]:
    if bridge.other_config.get("disable-in-band") == "true":
        return
    if in_band := [each for each in bridge.controllers if each.connection_mode != "out-of-band"]:
        yield warning(
            f"controls itself in-band ({', '.join(each.target for each in in_band)})",
            "hidden rules above all others let ARP and the controller's TCP port pass, which no proof sees",
            f"ovs-vsctl set bridge {bridge.name} other-config:disable-in-band=true",
        )


def _check_interfaces(bridge: Bridge) -> Iterator[Finding]:
    for interface in bridge.interfaces:
        if interface.ofport is None:
            yield warning(
                f"port {interface.name} is not there: {interface.error or 'it has no number'}",
                "no frame passes it",
                f"ip link show {interface.name}, then ovs-vsctl del-port {bridge.name} {interface.name} "
                "or mend the device",
            )


def _check_connection(
    bridge: Bridge, expected: Mapping[str, Any], listening: ListeningAddress
) -> Iterator[Finding]:
    if expected["connected"]:
        yield check_state(expected)
    elif not is_refused(expected) and any(controller.connected for controller in bridge.controllers):
        yield error(
            f"is {expected['name']} of the policy and not connected to the running controller",
            "another controller sends its rules, and reloads do not reach it",
            f"ovs-vsctl set-controller {bridge.name} {listening.target()}, with the address of this "
            "controller",
        )


def _check_ports(bridge: Bridge, roles: Mapping[str, Collection[int]]) -> Iterator[Finding]:
    present = {each.ofport: each.name for each in bridge.interfaces if each.ofport is not None}
    role_of = {port: role for role, ports in roles.items() for port in ports}
    if bridge.local_is_up or LOCAL_PORT in role_of:
        present[LOCAL_PORT] = bridge.name
    for port in sorted(present.keys() - role_of.keys()):
        away = f"ovs-vsctl del-port {bridge.name} {present[port]}"
        yield warning(
            f"port {port_name(port)} ({present[port]}) has no role in the policy",
            "it counts as a subscriber port" + (", and the switch as degraded" if port != LOCAL_PORT else ""),
            f"name it in the policy, or {f'ip link set {bridge.name} down' if port == LOCAL_PORT else away}",
        )
    for role, ports in roles.items():
        if missing := sorted(set(ports) - present.keys()):
            yield warning(
                f"no port {ranges_of(missing)}, which the policy calls {role}",
                "a port with another number than meant has another role",
                "ovs-vsctl set interface DEVICE ofport_request=NUMBER",
            )
    if present.keys() == role_of.keys():
        yield ok(f"{len(present)} ports, each with its role")


def _check_multicast(bridge: Bridge) -> Iterator[Finding]:
    if (
        bridge.mcast_snooping
        and bridge.other_config.get("mcast-snooping-disable-flood-unregistered") == "true"
    ):
        yield warning(
            "does not flood unregistered multicast",
            "neighbour discovery of lines that join no group does not arrive",
            f"ovs-vsctl remove bridge {bridge.name} other_config mcast-snooping-disable-flood-unregistered",
        )


def _check_forwarding(bridge: Bridge) -> Iterator[Finding]:
    if bridge.counters is not None and forwards_nothing(*bridge.counters):
        yield error(
            f"was handed {bridge.counters.handed_over} packets to forward (NORMAL), and no port has sent one",
            "what op25b permits does not arrive",
            f"ovs-ofctl show {bridge.name} (is a port NO_FWD or down?), or forwarding: {{table: N}} in the "
            "policy, with an application that forwards",
        )


def _check_fragments(bridge: Bridge) -> Iterator[Finding]:
    if bridge.fragments is None:
        yield error(
            "ovs-vswitchd does not answer for it",
            "without it nothing is forwarded",
            "ovs-ctl start, as root; its log is ovs-vswitchd.log",
        )
    elif bridge.fragments != "normal":
        yield error(
            f"handles fragments as '{bridge.fragments}'",
            "rules are proven for 'normal', where the TCP port of every fragment reads as 0",
            f"ovs-ofctl -O OpenFlow13 set-frags {bridge.name} normal",
        )
    else:
        yield ok("fragments are handled as 'normal'")
