"""Explain OpenFlow error messages in words (OpenFlow 1.3.5 section 7.4.4, 1.5.1 section 7.5.4)."""

from __future__ import annotations

TABLE_FULL = 5, 1
"""Type and code of FLOW_MOD_FAILED/TABLE_FULL."""
BAD_FLAGS = 5, 7
"""Type and code of FLOW_MOD_FAILED/BAD_FLAGS."""
INEXPRESSIBLE = -1, 0
"""Stand-in for the error of a change that no message can express and that was not sent."""
ABOUT_RULES = (INEXPRESSIBLE[0], 2, 3, 4, 5)
"""Error types that refuse a rule itself, and not the message or its sender."""
ABOUT_MATCHES = (2, 3, 4)
"""Error types that refuse the match, instructions or actions of one rule; other rules may be accepted."""

_BUNDLE_FAILED = 17
_EXPERIMENTER = 0xFFFF
_FIRST_ONF_BUNDLE_ERROR = 2300
"""First experimenter code of the ONF's bundle errors for OpenFlow 1.3; BUNDLE_FAILED's codes add to it."""

_TYPES = {
    0: "HELLO_FAILED",
    1: "BAD_REQUEST",
    2: "BAD_ACTION",
    3: "BAD_INSTRUCTION",
    4: "BAD_MATCH",
    5: "FLOW_MOD_FAILED",
    11: "ROLE_REQUEST_FAILED",
    13: "TABLE_FEATURES_FAILED",
    16: "FLOW_MONITOR_FAILED",
    _BUNDLE_FAILED: "BUNDLE_FAILED",
    _EXPERIMENTER: "EXPERIMENTER",
}

_WORDS = {
    (1, 0): ("BAD_VERSION", "it does not speak this version of OpenFlow"),
    (1, 1): ("BAD_TYPE", "it does not know such a message"),
    (1, 2): ("BAD_MULTIPART", "it does not know the request"),
    (1, 3): ("BAD_EXPERIMENTER", "it does not know the extension"),
    (1, 4): ("BAD_EXP_TYPE", "it does not know such a message of the extension"),
    (1, 5): ("EPERM", "the switch does not permit it"),
    (1, 6): ("BAD_LEN", "it expects a message of another length"),
    (1, 9): ("BAD_TABLE_ID", "it has no such table"),
    (1, 10): ("IS_SLAVE", "another controller is its master"),
    (1, 13): ("MULTIPART_BUFFER_OVERFLOW", "it has no memory for the request"),
    (1, 14): ("MULTIPART_REQUEST_TIMEOUT", "it waited too long for the rest of the request"),
    (1, 15): ("MULTIPART_REPLY_TIMEOUT", "its own answer took it too long"),
    (2, 0): ("BAD_TYPE", "it does not know the action"),
    (2, 4): ("BAD_OUT_PORT", "it cannot forward to that port"),
    (2, 6): ("EPERM", "the switch does not permit it"),
    (3, 0): ("UNKNOWN_INST", "it does not know the instruction"),
    (3, 1): ("UNSUP_INST", "it does not support the instruction"),
    (3, 2): ("BAD_TABLE_ID", "it cannot go on to that table"),
    (3, 3): ("UNSUP_METADATA", "it cannot write the metadata"),
    (3, 4): ("UNSUP_METADATA_MASK", "it cannot write these bits of the metadata"),
    (4, 3): ("BAD_DL_ADDR_MASK", "it does not support the mask of an Ethernet address"),
    (4, 4): ("BAD_NW_ADDR_MASK", "it does not support the mask of an IP address"),
    (4, 6): ("BAD_FIELD", "it cannot match on a field of the rule"),
    (4, 7): ("BAD_VALUE", "it does not take a value of the rule"),
    (4, 8): ("BAD_MASK", "it does not support a mask of the rule"),
    (4, 9): ("BAD_PREREQ", "a field of the rule needs another one"),
    (4, 11): ("EPERM", "the switch does not permit it"),
    TABLE_FULL: ("TABLE_FULL", "no room in the table"),
    (5, 2): ("BAD_TABLE_ID", "it has no such table"),
    (5, 4): ("EPERM", "the switch does not permit it"),
    (5, 5): ("BAD_TIMEOUT", "it does not support the time-out"),
    BAD_FLAGS: ("BAD_FLAGS", "it does not support a flag of the rule"),
    (13, 5): ("EPERM", "the switch does not permit it"),
    (16, 1): ("MONITOR_EXISTS", "it has such a flow monitor already"),
    (16, 4): ("BAD_COMMAND", "it does not know the command of the flow monitor"),
    (16, 5): ("BAD_FLAGS", "it does not support a flag of the flow monitor"),
    (16, 6): ("BAD_TABLE_ID", "it cannot watch that table"),
    (17, 0): ("UNKNOWN", "the bundle failed"),
    (17, 1): ("EPERM", "the switch does not permit it"),
    (17, 2): ("BAD_ID", "it knows no such bundle, or has it already"),
    (17, 3): ("BUNDLE_EXIST", "it has such a bundle already"),
    (17, 4): ("BUNDLE_CLOSED", "the bundle is closed"),
    (17, 5): ("OUT_OF_BUNDLES", "it has too many bundles open"),
    (17, 6): ("BAD_TYPE", "it does not know such a message of a bundle"),
    (17, 7): ("BAD_FLAGS", "it does not support bundles that are atomic and ordered"),
    (17, 8): ("MSG_BAD_LEN", "a message in the bundle has a wrong length"),
    (17, 9): ("MSG_BAD_XID", "a message in the bundle has a wrong xid"),
    (17, 10): ("MSG_UNSUP", "it does not take such a message into a bundle"),
    (17, 11): ("MSG_CONFLICT", "a message does not go together with others in the bundle"),
    (17, 12): ("MSG_TOO_MANY", "it does not take so many messages into a bundle"),
    (17, 13): ("MSG_FAILED", "a message in the bundle failed, and none was applied"),
    (17, 14): ("TIMEOUT", "the bundle was open too long and was discarded"),
    (17, 15): ("BUNDLE_IN_PROGRESS", "it changes something else at the same time"),
}


def explain(kind: int, code: int) -> str:
    """Return an error in words, such as ``no room in the table (FLOW_MOD_FAILED/TABLE_FULL)``.

    For an experimenter error, ``code`` is the experimenter's own type.
    """
    if (kind, code) == INEXPRESSIBLE:
        return "no OpenFlow message can express it, so it was not sent"
    number = code - _FIRST_ONF_BUNDLE_ERROR
    if kind == _EXPERIMENTER and (_BUNDLE_FAILED, number) in _WORDS:
        kind, code = _BUNDLE_FAILED, number
    name, words = _WORDS.get((kind, code), (f"code {code}", "the switch says no more"))
    return f"{words} ({_TYPES.get(kind, f'error type {kind}')}/{name})"
