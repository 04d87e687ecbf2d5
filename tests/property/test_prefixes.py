"""Minimal covers say the same with the fewest prefixes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.net import ortc as smallest_table
from op25b_app.net import prefix_set
from op25b_app.net.ortc import Costs, SmallestTable
from op25b_app.net.prefix import Prefix
from op25b_app.net.prefix_cover import minimal_cover, minimal_table
from op25b_app.net.prefix_set import LpmTable, keys_of, prefix_of
from op25b_app.policy.address_space import AddressSpace

pytestmark = pytest.mark.slow

SHIFT = 29
"""Only the first three bits of an address vary, so that everything can be tried."""
ADDRESSES = [high << SHIFT for high in range(8)]
ALL_PREFIXES = [
    Prefix(4, high << (32 - length), length) for length in range(4) for high in range(1 << length)
]

short_prefixes = st.sampled_from(ALL_PREFIXES)
tables = st.dictionaries(short_prefixes, st.sampled_from("abc"), max_size=8)


def keyed(table: Mapping[Prefix, str]) -> LpmTable[str]:
    return LpmTable(4, dict(zip(keys_of(4, table), table.values(), strict=True)), "d")


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
    assert held([prefix_of(4, key) for key in keyed(table).cover_of("a")]) == wanted


@settings(max_examples=500, deadline=None)
@given(tables)
def test_the_sizes_of_labels_are_those_of_what_has_them_by_an_entry(table: dict[Prefix, str]) -> None:
    listed, each = held([*table]), (1 << 32) // len(ADDRESSES)
    sizes = keyed(table).sizes
    assert sum(sizes.values()) == len(listed) * each
    for label, size in sizes.items():
        assert size == sum(label_of(table, address) == label for address in listed) * each


@settings(max_examples=500, deadline=None)
@given(tables, st.lists(short_prefixes))
def test_a_changed_table_changes_what_is_covered_and_nothing_else(
    table: dict[Prefix, str], over: list[Prefix]
) -> None:
    before_it = keyed(table)
    assert before_it.sizes is before_it.sizes
    changed = before_it.changed(keys_of(4, minimal_cover(4, over)), str.upper)
    assert changed.sizes == LpmTable(4, changed.labels, changed.default).sizes
    labels = {prefix_of(4, key): label for key, label in changed.labels.items()}
    for address in ADDRESSES:
        before = label_of(table, address) or "d"
        assert (label_of(labels, address) or "d") == (before.upper() if address in held(over) else before)


@settings(max_examples=500, deadline=None)
@given(tables, short_prefixes)
def test_a_table_finds_what_a_search_finds(table: dict[Prefix, str], wanted: Prefix) -> None:
    covering = [entry for entry in table if entry.covers(wanted)]
    expected = table[max(covering, key=lambda entry: entry.length)] if covering else "d"
    (key,) = keys_of(4, [wanted])
    assert keyed(table).label(key) == expected
    inside = [prefix_of(4, entry) for entry in keyed(table).inside(key)]
    assert inside == sorted(entry for entry in table if wanted.covers(entry))


@settings(max_examples=500, deadline=None)
@given(st.lists(tables.map(keyed), min_size=1), st.integers(1, 4))
def test_a_table_that_knows_an_earlier_one_is_the_same(tables: list[LpmTable[str]], part: int) -> None:
    """Also where parts are so small that there are several."""
    previous = None
    with pytest.MonkeyPatch.context() as patch:
        for table in tables:
            numbers = {key: "abc".index(label) for key, label in table.labels.items()}
            numbered = LpmTable(4, numbers, 0)
            patch.setattr(smallest_table, "PART", 512)
            afresh = SmallestTable(numbered, (1, 2, 4))
            patch.setattr(smallest_table, "PART", part)
            previous = SmallestTable(numbered, (1, 2, 4), previous)
            for bit in (1, 2, 4):
                assert sorted(previous.entries[bit]) == sorted(afresh.entries[bit])


def test_only_what_has_changed_is_worked_out_again() -> None:
    table = LpmTable(4, {number << 16 | 24: number % 3 & 1 for number in range(10_000)}, 0)
    before = SmallestTable(table, (1, 2))
    changed_table = table.updated({5_000 << 16 | 24: None})
    after = SmallestTable(changed_table, (1, 2), before)
    changed = [start for start, part in after.parts.items() if part is not before.parts.get(start)]
    assert len(changed) == 1
    assert len(after.parts) > 10


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
            assert _label(smallest, address) == _label(table, address)


def _label(table: Mapping[Prefix, str], address: int) -> str:
    labels = dict(zip(keys_of(6, table), table.values(), strict=True))
    return LpmTable(6, labels, "a").label(address << 8 | 128)


@settings(max_examples=500, deadline=None)
@given(tables, st.dictionaries(short_prefixes, st.sampled_from(("a", "b", None))), st.sampled_from((0, 1000)))
def test_an_updated_table_is_as_if_made_anew(
    table: dict[Prefix, str], changes: dict[Prefix, str | None], few: int
) -> None:
    expected = keyed({prefix: label for prefix, label in {**table, **changes}.items() if label is not None})
    by_key = dict(zip(keys_of(4, changes), changes.values(), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix_set, "FEW", few)
        updated = keyed(table).updated(by_key)
    assert (updated.labels, updated.keys, updated.values) == (expected.labels, expected.keys, expected.values)
    for prefix in ALL_PREFIXES:
        (key,) = keys_of(4, [prefix])
        assert updated.label(key) == expected.label(key)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.lists(short_prefixes), st.lists(short_prefixes)), min_size=1))
def test_a_space_that_knows_an_earlier_one_is_the_same(
    versions: list[tuple[list[Prefix], list[Prefix]]],
) -> None:
    before = None
    for dynamic, static in versions:
        elsewhere = Prefix(6, 0, len(dynamic))
        before = AddressSpace([*dynamic, elsewhere], static, before)
        afresh = AddressSpace([*dynamic, elsewhere], static)
        assert before.in_both == afresh.in_both
        for version, table in afresh.tables.items():
            assert before.tables[version].keys == table.keys
            assert before.tables[version].values == table.values


COSTS = Costs((1, 2, 4), dear=2, around=4, last=1)
DEPTH = 6


def dearest_least(table: Mapping[tuple[int, int], int], default: int) -> int:
    """What the cheapest table costs, tried out: every label at every place of a tree of six levels."""

    def cost(network: int, length: int, inherited: int) -> dict[int, int]:
        own = table.get((network, length), inherited)
        if length == DEPTH:
            inside = {label: 0 if label == own else 1_000 for label in COSTS.labels}
        else:
            halves = [cost(network | bit << DEPTH - length - 1, length + 1, own) for bit in (0, 1)]
            inside = {label: halves[0][label] + halves[1][label] for label in COSTS.labels}
        return {
            around: min(COSTS.entry(around, label) + inside[label] for label in COSTS.labels)
            for around in COSTS.labels
        }

    return cost(0, 0, default)[COSTS.last]


@st.composite
def small_trees(draw: st.DrawFn) -> dict[tuple[int, int], int]:
    """Labels by network and length, in the six upper bits of an address."""
    found = {}
    for length in draw(st.lists(st.integers(0, DEPTH), max_size=14)):
        network = draw(st.integers(0, (1 << length) - 1)) << DEPTH - length
        found[network, length] = draw(st.sampled_from(COSTS.labels))
    return found


@settings(max_examples=300, deadline=None)
@given(small_trees(), small_trees(), st.sampled_from(COSTS.labels), st.sampled_from((1, 3, 512)))
def test_a_table_whose_entries_cost_differently_is_the_cheapest(
    before: dict[tuple[int, int], int], tree: dict[tuple[int, int], int], default: int, part: int
) -> None:
    def table_of(tree: dict[tuple[int, int], int]) -> LpmTable[int]:
        keys = {
            network << 32 - DEPTH + 8 | length: COSTS.labels.index(label)
            for (network, length), label in tree.items()
        }
        return LpmTable(4, keys, COSTS.labels.index(default))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smallest_table, "PART", part)
        earlier = SmallestTable(table_of(before), COSTS.labels, None, COSTS)
        smallest = SmallestTable(table_of(tree), COSTS.labels, earlier, COSTS)
    chosen = {key: label for label, keys in smallest.entries.items() for key in keys}
    answers = LpmTable(4, chosen, 0)
    for address in range(1 << DEPTH):
        key = address << 32 - DEPTH + 8 | 32
        assert answers.label(key) == COSTS.labels[table_of(tree).label(key)]
    entries = sum(len(keys) for keys in smallest.entries.values()) - (chosen[0] == COSTS.last)
    assert entries + len(smallest.directly_within(2, 4)) == dearest_least(tree, default)
