"""Limit the connections whose handshake is not finished, and choose which is dropped first."""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")

LEAST = 1024
"""Fewest pending handshakes, where the process may open enough files."""
PART_OF_FILES = 4
"""Divisor: pending handshakes take at most a quarter of the files that the process may open."""


def handshake_limit(switches: int, files: int) -> int:
    """Return the maximum number of pending handshakes: all switches may come at once, twice."""
    return max(1, min(LEAST + 2 * switches, files // PART_OF_FILES))


class PendingHandshakes(Generic[Key]):
    """Pending handshakes by host, in order of arrival."""

    def __init__(self, most: int = LEAST) -> None:
        self.most = most
        self._host: dict[Key, str] = {}
        self._of: dict[str, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._host)

    def add(self, key: Key, host: str) -> Key | None:
        """Add a handshake; where there is no room, remove and return the oldest of the host with the most."""
        self._host[key] = host
        self._of.setdefault(host, {})[key] = None
        if len(self._host) <= self.most:
            return None
        crowd = max(self._of.values(), key=len)
        oldest = next(iter(crowd))
        self.remove(oldest)
        return oldest

    def remove(self, key: Key) -> None:
        """Remove a handshake; an unknown key is ignored."""
        if (host := self._host.pop(key, None)) is None:
            return
        del self._of[host][key]
        if not self._of[host]:
            del self._of[host]
