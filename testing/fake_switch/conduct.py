"""What a fake switch is able to do, and how it behaves beyond, or short of, what it should do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from testing.fake_switch.flow_mod import FlowMod
from testing.fake_switch.wire import OPENFLOW_13, Message, Refusal


@dataclass(frozen=True)
class Abilities:
    """What a kind of switch can do; as it stands, about what Open vSwitch can.

    ``capacity`` is how many entries all tables hold together, ``room_of`` how many single ones hold.
    ``wide_masks`` are those masks that Open vSwitch takes and the specification does not give.
    ``part_bytes`` is about how long one part of a multipart reply becomes.
    """

    versions: tuple[int, ...] = (OPENFLOW_13,)
    tables: int = 254
    capacity: int = 1_000_000
    room_of: Mapping[int, int] = field(default_factory=dict)
    metadata: bool = True
    wide_masks: bool = True
    bundles: bool = True
    flow_monitor: bool = True
    table_features: bool = True
    part_bytes: int = 1000


@dataclass
class Conduct:
    """How a switch behaves; any of it may be changed at any moment.

    ``refuse`` and ``swallow`` say which flow-mods are refused, and which dropped without a word;
    ``refuse_message`` the same of any message. ``silent_about`` says which requests are carried out and not
    answered, refused ones among them. ``keep`` gives what the switch makes of a flow-mod that it carries out,
    ``report`` what it tells of an entry. ``delay`` is in seconds, from a request to its answers. With
    ``shuffle``, messages are handled in any order that barriers leave open (6.2).
    """

    refuse: Callable[[FlowMod], Refusal | None] = lambda flow: None
    swallow: Callable[[FlowMod], bool] = lambda flow: False
    keep: Callable[[FlowMod], FlowMod] = lambda flow: flow
    report: Callable[[FlowMod], FlowMod] = lambda flow: flow
    refuse_message: Callable[[Message], Refusal | None] = lambda message: None
    silent_about: Callable[[Message], bool] = lambda message: False
    delay: Callable[[Message], float] = lambda message: 0.0
    shuffle: Random | None = None
