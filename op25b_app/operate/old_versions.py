"""Report switches that speak only an OpenFlow version older than those supported."""

from __future__ import annotations

from collections.abc import Iterable

from op25b_app.openflow.codec import SUPPORTED_VERSIONS, VERSION_NAMES

AGAIN_SECONDS = 60.0
"""Seconds before the same address is reported again."""


class OldVersions:
    """The addresses reported lately, each until a monotonic time in seconds."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def too_old(self, host: str, spoken: Iterable[int], now: float) -> str | None:
        """Return the newest of the versions that a switch speaks where that is too old and to be reported.

        ``spoken`` are versions on the wire, at least one. An address is reported once in AGAIN_SECONDS.
        """
        newest = max(spoken)
        self._until = {each: until for each, until in self._until.items() if now < until}
        if newest >= min(SUPPORTED_VERSIONS) or host in self._until:
            return None
        self._until[host] = now + AGAIN_SECONDS
        return VERSION_NAMES.get(newest, str(newest))
