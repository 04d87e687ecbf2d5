"""Lines learned from frames of DHCP and DHCPv6: honest ones, moves, forgeries, floods and rubbish."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.lines import dhcp_snooping
from op25b_app.lines.dhcp_message import MAX_RELAYS, read_dhcp, read_dhcpv6
from op25b_app.lines.dhcp_snooping import (
    ANSWER_SECONDS,
    MESSAGES_AT_ONCE,
    MUTE_AT,
    MUTE_SECONDS,
    TRANSACTIONS_OF_LINE,
    DhcpSnooping,
    Ignored,
    LeaseChange,
    LeaseOutcome,
)
from op25b_app.lines.line_table import MAX_OF_LINE, Claim
from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import Policy, SourceValidation, SubscriberPort, Switch
from testing import dhcp_frames as dhcp
from tests.generated import SNOOPING
from tests.unit.diff.test_every_field import BASE

NAME, OTHER = "access-1", "access-2"
LINE, NEIGHBOUR, UPLINK, TRUSTED = 1, 2, 3, 4
TAGGED = 5
MAC, SECOND_MAC, THIRD_MAC = 0x02_00_00_00_00_01, 0x02_00_00_00_00_02, 0x02_00_00_00_00_03
DUID, SECOND_DUID = bytes.fromhex("00030001020000000001"), bytes.fromhex("00030001020000000002")
ADDRESS, SECOND = "100.64.0.10", "100.64.0.11"
NOW = 1_800_000_000.0


def switch(name: str, dpid: int) -> Switch:
    return Switch(
        name=name,
        dpid=dpid,
        subscriber_ports=frozenset({LINE, NEIGHBOUR, TAGGED}),
        uplink_ports=frozenset({UPLINK}),
        trusted_ports=frozenset({TRUSTED}),
        mode=BASE.switches[NAME].mode,
        place=BASE.address_space_place,
        vlans=MappingProxyType({TAGGED: frozenset({None, 100, 200})}),
    )


POLICY: Policy = replace(
    BASE,
    hardening=replace(BASE.hardening, source_validation=SourceValidation.BINDING),
    switches=MappingProxyType({NAME: switch(NAME, 1), OTHER: switch(OTHER, 2)}),
    lines=SNOOPING,
)


class Network:
    """The snooping of a controller, and the frames that come to it."""

    def __init__(self) -> None:
        self.snooping = DhcpSnooping()
        self.now = NOW

    def at(self, port: int, frame: bytes, *, on: str = NAME) -> list[LeaseChange]:
        return self.snooping.observe(POLICY, POLICY.switches[on], port, frame, self.now)

    def lease(
        self, mac: int = MAC, given: str = ADDRESS, *, port: int = LINE, on: str = NAME, xid: int = 1
    ) -> list[LeaseChange]:
        """A whole exchange of DHCP; returns what its acknowledgement changes."""
        assert not self.at(port, dhcp.request(mac, kind=dhcp.DISCOVER, xid=xid), on=on)
        assert not self.at(TRUSTED, dhcp.answer(mac, given, kind=dhcp.OFFER, xid=xid), on=on)
        assert not self.at(port, dhcp.request(mac, xid=xid, asked=given), on=on)
        return self.at(TRUSTED, dhcp.answer(mac, given, xid=xid), on=on)

    def lease_6(self, *options: bytes, xid: int = 1, duid: bytes = DUID, mac: int = MAC) -> list[LeaseChange]:
        assert not self.at(LINE, dhcp.to_server(dhcp.dhcpv6(dhcp.REQUEST_6, duid, xid=xid), mac=mac))
        return self.at(TRUSTED, dhcp.to_client(dhcp.dhcpv6(dhcp.REPLY, duid, *options, xid=xid), mac=mac))


def outcomes(changes: list[LeaseChange]) -> list[tuple[LeaseOutcome, str, int]]:
    return [(each.outcome, str(each.claim.prefix), each.claim.line.port) for each in changes]


def only(changes: list[LeaseChange]) -> Claim:
    assert len(changes) == 1
    return changes[0].claim


def test_an_acknowledged_address_belongs_to_the_line_that_asked() -> None:
    changes = Network().lease()
    assert outcomes(changes) == [(LeaseOutcome.BEGUN, f"{ADDRESS}/32", LINE)]
    claim = only(changes)
    assert claim.line == SubscriberPort(NAME, LINE)
    assert (claim.mac, claim.since, claim.until) == (MAC, NOW, NOW + 600)
    assert claim.source == "DHCP snooping"


def test_a_lease_may_have_no_end() -> None:
    network = Network()
    network.at(LINE, dhcp.request(MAC))
    claim = only(network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, seconds=0xFFFFFFFF)))
    assert claim.until is None
    assert network.snooping.next_end() is None


@pytest.mark.parametrize("tag", [None, 100, 200])
def test_a_line_may_be_one_vlan_of_a_port(tag: int | None) -> None:
    network = Network()
    network.at(TAGGED, dhcp.request(MAC, tag=tag))
    claim = only(network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, tag=tag)))
    assert claim.line == SubscriberPort(NAME, TAGGED, tag or 0)


def test_a_tag_that_a_port_may_not_carry_is_no_line() -> None:
    network = Network()
    network.at(TAGGED, dhcp.request(MAC, tag=300))
    assert network.snooping.ignored == {Ignored.NOT_OF_A_LINE: 1}


def test_a_renewal_by_unicast_keeps_the_beginning() -> None:
    network = Network()
    network.lease()
    network.now += 300
    network.at(LINE, dhcp.request(MAC, xid=2, current=ADDRESS))
    changes = network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, xid=2))
    assert outcomes(changes) == [(LeaseOutcome.RENEWED, f"{ADDRESS}/32", LINE)]
    assert (only(changes).since, only(changes).until) == (NOW, NOW + 900)
    network.now = NOW + 600
    assert not network.snooping.expire(network.now)


def test_a_line_has_as_many_addresses_as_it_is_given() -> None:
    network = Network()
    network.lease()
    assert outcomes(network.lease(SECOND_MAC, SECOND, xid=2)) == [(LeaseOutcome.BEGUN, f"{SECOND}/32", LINE)]
    assert network.snooping.leases == 2


def test_a_lease_ends_with_its_time() -> None:
    network = Network()
    network.lease()
    assert network.snooping.next_end() == NOW + 600
    assert not network.snooping.expire(NOW + 599.9)
    assert outcomes(network.snooping.expire(NOW + 600)) == [(LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE)]
    assert not network.snooping.leases


@pytest.mark.parametrize(
    "frame",
    [
        dhcp.request(MAC, kind=dhcp.RELEASE, current=ADDRESS, xid=9),
        dhcp.request(MAC, kind=dhcp.DECLINE, asked=ADDRESS, xid=9),
    ],
    ids=["release", "decline"],
)
def test_a_client_gives_up_its_address(frame: bytes) -> None:
    network = Network()
    network.lease()
    assert not network.at(NEIGHBOUR, frame), "a neighbour gives up what it does not have"
    assert not network.at(LINE, frame, on=OTHER)
    assert outcomes(network.at(LINE, frame)) == [(LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE)]


def test_a_refused_address_ends_unless_another_server_grants_it() -> None:
    network = Network()
    network.lease()
    network.at(LINE, dhcp.request(MAC, xid=2, asked=ADDRESS))
    refused = network.at(TRUSTED, dhcp.answer(MAC, kind=dhcp.NAK, xid=2))
    assert outcomes(refused) == [(LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE)]
    granted = network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, xid=2))
    assert outcomes(granted) == [(LeaseOutcome.BEGUN, f"{ADDRESS}/32", LINE)]


def test_an_answer_to_an_inform_binds_nothing() -> None:
    network = Network()
    network.at(LINE, dhcp.request(MAC, kind=dhcp.INFORM, current=ADDRESS))
    assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS))
    assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, seconds=None))


def test_an_answer_to_no_request_binds_nothing() -> None:
    network = Network()
    assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS))
    network.at(LINE, dhcp.request(MAC))
    for wrong in (dhcp.answer(MAC, ADDRESS, xid=2), dhcp.answer(SECOND_MAC, ADDRESS)):
        assert not network.at(TRUSTED, wrong)
    assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS), on=OTHER), "it comes through another switch"
    assert network.snooping.ignored == {Ignored.UNKNOWN_TRANSACTION: 4}


def test_an_answer_that_comes_too_late_binds_nothing() -> None:
    network = Network()
    network.at(LINE, dhcp.request(MAC))
    network.now += ANSWER_SECONDS
    assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS))
    assert not network.snooping.transactions


def test_a_subscriber_forges_no_answer() -> None:
    network = Network()
    network.at(LINE, dhcp.request(MAC))
    for port in (LINE, NEIGHBOUR, TAGGED, 99):
        assert not network.at(port, dhcp.answer(MAC, ADDRESS))
    assert not network.snooping.leases


def test_an_answer_that_an_uplink_may_not_send_binds_nothing() -> None:
    network = Network()
    network.at(LINE, dhcp.request(MAC))
    own = dhcp.address("100.64.0.1")
    assert not network.at(UPLINK, dhcp.answer(MAC, ADDRESS, source=own))
    assert network.snooping.ignored == {Ignored.BLOCKED: 1}
    assert network.at(UPLINK, dhcp.answer(MAC, ADDRESS))


def test_a_neighbour_that_repeats_a_broadcast_gets_nothing() -> None:
    """Requests are flooded, and so may answers be: a neighbour knows both, and can send the same request."""
    network = Network()
    network.at(LINE, dhcp.request(MAC))
    network.at(NEIGHBOUR, dhcp.request(MAC))
    network.at(LINE, dhcp.request(MAC), on=OTHER)
    assert network.snooping.ignored == {Ignored.FOREIGN_TRANSACTION: 2}
    assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS), on=OTHER)
    assert only(network.at(TRUSTED, dhcp.answer(MAC, ADDRESS))).line == SubscriberPort(NAME, LINE)


def test_a_neighbour_that_calls_itself_like_a_client_waits_until_its_lease_ends() -> None:
    network = Network()
    network.lease()
    network.now += 60
    contested = network.lease(port=NEIGHBOUR, xid=2)
    assert outcomes(contested) == [(LeaseOutcome.CONTESTED, f"{ADDRESS}/32", NEIGHBOUR)]
    assert network.snooping.leases == 2
    at_the_end = network.snooping.expire(NOW + 600)
    assert outcomes(at_the_end) == [
        (LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE),
        (LeaseOutcome.BEGUN, f"{ADDRESS}/32", NEIGHBOUR),
    ]
    assert only(at_the_end[1:]).until == NOW + 660


def test_a_lease_that_waits_ends_too() -> None:
    network = Network()
    network.lease()
    network.lease(port=NEIGHBOUR, xid=2)
    network.at(NEIGHBOUR, dhcp.request(MAC, kind=dhcp.RELEASE, current=ADDRESS, xid=3))
    assert outcomes(network.snooping.expire(NOW + 600)) == [(LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE)]


def test_a_customer_whose_port_has_no_link_any_more_moves_at_once() -> None:
    network = Network()
    network.lease()
    network.snooping.link_changed(NAME, LINE, is_up=False)
    assert outcomes(network.lease(port=NEIGHBOUR, xid=2)) == [
        (LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE),
        (LeaseOutcome.BEGUN, f"{ADDRESS}/32", NEIGHBOUR),
    ]


def test_a_link_that_comes_back_keeps_its_leases() -> None:
    network = Network()
    network.lease()
    for is_up in (False, True):
        network.snooping.link_changed(NAME, LINE, is_up=is_up)
    assert outcomes(network.lease(port=NEIGHBOUR, xid=2)) == [
        (LeaseOutcome.CONTESTED, f"{ADDRESS}/32", NEIGHBOUR)
    ]


def test_an_address_that_a_server_gives_to_another_client_changes_hands() -> None:
    network = Network()
    network.lease()
    assert outcomes(network.lease(SECOND_MAC, ADDRESS, port=NEIGHBOUR, xid=2)) == [
        (LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE),
        (LeaseOutcome.BEGUN, f"{ADDRESS}/32", NEIGHBOUR),
    ]


def test_a_client_identifier_makes_no_other_client_of_a_neighbour() -> None:
    """A server knows clients by option 61: with that of the victim, another MAC address gets its lease."""
    network, identifier = Network(), [(61, b"\x01" + MAC.to_bytes(6, "big"))]
    network.lease()
    network.at(NEIGHBOUR, dhcp.request(SECOND_MAC, xid=2, options=identifier))
    contested = network.at(TRUSTED, dhcp.answer(SECOND_MAC, ADDRESS, xid=2))
    assert outcomes(contested) == [(LeaseOutcome.CONTESTED, f"{ADDRESS}/32", NEIGHBOUR)]


def test_a_client_behind_a_bridge_may_use_any_mac_address() -> None:
    network = Network()
    network.at(LINE, dhcp.request(MAC, sender=SECOND_MAC))
    assert only(network.at(TRUSTED, dhcp.answer(MAC, ADDRESS))).mac is None


def test_relay_information_is_no_obstacle() -> None:
    network, information = Network(), [(82, bytes.fromhex("010474657374"))]
    network.at(LINE, dhcp.request(MAC, options=information))
    assert network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, options=information))


def test_what_was_kept_holds_after_a_restart() -> None:
    network = Network()
    claim = only(network.lease())
    network.snooping = DhcpSnooping()
    network.snooping.restore([claim, claim._replace(source="leases.csv", prefix=Prefix.parse(SECOND))])
    assert network.snooping.leases == 1
    assert outcomes(network.lease(SECOND_MAC, ADDRESS, port=NEIGHBOUR, xid=2))[0][0] is LeaseOutcome.CONTESTED
    assert outcomes(network.lease(xid=3)) == [(LeaseOutcome.RENEWED, f"{ADDRESS}/32", LINE)]
    released = network.at(LINE, dhcp.request(MAC, kind=dhcp.RELEASE, current=ADDRESS))
    assert [each.outcome for each in released] == [LeaseOutcome.ENDED, LeaseOutcome.BEGUN]


def test_lines_that_a_policy_no_longer_has_are_forgotten() -> None:
    network = Network()
    network.lease()
    network.lease(port=NEIGHBOUR, given=SECOND, mac=SECOND_MAC, xid=2)
    network.at(LINE, dhcp.request(MAC, xid=3))
    smaller = replace(POLICY.switches[NAME], trusted_ports=frozenset({LINE, TRUSTED}))
    network.snooping.keep_lines(replace(POLICY, switches=MappingProxyType({NAME: smaller})))
    assert (network.snooping.leases, network.snooping.transactions) == (1, 0)


class TestDhcpv6:
    """Leases of IPv6 (RFC 8415)."""

    def test_addresses_and_a_delegated_prefix_belong_to_the_line(self) -> None:
        changes = Network().lease_6(
            dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1", 300), dhcp.held("2001:db8:1000::2")),
            dhcp.association(dhcp.IA_TA, dhcp.held("2001:db8:1000::9")),
            dhcp.association(dhcp.IA_PD, dhcp.held("2001:db8:1000:100::/56", 0xFFFFFFFF)),
        )
        assert [(str(each.claim.prefix), each.claim.until) for each in changes] == [
            ("2001:db8:1000::1/128", NOW + 300),
            ("2001:db8:1000::2/128", NOW + 600),
            ("2001:db8:1000::9/128", NOW + 600),
            ("2001:db8:1000:100::/56", None),
        ]
        assert {(each.claim.line, each.claim.mac) for each in changes} == {(SubscriberPort(NAME, LINE), MAC)}

    def test_bits_behind_a_delegated_prefix_do_not_count(self) -> None:
        network = Network()
        odd = dhcp.option(
            26, bytes(7) + b"\xff" + bytes([56]) + dhcp.address("2001:db8::1").to_bytes(16, "big")
        )
        changes = network.lease_6(dhcp.association(dhcp.IA_PD, odd))
        assert str(only(changes).prefix) == "2001:db8::/56"

    @pytest.mark.parametrize("rapid", [False, True])
    def test_a_solicit_is_answered_by_a_reply_only_with_rapid_commit(self, rapid: bool) -> None:
        network = Network()
        wish = [dhcp.option(dhcp.RAPID_COMMIT, b"")] if rapid else []
        network.at(LINE, dhcp.to_server(dhcp.dhcpv6(dhcp.SOLICIT, DUID, *wish), mac=MAC))
        granted = dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1"))
        reply = dhcp.dhcpv6(dhcp.REPLY, DUID, *wish, granted)
        assert bool(network.at(TRUSTED, dhcp.to_client(reply, mac=MAC))) is rapid

    def test_an_advertisement_binds_nothing(self) -> None:
        network = Network()
        network.at(LINE, dhcp.to_server(dhcp.dhcpv6(dhcp.SOLICIT, DUID), mac=MAC))
        offered = dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1"))
        message = dhcp.dhcpv6(dhcp.ADVERTISE, DUID, offered)
        assert not network.at(TRUSTED, dhcp.to_client(message, mac=MAC))

    def test_another_server_takes_over_with_a_rebind(self) -> None:
        network = Network()
        granted = dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1"))
        network.lease_6(granted)
        network.now += 500
        network.at(LINE, dhcp.to_server(dhcp.dhcpv6(dhcp.REBIND, DUID, granted, xid=2), mac=MAC))
        reply = dhcp.dhcpv6(dhcp.REPLY, DUID, granted, dhcp.option(2, b"another"), xid=2)
        changes = network.at(UPLINK, dhcp.to_client(reply, mac=MAC))
        assert [(each.outcome, each.claim.until) for each in changes] == [(LeaseOutcome.RENEWED, NOW + 1100)]

    @pytest.mark.parametrize("kind", [dhcp.RELEASE_6, dhcp.DECLINE_6])
    def test_a_client_gives_up_what_it_names(self, kind: int) -> None:
        network = Network()
        addresses = [dhcp.held("2001:db8:1000::1"), dhcp.held("2001:db8:1000::2")]
        network.lease_6(dhcp.association(dhcp.IA_NA, *addresses))
        message = dhcp.dhcpv6(kind, DUID, dhcp.association(dhcp.IA_NA, addresses[0]), xid=2)
        assert not network.at(NEIGHBOUR, dhcp.to_server(message, mac=MAC))
        changes = network.at(LINE, dhcp.to_server(message, mac=MAC))
        assert outcomes(changes) == [(LeaseOutcome.ENDED, "2001:db8:1000::1/128", LINE)]

    def test_a_lifetime_of_zero_ends_an_address(self) -> None:
        network = Network()
        network.lease_6(dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1")))
        changes = network.lease_6(
            dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1", 0), dhcp.held("2001:db8:1000::3")),
            xid=2,
        )
        assert [each.outcome for each in changes] == [LeaseOutcome.ENDED, LeaseOutcome.BEGUN]

    def test_what_the_server_does_not_know_any_more_ends(self) -> None:
        network = Network()
        granted = dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1"))
        other = dhcp.association(dhcp.IA_PD, dhcp.held("2001:db8:1000:100::/56"), number=8)
        network.lease_6(granted, other)
        network.at(LINE, dhcp.to_server(dhcp.dhcpv6(dhcp.RENEW, DUID, granted, other, xid=2), mac=MAC))
        unknown = dhcp.association(dhcp.IA_NA, dhcp.status(dhcp.NO_BINDING))
        reply = dhcp.dhcpv6(dhcp.REPLY, DUID, unknown, other, xid=2)
        changes = network.at(TRUSTED, dhcp.to_client(reply, mac=MAC))
        assert outcomes(changes) == [
            (LeaseOutcome.ENDED, "2001:db8:1000::1/128", LINE),
            (LeaseOutcome.RENEWED, "2001:db8:1000:100::/56", LINE),
        ]

    def test_a_confirmation_binds_nothing_and_a_move_ends_what_was(self) -> None:
        network = Network()
        granted = dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1"))
        for code, ended in ((0, False), (dhcp.NOT_ON_LINK, True)):
            network.lease_6(granted)
            confirm = dhcp.dhcpv6(dhcp.CONFIRM, DUID, granted, xid=2)
            for port in (LINE, NEIGHBOUR):
                network.at(port, dhcp.to_server(confirm, mac=MAC))
            reply = dhcp.dhcpv6(dhcp.REPLY, DUID, dhcp.status(code), xid=2)
            changes = network.at(TRUSTED, dhcp.to_client(reply, mac=MAC))
            assert [each.outcome for each in changes] == [LeaseOutcome.ENDED] * ended
        stranger = dhcp.dhcpv6(dhcp.CONFIRM, SECOND_DUID, granted, xid=3)
        network.at(NEIGHBOUR, dhcp.to_server(stranger, mac=SECOND_MAC))
        reply = dhcp.dhcpv6(dhcp.REPLY, SECOND_DUID, granted, xid=3)
        assert not network.at(TRUSTED, dhcp.to_client(reply, mac=SECOND_MAC))

    def test_a_lightweight_relay_agent_on_the_line_is_looked_through(self) -> None:
        network = Network()
        interface = dhcp.option(18, b"port 7")
        inner = dhcp.dhcpv6(dhcp.REQUEST_6, DUID)
        relayed = dhcp.relayed(12, inner, interface)
        network.at(LINE, dhcp.to_server(relayed, mac=MAC, is_relayed=True))
        granted = dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1"))
        reply = dhcp.relayed(13, dhcp.dhcpv6(dhcp.REPLY, DUID, granted), interface)
        claim = only(network.at(TRUSTED, dhcp.to_client(reply, mac=MAC, is_relayed=True)))
        assert (claim.line, claim.mac) == (SubscriberPort(NAME, LINE), None)

    def test_refused_addresses_and_the_whole_internet_bind_nothing(self) -> None:
        network = Network()
        refused = dhcp.held("2001:db8:1000::1", 600, dhcp.status(2))
        everything = dhcp.association(dhcp.IA_PD, dhcp.held("::/0"))
        assert not network.lease_6(dhcp.association(dhcp.IA_NA, refused), everything)

    def test_an_address_is_no_delegated_prefix(self) -> None:
        address, prefix = dhcp.held("2001:db8:1000::1"), dhcp.held("2001:db8:1000:100::/56")
        wrong = dhcp.association(dhcp.IA_PD, address), dhcp.association(dhcp.IA_NA, prefix)
        assert not Network().lease_6(*wrong)

    def test_relay_agents_are_looked_through_up_to_a_bound(self) -> None:
        message = dhcp.dhcpv6(dhcp.REPLY, DUID)
        for _ in range(MAX_RELAYS):
            message = dhcp.relayed(13, message)
        assert read_dhcpv6(message)
        assert read_dhcpv6(dhcp.relayed(13, message)) is None


class TestBounds:
    """What a subscriber can cause has an end."""

    def test_open_transactions_of_a_line(self) -> None:
        network = Network()
        network.at(NEIGHBOUR, dhcp.request(SECOND_MAC, xid=99))
        for xid in range(TRANSACTIONS_OF_LINE + 3):
            network.at(LINE, dhcp.request(MAC, xid=xid))
        assert network.snooping.transactions == TRANSACTIONS_OF_LINE + 1
        assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, xid=2)), "the oldest went first"
        assert network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, xid=3))
        assert network.at(TRUSTED, dhcp.answer(SECOND_MAC, SECOND, xid=99)), "a neighbour has its own"

    def test_open_transactions_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dhcp_snooping, "TRANSACTIONS", 4)
        network = Network()
        for xid in range(4):
            network.at((LINE, NEIGHBOUR)[xid % 2], dhcp.request(MAC, xid=xid))
        network.at(TAGGED, dhcp.request(MAC, xid=4))
        assert network.snooping.transactions == 4
        assert not network.at(TRUSTED, dhcp.answer(MAC, ADDRESS, xid=0))

    def test_messages_of_a_line(self) -> None:
        network = Network()
        for _ in range(MESSAGES_AT_ONCE + 5):
            network.at(LINE, dhcp.request(MAC))
        assert network.snooping.ignored == {Ignored.TOO_MANY: 5}
        assert network.lease(SECOND_MAC, SECOND, port=NEIGHBOUR, xid=2), "a neighbour has its own"
        network.now += 1
        assert not network.at(LINE, dhcp.request(MAC, xid=3))
        assert network.snooping.ignored[Ignored.TOO_MANY] == 5

    def test_a_line_that_floods_is_muted_and_heard_again(self) -> None:
        network = Network()
        for _ in range(MESSAGES_AT_ONCE + MUTE_AT - 1):
            network.at(LINE, dhcp.request(MAC))
        assert not network.snooping.muted(network.now)
        network.at(LINE, dhcp.request(MAC))
        assert network.snooping.muted(network.now) == {SubscriberPort(NAME, LINE)}
        network.now += MUTE_SECONDS
        assert not network.snooping.muted(network.now)
        assert network.lease(xid=2)

    def test_a_line_that_sends_a_little_too_much_is_not_muted(self) -> None:
        network = Network()
        for _ in range(3000):
            network.now += 0.01
            network.at(LINE, dhcp.request(MAC))
        assert network.snooping.ignored[Ignored.TOO_MANY] > 2000
        assert not network.snooping.muted(network.now)

    def test_addresses_of_a_line(self) -> None:
        network = Network()
        for number in range(MAX_OF_LINE + 1):
            network.now += 10
            changes = network.lease(MAC + number, f"100.64.1.{number}", xid=number)
            assert len(changes) == (number < MAX_OF_LINE)
        assert network.snooping.ignored[Ignored.TOO_MANY_ADDRESSES] == 1
        network.now += 10
        assert network.lease(MAC, "100.64.1.0", xid=999), "it renews what it has"

    def test_addresses_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dhcp_snooping, "MAX_HELD", 1)
        network = Network()
        assert network.lease()
        assert not network.lease(SECOND_MAC, SECOND, port=NEIGHBOUR, xid=2)

    def test_ends_do_not_pile_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dhcp_snooping, "_COMPACT_AT", 8)
        network = Network()
        for xid in range(50):
            network.now += 10
            network.lease(xid=xid)
        assert len(network.snooping._ends) <= 10
        assert outcomes(network.snooping.expire(network.now + 600)) == [
            (LeaseOutcome.ENDED, f"{ADDRESS}/32", LINE)
        ]


SAMPLES = [
    dhcp.request(MAC, asked=ADDRESS, tag=100),
    dhcp.answer(MAC, ADDRESS, options=[(82, bytes(20))]),
    dhcp.to_server(dhcp.relayed(12, dhcp.dhcpv6(dhcp.REQUEST_6, DUID)), mac=MAC, is_relayed=True),
    dhcp.to_client(
        dhcp.dhcpv6(
            dhcp.REPLY,
            DUID,
            dhcp.association(dhcp.IA_NA, dhcp.held("2001:db8:1000::1", 300, dhcp.status(0))),
            dhcp.association(dhcp.IA_PD, dhcp.held("2001:db8:1000:100::/56")),
        ),
        mac=MAC,
    ),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame with some octets changed, and perhaps its end cut off or repeated."""
    frame = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 6))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    whole = bytes(frame) + draw(st.binary(max_size=40))
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


@given(st.lists(st.tuples(st.integers(1, 6), st.one_of(damaged(), st.binary(max_size=400))), max_size=30))
def test_no_frame_does_harm(frames: list[tuple[int, bytes]]) -> None:
    network = Network()
    for port, frame in frames:
        network.now += 1
        for change in network.at(port, frame):
            prefix = change.claim.prefix
            assert prefix.network & ~prefix.mask == 0
            assert prefix.length > 0
            assert change.claim.line in {*POLICY.switches[NAME].lines()}


@given(st.one_of(st.binary(max_size=600), damaged()))
def test_no_message_raises(payload: bytes) -> None:
    read_dhcp(payload)
    read_dhcpv6(payload)
    read_dhcp(bytes(240 - 4) + bytes.fromhex("63825363") + payload)
