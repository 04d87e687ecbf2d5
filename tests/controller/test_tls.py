"""Switches over TLS: every connection, not only the first, and whatever strangers do to the port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from op25b_app.operate.control_client import ask
from testing.patience import HANG_SECONDS
from testing.process import COMMANDS, PROBES, Controller, free_port
from testing.running import policy_text
from tests.controller.test_manager import IDLE
from tests.controller.test_signals import RUNNERS
from tests.faults.strangers import introduce, is_ended

pytestmark = pytest.mark.slow

LAUNCHER = RUNNERS["launcher"]
HELLO = b"\x00\x00\x08"
"""Type and length, which follow the version."""
SILENT = 100
OWN_NAME = "0000000000000001"
"""The common name of a certificate that is a datapath id."""
HANDSHAKE_SECONDS = 5.0
PATIENCE = 10.0


class Certificates:
    """An authority, and certificates of the controller, of a switch and of a stranger."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._make("authority", "-x509")
        self._make("stranger", "-x509")
        for name in ("controller", "switch", OWN_NAME):
            self._make(name, "-x509", "-CA", self.file("authority.crt"), "-CAkey", self.file("authority.key"))

    def file(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def options(self) -> list[str]:
        key, certificate = self.file("controller.key"), self.file("controller.crt")
        return [
            *("--ctl-privkey", key, "--ctl-cert", certificate),
            *("--ca-certs", self.file("authority.crt")),
        ]

    def fingerprint(self, name: str) -> str:
        """A certificate's SHA-256, as openssl prints it."""
        command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", self.file(f"{name}.crt")]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return printed.strip().partition("=")[2]

    def connect(self, port: int, name: str) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.file("authority.crt"))
        context.check_hostname = False
        context.load_cert_chain(self.file(f"{name}.crt"), self.file(f"{name}.key"))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS))

    def _make(self, name: str, *how: str) -> None:
        command = ["openssl", "req", *how, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        files = ["-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.crt")]
        subprocess.run([*command, *files, "-subj", f"/CN={name}"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_every_switch_gets_a_connection_and_no_stranger_does(
    certificates: Certificates, tmp_path: Path
) -> None:
    with Controller(tmp_path, [*LAUNCHER, *certificates.options], IDLE) as controller:
        controller.connect(controller.port).close()  # a port scan
        with controller.connect(controller.port) as plain:
            plain_port = plain.getsockname()[1]
            plain.sendall(b"\x04" + HELLO + bytes(4))
            received = b""
            with contextlib.suppress(ConnectionResetError):
                received = plain.recv(64)
            assert received[1:4] != HELLO
        with (
            certificates.connect(controller.port, "stranger") as stranger,
            pytest.raises(ssl.SSLError),
        ):  # TLS 1.3: a client learns with its first read that its certificate is refused
            stranger.recv(8)
        with (
            controller.connect(controller.port),  # and says nothing
            certificates.connect(controller.port, "switch") as first,
            certificates.connect(controller.port, "switch") as second,
        ):
            assert first.recv(8)[1:4] == HELLO
            assert second.recv(8)[1:4] == HELLO
        controller.wait_for("no TLS with the switch at 127.0.0.1", times=3)
        controller.wait_for(f"ovs-vsctl set-controller BRIDGE ssl:127.0.0.1:{controller.port}")
        assert f"127.0.0.1: its port {plain_port} speaks plain TCP" in controller.log
        assert controller.stop(signal.SIGTERM)[0] == 0
        assert "Traceback" not in controller.log


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.0\r\n\r\n"])
def test_a_handshake_that_does_not_happen_leaves_no_descriptor(
    certificates: Certificates, tmp_path: Path, said: bytes
) -> None:
    """Not even the collector of cyclic garbage is needed for it, which is not always let in."""
    with Controller(tmp_path, [*LAUNCHER, *certificates.options], IDLE) as controller:
        controller.connect(controller.port).close()
        certificates.connect(controller.port, "switch").close()
        time.sleep(0.5)
        before = descriptors(controller)
        strangers = [controller.connect(controller.port) for _ in range(SILENT)]
        for stranger in strangers:
            stranger.sendall(said)
        # The log tells of the first twenty only.
        assert all(is_ended(stranger, HANG_SECONDS) for stranger in strangers)
        give_up = time.monotonic() + HANG_SECONDS
        while descriptors(controller) > before and time.monotonic() < give_up:
            time.sleep(0.05)
        assert descriptors(controller) <= before
        for stranger in strangers:
            stranger.close()


def test_a_handshake_byte_by_byte_ends_in_time(certificates: Certificates, tmp_path: Path) -> None:
    with (
        Controller(tmp_path, [*LAUNCHER, *certificates.options], IDLE) as controller,
        controller.connect(controller.port) as slow,
    ):
        said = bytearray(b"\x16\x03\x01\x02\x00" + bytes(100))
        with contextlib.suppress(OSError):
            while said:
                slow.sendall(bytes([said.pop(0)]))
                time.sleep(HANDSHAKE_SECONDS / 5)
        assert said, "it may go on for ever"
        assert "no TLS with the switch at 127.0.0.1: the handshake timed out" in controller.log


@pytest.mark.parametrize(
    ("tied", "shown", "is_switch"),
    [
        ("", OWN_NAME, True),
        ("", "switch", False),
        ("CN=switch", "switch", True),
        ("CN=switch", OWN_NAME, False),
        ("sha256", "switch", True),
        ("sha256", OWN_NAME, False),
    ],
)
def test_a_certificate_is_that_of_one_switch(
    certificates: Certificates, tmp_path: Path, tied: str, shown: str, is_switch: bool
) -> None:
    if tied == "sha256":
        tied = f"sha256:{certificates.fingerprint('switch')}"
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1 " + (f'certificate: "{tied}"' if tied else "")))
    environment = {"OP25B_CONTROL_SOCKET": str(tmp_path / "control.sock")}
    command: list[str | Path] = [COMMANDS / "op25b", "run", "--policy", policy, *certificates.options]
    with Controller(tmp_path, command, environment) as controller:
        controller.wait_for("in force")
        controller.connect(controller.port).close()
        with certificates.connect(controller.port, shown) as connection:
            introduce(connection, 1)
            if is_switch:
                controller.wait_for("access-1 (dpid 0x1): connecting")
                if tied:  # another certificate from now on
                    policy.write_text(policy_text("access-1 0x1 certificate: CN=nobody"))
                    controller.process.send_signal(signal.SIGHUP)
                    assert is_ended(connection, PATIENCE)
                return
            assert is_ended(connection, PATIENCE)
        controller.wait_for("it claims to be access-1 (dpid 0x1)")
        events = ask(tmp_path / "control.sock", "GET", "/events")["events"]
        (refused,) = [event for event in events if event["kind"] == "certificate"]
        assert refused["switch"] == "access-1"
        assert "under access-1" in refused["text"]
        assert "access-1 (dpid 0x1): connecting" not in controller.log


def test_without_tls_a_switch_that_is_tied_to_a_certificate_is_refused(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text("access-1 0x1 certificate: CN=switch"))
    command: list[str | Path] = [COMMANDS / "op25b", "run", "--policy", policy]
    with Controller(
        tmp_path, command, {"OP25B_CONTROL_SOCKET": str(tmp_path / "control.sock")}
    ) as controller:
        controller.wait_for("in force")
        with controller.connect(controller.port) as connection:
            introduce(connection, 1)
            assert is_ended(connection, PATIENCE)
        controller.wait_for("start with --ctl-privkey, --ctl-cert and --ca-certs")


def descriptors(controller: Controller) -> int:
    return len(os.listdir(f"/proc/{controller.process.pid}/fd"))


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        (slice(0, 2), "TLS needs --ctl-privkey and --ctl-cert"),
        (slice(4, 6), "TLS needs --ctl-privkey and --ctl-cert"),
    ],
)
def test_half_a_set_of_options_is_refused(certificates: Certificates, chosen: slice, problem: str) -> None:
    assert problem in _refusal(certificates.options[chosen], code=2)


def test_a_key_of_another_certificate_is_refused(certificates: Certificates) -> None:
    options = certificates.options
    options[1] = certificates.file("switch.key")
    assert f"cannot use --ctl-cert {options[3]} with --ctl-privkey {options[1]}" in _refusal(options)


def test_a_missing_file_is_refused(certificates: Certificates) -> None:
    options = certificates.options
    options[5] = certificates.file("nobody.crt")
    assert f"--ca-certs {options[5]}: No such file or directory" in _refusal(options)


def test_a_port_for_the_other_protocol_is_refused(certificates: Certificates) -> None:
    tcp, tls = (f"--ofp-{protocol}-listen-port" for protocol in ("tcp", "ssl"))
    port, with_certificates = str(free_port()), certificates.options
    awaited = "switches are awaited with TLS only"
    assert f"{awaited}: give {tls} {port} instead" in _refusal([*with_certificates, tcp, port], code=2)
    assert f"{awaited}: leave it out" in _refusal([*with_certificates, tcp, "1", tls, port], code=2)
    assert f"for TCP give {tcp} {port} instead" in _refusal([tls, port], code=2)


def _refusal(options: list[str], code: int = 1) -> str:
    environment = {**os.environ, **IDLE, "PYTHONPATH": str(PROBES)}
    done = subprocess.run(
        [*LAUNCHER, *options], env=environment, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr
