"""The floor: writes bytes that are there already to a switch that connects, as fast as the switch takes them.

``python raw_socket.py PORT FILE``: FILE holds the messages, a barrier request at their end.
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path
from typing import BinaryIO

_OPENFLOW_13 = 4
_HELLO, _ECHO_REQUEST, _ECHO_REPLY, _FEATURES_REQUEST, _FEATURES_REPLY = 0, 2, 3, 5, 6


def main() -> None:
    messages = Path(sys.argv[2]).read_bytes()
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        while True:
            switch, _ = listener.accept()
            with switch:
                stream = switch.makefile("rb")
                for kind in (_HELLO, _FEATURES_REQUEST):
                    switch.sendall(struct.pack("!BBHI", _OPENFLOW_13, kind, 8, 0))
                _answer(switch, stream, messages)


def _answer(switch: socket.socket, stream: BinaryIO, messages: bytes) -> None:
    """The messages once the switch has said what it is, and echoes."""
    while len(header := stream.read(8)) == 8:
        version, kind, length, xid = struct.unpack("!BBHI", header)
        body = stream.read(length - 8)
        if kind == _FEATURES_REPLY:
            switch.sendall(messages)
        if kind == _ECHO_REQUEST:
            switch.sendall(struct.pack("!BBHI", version, _ECHO_REPLY, length, xid) + body)


if __name__ == "__main__":
    main()
