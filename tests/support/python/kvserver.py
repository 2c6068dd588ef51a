"""For tests in Python: a KvServer of their own, and test points of TAP."""
import http.client
import os
import signal
import sys
import tempfile
import time

import processes

PATIENCE_S = 120
CLOCK = os.environ.get("KV_TEST_CLOCK")  # the library that makes clocks wrong
NO_CLOCK = "there is no library that makes clocks wrong"


def wait_for(condition, text):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, text
        time.sleep(0.02)


def stop(process):
    """Stops a child process, and returns when it has stopped: the thread that gets the signal stops the others, and on a
    busy machine they run for a while until then."""
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG) is not None, "the process does not stop")


class Server:
    """A server with a folder of its own.

    The environment says which program and which modules. files: name and text of each that is to be
    in the folder; more: YAML, whole lines; options: YAML of the store, in which %folder is the folder;
    arguments: of the program, besides; also: more addresses, each behind a comma; before: is called
    with the server before it starts; modules: their folder, instead. The server chooses its port.
    """

    def __init__(self, more="", files=None, store="memory", options="", arguments=(),
                 also="", before=None, modules=None):
        self.folder = tempfile.TemporaryDirectory(prefix="kvserver-test-")
        for name, text in (files or {}).items():
            self.write(name, text)
        path = self.write("kvserver.yaml",
                          f"listen: [{{host: 127.0.0.1, port: 0}}{also}]\n"
                          f"modules: {modules or os.environ['KV_TEST_MODULES']}\n"
                          f"storage: {{module: {store}, {store}: {{{options}}}}}\n{more}"
                          .replace("%folder", self.folder.name))
        self.path = path
        if before is not None:
            before(self)
        self.process = None
        try:
            self.start(*arguments)
        except BaseException:
            if self.process is not None:
                self.process.kill()
                self.process.wait(PATIENCE_S)
            raise

    def start(self, *arguments):
        self.log = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        self.process = self.spawn([os.environ["KV_SERVER_PROGRAM"], "-c", self.path, *arguments])
        self.port = 0
        wait_for(self.is_ready, "the server does not become ready")

    def spawn(self, command):
        return processes.start(command, stderr=self.log)

    def run(self, *arguments):
        """Runs the program to its end, while the server is not running."""
        return processes.run([os.environ["KV_SERVER_PROGRAM"], "-c", self.path, *arguments],
                             capture_output=True, timeout=PATIENCE_S, check=False)

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def read_log(self):
        with open(self.log.name, encoding="utf-8") as log:
            return log.read()

    def is_ready(self):
        assert self.process.poll() is None, f"the server has ended: {self.read_log()}"
        _, has_told, rest = self.read_log().partition("listening on http://127.0.0.1:")
        if not has_told or "\n" not in rest:
            return False
        self.port = int(rest.split("\n")[0])
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:  # it is ending
            return False

    def request(self, method, path, body=None, headers=None):
        """Returns: status, headers and body; the body of a stream is not read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            is_stream = (answer.getheader("content-type") or "").startswith("text/event-stream")
            return answer.status, answer.headers, b"" if is_stream else answer.read()
        finally:
            connection.close()

    def stop(self):
        stop(self.process)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end_process(self):
        """The folder stays. A running server must exit with 0; a sanitizer that has found a fault prevents that."""
        was_running = self.process.poll() is None
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        log = self.read_log()
        self.log.close()
        assert not was_running or code == 0, f"the server has ended with {code}: {log[-8000:]}"

    def end(self):
        self.end_process()
        self.folder.cleanup()


class Started:
    """Servers that tests have started. Those that a failed test leaves are killed."""

    def __init__(self):
        self.all = []

    def keep(self, server):
        self.all.append(server)
        return server

    def kill(self):
        for server in self.all:
            if server.process.poll() is None:
                server.process.kill()
        self.all = []

    def run(self, test):
        try:
            test()
        finally:
            self.kill()


class Report:
    """Test points."""

    def __init__(self):
        self.n = 0
        self.n_failed = 0

    def check(self, name, test):
        self.n += 1
        try:
            test()
            print(f"ok {self.n} - {name}", flush=True)
        except Exception as fault:  # pylint: disable=broad-except
            self.n_failed += 1
            text = str(fault).strip().replace("\n", "\n#   ")
            print(f"not ok {self.n} - {name}\n#   {type(fault).__name__}: {text}", flush=True)

    def check_each(self, tests, run=lambda test: test(), chosen=None, skipped=None):
        """tests: pairs of a name and a function. chosen: the names of functions; only these are run, or all tests if
        there are none. By default they are the program's arguments. skipped: functions that cannot be run, and why."""
        chosen = sys.argv[1:] if chosen is None else chosen
        for name, test in tests:
            if chosen and test.__name__ not in chosen:
                continue
            if test in (skipped or {}):
                self.skip(name, skipped[test])
            else:
                self.check(name, lambda test=test: run(test))

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {why}", flush=True)

    def end(self):
        """Returns: the exit code."""
        print(f"1..{self.n}")
        return 1 if self.n_failed else 0
