"""What a bridge does with frames: forward all of them, or what a policy says."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.policies import AT, LINES, SWITCH, UPLINK, Space, policy_of
from op25b_app.rules.compiler import compile_rules
from op25b_app.rules.pipeline import Table
from tests.openvswitch.private_ovs import PrivateOvs

_TRACKED = {
    Table.EGRESS_SMTP: "ip_dst,ipv6_dst,ip_src",
    Table.INGRESS: "ip_src,ipv6_src",
    Table.INGRESS_REPLIES: "ip_src,ipv6_src,ip_dst",
    Table.INGRESS_SMTP: "ip_src,ipv6_src,ip_dst",
    Table.EGRESS_SOURCE: "ip_src,ipv6_src",
}
"""Three fields at most, the addresses of the world outside first: before version 3.5, Open vSwitch by itself
tracks IPv4 alone."""


class Filter(NamedTuple):
    """A pipeline under comparison; ``hardening`` None is none at all."""

    name: str
    hardening: str | None
    tracks_ipv6: bool = False
    """Whether Open vSwitch is told to track prefixes of IPv6, too (column ``prefixes`` of ``Flow_Table``)."""


NO_FILTER = Filter("no filter", None)
UNHARDENED = Filter("unhardened", "unhardened")
DEFAULTS = Filter("defaults", "defaults")
PREFIX = Filter("prefix", "prefix")
BINDING = Filter("binding", "binding")
DEFAULTS_TRACKED, PREFIX_TRACKED, BINDING_TRACKED = (
    Filter(f"{chosen.name}, IPv6 tracked", chosen.hardening, tracks_ipv6=True)
    for chosen in (DEFAULTS, PREFIX, BINDING)
)
FILTERS = (
    NO_FILTER,
    UNHARDENED,
    DEFAULTS,
    PREFIX,
    BINDING,
    DEFAULTS_TRACKED,
    PREFIX_TRACKED,
    BINDING_TRACKED,
)


def filtered_bridge(
    ovs: PrivateOvs, name: str, space: Space, chosen: Filter, *, datapath_type: str = ""
) -> int:
    """A new bridge with these rules; returns how many it holds."""
    ovs.add_bridge(name, [*LINES, UPLINK], datapath_type=datapath_type)
    if chosen.hardening is None:
        ovs.add_flows(name, "actions=NORMAL")
        return 1
    if chosen.tracks_ipv6:
        for table, fields in _TRACKED.items():
            create = ("--", "--id=@table", "create", "Flow_Table", f"prefixes={fields}")
            ovs.vsctl(*create, "--", "set", "Bridge", name, f"flow_tables:{table.value}=@table")
    policy = policy_of(space, chosen.hardening)
    rules = compile_rules(policy, policy.switches[SWITCH], AT)
    with ovs.openflow(name) as switch:
        refused = switch.load(list(rules))
    assert not refused, refused
    return len(rules)


def keep_megaflows(ovs: PrivateOvs) -> None:
    """Let megaflows stay, and nothing look at them: none is made while a revalidator holds its place."""
    settings = [f"other_config:{name}={_KEPT_MILLISECONDS}" for name in ("max-idle", "max-revalidator")]
    ovs.vsctl("set", "Open_vSwitch", ".", *settings)


_KEPT_MILLISECONDS = 3_600_000
