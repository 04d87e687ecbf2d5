"""Parts of policies as a file would have them, for tests that make a policy of values."""

from __future__ import annotations

from op25b_app.net.prefix import Prefix
from op25b_app.policy.model import LocatedPrefix, SourceLocation

AT = 1_800_000_000.0
PLACE = SourceLocation("policy.yaml", 1, 1)


def listed(*written: str) -> tuple[LocatedPrefix, ...]:
    return tuple(LocatedPrefix(Prefix.parse(text), PLACE) for text in written)
