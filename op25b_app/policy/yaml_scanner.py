"""The scanner of the YAML parser, which says of everything that it does not read where that is."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scanner import Scanner

VERSIONS = ((1, 1), (1, 2))
"""What the parser knows; of any other version it raises something that names no place."""


class UnreadableError(MarkedYAMLError):
    """Says what is wrong and what to do, at its ``problem_mark``; no words of the parser."""


class PlacingScanner(Scanner):
    """Raises UnreadableError where the parser's own scanner lets Python's errors about numbers through."""

    def scan_yaml_directive_value(self, start_mark: Any) -> Any:
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
        try:
            return super().scan_flow_scalar_non_spaces(double, start_mark)
        except (ValueError, OverflowError):  # of chr()
            written = f"\\U{self.reader.prefix(8)}"
            raise UnreadableError(
                problem=f"{written} is no character, the last is \\U0010FFFF; write another, or take it out",
                problem_mark=self.reader.get_mark(),
            ) from None
