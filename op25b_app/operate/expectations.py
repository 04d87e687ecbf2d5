"""Describe the switches that a controller expects, and where it listens, as JSON for ``op25b doctor``."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Any

from op25b_app.compiler.compiler import compile_rules
from op25b_app.compiler.pipeline import PIPELINE
from op25b_app.openflow.wire import TCP_PORT, TCP_PORT_OLD
from op25b_app.policy.model import Policy, Switch
from op25b_app.policy.port_names import is_unresolved

ADDRESS_FIELDS = frozenset(name for table in PIPELINE.values() for name in table.tracked)
"""Match fields whose prefixes Open vSwitch can track."""


def expectations(
    policy: Policy, states: Mapping[str, Any], dpids: Collection[int], at: float
) -> dict[str, Any]:
    """Return every switch of the policy by name, with flow tables for these datapath ids.

    ``states`` are the switches of a status report of the same policy. Slow for large policies. ``at`` in
    seconds since 1970.
    """
    return {
        name: {
            "dpid": switch.dpid,
            "roles": {
                "subscriber": sorted(switch.subscriber_ports),
                "uplink": sorted(switch.uplink_ports),
                "trusted": sorted(switch.trusted_ports),
            },
            "ports_known": not is_unresolved(switch),
            "forwarding_table": switch.forwarding_table,
            "tables": _tables(policy, switch, at) if switch.dpid in dpids else {},
            "name": name,
            "state": states[name]["state"],
            "reason": states[name]["reason"],
            "connected": states[name]["openflow"] is not None,
        }
        for name, switch in policy.switches.items()
    }


def _tables(policy: Policy, switch: Switch, at: float) -> dict[str, Any]:
    """Return, for each table, the number of its rules and the address fields by which they match."""
    tables: dict[int, dict[str, Any]] = {}
    for rule in compile_rules(policy, switch, at):
        table = tables.setdefault(int(rule.table), {"rules": 0, "addresses": set()})
        table["rules"] += 1
        table["addresses"].update(field.name for field in rule.match if field.name in ADDRESS_FIELDS)
    return {
        str(number): {**table, "addresses": sorted(table["addresses"])}
        for number, table in sorted(tables.items())
    }


def access(conf: Any, *, web: bool) -> dict[str, Any]:
    """Return where ryu-manager listens with these options, and its echo limits (interval in seconds)."""
    tls = bool(conf.ctl_privkey and conf.ctl_cert)
    port = conf.ofp_ssl_listen_port if tls else conf.ofp_tcp_listen_port
    return {
        "openflow": {
            "host": conf.ofp_listen_host,
            "ports": [port] if port else [TCP_PORT, TCP_PORT_OLD],
            "tls": tls,
            "asks_certificates": bool(conf.ca_certs),
        },
        "web": {"host": conf.wsapi_host, "port": conf.wsapi_port} if web else None,
        "unanswered_echoes": conf.maximum_unreplied_echo_requests,
        "echo_seconds": conf.echo_request_interval,
    }


def versions() -> dict[str, str]:
    """Return the versions of op25b, Ryu, eventlet and Python."""
    packages = {"op25b": "op25b", "Ryu": "ryu", "eventlet": "eventlet"}
    found = {name: version(package) for name, package in packages.items()}
    return {**found, "Python": platform.python_version()}
