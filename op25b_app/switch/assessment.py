"""What a table that was read says: whose policy it holds, whether there is room, what stands in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from op25b_app.policy.model import Switch
from op25b_app.rules.flow import FlowRule
from op25b_app.rules.marker import Marker, is_marker, newest_marker
from op25b_app.rules.pipeline import Table
from op25b_app.switch import codec
from op25b_app.switch.codec import Command, InstalledRule
from op25b_app.switch.errors import explain
from op25b_app.switch.exchange import Refused
from op25b_app.switch.plan import GATES, MARKERS
from op25b_app.switch.reconcile import Comparison, Difference, describe
from op25b_app.switch.room import fit, is_dispensable
from op25b_app.switch.ruleset import Key, Ruleset


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


def fitting(
    wanted: Ruleset, found: Sequence[InstalledRule], room: Mapping[int, int]
) -> tuple[Ruleset | None, str]:
    """What is wanted as far as the tables have room for it, and in words what there is no room for.

    What a switch says of its room is advice (OpenFlow 1.3.5, section 7.3.5.5); what it holds is a fact. Some
    places are kept for what plans need on top.
    """
    most = len(found) + len(wanted) + MARKERS + GATES
    if most <= min(room.values(), default=most):
        return wanted, ""
    held = Counter(each.rule.table for each in found)
    others = Counter(each.rule.table for each in found if not each.rule.ours)
    others.update({wanted.last_own_table: MARKERS, Table.ADMIT: GATES})
    left = {table: max(places, held[table]) - others[table] for table, places in room.items()}
    return fit(wanted, left) or (wanted, "")


def acceptable(wanted: Ruleset, refused: Mapping[Key, Refused]) -> Ruleset | None:
    """What is wanted but for what a switch has refused; None where without that more would pass.

    Of refused rules, those that permit something to some addresses can be done without.
    """
    if not refused:
        return wanted
    left_out: set[Key] = set()
    for key, (change, _) in refused.items():
        if is_marker(change.rule):
            continue
        if change.command is Command.DELETE_STRICT or not is_dispensable(change.rule):
            return None
        if change.before is None or change.before.action != change.rule.action:
            left_out.add(key)
    return Ruleset([[rule for rule in wanted.rules if rule.key not in left_out]]) if left_out else wanted


def objections_to(comparison: Comparison, shortage: str) -> Iterator[str]:
    """Why a table that has all the switch takes is not what was wanted."""
    if shortage:
        yield shortage
    if comparison.differences:
        yield f"its table is not as sent: {summary(comparison.differences)}"


def refusals(refused: Mapping[Key, Refused], *, go_on: bool) -> Iterator[str]:
    """What a switch has refused and why, and whether that kept anything else from being sent."""
    for why, number in Counter(each.why for each in refused.values()).items():
        first = next(each.change for each in refused.values() if each.why == why)
        yield f"refused {count(number, 'rule')}: {explain(*why)}, first {describe(first.rule)}"
    if not go_on:
        yield "nothing that takes it for granted was sent, so that nothing opens"


def strange_ports(switch: Switch, ports: Iterable[int]) -> Iterator[str]:
    """Which of a switch's ports the policy does not name."""
    physical = sorted(port for port in ports if port < codec.FIRST_RESERVED_PORT)
    if strange := [str(port) for port in physical if not switch.has_role(port)]:
        yield (
            f"no role in the policy for port{'s' * (len(strange) > 1)} {', '.join(strange)}, taken for "
            f"subscriber ports: name them in {switch.name}"
        )


def summary(differences: Sequence[Difference]) -> str:
    more = len(differences) - 1
    return f"{differences[0]}" + (f" and {more} more" if more else "")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
