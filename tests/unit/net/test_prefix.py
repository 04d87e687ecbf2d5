"""Prefixes and addresses as text: the quick way reads exactly what ``ipaddress`` reads."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from op25b_app.net.prefix import Intervals, Prefix, quoted

octets = st.integers(0, 256).map(str) | st.sampled_from(
    ("00", "01", "", " 1", "1_0", "+1", "\u00b9", "\uff11")
)
hextets = st.integers(0, 0x10000).map("{:x}".format) | st.sampled_from(
    ("", "0", "00000", "0db8", "DB8", "g", "0x1", "+1", "1_0", " 1", "\uff11", "1.2.3.4")
)
lengths = st.integers(0, 129).map("/{}".format) | st.sampled_from(("", "/", "/08", "/ 8", "/8/8"))
addresses = st.one_of(
    st.lists(octets, min_size=3, max_size=5).map(".".join),
    st.lists(hextets, min_size=1, max_size=9).map(":".join),
    st.tuples(*[st.lists(hextets, max_size=5).map(":".join)] * 2).map("::".join),
)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(st.tuples(addresses, lengths).map("".join))
@example("::/0")
@example("::")
@example("1:2:3:4:5:6:7::")
@example("1:2:3:4:5:6:7::8")
@example("::2:3:4:5:6:7:8")
@example(":1:2:3:4:5:6:7")
@example("1::2::3")
@example(":::/0")
@example("0.0.0.0/0")
@example("10.0.0.0/33")
@example("10.0.0.0/255.0.0.0")
@example("::1%/64")
@example("::1:2%a")
@example("10.0.0.0/0.255.255.255")
def test_the_same_texts_are_prefixes_as_for_the_standard_library(text: str) -> None:
    """But for zones, and for masks whose ones come last."""
    wildcard = re.search(r"/0\.", text) is not None and not text.endswith("/0.0.0.0")
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or "%" in text or wildcard:
        with pytest.raises(ValueError, match=re.escape(quoted(text))):
            Prefix.parse(text)
    else:
        assert Prefix.parse(text) == (network.version, int(network.network_address), network.prefixlen)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 128), st.integers(0, (1 << 128) - 1), st.booleans())
def test_a_prefix_is_read_as_it_is_written(length: int, address: int, exploded: bool) -> None:
    prefix = Prefix(6, address >> (128 - length) << (128 - length), length)
    network = ipaddress.ip_network(str(prefix))
    assert Prefix.parse(network.exploded if exploded else str(prefix)) == prefix


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 4))), st.integers(0, 15), st.integers(0, 4))
def test_intervals_say_what_some_prefixes_hold(held: list[tuple[int, int]], high: int, bits: int) -> None:
    def prefix(number: int, length: int) -> Prefix:
        return Prefix(4, number >> (4 - length) << (32 - length) if length else 0, length)

    prefixes = [prefix(*each) for each in held]
    intervals = Intervals([*prefixes, Prefix(6, 0, 0)])
    sixteenths = {number for number in range(16) if any(each.contains(4, number << 28) for each in prefixes)}
    wanted = prefix(high, bits)
    inside = {number for number in range(16) if wanted.contains(4, number << 28)}
    assert intervals.cover(wanted) == (inside <= sixteenths)
    assert intervals.touch(wanted) == bool(inside & sixteenths)
    after = next((number for number in range(high, 16) if number not in sixteenths), 16)
    assert intervals.end(4, high << 28) == ((after << 28) - 1 if after > high else None)
