"""``op25b diff``: compare two policies by blocked and permitted traffic, and by flow rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from op25b_app.cli.arguments import (
    at_option,
    errors_and_exit,
    exit_where_ports_are_missing,
    json_option,
    policy_in_effect,
    ports_option,
    print_json,
)

if TYPE_CHECKING:
    from op25b_app.diff import Effect, SwitchEffect, Traffic
    from op25b_app.diff.address_text import AddressSet
    from op25b_app.diff.policy_diff import ExceptionEnd
    from op25b_app.policy.model import MailException, Policy

_LISTS = {
    "BLOCKED": "becomes_blocked",
    "PERMITTED": "becomes_permitted",
    "COUNTED": "would_become_blocked",
    "UNCOUNTED": "would_become_permitted",
    "ENFORCED": "becomes_blocked",
    "LET_THROUGH": "becomes_permitted",
}
"""Name of the list in JSON, by change."""
MAX_LINES = 20
"""Maximum number of lines of one list without ``--all``."""


@click.command(short_help="Show the changes from one policy to another.")
@click.argument("old_path", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new_path", metavar="NEW", type=click.Path(path_type=Path))
@click.option("--switch", "switch_name", metavar="NAME", help="Compare only this switch.")
@click.option("--all", "show_all", is_flag=True, help=f"List more than {MAX_LINES} prefixes and kinds.")
@ports_option
@at_option
@json_option
def command(
    old_path: Path,
    new_path: Path,
    switch_name: str | None,
    show_all: bool,
    port_files: tuple[str, ...],
    at: float,
    as_json: bool,
) -> None:
    """Show the changes on each switch when the policy NEW replaces OLD.

    The output says what becomes blocked, what becomes permitted, and how many flow rules change. Every packet
    is compared, not samples. Addresses that the controller has learned for lines, and keeps for OLD, count
    under both.

    Exits with 0 where the changes are shown; with 1 where one of the policies has errors.
    """
    from op25b_app.diff import effect
    from op25b_app.operate.policy_cache import load_cached
    from op25b_app.policy.diagnostic import unknown_switch

    before, after = load_cached(old_path, at), load_cached(new_path, at)
    if before.policy is None or after.policy is None:
        errors_and_exit((*before.errors, *after.errors))
    old, new = before.policy, after.policy
    known = dict.fromkeys([*old.switches, *new.switches])
    if switch_name is not None and switch_name not in known:
        raise click.BadParameter(unknown_switch(switch_name, known), param_hint="--switch")
    # What a controller has learned of lines, it keeps for the file that is in force.
    old, new = (
        _in_effect(old_path, policy, at, port_files, switch_name, known.keys()) for policy in (old, new)
    )
    result = effect(old, new, at, None if switch_name is None else [switch_name])
    most = None if show_all else MAX_LINES
    if as_json:
        print_json({**_as_json(result, most), **result.objections._asdict()})
    else:
        warnings = [f"warning: {line}; a reload asks for --yes" for line in result.objections.sentences]
        click.echo("\n".join([*_lines(result, most), *warnings]))


def _in_effect(
    path: Path,
    policy: Policy,
    at: float,
    port_files: Sequence[str],
    switch_name: str | None,
    known: AbstractSet[str],
) -> Policy:
    """Return a policy with its ports by number, or exit where some that are compared are not known.

    It has the learned lines that are kept for the file at ``path``.

    ``known`` are the switches of both policies; a file for one of the other policy alone is left out.
    """
    others = known - policy.switches.keys()
    files = [each for each in port_files if each.partition("=")[0] not in others]
    effective = policy_in_effect(path, policy, at, files, switch_name)
    exit_where_ports_are_missing(effective, policy.switches if switch_name is None else [switch_name])
    return effective


def _lines(effect: Effect, most: int | None) -> Iterator[str]:
    from op25b_app.diff.text import (
        alike_text,
        exception_text,
        kinds,
        lines_notes,
        network_notes,
        who_text,
    )
    from op25b_app.diff.words import names

    yield from lines_notes(effect)
    yield from network_notes(effect)
    if effect.treats_all_alike:
        yield alike_text(effect)
    yield from kinds(effect)
    for switch in effect.switches[:most]:
        yield who_text(switch)
        yield from (f"  {line}" for line in _switch_lines(switch, most))
    if more := len(effect.switches) - len(effect.switches[:most]):
        others = sum(len(switch.rules) for switch in effect.switches[most:])
        yield f"and {others:,} more switches, of {more:,} kinds (--all lists them)"
    if effect.untouched:
        yield f"{names(effect.untouched)}: nothing changes"
    yield from _limited([exception_text(end) for end in effect.exceptions], most, "exceptions")


def _switch_lines(switch: SwitchEffect, most: int | None) -> Iterator[str]:
    from op25b_app.diff.text import headline, notes, rules_text
    from op25b_app.diff.traffic import Kind, VerdictChange

    yield from _limited(list(notes(switch)), most, "changes of names and datapaths")
    yield from (headline(traffic) for traffic in switch.traffic if traffic.kind is Kind.MODE)
    for change in VerdictChange:
        found = [
            traffic
            for traffic in switch.traffic
            if traffic.change is change and traffic.kind is not Kind.MODE
        ]
        if not found:
            continue
        yield change.value
        for traffic in found[:most]:
            yield from (f"  {line}" for line in _traffic_lines(traffic, most))
        if most is not None and len(found) > most:
            yield f"  and {len(found) - most:,} more (--all lists them)"
    yield f"rules {rules_text(switch)}"


def _traffic_lines(traffic: Traffic, most: int | None) -> Iterator[str]:
    from op25b_app.diff.text import amount, example_text, headline, listed, piece_text

    yield headline(traffic)
    addresses = listed(traffic)
    if addresses is not None:
        version, shown = addresses.version, addresses.pieces[:most]
        width = max(len(piece_text(piece)) for piece in shown)
        for piece in shown:
            yield f"  {piece_text(piece):{width}}  {amount(version, piece.count)}"
        if more := len(addresses.pieces) - len(shown):
            rest = amount(version, addresses.count - sum(piece.count for piece in shown))
            yield f"  and {more:,} more ({rest}; --all lists them)"
    if not traffic.kind.is_mail:
        yield f"  for example {example_text(traffic.example)}"


def _limited(lines: list[str], most: int | None, what: str) -> Iterator[str]:
    yield from lines[:most]
    if most is not None and len(lines) > most:
        yield f"and {len(lines) - most:,} more {what} (--all lists them)"


def _as_json(effect: Effect, most: int | None) -> dict[str, Any]:
    from op25b_app.diff.line_changes import Fate

    nothing: dict[str, Any] = {**{name: [] for name in _LISTS.values()}, "notes": [], "like": None}
    no_rules = {"added": 0, "removed": 0, "changed": 0, "unchanged": None}
    switches = {name: {**nothing, "rules": no_rules} for name in effect.untouched}
    for switch in effect.switches:
        values = _switch_as_json(switch, most)
        for name, rules in switch.rules.items():
            switches[name] = {**values, "rules": rules._asdict()}
    return {
        "differs": not effect.treats_all_alike,
        "switches": switches,
        "added": list(effect.added),
        "removed": list(effect.removed),
        "exceptions": [_exception_as_json(end) for end in effect.exceptions],
        "lines": {fate.value: effect.lines.count(fate) for fate in Fate},
        "cut_off": [line._asdict() for line in effect.lines.cut_off],
        "port_25": [moves._asdict() for moves in effect.port_25],
    }


def _switch_as_json(switch: SwitchEffect, most: int | None) -> dict[str, Any]:
    from op25b_app.diff.text import notes

    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in _LISTS.values()}
    for traffic in switch.traffic:
        lists[_LISTS[traffic.change.name]].append(_traffic_as_json(traffic, most))
    return {**lists, "notes": list(notes(switch)), "like": switch.like}


def _traffic_as_json(traffic: Traffic, most: int | None) -> dict[str, Any]:
    from op25b_app.diff.text import example_text, headline
    from op25b_app.verify.counterexample import openflow_fields

    before, after = traffic.roles
    values: dict[str, Any] = {"kind": traffic.kind.value, "text": headline(traffic)}
    for name, addresses in (("sources", traffic.sources), ("destinations", traffic.destinations)):
        if addresses is not None:
            values[name] = _addresses_as_json(addresses, most)
    return {
        **values,
        "partly": traffic.partly,
        "role": after.value,
        "old_role": before.value,
        "ports": [list(ports) for ports in traffic.ports],
        "other_ports": [list(ports) for ports in traffic.other_ports],
        "example": {"text": example_text(traffic.example), "fields": openflow_fields(traffic.example)},
    }


def _addresses_as_json(addresses: AddressSet, most: int | None) -> dict[str, Any]:
    """Return JSON values; with ``all_but`` the prefixes are those left out of the set."""
    all_but = addresses.is_shorter_by_exclusion
    prefixes = list((addresses.others if all_but else addresses).prefixes())
    return {
        "version": addresses.version,
        "addresses": addresses.count,
        "all_but": all_but,
        "prefixes": [str(prefix) for prefix in prefixes[:most]],
        "more_prefixes": 0 if most is None else max(0, len(prefixes) - most),
    }


def _exception_as_json(end: ExceptionEnd) -> dict[str, Any]:
    from op25b_app.diff.text import exception_text

    known = end.after or end.before
    return {
        "name": known.name if known is not None else None,
        "old_end": _end_as_json(end.before),
        "new_end": _end_as_json(end.after),
        "text": exception_text(end),
    }


def _end_as_json(exception: MailException | None) -> dict[str, Any] | None:
    """Return None where it is neither in force nor to come.

    ``expires`` is in seconds since 1970, None for never; ``starts``, too, and None where it is in force.
    """
    return None if exception is None else {"expires": exception.expires, "starts": exception.starts}
