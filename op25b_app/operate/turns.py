"""Account for the event loop's time that one connection, or all of them, have used in a turn."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

Waiting = TypeVar("Waiting")

TURN_BYTES = 1 << 14
TURN_SECONDS = 0.003
"""Most bytes, and most seconds, of one turn, whichever comes first."""
LEAST_BYTES = 1 << 8
"""Fewest bytes charged for one message."""
MAX_SECONDS = 0.1
"""Most seconds charged for one message: a handler that takes longer waits for something."""
SLICE_SECONDS = 0.3
"""Seconds in which a switch of the policy gains one turn without waiting: a hundredth of the time."""
MAX_SAVED = 30
"""Maximum number of saved turns; the messages on the deletion of all rules take some ten."""


class TurnUsage:
    """The part of a turn that has been used since :meth:`renew`."""

    def __init__(self) -> None:
        self.spent = 0.0
        """Number of turns used; negative where turns are saved."""

    def charge(self, size: int, seconds: float) -> None:
        """Charge a message of ``size`` bytes that took ``seconds`` to read."""
        self.spent += max(max(size, LEAST_BYTES) / TURN_BYTES, min(seconds, MAX_SECONDS) / TURN_SECONDS)

    def charge_time(self, seconds: float) -> None:
        """Charge a message that took ``seconds`` to read, whatever its size."""
        self.spent += min(seconds, MAX_SECONDS) / TURN_SECONDS

    @property
    def is_used_up(self) -> bool:
        """True where a whole turn is used up."""
        return self.spent >= 1.0

    def renew(self) -> None:
        """Begin another turn; a connection that used several waits for as many."""
        self.spent = max(self.spent - 1.0, 0.0)

    def recover(self, seconds: float) -> None:
        """Credit the turns gained in ``seconds``; at most MAX_SAVED are saved."""
        self.spent = max(self.spent - seconds / SLICE_SECONDS, -MAX_SAVED)

    def reset(self) -> None:
        """Set the used turns to zero."""
        self.spent = 0.0


class ConnectionClass(enum.Enum):
    """Class of a connection: after its turn, it waits for connections of the same class."""

    IN_USE = enum.auto()
    """The connection in use of a switch in the policy.

    It has a slice of the time without waiting, and its answers to a session are not charged to it.
    """
    STANDBY = enum.auto()
    """A connection that claims to be a switch in the policy while another one is in use."""
    OTHER = enum.auto()
    """Any other connection."""


def class_of(*, in_use: bool, in_policy: bool) -> ConnectionClass:
    """Return the class of a connection, by whether it is in use and claims to be a switch in the policy."""
    if not in_policy:
        return ConnectionClass.OTHER
    return ConnectionClass.IN_USE if in_use else ConnectionClass.STANDBY


def chosen_next(waiting: Mapping[Waiting, TurnUsage], number: int) -> Waiting:
    """Return who goes on as number ``number`` of a batch; ``waiting`` is in order of arrival.

    By turns it is the one that has waited longest, and the one that has been read least.
    """
    if number % 2:
        return min(waiting, key=lambda each: waiting[each].spent)
    return next(iter(waiting))
