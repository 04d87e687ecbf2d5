"""A policy loaded again, with what was loaded before at hand, is the one that would be loaded without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from op25b_app.policy.loader import load
from op25b_app.policy.prefix_file import read_prefix_file

NOW = 1_800_000_000.0
FILE, POOLS, STATIC = Path("policy.yaml"), Path("pools.txt"), Path("static.txt")
POLICY = """\
isp: {mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [100.64.0.0/10, {file: pools.txt}], static: [{file: static.txt}]}
switches:
  s: {dpid: 1, subscriber_ports: [1], uplink_ports: [2]}
"""
lines = st.sampled_from(
    (
        "10.0.0.0/24",
        " 10.0.1.0/24",
        "10.0.2.0/24 # north",
        "10.0.3.0/24;10.0.4.0/24",
        "// none",
        "10.0.5.5 - 10.0.5.9  // south",
        "address,valid_lifetime,expire,state",
        "2001:db8::/32",
        "",
        "# none",
        "10.0.0.1/24",
        "word",
    )
)
texts = st.lists(lines).map("\n".join)


@settings(max_examples=500, deadline=None)
@given(texts, texts)
def test_a_file_of_prefixes_read_again(before: str, text: str) -> None:
    known = read_prefix_file("pools.txt", before)
    assert read_prefix_file("pools.txt", text, known) == read_prefix_file("pools.txt", text)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((POLICY, POLICY + "mode: monitor\n", "isp: 1\n")), texts, texts)))
def test_a_policy_loaded_again_and_again(versions: list[tuple[str, str, str]]) -> None:
    loaded = None
    for policy, pools, static in versions:
        files = {
            FILE: policy.encode(),
            Path("pools.txt"): pools.encode(),
            Path("static.txt"): static.encode(),
        }
        loaded = load(FILE, NOW, files.__getitem__, loaded)
        afresh = load(FILE, NOW, files.__getitem__)
        assert loaded[:4] == afresh[:4]


def test_only_new_lines_are_parsed() -> None:
    contents = {FILE: POLICY.encode(), STATIC: b""}
    pools = [f"10.{number // 250}.{number % 250}.0/24" for number in range(1000)]
    contents[POOLS] = "\n".join(pools).encode()
    before = load(FILE, NOW, contents.__getitem__)
    pools[500] = "10.9.9.0/24"
    contents[POOLS] = "\n".join(pools).encode()
    after = load(FILE, NOW, contents.__getitem__, before)
    assert before.policy is not None
    assert after.policy is not None
    assert after.memory.policy_files[FILE] is before.memory.policy_files[FILE]
    pairs = zip(before.policy.dynamic[1:], after.policy.dynamic[1:], strict=True)
    assert [number for number, (old, new) in enumerate(pairs) if old is not new] == [500]
