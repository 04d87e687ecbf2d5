"""Join words for a sentence."""

from __future__ import annotations

from collections.abc import Sequence

_MAX_NAMES = 3


def joined(words: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def names(switches: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and 998 more switches``."""
    if len(switches) > _MAX_NAMES:
        rest = len(switches) - _MAX_NAMES + 1
        return f"{', '.join(switches[: _MAX_NAMES - 1])} and {rest:,} more switches"
    return joined(switches)


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return ``1 line``, or ``1,000 lines``."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
