"""Which files make a policy, and what stands for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from op25b_app.policy.loader import load

NOW = 1_800_000_000.0
POLICY = b"""\
isp: {mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [{file: pools.txt}], static: [{file: fixed/static.txt}]}
switches:
  access-1: {dpid: 0x1, subscriber_ports: [1], uplink_ports: [2], serves: [{file: pools.txt}]}
"""
FILES = {
    Path("/isp/policy.yaml"): POLICY,
    Path("/isp/pools.txt"): b"100.64.0.0/10\n",
    Path("/isp/fixed/static.txt"): b"198.51.100.0/24\n",
}


def test_a_policy_can_come_from_elsewhere_than_from_files() -> None:
    read: list[Path] = []

    def reader(path: Path) -> bytes:
        read.append(path)
        return FILES[path]

    loaded = load(Path("/isp/policy.yaml"), NOW, reader)
    assert loaded.policy is not None
    assert read == list(FILES), "each once"
    assert loaded.files == FILES
    assert {listed.place.file for listed in loaded.policy.dynamic} == {"/isp/pools.txt"}


def test_what_is_not_there_is_told_in_its_place() -> None:
    def reader(path: Path) -> bytes:
        if path.name == "static.txt":
            raise FileNotFoundError(2, "No such file or directory")
        return FILES[path]

    loaded = load(Path("/isp/policy.yaml"), NOW, reader)
    assert [str(problem) for problem in loaded.errors] == [
        "/isp/policy.yaml:2:56: error: cannot read /isp/fixed/static.txt: No such file or directory; "
        "name a file that is there"
    ]


def test_the_digest_stands_for_everything_that_was_read() -> None:
    alone = b"isp: {}\n"
    assert load(Path("p"), NOW, lambda path: alone).digest == hashlib.sha256(alone).hexdigest()
    whole = load(Path("/isp/policy.yaml"), NOW, FILES.__getitem__).digest
    assert whole == load(Path("/isp/policy.yaml"), NOW, FILES.__getitem__).digest
    swapped = dict(zip(FILES, [POLICY, b"198.51.100.0/24\n", b"100.64.0.0/10\n"], strict=True))
    shifted = FILES | {Path("/isp/pools.txt"): b"100.64.0.0/10\n\n"}
    digests = {
        whole,
        *(load(Path("/isp/policy.yaml"), NOW, each.__getitem__).digest for each in (swapped, shifted)),
    }
    assert len(digests) == 3
