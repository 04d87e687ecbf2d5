"""How much of the event loop's time one connection, or all of them, have had since others had a turn."""

from __future__ import annotations

BYTES = 1 << 14
SECONDS = 0.003
"""What one turn may take, whichever comes first."""
LEAST_BYTES = 1 << 8
"""A message takes as long as so many bytes of it, at least."""
MOST_SECONDS = 0.1
"""No message takes longer to read: whoever handles it for longer waits for something."""
SLICE_SECONDS = 0.3
"""So often each switch of the policy has a turn that it need not wait for: a hundredth of the time."""
MOST_SAVED = 30
"""So many of these it may have at once: what it tells when all its rules are deleted is some ten turns."""


class Share:
    """What has been read since :meth:`renew`, as a part of one turn."""

    def __init__(self) -> None:
        self._spent = 0.0

    def spend(self, size: int, seconds: float) -> None:
        """Note a message of ``size`` bytes that took so long to read."""
        self._spent += max(max(size, LEAST_BYTES) / BYTES, min(seconds, MOST_SECONDS) / SECONDS)

    @property
    def spent(self) -> float:
        """How many turns; fewer than none where some are saved."""
        return self._spent

    @property
    def is_used_up(self) -> bool:
        """Whether others come next."""
        return self._spent >= 1.0

    def renew(self) -> None:
        """Have another turn; who took several at once waits for several."""
        self._spent = max(self._spent - 1.0, 0.0)

    def recover(self, seconds: float) -> None:
        """So much time has passed, in which turns of its own have come up; some of them are saved."""
        self._spent = max(self._spent - seconds / SLICE_SECONDS, -MOST_SAVED)

    def reset(self) -> None:
        self._spent = 0.0
