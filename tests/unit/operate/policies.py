"""Small policies for tests of this folder."""

from __future__ import annotations

from pathlib import Path

from op25b_app.policy.loader import load
from op25b_app.policy.model import Policy

HEAD = """\
isp: {name: Test ISP, mail_destinations: [192.0.2.0/24]}
address_space: {dynamic: [100.64.0.0/10]}
"""


def policy_of(directory: Path, *switches: str, more: str = "", at: float = 0.0) -> Policy:
    """A policy with switches of these names, with datapath ids from 1."""
    path = directory / "policy.yaml"
    lines = [
        f"  {name}: {{dpid: {dpid}, subscriber_ports: [1-3], uplink_ports: [4]}}\n"
        for dpid, name in enumerate(switches, 1)
    ]
    path.write_text(f"{HEAD}{more}switches:\n{''.join(lines)}")
    policy = load(path, at).policy
    assert policy is not None
    return policy
