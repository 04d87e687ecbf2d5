"""List learned lines as JSON values, for ``op25b lines``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from op25b_app.formats.lease_record import mac_text
from op25b_app.formats.moment import moment
from op25b_app.lines.line_table import Claim, LineTable
from op25b_app.net.port_number import port_name
from op25b_app.net.prefix import Prefix
from op25b_app.operate.events import iso
from op25b_app.operate.query import BadQueryError, Query

MAX_LISTED = 10_000
"""Maximum number of lines in one answer."""


class LineQuestion(NamedTuple):
    """Lines that are asked for: of a switch, of an address, at a moment (seconds since 1970) before now."""

    switch: str | None
    prefix: Prefix | None
    at: float | None

    @classmethod
    def of(cls, query: Query) -> LineQuestion:
        """Return the question of a query. Raises BadQueryError where it is none."""
        address, at = query.text("address"), query.text("at")
        if at is not None and address is None:
            raise BadQueryError("at needs an address")
        try:
            prefix = None if address is None else Prefix.parse(address)
            return cls(query.text("switch"), prefix, None if at is None else float(moment(at)))
        except ValueError as failure:
            raise BadQueryError(str(failure)) from None

    def held_now(self, table: LineTable) -> Iterable[Claim]:
        """Return the claims that are asked for, of those that hold now; perhaps more of other switches."""
        return table.holding_of(self.switch) if self.prefix is None else table.holders(self.prefix)

    def answer(self, claims: Iterable[Claim]) -> dict[str, Any]:
        """Return the claims of the switch as JSON values, at most MAX_LISTED, and how many there are."""
        found = [claim for claim in claims if self.switch in (None, claim.line.switch)]
        found.sort(key=lambda claim: (claim.line.switch, claim.line.port, claim.line.vlan or 0, claim.prefix))
        asked = any(each is not None for each in self)
        return {
            "lines": [_as_json(claim) for claim in found[:MAX_LISTED]],
            "count": len(found),
            "asked": asked,
        }


def _as_json(claim: Claim) -> dict[str, Any]:
    line = claim.line
    return {
        "switch": line.switch,
        "port": port_name(line.port),
        "vlan": "untagged" if line.vlan == 0 else line.vlan,
        "address": str(claim.prefix),
        "mac": None if claim.mac is None else mac_text(claim.mac),
        "since": iso(claim.since, "seconds"),
        "until": None if claim.until is None else iso(claim.until, "seconds"),
        "source": claim.source,
    }
