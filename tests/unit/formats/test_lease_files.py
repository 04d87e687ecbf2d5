"""Lease files of Kea, ISC DHCP and dnsmasq: what they say is read, and what is wrong is told by line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from op25b_app.formats import lease_record
from op25b_app.formats.dnsmasq import is_dnsmasq, read_dnsmasq
from op25b_app.formats.isc import is_isc, read_isc
from op25b_app.formats.kea import is_kea, lease_files, read_kea
from op25b_app.formats.lease_record import LeaseRecord, LeaseRecords
from tests.unit.formats.samples import DNSMASQ, ISC4, ISC6, KEA4, KEA4_NEW, KEA6

Reader = Callable[[str], LeaseRecords]
SAMPLES: list[tuple[Reader, str]] = [
    (read_kea, KEA4),
    (read_kea, KEA4_NEW),
    (read_kea, KEA6),
    (read_isc, ISC4),
    (read_isc, ISC6),
    (read_dnsmasq, DNSMASQ),
]


def leases(read: Reader, text: str) -> dict[str, LeaseRecord]:
    content = read(text)
    assert (content.faults, content.is_complete) == ((), True)
    return {str(record.prefix): record for record in content.leases}


def faults(read: Reader, text: str) -> list[str]:
    return [f"{fault.line}: {fault.message}" for fault in read(text).faults]


@pytest.mark.parametrize(
    ("read", "text", "addresses"),
    [(read_kea, KEA4, "100.64.0.1"), (read_isc, ISC4, "100.64.0.1")],
)
def test_two_servers_say_the_same_of_the_same_clients(read: Reader, text: str, addresses: str) -> None:
    found = leases(read, text)
    assert [*found] == [f"{addresses}{number}/32" for number in range(3)]
    first, second, third = found.values()
    assert (first.is_active, first.mac, first.until) == (True, 0x020000000001, (first.since or 0) + 3600)
    assert first.fields == {
        "mac": "02:00:00:00:00:01",
        "client_id": "01020000000001",
        "hostname": "home",
        "remote_id": "access-1",
        "circuit_id": "3",
    }
    assert (second.fields["remote_id"], second.fields["circuit_id"]) == ("0006020000000099", "000400010004")
    assert third.fields["subscriber_id"] == 'cust,"7"'


def test_kea_of_later_versions_says_the_same() -> None:
    (record,) = leases(read_kea, KEA4_NEW).values()
    assert record == leases(read_kea, KEA4)["100.64.0.10/32"]
    assert leases(read_kea, KEA6.replace('"relays"', '"relay-info"')) == leases(read_kea, KEA6)


def test_leases_of_ipv6_have_the_identifiers_of_their_relay() -> None:
    found = leases(read_kea, KEA6)
    assert [*found] == ["2001:db8::1000/128", "2001:db8::1001/128", "2001:db8:100::/48"]
    assert found["2001:db8:100::/48"].fields == {
        "mac": "02:00:00:00:00:01",
        "client_id": "00030001020000000001",
        "interface_id": "3",
        "remote_id": "access-1",
    }
    assert found["2001:db8::1001/128"].fields["subscriber_id"] == "cust-2"


def test_identifiers_come_from_the_relay_at_the_client() -> None:
    inner = '{ "hop": 1&#x2c "options": "0x0012000139" }'
    text = KEA6.replace(" } ] } },1,2\n", f" }}&#x2c {inner} ] }} }},1,2\n", 1)
    assert leases(read_kea, text)["2001:db8::1000/128"].fields["interface_id"] == "9"


def test_isc_keeps_the_client_of_an_ipv6_lease_and_no_relay() -> None:
    found = leases(read_isc, ISC6)
    assert [*found] == ["2001:db8::1b8c/128", "2001:db8:1ff::/48"]
    assert {str(record.fields) for record in found.values()} == {"{'client_id': '00030001020000000001'}"}
    assert {record.until for record in found.values()} == {1796076646}
    kept = ISC6.replace("    max-life", '    set remote_id = "access-1";\n    max-life', 1)
    assert leases(read_isc, kept)["2001:db8::1b8c/128"].fields["remote_id"] == "access-1"


def test_dnsmasq_has_no_more_than_names_and_clients() -> None:
    found = leases(read_dnsmasq, DNSMASQ)
    home, other = found["100.64.0.20/32"], found["2001:db8::198b/128"]
    assert (home.mac, home.since, home.until) == (0x020000000001, None, 1796076727)
    assert home.fields["hostname"] == "home"
    assert (other.mac, other.until) == (None, None)
    assert other.fields == {"client_id": "00030001020000000002"}
    assert found["100.64.0.19/32"].fields == {"mac": "02:00:00:00:00:02"}


def test_the_last_word_on_an_address_counts() -> None:
    row = "100.64.0.10,02:00:00:00:00:0{},,{},1796080000,1,0,0,,{},\n"
    again = leases(read_kea, KEA4 + row.format(9, 3600, 0))["100.64.0.10/32"]
    assert (again.is_active, again.mac, again.fields.get("circuit_id")) == (True, 0x020000000009, None)
    for lifetime, state in ((3600, 1), (3600, 2), (0, 0)):
        ended = leases(read_kea, KEA4 + row.format(9, lifetime, state))["100.64.0.10/32"]
        assert not ended.is_active, (lifetime, state)
    released = ISC4 + "lease 100.64.0.10 {\n  ends never;\n  binding state free;\n}\n"
    assert not leases(read_isc, released)["100.64.0.10/32"].is_active


def test_a_lease_may_never_end() -> None:
    endless = KEA4.replace(",3600,1796076764,", ",4294967295,6091044059,", 1)
    assert leases(read_kea, endless)["100.64.0.10/32"].until is None
    text = "lease 100.64.0.1 {\n  starts epoch 1796076641; # Mon Nov 30 21:10:41 2026\n  ends never;\n}\n"
    assert leases(read_isc, text)["100.64.0.1/32"][4:6] == (1796076641, None)


def test_a_clean_up_of_kea_leaves_leases_in_older_files() -> None:
    assert lease_files("k.csv", ["k.csv"]) == ["k.csv"]
    assert lease_files("k.csv", ["k.csv", "k.csv.1", "k.csv.2", "k.csv.pid"]) == [
        "k.csv.2",
        "k.csv.1",
        "k.csv",
    ]
    assert lease_files("k.csv", ["k.csv", "k.csv.1", "k.csv.completed"]) == ["k.csv.completed", "k.csv"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("address,mac\n", ["1: not a lease file of Kea; its first line has address, valid_lifet"]),
        (KEA4 + "100.64.0.13,02:00\n", ["5: not a row with 11 values; remove it"]),
        (KEA4 + "100.64.0.999,,,1,1,1,0,0,,0,\n100.64.0.14,,,x,1,1,0,0,,0,\n",
         ["5: '100.64.0.999' is not an IPv4 or IPv6 prefix", "6: 'x' is not a number of seconds"]),
        (KEA4.replace("1796076764", "soon", 1), ["2: 'soon' is not a number of seconds;"]),
        (KEA4 + "100.64.0.0/24,,,1,1,1,0,0,,0,\n", ["5: 100.64.0.0/24 is a prefix; a lease has an address"]),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_of_kea(text: str, expected: list[str]) -> None:
    found = faults(read_kea, text)
    assert len(found) == len(expected)
    assert all(said.startswith(start) for said, start in zip(found, expected, strict=True)), found
    assert len(read_kea(text).leases) == (0 if "1: " in expected[0] else 2 if "soon" in text else 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lease 100.64.0.999 {\n  binding state active;\n}\n", ["1: '100.64.0.999' is not an IPv4 or IPv6"]),
        ("lease 100.64.0.9 {\n  ends tomorrow;\n}\n", ["2: 'tomorrow' is not a moment; one is like 4 2026/"]),
        ("lease 100.64.0.9 {\n  ends 4 2026/13/01 00:00:00;\n}\n", ["2: '4 2026/13/01 00:00:00' is not a"]),
        ("lease 100.64.0.9 {\n  option agent.remote-id access;\n}\n", ["2: 'access' is neither a text"]),
        ("lease 100.64.0.9 {\n  hardware ethernet 1:2;\n}\n}\n", ["2: '1:2' is not a MAC", "4: no block"]),
        ("lease 100.64.0.9 {\n  binding state;\n}\n", ["2: 'binding state;' has no value; remove the lease"]),
        ("lease 100.64.0.999 {\n  ;\n}\n", ["1: '100.64.0.999' is not an IPv4 or IPv6"]),
        ("some words\n", ["1: 'some words' is no statement of a lease file; remove the line"]),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_of_isc(text: str, expected: list[str]) -> None:
    found = faults(read_isc, text + ISC4)
    assert len(found) == len(expected)
    assert all(said.startswith(start) for said, start in zip(found, expected, strict=True)), found
    assert len(read_isc(text + ISC4).leases) == 3


def test_what_is_wrong_in_a_file_of_dnsmasq() -> None:
    text = f"{DNSMASQ}1 2 3\n1 02:00:00:00:00:01 100.64.0.300 * *\nx 02:00:00:00:00:01 100.64.0.3 * *\n"
    assert [said.partition(";")[0] for said in faults(read_dnsmasq, text)] == [
        "6: '1 2 3' is no lease of dnsmasq",
        "7: '100.64.0.300' is not an IPv4 or IPv6 prefix",
        "8: 'x' is not a number of seconds",
    ]


def test_faults_are_counted_and_leases_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(read_dnsmasq, "?\n" * 60)[-2:] == [
        "50: '?' is no lease of dnsmasq; remove the line",
        "51: and 10 more lines of this file",
    ]
    assert lease_record.MAX_LEASES > 2
    for module in ("lease_record", "dnsmasq"):
        monkeypatch.setattr(f"op25b_app.formats.{module}.MAX_LEASES", 2)
    for read, text in ((read_kea, KEA4), (read_isc, ISC4), (read_dnsmasq, DNSMASQ)):
        content = read(text)
        assert len(content.leases) == 2
        assert "more than 2 leases" in content.faults[0].message
    assert not read_kea(KEA4 + KEA4.split("\n")[3] + "\n").leases[2:]


def test_each_file_is_recognised_by_its_first_line() -> None:
    kinds = {"kea": is_kea, "isc": is_isc, "dnsmasq": is_dnsmasq}
    texts = {"kea": [KEA4, KEA6], "isc": [ISC4, "lease 100.64.0.1 {"], "dnsmasq": [DNSMASQ, "duid 00:01"]}
    for kind, examples in texts.items():
        for text in [*examples, "192.0.2.0/24", "# list"]:
            first = text.partition("\n")[0]
            assert [name for name, fits in kinds.items() if fits(first)] == [kind] * (text in examples)


@given(st.data())
def test_a_part_of_a_file_gives_a_part_of_its_leases(data: st.DataObject) -> None:
    """Servers append: what is half written is no problem, and what is read was written."""
    read, text = data.draw(st.sampled_from(SAMPLES))
    part = text[: data.draw(st.integers(0, len(text)))]
    content = read(part)
    assert set(map(str, content.leases)) <= set(map(str, read(text).leases))
    assert content.faults == ()
    assert content.is_complete or part != text


@given(st.data())
def test_any_text_is_read_without_an_exception(data: st.DataObject) -> None:
    read, text = data.draw(st.sampled_from(SAMPLES))
    at = data.draw(st.integers(0, len(text)))
    written: Any = data.draw(st.text(max_size=20) | st.sampled_from(['"', "{", "}\n", "\n", ",", "[" * 9999]))
    content = read(text[:at] + written + text[at + data.draw(st.integers(0, 5)) :])
    assert len(content.leases) <= len(text)
