"""Load a policy file: return the policy, or all its problems at once."""

from __future__ import annotations

import difflib
import gc
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import ValidationError

from op25b_app.net.prefix import quoted
from op25b_app.policy import checks
from op25b_app.policy.address_space import AddressSpace
from op25b_app.policy.diagnostic import Diagnostic, Errors, error
from op25b_app.policy.model import (
    Binding,
    Hardening,
    Inbound,
    LocatedPrefix,
    MailException,
    Mode,
    Policy,
    SourceLocation,
    SourceValidation,
    Switch,
    Tunnels,
)
from op25b_app.policy.schema import (
    MAX_PORTS,
    PORT_LISTS,
    BindingSection,
    ExceptionSection,
    FileReference,
    PolicySchema,
    PrefixEntry,
    Section,
    SwitchSection,
    TunnelsChoice,
    TunnelsSection,
)
from op25b_app.policy.source_files import MAX_POLICY_BYTES, Files, PrefixFile, Read, read_file
from op25b_app.policy.yaml_source import Path, YamlSource, read_tree

MAX_PORTS_IN_ALL = 1 << 20
"""Maximum number of ports in a policy: those of 20,000 switches of 48 ports."""


class Parsed(NamedTuple):
    """A policy file on its own: its text, its tree and document without the wrong parts, and its problems."""

    file: str
    text: str
    tree: YamlSource
    document: PolicySchema
    problems: tuple[Diagnostic, ...]


class Memory(NamedTuple):
    """Intermediate results that the next load of the same files can use again."""

    parsed: Parsed | None = None
    prefix_files: Mapping[FilePath, PrefixFile] = MappingProxyType({})
    space: AddressSpace | None = None


class Loaded(NamedTuple):
    """The result of a load; ``policy`` is None where ``problems`` holds an error.

    ``files`` holds the content of each file by path, the policy file first. ``digest`` (SHA-256,
    hexadecimal) identifies all of it.
    """

    policy: Policy | None
    problems: tuple[Diagnostic, ...]
    files: Mapping[FilePath, bytes]
    digest: str
    memory: Memory = Memory()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Problems that make the policy unusable."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def recalling(self, previous: Loaded | None) -> Loaded:
        """Return this result for a second attempt, made once its files are available.

        Its memory holds the text that was parsed now, and the prefixes that ``previous`` knew.
        """
        if previous is None:
            return self
        return self._replace(memory=previous.memory._replace(parsed=self.memory.parsed))


def load(path: FilePath, at: float, read: Read = read_file, previous: Loaded | None = None) -> Loaded:
    """Read and check a policy file and the prefix files that it names, each once.

    ``at`` (seconds since 1970) decides which exceptions are past. Problems of the files are returned, never
    raised. ``previous`` is an earlier result: unchanged parts are used again, with the same result.
    """
    with _no_collection():
        return _load(path, at, read, Memory() if previous is None else previous.memory)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the search for garbage in cycles: a load makes millions of values, and none of them is in one."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _load(path: FilePath, at: float, read: Read, memory: Memory) -> Loaded:
    files = Files(read, memory.prefix_files)
    text, problems = files.text(path, SourceLocation(str(path), 1, 1), MAX_POLICY_BYTES)
    parsed = None
    if text is not None:
        parsed, problems = _parse(str(path), text, memory.parsed)
    policy = None
    if parsed is not None:
        builder = _Builder(parsed.tree, path.parent, files)
        policy = builder.policy(parsed.document, memory.space)
        problems = [*problems, *builder.problems]
        found = checks.check(policy, parsed.document, parsed.tree, at)
        if any(problem.severity == "error" for problem in problems):
            # Invalid parts are missing here, so a warning about the rest may be false.
            found = [problem for problem in found if problem.severity == "error"]
        problems += found
    problems.sort(key=lambda problem: (problem.place.file != str(path), problem.place))
    kept = Memory(parsed, files.prefix_files, policy.space if policy is not None else None)
    if any(problem.severity == "error" for problem in problems):
        policy = None
    return Loaded(policy, tuple(problems), files.contents, digest(files.contents.values()), kept)


def digest(contents: Iterable[bytes]) -> str:
    """Return the SHA-256 (hexadecimal) of one content, or of the SHA-256 digests of several."""
    hashes = [hashlib.sha256(content) for content in contents]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(each.digest() for each in hashes))
    return whole.hexdigest()


def _parse(file: str, text: str, before: Parsed | None) -> tuple[Parsed | None, list[Diagnostic]]:
    if before is not None and (before.file, before.text) == (file, text):
        return before, [*before.problems]
    tree, problems = read_tree(file, text)
    if tree is None:
        return None, problems
    document, more = _validate(tree)
    problems += more
    return Parsed(file, text, tree, document, tuple(problems)), problems


def _validate(tree: YamlSource) -> tuple[PolicySchema, list[Diagnostic]]:
    """Return a document of the valid parts, and a problem for each invalid part.

    Invalid parts are removed from ``tree``, so that the rest can still be checked.
    """
    sections = dict(_sections(PolicySchema, tree.value, ()))
    errors = Errors()
    for path, section in sections.items():
        for key in section.required:
            if key not in _at(tree.value, path):
                errors.add(tree.key_place(path), f"'{key}' is missing{_below(path)}; write it")
    if tree.value.get("switches") == {}:
        what = "no switch: nothing would be protected; name one, with its dpid and its ports"
        errors.add(tree.key_place(("switches",)), what)
    while True:
        try:
            document = PolicySchema.model_validate(tree.value)
        except ValidationError as failure:
            details = failure.errors(include_url=False)
            wrong = [_path(detail["loc"]) for detail in details]
            for path, detail in zip(wrong, details, strict=True):
                errors.add_later(partial(_problem, tree, path, detail, sections))
        else:
            wrong = [*_too_many_ports(document, tree, errors)]
            if not wrong:
                return document, errors.reported()
        tree.remove(wrong)


def _too_many_ports(document: PolicySchema, tree: YamlSource, errors: Errors) -> Iterator[Path]:
    """Yield the lists with more ports than a switch, or all switches of a network, may have."""
    total = 0
    for name, switch in document.switches.items():
        for key in PORT_LISTS:
            count = sum(map(len, getattr(switch, key)))
            path = ("switches", name, key)
            if count > MAX_PORTS:
                errors.add(tree.place(path), f"{count:,} ports; no switch has that many")
                yield path
            elif total + count > MAX_PORTS_IN_ALL:
                what = f"with these the policy names more than {MAX_PORTS_IN_ALL:,} ports"
                errors.add(tree.place(path), f"{what}; name those that switches have")
                yield path
            else:
                total += count


def _sections(section: type[Section], value: Any, path: Path) -> Iterator[tuple[Path, type[Section]]]:
    """Yield every mapping of the file that has its own keys, with its path."""
    if not isinstance(value, dict):
        return
    yield path, section
    for name, field in section.model_fields.items():
        child, inner, below = value.get(name), field.annotation, (*path, name)
        items: list[tuple[Path, Any]] = [(below, child)]
        if get_origin(inner) is list and isinstance(child, list):
            items = [((*below, index), item) for index, item in enumerate(child)]
            inner = get_args(inner)[0]
        elif get_origin(inner) is dict and isinstance(child, dict):
            items = [((*below, key), item) for key, item in child.items()]
            inner = get_args(inner)[1]
        if isinstance(inner, type) and issubclass(inner, Section):
            for item_path, item in items:
                yield from _sections(inner, item, item_path)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _path(location: tuple[int | str, ...]) -> Path:
    return location[:-1] if location and location[-1] == "[key]" else location


def _below(path: Path) -> str:
    return f" under '{path[-1]}'" if path and isinstance(path[-1], str) else ""


def _problem(tree: YamlSource, path: Path, detail: Any, sections: dict[Path, type[Section]]) -> Diagnostic:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return error(tree.key_place(path), _unknown_key(str(path[-1]), sections[path[:-1]]))
    if kind == "value_error":
        is_key = detail["loc"][-1] == "[key]"
        return error(tree.key_place(path) if is_key else tree.place(path), str(detail["ctx"]["error"]))
    if kind == "literal_error":
        expected = detail["ctx"]["expected"]
        return error(tree.place(path), f"{_shown(given)} cannot stand here; write {expected}")
    if kind == "list_type":
        return error(tree.place(path), f"a list is expected, not {_shown(given)}; write [ ... ]")
    if kind in ("model_type", "dict_type"):
        return error(tree.place(path), f"keys are expected, not {_shown(given)}; write `key: value` below")
    return error(tree.place(path), f"{detail['msg']}; see docs/policy.md for what can stand here")


def _unknown_key(key: str, section: type[Section]) -> str:
    known = list(section.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean '{near[0]}'?" if near else f"keys here are {', '.join(known)}"
    return f"unknown key {quoted(key)}; {remedy}"


def _shown(value: Any) -> str:
    return quoted(str(value).lower() if isinstance(value, bool) else str(value))


class _Builder:
    """Builder of the policy's values, with their places, from a checked document."""

    def __init__(self, tree: YamlSource, folder: FilePath, files: Files) -> None:
        self._tree = tree
        self._folder = folder
        self._files = files
        self.problems: list[Diagnostic] = []

    def policy(self, document: PolicySchema, space_before: AddressSpace | None) -> Policy:
        """Return the policy of the whole document; problems of the files it names go to ``problems``."""
        isp, space = document.isp, document.address_space
        return Policy(
            isp_name=isp.name,
            mail_destinations=self._listed(isp.mail_destinations, ("isp", "mail_destinations")),
            nat64_prefixes=self._listed(isp.nat64_prefixes, ("isp", "nat64_prefixes")),
            dynamic=self._listed(space.dynamic, ("address_space", "dynamic")),
            static=self._listed(space.static, ("address_space", "static")),
            inbound=Inbound(
                block_spoofed_replies=document.inbound.spoofed_replies == "block",
                block_port_25=document.inbound.port_25 == "block",
                spoofed_replies_place=self._tree.key_place(("inbound", "spoofed_replies")),
                port_25_place=self._tree.key_place(("inbound", "port_25")),
            ),
            hardening=self._hardening(document),
            exceptions=tuple(
                self._exception(exception, ("exceptions", index))
                for index, exception in enumerate(document.exceptions)
                if exception.source is not None
            ),
            switches=MappingProxyType(
                {
                    name: self._switch(name, switch, Mode(switch.mode or document.mode))
                    for name, switch in document.switches.items()
                }
            ),
            address_space_place=self._tree.key_place(("address_space",)),
            space_before=space_before,
        )

    def _hardening(self, document: PolicySchema) -> Hardening:
        written = document.hardening
        at = ("hardening",)
        return Hardening(
            source_validation=SourceValidation(written.source_validation),
            block_encapsulation=written.encapsulation == "block",
            ethertypes=frozenset(written.ethertypes),
            tunnels=_tunnels(written.tunnels, self._tree.key_place((*at, "tunnels"))),
            block_unreadable_tcp=written.unreadable_tcp == "block",
            source_validation_place=self._tree.key_place((*at, "source_validation")),
            encapsulation_place=self._tree.key_place((*at, "encapsulation")),
            unreadable_tcp_place=self._tree.key_place((*at, "unreadable_tcp")),
        )

    def _exception(self, written: ExceptionSection, path: Path) -> MailException:
        assert written.source is not None
        return MailException(
            name=written.name,
            source=written.source,
            destination=written.destination,
            expires=written.expires,
            reason=written.reason,
            place=self._tree.place(path),
        )

    def _switch(self, name: str, written: SwitchSection, mode: Mode) -> Switch:
        path: Path = ("switches", name)
        served = None
        if written.serves is not None:
            served = self._listed(written.serves, (*path, "serves"))
        return Switch(
            name=name,
            dpid=written.dpid or 0,
            subscriber_ports=_all_ports(written.subscriber_ports),
            uplink_ports=_all_ports(written.uplink_ports),
            trusted_ports=_all_ports(written.trusted_ports),
            mode=mode,
            place=self._tree.key_place(path),
            serves=served,
            vlans=MappingProxyType({port: frozenset(tags) for port, tags in written.vlans.items()}),
            bindings=tuple(
                self._binding(binding, (*path, "bindings", index))
                for index, binding in enumerate(written.bindings)
                if binding.port is not None
            ),
            forwarding_table=written.forwarding,
            certificate=written.certificate,
        )

    def _binding(self, written: BindingSection, path: Path) -> Binding:
        assert written.port is not None
        return Binding(
            port=written.port,
            mac=written.mac,
            addresses=self._listed(written.addresses, (*path, "addresses")),
            place=self._tree.place(path),
        )

    def _listed(self, entries: Sequence[PrefixEntry], path: Path) -> tuple[LocatedPrefix, ...]:
        listed: list[LocatedPrefix] = []
        for entry, place in zip(entries, self._tree.item_places(path), strict=True):
            if isinstance(entry, FileReference):
                listed += self._file(self._folder / entry.file, place)
            else:
                listed.append(LocatedPrefix(entry, place))
        return tuple(listed)

    def _file(self, path: FilePath, named_at: SourceLocation) -> tuple[LocatedPrefix, ...]:
        listed, problems = self._files.prefixes(path, named_at)
        self.problems += problems
        return listed


def _tunnels(written: TunnelsChoice, place: SourceLocation) -> Tunnels:
    if not isinstance(written, TunnelsSection):
        return Tunnels(written == "block", (), frozenset(), place)
    permit_to = tuple(LocatedPrefix(prefix, place) for prefix in written.permit_to or ())
    return Tunnels(written.permit_to is not None, permit_to, frozenset(written.block_udp_ports), place)


def _all_ports(entries: list[range]) -> frozenset[int]:
    return frozenset(port for entry in entries for port in entry)
