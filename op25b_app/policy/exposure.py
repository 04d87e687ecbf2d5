"""Measure how far a policy opens port 25: the reach of dynamic space, and the exempt share of the own space.

Shares are of addresses, by IP version. They show a policy that closes almost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from op25b_app.net.nat64 import extract
from op25b_app.net.prefix import WIDTH, Prefix
from op25b_app.net.prefix_set import Key, LpmTable, cover, difference, keys_of
from op25b_app.policy.address_space import Space
from op25b_app.policy.model import (
    LocatedPrefix,
    MailException,
    Policy,
    SourceLocation,
    SourceValidation,
    SubscriberPort,
)

SMALL_SHARE = 0.01
"""Share of the Internet above which an exposure is reported.

With its whole network as mail destinations, one of the largest ISPs comes near to it.
"""
LARGE_SHARE = 0.5
"""Share of the own space, or of the lines, above which exemptions are reported."""
GROWTH = 2.0
"""Factor by which a share must grow to be reported as a new exposure."""
FEW_SOURCES = {4: 1 << 8, 6: 1 << 80}
"""Number of addresses (a /24, a /48) that exceptions may open without a warning in any network."""
FEW_LINES = 16
"""Number of lines that exceptions may open without a warning."""

_NOT_GLOBAL = map(
    Prefix.parse,
    ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
     "192.168.0.0/16", "224.0.0.0/3"),
)  # fmt: skip
"""IPv4 addresses that are not unicast addresses of the Internet (RFC 6890, RFC 5771, RFC 1112)."""
_ALLOCATED = map(
    Prefix.parse,
    ("2001::/16", "2002::/16", "2003::/18", "2400::/12", "2410::/12", "2600::/12", "2610::/23", "2620::/23",
     "2630::/12", "2800::/12", "2a00::/12", "2a10::/12", "2c00::/12"),
)  # fmt: skip
"""IPv6 addresses that registries allocate (IANA, IPv6 Global Unicast Address Assignments)."""
_ALL = {4: [0], 6: [0]}
_INTERNET: dict[int, list[Key]] = {
    4: difference(4, _ALL[4], cover(4, keys_of(4, _NOT_GLOBAL))),
    6: cover(6, keys_of(6, _ALLOCATED)),
}
_NAT64 = Prefix.parse("64:ff9b::/96")
"""The well-known prefix (RFC 6052, section 2.1)."""

Kind = Literal["mail destinations", "exceptions", "exempt", "exempt lines"]


class Exposure(NamedTuple):
    """One unusually wide exposure; ``share`` is from 0 to 1, ``version`` is 0 for exempt lines."""

    kind: Kind
    version: int
    share: float
    place: SourceLocation
    text: str


def exposures(policy: Policy, at: float) -> list[Exposure]:
    """Return the unusually wide exposures of a policy at a moment (seconds since 1970)."""
    written = (*policy.exceptions, *policy.exceptions_by_name)
    exceptions = [_Wide(each, share) for each in written if (share := _reach(policy, each, at))]
    return [
        exposure
        for version in WIDTH
        for exposure in (
            *_by_mail_destinations(policy, version),
            *_by_exceptions(policy, version, exceptions),
            *_exempt(policy, version, exceptions),
        )
    ] + [*_exempt_lines(policy, exceptions)]


def newly_exposed(old: Policy | None, new: Policy, at: float) -> list[str]:
    """Return a sentence for each exposure that ``old`` did not have, or had at most half as wide."""
    if old is None:
        return []
    before = {(exposure.kind, exposure.version): exposure.share for exposure in exposures(old, at)}
    found = [
        exposure
        for exposure in exposures(new, at)
        if exposure.share >= GROWTH * before.get((exposure.kind, exposure.version), 0)
    ]
    reported = {(exposure.kind, exposure.version) for exposure in found}
    opened = (
        _opened_text(moves)
        for moves in port_25_moves(old, new, at)
        if moves.opened > moves.own * LARGE_SHARE and ("exempt", moves.version) not in reported
    )
    return [*(exposure.text for exposure in found), *opened]


class Port25Moves(NamedTuple):
    """Addresses of the own space for which port 25 opens, to any destination, or closes.

    ``own`` is the number of addresses in the own space of the old policy, of one IP version.
    """

    version: int
    opened: int
    closed: int
    own: int


def port_25_moves(old: Policy, new: Policy, at: float) -> list[Port25Moves]:
    """Return, by IP version, for how many of the old policy's own addresses port 25 opens or closes.

    An address counts as open where it is static, or excepted now or later for more than 1 % of the Internet;
    without source validation also where it is unlisted. ``at`` is in seconds since 1970.
    """
    return [moves for version in WIDTH if (moves := _moves(old, new, at, version))]


def _moves(old: Policy, new: Policy, at: float, version: int) -> Port25Moves | None:
    """Return the moves of one IP version, looked for where the policies differ; None where there are none."""
    before, after = (policy.space.tables[version] for policy in (old, new))
    sources = [_open_sources(policy, at, version) for policy in (old, new)]
    changed = {key for key, _ in before.labels.items() ^ after.labels.items()}
    changed.update(keys_of(version, sources[0] ^ sources[1]))
    if not changed:
        return None
    where = cover(version, changed)
    own = difference(version, where, _spaces_of(before, where, Space.UNLISTED))
    was_open = cover(version, [*_spaces_of(before, where, Space.STATIC), *keys_of(version, sources[0])])
    is_open = [*_spaces_of(after, where, Space.STATIC), *keys_of(version, sources[1])]
    if new.hardening.source_validation is SourceValidation.OFF:
        is_open += _spaces_of(after, where, Space.UNLISTED)
    is_open = cover(version, is_open)
    closed = difference(version, own, was_open)
    opened = _common_size(version, closed, is_open)
    lost = _total(version, difference(version, difference(version, own, closed), is_open))
    return Port25Moves(version, opened, lost, sum(before.sizes.values())) if opened or lost else None


def _spaces_of(table: LpmTable[Space], where: Sequence[Key], space: Space) -> list[Key]:
    """Return a cover of the addresses of one space, of those in ``where``."""
    labels = {inner: table.labels[inner] for key in where for inner in table.inside(key)}
    labels.update((key, table.label(key)) for key in where)
    others = Space.UNLISTED if space is not Space.UNLISTED else Space.DYNAMIC
    return LpmTable(table.version, labels, others).cover_of(space)


def _open_sources(policy: Policy, at: float, version: int) -> frozenset[Prefix]:
    """Return the sources of one IP version that exceptions let speak to much of the Internet."""
    return frozenset(
        entry.source
        for entry in policy.exceptions
        if isinstance(entry.source, Prefix)
        and entry.source.version == version
        and _reach(policy, entry, at) > SMALL_SHARE
    )


def _opened_text(moves: Port25Moves) -> str:
    share = _percent(moves.opened / moves.own)
    what = f"port 25 would open, to any destination, for {share} of the own IPv{moves.version} space"
    return f"{what}, where it is closed now; open it only for those who have asked for it"


class _Wide(NamedTuple):
    """An exception in force or to come, and the share of the Internet that it leads to."""

    exception: MailException
    share: float


def _by_mail_destinations(policy: Policy, version: int) -> Iterator[Exposure]:
    if not policy.dynamic:
        return
    listed = policy.mail_destinations
    share = _share_of_internet(policy, version, [entry.prefix for entry in listed])
    if share > SMALL_SHARE:
        what = f"mail_destinations let dynamic space reach {_percent(share)} of the IPv{version} Internet"
        remedy = "name the ISP's own mail servers or networks"
        yield Exposure("mail destinations", version, share, _widest(listed), f"{what} on port 25; {remedy}")


def _by_exceptions(policy: Policy, version: int, exceptions: Sequence[_Wide]) -> Iterator[Exposure]:
    """Yield an exposure by pairs of a dynamic address and an address on the Internet."""
    found = [each for each in exceptions if _source_version(each.exception) == version]
    if sum(_size(each.exception.source) for each in found) <= FEW_SOURCES[version]:
        return
    dynamic = policy.space.tables[version].cover_of(Space.DYNAMIC)
    by_destination: dict[Prefix | None, list[_Wide]] = {}
    for each in found:
        by_destination.setdefault(each.exception.destination, []).append(each)
    ways = 0.0
    for alike in by_destination.values():
        sources = cover(version, keys_of(version, _sources(alike)))
        ways += alike[0].share * _common_size(version, sources, dynamic) / max(1, _total(version, dynamic))
    if ways > SMALL_SHARE:
        widest = max(found, key=lambda each: each.share * _size(each.exception.source)).exception
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        share = min(ways, 1)
        what = f"exceptions ('{widest.name}'{others}) open {_percent(share)} of the ways from dynamic space"
        remedy = "name fewer sources, or the destinations that they need"
        text = f"{what} to the IPv{version} Internet on port 25; {remedy}"
        yield Exposure("exceptions", version, share, widest.place, text)


def _exempt(policy: Policy, version: int, exceptions: Sequence[_Wide]) -> Iterator[Exposure]:
    if not policy.dynamic:
        return
    wide = [
        each for each in exceptions if each.share > SMALL_SHARE and _source_version(each.exception) == version
    ]
    table = policy.space.tables[version]
    excepted = sum(map(_size, _sources(wide)))
    sizes = table.sizes
    owned, exempted = sum(sizes.values()), sizes.get(Space.STATIC, 0)
    if exempted + excepted <= owned * LARGE_SHARE:
        return
    if wide:
        sources = [*table.cover_of(Space.STATIC), *keys_of(version, _sources(wide))]
        exempted = _common_size(version, cover(version, sources), cover(version, table.keys))
    share = exempted / max(1, owned)
    if share > LARGE_SHARE:
        static = [entry for entry in policy.static if entry.prefix.version == version]
        what = f"{_percent(share)} of the own IPv{version} space may speak port 25 to any destination"
        by_static = [(_size(entry.prefix), entry.place) for entry in static]
        by_exception = [(_size(each.exception.source), each.exception.place) for each in wide]
        _, place = max(by_static + by_exception, key=lambda sized: sized[0])
        remedy = "list as static, or except, only those who have asked for it"
        yield Exposure("exempt", version, share, place, f"{what} (static space and exceptions); {remedy}")


def _exempt_lines(policy: Policy, exceptions: Sequence[_Wide]) -> Iterator[Exposure]:
    """Yield an exposure by exceptions for lines, whatever addresses they have."""
    wide = {
        (each.exception.source, each.exception.port_name): each.exception
        for each in exceptions
        if each.share > SMALL_SHARE and isinstance(each.exception.source, SubscriberPort)
    }
    lines = sum(len(switch.subscriber_ports) for switch in policy.switches.values())
    if len(wide) > max(FEW_LINES, lines * LARGE_SHARE):
        share = min(1, len(wide) / max(1, lines))
        what = f"exceptions let {_percent(share)} of the lines speak port 25 to any destination"
        place = next(iter(wide.values())).place
        yield Exposure("exempt lines", 0, share, place, f"{what}; except only those who have asked for it")


def _reach(policy: Policy, exception: MailException, at: float) -> float:
    """Return the share of the Internet that an exception leads to, now or later; 0 where it has expired."""
    if exception.is_past(at):
        return 0
    if exception.destination is None:
        return 1
    return max(_share_of_internet(policy, version, [exception.destination]) for version in WIDTH)


def _share_of_internet(policy: Policy, version: int, prefixes: Sequence[Prefix]) -> float:
    """Return the share of the Internet in prefixes; IPv4 addresses behind a NAT64 are included."""
    if version == 4:
        outer = [_NAT64, *(entry.prefix for entry in policy.nat64_prefixes)]
        behind = (extract(nat64, prefix) for nat64 in outer for prefix in prefixes if prefix.version == 6)
        prefixes = [*prefixes, *(prefix for prefix in behind if prefix is not None)]
    internet = _INTERNET[version]
    size = _total(version, internet)
    held = [prefix for prefix in prefixes if prefix.version == version]
    if sum(map(_size, held)) <= size * SMALL_SHARE / 100:
        return sum(map(_size, held)) / size  # too few to matter, whether they lie in it or not
    return _common_size(version, cover(version, keys_of(version, held)), internet) / size


def _sources(exceptions: Iterable[_Wide]) -> Iterator[Prefix]:
    for each in exceptions:
        if isinstance(each.exception.source, Prefix):
            yield each.exception.source


def _source_version(exception: MailException) -> int | None:
    return exception.source.version if isinstance(exception.source, Prefix) else None


def _size(prefix: Prefix | SubscriberPort) -> int:
    return 1 << WIDTH[prefix.version] - prefix.length if isinstance(prefix, Prefix) else 0


def _total(version: int, keys: Iterable[Key]) -> int:
    """Return the number of addresses in disjoint keys."""
    width = WIDTH[version]
    return sum(1 << width - (key & 0xFF) for key in keys)


def _common_size(version: int, one: Sequence[Key], other: Sequence[Key]) -> int:
    """Return the number of addresses that two covers have in common."""
    return _total(version, one) - _total(version, difference(version, one, other))


def _widest(listed: Sequence[LocatedPrefix]) -> SourceLocation:
    return max(listed, key=lambda entry: -entry.prefix.length / WIDTH[entry.prefix.version]).place


def _percent(share: float) -> str:
    """Return three digits; 100 % only for the whole."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.3g} %"
