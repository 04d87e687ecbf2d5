"""A fake OpenFlow switch that speaks real bytes, for tests and benchmarks."""

from testing.fake_switch.channel import Channel
from testing.fake_switch.conduct import Abilities, Conduct
from testing.fake_switch.flow_mod import Command, FlowMod
from testing.fake_switch.switch import FakeSwitch
from testing.fake_switch.wire import Kind, Message, Refusal

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
