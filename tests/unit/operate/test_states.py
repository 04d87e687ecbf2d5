"""What commands and doctor make of each state of a switch; a new state must be classified everywhere."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from op25b_app.cli import controller as cli
from op25b_app.net.port_number import LOCAL_PORT
from op25b_app.operate.candidate import InForce
from op25b_app.operate.doctor.bridge_checks import check_bridge
from op25b_app.operate.doctor.examination import examine
from op25b_app.operate.doctor.listening_address import ListeningAddress
from op25b_app.operate.doctor.open_vswitch import Bridge, Mirror, OpenFlowController, OpenVSwitch
from op25b_app.operate.doctor.state_checks import MAX_SWITCHES, REMEDIES
from op25b_app.operate.report import status_report
from op25b_app.sync.status import CONVERGED, State, Status
from tests.unit.operate.policies import policy_of

README = Path(__file__).parents[3] / "README.md"
STATES = sorted(state.value for state in State)
WANTED = {state.value for state in CONVERGED}
BRIDGE = Bridge(
    name="br-access",
    datapath_id=1,
    datapath_type="netdev",
    fail_mode="secure",
    protocols=frozenset({"OpenFlow13"}),
    other_config={"disable-in-band": "true"},
    mcast_snooping=False,
    controllers=(OpenFlowController("uuid", "tcp:127.0.0.1:6653", True, None, None, None),),
    tables={},
    interfaces=(),
    fragments="normal",
    version="3.1.0",
    counters=None,
)


def expected(name: str, dpid: int, state: str) -> dict[str, Any]:
    return {
        "name": name,
        "dpid": dpid,
        "state": state,
        "reason": f"why it is {state}",
        "connected": state != "lost",
        "roles": {"subscriber": [], "uplink": [], "trusted": []},
        "tables": {},
    }


def controller(*switches: dict[str, Any]) -> dict[str, Any]:
    return {
        "versions": {"op25b": "1"},
        "policy": {"file": "policy.yaml", "kept": False, "refused": None, "keep_error": None},
        "access": {
            "openflow": {"host": "127.0.0.1", "tls": False, "asks_certificates": False},
            "web": None,
            "unanswered_echoes": 3,
            "echo_seconds": 15.0,
        },
        "switches": {each["name"]: each for each in switches},
    }


@pytest.mark.parametrize("state", STATES)
def test_the_doctor_calls_a_switch_well_only_where_it_is_as_wanted(state: str) -> None:
    findings = list(
        check_bridge(BRIDGE, expected("access-1", 1, state), (3, 1), here=True, listening=ListeningAddress())
    )
    errors = [each for each in findings if each.severity == "error"]
    if state in WANTED:
        assert errors == []
        assert f"is access-1 of the policy, {state}" in [each.what for each in findings]
    else:
        assert errors
        assert all(each.remedy for each in errors)
        if state != "lost":
            assert f"{state}: why it is {state}" in errors[0].what


@pytest.mark.parametrize("state", STATES)
def test_so_it_is_of_a_switch_elsewhere(state: str) -> None:
    here = OpenVSwitch((), {}, True, "3.1.0")
    for switch in (here, "cannot run ovs-vsctl"):
        findings = list(examine(switch, controller(expected("far", 9, state)), ()))
        errors = [each for each in findings if each.severity == "error" and each.where == "far"]
        assert bool(errors) is (state not in WANTED)
        assert all(each.remedy for each in errors)


def test_switches_elsewhere_are_not_told_by_the_thousand() -> None:
    switches = [expected(f"s{number}", number, "lost") for number in range(1, 1001)]
    findings = list(examine(OpenVSwitch((), {}, True, "3.1.0"), controller(*switches), ()))
    errors = [each for each in findings if each.severity == "error"]
    assert len(errors) == MAX_SWITCHES + 1
    assert errors[-1].what == "980 more of its switches are neither protected nor monitoring"


def test_a_state_that_nobody_classified() -> None:
    assert set(REMEDIES) | WANTED >= set(STATES), "the doctor knows no remedy"
    assert not set(REMEDIES) & WANTED
    assert set(cli.COLOURS) >= set(STATES), "status has no colour for it"
    rows = [line.split("|")[1] for line in README.read_text().splitlines() if line.startswith("| `")]
    reported = {state for row in rows for state in row.strip(" `").split("`, `")}
    assert reported >= set(STATES), "README does not say what it means"


@pytest.mark.parametrize(
    ("states", "as_wanted", "protected"),
    [
        ((State.PROTECTED, State.PROTECTED), True, True),
        ((State.PROTECTED, State.MONITORING), True, False),
        ((State.MONITORING, State.MONITORING), True, False),
        *(
            ((State.PROTECTED, state), False, False)
            for state in State
            if state not in (State.PROTECTED, State.MONITORING)
        ),
    ],
)
def test_all_protected_means_that_none_is_in_monitor_mode(
    tmp_path: Any, states: tuple[State, ...], as_wanted: bool, protected: bool
) -> None:
    policy = policy_of(tmp_path, *(f"s{number}" for number, _ in enumerate(states, 1)))
    sessions = {
        dpid: SimpleNamespace(
            status=Status(state, "", 0.0),
            dpid=dpid,
            name=f"s{dpid}",
            desired=None,
            revision=1,
            openflow_version="1.3",
        )
        for dpid, state in enumerate(states, 1)
    }
    policies = SimpleNamespace(in_force=InForce(policy, "0" * 64, 0.0), refused=None, keep_error=None)
    report = status_report(tmp_path, cast(Any, policies), cast(Any, MappingProxyType(sessions)), ())
    assert (report["all_as_wanted"], report["all_protected"]) == (as_wanted, protected)


def roles_told(roles: dict[str, list[int]], *, local_is_up: bool) -> list[str]:
    reported = {**expected("access-1", 1, "protected"), "roles": roles}
    findings = check_bridge(
        BRIDGE._replace(local_is_up=local_is_up), reported, (3, 1), here=True, listening=ListeningAddress()
    )
    found = [each for each in findings if " role" in each.what or "no port" in each.what]
    return [f"{each.what}; {each.remedy}" for each in found]


def test_the_local_port_of_a_bridge_has_a_role_or_is_found_once_it_is_up() -> None:
    nobody: dict[str, list[int]] = {"subscriber": [], "uplink": [], "trusted": []}
    assert not [line for line in roles_told(nobody, local_is_up=False) if "LOCAL" in line]
    assert roles_told(nobody, local_is_up=True) == [
        "port LOCAL (br-access) has no role in the policy;"
        " name it in the policy, or ip link set br-access down"
    ]
    for is_up in (True, False):
        (line,) = roles_told({**nobody, "trusted": [LOCAL_PORT]}, local_is_up=is_up)
        assert line.startswith("1 ports, each with its role")


def test_mirrors_of_a_bridge_without_a_datapath_are_found_too() -> None:
    mirror = Mirror("uuid", "m", selects=True, output_name="", output_ports=frozenset(), output_vlan=7)
    bridge = BRIDGE._replace(datapath_id=None, mirrors=(mirror,))
    findings = check_bridge(bridge, None, (3, 1), here=True, listening=ListeningAddress())
    assert [each.what for each in findings] == [
        "has no datapath (datapath_type is netdev)",
        "mirror m copies frames to VLAN 7",
    ]


def test_open_vswitch_that_may_not_be_asked_need_not_be_started() -> None:
    for answer, remedy in (
        ("database connection failed (Permission denied)", "run the same command as root"),
        ("database connection failed (No such file or directory)", "start it "),
    ):
        (finding,) = [each for each in examine(answer, controller(), ()) if each.severity == "error"]
        assert finding.remedy.startswith(remedy)


def test_what_op25b_does_beside_another_controller() -> None:
    """It repairs its own rules; those of others stay, and make the switch degraded where they open it."""
    other = OpenFlowController("other", "tcp:192.0.2.10:6653", True, None, None, None)
    two = BRIDGE._replace(controllers=(*BRIDGE.controllers, other))
    findings = check_bridge(
        two, expected("access-1", 1, "protected"), (3, 1), here=True, listening=ListeningAddress()
    )
    (warned,) = [each for each in findings if "2 controllers" in each.what]
    assert "op25b repairs its own, and only reports others that change a verdict" in warned.why
