"""``op25b doctor`` finds the mirrors of a real Open vSwitch, which copy frames beside all flow rules."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from testing.frames import frame_of
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, policy_text, wait_until
from tests.generated import packet
from tests.openvswitch.test_doctor import Diagnosis, doctor

pytestmark = pytest.mark.slow

BRIDGE, NAME, DPID = "br-mirror", "access-1", 0xA1
LINE, UPLINK = 2, 4
MAIL = frame_of(packet(LINE, UPLINK, 0x64400001, 0xCB007119, 40000, 25))


@pytest.fixture(scope="module")
def controller(ovs: PrivateOvs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Op25bController]:
    directory = tmp_path_factory.mktemp("mirrors")
    policy = directory / "policy.yaml"
    policy.write_text(policy_text(f"{NAME} {DPID:#x}"))
    with Op25bController(directory, policy, socket=ovs.directory / "mirrors.sock") as controller:
        controller.wait_for("in force")
        yield controller


@pytest.fixture(autouse=True)
def protected(ovs: PrivateOvs, controller: Op25bController) -> Iterator[None]:
    ovs.add_bridge(BRIDGE, range(1, 5), dpid=DPID, controllers=[controller.target])
    controller.wait_for_state(NAME, "protected")
    yield
    ovs.vsctl("del-br", BRIDGE)
    controller.wait_for_state(NAME, "lost")


def mirror(ovs: PrivateOvs, settings: str) -> str:
    """Add a mirror and return its UUID; ``@N`` in its settings is port N of the bridge."""
    devices = {f"@{port}": f"{BRIDGE}-{port}" for port in (1, 2, 4, 9)} | {"@local": BRIDGE, "@bond": "bond"}
    arguments = [
        part
        for name, device in devices.items()
        if name in settings
        for part in ("--", f"--id={name}", "get", "port", device)
    ]
    create = ["--", "--id=@m", "create", "mirror", *settings.split()]
    add = ["--", "add", "bridge", BRIDGE, "mirrors", "@m"]
    return ovs.vsctl(*arguments, *create, *add).split()[-1]


def mirror_findings(diagnosis: Diagnosis, severity: str) -> list[dict[str, str]]:
    return [each for each in diagnosis.of(severity, BRIDGE) if " copies frames to " in each["what"]]


def look(ovs: PrivateOvs, controller: Op25bController | None) -> Diagnosis:
    return doctor(ovs, controller, "--bridge", BRIDGE)


def mail_is_dropped(ovs: PrivateOvs) -> bool:
    """Whether nothing becomes of a frame to port 25 that comes in from a line, no copy either."""
    return ovs.trace(BRIDGE, LINE, MAIL).rstrip().endswith("Datapath actions: drop")


def test_a_mirror_to_a_port_of_the_policy_is_an_error_and_its_remedy_is_one(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    assert mail_is_dropped(ovs)
    uuid = mirror(ovs, "name=m select-src-port=@2 output-port=@4")
    ovs.receive(BRIDGE, LINE, MAIL)
    wait_until(lambda: ovs.sent(BRIDGE)[UPLINK] == 1, lambda: "no mail left: this test shows nothing")
    controller.wait_for_state(NAME, "protected")
    (finding,) = mirror_findings(look(ovs, controller), "error")
    assert finding == {
        "severity": "error",
        "where": BRIDGE,
        "what": f"mirror m copies frames to port 4 ({BRIDGE}-4), which the policy calls uplink",
        "why": "no rule looks at the copies, and packets to port 25 can leave with them",
        "remedy": f"ovs-vsctl remove bridge {BRIDGE} mirrors {uuid}",
    }
    ovs.vsctl(*shlex.split(finding["remedy"])[1:])
    assert mail_is_dropped(ovs)
    assert mirror_findings(look(ovs, controller), "error") == []


@pytest.mark.parametrize(
    ("settings", "severity", "what"),
    [
        ("name=m select_all=true output-port=@1", "error",
         f"mirror m copies frames to port 1 ({BRIDGE}-1), which the policy calls subscriber"),
        ("select_all=true select_vlan=7 output-port=@4", "error",
         f"a mirror without a name copies frames to port 4 ({BRIDGE}-4), which the policy calls uplink"),
        ("name=m select-src-port=@2 output_vlan=7", "error", "mirror m copies frames to VLAN 7"),
        ("name=m select-dst-port=@4 output-port=@9", "warning",
         f"mirror m copies frames to port 9 ({BRIDGE}-9), which has no role"),
        ("name=m select-src-port=@2 output-port=@local", "warning",
         f"mirror m copies frames to port LOCAL ({BRIDGE}), which has no role"),
    ],
)  # fmt: skip
def test_each_mirror_is_reported_with_where_it_copies_to(
    ovs: PrivateOvs, controller: Op25bController, settings: str, severity: str, what: str
) -> None:
    if "@9" in settings:
        ovs.add_port(BRIDGE, 9)
    mirror(ovs, settings)
    diagnosis = look(ovs, controller)
    (finding,) = mirror_findings(diagnosis, severity)
    assert finding["what"] == what
    assert mirror_findings(diagnosis, "warning" if severity == "error" else "error") == []
    ovs.vsctl(*shlex.split(finding["remedy"].partition(",")[0])[1:])
    assert mirror_findings(look(ovs, controller), severity) == []


def test_a_bond_has_the_role_of_any_of_its_devices(ovs: PrivateOvs, controller: Op25bController) -> None:
    devices = [f"{BRIDGE}-{port}" for port in (UPLINK, 9)]
    numbers = [part for port in (UPLINK, 9) for part in
               ("--", "set", "interface", f"{BRIDGE}-{port}", f"ofport_request={port}")]  # fmt: skip
    ovs.vsctl("del-port", BRIDGE, devices[0], "--", "add-bond", BRIDGE, "bond", *devices, *numbers)
    mirror(ovs, "name=m select-src-port=@2 output-port=@bond")
    (finding,) = mirror_findings(look(ovs, controller), "error")
    assert finding["what"] == "mirror m copies frames to port 4, 9 (bond), which the policy calls uplink"


def test_several_mirrors_are_reported_one_by_one(ovs: PrivateOvs, controller: Op25bController) -> None:
    mirror(ovs, "name=b select_all=true output_vlan=7")
    mirror(ovs, "name=a select-src-port=@1,@2 output-port=@4")
    reported = mirror_findings(look(ovs, controller), "error")
    assert [finding["what"].split()[1] for finding in reported] == ["a", "b"]


@pytest.mark.parametrize(
    "settings", ["output-port=@4", "select_vlan=0 output-port=@4", "select_all=true", "select-src-port=@2"]
)
def test_a_mirror_that_copies_nothing_or_nowhere_is_not_told(
    ovs: PrivateOvs, controller: Op25bController, settings: str
) -> None:
    mirror(ovs, settings)
    assert mail_is_dropped(ovs)
    diagnosis = look(ovs, controller)
    assert mirror_findings(diagnosis, "error") == mirror_findings(diagnosis, "warning") == []


def test_without_a_controller_a_mirror_to_a_port_is_a_warning(ovs: PrivateOvs) -> None:
    mirror(ovs, "name=m select_all=true output-port=@4")
    (finding,) = mirror_findings(look(ovs, None), "warning")
    assert finding["what"] == f"mirror m copies frames to port 4 ({BRIDGE}-4)"
