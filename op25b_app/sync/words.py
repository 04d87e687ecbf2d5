"""Describe differences, numbers and contested datapath ids in words."""

from __future__ import annotations

from collections.abc import Sequence

from op25b_app.policy.diagnostic import MAX_NAMES, names_in_words
from op25b_app.sync.reconcile import Difference


def contest_sentences(addresses: Sequence[str]) -> list[str]:
    """Return one sentence where these addresses claim one datapath id; empty without addresses."""
    if not addresses:
        return []
    number = "two" if len(addresses) == 2 else str(len(addresses))
    places = " and ".join(addresses) if len(addresses) <= MAX_NAMES else names_in_words(addresses)
    return [
        f"{number} connections claim this datapath id, from {places}: "
        f"only {addresses[0]} is used; give every switch a datapath id of its own"
    ]


def summary(differences: Sequence[Difference]) -> str:
    """Return the first difference and the number of further ones, in words."""
    more = len(differences) - 1
    return f"{differences[0]}" + (f" and {more} more" if more else "")


def count(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
