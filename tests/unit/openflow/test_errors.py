"""Errors have the names that Ryu knows them by, and words."""

from __future__ import annotations

import re

import pytest
from ryu.ofproto import ofproto_v1_3, ofproto_v1_4, ofproto_v1_5

from op25b_app.openflow import errors

PREFIXES = {1: "OFPBRC_", 2: "OFPBAC_", 3: "OFPBIC_", 4: "OFPBMC_", 5: "OFPFMFC_"}
NEWER_PREFIXES = {13: "OFPTFFC_", 16: "OFPMOFC_", 17: "OFPBFC_"}
SPELLED = re.compile(r"(.+) \((\w+)/(\w+)\)")


def known() -> list[tuple[int, int]]:
    return [
        (kind, code)
        for kind in range(20)
        for code in range(20)
        if "says no more" not in errors.explain(kind, code)
    ]


@pytest.mark.parametrize(("kind", "code"), known())
def test_types_and_codes_are_the_specifications(kind: int, code: int) -> None:
    spelled = SPELLED.fullmatch(errors.explain(kind, code))
    assert spelled is not None
    _, type_name, code_name = spelled.groups()
    assert getattr(ofproto_v1_5, f"OFPET_{type_name}") == kind
    prefix = (PREFIXES | NEWER_PREFIXES)[kind]
    numbers = {
        getattr(module, f"{prefix}{code_name}", None) for module in (ofproto_v1_3, ofproto_v1_4, ofproto_v1_5)
    }
    assert code in numbers


def test_bundles_fail_alike_in_all_versions() -> None:
    for code in range(16):
        assert errors.explain(0xFFFF, 2300 + code) == errors.explain(17, code)
    assert (
        errors.explain(17, 13)
        == "a message in the bundle failed, and none was applied (BUNDLE_FAILED/MSG_FAILED)"
    )


def test_no_room() -> None:
    assert errors.explain(*errors.TABLE_FULL) == "no room in the table (FLOW_MOD_FAILED/TABLE_FULL)"


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (5, 99, "the switch says no more (FLOW_MOD_FAILED/code 99)"),
        (99, 3, "the switch says no more (error type 99/code 3)"),
        (0xFFFF, 25, "the switch says no more (EXPERIMENTER/code 25)"),
        (0xFFFF, 2316, "the switch says no more (EXPERIMENTER/code 2316)"),
    ],
)
def test_what_is_not_known_keeps_its_numbers(kind: int, code: int, text: str) -> None:
    assert errors.explain(kind, code) == text
