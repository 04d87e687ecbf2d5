"""Schema of a policy file: its keys, their types and defaults.

The JSON Schema for editors is generated from this module. It checks single values; ``checks`` compares
several (a port in two roles, overlapping prefixes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from op25b_app.formats.moment import moment
from op25b_app.formats.prefix_rows import OPTIONAL, OPTIONS, FileFormat
from op25b_app.net.port_number import LOCAL_PORT, MAX_NAME_BYTES
from op25b_app.net.prefix import Prefix, quoted
from op25b_app.policy.line_source import (
    SOURCE_SCHEMA,
    LineSourceSection,
    read_duration,
    read_line_source,
)
from op25b_app.policy.model import (
    DHCP_PORTS,
    FIRST_FOREIGN_TABLE,
    LAST_FOREIGN_TABLE,
    MAX_UDP_PORTS,
    CertificateName,
    SubscriberPort,
)

MAX_PORT = 0xFFFFFF00
"""OFPP_MAX: the end of the physical port numbers (OpenFlow 1.3.5, section 7.2.1)."""
MAX_PORTS = 1 << 16
"""Maximum number of ports in one list; no switch has more."""
MAX_NAMES = 1 << 12
"""Maximum number of names of ports in one list."""
MAX_PATTERNS = 64
"""Maximum number of names of ports with ``*`` or ``?`` in one list."""
PORT_LISTS = ("subscriber_ports", "uplink_ports", "trusted_ports")

SUBJECT_ATTRIBUTES = {
    "CN": "commonName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "C": "countryName",
    "ST": "stateOrProvinceName",
    "L": "localityName",
    "DC": "domainComponent",
    "emailAddress": "emailAddress",
    "serialNumber": "serialNumber",
}
"""Subject attributes of a certificate: their usual names and their long names (RFC 4519)."""


class FileReference(NamedTuple):
    """``{file: NAME}``: a file of prefixes, relative to the file that names it.

    ``form`` None means one prefix a line.
    """

    file: str
    form: FileFormat | None = None


class PortName(NamedTuple):
    """A port by its name; ``*`` stands for any characters and ``?`` for one."""

    text: str

    @property
    def is_pattern(self) -> bool:
        """True where it may fit several ports."""
        return "*" in self.text or "?" in self.text


class NamedLine(NamedTuple):
    """One subscriber line: a port of a named switch by its name, or one VLAN of it."""

    switch: str
    port: str
    vlan: int | None


def _prefix(value: Any) -> Prefix:
    if not isinstance(value, str):
        raise ValueError(f"{_quoted(value)} is not a prefix; write one like 192.0.2.0/24, IPv6 in quotes")
    return Prefix.parse(value)


def _prefix_or_file(value: Any) -> Prefix | FileReference:
    if isinstance(value, dict):
        if isinstance(value.get("file"), str):
            if len(value) == 1:
                return FileReference(value["file"])
            if "format" in value:
                return FileReference(value["file"], _file_format(value))
        raise ValueError("neither a prefix nor a file; write 192.0.2.0/24 or {file: pools.txt}")
    return _prefix(value)


def _file_format(value: dict[str, Any]) -> FileFormat:
    """Return the format of a file that is written with ``format``, and one option of the format."""
    name = value["format"]
    if not isinstance(name, str) or name not in OPTIONS:
        raise ValueError(f"no format is called {_quoted(name)}; formats are {', '.join(OPTIONS)}")
    known = OPTIONS[name]
    written = [key for key in value if key not in ("file", "format")]
    wrong = next((key for key in written if key not in known), None)
    if wrong is not None:
        remedy = f"write {' or '.join(known)}" if known else "take it out"
        raise ValueError(f"the format {name} has no {_quoted(wrong)}; {remedy}")
    if len(written) > 1 or (not written and known and name not in OPTIONAL):
        raise ValueError(f"the format {name} needs {' or '.join(known)}; write one, with its value")
    if not written:
        return FileFormat(name)
    return FileFormat(name, written[0], read_name(value[written[0]]))


def _source(value: Any) -> Prefix | SubscriberPort | NamedLine:
    if isinstance(value, dict):
        is_line = {"port", "switch"} <= value.keys() <= {"port", "switch", "vlan"}
        if is_line and isinstance(value["switch"], str):
            vlan = read_line_vlan(value["vlan"]) if "vlan" in value else None
            return line_of(value["switch"], read_line_port(value["port"]), vlan)
        raise ValueError("not a source; write an address, a prefix, or {switch: NAME, port: N, vlan: V}")
    return _prefix(value)


def read_destinations(value: Any) -> tuple[Prefix, ...]:
    """Return a destination, or several of a list, each once.

    Raises ValueError, its text a remedy, for anything else.
    """
    if value == []:
        raise ValueError("no destination; write one, or leave the key out where any is permitted")
    return tuple(dict.fromkeys(map(_prefix, value if isinstance(value, list) else [value])))


def line_of(switch: str, port: int | PortName, vlan: int | None) -> SubscriberPort | NamedLine:
    """Return a line, whose port is given by number or by name."""
    if isinstance(port, PortName):
        return NamedLine(switch, port.text, vlan)
    return SubscriberPort(switch, port, vlan)


def read_line_port(value: Any) -> int | PortName:
    """Return the port of a line: a number, or a name that is no pattern.

    Raises ValueError, its text a remedy, for anything else.
    """
    name = _name_of_port(value)
    if name is None:
        return read_port(value)
    if name.is_pattern:
        raise ValueError(f"{_quoted(value)} may fit several ports, and a line is one; write its whole name")
    return name


_PORT_NAME = re.compile(r"[A-Za-z_*?][A-Za-z0-9_.:;/@+=~#%*?-]*")
"""Pattern of names; a text that begins with a digit is a number or a range."""


def _name_of_port(value: Any) -> PortName | None:
    """Return the name of a port; None where the value is no name. Raises ValueError for an impossible one."""
    if not isinstance(value, str) or value == "LOCAL" or not _PORT_NAME.fullmatch(value):
        return None
    if value.upper() == "LOCAL":
        raise ValueError(f"{_quoted(value)} is no port; write LOCAL")
    if len(value.replace("*", "")) > MAX_NAME_BYTES or len(value) > 2 * MAX_NAME_BYTES:
        what = f"{_quoted(value)} is longer than the {MAX_NAME_BYTES} bytes that a switch tells of a name"
        raise ValueError(f"{what}; write the first {MAX_NAME_BYTES}")
    return PortName(value)


def read_port(value: Any) -> int:
    """Return the number of a port that is written as a number or ``LOCAL``.

    Raises ValueError, its text a remedy, for anything else.
    """
    number = _port_number(value)
    if number == LOCAL_PORT or 1 <= number < MAX_PORT:
        return number
    raise ValueError(f"{_quoted(value)} is not a port number; write one from 1 to {MAX_PORT - 1}, or LOCAL")


def _port_number(value: Any) -> int:
    """Return the port number in ``value``; 0, which no port has, for anything else."""
    if isinstance(value, str):
        if value == "LOCAL" or re.fullmatch("0x[fF]{7}[eE]", value):
            return LOCAL_PORT
        return int(value) if re.fullmatch(r"[0-9]{1,10}", value) else 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _ports(value: Any) -> range | PortName:
    """Return the ports of one entry of a port list: ``7``, ``1-24`` or ``eth1``."""
    name = _name_of_port(value)
    return _numbers(value) if name is None else name


def _numbers(value: Any) -> range:
    first, dash, last = value.partition("-") if isinstance(value, str) else (value, "", value)
    try:
        ports = range(read_port(first), read_port(last if dash else first) + 1)
    except ValueError:
        raise ValueError(f"{_quoted(value)} is no port, range or name; write 7, 1-24 or eth1") from None
    if not ports:
        raise ValueError(f"the range {_quoted(value)} is empty; write the lower port first")
    if len(ports) > MAX_PORTS:
        raise ValueError(f"the range {_quoted(value)} holds {len(ports)} ports; no switch has that many")
    return ports


def port_count(entries: Iterable[range | PortName]) -> int:
    """Return the number of ports in a list, a name counted as one."""
    return sum(len(entry) if isinstance(entry, range) else 1 for entry in entries)


_DATAPATH_ID = re.compile(r"0x[0-9a-fA-F]{1,16}|[0-9a-fA-F]{16}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){7}")


def datapath_id(value: Any) -> int:
    """Read a datapath id (64 bits, not 0) as an operator writes it.

    Raises ValueError, with a remedy, for anything else.
    """
    number = value
    if isinstance(value, str):
        number = int(value.replace(":", ""), 16) if _DATAPATH_ID.fullmatch(value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 1 << 64:
        raise ValueError(f"{_quoted(value)} is not a datapath id; write 0x1 or 16 hexadecimal digits")
    return number


def read_mac(value: Any) -> int:
    """Return a MAC address. Raises ValueError, its text a remedy, for anything else."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", value):
        raise ValueError(f'{_quoted(value)} is not a MAC address; write one like "02:00:00:00:00:03"')
    return int(value.replace(":", ""), 16)


def _certificate(value: Any) -> CertificateName:
    text = value if isinstance(value, str) else ""
    digits = text.removeprefix("sha256:").replace(":", "")
    if re.fullmatch(r"[0-9a-fA-F]{64}", digits):
        return CertificateName(digits.lower())
    attributes = [part.strip().partition("=") for part in re.split(r"(?<!\\),", text)]
    if not all(kind in SUBJECT_ATTRIBUTES and value for kind, _, value in attributes):
        raise ValueError(
            f"{_quoted(value)} names no certificate; write sha256: and its 64 hexadecimal digits, "
            f"or attributes of its subject, as CN=access-1,O=Example ISP"
        )
    subject = tuple(sorted((kind, re.sub(r"\\(.)", r"\1", value)) for kind, _, value in attributes))
    if "CN" not in dict(subject):
        raise ValueError(
            f"{_quoted(value)} may fit many certificates; write its common name, too, as CN=access-1"
        )
    return CertificateName(None, subject)


def _forwarding(value: Any) -> int | None:
    if value == "normal":
        return None
    table = value.get("table") if isinstance(value, dict) and list(value) == ["table"] else None
    if isinstance(table, bool) or not isinstance(table, int):
        raise ValueError(
            f"{_quoted(value)} is no way to forward; write normal or {{table: {FIRST_FOREIGN_TABLE}}}"
        )
    if not FIRST_FOREIGN_TABLE <= table <= LAST_FOREIGN_TABLE:
        raise ValueError(
            f"table {table} is not free for other applications;"
            f" write one from {FIRST_FOREIGN_TABLE} to {LAST_FOREIGN_TABLE}"
        )
    return table


class TunnelsSection(NamedTuple):
    """``tunnels`` as a mapping; ``permit_to`` None blocks no IP protocol."""

    permit_to: tuple[Prefix, ...] | None
    block_udp_ports: tuple[int, ...]


def _tunnels(value: Any) -> Literal["permit", "block"] | TunnelsSection:
    if value in ("permit", "block"):
        return value  # type: ignore[no-any-return]
    if not (
        isinstance(value, dict)
        and value
        and value.keys() <= {"permit_to", "block_udp_ports"}
        and all(isinstance(entries, list) for entries in value.values())
    ):
        raise ValueError(
            f"{_quoted(value)} is not possible; write permit, block or "
            "{permit_to: [prefixes], block_udp_ports: [ports]}, of which one is enough"
        )
    permit_to = tuple(map(_prefix, value["permit_to"])) if "permit_to" in value else None
    ports = tuple(map(_udp_port, value.get("block_udp_ports", ())))
    if len(set(ports)) > MAX_UDP_PORTS:
        what = f"{len(set(ports))} ports are more than block_udp_ports takes, each with rules of its own"
        raise ValueError(f"{what}; write at most {MAX_UDP_PORTS}")
    return TunnelsSection(permit_to, ports)


def _udp_port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF:
        raise ValueError(
            f"{_quoted(value)} is not a UDP port; write one from 0 (fragments) to 65535, like 4789"
        )
    if value in DHCP_PORTS:
        raise ValueError(f"{value} is a port of DHCP, without which no line gets an address; take it out")
    return value


def _ethertype(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0x600 <= value <= 0xFFFF:
        raise ValueError(f"{_quoted(value)} is not an ethertype; write one like 0x888e")
    return value


def _vlans(value: Any) -> range | None:
    """Return the tags of one entry of ``vlans``: ``100``, ``100-199`` or ``untagged``, which is None."""
    if value == "untagged":
        return None
    first, last = value, value
    if isinstance(value, str) and (ends := re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", value)):
        first, last = map(int, ends.groups())
        if first > last:
            raise ValueError(f"the range {_quoted(value)} is empty; write the lower tag first")
    if isinstance(first, bool) or not isinstance(first, int) or not 0 <= first <= last <= 4094:
        raise ValueError(f"{_quoted(value)} is not a VLAN; write 1 to 4094, 0 (priority tag) or untagged")
    return range(first, last + 1)


def read_line_vlan(value: Any) -> int:
    """Return the VLAN of a line; 0 for frames without a VLAN identifier.

    Raises ValueError, its text a remedy, for anything else.
    """
    if value == "untagged":
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 4094:
        raise ValueError(f"{_quoted(value)} is not a VLAN; write 1 to 4094, 0 (priority tag) or untagged")
    return value


def read_text(value: Any) -> str:
    """Return a text that is not empty. Raises ValueError, its text a remedy, for anything else."""
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise ValueError("a text is expected; write some words")


def read_name(value: Any) -> str:
    """Return a name for messages, logs and commands: one printable line.

    Raises ValueError, its text a remedy, for anything else.
    """
    text = read_text(value)
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{_quoted(text)} is no name; write one line, without spaces around it")
    return text


def _file_name(value: Any) -> str:
    """Return the name of a file; wildcards may stand in its last part."""
    if not isinstance(value, str):
        raise ValueError(f"{_quoted(value)} is not the name of a file; write one like switches/*.yaml")
    folder, _, _ = read_name(value).rpartition("/")
    if re.search(r"[*?\[]", folder):
        what = f"{_quoted(value)} has a wildcard in its folder"
        raise ValueError(f"{what}; write one only behind the last slash, as in switches/*.yaml")
    return value


def _one_key_a_port(value: Any) -> Any:
    """Reject two keys for one port, as ``1`` and ``01``, or ``1-4`` and ``3``."""
    ranges = []
    for position, key in enumerate(value if isinstance(value, dict) else ()):
        try:
            ports = _numbers(key)
        except ValueError:
            continue
        ranges.append((ports[0], ports[-1], position, key))
    if sum(last - first + 1 for first, last, _, _ in ranges) > MAX_PORTS:
        raise ValueError(f"more than {MAX_PORTS:,} ports; no switch has that many")
    ranges.sort()
    for (_, end, *one), (first, _, *other) in pairwise(ranges):
        if first <= end:
            (_, before), (_, key) = sorted((one, other))
            what = "are the same port" if len(_numbers(before)) == len(_numbers(key)) == 1 else "share a port"
            raise ValueError(f"'{before}' and '{key}' {what}; keep one of them")
    return value


def _quoted(value: Any) -> str:
    return quoted(str(value))


def _written(pattern: str | None = None, **schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **({"pattern": pattern} if pattern else {}), **schema})


_PREFIX_SCHEMA = {"type": "string", "description": "an address or prefix"}
_TEXT_SCHEMA = {"type": "string", "minLength": 1}


def _file_schema(name: str | None) -> dict[str, Any]:
    """Return the JSON Schema of a reference to a file of a format; None is one prefix a line."""
    options = OPTIONS[name] if name is not None else ()
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "file": {"type": "string"},
            **({"format": {"const": name}} if name is not None else {}),
            **dict.fromkeys(options, _TEXT_SCHEMA),
        },
        "required": ["file"] if name is None else ["file", "format"],
        "additionalProperties": False,
    }
    if options and name not in OPTIONAL:
        schema["oneOf"] = [{"required": [option]} for option in options]
    return schema


_FILE_SCHEMAS = [_file_schema(name) for name in (None, *OPTIONS)]
_PORT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "exclusiveMaximum": MAX_PORT},
        {"enum": ["LOCAL", LOCAL_PORT]},
    ]
}
_NAME_SCHEMA = {"type": "string", "pattern": "^[A-Za-z_*?]", "description": "a port by its name"}
_VLAN_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 4094}, {"const": "untagged"}]}
_LINE_SCHEMA = {
    "type": "object",
    "properties": {
        "switch": {"type": "string"},
        "port": {"anyOf": [_PORT_SCHEMA, _NAME_SCHEMA]},
        "vlan": _VLAN_SCHEMA,
    },
    "required": ["switch", "port"],
    "additionalProperties": False,
}


def _any_of(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


Text = Annotated[str, PlainValidator(read_text), _written(minLength=1)]
Name = Annotated[str, PlainValidator(read_name), _written(minLength=1)]
FileName = Annotated[str, PlainValidator(_file_name), _written(minLength=1)]
AnyPrefix = Annotated[Prefix, PlainValidator(_prefix), WithJsonSchema(_PREFIX_SCHEMA)]
Destinations = Annotated[
    tuple[Prefix, ...],
    PlainValidator(read_destinations),
    _any_of(_PREFIX_SCHEMA, {"type": "array", "items": _PREFIX_SCHEMA, "minItems": 1}),
]
PrefixEntry = Annotated[
    Prefix | FileReference, PlainValidator(_prefix_or_file), _any_of(_PREFIX_SCHEMA, *_FILE_SCHEMAS)
]
Source = Annotated[
    Prefix | SubscriberPort | NamedLine, PlainValidator(_source), _any_of(_PREFIX_SCHEMA, _LINE_SCHEMA)
]
Port = Annotated[int | PortName, PlainValidator(read_line_port), _any_of(_PORT_SCHEMA, _NAME_SCHEMA)]
Ports = Annotated[
    range | PortName,
    PlainValidator(_ports),
    _any_of(_PORT_SCHEMA, {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}, _NAME_SCHEMA),
]
DatapathId = Annotated[int, PlainValidator(datapath_id), _any_of({"type": "integer"}, {"type": "string"})]
Mac = Annotated[int, PlainValidator(read_mac), _written("^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$")]
Certificate = Annotated[CertificateName, PlainValidator(_certificate), _written(minLength=4)]
Moment = Annotated[int, PlainValidator(moment), _written(format="date-time")]
Forwarding = Annotated[
    int | None,
    PlainValidator(_forwarding),
    _any_of(
        {"const": "normal"},
        {
            "type": "object",
            "properties": {
                "table": {
                    "type": "integer",
                    "minimum": FIRST_FOREIGN_TABLE,
                    "maximum": LAST_FOREIGN_TABLE,
                }
            },
            "required": ["table"],
            "additionalProperties": False,
        },
    ),
]
TunnelsChoice = Annotated[
    Literal["permit", "block"] | TunnelsSection,
    PlainValidator(_tunnels),
    _any_of(
        {"enum": ["permit", "block"]},
        {
            "type": "object",
            "properties": {
                "permit_to": {"type": "array", "items": _PREFIX_SCHEMA},
                "block_udp_ports": {
                    "type": "array",
                    "items": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 0xFFFF,
                        "not": {"enum": list(DHCP_PORTS)},
                    },
                    "maxItems": MAX_UDP_PORTS,
                },
            },
            "minProperties": 1,
            "additionalProperties": False,
        },
    ),
]
Ethertype = Annotated[
    int, PlainValidator(_ethertype), WithJsonSchema({"type": "integer", "minimum": 0x600, "maximum": 0xFFFF})
]
LineVlan = Annotated[int, PlainValidator(read_line_vlan), WithJsonSchema(_VLAN_SCHEMA)]
Vlans = Annotated[
    range | None,
    PlainValidator(_vlans),
    _any_of(
        {"type": "integer", "minimum": 0, "maximum": 4094},
        {"type": "string", "pattern": "^[0-9]{1,4}-[0-9]{1,4}$"},
        {"const": "untagged"},
    ),
]
Duration = Annotated[int, PlainValidator(read_duration), _written("^[0-9]{1,9} ?[smhd]$")]
SourceOfLines = Annotated[LineSourceSection, PlainValidator(read_line_source), WithJsonSchema(SOURCE_SCHEMA)]
Choice = Literal["block", "permit"]
ModeChoice = Literal["enforce", "monitor"]


class Section(BaseModel):
    """A mapping of the file; the loader reports missing ``required`` keys.

    They have defaults here, so that one missing key hides no other mistake.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    required: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        if issubclass(cls, InFile):
            schema["anyOf"] = [{"required": ["file"]}, {"required": list(cls.required)}]
        elif cls.required:
            schema["required"] = list(cls.required)
        return schema


class InFile(Section):
    """A section of a list that may stand in a file, as ``{file: NAME}``."""

    file: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_only_the_file(cls, value: Any) -> Any:
        if isinstance(value, dict) and "file" in value and len(value) > 1:
            raise ValueError("keys beside file; write {file: NAME} alone, with the other keys in the file")
        return value


class IspSection(Section):
    """The ISP and its mail destinations."""

    required: ClassVar[tuple[str, ...]] = ("mail_destinations",)
    name: Text = ""
    mail_destinations: list[PrefixEntry] = []
    nat64_prefixes: list[AnyPrefix] = []


class AddressSpaceSection(Section):
    """Dynamic and static addresses: the own space."""

    required: ClassVar[tuple[str, ...]] = ("dynamic",)
    dynamic: list[PrefixEntry] = []
    static: list[PrefixEntry] = []


class InboundSection(Section):
    """Traffic that enters from uplinks."""

    spoofed_replies: Choice = "block"
    port_25: Choice = "permit"


class HardeningSection(Section):
    """Ways around the block of port 25, each closed or open."""

    source_validation: Literal["off", "port-25", "prefix", "binding"] = "port-25"
    encapsulation: Choice = "block"
    ethertypes: list[Ethertype] = []
    tunnels: TunnelsChoice = "permit"
    unreadable_tcp: Choice = "block"


class ExceptionSection(InFile):
    """A named, dated permission to speak TCP port 25."""

    required: ClassVar[tuple[str, ...]] = ("name", "source")
    name: Name = ""
    source: Source | None = None
    destination: Destinations | None = None
    starts: Moment | None = None
    expires: Moment | None = None
    reason: Text = ""


class BindingSection(InFile):
    """Addresses, and perhaps a MAC address, that belong to one line."""

    required: ClassVar[tuple[str, ...]] = ("port", "addresses")
    port: Port | None = None
    vlan: LineVlan | None = None
    mac: Mac | None = None
    addresses: list[PrefixEntry] = []


class ProfileSection(Section):
    """Keys that many switches share."""

    subscriber_ports: list[Ports] = []
    uplink_ports: list[Ports] = []
    trusted_ports: list[Ports] = []
    mode: ModeChoice | None = None
    serves: list[PrefixEntry] | None = None
    vlans: Annotated[dict[Ports, list[Vlans]], BeforeValidator(_one_key_a_port)] = {}
    forwarding: Forwarding = None


class SwitchSection(ProfileSection):
    """A switch: its datapath id, and keys of its own, which go before those of its profile."""

    required: ClassVar[tuple[str, ...]] = ("dpid",)
    dpid: DatapathId | None = None
    profile: Name | None = None
    bindings: list[BindingSection] = []
    certificate: Certificate | None = None


class LinesSection(Section):
    """Addresses that change hands: where the controller learns them from."""

    sources: list[SourceOfLines] = []
    on_loss: Literal["keep", "forget"] = "keep"
    stale: Duration = Field(default="1h", validate_default=True)


class PolicySchema(Section):
    """A whole policy, or one file of it; required keys may stand in any of its files."""

    required: ClassVar[tuple[str, ...]] = ("isp", "address_space", "switches")
    include: list[FileName] = []
    isp: IspSection = IspSection()
    address_space: AddressSpaceSection = AddressSpaceSection()
    mode: ModeChoice = "enforce"
    inbound: InboundSection = InboundSection()
    hardening: HardeningSection = HardeningSection()
    exceptions: list[ExceptionSection] = []
    profiles: dict[Name, ProfileSection] = {}
    lines: LinesSection | None = None
    switches: dict[Name, SwitchSection] = Field(default={}, json_schema_extra={"minProperties": 1})


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a policy file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PolicySchema.model_json_schema(),
        "title": "op25b policy",
    }
