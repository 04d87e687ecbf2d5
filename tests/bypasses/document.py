"""The tables of docs/bypasses.md, from the catalogue.

``python -m tests.bypasses.document`` writes them there, with the folders ``mininet`` and ``topologies`` in
PYTHONPATH. What is outside of the marks is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bypasses.catalogue import GROUPS, TRICKS
from tests.bypasses.rulesets import DEFAULTS, STRICT, Binding, Lines, Setting, our_rules
from tests.bypasses.trick import Trick

DOCUMENT = Path(__file__).parents[2] / "docs" / "bypasses.md"
BEGIN, END = "<!-- made by tests/bypasses/document.py -->\n", "<!-- end -->\n"
_DECISIONS = {
    Setting.BASE: "subscriber 3 to 6",
    Setting.ENCAPSULATION: "subscriber 1, uplink 1",
    Setting.UNREADABLE_TCP: "subscriber 1",
    Setting.SPOOFED_REPLIES: "uplink 3",
    Setting.PORT_25: "subscriber 6, uplink 2",
    Setting.BINDINGS: "subscriber 5",
    Setting.PREFIX: "subscriber 0 and 2, uplink 2",
    Setting.BINDING: "subscriber 0 and 2, uplink 2",
    Setting.TUNNELS: "subscriber 1",
    Setting.UDP_PORTS: "subscriber 1",
    Setting.MAIL_HOSTS: "subscriber 3",
}
_WORDS = {
    Setting.BASE: "port 25 itself",
    Setting.ENCAPSULATION: "`encapsulation: block`",
    Setting.UNREADABLE_TCP: "`unreadable_tcp: block`",
    Setting.SPOOFED_REPLIES: "`spoofed_replies: block`",
    Setting.PORT_25: "`source_validation: port-25`",
    Setting.BINDINGS: "`bindings` of static lines",
    Setting.PREFIX: "`source_validation: prefix`",
    Setting.BINDING: "`source_validation: binding`",
    Setting.TUNNELS: "`tunnels: block`",
    Setting.UDP_PORTS: "`tunnels: {block_udp_ports: [...]}`",
    Setting.MAIL_HOSTS: "`mail_destinations` of single hosts",
}
_LINES = 24
_EXAMPLE = Lines(
    [
        Binding(port, "", (f"100.64.{8 if port > 20 else 0}.{port}",), static=port > 20)
        for port in range(1, _LINES + 1)
    ],
    (),
    f"1-{_LINES}",
    25,
    (26, 27),
)
"""An access switch of 24 lines, four of them static, each with one IPv4 address."""


def generated() -> str:
    """Both tables, as Markdown."""
    return "\n".join([*_settings(), "", *_tricks(), ""])


def document() -> str:
    """The whole document with its tables as they should be."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{generated()}{END}{after}"


def _settings() -> Iterator[str]:
    yield "| setting | default | decisions | rules it costs | tricks it stops alone |"
    yield "|---|---|---|---:|---:|"
    base = len(our_rules((), _EXAMPLE))
    for setting in Setting:
        cost = base if setting is Setting.BASE else len(our_rules({setting}, _EXAMPLE)) - base
        default = "yes" if setting in DEFAULTS | {Setting.BASE} else "no"
        stops = sum(setting in trick.closed_by for trick in TRICKS)
        yield f"| {_WORDS[setting]} | {default} | {_DECISIONS[setting]} | {cost} | {stops} |"
    for name, settings in (
        ("the defaults", DEFAULTS),
        ("the defaults and bound static lines", DEFAULTS | {Setting.BINDINGS}),
        ("the strictest: `binding`, both kinds of `tunnels` blocked, mail hosts", STRICT),
    ):
        stops = sum(trick.is_closed_by(settings) for trick in TRICKS)
        yield f"| {name} | | | {len(our_rules(settings, _EXAMPLE)) - base} | {stops} of {len(TRICKS)} |"


def _tricks() -> Iterator[str]:
    for group in GROUPS:
        yield f"### {group.name}"
        yield ""
        yield "| trick | how it works | against plain rules | against the defaults | what stops it | source |"
        yield "|---|---|---|---|---|---|"
        for trick in group.tricks:
            yield "| " + " | ".join(_row(trick)) + " |"
        yield ""


def _row(trick: Trick) -> list[str]:
    return [
        trick.name,
        trick.how,
        "**delivers**" if trick.plain else "stopped",
        _against_defaults(trick),
        _closers(trick),
        ", ".join(trick.references),
    ]


def _against_defaults(trick: Trick) -> str:
    if trick.is_closed_by(DEFAULTS):
        return "stopped"
    if trick.is_closed_by(DEFAULTS | {Setting.BINDINGS}):
        return "stopped where static lines are bound"
    return "**delivers**"


def _closers(trick: Trick) -> str:
    alone = [_WORDS[setting] for setting in Setting if setting in trick.closed_by]
    together = [_WORDS[setting] for setting in Setting if setting in trick.together]
    joined = [" with ".join(together)] if together else []
    return " or ".join([*alone, *joined]) or "nothing a switch can do"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
