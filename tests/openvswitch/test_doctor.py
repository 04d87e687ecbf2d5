"""``op25b doctor`` against a real Open vSwitch, healthy and with one fault at a time."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from op25b_app.operate.doctor.examination import examine
from op25b_app.operate.doctor.open_vswitch import OpenVSwitchError, read_open_vswitch
from op25b_app.operate.doctor.table_checks import TRACKED_BY_DEFAULT
from testing.frames import frame_of
from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.process import COMMANDS, Controller
from testing.running import Op25bController, policy_text, wait_until
from tests.controller.test_tls import Certificates
from tests.generated import packet

pytestmark = pytest.mark.slow

BRIDGE, NAME, DPID = "br-doctor", "access-1", 0x91
PREFIXES = {
    2: "ip_dst,ipv6_dst,ip_src",
    3: "ip_src,ipv6_src",
    4: "ip_src,ipv6_src,ip_dst",
    5: "ip_src,ipv6_src,ip_dst",
}


class Diagnosis(NamedTuple):
    code: int
    findings: list[dict[str, str]]

    def of(self, severity: str, where: str = BRIDGE) -> list[dict[str, str]]:
        return [each for each in self.findings if (each["severity"], each["where"]) == (severity, where)]

    def reported(self, severity: str, where: str = BRIDGE) -> list[str]:
        return [finding["what"] for finding in self.of(severity, where)]


@pytest.fixture(scope="module")
def ovs() -> Iterator[PrivateOvs]:
    """An Open vSwitch for these tests alone: they look at all of its bridges."""
    with PrivateOvs() as private:
        yield private


@pytest.fixture(scope="module")
def controller(ovs: PrivateOvs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Op25bController]:
    directory = tmp_path_factory.mktemp("doctor")
    policy = directory / "policy.yaml"
    policy.write_text(policy_text(f"{NAME} {DPID:#x}"))
    configuration = directory / "ryu.conf"
    configuration.write_text("[DEFAULT]\nofp_listen_host = 127.0.0.1\nmaximum_unreplied_echo_requests = 3\n")
    with Op25bController(
        directory,
        policy,
        socket=ovs.directory / "doctor.sock",
        applications=["--config-file", str(configuration)],
    ) as controller:
        controller.wait_for("in force")
        yield controller


@pytest.fixture
def healthy(ovs: PrivateOvs, controller: Op25bController) -> Iterator[None]:
    """A bridge in which nothing is wrong."""
    ovs.add_bridge(BRIDGE, range(1, 5), dpid=DPID, controllers=[controller.target])
    ovs.vsctl("set", "bridge", BRIDGE, "other-config:disable-in-band=true")
    for table, fields in PREFIXES.items():
        create = f"--id=@t create Flow_Table prefixes={fields}"
        ovs.vsctl("--", *create.split(), "--", "set", "Bridge", BRIDGE, f"flow_tables:{table}=@t")
    controller.wait_for_state(NAME, "protected")
    yield
    for bridge in (BRIDGE, "twin"):
        ovs.vsctl("--if-exists", "del-br", bridge)
    ovs.vsctl("clear", "Open_vSwitch", ".", "other_config")
    controller.wait_for_state(NAME, "lost")


def doctor(ovs: PrivateOvs, controller: Op25bController | None, *arguments: str) -> Diagnosis:
    environment = ovs.environment | (
        controller.environment if controller else {"OP25B_CONTROL_SOCKET": "/nonexistent"}
    )
    done = subprocess.run(
        [COMMANDS / "op25b", "doctor", "--json", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.stderr == ""
    reported: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if reported["healthy"] else 1)
    assert reported["healthy"] is not any(each["severity"] == "error" for each in reported["findings"])
    for finding in reported["findings"]:
        assert bool(finding["remedy"]) is bool(finding["why"]) is (finding["severity"] != "ok")
    return Diagnosis(done.returncode, reported["findings"])


@pytest.mark.usefixtures("healthy")
def test_a_healthy_bridge_is_healthy(ovs: PrivateOvs, controller: Op25bController) -> None:
    wait_until(lambda: look_at(ovs).bridges[0].controllers[0].connected, lambda: "not connected")
    diagnosis = doctor(ovs, controller)
    assert {each["severity"] for each in diagnosis.findings} == {"ok"}, diagnosis.findings
    assert diagnosis.reported("ok") == [
        f"datapath id {DPID:#x}, datapath of the kernel",
        "fail_mode is secure: its rules outlive the controller",
        "protocols: OpenFlow13",
        f"connected to {controller.target}",
        f"is {NAME} of the policy, protected",
        "4 ports, each with its role",
        "prefixes of addresses are tracked",
        "fragments are handled as 'normal'",
    ]
    versions = diagnosis.reported("ok", "controller")[0]
    assert all(name in versions for name in ("op25b ", "Ryu ", "eventlet ", "Python "))
    (version,) = diagnosis.reported("ok", "Open vSwitch")
    assert version.removeprefix("version ") in ovs.appctl("version")
    reported = controller.command("doctor", "--db", f"unix:{ovs.directory}/db.sock")
    assert reported.stdout.splitlines()[-1] == "op25b: 0 errors, 0 warnings"
    assert f"ok      {BRIDGE}: fragments are handled as 'normal'" in reported.stdout.splitlines()


def look_at(ovs: PrivateOvs) -> Any:
    return read_open_vswitch(f"unix:{ovs.directory}/db.sock")


FAULTS = [
    ("error", "set-fail-mode BR standalone", "fail_mode is standalone"),
    ("error", "del-fail-mode BR", "fail_mode is not set, which is standalone"),
    ("error", "set bridge BR protocols=OpenFlow10", "protocols are only OpenFlow10"),
    ("error", "del-controller BR", "has no controller"),
    ("error", "set-controller BR tcp:127.0.0.1:9", "is not connected to its controller tcp:127.0.0.1:9"),
    (
        "error",
        "set bridge BR other-config:datapath-id=0000000000000099",
        "datapath id 0x99 is not in the policy",
    ),
    ("warning", "remove bridge BR other-config disable-in-band", "controls itself in-band"),
    ("warning", "set controller BR inactivity_probe=0", "inactivity_probe of tcp:"),
    ("warning", "add bridge BR controller @c", "has 2 controllers"),
    ("warning", "add-port BR extra", "port 5 (extra) has no role in the policy"),
    ("warning", "del-port BR BR-2", "no port 2, which the policy calls subscriber"),
    ("warning", "del-port BR BR-4", "no port 4, which the policy calls uplink"),
    ("warning", "set bridge BR flow_tables:4=@t", "prefixes of addresses are not tracked in table 4"),
    (
        "warning",
        "set bridge BR mcast_snooping_enable=true "
        "other-config:mcast-snooping-disable-flood-unregistered=true",
        "does not flood unregistered multicast",
    ),
]
ROWS = {
    "@c": '--id=@c create Controller target="ptcp:0:127.0.0.1" connection_mode=out-of-band',
    "@t": "--id=@t create Flow_Table prefixes=ip_dst",
}
"""How the rows of the database are made that a fault names."""


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("severity", "command", "what"), FAULTS, ids=[fault[1] for fault in FAULTS])
def test_each_fault_is_found_and_its_remedy_is_one(
    ovs: PrivateOvs, controller: Op25bController, severity: str, command: str, what: str
) -> None:
    before = doctor(ovs, controller).findings
    created = [each for row, each in ROWS.items() if row in command]
    ovs.vsctl("--", *" -- ".join([*created, command]).replace("BR", BRIDGE).split())
    found: list[dict[str, str]] = []

    def is_found() -> bool:
        found[:] = [each for each in doctor(ovs, controller).of(severity) if each["what"].startswith(what)]
        return bool(found)

    wait_until(is_found, lambda: f"not found: {what}")
    remedy = found[0]["remedy"].partition(", ")[0]
    if remedy.startswith("ovs-vsctl") and not any(word in remedy for word in ("HOST", "DIGITS", "DEVICE")):
        ovs.vsctl(*shlex.split(remedy)[1:])
        wait_until(lambda: not is_found(), lambda: f"{remedy} is no remedy for {found}")
        if severity == "error":
            controller.wait_for_state(NAME, "protected")
            assert doctor(ovs, controller).code == 0
    assert {each["what"] for each in before if each["severity"] != "ok"} == set()


@pytest.mark.usefixtures("healthy")
def test_a_table_without_settings_is_judged_by_what_this_release_tracks(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    """From 3.5 on Open vSwitch tracks prefixes of all four addresses by itself."""
    ovs.vsctl("remove", "bridge", BRIDGE, "flow_tables", "4")
    release = look_at(ovs).release
    assert release is not None
    found = doctor(ovs, controller)
    if release < TRACKED_BY_DEFAULT:
        assert found.reported("warning") == ["prefixes of addresses are not tracked in table 4"]
    else:
        assert found.reported("warning") == []
        assert "prefixes of addresses are tracked" in found.reported("ok")


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("severity", "setting", "what"),
    [
        ("warning", "flow-limit=1000", "flow-limit is 1000"),
        ("warning", "max-revalidator=5000", "max-revalidator is 5000 ms"),
        ("error", "vlan-limit=0", "vlan-limit is 0"),
        ("error", "vlan-limit=2", "vlan-limit is 2"),
        ("warning", "hw-offload=true", "hw-offload is on"),
    ],
)
def test_settings_of_the_whole_switch(
    ovs: PrivateOvs, controller: Op25bController, severity: str, setting: str, what: str
) -> None:
    ovs.vsctl("set", "Open_vSwitch", ".", f"other_config:{setting}")
    diagnosis = doctor(ovs, controller)
    assert diagnosis.reported(severity, "Open vSwitch") == [what]
    remedy = diagnosis.of(severity, "Open vSwitch")[0]["remedy"].partition(",")[0]
    ovs.vsctl(*shlex.split(remedy)[1:])
    assert doctor(ovs, controller).reported(severity, "Open vSwitch") == []


@pytest.mark.usefixtures("healthy")
def test_a_rule_of_others_that_opens_port_25_is_an_error(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    ovs.add_flows(BRIDGE, "table=0,priority=500,tcp,tp_dst=25,actions=NORMAL")
    controller.wait_for_state(NAME, "degraded")
    diagnosis = doctor(ovs, controller)
    assert diagnosis.code == 1
    (finding,) = diagnosis.of("error")
    assert finding["what"].startswith(f"is {NAME} of the policy, degraded: not proven: ")
    assert finding["remedy"]
    ovs.ofctl("--strict", "del-flows", BRIDGE, "table=0,priority=500,tcp,tp_dst=25")
    controller.wait_for_state(NAME, "protected")
    assert doctor(ovs, controller).code == 0


@pytest.mark.usefixtures("healthy")
def test_tables_that_are_too_small_or_evict(ovs: PrivateOvs, controller: Op25bController) -> None:
    needed = sum(rule.table == 2 for rule in controller.wanted(NAME))
    for limit, evict in ((needed, False), (needed - 1, False), (needed, True)):
        table = ovs.vsctl("get", "bridge", BRIDGE, "flow_tables:2").strip()
        policy = "evict" if evict else "refuse"
        ovs.vsctl("set", "Flow_Table", table, f"flow_limit={limit}", f"overflow_policy={policy}")
        expected = []
        if evict:
            expected = ["table 2 gives up old rules for new ones"]
        elif limit < needed:
            expected = [f"table 2 takes {limit} rules, and the policy needs {needed}"]
        diagnosis = doctor(ovs, controller)
        assert diagnosis.reported("error") == expected
        for finding in diagnosis.of("error"):
            ovs.vsctl(*shlex.split(finding["remedy"])[1:])
        assert doctor(ovs, controller).reported("error") == []


@pytest.mark.usefixtures("healthy")
def test_fragments_that_are_not_handled_as_proven(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.ofctl("set-frags", BRIDGE, "drop")
    diagnosis = doctor(ovs, controller)
    assert diagnosis.reported("error") == ["handles fragments as 'drop'"]
    remedy = shlex.split(diagnosis.of("error")[0]["remedy"])
    subprocess.run(remedy, env=ovs.environment, check=True)
    assert doctor(ovs, controller).code == 0


@pytest.mark.usefixtures("healthy")
def test_a_switch_that_forwards_nothing(ovs: PrivateOvs, controller: Op25bController) -> None:
    """Its ports are told to send nothing, so NORMAL counts packets and no frame comes out."""
    frame = frame_of(packet(1, 4, 0x64400001, 0xCB007119, 40000, 443))
    assert not any(ovs.sent(BRIDGE).values())
    for port in range(1, 5):
        ovs.ofctl("mod-port", BRIDGE, str(port), "no-forward")

    def told_after(frames: int) -> list[str]:
        """A port in memory takes in 100 frames at most that nobody has read yet."""
        if frames:
            ovs.receive(BRIDGE, 1, *[frame] * frames)
        return [what for what in doctor(ovs, controller).reported("error") if "NORMAL" in what]

    wait_until(lambda: bool(told_after(50)), lambda: "not told")
    (what,) = told_after(0)
    assert re.fullmatch(
        r"was handed [1-9]\d\d+ packets to forward \(NORMAL\), and no port has sent one", what
    )
    for port in range(1, 5):
        ovs.ofctl("mod-port", BRIDGE, str(port), "forward")
    wait_until(lambda: not told_after(1), lambda: "still told")


@pytest.mark.usefixtures("healthy")
def test_a_table_that_is_handed_over_to_and_forwards_nothing(
    ovs: PrivateOvs, controller: Op25bController
) -> None:
    """The switch is protected meanwhile; another application is to fill the table, and may take that back."""
    written = controller.policy_path.read_text()
    assert "table 10" not in " ".join(doctor(ovs, controller).reported("error"))
    controller.policy_path.write_text(policy_text(f"{NAME} {DPID:#x} forwarding: {{table: 10}}"))
    try:
        assert controller.command("reload").returncode == 0
        controller.wait_for_state(NAME, "protected")
        empty = doctor(ovs, controller)
        assert empty.reported("error") == ["has no rule in table 10, to which the policy hands over"]
        ovs.add_flows(BRIDGE, "table=10,priority=1,in_port=2,actions=NORMAL")
        assert doctor(ovs, controller).reported("error") == []
        ovs.receive(BRIDGE, 1, frame_of(packet(1, 4, 0x64400001, 0xCB007119, 40000, 443)))
        unmet = "table 10, to which the policy hands over, had a rule for none of 1 packets"
        wait_until(lambda: unmet in doctor(ovs, controller).reported("warning"), lambda: "not told")
        ovs.ofctl("del-flows", BRIDGE, "table=10")
        assert doctor(ovs, controller).reported("error") == empty.reported("error")
    finally:
        controller.policy_path.write_text(written)
        assert controller.command("reload").returncode == 0


@pytest.mark.usefixtures("healthy")
def test_two_bridges_with_one_datapath_id(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("twin", range(1, 5), dpid=DPID)
    assert doctor(ovs, controller).reported("error", f"{BRIDGE} and twin") == [
        f"have the same datapath id {DPID:#x}"
    ]


@pytest.mark.usefixtures("healthy")
def test_the_bridges_that_are_looked_at(ovs: PrivateOvs, controller: Op25bController) -> None:
    ovs.add_bridge("twin", dpid=0x777, fail_mode="standalone")
    assert doctor(ovs, controller).code == 0, "a bridge that is not in the policy is nobody's business"
    assert f"datapath id {0x777:#x} is not in the policy" in doctor(
        ovs, controller, "--bridge", "twin"
    ).reported("error", "twin")
    assert doctor(ovs, controller, "--bridge", "none").reported("error", "none") == [
        "there is no such bridge"
    ]
    alone = doctor(ovs, None)
    assert {each["where"] for each in alone.findings} == {"controller", "Open vSwitch", BRIDGE, "twin"}
    assert alone.reported("warning", "controller")[0].startswith("no controller answers on /nonexistent")
    assert any(what.startswith("fail_mode") for what in alone.reported("error", "twin"))


def test_without_open_vswitch_it_says_so(controller: Op25bController, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMANDS / "op25b", "doctor", "--db", f"unix:{tmp_path}/db.sock"],
        env={**controller.environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 1
    assert "Open vSwitch: does not answer: " in done.stdout
    done = subprocess.run(
        [COMMANDS / "op25b", "doctor"], env={"PATH": ""}, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 1
    assert "cannot run ovs-vsctl: No such file or directory" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_user_without_permission_is_reported_to_be_root(ovs: PrivateOvs) -> None:
    """Open vSwitch runs, so that starting it is no remedy. Its sockets are those of root."""
    ovs.directory.chmod(0o755)
    database = f"unix:{ovs.directory}/db.sock"
    with pytest.raises(OpenVSwitchError) as refused:
        look_as(65533, database)
    (finding,) = [each for each in examine(str(refused.value), "none", ()) if each.severity == "error"]
    assert finding.what.endswith("database connection failed (Permission denied)")
    assert finding.remedy == "run the same command as root, for example with sudo"


def look_as(user: int, database: str) -> None:
    """Look with the eyes of another user: of Open vSwitch's tools, which this process starts."""
    os.seteuid(user)
    try:
        read_open_vswitch(database)
    finally:
        os.seteuid(0)


def test_a_bridge_without_a_datapath(ovs: PrivateOvs) -> None:
    """Here the kernel has no such module, or this Open vSwitch is told not to use it."""
    with PrivateOvs(dummy=False) as real:
        real.vsctl("--no-wait", "add-br", "dead", "--", "set", "bridge", "dead", "datapath_type=unheard-of")
        diagnosis = doctor(real, None)
        assert diagnosis.reported("error", "dead") == ["has no datapath (datapath_type is unheard-of)"]


def test_a_dead_ovs_vswitchd_behind_a_living_database() -> None:
    with PrivateOvs() as dying:
        dying.add_bridge("left", [1], dpid=0x5)
        os.kill(dying.switch_pid, signal.SIGKILL)
        assert "ovs-vswitchd does not answer for it" in doctor(dying, None).reported("error", "left")


def test_what_the_controller_does_carelessly(ovs: PrivateOvs, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("elsewhere 0x92"))
    with Op25bController(
        tmp_path,
        policy,
        socket=ovs.directory / "careless.sock",
        applications=["ryu.app.ofctl_rest", "--wsapi-host", "0.0.0.0"],
    ) as careless:
        careless.wait_for("in force")
        careless.connect(careless.web_port).close()
        policy.write_text("isp: {}\n")
        diagnosis = doctor(ovs, careless)
        assert diagnosis.reported("warning", "controller") == [
            "OpenFlow on every address without TLS",
            "the REST interface of another application listens on every address",
            "a switch that stops answering is kept for ever",
        ]
        (what,) = diagnosis.reported("error", "elsewhere")
        assert what.startswith("is lost: ")
        assert what.endswith("; no bridge here has its datapath id 0x92")


def test_a_bridge_set_up_as_readme_says(ovs: PrivateOvs, tmp_path: Path) -> None:
    """Only the tracking of prefixes is left to the doctor, since its command depends on the policy."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = readme.partition("### On Open vSwitch\n\n```sh\n")[2].partition("```")[0]
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1"))
    with LaunchedController(
        tmp_path, policy, ovs.directory / "readme.sock", ["--ofp-listen-host", "127.0.0.1"]
    ) as running:
        running.wait_for("in force")
        try:
            for line in block.replace("tcp:192.0.2.10:6653", running.target).splitlines():
                program, *arguments = shlex.split(line)
                assert program == "ovs-vsctl"
                ovs.vsctl(*arguments)
            ovs.set_local("br-access", "down")
            for port in range(2, 5):
                ovs.add_port("br-access", port)
            running.wait_for_state("access-1", "protected")
            diagnosis = doctor(ovs, running)
            assert diagnosis.reported("error", "br-access") == []
            for finding in diagnosis.of("warning", "br-access"):
                assert finding["what"].startswith("prefixes of addresses are not tracked in table ")
                ovs.vsctl(*shlex.split(finding["remedy"])[1:])
            assert doctor(ovs, running).reported("warning", "br-access") == []
        finally:
            ovs.vsctl("--if-exists", "del-br", "br-access")


class LaunchedController(Op25bController):
    """``op25b run``: with plain ryu-manager, TLS serves the first connection only."""

    def __init__(self, directory: Path, policy: Path, socket: Path, options: list[str]) -> None:
        self.policy_path = policy
        self.environment = {"OP25B_CONTROL_SOCKET": str(socket)}
        command: list[str | Path] = [COMMANDS / "op25b", "run", "--policy", policy, *options]
        Controller.__init__(self, directory, command, self.environment)


def test_the_way_to_a_controller_with_tls(ovs: PrivateOvs, tmp_path: Path) -> None:
    """The remedy leads to TLS, and never from it to clear text; a certificate that is refused is told of."""
    certificates = Certificates(tmp_path)
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-2 0x93"))
    with LaunchedController(tmp_path, policy, ovs.directory / "tls.sock", certificates.options) as tls:
        tls.wait_for("in force")
        right = f"ssl:127.0.0.1:{tls.port}"
        files = [certificates.file(name) for name in ("switch.key", "switch.crt", "authority.crt")]
        ovs.vsctl("set-ssl", *files)
        ovs.add_bridge("br-tls", range(1, 5), dpid=0x93, controllers=["tcp:127.0.0.1:9"])
        ovs.vsctl("set", "bridge", "br-tls", "other-config:disable-in-band=true")
        try:
            (clear,) = doctor(ovs, tls).of("error", "br-tls")
            assert clear["what"].startswith("is not connected to its controller tcp:127.0.0.1:9")
            remedy = clear["remedy"].partition(", ")[0]
            assert remedy == f"ovs-vsctl set-controller br-tls {right}"
            ovs.vsctl(*shlex.split(remedy)[1:])
            tls.wait_for("it claims to be access-2 (dpid 0x93)")
            (refused,) = doctor(ovs, tls).of("error", "br-tls")
            assert refused["what"].startswith("is refused by the controller: 127.0.0.1:")
            assert "with the certificate CN=switch (sha256:" in refused["what"]
            assert refused["remedy"].startswith("issue one with CN=0000000000000093, or write 'certificate: ")
            policy.write_text(policy_text('access-2 0x93 certificate: "CN=switch"'))
            assert tls.command("reload").returncode == 0
            tls.wait_for_state("access-2", "protected")
            assert doctor(ovs, tls).reported("error", "br-tls") == []
        finally:
            ovs.vsctl("del-br", "br-tls")
            ovs.vsctl("del-ssl")
