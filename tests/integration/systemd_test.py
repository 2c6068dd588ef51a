#!/usr/bin/env python3
"""The server under a service manager, played by the test: notifications, the watchdog, inherited
sockets; and the unit files, checked if systemd is installed. Prints TAP.
"""
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position

UNITS = os.path.join(HERE, "../../conf/systemd")


def expect(got, expected):
    assert got == expected, f"expected {expected}, got {got}"


class Manager:
    """Receives the notifications of a service."""

    def __init__(self, is_abstract=False):
        self.folder = tempfile.TemporaryDirectory(prefix="kvserver-test-")
        self.path = os.path.join(self.folder.name, "notify")
        if is_abstract:
            self.path = f"@kvserver-test-{os.getpid()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path.replace("@", "\0", 1) if is_abstract else self.path)
        self.socket.settimeout(PATIENCE_S)

    def next(self, what):
        """Returns the next message with such a line; skips others."""
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            if what in lines:
                return lines

    def lines_before(self, what):
        """Returns the lines of the messages before the next one with such a line."""
        before = []
        while what not in (lines := self.socket.recv(4096).decode().split("\n")):
            before += lines
        return before

    def await_silence(self, seconds):
        self.socket.settimeout(seconds)
        try:
            until = time.monotonic() + PATIENCE_S
            while time.monotonic() < until:
                self.socket.recv(4096)
        except TimeoutError:
            return
        finally:
            self.socket.settimeout(PATIENCE_S)
        raise AssertionError(f"something came at least every {seconds} s")

    def close(self):
        self.socket.close()
        self.folder.cleanup()


class Service(Server):
    """A server with the given environment, and sockets from descriptor 3 on."""

    def __init__(self, environment, sockets=(), **others):
        self.environment, self.sockets = environment, sockets
        super().__init__(**others)

    def spawn(self, arguments):
        def hand_down():
            for i, one in enumerate(self.sockets):
                os.dup2(one.fileno(), 3 + i)
                os.set_inheritable(3 + i, True)  # where it was there already
        command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *arguments]
        environment = os.environ | self.environment | {"LISTEN_FDS": str(len(self.sockets))}
        return processes.start(command, stderr=self.log, env=environment, close_fds=False,
                               preexec_fn=hand_down)


class Opening(Service):
    """A service that need not be ready: its store may still be opening."""

    def is_ready(self):
        return super().is_ready() or self.port != 0


BUSY_HOOK = 'function before_set(key) if key == "hang" then kv.log("begins") while true do end end end'


def busy_service(manager, seconds, **environment):
    """A service, one of whose loops is busy for so long once the key `hang` is written."""
    return Service({"NOTIFY_SOCKET": manager.path} | environment, files={"hook.lua": BUSY_HOOK},
                   more="threads: 2\nscripts: [{file: hook.lua, limits: {instructions: 1000000000000, "
                   f"time: {seconds}s}}}}]\n")


def write_hang(server):
    """Returns the client, which has not been answered."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    client.request("PUT", "/storage/hang", '{"value":1}')
    wait_for(lambda: "begins" in server.read_log(), "the hook does not begin")
    return client


def test_notification(report):
    def life():
        manager = Manager()
        server = Service({"NOTIFY_SOCKET": manager.path})
        assert "STATUS=serving" in manager.next("READY=1")
        server.process.send_signal(signal.SIGHUP)
        lines = manager.next("RELOADING=1")
        assert any(re.match(r"MONOTONIC_USEC=\d+$", line) for line in lines), lines
        manager.next("READY=1")
        server.end()
        manager.next("STOPPING=1")
        manager.close()

    def abstract():
        manager = Manager(is_abstract=True)
        server = Service({"NOTIFY_SOCKET": manager.path})
        manager.next("READY=1")
        server.end()
        manager.close()

    def watchdog():
        manager = Manager()
        server = Service({"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"},
                         more="threads: 2\n")
        for _ in range(4):
            manager.next("WATCHDOG=1")
        server.end()
        manager.close()

    def of_another():
        manager = Manager()
        server = Service({"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "40000",
                          "WATCHDOG_PID": "1"})
        manager.next("READY=1")
        server.end()
        assert "WATCHDOG=1" not in manager.next("STOPPING=1")
        manager.close()

    report.check("the manager is notified of readiness, reloads and the end", life)
    report.check("its socket may be an abstract one", abstract)
    def hung():
        manager = Manager()
        server = busy_service(manager, 5, WATCHDOG_USEC="400000")
        manager.next("WATCHDOG=1")
        client = write_hang(server)
        manager.await_silence(1.2)  # three times as long as the manager would wait
        manager.next("WATCHDOG=1")  # the hook has spent its time
        expect(client.getresponse().status, 403)
        server.end()
        manager.close()

    def busy():
        manager = Manager()
        server = busy_service(manager, 2)
        manager.next("READY=1")
        began = time.monotonic()
        client = write_hang(server)
        server.process.send_signal(signal.SIGHUP)
        manager.next("RELOADING=1")
        manager.next("READY=1")
        took = time.monotonic() - began
        assert took >= 2, f"it came after {took} s, while a loop was busy"
        expect(client.getresponse().status, 403)
        server.end()
        manager.close()

    def opening():
        manager = Manager()
        pipe = os.path.join(manager.folder.name, "import")
        os.mkfifo(pipe)
        writer = os.open(pipe, os.O_RDWR)
        server = Opening({"NOTIFY_SOCKET": manager.path}, arguments=("--import", pipe))
        for _ in range(2):
            server.process.send_signal(signal.SIGHUP)
            assert "READY=1" not in manager.lines_before("RELOADING=1")
        manager.next("STATUS=opening the store")
        expect(server.request("GET", "/readyz")[0], 503)
        os.write(writer, b'{"key":"a","value":1}\n')
        os.close(writer)
        manager.next("READY=1")
        expect(server.request("GET", "/readyz")[0], 200)
        expect(server.request("GET", "/storage/a")[2], b'{"value":1}')
        server.end()
        manager.close()

    report.check("a reload ends when every loop has taken it", busy)
    report.check("a reload does not make a server ready whose store is opening", opening)
    report.check("the watchdog is fed", watchdog)
    report.check("not while a loop hangs", hung)
    report.check("but not that of another process", of_another)


def listener():
    one = socket.create_server(("127.0.0.1", 0))
    return one, one.getsockname()[1]


def ask(connection):
    connection.request("GET", "/healthz")
    return connection.getresponse().status


def test_sockets(report):
    def tcp():
        one, port = listener()
        early = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        early.connect()  # before there is a server
        server = Service({}, [one], also=f", {{host: 127.0.0.1, port: {port}}}",
                         more="threads: 3\n")
        expect(ask(early), 200)
        for _ in range(6):
            expect(ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)), 200)
        server.end()
        one.close()

    def unix():
        with tempfile.TemporaryDirectory(prefix="kvserver-test-") as folder:
            path = os.path.join(folder, "socket")
            one = socket.socket(socket.AF_UNIX)
            one.bind(path)
            one.listen()
            server = Service({}, [one], also=f", {{unix: {path}}}")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            server.end()
            assert os.path.exists(path), "it is not the server's to remove"
            one.close()

    def unknown():
        one, port = listener()
        service = Service.__new__(Service)
        service.environment, service.sockets = {}, [one]
        log = tempfile.NamedTemporaryFile("w+", prefix="kvserver-test-")
        service.log = log
        with tempfile.TemporaryDirectory(prefix="kvserver-test-") as folder:
            path = os.path.join(folder, "kvserver.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write("listen: [{host: 127.0.0.1, port: 0}]\nstorage: {module: memory}\n"
                           f"modules: {os.environ['KV_TEST_MODULES']}\n")
            process = service.spawn([os.environ["KV_SERVER_PROGRAM"], "-c", path])
            expect(process.wait(PATIENCE_S), 1)
        with open(log.name, encoding="utf-8") as file:
            text = file.read()
        assert f"handed down a socket at 127.0.0.1 port {port}" in text, text
        one.close()

    report.check("a TCP socket that is handed down is listened on", tcp)
    report.check("so is a Unix socket, which stays when the server ends", unix)
    report.check("one that `listen` does not name is refused", unknown)


def test_units(report):
    if shutil.which("systemd-analyze") is None:
        report.skip("the unit is hardened", "systemd-analyze is not there")
        return

    exposure = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                               "--threshold=20", os.path.join(UNITS, "kvserver.service")],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def hardened():
        expect((exposure.returncode, exposure.stderr), (0, ""))

    def valid():
        with tempfile.TemporaryDirectory(prefix="kvserver-test-") as folder:
            for name in ("kvserver.service", "kvserver.socket"):
                with open(os.path.join(UNITS, name), encoding="utf-8") as unit:
                    text = unit.read().replace("/usr/bin/kvserver",
                                               os.environ["KV_SERVER_PROGRAM"])
                with open(os.path.join(folder, name), "w", encoding="utf-8") as copy:
                    copy.write(text)
            result = subprocess.run(["systemd-analyze", "verify", "--man=no",
                                     os.path.join(folder, "kvserver.service"),
                                     os.path.join(folder, "kvserver.socket")],
                                    capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            ours = [line for line in result.stderr.splitlines() if "kvserver" in line]
            expect(ours, [])

    if "Unknown" in exposure.stderr or "unrecognized" in exposure.stderr:
        report.skip("the unit is hardened", "this systemd-analyze cannot judge files: "
                    + exposure.stderr.strip().replace("\n", "; "))
    else:
        report.check("the unit is hardened", hardened)
    report.check("the units are valid", valid)


def main():
    report = Report()
    test_notification(report)
    test_sockets(report)
    test_units(report)
    sys.exit(report.end())


main()
