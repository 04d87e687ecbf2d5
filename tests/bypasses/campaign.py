"""Tries every trick against every set of rules with real mail; a program for a private world.

``python mininet/isolation.py python -m tests.bypasses.campaign [NAME...]`` prints its findings as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from standard_output import claim_standard_output

from tests.bypasses.attempt import send
from tests.bypasses.catalogue import HONEST, TRICKS
from tests.bypasses.liveness import Liveness
from tests.bypasses.network import BRIDGE, LineNetwork
from tests.bypasses.rulesets import DEFAULTS, STRICT, Setting, our_rules, plain_rules
from tests.bypasses.trick import Honest, Trick

_BETWEEN_SECONDS = 0.01


@dataclass(frozen=True)
class Phase:
    """A set of rules, and whether a trick is expected to deliver against it (how long to wait, no more)."""

    name: str
    load: Callable[[LineNetwork], None]
    expects: Callable[[Trick], bool]
    takes: Callable[[Trick], bool] = lambda trick: True


def phases() -> list[Phase]:
    found = [
        Phase("none", lambda network: _load_text(network, "actions=NORMAL\n"), lambda trick: True),
        Phase("plain", _plain(of_ipv6=True), _passes_plain, lambda trick: not trick.without_tcp6),
        Phase("plain, IPv4 only", _plain(of_ipv6=False), _passes_plain, lambda trick: trick.without_tcp6),
        _ours("base", frozenset()),
    ]
    found += [
        _ours(setting.value, frozenset({setting})) for setting in Setting if setting is not Setting.BASE
    ]
    found.append(_ours("defaults", DEFAULTS))
    found.append(_ours("defaults, static lines bound", DEFAULTS | {Setting.BINDINGS}))
    found.append(_ours("strict", STRICT))
    return found


def _passes_plain(trick: Trick) -> bool:
    return trick.plain


def _ours(name: str, settings: frozenset[Setting]) -> Phase:
    def load(network: LineNetwork) -> None:
        network.ovs.ofctl("del-flows", BRIDGE)
        with network.ovs.openflow(BRIDGE) as switch:
            refused = switch.load(our_rules(settings, network.layout))
        assert not refused, refused

    return Phase(name, load, lambda trick: not trick.is_closed_by(settings))


def _plain(*, of_ipv6: bool) -> Callable[[LineNetwork], None]:
    return lambda network: _load_text(network, plain_rules(network.excepted, of_ipv6=of_ipv6))


def _load_text(network: LineNetwork, rules: str) -> None:
    network.ovs.ofctl("del-flows", BRIDGE)
    network.ovs.add_flows(BRIDGE, rules)


class Campaign:
    """All tricks in one network; each has hosts of its own, so that all are tried at once."""

    def __init__(self, tricks: Sequence[Trick], honest: Sequence[Honest], directory: Path) -> None:
        self._network = LineNetwork(directory)
        self._tricks = {trick: trick.arrange(self._network) for trick in tricks}
        self._honest = {mail: mail.arrange(self._network) for mail in honest}
        self._liveness = Liveness(self._network)
        self._network.start_mail_servers()
        attempts = len(self._tricks) + len(self._honest) + len(self._liveness.checks)
        self._pool = ThreadPoolExecutor(max_workers=attempts)

    def run(self, phase: Phase) -> dict[str, object]:
        """Load a phase's rules and try everything; what came of it, as JSON's values."""
        phase.load(self._network)
        self._network.ovs.appctl("revalidator/wait")
        self._network.forget()
        running = {}
        for trick, sender in self._tricks.items():
            if phase.takes(trick):
                running[trick.name] = self._pool.submit(send, self._network, sender, phase.expects(trick))
                # Each asks all for its router first: that is as many frames as lines, from every line.
                time.sleep(_BETWEEN_SECONDS)
        honest = {
            mail.name: self._pool.submit(send, self._network, sender, True)
            for mail, sender in self._honest.items()
        }
        works = {name: self._pool.submit(check) for name, check in self._liveness.checks.items()}
        result: dict[str, object] = {
            "tricks": {name: asdict(each.result()) for name, each in running.items()},
            "honest": {name: asdict(each.result()) for name, each in honest.items()},
            "works": {name: each.result() for name, each in works.items()},
        }
        # Only now: a client would take a rogue's answer for its server's.
        result["rogue"] = {name: check() for name, check in self._liveness.rogue.items()}
        if self._network.wires.faults:
            raise RuntimeError("\n".join(self._network.wires.faults))
        return result


def main(names: Iterable[str]) -> int:
    wanted = set(names)
    tricks = [trick for trick in TRICKS if not wanted or trick.name in wanted]
    claim_standard_output()
    sys.setswitchinterval(0.001)
    os.environ["TMPDIR"] = "/run"
    directory = Path("/run/mail")
    directory.mkdir()
    began = time.monotonic()
    campaign = Campaign(tricks, HONEST, directory)
    found = {}
    for phase in phases():
        print(f"{time.monotonic() - began:6.1f} s  {phase.name}", file=sys.stderr)
        found[phase.name] = campaign.run(phase)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
