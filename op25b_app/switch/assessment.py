"""What a switch says: whose policy it holds, what differs, which ports it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from op25b_app.policy.model import Switch
from op25b_app.policy.problem import names_in_words
from op25b_app.rules.flow import FlowRule
from op25b_app.rules.marker import Marker, newest_marker
from op25b_app.switch import codec
from op25b_app.switch.reconcile import Difference


def next_revision(digest: str, found: Iterable[FlowRule]) -> int:
    """The revision of a policy that an operator put in force: the next one, unless it is there already."""
    newest = newest_marker(found)
    if newest is None:
        return 1
    return newest.revision + (not digest.startswith(newest.digest))


def newer_policy(own: Marker, found: Iterable[FlowRule]) -> str | None:
    """A sentence where a switch holds a policy that is as new as ours, or newer, and another one."""
    newest = newest_marker(found)
    if newest is None or newest.revision < own.revision or own.digest.startswith(newest.digest):
        return None
    return (
        f"holds revision {newest.revision} of another policy, and this one is revision {own.revision}: "
        f"nothing was sent; 'op25b reload' puts this one in force after all"
    )


def strange_ports(switch: Switch, ports: Iterable[int]) -> Iterator[str]:
    """Which of a switch's ports the policy does not name."""
    physical = sorted(port for port in ports if port < codec.FIRST_RESERVED_PORT)
    if strange := [str(port) for port in physical if not switch.has_role(port)]:
        yield (
            f"no role in the policy for port{'s' * (len(strange) > 1)} {names_in_words(strange)}, taken for "
            f"subscriber ports: name them in {switch.name}"
        )


def contest(addresses: Sequence[str]) -> list[str]:
    """That connections from these addresses claim one datapath id; nothing where there are none."""
    if not addresses:
        return []
    number = "two" if len(addresses) == 2 else str(len(addresses))
    return [
        f"{number} connections claim this datapath id, from {' and '.join(addresses)}: "
        f"only {addresses[0]} is spoken to; give every switch a datapath id of its own"
    ]


def summary(differences: Sequence[Difference]) -> str:
    more = len(differences) - 1
    return f"{differences[0]}" + (f" and {more} more" if more else "")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
