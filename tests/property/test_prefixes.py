"""Minimal covers say the same with the fewest prefixes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.policy.prefix import Prefix
from op25b_app.rules.prefixes import cover_of_label, longest_matches, minimal_cover, minimal_table, overlay

SHIFT = 29
"""Only the first three bits of an address vary, so that everything can be tried."""
ADDRESSES = [high << SHIFT for high in range(8)]
ALL_PREFIXES = [
    Prefix(4, high << (32 - length), length) for length in range(4) for high in range(1 << length)
]

short_prefixes = st.sampled_from(ALL_PREFIXES)
tables = st.dictionaries(short_prefixes, st.sampled_from("abc"), max_size=8)


def label_of(table: Mapping[Prefix, str], address: int) -> str | None:
    holding = [prefix for prefix in table if prefix.contains(4, address)]
    return table[max(holding, key=lambda prefix: prefix.length)] if holding else None


def held(prefixes: list[Prefix]) -> set[int]:
    return {address for address in ADDRESSES if any(prefix.contains(4, address) for prefix in prefixes)}


@settings(max_examples=2000, deadline=None)
@given(tables)
def test_a_minimal_table_means_the_same(table: dict[Prefix, str]) -> None:
    smallest = minimal_table(4, table, "a")
    assert Prefix(4, 0, 0) in smallest
    for address in ADDRESSES:
        assert label_of(smallest, address) == (label_of(table, address) or "a")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=8, max_size=8))
def test_no_smaller_table_means_the_same(labels: list[str]) -> None:
    exact = {Prefix(4, address, 3): label for address, label in zip(ADDRESSES, labels, strict=True)}
    smallest = minimal_table(4, exact, "a")
    for chosen in itertools.combinations(ALL_PREFIXES[1:], len(smallest) - 2) if len(smallest) > 1 else ():
        prefixes = (ALL_PREFIXES[0], *chosen)
        for candidate in itertools.product("ab", repeat=len(prefixes)):
            table = dict(zip(prefixes, candidate, strict=True))
            assert [label_of(table, address) for address in ADDRESSES] != labels


@settings(max_examples=500, deadline=None)
@given(st.lists(short_prefixes), st.lists(short_prefixes))
def test_a_minimal_cover_holds_the_same_and_no_smaller_one_does(
    inside: list[Prefix], without: list[Prefix]
) -> None:
    cover = minimal_cover(4, inside, without)
    wanted = held(inside) - held(without)
    assert held(cover) == wanted
    whole = [prefix for prefix in ALL_PREFIXES if held([prefix]) <= wanted]
    largest = [
        prefix for prefix in whole if not any(other.covers(prefix) for other in whole if other != prefix)
    ]
    assert cover == sorted(largest)


@settings(max_examples=500, deadline=None)
@given(tables)
def test_the_cover_of_a_label_holds_what_has_it(table: dict[Prefix, str]) -> None:
    wanted = {address for address in ADDRESSES if label_of(table, address) == "a"}
    assert held(cover_of_label(4, table, "a")) == wanted


@settings(max_examples=500, deadline=None)
@given(tables, st.lists(short_prefixes))
def test_an_overlay_changes_what_it_covers_and_nothing_else(
    table: dict[Prefix, str], over: list[Prefix]
) -> None:
    changed = overlay(table, over, str.upper, "d")
    for address in ADDRESSES:
        before = label_of(table, address) or "d"
        assert (label_of(changed, address) or "d") == (before.upper() if address in held(over) else before)


@settings(max_examples=500, deadline=None)
@given(tables, st.lists(short_prefixes))
def test_longest_matches_find_what_a_search_finds(table: dict[Prefix, str], wanted: list[Prefix]) -> None:
    wanted.sort()
    expected = []
    for prefix in wanted:
        covering = [entry for entry in table if entry.covers(prefix)]
        expected.append(table[max(covering, key=lambda entry: entry.length)] if covering else "d")
    assert longest_matches(table, wanted, "d") == expected


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.builds(
            lambda address, length: Prefix(
                6, address >> (128 - length) << (128 - length) if length else 0, length
            ),
            st.integers(0, (1 << 128) - 1),
            st.integers(0, 128),
        ),
        st.sampled_from("ab"),
        max_size=12,
    )
)
def test_long_prefixes_keep_their_meaning(table: dict[Prefix, str]) -> None:
    """Path compression skips levels; here there are many to skip."""
    smallest = minimal_table(6, table, "a")
    assert len(smallest) <= len(table) + 1
    for prefix in table:
        for address in {prefix.first, prefix.last, max(prefix.first - 1, 0)}:
            query = [Prefix(6, address, 128)]
            assert longest_matches(smallest, query, "?") == longest_matches(table, query, "a")
