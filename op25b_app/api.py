"""The public Python API, which ``import op25b_app as op25b`` offers. See ``docs/api.md``.

Addresses are text here, and a time that is not given is now. The packages below know neither.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import cast

from op25b_app.compiler import compiler
from op25b_app.diff.policy_diff import Effect, effect
from op25b_app.diff.text import summary
from op25b_app.net.prefix import parse_address
from op25b_app.openflow.flow_rule import FlowRule
from op25b_app.openflow.instruction_decoder import stored_rule
from op25b_app.openflow.ofctl import format_rule
from op25b_app.openflow.ofctl_parser import DumpError, read_dump, read_groups
from op25b_app.openflow.stored_rule import StoredRule
from op25b_app.policy import decide, loader
from op25b_app.policy.decide import Decision
from op25b_app.policy.diagnostic import Diagnostic, names_in_words, unknown_switch
from op25b_app.policy.facts import Facts, in_effect
from op25b_app.policy.model import Policy, Switch, Verdict
from op25b_app.policy.packet import Packet, read_frame
from op25b_app.policy.packet_text import (
    SMTP_PORT,
    USUAL_SOURCE_PORT,
    make_packet,
    read_mac,
    read_protocol,
)
from op25b_app.policy.port_names import missing_ports
from op25b_app.verify import prove as prover
from op25b_app.verify.prove import CannotDecide, Proven, Refuted, Result, TooCostly

__all__ = [
    "CannotDecide",
    "Decision",
    "Diagnostic",
    "Effect",
    "FlowRule",
    "LoadedPolicy",
    "PolicyError",
    "Proven",
    "Refuted",
    "TooCostly",
    "Verdict",
    "compile_rules",
    "diff",
    "format_rule",
    "load",
    "prove",
    "summary",
]

Time = float | datetime | None
"""Seconds since 1970, or a datetime with a time zone; None is now."""


class PolicyError(ValueError):
    """A policy file that has errors. ``problems`` holds all of them, and the warnings."""

    def __init__(self, problems: Iterable[Diagnostic]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy without errors. ``problems`` holds its warnings, and ``model`` its values.

    ``written`` is the model before names of ports were numbers; None where it has none.
    """

    model: Policy
    problems: tuple[Diagnostic, ...] = ()
    written: Policy | None = None

    @property
    def switches(self) -> Mapping[str, Switch]:
        """Switches by name."""
        return self.model.switches

    def with_ports(self, ports: Mapping[str, Mapping[str, int]]) -> LoadedPolicy:
        """Return the policy with its ports by number: ``ports`` has names and numbers by switch.

        Raises KeyError for an unknown switch. Raises ValueError where a name of the policy fits no port, or
        not one.
        """
        for name in ports:
            _switch(self, name, known=False)
        facts = Facts(ports={name: frozenset(each.items()) for name, each in ports.items()})
        model = in_effect(self.written or self.model, facts)
        resolutions = {name: model.switches[name].resolution for name in ports}
        problems = [
            f"{name}: {problem}"
            for name, resolution in resolutions.items()
            if resolution is not None
            for problem in resolution.problems
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return LoadedPolicy(model, self.problems, self.written)

    def decide(
        self,
        switch: str,
        in_port: int,
        src: str,
        dst: str,
        *,
        proto: str = "tcp",
        sport: int = USUAL_SOURCE_PORT,
        dport: int = SMTP_PORT,
        mac: str | None = None,
        vlan: int | None = None,
        at: Time = None,
    ) -> Decision:
        """Return the decision of a switch for a packet with these fields.

        ``proto`` is tcp, udp, icmp, icmpv6 or a number. ``vlan`` is the number in its 802.1Q tag. Raises
        ValueError where an address, a protocol or a MAC address is malformed, and KeyError for an unknown
        switch.
        """
        packet = make_packet(
            in_port,
            parse_address(src),
            parse_address(dst),
            read_protocol(proto),
            (sport, dport),
            None if mac is None else read_mac(mac),
            vlan,
        )
        return self._decision(switch, packet, at)

    def decide_frame(self, switch: str, in_port: int, frame: bytes, *, at: Time = None) -> Decision:
        """Return the decision of a switch for an Ethernet frame, from its destination address on.

        Raises ValueError for less than an Ethernet header, and KeyError for an unknown switch.
        """
        return self._decision(switch, read_frame(in_port, frame), at)

    def _decision(self, switch: str, packet: Packet, at: Time) -> Decision:
        return decide.decide(self.model, _switch(self, switch), packet, _seconds(at))


def load(path: str | Path, *, at: Time = None) -> LoadedPolicy:
    """Return the policy of a file, read with the prefix files that it names.

    ``at`` decides which exceptions are past. Raises PolicyError, with every problem, where there are errors.
    """
    loaded = loader.load(Path(path), _seconds(at))
    if loaded.policy is None:
        raise PolicyError(loaded.problems)
    model = in_effect(loaded.policy, Facts())
    return LoadedPolicy(model, loaded.problems, None if model is loaded.policy else loaded.policy)


def compile_rules(policy: LoadedPolicy, switch: str, *, at: Time = None) -> tuple[FlowRule, ...]:
    """Return the flow rules of a switch, in an order that is safe to install.

    Raises KeyError for an unknown switch.
    """
    return compiler.compile_rules(policy.model, _switch(policy, switch), _seconds(at))


def prove(
    policy: LoadedPolicy, switch: str, flows: str | Iterable[FlowRule], *, groups: str = "", at: Time = None
) -> Result:
    """Prove for every packet that a whole table does what the policy says of a switch.

    ``flows`` is the table, as ``ovs-ofctl dump-flows`` prints it, or as flow rules. ``groups`` are the groups
    that it uses, as ``ovs-ofctl dump-groups`` prints them. Returns Proven, Refuted (with a packet that shows
    it), CannotDecide or TooCostly. Raises KeyError for an unknown switch.
    """
    known_switch, moment = _switch(policy, switch), _seconds(at)
    try:
        rules = [*_table(flows, groups)]
    except DumpError as problem:
        return CannotDecide(problem.where, problem.reason)
    return prover.prove(policy.model, known_switch, rules, moment)


def _switch(policy: LoadedPolicy, name: str, *, known: bool = True) -> Switch:
    """Return a switch; where it has to be ``known``, with all ports on which its verdicts depend."""
    switch = policy.switches.get(name)
    if switch is None:
        raise KeyError(unknown_switch(name, policy.switches))
    if known:
        _raise_where_ports_are_missing(policy, [name])
    return switch


def _raise_where_ports_are_missing(policy: LoadedPolicy, switches: Iterable[str]) -> None:
    if missing := missing_ports(policy.model, switches):
        what = f"the policy has ports of {names_in_words(missing)} by name"
        raise ValueError(
            f"{what}; give their numbers, as policy.with_ports({{{missing[0]!r}: {{'eth1': 1}}}})"
        )


def _table(flows: str | Iterable[FlowRule], groups: str) -> Iterator[StoredRule]:
    if isinstance(flows, str):
        yield from read_dump("flows", flows, read_groups("groups", groups))
    else:
        yield from (stored_rule(rule, format_rule(rule)) for rule in flows)


def _seconds(at: Time) -> float:
    """Return seconds since 1970. Raises ValueError for a datetime without a time zone."""
    if at is None:
        return time.time()
    if not isinstance(at, datetime):
        return at
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; write datetime(..., tzinfo=timezone.utc)")
    return at.timestamp()


class _Diff(ModuleType):
    """The package ``op25b_app.diff``, which is the public function ``diff`` as well."""

    def __call__(
        self,
        old: LoadedPolicy,
        new: LoadedPolicy,
        *,
        switches: Collection[str] | None = None,
        at: Time = None,
    ) -> Effect:
        """Return what becomes blocked and permitted where ``new`` takes the place of ``old``.

        ``switches`` are names of switches of either policy; None for all.
        """
        for policy in (old, new):
            _raise_where_ports_are_missing(policy, policy.switches if switches is None else switches)
        return effect(old.model, new.model, _seconds(at), switches)


diff = cast(_Diff, sys.modules["op25b_app.diff"])
diff.__class__ = _Diff
