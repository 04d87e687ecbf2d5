"""The short form of the campaign in odd_policies: whatever a policy file holds, loading it ends in words."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings

from tests.property.odd_policies import Odd, holds, odd_policies


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(Odd(b"[" * 3000, b""))
@example(Odd(b"isp: &a {name: *a}\n", b""))
@example(Odd(b"isp: {name: !!int abc}\n", b""))
@example(Odd(b'isp: {name: "\\U00110000"}\n', b""))
@example(Odd(b"%YAML 1." + b"9" * 5000 + b"\n---\nisp: {}\n", b""))
@given(odd_policies)
def test_loading_ends_in_a_policy_or_in_errors_to_read(odd: Odd) -> None:
    holds(odd)
