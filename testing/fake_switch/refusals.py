"""The refusals of the fake switch (OpenFlow 1.3.5, 7.4.4; 1.4.1 and 1.5.1 for bundles)."""

from __future__ import annotations

from testing.fake_switch.wire import ONF, OPENFLOW_14, Refusal

HELLO_INCOMPATIBLE = Refusal(0, 0)

BAD_VERSION = Refusal(1, 0)
BAD_TYPE = Refusal(1, 1)
BAD_MULTIPART = Refusal(1, 2)
BAD_EXPERIMENTER = Refusal(1, 3)
BAD_EXPERIMENTER_TYPE = Refusal(1, 4)
BAD_LENGTH = Refusal(1, 6)
IS_SLAVE = Refusal(1, 10)

BAD_ACTION_TYPE = Refusal(2, 0)
BAD_ACTION_LENGTH = Refusal(2, 1)
BAD_ACTION_EXPERIMENTER = Refusal(2, 2)
BAD_OUT_PORT = Refusal(2, 4)
BAD_ACTION_ARGUMENT = Refusal(2, 5)
BAD_OUT_GROUP = Refusal(2, 9)
MATCH_INCONSISTENT = Refusal(2, 10)
BAD_SET_TYPE = Refusal(2, 13)
BAD_SET_LENGTH = Refusal(2, 14)
BAD_SET_ARGUMENT = Refusal(2, 15)

UNKNOWN_INSTRUCTION = Refusal(3, 0)
UNSUPPORTED_INSTRUCTION = Refusal(3, 1)
BAD_INSTRUCTION_TABLE_ID = Refusal(3, 2)
BAD_INSTRUCTION_EXPERIMENTER = Refusal(3, 5)
BAD_INSTRUCTION_LENGTH = Refusal(3, 7)
DUPLICATE_INSTRUCTION = Refusal(3, 9)

BAD_MATCH_TYPE = Refusal(4, 0)
BAD_MATCH_LENGTH = Refusal(4, 1)
BAD_WILDCARDS = Refusal(4, 5)
BAD_FIELD = Refusal(4, 6)
BAD_VALUE = Refusal(4, 7)
BAD_MASK = Refusal(4, 8)
BAD_PREREQUISITE = Refusal(4, 9)
DUPLICATE_FIELD = Refusal(4, 10)

TABLE_FULL = Refusal(5, 1)
BAD_TABLE_ID = Refusal(5, 2)
OVERLAP = Refusal(5, 3)
BAD_COMMAND = Refusal(5, 6)
BAD_FLAGS = Refusal(5, 7)

STALE_ROLE = Refusal(11, 0)
BAD_ROLE = Refusal(11, 2)
FLOW_MONITOR_FAILED = 16
UNKNOWN_METER = Refusal(12, 2)

(
    _,
    _,
    BUNDLE_BAD_ID,
    _,
    BUNDLE_CLOSED,
    _,
    BUNDLE_BAD_TYPE,
    BUNDLE_BAD_FLAGS,
    BUNDLE_MESSAGE_BAD_LENGTH,
    BUNDLE_MESSAGE_BAD_XID,
    BUNDLE_MESSAGE_UNSUPPORTED,
    _,
    _,
    BUNDLE_MESSAGE_FAILED,
) = (Refusal(17, code) for code in range(14))


def bundle_refusal(refusal: Refusal, version: int) -> Refusal:
    """OpenFlow 1.3 has no error type for bundles: the ONF extension 230 brings its own."""
    return refusal if version >= OPENFLOW_14 else Refusal(0xFFFF, 2300 + refusal.code, ONF)
