"""Build the policy's values from a checked document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import is_not
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import NamedTuple

from op25b_app.net.ranges import merged
from op25b_app.policy.address_space import AddressSpace
from op25b_app.policy.diagnostic import Diagnostic
from op25b_app.policy.document import Document
from op25b_app.policy.model import (
    Binding,
    Hardening,
    Inbound,
    LearnedLines,
    LineSource,
    LineSourceKind,
    LocatedPrefix,
    MailException,
    Mode,
    NamedPorts,
    Policy,
    PortRole,
    SourceLocation,
    SourceValidation,
    Switch,
    Tunnels,
)
from op25b_app.policy.schema import (
    BindingSection,
    FileReference,
    PolicySchema,
    PortName,
    PrefixEntry,
    SwitchSection,
    TunnelsChoice,
    TunnelsSection,
)
from op25b_app.policy.source_files import BINDINGS, Files, ListContent, ListFile
from op25b_app.policy.table_file import binding_of, exceptions_of
from op25b_app.policy.yaml_source import Path, YamlSource


class _NamedFile(NamedTuple):
    """A file of prefixes or bindings as it was read, None where it could not be, and where it is named."""

    file: ListFile
    named_at: SourceLocation
    content: ListContent | None


class BuiltSwitch(NamedTuple):
    """A switch, with all that it was built from."""

    sources: tuple[YamlSource, ...]
    """Files of the policy in which it, and its profile, are written."""
    mode: Mode
    list_files: tuple[_NamedFile, ...]
    switch: Switch


class Builder:
    """Builder of the policy's values, with their places, from a document.

    ``before`` are switches of an earlier policy by name: where nothing of one has changed, it is used again.
    """

    def __init__(self, document: Document, files: Files, before: Mapping[str, BuiltSwitch]) -> None:
        self._document = document
        self._files = files
        self._before = before
        self._named: list[_NamedFile] = []
        self.built: dict[str, BuiltSwitch] = {}
        self.problems: list[Diagnostic] = []

    def policy(self, space_before: AddressSpace | None) -> Policy:
        """Return the policy of the whole document; problems of the files it names go to ``problems``."""
        document = self._document.written
        isp, space = document.isp, document.address_space
        exceptions = [*self._exceptions(document)]
        return Policy(
            isp_name=isp.name,
            mail_destinations=self._listed(isp.mail_destinations, ("isp", "mail_destinations")),
            nat64_prefixes=self._listed(isp.nat64_prefixes, ("isp", "nat64_prefixes")),
            dynamic=self._listed(space.dynamic, ("address_space", "dynamic")),
            static=self._listed(space.static, ("address_space", "static")),
            inbound=Inbound(
                block_spoofed_replies=document.inbound.spoofed_replies == "block",
                block_port_25=document.inbound.port_25 == "block",
                spoofed_replies_place=self._document.key_place(("inbound", "spoofed_replies")),
                port_25_place=self._document.key_place(("inbound", "port_25")),
            ),
            hardening=self._hardening(document),
            exceptions=tuple(entry for entry in exceptions if entry.port_name is None),
            exceptions_by_name=tuple(entry for entry in exceptions if entry.port_name is not None),
            switches=MappingProxyType(
                {
                    name: self._switch(name, switch, Mode(switch.mode or document.mode))
                    for name, switch in document.switches.items()
                }
            ),
            address_space_place=self._document.key_place(("address_space",)),
            lines=self._learned_lines(document),
            space_before=space_before,
        )

    def _hardening(self, document: PolicySchema) -> Hardening:
        written = document.hardening
        at = ("hardening",)
        return Hardening(
            source_validation=SourceValidation(written.source_validation),
            block_encapsulation=written.encapsulation == "block",
            ethertypes=frozenset(written.ethertypes),
            tunnels=_tunnels(written.tunnels, self._document.key_place((*at, "tunnels"))),
            block_unreadable_tcp=written.unreadable_tcp == "block",
            source_validation_place=self._document.key_place((*at, "source_validation")),
            encapsulation_place=self._document.key_place((*at, "encapsulation")),
            unreadable_tcp_place=self._document.key_place((*at, "unreadable_tcp")),
        )

    def _learned_lines(self, document: PolicySchema) -> LearnedLines | None:
        written = document.lines
        if written is None:
            return None
        sources = []
        places = self._document.item_places(("lines", "sources"))
        for source, place in zip(written.sources, places, strict=True):
            token = source.token_file
            sources.append(
                LineSource(
                    name=f"DHCP {source.named}" if source.kind is LineSourceKind.DHCP else source.named,
                    kind=source.kind,
                    place=place,
                    file=str(_beside(place.file, source.named)) if source.kind.is_file else None,
                    pattern=source.pattern,
                    token_file=str(_beside(place.file, token)) if token is not None else None,
                    every=source.every,
                )
            )
        place = self._document.key_place(("lines",))
        return LearnedLines(tuple(sources), written.on_loss == "forget", written.stale, place)

    def _exceptions(self, document: PolicySchema) -> Iterator[MailException]:
        """Yield the exceptions: one for each destination, with the same name and place."""
        for index, exception in enumerate(document.exceptions):
            path: Path = ("exceptions", index)
            if exception.file is not None:
                place = self._document.place(path)
                read, problems = self._files.exceptions(_beside(place.file, exception.file), place)
                self.problems += problems
                yield from read
            elif exception.source is not None:
                yield from exceptions_of(
                    exception.name,
                    exception.source,
                    exception.destination or (None,),
                    (exception.starts, exception.expires),
                    exception.reason,
                    self._document.place(path),
                )

    def _switch(self, name: str, written: SwitchSection, mode: Mode) -> Switch:
        profile = () if written.profile is None else (("profiles", written.profile),)
        sources = tuple(self._document.origin(path)[0] for path in (("switches", name), *profile))
        built = self._before.get(name)
        if built is None or built.mode is not mode or not self._is_unchanged(built, sources):
            self._named = []
            switch = self._new_switch(name, written, mode)
            built = BuiltSwitch(sources, mode, tuple(self._named), switch)
        self.built[name] = built
        return built.switch

    def _is_unchanged(self, built: BuiltSwitch, sources: Sequence[YamlSource]) -> bool:
        if len(sources) != len(built.sources) or any(map(is_not, sources, built.sources)):
            return False
        unreadable: list[Diagnostic] = []
        for file, named_at, content in built.list_files:
            before = len(self.problems)
            if file.form == BINDINGS:
                self._bindings_of_file(file.path, named_at)
            else:
                self._prefixes(file, named_at)
            if file not in self._files.list_files:  # where the switch is built again, that reports it
                unreadable += self.problems[before:]
                del self.problems[before:]
            if self._files.list_files.get(file) is not content:
                return False
        self.problems += unreadable
        return True

    def _new_switch(self, name: str, written: SwitchSection, mode: Mode) -> Switch:
        path: Path = ("switches", name)
        served = None
        if written.serves is not None:
            served = self._listed(written.serves, (*path, "serves"))
        return Switch(
            name=name,
            dpid=written.dpid or 0,
            subscriber_ports=_numbers(written.subscriber_ports),
            uplink_ports=_numbers(written.uplink_ports),
            trusted_ports=_numbers(written.trusted_ports),
            mode=mode,
            place=self._document.key_place(path),
            serves=served,
            vlans=MappingProxyType(_tags_by_port(written.vlans)),
            bindings=tuple(self._bindings(written.bindings, self._document.part((*path, "bindings")))),
            forwarding_table=written.forwarding,
            certificate=written.certificate,
            by_name=tuple(self._by_name(written, path)),
        )

    def _by_name(self, written: SwitchSection, path: Path) -> Iterator[NamedPorts]:
        """Yield what is said of ports by name: their roles first."""
        for key, role in _ROLES.items():
            entries: Sequence[range | PortName] = getattr(written, key)
            if any(isinstance(entry, PortName) for entry in entries):
                places = self._document.item_places((*path, key))
                for entry, place in zip(entries, places, strict=True):
                    if isinstance(entry, PortName):
                        yield NamedPorts(entry.text, role, None, place)
        for name, tags in written.vlans.items():
            if isinstance(name, PortName):
                place = self._document.key_place((*path, "vlans", name.text))
                yield NamedPorts(name.text, None, _tags(tags), place)

    def _bindings(self, written: Sequence[BindingSection], source: YamlSource) -> Iterator[Binding]:
        for index, binding in enumerate(written):
            if binding.file is not None:
                yield from self._bindings_of_file(_beside(source.file, binding.file), source.place((index,)))
            elif binding.port is not None:
                addresses = self._entries(binding.addresses, source, (index, "addresses"))
                yield binding_of(binding.port, binding.vlan, binding.mac, addresses, source.place((index,)))

    def _bindings_of_file(self, path: FilePath, named_at: SourceLocation) -> tuple[Binding, ...]:
        bindings, problems = self._files.bindings(path, named_at)
        self.problems += problems
        file = ListFile(path, BINDINGS)
        self._named.append(_NamedFile(file, named_at, self._files.list_files.get(file)))
        return bindings

    def _listed(self, entries: Sequence[PrefixEntry], path: Path) -> tuple[LocatedPrefix, ...]:
        return self._entries(entries, *self._document.origin(path))

    def _entries(
        self, entries: Sequence[PrefixEntry], source: YamlSource, path: Path
    ) -> tuple[LocatedPrefix, ...]:
        """Return the prefixes of a list, and those of the files in it, which stands at a path of a file."""
        listed: list[LocatedPrefix] = []
        for entry, place in zip(entries, source.item_places(path), strict=True):
            if isinstance(entry, FileReference):
                listed += self._prefixes(ListFile(_beside(source.file, entry.file), entry.form), place)
            else:
                listed.append(LocatedPrefix(entry, place))
        return tuple(listed)

    def _prefixes(self, file: ListFile, named_at: SourceLocation) -> tuple[LocatedPrefix, ...]:
        listed, problems = self._files.prefixes(file, named_at)
        self.problems += problems
        self._named.append(_NamedFile(file, named_at, self._files.list_files.get(file)))
        return listed


def _tunnels(written: TunnelsChoice, place: SourceLocation) -> Tunnels:
    if not isinstance(written, TunnelsSection):
        return Tunnels(written == "block", (), frozenset(), place)
    permit_to = tuple(LocatedPrefix(prefix, place) for prefix in written.permit_to or ())
    return Tunnels(written.permit_to is not None, permit_to, frozenset(written.block_udp_ports), place)


_ROLES = {
    "subscriber_ports": PortRole.SUBSCRIBER,
    "uplink_ports": PortRole.UPLINK,
    "trusted_ports": PortRole.TRUSTED,
}


def _tags_by_port(
    written: Mapping[range | PortName, Sequence[range | None]],
) -> dict[int, frozenset[int | None]]:
    found: dict[int, frozenset[int | None]] = {}
    for ports, entries in written.items():
        if isinstance(ports, range):
            found.update(dict.fromkeys(ports, _tags(entries)))
    return found


def _tags(entries: Sequence[range | None]) -> frozenset[int | None]:
    ranges = merged([(tags[0], tags[-1]) for tags in entries if tags is not None])
    tags = {tag for first, last in ranges for tag in range(first, last + 1)}
    return frozenset((*tags, None) if None in entries else tags)


def _beside(file: str, name: str) -> FilePath:
    """Return the path of a file that another names."""
    return FilePath(file).parent / name


def _numbers(entries: Sequence[range | PortName]) -> frozenset[int]:
    """Return the ports that are written as numbers and ranges."""
    return frozenset(port for entry in entries if isinstance(entry, range) for port in entry)
