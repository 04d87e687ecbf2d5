"""What the doctor advises a switch that is not connected: what the running controller says decides."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from op25b_app.operate.doctor.examination import examine
from op25b_app.operate.doctor.finding import Finding
from op25b_app.operate.doctor.listening_address import ListeningAddress, listening_address
from op25b_app.operate.doctor.open_vswitch import OpenFlowController, OpenVSwitch
from op25b_app.policy.model import CertificateName
from op25b_app.sync.certificate_check import Certificate, refusal
from tests.unit.operate.test_states import BRIDGE, controller, expected
from tests.world import desired

SHOWN = Certificate(hashlib.sha256(b"").hexdigest(), frozenset({("CN", "somebody: issue"), ("O", "ISP")}))
TLS = {"host": "127.0.0.1", "ports": [26653], "tls": True, "asks_certificates": True}
CLEAR = {"host": "", "ports": [6653, 6633], "tls": False, "asks_certificates": False}
SIGNED = "; ovs-vsctl get-ssl is to name a certificate that its --ca-certs has signed"


def reported(openflow: dict[str, Any] | None, *targets: str, refused: str | None = None) -> Finding:
    """What is told of a bridge with these targets, none of which is connected."""
    rows = tuple(OpenFlowController("uuid", target, False, None, None, None) for target in targets)
    bridge = BRIDGE._replace(controllers=rows)
    lost = expected("access-1", 1, "lost") | ({"refused": refused} if refused else {})
    running: Any = controller(lost)
    if openflow is None:
        running = "no controller answers on /run/op25b/control.sock"
    else:
        running["access"]["openflow"] = openflow
    found = examine(OpenVSwitch((bridge,), {}, True, "3.1.0"), running, ())
    (finding,) = [each for each in found if each.severity == "error"]
    return finding


SET = "ovs-vsctl set-controller br-access "
WHERE = ", where the running controller awaits switches"


@pytest.mark.parametrize(
    ("openflow", "targets", "remedy"),
    [
        (TLS, ["tcp:192.0.2.10:6653"], f"{SET}ssl:192.0.2.10:26653{WHERE}{SIGNED}"),
        (TLS, ["ssl:192.0.2.10:6653"], f"{SET}ssl:192.0.2.10:26653{WHERE}{SIGNED}"),
        (TLS, ["tcp:[2001:db8::1]"], f"{SET}ssl:[2001:db8::1]:26653{WHERE}{SIGNED}"),
        (
            TLS,
            ["ssl:127.0.0.1:26653"],
            f"let that address lead to the running controller, at its port 26653{SIGNED}",
        ),
        (
            {**TLS, "asks_certificates": False},
            ["tcp:192.0.2.10:6653"],
            f"{SET}ssl:192.0.2.10:26653{WHERE}; "
            "ovs-vsctl get-ssl is to name the authority that has signed its --ctl-cert",
        ),
        (CLEAR, ["ssl:192.0.2.10:6653"], f"{SET}tcp:192.0.2.10:6653{WHERE}"),
        (CLEAR, ["tcp:a:1", "tcp:b"], f"{SET}tcp:a:6653 tcp:b{WHERE}"),
        (
            CLEAR,
            ["tcp:192.0.2.10:6633"],
            "let that address lead to the running controller, at its port 6653 or 6633",
        ),
        (None, ["ssl:192.0.2.10:7"], f"op25b run at that address, or {SET}ssl:HOST:PORT"),
    ],
)
def test_the_remedy_leads_to_where_the_controller_awaits_switches(
    openflow: dict[str, Any] | None, targets: list[str], remedy: str
) -> None:
    finding = reported(openflow, *targets)
    assert finding.what == f"is not connected to its controller {', '.join(targets)}"
    assert finding.remedy == remedy


def test_without_a_controller_of_its_own_the_host_is_left_open() -> None:
    assert reported(TLS).remedy == f"{SET}ssl:HOST:26653"
    assert reported(CLEAR).remedy == f"{SET}tcp:HOST:6653"


def test_a_controller_of_an_older_version_tells_no_ports() -> None:
    older = {key: value for key, value in TLS.items() if key != "ports"}
    assert listening_address(older) == ListeningAddress("ssl", (), True)
    assert reported(older, "tcp:192.0.2.10:7").remedy == f"op25b run at that address, or {SET}tcp:HOST:PORT"


SWITCH = replace(desired().switch, name="access-1", dpid=1)
TIED = replace(SWITCH, certificate=CertificateName(None, (("CN", "access-1"),)))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (refusal(SWITCH, SHOWN), "issue one with CN=0000000000000001, or write 'certificate: "),
        (refusal(TIED, SHOWN), "if that is right, write 'certificate: "),
        (refusal(TIED, None), "start with --ctl-privkey, --ctl-cert and --ca-certs, or take that from "),
    ],
)
def test_a_certificate_that_was_refused_is_reported_with_its_remedy(text: str, remedy: str) -> None:
    finding = reported(TLS, "ssl:127.0.0.1:26653", refused=f"127.0.0.1:40000 {text}")
    assert finding.what.startswith("is refused by the controller: 127.0.0.1:40000 claims to be access-1 ")
    assert finding.remedy.startswith(remedy)
    assert finding.what.removeprefix("is refused by the controller: 127.0.0.1:40000 ") in text


def test_so_it_is_of_a_switch_elsewhere() -> None:
    lost = expected("far", 9, "lost") | {"refused": f"[::1]:1 {refusal(SWITCH, SHOWN)}"}
    here = OpenVSwitch((), {}, True, "3.1.0")
    (finding,) = [each for each in examine(here, controller(lost), ()) if each.severity == "error"]
    assert finding.where == "far"
    assert finding.remedy.startswith("issue one with CN=")


def test_a_stranger_who_was_refused_is_no_fault_of_the_switch() -> None:
    well = expected("access-1", 1, "protected") | {"refused": "192.0.2.1:1 claims to be access-1"}
    found = examine(OpenVSwitch((BRIDGE,), {}, True, "3.1.0"), controller(well), ())
    assert [each for each in found if each.severity == "error"] == []
