"""A fake OpenFlow switch that speaks real bytes, for tests and benchmarks."""

from tests.fake_switch.channel import Channel
from tests.fake_switch.conduct import Abilities, Conduct
from tests.fake_switch.flow_mod import Command, FlowMod
from tests.fake_switch.switch import FakeSwitch
from tests.fake_switch.wire import Kind, Message, Refusal

__all__ = [
    "Abilities",
    "Channel",
    "Command",
    "Conduct",
    "FakeSwitch",
    "FlowMod",
    "Kind",
    "Message",
    "Refusal",
]
