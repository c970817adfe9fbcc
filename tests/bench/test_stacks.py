"""What perf prints is read, sorted and drawn rightly."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from twisted.trial.unittest import SynchronousTestCase

from bench.stacks import Frame, by_function, by_layer, draw, fold, read

SAMPLES: Final = """\
python  5058    500250\x20
\tffffffff8201030f tcp_sendmsg_locked ([kernel.kallsyms])
\tffffffff82010ddb tcp_sendmsg ([kernel.kallsyms])
\t           f838f __GI___libc_write (/usr/lib/libc.so.6)
\t           ccde0 __pyx_f_6uvloop_4loop_8UVStream__try_write (/x/uvloop/loop.cpython-313.so)
\t           f01be PyObject_Vectorcall (/x/libpython3.13.so.1.0)
\t           8e60a _PyEval_EvalFrameDefault (/x/libpython3.13.so.1.0)
\t              85 py::Response.reply:/x/s3shield/wire/response.py (/tmp/jitted-5058-4655.so)
\t          2bc5f0 py_trampoline_evaluator (/x/libpython3.13.so.1.0)
\t              85 py::Site.__call__:/x/s3shield/exchange/site.py (/tmp/jitted-5058-4439.so)
\t          15c4b8 uv__io_poll (/x/uvloop/loop.cpython-313.so)
\tffffffffffffffff [unknown] ([unknown])

python  5058    500250\x20
\t           a1111 __memcpy_avx_unaligned (/usr/lib/libc.so.6)
\t           8e60a _PyBytes_Join (/x/libpython3.13.so.1.0)
\t              85 py::Site.__call__:/x/s3shield/exchange/site.py (/tmp/jitted-5058-4439.so)
\t          15c4b8 uv__io_poll (/x/uvloop/loop.cpython-313.so)

python  5058    500250\x20
\t           a2222 llhttp__internal__run (/x/httptools/parser.cpython-313.so)
\t           a3333 __pyx_pw_9httptools (/x/httptools/parser.cpython-313.so)
\t              85 py::Site.__call__:/x/s3shield/exchange/site.py (/tmp/jitted-5058-4439.so)

python  5058    500250\x20
\tffffffff81000310 do_futex ([kernel.kallsyms])
\t           f1111 pthread_cond_timedwait (/usr/lib/libc.so.6)
\t           8e60b take_gil (/x/libpython3.13.so.1.0)
\t              85 py::Site.__call__:/x/s3shield/exchange/site.py (/tmp/jitted-5058-4439.so)

python  5058    500250\x20
\tffffffff8100030f native_write_msr ([kernel.kallsyms])
"""


class StackTests(SynchronousTestCase):
    """From perf's text to the figures."""

    def test_frames(self) -> None:
        """Outermost first; the interpreter's own frames between functions are left out."""
        first, second, *_ = read(SAMPLES.splitlines(keepends=True))
        self.assertEqual(
            ["uv__io_poll", "Site.__call__ (site)", "Response.reply (response)"],
            [frame.name for frame in first[:3]],
        )
        self.assertEqual(["uvloop", "C", "kernel", "kernel"], [frame.layer for frame in first[3:]])
        self.assertEqual(["Python", "interpreter", "C"], [frame.layer for frame in second[1:]])

    def test_layers(self) -> None:
        """The kernel's time goes by what it did, the C library's to whoever called it."""
        folded = fold(read(SAMPLES.splitlines()))
        self.assertEqual(
            {
                "kernel: TCP send": 1,
                "Python": 1,
                "llhttp": 1,
                "interpreter lock": 1,
                "kernel: other": 1,
            },
            dict(by_layer(folded)),
        )

    def test_functions(self) -> None:
        """A function's own samples leave out those of layers below it and functions it calls."""
        found = by_function(fold(read(SAMPLES.splitlines())))
        self.assertEqual(
            {"Site.__call__ (site)": (1, 4), "Response.reply (response)": (0, 1)}, found
        )

    def test_graph(self) -> None:
        """The drawing is well-formed, has every frame, and escapes names."""
        stacks = [*read(SAMPLES.splitlines()), (Frame("<lambda> & co (x)", "Python"),)]
        root = ET.fromstring(draw(fold(stacks), "a <title>", 10.0))
        titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
        self.assertIn("all: 10.00 us each, 100.0%", titles)
        self.assertIn("<lambda> & co (x): 1.67 us each, 16.7%", titles)
        names = {frame.name for stack in stacks for frame in stack}
        self.assertEqual(
            set(), {name for name in names if not any(title.startswith(name) for title in titles)}
        )
        self.assertEqual(set(), {text for text in titles if "unknown" in text})
