"""OpenFlow's error messages in words (OpenFlow 1.3.5, section 7.4.4)."""

from __future__ import annotations

_TYPES = {1: "BAD_REQUEST", 2: "BAD_ACTION", 3: "BAD_INSTRUCTION", 4: "BAD_MATCH", 5: "FLOW_MOD_FAILED"}

_WORDS = {
    (1, 5): ("EPERM", "the switch does not permit it"),
    (1, 9): ("BAD_TABLE_ID", "it has no such table"),
    (1, 10): ("IS_SLAVE", "another controller is its master"),
    (2, 0): ("BAD_TYPE", "it does not know the action"),
    (2, 4): ("BAD_OUT_PORT", "it cannot forward to that port"),
    (2, 6): ("EPERM", "the switch does not permit it"),
    (3, 0): ("UNKNOWN_INST", "it does not know the instruction"),
    (3, 1): ("UNSUP_INST", "it does not support the instruction"),
    (3, 2): ("BAD_TABLE_ID", "it cannot go on to that table"),
    (4, 3): ("BAD_DL_ADDR_MASK", "it does not support the mask of an Ethernet address"),
    (4, 4): ("BAD_NW_ADDR_MASK", "it does not support the mask of an IP address"),
    (4, 6): ("BAD_FIELD", "it cannot match on a field of the rule"),
    (4, 7): ("BAD_VALUE", "it does not take a value of the rule"),
    (4, 8): ("BAD_MASK", "it does not support a mask of the rule"),
    (4, 9): ("BAD_PREREQ", "a field of the rule needs another one"),
    (4, 11): ("EPERM", "the switch does not permit it"),
    (5, 1): ("TABLE_FULL", "no room in the table"),
    (5, 2): ("BAD_TABLE_ID", "it has no such table"),
    (5, 4): ("EPERM", "the switch does not permit it"),
    (5, 5): ("BAD_TIMEOUT", "it does not support the time-out"),
}


def explain(kind: int, code: int) -> str:
    """``no room in the table (FLOW_MOD_FAILED/TABLE_FULL)``."""
    name, words = _WORDS.get((kind, code), (f"code {code}", "the switch says no more"))
    return f"{words} ({_TYPES.get(kind, f'error type {kind}')}/{name})"
