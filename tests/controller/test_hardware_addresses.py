"""What Ryu writes of hardware addresses is what it wrote before."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib import addrconv

from op25b_app.controller import hardware_addresses


@pytest.fixture(scope="module", autouse=True)
def written_quickly() -> Iterator[None]:
    hardware_addresses.write_quickly()
    yield
    del addrconv.mac.bin_to_text


def by_netaddr(packed: bytes) -> str:
    text: str = type(addrconv.mac).bin_to_text(addrconv.mac, packed)
    return text


@given(packed=st.binary(min_size=6, max_size=6))
def test_the_text_is_the_same(packed: bytes) -> None:
    assert addrconv.mac.bin_to_text(packed) == by_netaddr(packed)
    assert addrconv.mac.text_to_bin(addrconv.mac.bin_to_text(packed)) == packed


@pytest.mark.parametrize("packed", [b"", b"\x01\x02\x03\x04\x05", bytes(7), bytes(8)])
def test_what_is_no_address_is_refused_as_before(packed: bytes) -> None:
    for write in (addrconv.mac.bin_to_text, by_netaddr):
        with pytest.raises(struct.error, match="requires a buffer of 6 bytes"):
            write(packed)
