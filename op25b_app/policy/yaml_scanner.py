"""Scan YAML, and report the place of every text that cannot be read."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scanner import Scanner

VERSIONS = ((1, 1), (1, 2))
"""YAML versions that the parser knows; for any other it raises an error without a place."""


class UnreadableError(MarkedYAMLError):
    """Text that cannot be read; the problem and its remedy at ``problem_mark``, not in the parser's words."""


class PlacingScanner(Scanner):
    """Scanner that raises UnreadableError where the parser's own lets Python's number errors through."""

    def scan_yaml_directive_value(self, start_mark: Any) -> Any:
        """Return the YAML version; raise UnreadableError for an unknown one."""
        while self.reader.peek() == " ":
            self.reader.forward()
        mark = self.reader.get_mark()
        try:
            version = super().scan_yaml_directive_value(start_mark)
        except ValueError:  # int() takes 4,300 digits
            version = None
        if version not in VERSIONS:
            raise UnreadableError(
                problem="this version of YAML is not known; write %YAML 1.2, or take the line out",
                problem_mark=mark,
            )
        return version

    def scan_flow_scalar_non_spaces(self, double: Any, start_mark: Any) -> Any:
        """Scan quoted text; raise UnreadableError for an escape beyond the last character."""
        try:
            return super().scan_flow_scalar_non_spaces(double, start_mark)
        except (ValueError, OverflowError):  # of chr()
            written = f"\\U{self.reader.prefix(8)}"
            raise UnreadableError(
                problem=f"{written} is no character, the last is \\U0010FFFF; write another, or take it out",
                problem_mark=self.reader.get_mark(),
            ) from None
