"""Varnish as one more server to compare with, where it is installed.

Its access log is a program of its own, varnishncsa, whose time counts as Varnish's.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from bench.rig import Group, free_port, start

__all__ = ["varnish"]

VCL: Final = """\
vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_hash {{ hash_data(req.url); return (lookup); }}
sub vcl_recv {{ unset req.http.Cookie; }}
sub vcl_backend_fetch {{ set bereq.url = "/media" + bereq.url; }}
sub vcl_backend_response {{ set beresp.ttl = 1d; }}
sub vcl_deliver {{
    set resp.http.X-Cache-Status = "MISS";
    if (obj.hits > 0) {{ set resp.http.X-Cache-Status = "HIT"; }}
}}
"""


def varnish(directory: Path, origin: int, workers: int) -> Group:
    """Start varnishd and its log. workers: thread pools; Varnish has no processes."""
    directory.mkdir(parents=True, exist_ok=True)
    vcl = directory / "bench.vcl"
    vcl.write_text(VCL.format(origin=origin))
    port = free_port()
    name = directory / "work"
    log = ["varnishncsa", "-t", "30", "-n", str(name), "-w", str(directory / "access.log")]
    server = ["varnishd", "-F", "-n", str(name), "-f", str(vcl), "-a", f"127.0.0.1:{port}"]
    server += ["-s", f"file,{directory / 'cache'},8g", "-p", f"thread_pools={workers}"]
    # One process group: the log's time is counted, and it ends with the server.
    both = f"{shlex.join(log)} & exec {shlex.join(server)}"
    return start("varnish", ["sh", "-c", both], port, directory)
