"""Tell whether a policy has the line, and the address, that a lease names."""

from __future__ import annotations

from collections.abc import Collection

from op25b_app.lines.lease import Lease
from op25b_app.lines.line_table import Claim
from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.net.prefix import Intervals, Prefix
from op25b_app.policy.checks import line_problem
from op25b_app.policy.model import Policy, SubscriberPort


class KnownLines:
    """The lines and the own space of a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._own = Intervals(listed.prefix for listed in (*policy.dynamic, *policy.static))
        self._lines: dict[str, SubscriberPort] = {}
        """Lines by the names under which they were found."""

    @property
    def switches(self) -> Collection[str]:
        """The names of the switches."""
        return self._policy.switches.keys()

    def claim(self, lease: Lease, source: str, at: float) -> Claim:
        """Return what a source says with a lease; ``at`` is its start where the lease has none.

        Raises ValueError, its text a remedy, where the policy has no such line, or the address is not the
        ISP's.
        """
        line = self.line(lease.line)
        self._check(line, lease.prefix)
        since = at if lease.since is None else float(lease.since)
        return Claim(lease.prefix, line, lease.mac, since, lease.until, source, lease.file_line)

    def line(self, name: str) -> SubscriberPort:
        """Return the line ``SWITCH/PORT`` or ``SWITCH/PORT/VLAN``.

        Raises ValueError, its text a remedy, where the policy has no such line.
        """
        found = self._lines.get(name)
        if found is None:
            found = _line(self._policy, name)
            self._lines[name] = found
        return found

    def has(self, line: SubscriberPort, prefix: Prefix) -> bool:
        """Return whether the policy has a line, and a prefix that the line can have."""
        if line_problem(self._policy, line, self._policy.address_space_place) is not None:
            return False
        try:
            self._check(line, prefix)
        except ValueError:
            return False
        return True

    def _check(self, line: SubscriberPort, prefix: Prefix) -> None:
        """Raise ValueError where a prefix is not whole in the own space, and behind the line's switch."""
        if not self._own.cover(prefix):
            raise ValueError(f"{prefix} is in neither dynamic nor static space; list it there")
        served = self._policy.switches[line.switch].serves
        if served is not None and not any(listed.prefix.covers(prefix) for listed in served):
            raise ValueError(f"{prefix} is not among what {line.switch} serves; add it to its serves")


def _line(policy: Policy, name: str) -> SubscriberPort:
    switch, port, *vlan = name.split("/")
    tag = None if not vlan else 0 if vlan[0] == "untagged" else int(vlan[0])
    line = SubscriberPort(switch, LOCAL_PORT if port == "LOCAL" else int(port), tag)
    if problem := line_problem(policy, line, policy.address_space_place):
        raise ValueError(problem.message)
    return line
