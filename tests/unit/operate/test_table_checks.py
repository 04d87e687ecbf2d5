"""Which settings of tables are found wanting, by release of Open vSwitch."""

from __future__ import annotations

import pytest

from op25b_app.operate.doctor.open_vswitch import Bridge, FlowTable, OpenVSwitch
from op25b_app.operate.doctor.table_checks import check_tables

BOTH = ["ipv4_dst", "ipv4_src", "ipv6_dst", "ipv6_src"]
NEEDED = {
    "0": {"rules": 5, "addresses": []},
    "2": {"rules": 9, "addresses": BOTH},
    "4": {"rules": 9, "addresses": ["ipv4_dst", "ipv4_src"]},
}


def bridge(tables: dict[int, FlowTable]) -> Bridge:
    return Bridge(
        name="br",
        datapath_id=1,
        datapath_type="",
        fail_mode="secure",
        protocols=frozenset(),
        other_config={},
        mcast_snooping=False,
        controllers=(),
        tables=tables,
        interfaces=(),
        fragments="normal",
        version=None,
        counters=None,
    )


def told(release: tuple[int, int] | None, tables: dict[int, FlowTable] | None = None) -> list[str]:
    findings = check_tables(bridge(tables or {}), NEEDED, release)
    return [finding.remedy for finding in findings if finding.severity != "ok"]


@pytest.mark.parametrize(
    ("version", "release"), [("3.1.0", (3, 1)), ("2.17.9-1", (2, 17)), ("?", None), (None, None)]
)
def test_versions_are_read(version: str | None, release: tuple[int, int] | None) -> None:
    assert OpenVSwitch((), {}, True, version).release == release


def test_ipv6_is_tracked_by_default_from_3_5_on() -> None:
    command = (
        "ovs-vsctl -- --id=@t2 create Flow_Table prefixes=ip_dst,ipv6_dst,ip_src "
        "-- set Bridge br flow_tables:2=@t2"
    )
    assert told((3, 4)) == told(None) == [command]
    assert told((3, 5)) == told((4, 0)) == []


def test_settings_of_a_table_stand_for_themselves() -> None:
    chosen = {2: FlowTable("uuid-2", frozenset({"ip_dst", "ip_src", "ipv6_dst"}), None, False)}
    assert told((3, 1), chosen) == []
    none = {2: FlowTable("uuid-2", frozenset(), None, False)}
    assert told((3, 5), none) == ["ovs-vsctl -- set Flow_Table uuid-2 prefixes=ip_dst,ipv6_dst,ip_src"]
    limited = {2: FlowTable("uuid-2", None, 8, False), 9: FlowTable("uuid-9", None, 1, False)}
    assert told((3, 5), limited) == ["ovs-vsctl clear Flow_Table uuid-2 flow_limit"]
