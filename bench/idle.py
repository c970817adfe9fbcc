"""Clients that have asked once and then do nothing.

    idle.py PORT COUNT PATH BYTES

Opens so many kept connections, asks for PATH on each, looks at the answer, prints a line and
waits for one on its standard input; then asks again on some of them, to see that they live.
Their addresses are 127.0.0.2 and so on, so that there are ports enough.
"""

from __future__ import annotations

import resource
import socket
import sys

ADDRESSES = 8


def ask(connection: socket.socket, request: bytes, size: int) -> None:
    """Ask once; leave when the answer is wrong."""
    connection.sendall(request)
    got = b""
    while (body := got.partition(b"\r\n\r\n")[2]) == b"" or len(body) < size:
        piece = connection.recv(65536)
        if not piece:
            sys.exit(f"a connection ended after {got[:300]!r}")
        got += piece
    if b" 200 " not in got[:20] or len(body) != size or b"X-Cache-Status: HIT" not in got:
        sys.exit(f"not a hit of {size} bytes: {got[:300]!r}")


def main(arguments: list[str]) -> None:
    """Open, wait, ask again."""
    port, count, path, size = int(arguments[0]), int(arguments[1]), arguments[2], int(arguments[3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < count + 100:
        sys.exit(f"no more than {most} descriptors are allowed here (ulimit -n)")
    request = f"GET {path} HTTP/1.1\r\nHost: assets.example.com\r\n\r\n".encode()
    connections = []
    for number in range(count):
        source = (f"127.0.0.{2 + number % ADDRESSES}", 0)
        connection = socket.create_connection(("127.0.0.1", port), 30, source)
        ask(connection, request, size)
        connections.append(connection)
    print(f"{count} open", flush=True)
    sys.stdin.readline()
    for connection in connections[:: max(1, count // 100)]:
        ask(connection, request, size)


if __name__ == "__main__":
    main(sys.argv[1:])
