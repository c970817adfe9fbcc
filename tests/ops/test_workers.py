"""The parent's side of the workers, over small processes that keep the same contract."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.task import Clock, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from s3shield.ops.surroundings import usable_cpus, worker_environment
from s3shield.ops.workers import WorkerFailed, Workers

CHILD = """
import os, signal, socket, sys
fds = [int(fd) for fd in sys.argv[-1].split(",")]
listening = socket.socket(fileno=fds[0])
listening.setblocking(True)
log = open(sys.argv[1], "a", buffering=1)
def note(number, frame):
    print("signal", number, file=log)
    if number == signal.SIGTERM and "stubborn" not in sys.argv:
        os._exit(0)
signal.signal(signal.SIGUSR1, note)
signal.signal(signal.SIGTERM, note)
open_fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd")) if sys.platform == "linux" else []
print("fds", [fd for fd in open_fds if fd < 100 and os.path.exists(f"/proc/self/fd/{fd}")], file=log)
if "broken" in sys.argv:
    os.write(4, b"failed the cache path is not writable\\n")
    sys.exit(3)
os.write(4, b"ready\\n")
import threading
threading.Thread(target=lambda: os.read(3, 1) == b"" and os._exit(9), daemon=True).start()
while True:
    connection, _ = listening.accept()
    connection.send(str(os.getpid()).encode())
    connection.close()
"""


class Processes(TestCase):
    """With real processes."""

    timeout = 60

    def setUp(self) -> None:
        """Bind a socket."""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)
        self.path = self.mktemp()
        self.script = Path(self.mktemp())
        self.script.write_text(CHILD)
        self.workers: Workers | None = None

    @inlineCallbacks
    def tearDown(self):
        """Leave no process behind."""
        if self.workers is not None:
            self.workers.kill()
            yield self.workers.stop()

    def make(self, count: int = 2, *words: str, drain: float = 10.0) -> Workers:
        """Return workers that run CHILD."""
        self.workers = Workers(
            reactor,
            reactor,
            count=count,
            command=[sys.executable, str(self.script), self.path, *words],
            sockets=[self.listening],
            drain=drain,
        )
        self.workers.log = Logger(observer=lambda _event: None)
        return self.workers

    def ask(self) -> int:
        """Return the process id of a worker that answers; waits for one."""
        with socket.create_connection(self.listening.getsockname(), 20) as client:
            return int(client.recv(100))

    @inlineCallbacks
    def until(self, condition):
        """Let the loop turn until `condition` is true."""
        while not condition():
            yield deferLater(reactor, 0.01)

    def pids(self) -> set[int]:
        """Return the ready workers' process ids."""
        running = self.workers._running()
        return {worker.pid for worker in running if worker.ready}

    @inlineCallbacks
    def test_life(self):
        """All are ready at start; a killed one is replaced and serves; TERM leaves none."""
        workers = self.make()
        yield workers.start()
        first = self.pids()
        self.assertEqual(len(first), 2)
        self.assertIn(self.ask(), first)
        os.kill(min(first), signal.SIGKILL)
        yield self.until(lambda: len(self.pids() - first) == 1)
        self.assertEqual(workers.restarts, 1)
        self.assertIn(self.ask(), self.pids())
        last = self.pids()
        yield workers.stop()
        for pid in first | last:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    @inlineCallbacks
    def test_inherits_only_its_own(self):
        """A worker has standard streams, its two pipes, the common memory and the sockets."""
        if sys.platform != "linux":
            return
        yield self.make().start()
        seen = [line for line in Path(self.path).read_text().splitlines() if "fds" in line]
        # 7: the log that the script itself opened.
        self.assertEqual(seen, ["fds [0, 1, 2, 3, 4, 5, 6, 7, 8]"] * 2)

    @inlineCallbacks
    def test_first_start_fails(self):
        """A worker that cannot start at first fails the start, in its own words."""
        failed = self.make(2, "broken").start()
        error = yield self.assertFailure(failed, WorkerFailed)
        self.assertEqual(str(error), "the cache path is not writable")

    @inlineCallbacks
    def test_reopen(self):
        """SIGUSR1 reaches every worker."""
        workers = self.make()
        yield workers.start()
        workers.reopen_logs()
        told = f"signal {signal.SIGUSR1:d}\n"
        yield self.until(lambda: Path(self.path).read_text().count(told) == 2)

    @inlineCallbacks
    def test_stubborn(self):
        """A worker that is not done in time is killed."""
        self.patch(sys.modules["s3shield.ops.workers"], "_KILL_GRACE", 0.1)
        workers = self.make(1, "stubborn", drain=0.1)
        yield workers.start()
        (pid,) = self.pids()
        yield workers.stop()
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)


@implementer(IReactorProcess)
class FakeProcesses:
    """Starts nothing; a test says what becomes of each process."""

    def __init__(self) -> None:
        self.started = []

    def spawnProcess(self, process_protocol, executable, args, **_more):
        """Note the process."""
        self.started.append(process_protocol)


class GoneError(Exception):
    exitCode = None
    signal = 9


class Backoff(SynchronousTestCase):
    """When a dead worker is replaced."""

    def test_backoff(self) -> None:
        """0.1 s, doubled up to 10 s; from the start again after 60 s of health."""
        clock, processes = Clock(), FakeProcesses()
        workers = Workers(clock, processes, count=1, command=["x"], sockets=[], drain=1)
        events = []
        workers.log = Logger(observer=events.append)
        started = workers.start()

        def live(seconds: float) -> float:
            worker = processes.started[-1]
            worker.childDataReceived(4, b"rea")
            worker.childDataReceived(4, b"dy\n")
            clock.advance(seconds)
            before = len(processes.started)
            worker.processEnded(Failure(GoneError()))
            (call,) = clock.getDelayedCalls()
            delay = call.getTime() - clock.seconds()
            clock.advance(delay)
            self.assertEqual(len(processes.started), before + 1)
            return round(delay, 3)

        delays = [live(1) for _ in range(9)]
        self.assertEqual(delays, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
        self.successResultOf(started)
        self.assertEqual([live(60), live(59)], [0.1, 0.2])
        self.assertIn("was killed by signal 9", events[1]["how"])
        stopped = workers.stop()
        self.assertNoResult(stopped)
        processes.started[-1].processEnded(Failure(GoneError()))
        self.successResultOf(stopped)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_all_fail_at_first(self) -> None:
        """When all fail at first start one failure is told, none is restarted, stop is quick."""
        clock, processes = Clock(), FakeProcesses()
        workers = Workers(clock, processes, count=2, command=["x"], sockets=[], drain=1)
        events = []
        workers.log = Logger(observer=events.append)
        started = workers.start()
        for worker in processes.started:
            worker.childDataReceived(4, b"failed no room\n")
            worker.processEnded(Failure(GoneError()))
        self.assertEqual(str(self.failureResultOf(started, WorkerFailed).value), "no room")
        self.assertEqual((events, clock.getDelayedCalls()), ([], []))
        self.successResultOf(workers.stop())
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_stop_while_waiting(self) -> None:
        """Stopping between a death and the restart starts nothing more."""
        clock, processes = Clock(), FakeProcesses()
        workers = Workers(clock, processes, count=1, command=["x"], sockets=[], drain=1)
        workers.log = Logger(observer=lambda _event: None)
        workers.start()
        processes.started[0].childDataReceived(4, b"ready\n")
        processes.started[0].processEnded(Failure(GoneError()))
        self.successResultOf(workers.stop())
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(len(processes.started), 1)


class Surroundings(SynchronousTestCase):
    """What a worker is started with."""

    def test_cpus(self) -> None:
        """`auto` is at least one, and no more than the machine has."""
        self.assertTrue(1 <= usable_cpus() <= (os.cpu_count() or 1))

    def test_environment(self) -> None:
        """The worker imports this package, from a checkout too."""
        code = "import s3shield.ops.workers as w; print(w.__file__)"
        shown = subprocess.check_output(
            [sys.executable, "-c", code], env=worker_environment(), cwd="/", text=True
        )
        self.assertEqual(shown.strip(), sys.modules["s3shield.ops.workers"].__file__)
