"""op25b beside other Ryu applications in one controller."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.patience import HANG_SECONDS
from testing.private_ovs import PrivateOvs
from testing.running import Op25bController, policy_text, rules_on, wait_until
from tests.openvswitch.hosts import Host, ports_reached

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "learning_switch.py"
SUBSCRIBER = Host(1, "100.64.0.1")
NEIGHBOUR = Host(2, "100.64.0.2")
OUTSIDE = Host(4, "203.0.113.9")
MAIL_SERVER = Host(4, "192.0.2.25")


@pytest.fixture
def tabled(ovs: PrivateOvs, tmp_path: Path) -> Iterator[Op25bController]:
    """op25b hands over to the learning switch of examples/; ofctl_rest watches both."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("tabled 0x31 forwarding: {table: 10}"))
    applications = [str(EXAMPLE), "ryu.app.ofctl_rest", "--wsapi-host", "127.0.0.1"]
    with Op25bController(
        tmp_path, policy, socket=ovs.directory / "tabled.sock", applications=applications
    ) as controller:
        controller.wait_for("in force")
        ovs.add_bridge("tabled", range(1, 5), dpid=0x31, controllers=[controller.target])
        controller.wait_for_state("tabled", "protected")
        yield controller
        ovs.vsctl("del-br", "tabled")
        assert "Traceback" not in controller.log


def test_what_is_permitted_is_learned_and_what_is_blocked_never_arrives(
    ovs: PrivateOvs, tabled: Op25bController
) -> None:
    submission = SUBSCRIBER.to(OUTSIDE, dport=587)
    spam = SUBSCRIBER.to(OUTSIDE, dport=25)
    answer = OUTSIDE.to(SUBSCRIBER, dport=40000, sport=587)
    assert ports_reached(ovs, "tabled", SUBSCRIBER, [spam]) == {}
    assert ports_reached(ovs, "tabled", SUBSCRIBER, [submission]) == {2: 1, 3: 1, 4: 1}, (
        "flooded: nothing learned"
    )
    assert ports_reached(ovs, "tabled", OUTSIDE, [answer]) == {1: 1}
    assert ports_reached(ovs, "tabled", SUBSCRIBER, [submission]) == {4: 1}
    assert ports_reached(ovs, "tabled", SUBSCRIBER, [spam, spam]) == {}
    assert ports_reached(ovs, "tabled", SUBSCRIBER, [submission] * 5) == {4: 5}
    assert ports_reached(ovs, "tabled", SUBSCRIBER, [SUBSCRIBER.to(MAIL_SERVER, dport=25)]) == {
        2: 1,
        3: 1,
        4: 1,
    }
    assert ports_reached(ovs, "tabled", OUTSIDE, [OUTSIDE.to(SUBSCRIBER, dport=40000, sport=25)]) == {}

    learned = [rule for rule in rules_on(ovs, "tabled") if rule.table == 10]
    assert len(learned) >= 2
    assert all(not rule.is_managed for rule in learned)
    assert {rule for rule in rules_on(ovs, "tabled") if rule.table < 10} == tabled.wanted("tabled")


def test_a_reload_leaves_what_others_have_learned(ovs: PrivateOvs, tabled: Op25bController) -> None:
    ports_reached(ovs, "tabled", SUBSCRIBER, [SUBSCRIBER.to(OUTSIDE, dport=587)])
    ports_reached(ovs, "tabled", OUTSIDE, [OUTSIDE.to(SUBSCRIBER, dport=40000, sport=587)])
    theirs = {rule for rule in rules_on(ovs, "tabled") if not rule.is_managed}
    text = tabled.policy_path.read_text().replace("192.0.2.0/24", "192.0.2.0/25")
    tabled.policy_path.write_text(text)
    assert tabled.command("reload").returncode == 0
    tabled.wait_for_state("tabled", "protected")
    assert rules_on(ovs, "tabled") == tabled.wanted("tabled") | theirs


def test_other_applications_get_answers_to_their_own_questions(
    ovs: PrivateOvs, tabled: Op25bController
) -> None:
    """Our reading of tables takes nothing from an application that reads them, too."""
    url = f"http://127.0.0.1:{tabled.web_port}/stats/flow/{0x31}"
    for _ in range(3):
        tabled.command("reload")
        with urllib.request.urlopen(url, timeout=HANG_SECONDS) as response:
            flows = json.load(response)[str(0x31)]
        marker = 1
        assert len(flows) == len(rules_on(ovs, "tabled")) + marker
    tabled.wait_for_state("tabled", "protected")


def test_the_plain_learning_switch_in_table_0_does_no_harm(ovs: PrivateOvs, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("plain 0x32"))
    with Op25bController(
        tmp_path, policy, socket=ovs.directory / "plain.sock", applications=["ryu.app.simple_switch_13"]
    ) as controller:
        controller.wait_for("in force")
        ovs.add_bridge("plain", range(1, 5), dpid=0x32, controllers=[controller.target])
        controller.wait_for_state("plain", "protected")
        wait_until(
            lambda: any(not rule.is_managed for rule in rules_on(ovs, "plain")), lambda: controller.log
        )
        assert ports_reached(ovs, "plain", SUBSCRIBER, [SUBSCRIBER.to(OUTSIDE, dport=25)]) == {}
        assert ports_reached(ovs, "plain", SUBSCRIBER, [SUBSCRIBER.to(OUTSIDE, dport=587)]) == {
            2: 1,
            3: 1,
            4: 1,
        }
        assert ports_reached(ovs, "plain", NEIGHBOUR, [NEIGHBOUR.to(SUBSCRIBER, dport=80)]) == {1: 1}
        controller.command("reload")
        controller.wait_for_state("plain", "protected")
        assert {rule for rule in rules_on(ovs, "plain") if rule.is_managed} == controller.wanted("plain")
        assert "Traceback" not in controller.log
        ovs.vsctl("del-br", "plain")


def test_ryu_topology_may_take_lldp_from_trusted_ports(ovs: PrivateOvs, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("topology 0x33 trusted_ports: [5]"))
    applications = ["ryu.topology.switches", "--observe-links"]
    with Op25bController(
        tmp_path, policy, socket=ovs.directory / "topology.sock", applications=applications
    ) as controller:
        controller.wait_for("in force")
        ovs.add_bridge("topology", range(1, 6), dpid=0x33, controllers=[controller.target])
        wait_until(
            lambda: any(not rule.is_managed for rule in rules_on(ovs, "topology")), lambda: controller.log
        )
        controller.wait_for_state("topology", "protected")
        assert controller.command("reload").returncode == 0
        controller.wait_for_state("topology", "protected")
        theirs = [rule for rule in rules_on(ovs, "topology") if not rule.is_managed]
        assert [rule.priority for rule in theirs] == [65535]
