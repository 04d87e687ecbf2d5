"""Which tables are found wanting: by their settings and the release of Open vSwitch, or by their use."""

from __future__ import annotations

import pytest

from op25b_app.operate.doctor.open_vswitch import Bridge, FlowTable, OpenVSwitch, TableUse, uses_in
from op25b_app.operate.doctor.table_checks import check_handover, check_tables

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


def reported(release: tuple[int, int] | None, tables: dict[int, FlowTable] | None = None) -> list[str]:
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
    assert reported((3, 4)) == reported(None) == [command]
    assert reported((3, 5)) == reported((4, 0)) == []


def test_settings_of_a_table_stand_for_themselves() -> None:
    chosen = {2: FlowTable("uuid-2", frozenset({"ip_dst", "ip_src", "ipv6_dst"}), None, False)}
    assert reported((3, 1), chosen) == []
    none = {2: FlowTable("uuid-2", frozenset(), None, False)}
    assert reported((3, 5), none) == ["ovs-vsctl -- set Flow_Table uuid-2 prefixes=ip_dst,ipv6_dst,ip_src"]
    limited = {2: FlowTable("uuid-2", None, 8, False), 9: FlowTable("uuid-9", None, 1, False)}
    assert reported((3, 5), limited) == ["ovs-vsctl clear Flow_Table uuid-2 flow_limit"]


DUMPED = """OFPST_TABLE reply (OF1.3) (xid=0x2):
  table 0:
    active=1, lookup=12, matched=11

  table 1:
    active=0, lookup=0, matched=0

  tables 2...9: ditto

  table 10 ("forward"):
    active=3, lookup=2, matched=0

  table 11: ditto
"""


def test_the_use_of_tables_is_read() -> None:
    uses = uses_in(DUMPED)
    assert sorted(uses) == list(range(12))
    assert uses[0] == TableUse(1, 12, 11)
    assert uses[9] == TableUse(0, 0, 0)
    assert uses[10] == uses[11] == TableUse(3, 2, 0)
    assert uses_in("ovs-ofctl: something else") == {}


@pytest.mark.parametrize(
    ("use", "severity", "what"),
    [
        (TableUse(0, 0, 0), "error", "has no rule in table 10, to which the policy hands over"),
        (TableUse(0, 9, 4), "error", "has no rule in table 10, to which the policy hands over"),
        (
            TableUse(2, 9, 0),
            "warning",
            "table 10, to which the policy hands over, had a rule for none of 9 packets",
        ),
        (TableUse(2, 9, 1), "ok", "table 10, to which the policy hands over, holds 2 rules"),
        (TableUse(1, 0, 0), "ok", "table 10, to which the policy hands over, holds 1 rule"),
    ],
)
def test_the_table_that_is_handed_over_to(use: TableUse, severity: str, what: str) -> None:
    expected = {"name": "access-1", "forwarding_table": 10}
    (finding,) = check_handover(bridge({})._replace(uses={10: use}), expected)
    assert (finding.severity, finding.what) == (severity, what)
    assert ("forwarding: normal under access-1" in finding.remedy) is (severity != "ok")


def test_nothing_is_said_of_a_table_that_is_not_known_or_not_handed_over_to() -> None:
    empty = bridge({})._replace(uses={10: TableUse(0, 0, 0)})
    assert [*check_handover(empty, {"name": "access-1", "forwarding_table": None})] == []
    assert [*check_handover(empty, {"name": "access-1"})] == [], "an older controller does not tell"
    assert [*check_handover(bridge({}), {"name": "access-1", "forwarding_table": 10})] == []
