"""Policies that nobody writes, and what must hold of each: loading it ends, in a policy or in errors to read.

``python -m tests.property.odd_policies --minutes 10`` is the campaign: it prints how many it has tried and,
where one does not hold, the smallest that was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from op25b_app.compiler.compiler import compile_rules
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.loader import Loaded, load

NOW = 1_800_000_000.0
PORTS = frozenset({("eth3", 3), ("vlan7", 7), ("up1", 25), ("a", 1), ("", 2)})
POLICY, POOLS = Path("/isp/policy.yaml"), Path("/isp/pools.txt")
HANG_SECONDS = 60

EVERY_KEY: Mapping[str, Any] = MappingProxyType(
    {
        "isp": {
            "name": "Example",
            "mail_destinations": ["192.0.2.0/24", "2001:db8:25::/48", {"file": "pools.txt"}],
            "nat64_prefixes": ["64:ff9b::/96"],
        },
        "address_space": {
            "dynamic": ["100.64.0.0/10", "2001:db8:1000::/36", {"file": "pools.txt"}],
            "static": ["100.64.8.0/24"],
        },
        "mode": "enforce",
        "inbound": {"spoofed_replies": "block", "port_25": "permit"},
        "hardening": {
            "source_validation": "binding",
            "encapsulation": "block",
            "ethertypes": [0x888E],
            "tunnels": {"permit_to": ["203.0.113.1"]},
            "unreadable_tcp": "block",
        },
        "exceptions": [
            {
                "name": "a",
                "source": "100.64.3.7",
                "destination": ["203.0.113.0/24", "198.51.100.1"],
                "starts": "2026-12-01T00:00:00Z",
                "expires": "2028-01-01T00:00:00Z",
                "reason": "r",
            },
            {"name": "b", "source": {"switch": "access-1", "port": 3}},
            {"name": "c", "source": {"switch": "access-1", "port": "eth3"}},
        ],
        "switches": {
            "access-1": {
                "dpid": "0x1",
                "subscriber_ports": ["1-24", 30, "vlan*", "eth3"],
                "uplink_ports": [25, "up?"],
                "trusted_ports": [26],
                "mode": "enforce",
                "serves": ["100.64.0.0/12"],
                "vlans": {"1-4": ["100-199"], "5": ["untagged", 0], "eth*": [7]},
                "bindings": [
                    {"port": 3, "mac": "02:00:00:00:00:03", "addresses": ["100.64.8.0/24"]},
                    {"port": "eth3", "addresses": ["100.64.9.0/24"]},
                ],
                "forwarding": {"table": 10},
            }
        },
    }
)
"""A policy in which every key stands."""

ODD_SCALARS = (
    "", "~", "null", "0_4711", "0x_", "0x", "0b2", "!!int abc", "!!float x", "!!binary x", "!!set {a}", "-0",
    "9" * 5000, "1e400", ".nan", ".inf", '"\\ud800"', '"a\\0b"', '"\\U0010ffff"', "\u0661", "\uff11",
    "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "2028-02-30T00:00:00Z", "2028-01-01T24:00:00Z",
    "fe80::1%eth0", "10.0.0.0/0.0.0.255", "0.0.0.0/0", "::/0", "255.255.255.255", "::ffff:1.2.3.4", "1:2",
    "1-", "-1", "4294967040", "4294967295", "1-65536", "18446744073709551616", "yes", "off", "LOCAL",
    "{file: /}", "{file: pools.txt}", "{file: policy.yaml}", "{file: ''}", "[]", "{}", "[[]]", "<<", "*a",
    "&a x", "? x", "|\n x", '"\\U00110000"', '"\\UFFFFFFFF"', "!foo 1", "!!set {a}", "!<%1b> x", "! 1",
    "{file: pools.txt, format: csv, column: a}", "{file: pools.txt, format: rir, country: JP}", "0-4094",
    "{file: pools.txt, format: rpsl}", "{file: pools.txt, format: isc}", "{file: pools.txt, format: []}",
    "{<<: {a: 1}}", "{<<: [{a: 1}, 2]}", "{!foo a: 1}", "!foo", "!foo [1]",
)  # fmt: skip
ODD_BYTES = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1b[31m", b"\r", b"\t", b"\n", b"\x85", b"\xc2\xa0",
    b"\xe2\x80\xa8", b"[", b"]", b"{", b"}", b",", b":", b"- ", b"? ", b"&a ", b"*a", b"!!int ", b"! ",
    b"%YAML 1.1\n", b"---\n", b"%YAML 1." + b"9" * 5000 + b"\n---\n", b"%YAML 1.3\n---\n", b"\\UFFFFFFFF",
    b"<<: ", b"!foo ", b"...\n", b"#", b"'", b'"', b"|", b">", b"0", b"9" * 50, b"/", b"%", b"_",
)  # fmt: skip


class Odd(NamedTuple):
    """A policy file and the file of prefixes that it may name."""

    policy: bytes
    pools: bytes


@st.composite
def changed_values(draw: st.DrawFn) -> bytes:
    """Policies with other values in some places, written in JSON's way but for the odd ones themselves."""
    policy = json.loads(json.dumps(dict(EVERY_KEY)))
    odd: dict[str, str] = {}
    for number in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(policy)))
        mark = f"@{number}@"
        odd[mark] = draw(
            st.sampled_from(ODD_SCALARS) | st.integers().map(str) | st.text(max_size=8).map(json.dumps)
        )
        section: Any = policy
        for step in path[:-1]:
            section = section[step]
        how = draw(st.sampled_from(("value", "value", "key", "more", "gone")))
        if how == "key" and isinstance(section, dict):
            section[mark] = section.pop(path[-1])
        elif how == "gone":
            del section[path[-1]]
        elif how == "more" and isinstance(section[path[-1]], list):
            section[path[-1]] += [mark] * draw(st.integers(1, 3))
        else:
            section[path[-1]] = mark
        if not policy:
            break
    text = json.dumps(policy, indent=1)
    for mark, written in odd.items():
        text = text.replace(f'"{mark}"', written)
    return text.encode("utf-8", "surrogatepass")


def _paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for step, child in items for path in ((*above, step), *_paths(child, (*above, step)))]


@st.composite
def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with some bytes more, fewer or others."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.just(0) | st.integers(0, len(whole)))
        end = min(len(whole), start + draw(st.integers(0, 12)))
        more = draw(st.sampled_from(ODD_BYTES) | st.binary(max_size=4)) * draw(
            st.sampled_from((1, 1, 1, 2, 40))
        )
        whole = whole[:start] + more + whole[end:]
    return whole


_BLOCK = json.dumps(dict(EVERY_KEY), indent=1).encode()
_POOLS = b"# pools\n100.72.0.0/16  # north\n2001:db8:2000::/36\n"
odd_policies = st.builds(
    Odd,
    changed_values() | changed_bytes(_BLOCK) | st.binary(max_size=200),
    st.just(_POOLS) | changed_bytes(_POOLS) | st.binary(max_size=100),
)


def holds(odd: Odd) -> None:
    """Load a policy, and again as a reload does.

    Raises: AssertionError, or whatever else loading raises, where that is wrong.
    """
    files = {POLICY: odd.policy, POOLS: odd.pools}

    def read(path: Path) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path]

    loaded = load(POLICY, NOW, read)
    assert (loaded.policy is None) == bool(loaded.errors)
    for problem in loaded.problems:
        str(problem).encode()
        assert "\n" not in str(problem), problem
        assert problem.place.line >= 1, problem
        assert problem.place.column >= 1, problem
    again = load(POLICY, NOW, read, loaded)
    assert _seen(again) == _seen(loaded)
    if loaded.policy is not None:
        for switch in loaded.policy.switches.values():
            compile_rules(loaded.policy, switch, NOW)
        for ports in ({}, dict.fromkeys(loaded.policy.switches, PORTS)):
            policy = in_effect(loaded.policy, Facts(ports=ports))
            for switch in policy.switches.values():
                compile_rules(policy, switch, NOW)


def _seen(loaded: Loaded) -> object:
    return loaded.policy, loaded.problems, loaded.files, loaded.digest


def main() -> None:
    """Try odd policies until the time is over, or one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    end = time.monotonic() + parser.parse_args().minutes * 60
    tried = 0

    @settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(odd_policies)
    def try_some(odd: Odd) -> None:
        nonlocal tried
        tried += 1
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        holds(odd)
        faulthandler.cancel_dump_traceback_later()

    begun = time.monotonic()
    while time.monotonic() < end:
        try_some()
        print(
            f"{tried:,} policies in {timedelta(seconds=round(time.monotonic() - begun))}: all hold",
            flush=True,
        )


if __name__ == "__main__":
    main()
