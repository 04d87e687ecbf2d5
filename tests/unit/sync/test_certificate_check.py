"""Whether a certificate is that of the switch that a connection claims to be."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from op25b_app.policy.model import CertificateName, Switch
from op25b_app.sync.certificate_check import Certificate, certificate, refusal
from tests.world import desired

SWITCH = replace(desired().switch, dpid=0x1A)
ENCODED = b"the bytes of a certificate"
FINGERPRINT = hashlib.sha256(ENCODED).hexdigest()


def shown(common_name: str = "somebody", **more: str) -> Certificate:
    """As Python's ``ssl`` decodes one."""
    pairs = [("commonName", common_name), *more.items()]
    return certificate(ENCODED, {"subject": tuple((pair,) for pair in pairs), "version": 3})


def tied(fingerprint: str | None = None, **subject: str) -> Switch:
    return replace(SWITCH, certificate=CertificateName(fingerprint, tuple(subject.items())))


@pytest.mark.parametrize("name", ["0x1a", "000000000000001a", "00:00:00:00:00:00:00:1A"])
def test_the_common_name_may_be_the_datapath_id(name: str) -> None:
    assert refusal(SWITCH, shown(name)) == ""


@pytest.mark.parametrize("name", ["26", "1a", "0x1b", "access-1", "", "0x1a.example.net"])
def test_another_common_name_is_refused_with_a_remedy(name: str) -> None:
    why = refusal(SWITCH, shown(name))
    assert why.startswith(f"claims to be {SWITCH.name} (dpid 0x1a) with the certificate ")
    assert "CN=000000000000001a" in why
    assert f"'certificate: \"sha256:{FINGERPRINT}\"' under {SWITCH.name}" in why


def test_without_certificates_at_all_nobody_is_asked_for_one() -> None:
    assert refusal(SWITCH, None) == ""


def test_one_that_is_named_has_to_be_shown() -> None:
    assert "has shown none: start with --ctl-privkey" in refusal(tied(FINGERPRINT), None)
    assert refusal(tied(CN="access-1"), None) != ""


def test_a_fingerprint_decides_and_not_the_name() -> None:
    assert refusal(tied(FINGERPRINT), shown()) == ""
    assert FINGERPRINT in refusal(tied("0" * 64), shown("0x1a"))


def test_each_attribute_that_is_named_has_to_fit() -> None:
    one = shown("access-1", organizationName="Example ISP", countryName="JP")
    assert refusal(tied(CN="access-1"), one) == ""
    assert refusal(tied(CN="access-1", O="Example ISP"), one) == ""
    for other in (tied(CN="access-2"), tied(CN="access-1", O="Example"), tied(CN="access-1", L="Tokyo")):
        assert "if that is right" in refusal(other, one)
    assert refusal(tied(CN="access-1", O="Example ISP"), shown("access-1")) != ""
