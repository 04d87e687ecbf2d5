"""``op25b explain``: show the verdict for one packet, and its reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from op25b_app.cli.arguments import (
    PortParam,
    at_option,
    exit_where_ports_are_missing,
    json_option,
    policy_argument,
    policy_or_exit,
    ports_option,
    print_json,
    switch_or_fail,
)
from op25b_app.net.port_number import NO_PORT, port_name

if TYPE_CHECKING:
    from op25b_app.policy.model import Policy
    from op25b_app.policy.packet import Packet

_Text = TypeVar("_Text", str, bytes)
_Value = TypeVar("_Value")


@click.command(short_help="Show the verdict for a packet, and its reason.")
@policy_argument
@click.option(
    "--switch",
    "switch_name",
    metavar="NAME",
    help="The switch, by its name in the policy [where --src is bound].",
)
@click.option(
    "--in-port", type=PortParam(), metavar="N", help="The port of arrival, or LOCAL [where --src is bound]."
)
@click.option("--src", metavar="ADDRESS", help="Source address.")
@click.option("--dst", metavar="ADDRESS", help="Destination address.")
@click.option("--proto", default="tcp", metavar="NAME", help="tcp (default), udp, icmp, icmpv6 or a number.")
@click.option(
    "--sport", type=click.IntRange(0, 65535), default=49152, metavar="N", help="Source port [49152]."
)
@click.option(
    "--dport", type=click.IntRange(0, 65535), default=25, metavar="N", help="Destination port [25]."
)
@click.option("--mac", metavar="MAC", help="Ethernet source.")
@click.option("--vlan", type=click.IntRange(0, 4095), metavar="N", help="Number of the 802.1Q tag.")
@click.option("--packet", "frame", metavar="HEX", help="A whole frame instead of the fields above.")
@ports_option
@at_option
@json_option
def command(
    path: Path,
    switch_name: str | None,
    in_port: int | None,
    port_files: tuple[str, ...],
    at: float,
    as_json: bool,
    **fields: Any,
) -> None:
    """Show what one switch does with a packet.

    The output has the verdict, the line of POLICY that decides, and the flow rule that applies it. Without
    --switch and --in-port, the packet comes from the line to which POLICY binds its source.

    Exits with 0 where the verdict is shown, permit or block. Exits with 1 where POLICY has errors, or its
    flow rules do not do what POLICY says, which is an error of op25b.
    """
    from op25b_app.compiler.compiler import compile_rules
    from op25b_app.compiler.simulate import deciding, trace, verdict
    from op25b_app.openflow.ofctl import format_rule
    from op25b_app.policy.decide import decide
    from op25b_app.policy.model import SubscriberPort

    _refuse_fields_beside_a_frame(fields)
    _refuse_half_a_place(switch_name, in_port, fields)
    make = _packet_of_frame if fields["frame"] else _packet_of_fields
    packet = make(in_port or 0, fields)
    policy = policy_or_exit(path, at, port_files, switch_name)
    if switch_name is None or in_port is None:
        switch_name, packet = _from_its_line(policy, packet, fields)
    switch = switch_or_fail(policy, switch_name)
    exit_where_ports_are_missing(policy, [switch_name])
    decision = decide(policy, switch, packet, at)
    passed = trace(compile_rules(policy, switch, at), packet)
    decider = deciding(passed)
    result = {
        "verdict": decision.verdict.value,
        "switch": switch.name,
        "port": packet.in_port,
        "vlan": packet.tag,
        "rule": decision.rule,
        "because": decision.because,
        "policy_file": decision.place.file,
        "policy_line": decision.place.line,
        "flow": format_rule(decider) if decider is not None else None,
        "path": [format_rule(rule) for rule in passed],
    }
    if as_json:
        print_json(result)
    else:
        click.echo(f"{result['verdict']}: {result['because']}")
        if in_port is None:
            click.echo(f"  line      {SubscriberPort(switch.name, packet.in_port, packet.tag)}")
        click.echo(f"  decision  {result['rule']}")
        click.echo(f"  policy    {decision.place}")
        click.echo(f"  flow      {result['flow']}")
    reached = verdict(passed, switch.forwarding_table)
    if reached is not decision.verdict:
        click.echo(f"the flow rules say {reached.value}: please report this error", err=True)
        sys.exit(1)


def _refuse_fields_beside_a_frame(fields: dict[str, Any]) -> None:
    """Raise click.UsageError where a whole frame is given together with single fields."""
    context = click.get_current_context()
    given = [
        name
        for name in fields
        if name != "frame" and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if fields["frame"] and given:
        options = ", ".join(f"--{name}" for name in given)
        raise click.UsageError(f"--packet is a whole frame; leave out {options}")


def _refuse_half_a_place(switch_name: str | None, in_port: int | None, fields: dict[str, Any]) -> None:
    """Raise click.UsageError where only one of switch and port is given, or neither for a whole frame."""
    if (switch_name is None) is not (in_port is None):
        given, missing = ("--switch", "--in-port") if in_port is None else ("--in-port", "--switch")
        raise click.UsageError(f"{missing} is missing; write it, or leave out {given}, too")
    if switch_name is None and fields["frame"]:
        raise click.UsageError("--switch and --in-port are missing: where does the frame come in?")


def _from_its_line(policy: Policy, packet: Packet, fields: dict[str, Any]) -> tuple[str, Packet]:
    """Return the packet as it comes from the line to which its source is bound, and that line's switch.

    It has the tag and the MAC address of that binding, unless options name others. Raises click.UsageError
    where the source is bound to no line, or to several.
    """
    from op25b_app.policy.diagnostic import names_in_words

    found = [
        (switch, binding)
        for switch in policy.switches.values()
        for binding in switch.bindings
        if any(listed.prefix.contains(packet.version or 0, packet.source) for listed in binding.addresses)
    ]
    if len(found) != 1:
        lines = [f"port {port_name(binding.port)} of {switch.name}" for switch, binding in found]
        where = f"bound to {names_in_words(lines)}" if lines else "bound to no line of this policy"
        raise click.UsageError(f"{fields['src']} is {where}; name --switch and --in-port")
    ((switch, binding),) = found
    if binding.port == NO_PORT:
        exit_where_ports_are_missing(policy, [switch.name])
        what = (
            f"{fields['src']} is bound to port {binding.port_name} of {switch.name}, which is no line there"
        )
        raise click.UsageError(f"{what}; name --switch and --in-port")
    packet = replace(packet, in_port=binding.port)
    if binding.vlan and fields["vlan"] is None:
        packet = replace(packet, tags=(binding.vlan,))
    if binding.mac is not None and fields["mac"] is None:
        packet = replace(packet, eth_source=binding.mac)
    return switch.name, packet


def _packet_of_frame(in_port: int, fields: dict[str, Any]) -> Packet:
    from op25b_app.policy.packet import read_frame

    try:
        frame = bytes.fromhex(fields["frame"])
    except ValueError:
        what = "not a frame; write pairs of hexadecimal digits, from the Ethernet destination on"
        raise click.BadParameter(what, param_hint="--packet") from None
    return _read(partial(read_frame, in_port), frame, "--packet")


def _packet_of_fields(in_port: int, fields: dict[str, Any]) -> Packet:
    from op25b_app.policy.packet_text import make_packet, read_mac, read_protocol

    source, destination = _address(fields, "src"), _address(fields, "dst")
    protocol = _read(read_protocol, fields["proto"], "--proto")
    mac = None if fields["mac"] is None else _read(read_mac, fields["mac"], "--mac")
    ports = fields["sport"], fields["dport"]
    try:
        return make_packet(in_port, source, destination, protocol, ports, mac, fields["vlan"])
    except ValueError as failure:
        raise click.BadParameter(str(failure), param_hint="--src, --dst") from None


def _address(fields: dict[str, Any], name: str) -> tuple[int, int]:
    from op25b_app.net.prefix import parse_address

    if fields[name] is None:
        raise click.UsageError(f"--{name} is missing (or give a whole frame with --packet)")
    return _read(parse_address, fields[name], f"--{name}")


def _read(reader: Callable[[_Text], _Value], text: _Text, option: str) -> _Value:
    """Return the value of an option. Raises click.BadParameter where ``reader`` raises ValueError."""
    try:
        return reader(text)
    except ValueError as failure:
        raise click.BadParameter(str(failure), param_hint=option) from None
