"""The table of learned lines: conflicts, ends, renewals, bounds and bindings."""

from __future__ import annotations

import time

import pytest

from op25b_app.lines import line_table
from op25b_app.lines.line_table import MAX_OF_LINE, Claim, LineTable
from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import SubscriberPort

ONE, TWO = SubscriberPort("access-1", 1), SubscriberPort("access-1", 2)
ADDRESS = Prefix.parse("192.0.2.7")


def claim(prefix: str = "192.0.2.7", line: SubscriberPort = ONE, **more: object) -> Claim:
    given: dict[str, object] = {"mac": None, "since": 0.0, "until": None, "source": "leases.csv", **more}
    return Claim(Prefix.parse(prefix), line, **given)  # type: ignore[arg-type]


def held(table: LineTable) -> list[tuple[str, SubscriberPort]]:
    return sorted((str(each.prefix), each.line) for each in table.holding())


def test_the_older_claim_holds_until_it_ends_and_the_other_is_named() -> None:
    table = LineTable()
    table.add(claim(until=100.0))
    table.add(claim(line=TWO, source="dhcp"))
    assert held(table) == [("192.0.2.7/32", ONE)]
    [waiting] = table.waiting()
    assert waiting.reason == "192.0.2.7/32 is at port 1 of access-1 by leases.csv, which said so before"
    assert table.expire(99.0) == []
    assert [each.line for each in table.expire(100.0)] == [ONE]
    assert held(table) == [("192.0.2.7/32", TWO)]
    assert table.waits == 0


def test_a_customer_who_moves_takes_the_address_along() -> None:
    table = LineTable()
    table.add(claim())
    table.changed.clear()
    table.add(claim(line=SubscriberPort("access-2", 9)))
    assert held(table) == [("192.0.2.7/32", SubscriberPort("access-2", 9))]
    assert table.changed == {"access-1", "access-2"}


def test_a_renewal_changes_no_switch_and_keeps_its_age() -> None:
    table = LineTable()
    table.add(claim(until=100.0))
    table.add(claim(line=TWO, source="dhcp"))
    table.changed.clear()
    table.add(claim(until=200.0, since=90.0))
    assert table.changed == set()
    assert table.expire(150.0) == []
    [holder] = table.holders(ADDRESS)
    assert (holder.line, holder.since, holder.until) == (ONE, 0.0, 200.0)


def test_a_delegated_prefix_of_one_line_and_an_address_in_it_of_another_cannot_both_hold() -> None:
    table = LineTable()
    table.add(claim("2001:db8:0:100::/56"))
    table.add(claim("2001:db8:0:1ff::1", TWO))
    table.add(claim("2001:db8:0:1ff::2", ONE))
    assert held(table) == [("2001:db8:0:100::/56", ONE), ("2001:db8:0:1ff::2/128", ONE)]
    table.end("leases.csv", [Prefix.parse("2001:db8:0:100::/56")])
    assert held(table) == [("2001:db8:0:1ff::1/128", TWO), ("2001:db8:0:1ff::2/128", ONE)]


def test_two_addresses_of_a_line_are_one_binding_and_each_mac_address_one_of_its_own() -> None:
    table = LineTable()
    table.add(claim("192.0.2.8", mac=5, file_line=7))
    table.add(claim("2001:db8::/56", mac=5, file_line=8))
    table.add(claim("192.0.2.9", mac=None, source="dhcp"))
    free, own = table.bindings("access-1")
    assert (free.port, free.mac, [str(each.prefix) for each in free.addresses]) == (1, None, ["192.0.2.9/32"])
    assert [str(each.prefix) for each in own.addresses] == ["192.0.2.8/32", "2001:db8::/56"]
    assert [str(each.place) for each in (*free.addresses, *own.addresses)] == [
        "dhcp",
        "leases.csv:7:1",
        "leases.csv:8:1",
    ]


def test_what_a_source_no_longer_names_ends_unless_parts_of_it_cannot_be_read() -> None:
    table = LineTable()
    table.replace("leases.csv", [claim("192.0.2.1"), claim("192.0.2.2")])
    table.replace("leases.csv", [claim("192.0.2.3")], keep_others=True)
    assert len(table) == 3
    table.replace("leases.csv", [claim("192.0.2.3")])
    assert held(table) == [("192.0.2.3/32", ONE)]


def test_the_claims_of_a_source_that_is_lost_may_outlive_their_end() -> None:
    table = LineTable()
    table.add(claim(until=10.0))
    table.add(claim("192.0.2.8", until=20.0, source="dhcp"))
    assert table.next_end() == 10.0
    assert table.next_end(kept=["leases.csv"]) == 20.0
    assert [each.source for each in table.expire(30.0, kept=["leases.csv"])] == ["dhcp"]
    assert [each.source for each in table.expire(30.0)] == ["leases.csv"]
    assert table.next_end() is None


def test_sources_that_the_policy_no_longer_has_are_forgotten() -> None:
    table = LineTable()
    table.add(claim())
    table.add(claim("192.0.2.8", source="dhcp"))
    table.forget_sources({"dhcp"})
    assert held(table) == [("192.0.2.8/32", ONE)]


def test_a_line_holds_so_many_addresses_and_the_next_one_waits_for_room() -> None:
    table = LineTable()
    for number in range(MAX_OF_LINE + 2):
        table.add(claim(f"10.0.0.{number}"))
    assert table.waits == 2
    assert {each.reason for each in table.waiting()} == {f"the line holds {MAX_OF_LINE} addresses already"}
    table.add(claim("10.1.0.1", TWO))
    assert table.waits == 2, "another line has room of its own"
    table.end("leases.csv", [Prefix.parse("10.0.0.0")])
    assert table.waits == 1
    table.end("leases.csv", [each.claim.prefix for each in table.waiting()])
    table.end("leases.csv", [Prefix.parse("10.0.0.1")])
    assert (table.waits, len(table)) == (0, MAX_OF_LINE)


def test_a_short_prefix_is_a_mistake_that_takes_nothing_from_others() -> None:
    table = LineTable()
    table.add(claim("0.0.0.0/0", TWO))
    table.add(claim("192.0.2.7"))
    assert held(table) == [("192.0.2.7/32", ONE)]
    [waiting] = table.waiting()
    assert waiting.reason == "a line holds no IPv4 prefix shorter than /16"


def test_there_is_room_for_so_many_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_table, "MAX_CLAIMS", 3)
    table = LineTable()
    assert table.replace("leases.csv", [claim(f"192.0.2.{number}") for number in range(3)])
    assert not table.add(claim("192.0.2.9"))
    assert table.add(claim("192.0.2.1", until=9.0)), "a renewal takes no room"
    assert not table.replace("dhcp", [claim("192.0.2.9", source="dhcp")])
    assert not table.replace("leases.csv", [claim(f"192.0.2.{number}") for number in range(4)])
    assert len(table) == 3


def test_renewals_leave_no_trace() -> None:
    table = LineTable()
    for until in range(1, 20_000):
        table.add(claim(until=float(until)))
    assert len(table._ends) < 10_000


def test_a_hundred_thousand_leases_are_a_matter_of_a_second() -> None:
    table = LineTable()
    lines = [SubscriberPort(f"access-{number}", port) for number in range(1000) for port in range(1, 47)]
    wanted = [
        Claim(Prefix(version, network, length), line, None, 0.0, 1e9 + number, "leases.csv")
        for number, line in enumerate(lines)
        for version, network, length in (
            (4, 0x0A000000 + number, 32),
            (6, (0x20010DB8 << 96) + (number << 72), 56),
        )
    ]
    began = time.process_time()
    table.replace("leases.csv", wanted)
    first = time.process_time() - began
    began = time.process_time()
    table.replace("leases.csv", wanted[:-1])
    again = time.process_time() - began
    assert len(table) == 91_999
    assert first < 20
    assert again < 10
