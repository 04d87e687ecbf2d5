"""What the policy says of a switch, in the form in which its session asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from op25b_app.policy.model import Policy, Switch
from op25b_app.rules.compiler import compile_rules
from op25b_app.rules.flow import FlowRule
from op25b_app.rules.proof.prove import objection
from op25b_app.rules.single_table import CannotExpressError, compile_single_table
from op25b_app.switch.instructions import stored_rule
from op25b_app.switch.reconcile import describe
from op25b_app.switch.wanted import Wanted


class Assignment(NamedTuple):
    """What the policy says of a switch.

    ``wanted`` gives the rules wanted at a moment on a switch with so many tables: the same ones later, unless
    some of them have time-outs; it raises ValueError, in words, where the switch has too few. ``objection``
    says of a whole table at a moment why it is not proven to do what the policy says, or None. ``digest`` is
    the policy's (hexadecimal). ``revision`` is the policy's own; without one, an operator asked for this
    policy and it becomes the next revision after that on the switch.
    """

    switch: Switch
    wanted: Callable[[float, int], Wanted]
    objection: Callable[[Sequence[FlowRule], float], str | None]
    digest: str
    revision: int | None = None


def assignment_of(policy: Policy, switch: Switch, digest: str) -> Assignment:
    """What a policy with this digest says of a switch."""
    return Assignment(switch, partial(_wanted, policy, switch), partial(_objection, policy, switch), digest)


def _wanted(policy: Policy, switch: Switch, at: float, tables: int) -> Wanted:
    wanted = Wanted(compile_rules(policy, switch, at))
    if wanted.last_table < tables:
        return wanted
    try:
        return Wanted(compile_single_table(policy, switch, at))
    except CannotExpressError as error:
        reasons = "; ".join(str(problem) for problem in error.problems)
        raise ValueError(
            f"has {tables} table{'' if tables == 1 else 's'} and its rules need {wanted.last_table + 1}, or "
            f"one if the policy said less: {reasons}: nothing was sent"
        ) from None


def _objection(policy: Policy, switch: Switch, rules: Sequence[FlowRule], at: float) -> str | None:
    """Why a table that was read is not proven; None where it is."""
    return objection(policy, switch, [stored_rule(rule, describe(rule)) for rule in rules], at)
