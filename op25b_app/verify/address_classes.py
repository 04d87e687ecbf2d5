"""Addresses in classes: those of a class are alike for all rules and for the whole policy.

A function of the header tests the class of an address, not its value. Which class an address has is a
function of the address alone. So a change of one prefix among many changes that function in one place; and
where no class comes or goes, it changes nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from op25b_app.net.prefix import WIDTH
from op25b_app.openflow.fields import BY_NAME, Notation
from op25b_app.verify.diagram import Diagram
from op25b_app.verify.header import FIELDS, LEVELS, SIZES
from op25b_app.verify.shared_diagrams import SharedDiagrams

MAX_CLASSES: Final = 1 << 24
MAX_CELLS: Final = 1 << 16
_VERSIONS = {Notation.IPV4: 4, Notation.IPV6: 6}
ADDRESS_FIELDS: Mapping[int, int] = {
    LEVELS[name]: _VERSIONS[BY_NAME[name].notation] for name in FIELDS if BY_NAME[name].notation in _VERSIONS
}
"""Numbers of the fields that hold an address, with its IP version."""
CELL_FIELDS: Mapping[str, int] = {
    "arp_spa": 4,
    "ipv4_src": 4,
    "ipv6_nd_target": 6,
    "ipv6_src": 6,
    "arp_sha": 0,
    "eth_src": 0,
}
"""Fields with cells, by the kind of their addresses: the IP version, or 0 for MAC addresses."""
CELLS: Mapping[str, int] = {name: len(FIELDS) + place for place, name in enumerate(CELL_FIELDS)}
"""Numbers of the fields that hold a cell of an address."""
_SIZES = (
    *(MAX_CLASSES if field in ADDRESS_FIELDS else size for field, size in enumerate(SIZES)),
    *(MAX_CELLS for _ in CELLS),
)
_FIELD_OF = {4: 0, 6: 1}

Label: TypeAlias = frozenset[tuple[Hashable, Hashable]]
"""Questions with their answers for a class of addresses; those with the answer None are left out."""
Range: TypeAlias = tuple[int, int]
"""First and last value."""


class AddressDiagrams(SharedDiagrams):
    """Functions of one address; they test its octets."""

    def __init__(self) -> None:
        super().__init__([1 << width for width in WIDTH.values()], dict(enumerate(WIDTH.values())))

    def level(self, version: int) -> int:
        """Return the level of the first octet."""
        return self.levels[_FIELD_OF[version]]

    def inside(self, version: int, ranges: Iterable[Range]) -> Diagram:
        """Return the function that gives True in some ranges, else None."""
        return self.intervals(
            _FIELD_OF[version], ((*each, self.leaf(True)) for each in ranges), self.leaf(None)
        )

    def answers(self, function: Diagram, version: int, first: int, free: int) -> frozenset[Hashable]:
        """Return what addresses from ``first`` on are given, of which the lowest ``free`` bits are any."""
        return self.results_within(function, _FIELD_OF[version], first, free)


@dataclass(frozen=True)
class _Named:
    """The change of an answer to a label."""

    question: Hashable

    def __call__(self, answer: Hashable) -> Label:
        return frozenset() if answer is None else frozenset(((self.question, answer),))


def _joined(one: Label, other: Label) -> Label:
    return one | other


class Classes:
    """The classes that some questions about addresses make, by field.

    ``numbers`` are those of all classes so far; a class keeps its number.
    """

    def __init__(self, addresses: AddressDiagrams, numbers: dict[Label, int]) -> None:
        self.addresses = addresses
        self._numbers = numbers
        self.questions: dict[int, dict[Hashable, Diagram]] = {field: {} for field in ADDRESS_FIELDS}
        """Functions of an address, by field and question."""
        self._answers: dict[int, dict[Hashable, list[tuple[int, Hashable]]]] = {}
        self._labels: dict[int, list[int]] = {}
        self.has_grown = False
        """True once a question was new: answers to it, and to others, are as if it had not been asked."""

    def ask(self, field: int, question: Hashable, function: Diagram) -> Sequence[tuple[int, Hashable]]:
        """Return the classes of a field, ascending, with their answers; those with None are left out.

        A new question has no answers until ``settle``.
        """
        asked = self.questions[field]
        known = asked.get(question)
        if known is None:
            asked[question] = function
            self.has_grown = True
            return ()
        assert known is function, "a question has one function"
        self._settle(field)
        return self._answers[field].get(question, ())

    def settle(self) -> None:
        """Have all answers be to the questions so far."""
        self.has_grown = False
        self._answers.clear()

    def numbers(self, field: int) -> list[int]:
        """Return the numbers of all classes of a field, ascending."""
        self._settle(field)
        return self._labels[field]

    def _settle(self, field: int) -> None:
        if field in self._answers:
            return
        functions = [
            self.addresses.map(_Named(question), function)
            for question, function in self.questions[field].items()
        ]
        labels: Iterable[Any] = _together(self.addresses, functions).values
        numbered = sorted((self._numbers.setdefault(label, len(self._numbers)), label) for label in labels)
        answers: dict[Hashable, list[tuple[int, Hashable]]] = {}
        for number, label in numbered:
            for question, answer in label:
                answers.setdefault(question, []).append((number, answer))
        self._answers[field] = answers
        self._labels[field] = [number for number, _ in numbered]


def _together(addresses: AddressDiagrams, functions: Sequence[Diagram]) -> Diagram:
    if len(functions) <= 1:
        return functions[0] if functions else addresses.leaf(frozenset())
    middle = len(functions) // 2
    one, other = _together(addresses, functions[:middle]), _together(addresses, functions[middle:])
    return addresses.apply(_joined, one, other)


class ClassDiagrams(SharedDiagrams):
    """Functions of a header that has classes for addresses, and cells at its end.

    ``classes`` are those of the proof that is made.
    """

    def __init__(self) -> None:
        super().__init__(_SIZES, {})
        self.addresses = AddressDiagrams()
        self._numbers: dict[Label, int] = {}
        self.classes = Classes(self.addresses, self._numbers)

    @property
    def size(self) -> int:
        """The number of edges and results that are remembered, each about 100 bytes."""
        return super().size + self.addresses.size + 2 * len(self._numbers)

    def begin(self, questions: Mapping[int, Mapping[Hashable, Diagram]]) -> None:
        """Begin a proof with some questions; the classes of the last one are left."""
        self.classes = Classes(self.addresses, self._numbers)
        for field, asked in questions.items():
            self.classes.questions[field].update(asked)

    def intervals(
        self, level: int, inside: Iterable[tuple[int, int, Diagram]], otherwise: Diagram
    ) -> Diagram:
        """Return a test of one field: ascending disjoint (first, last, diagram), else ``otherwise``.

        ``level`` is the number of the field. Where that holds an address, all diagrams are the same.
        """
        version = ADDRESS_FIELDS.get(level)
        if version is None:
            return super().intervals(level, inside, otherwise)
        found = list(inside)
        if not found:
            return otherwise
        ranges = tuple((first, last) for first, last, _ in found)
        assert all(child is found[0][2] for _, _, child in found)
        question = "in", ranges
        function = self.classes.questions[level].get(question)
        if function is None:
            function = self.addresses.inside(version, ranges)
        answers = self.classes.ask(level, question, function)
        return super().intervals(level, ((each, each, found[0][2]) for each, _ in answers), otherwise)

    def answered(self, field: int, question: Hashable, function: Diagram) -> Diagram:
        """Return the function of the header whose value is the answer for an address field."""
        answers = self.classes.ask(field, question, function)
        inside = ((each, each, self.leaf(answer)) for each, answer in answers)
        return super().intervals(field, inside, self.leaf(None))

    def existing(self) -> Diagram:
        """Return the condition that the class of each address exists."""
        yes, no = self.leaf(True), self.leaf(False)
        fields = [field for field, asked in self.classes.questions.items() if asked]
        return self.both(
            *(
                super(ClassDiagrams, self).intervals(
                    field, ((each, each, yes) for each in self.classes.numbers(field)), no
                )
                for field in fields
            )
        )
