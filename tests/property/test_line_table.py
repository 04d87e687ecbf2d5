"""Which claims hold is what looking at all claims by age says, whatever came before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.lines.line_table import Claim, LineTable
from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import SubscriberPort

LINES = [SubscriberPort("a", 1), SubscriberPort("a", 2, 100), SubscriberPort("b", 1)]
SOURCES = ["leases.csv", "dhcp"]
PREFIXES = [
    *(Prefix.parse(f"192.0.2.{last}") for last in (0, 1, 2, 3)),
    *(Prefix.parse(text) for text in ("192.0.2.0/30", "192.0.2.0/31", "192.0.2.2/31", "192.0.2.0/24")),
    *(
        Prefix.parse(text)
        for text in ("2001:db8::/56", "2001:db8:0:1::/64", "2001:db8:0:1::1", "2001:db8::/48")
    ),
]
claims = st.builds(
    Claim,
    st.sampled_from(PREFIXES),
    st.sampled_from(LINES),
    st.sampled_from([None, 1, 2]),
    st.just(0.0),
    st.sampled_from([None, 10.0, 20.0, 30.0]),
    st.sampled_from(SOURCES),
    st.just(0),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), claims),
        st.tuples(st.just("end"), st.sampled_from(SOURCES), st.sets(st.sampled_from(PREFIXES), max_size=3)),
        st.tuples(st.just("replace"), st.sampled_from(SOURCES), st.lists(claims, max_size=6), st.booleans()),
        st.tuples(st.just("expire"), st.sampled_from([5.0, 10.0, 25.0]), st.sets(st.sampled_from(SOURCES))),
    ),
    max_size=25,
)


class _Model:
    """All claims in a list, the oldest first."""

    def __init__(self) -> None:
        self.all: list[Claim] = []

    def add(self, claim: Claim) -> None:
        for number, known in enumerate(self.all):
            if (known.source, known.prefix) == (claim.source, claim.prefix):
                if known.says_the_same(claim):
                    self.all[number] = claim
                    return
                del self.all[number]
                break
        self.all.append(claim)

    def end(self, source: str, prefixes: set[Prefix]) -> None:
        self.all = [each for each in self.all if each.source != source or each.prefix not in prefixes]

    def holding(self) -> list[Claim]:
        found: list[Claim] = []
        for claim in self.all:
            prefix = claim.prefix
            if all(
                claim.line == held.line and (prefix != held.prefix or claim.mac == held.mac)
                for held in found
                if prefix.covers(held.prefix) or held.prefix.covers(prefix)
            ):
                found.append(claim)
        return found


@settings(max_examples=400, deadline=None)
@given(steps)
def test_the_oldest_of_the_claims_that_cannot_hold_together_holds(found: list[tuple]) -> None:  # type: ignore[type-arg]
    table, model = LineTable(), _Model()
    before: dict[str, object] = {}
    for kind, *values in found:
        table.changed.clear()
        if kind == "add":
            table.add(values[0])
            model.add(values[0])
        elif kind == "end":
            table.end(*values)
            model.end(*values)
        elif kind == "replace":
            source, listed, keep_others = values
            new = {each.prefix: each._replace(source=source) for each in listed}
            table.replace(source, new.values(), keep_others=keep_others)
            if not keep_others:
                model.end(source, set(PREFIXES) - new.keys())
            for each in new.values():
                model.add(each)
        else:
            at, kept = values
            table.expire(at, kept)
            model.all = [
                each for each in model.all if each.until is None or each.until > at or each.source in kept
            ]
        assert {*table.claims()} == {*model.all}
        assert {*table.holding()} == {*model.holding()}
        assert {each.claim for each in table.waiting()} == {*model.all} - {*model.holding()}
        after = dict(table.all_bindings())
        assert {name for name in "ab" if before.get(name) != after.get(name)} <= table.changed
        before = {**after}
        for prefix in PREFIXES:
            expected = {
                each for each in model.holding() if prefix.covers(each.prefix) or each.prefix.covers(prefix)
            }
            assert {*table.holders(prefix)} == expected
