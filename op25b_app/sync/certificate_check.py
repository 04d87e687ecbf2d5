"""Check by its certificate whether a connection may claim a datapath id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from op25b_app.policy.model import CertificateName, Switch
from op25b_app.policy.schema import SUBJECT_ATTRIBUTES, datapath_id

_SHORT = {long: short for short, long in SUBJECT_ATTRIBUTES.items()}


class Certificate(NamedTuple):
    """Certificate signed by a trusted authority: its SHA-256, in hexadecimal, and its subject."""

    fingerprint: str
    subject: frozenset[tuple[str, str]]

    @property
    def common_names(self) -> list[str]:
        """Common names of the subject, sorted."""
        return sorted(value for kind, value in self.subject if kind == "CN")

    def __str__(self) -> str:
        names = ",".join(f"{kind}={value}" for kind, value in sorted(self.subject))
        return f"{names or 'no name'} (sha256:{self.fingerprint})"


def certificate(encoded: bytes, decoded: Mapping[str, Any]) -> Certificate:
    """Return the certificate with these bytes (DER), as ``ssl.SSLSocket.getpeercert`` decodes it."""
    parts: Iterable[tuple[str, str]] = (pair for part in decoded.get("subject", ()) for pair in part)
    subject = frozenset((_SHORT.get(kind, kind), value) for kind, value in parts)
    return Certificate(hashlib.sha256(encoded).hexdigest(), subject)


def refusal(switch: Switch, shown: Certificate | None) -> str:
    """Return why a connection is not this switch's, and what to do; empty if it is.

    The text continues the word "it". ``shown`` is None where connections show no certificate that an
    authority has signed.
    """
    claimed = f"claims to be {switch.name} (dpid {switch.dpid:#x})"
    if switch.certificate is None:
        if shown is None or any(_is_named(switch.dpid, name) for name in shown.common_names):
            return ""
        return (
            f"{claimed} with the certificate {shown}, whose common name is not that datapath id: "
            f"issue one with CN={switch.dpid:016x}, or {_remedy(switch, shown)}"
        )
    tied = f"{claimed}, which the policy ties to the certificate {switch.certificate}"
    if shown is None:
        options = "--ctl-privkey, --ctl-cert and --ca-certs"
        return f"{tied}, and has shown none: start with {options}, or take that from {switch.name}"
    if _fits(switch.certificate, shown):
        return ""
    return f"{tied}, with {shown}: if that is right, {_remedy(switch, shown)}"


def _remedy(switch: Switch, shown: Certificate) -> str:
    return f"write 'certificate: \"sha256:{shown.fingerprint}\"' under {switch.name} in the policy"


def _is_named(dpid: int, name: str) -> bool:
    with suppress(ValueError):
        return datapath_id(name) == dpid
    return False


def _fits(wanted: CertificateName, shown: Certificate) -> bool:
    if wanted.fingerprint is not None:
        return wanted.fingerprint == shown.fingerprint
    return set(wanted.subject) <= shown.subject
