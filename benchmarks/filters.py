"""What a bridge does with frames: forward all of them, or what a policy says."""

from __future__ import annotations

import enum
from typing import NamedTuple

from benchmarks.policies import (
    AT,
    LINES,
    SWITCH,
    UPLINK,
    VERSIONS,
    Space,
    mail_destinations,
    policy_of,
)
from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.matches import Fields, destination, source, tcp_to
from op25b_app.compiler.pipeline import SMTP, Table
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import minimal_cover, of_version
from op25b_app.openflow.flow_rule import NORMAL, Action, FlowRule, Goto, match_of
from testing.private_ovs import PrivateOvs

_TRACKED = {
    Table.EGRESS_SMTP: "ip_dst,ipv6_dst,ip_src",
    Table.INGRESS: "ip_src,ipv6_src",
    Table.INGRESS_REPLIES: "ip_src,ipv6_src,ip_dst",
    Table.INGRESS_SMTP: "ip_src,ipv6_src,ip_dst",
    Table.EGRESS_SOURCE: "ip_src,ipv6_src",
}
"""Three fields at most, the addresses of the world outside first: before version 3.5, Open vSwitch by itself
tracks IPv4 alone."""


class Pipeline(enum.Enum):
    NONE = enum.auto()
    """Everything is forwarded."""
    SOURCE_FIRST = enum.auto()
    """What comes to mind first: a table that matches source prefixes leads to one that matches the port."""
    OURS = enum.auto()
    KERNEL = enum.auto()
    """A bridge of the kernel that forwards everything."""
    NFTABLES = enum.auto()
    """The same, filtered by nftables with the same policy, the port tested before any address."""
    NFTABLES_ADDRESSES_FIRST = enum.auto()


class Filter(NamedTuple):
    """A pipeline under comparison; ``hardening`` is that of ours."""

    name: str
    pipeline: Pipeline
    hardening: str = ""
    tracks_ipv6: bool = False
    """Whether Open vSwitch is told to track prefixes of IPv6, too (column ``prefixes`` of ``Flow_Table``)."""


NO_FILTER = Filter("no filter", Pipeline.NONE)
NO_FILTER_AGAIN = Filter("no filter, again", Pipeline.NONE)
SOURCE_FIRST = Filter("source first", Pipeline.SOURCE_FIRST)
KERNEL = Filter("kernel bridge, no filter", Pipeline.KERNEL)
NFTABLES = Filter("nftables", Pipeline.NFTABLES)
NFTABLES_ADDRESSES_FIRST = Filter("nftables, addresses first", Pipeline.NFTABLES_ADDRESSES_FIRST)
IN_KERNEL = (Pipeline.KERNEL, Pipeline.NFTABLES, Pipeline.NFTABLES_ADDRESSES_FIRST)
UNHARDENED, DEFAULTS, PREFIX, BINDING = (
    Filter(name, Pipeline.OURS, name) for name in ("unhardened", "defaults", "prefix", "binding")
)
DEFAULTS_TRACKED, PREFIX_TRACKED, BINDING_TRACKED = (
    Filter(f"{chosen.name}, IPv6 tracked", Pipeline.OURS, chosen.hardening, tracks_ipv6=True)
    for chosen in (DEFAULTS, PREFIX, BINDING)
)


def filtered_bridge(
    ovs: PrivateOvs, name: str, space: Space, chosen: Filter, *, datapath_type: str = ""
) -> int:
    """A new bridge with these rules; returns how many it holds."""
    ovs.add_bridge(name, [*LINES, UPLINK], datapath_type=datapath_type)
    if chosen.pipeline is Pipeline.NONE:
        ovs.add_flows(name, "actions=NORMAL")
        return 1
    if chosen.tracks_ipv6:
        for table, fields in _TRACKED.items():
            create = ("--", "--id=@table", "create", "Flow_Table", f"prefixes={fields}")
            ovs.vsctl(*create, "--", "set", "Bridge", name, f"flow_tables:{table.value}=@table")
    rules = _source_first(space) if chosen.pipeline is Pipeline.SOURCE_FIRST else _ours(space, chosen)
    with ovs.openflow(name) as switch:
        refused = switch.load(rules)
    assert not refused, refused
    return len(rules)


def _ours(space: Space, chosen: Filter) -> list[FlowRule]:
    policy = policy_of(space, chosen.hardening)
    return list(compile_rules(policy, policy.switches[SWITCH], AT))


def _source_first(space: Space) -> list[FlowRule]:
    """Dynamic sources speak to port 25 of mail destinations and of nobody else."""
    rules = [_rule(0, 10, NORMAL), _rule(1, 10, NORMAL)]
    for version in VERSIONS:
        own: dict[Prefix, Action] = dict.fromkeys(of_version(space.dynamic, version), _LOOK_AT_PORT)
        own.update(dict.fromkeys(of_version(space.static, version), NORMAL))
        rules += [_rule(0, 100 + prefix.length, action, source(prefix)) for prefix, action in own.items()]
        rules.append(_rule(1, 100, None, tcp_to(version, SMTP)))
        rules += [
            _rule(1, 200, NORMAL, (*tcp_to(version, SMTP), *destination(prefix)))
            for prefix in minimal_cover(version, mail_destinations())
        ]
    return rules


_LOOK_AT_PORT: Action = Goto(1)


def _rule(table: int, priority: int, action: Action, fields: Fields = ()) -> FlowRule:
    return FlowRule(table, priority, match_of(fields), action, cookie=0)


def keep_megaflows(ovs: PrivateOvs) -> None:
    """Let megaflows stay, and nothing look at them: none is made while a revalidator holds its place."""
    settings = [f"other_config:{name}={_KEPT_MILLISECONDS}" for name in ("max-idle", "max-revalidator")]
    ovs.vsctl("set", "Open_vSwitch", ".", *settings)


_KEPT_MILLISECONDS = 3_600_000
