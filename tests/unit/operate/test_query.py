"""A query is understood as it is meant, or refused."""

from __future__ import annotations

import pytest

from op25b_app.operate.query import BadQueryError, Query

NAMES = ("after", "dpids", "dry_run", "effect", "yes")


def test_what_is_understood() -> None:
    query = Query("after=12&dpids=1,18446744073709551615&dry_run=1&effect=0", NAMES)
    assert query.number("after", 0) == 12
    assert query.numbers("dpids") == {1, 2**64 - 1}
    assert query.flag("dry_run")
    assert not query.flag("effect", otherwise=True)
    assert not query.flag("yes")
    nothing = Query("", NAMES)
    assert (nothing.number("after", 7), nothing.numbers("dpids"), nothing.flag("yes", otherwise=True)) == (
        7,
        set(),
        True,
    )
    assert Query("dpids=", NAMES).numbers("dpids") == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("after=abc", "after is 'abc'; write a number from 0 on"),
        ("after=", "after is ''; write a number from 0 on"),
        ("after=-1", "after is '-1'"),
        ("after=1.5", "after is '1.5'"),
        ("after=%D9%A3", "after is '٣'"),
        ("after=" + "9" * 5000, r"after is '9{37}\.\.\.'"),
        ("dpids=1,x", "dpids is 'x'"),
        ("dpids=1,,2", "dpids is ''"),
        ("yes=true", "yes is 'true'; write 0 or 1"),
        ("yes=", "yes is ''; write 0 or 1"),
        ("dryrun=1", "no parameter is called 'dryrun'; there are after, dpids, dry_run, effect, yes"),
        ("yes=1&yes=0", "yes is given twice"),
        ("after=%ff", "the query cannot be read"),
        ("&".join(["x=1"] * 200), "the query cannot be read"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    def understand() -> None:
        query = Query(text, NAMES)
        query.number("after", 0)
        query.numbers("dpids")
        query.flag("yes")

    with pytest.raises(BadQueryError, match=said):
        understand()
