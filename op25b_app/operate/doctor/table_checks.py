"""Check the settings of op25b's flow tables in a bridge of Open vSwitch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from op25b_app.compiler.pipeline import PIPELINE
from op25b_app.openflow.ofctl import ofctl_name
from op25b_app.operate.doctor.finding import Finding, error, ok, ranges_of, warning
from op25b_app.operate.doctor.open_vswitch import Bridge
from op25b_app.sync.words import count

TRACKED_BY_DEFAULT = (3, 5)
"""Release of Open vSwitch from which IPv6 addresses are tracked, too."""


def check_tables(
    bridge: Bridge, needed: Mapping[str, Any], release: tuple[int, int] | None
) -> Iterator[Finding]:
    """Yield findings about flow tables; ``needed`` is what goes into each, by its number as text."""
    yield from _check_limits(bridge, needed)
    yield from _check_prefixes(bridge, needed, release)


def check_handover(bridge: Bridge, expected: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield findings about the flow table that takes permitted packets, where that is not NORMAL."""
    number = expected.get("forwarding_table")
    if number is None or bridge.uses is None or (use := bridge.uses.get(number)) is None:
        return
    normal = f"forwarding: normal under {expected['name']} in the policy"
    if not use.rules:
        yield error(
            f"has no rule in table {number}, to which the policy hands over",
            "what op25b permits is dropped there",
            f"start the application that fills table {number} beside op25b "
            f"(op25b run --policy FILE APPLICATION), or write {normal}",
        )
    elif use.looked_up and not use.matched:
        yield warning(
            f"table {number}, to which the policy hands over, had a rule for none of {use.looked_up} packets",
            "what op25b permits is dropped there",
            f"ovs-ofctl -O OpenFlow13 dump-flows {bridge.name} table={number} shows what the other "
            f"application has put there; or write {normal}",
        )
    else:
        yield ok(f"table {number}, to which the policy hands over, holds {count(use.rules, 'rule')}")


def _check_limits(bridge: Bridge, needed: Mapping[str, Any]) -> Iterator[Finding]:
    for number, table in sorted(bridge.tables.items()):
        if table.evicts:
            yield error(
                f"table {number} gives up old rules for new ones",
                "an evicted rule of op25b blocks no more",
                f"ovs-vsctl set Flow_Table {table.uuid} overflow_policy=refuse",
            )
        rules = needed.get(str(number), {"rules": 0})["rules"]
        if table.flow_limit is not None and table.flow_limit < rules:
            yield error(
                f"table {number} takes {table.flow_limit} rules, and the policy needs {rules}",
                "what does not fit is not there, and the switch is degraded",
                f"ovs-vsctl clear Flow_Table {table.uuid} flow_limit",
            )


def _check_prefixes(
    bridge: Bridge, needed: Mapping[str, Any], release: tuple[int, int] | None
) -> Iterator[Finding]:
    by_default = {"ip_src", "ip_dst"}
    if release is not None and release >= TRACKED_BY_DEFAULT:
        by_default |= {"ipv6_src", "ipv6_dst"}
    untracked = {}
    for table, described in PIPELINE.items():
        goes_in = needed.get(str(int(table)), {"addresses": ()})
        used = {ofctl_name(name) for name in described.tracked if name in goes_in["addresses"]}
        settings = bridge.tables.get(table)
        if not used <= (by_default if settings is None or settings.prefixes is None else settings.prefixes):
            untracked[int(table)] = [ofctl_name(name) for name in described.tracked]
    if untracked:
        yield warning(
            f"prefixes of addresses are not tracked in table {ranges_of(untracked)}",
            "each remote network costs a flow of its own in the cache (docs/cost.md)",
            "ovs-vsctl" + "".join(_track(bridge, number, wanted) for number, wanted in untracked.items()),
        )
    elif needed:
        yield ok("prefixes of addresses are tracked")


def _track(bridge: Bridge, number: int, wanted: Iterable[str]) -> str:
    fields = ",".join(wanted)
    if table := bridge.tables.get(number):
        return f" -- set Flow_Table {table.uuid} prefixes={fields}"
    return (
        f" -- --id=@t{number} create Flow_Table prefixes={fields}"
        f" -- set Bridge {bridge.name} flow_tables:{number}=@t{number}"
    )
