"""The examples of RFC 6052, section 2.4."""

from __future__ import annotations

import pytest

from op25b_app.net.nat64 import embed
from op25b_app.net.prefix import Prefix


@pytest.mark.parametrize(
    ("nat64", "embedded"),
    [
        ("2001:db8::/32", "2001:db8:c000:221::/64"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::/80"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::/88"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::/96"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::/104"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33/128"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33/128"),
    ],
)
def test_an_address_is_embedded_as_the_rfc_does(nat64: str, embedded: str) -> None:
    assert embed(Prefix.parse(nat64), Prefix.parse("192.0.2.33")) == Prefix.parse(embedded)


def test_a_prefix_that_ends_before_the_zero_octet_does_not_ask_for_it() -> None:
    found = embed(Prefix.parse("2001:db8:122::/48"), Prefix.parse("192.0.0.0/16"))
    assert found == Prefix.parse("2001:db8:122:c000::/64")
