"""Turn the loopback interface of a new network on, then become another program.

`unshare --net python .ci/loopback.py PROGRAM WORD...`: Linux alone, and who may.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

SET_FLAGS = 0x8914  # SIOCSIFFLAGS
UP_AND_RUNNING = 0x41

if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14s", b"lo", UP_AND_RUNNING, b""))
    os.execvp(sys.argv[1], sys.argv[1:])
