"""Line charts as SVG: the axis of x logarithmic, that of y from 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 400, 70, 190, 40, 50
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's, which colour-blind readers tell apart."""


class Line(NamedTuple):
    """A name and its points (x, y), x ascending and above 0."""

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(title: str, x_name: str, y_name: str, lines: Sequence[Line]) -> str:
    points = [point for line in lines for point in line.points]
    low, high = (math.log10(limit(x for x, _ in points)) for limit in (min, max))
    top = max(y for _, y in points)
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x) - low) / (high - low or 1)
        return round(_LEFT + share * across, 1), round(_TOP + (1 - y / top) * down, 1)

    parts = [_text(_WIDTH / 2, 22, title, "middle"), _text(_LEFT, _TOP - 8, y_name, "middle")]
    parts.append(_text(_LEFT + across / 2, _HEIGHT - 10, x_name, "middle"))
    for x in sorted({x for x, _ in points}):
        parts.append(_text(place(x, 0)[0], _HEIGHT - _BOTTOM + 18, f"{x:,.0f}", "middle"))
    for y in (0, top / 2, top):
        level = place(10**low, y)[1]
        parts.append(f'<path d="M{_LEFT},{level}h{across}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 8, level + 4, f"{y:,.0f}", "end"))
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x},{y}" for x, y in (place(*point) for point in line.points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_WIDTH - _RIGHT + 14, _TOP + 18 * (number + 1), line.name, "start", colour))
    size, font = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"', 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
