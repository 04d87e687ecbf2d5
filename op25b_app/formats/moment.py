"""Moments with a date and a time zone (RFC 3339)."""

from __future__ import annotations

import re
from datetime import datetime

from op25b_app.net.prefix import quoted

LAST_MOMENT = 253_402_300_799
"""9999-12-31T23:59:59Z in seconds since 1970, the last moment with a date."""


def moment(text: str) -> int:
    """Return a moment, such as ``2027-03-31T00:00:00Z``, in seconds since 1970.

    Raises ValueError, its text a remedy, for anything else.
    """
    try:
        read = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except (TypeError, ValueError):
        read = None
    if read is None or read.tzinfo is None:
        what = f"{quoted(str(text))} is not a moment with a time zone"
        raise ValueError(f"{what}; write 2027-03-31T00:00:00Z")
    seconds = int(read.timestamp())
    if not 0 <= seconds <= LAST_MOMENT:
        what = f"{quoted(str(text))} is not from 1970 to 9999 in UTC"
        raise ValueError(f"{what}; write one like 2027-03-31T00:00:00Z, or none where there is no end")
    return seconds
