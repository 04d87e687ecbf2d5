"""An exception ends once, when its time has come."""

from __future__ import annotations

from pathlib import Path

from op25b_app.operate.exception_ends import ended_exceptions, next_change, started_exceptions
from tests.unit.operate.policies import policy_of

EXCEPTIONS = """\
exceptions:
  - {name: first, source: 100.64.0.1, expires: '1970-01-01T00:01:40Z', reason: x}
  - {name: second, source: 100.64.0.2, destination: 203.0.113.0/24, expires: 1970-01-01T00:03:20Z, reason: x}
  - {name: lasting, source: 100.64.0.3, reason: x}
"""


def test_each_end_is_reported_once(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, "access-1", more=EXCEPTIONS)

    def ended(since: float, at: float) -> list[str]:
        return [text.partition(" (")[0] for text in ended_exceptions(policy, since, at)]

    assert ended(0, 99.9) == []
    assert ended(99.9, 100) == ["exception 'first' has ended: 100.64.0.1 to anywhere"]
    assert ended(100, 150) == [], "it was told"
    assert ended(150, 1e9) == ["exception 'second' has ended: 100.64.0.2 to 203.0.113.0/24"]
    assert len(ended(0, 1e9)) == 2
    assert [next_change(policy, at) for at in (0, 99.9, 100, 200, 1e9)] == [100, 100, 200, None, None]


def test_each_start_is_reported_once(tmp_path: Path) -> None:
    text = EXCEPTIONS.replace("{name: second,", "{name: second, starts: '1970-01-01T00:02:30Z',")
    policy = policy_of(tmp_path, "access-1", more=text)
    (told,) = started_exceptions(policy, 100, 150)
    assert told.startswith("exception 'second' has started: 100.64.0.2 to 203.0.113.0/24 (")
    assert [*started_exceptions(policy, 150, 1e9)] == [*started_exceptions(policy, 0, 149)] == []
    assert [next_change(policy, at) for at in (0, 100, 150, 200)] == [100, 150, 200, None]
