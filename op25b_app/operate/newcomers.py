"""How many connections there may be that have not finished their handshake, and who goes first."""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")

LEAST = 1024
"""So many there may be at least, where the system opens as many files."""
PART_OF_FILES = 4
"""They have no more than this part of the files that the process may open."""


def room(switches: int, files: int) -> int:
    """For how many newcomers there is room: all switches may come at once, twice."""
    return max(1, min(LEAST + 2 * switches, files // PART_OF_FILES))


class Newcomers(Generic[Key]):
    """Those that are there, in the order in which they came, by the host that they came from."""

    def __init__(self, most: int = LEAST) -> None:
        self.most = most
        self._host: dict[Key, str] = {}
        self._of: dict[str, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._host)

    def come(self, key: Key, host: str) -> Key | None:
        """Note a newcomer; where there is no room, the oldest of the host with the most has to go."""
        self._host[key] = host
        self._of.setdefault(host, {})[key] = None
        if len(self._host) <= self.most:
            return None
        crowd = max(self._of.values(), key=len)
        oldest = next(iter(crowd))
        self.go(oldest)
        return oldest

    def go(self, key: Key) -> None:
        """A newcomer is none any more, for whatever reason."""
        if (host := self._host.pop(key, None)) is None:
            return
        del self._of[host][key]
        if not self._of[host]:
            del self._of[host]
