#!/usr/bin/env python3
"""The examples of scripts/examples/, each with its own configuration: pages in Chromium, programs in
Node. Prints TAP. With KV_TEST_PICTURES=FOLDER, pictures of the pages are left there.
"""
import collections
import contextlib
import errno
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = os.path.join(os.path.dirname(TESTS), "scripts/examples")
sys.path.insert(0, os.path.join(TESTS, "support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, wait_for  # pylint: disable=wrong-import-position
from ports import reserve_block, reserve_port  # pylint: disable=wrong-import-position
from webdriver import Browser

HOSTILE = '<img src=x onerror="document.title=1">'


def expect(got, expected):
    assert got == expected, f"expected {expected!r}, got {got!r}"


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@contextlib.contextmanager
def program(command, **environment):
    """Runs a program, and yields its process and the reader of its log."""
    with tempfile.NamedTemporaryFile("w+", prefix="kvserver-example-") as log:
        # By SIGTERM, as run.sh has to end the processes that it has started.
        with processes.start(command, by=signal.SIGTERM, stdout=log, stderr=log,
                             env={**os.environ, **environment}) as process:
            def read():
                with open(log.name, encoding="utf-8") as file:
                    return file.read()
            try:
                yield process, read
            finally:
                process.kill()


@contextlib.contextmanager
def serve(example):
    """The server with the example's own configuration, at a free port: yields the port."""
    with tempfile.TemporaryDirectory(prefix="kvserver-example-") as data:
        port = reserve_port()
        with program([os.environ["KV_SERVER_PROGRAM"], "-c", f"{EXAMPLES}/{example}/kvserver.yaml"],
                     KVSERVER_PORT=str(port), KVSERVER_DATA=os.path.join(data, "data")) as (process, read):
            def is_ready():
                assert process.poll() is None, read()
                return " ready after" in read()
            wait_for(is_ready, "the server does not become ready")
            yield port
            process.terminate()
            process.wait(PATIENCE_S)


def node(path, port, **environment):
    return program(["node", os.path.join(EXAMPLES, path)], KVSERVER_URL=f"http://127.0.0.1:{port}",
                   NODE_PATH="/usr/share/nodejs", **environment)


class Tabs:
    """Two tabs of one browser with the same page, of the same server or of two."""

    def __init__(self, browser, *ports):
        self.browser = browser
        self.handles = [browser.call("GET", "/window")]
        self.handles.append(browser.call("POST", "/window/new", {"type": "tab"})["handle"])
        for n in 1, 0:
            self.run(n, "return 1")
            browser.open(f"http://localhost:{ports[n % len(ports)]}/")
            self.wait(n, "document.getElementById('state').textContent === 'live'")

    def run(self, n, script, *arguments):
        self.browser.call("POST", "/window", {"handle": self.handles[n]})
        return self.browser.run(script, *arguments)

    def wait(self, n, condition, *arguments):
        wait_for(lambda: self.run(n, f"return {condition}", *arguments), f"it does not come to be: {condition}")

    def look(self, name):
        folder = os.environ.get("KV_TEST_PICTURES")
        self.run(0, "return 1")
        for scheme in ("light", "dark") if folder else ():
            self.browser.resize(900, 560)
            self.browser.prefer(scheme)
            self.browser.take_picture(os.path.join(folder, f"example-{name}-{scheme}.png"))

    def close(self):
        self.run(1, "return 1")
        self.browser.call("DELETE", "/window")
        self.run(0, "return 1")
        self.browser.open("about:blank")


@contextlib.contextmanager
def tabs_of(browser, *ports, may_complain=False):
    tabs = Tabs(browser, *ports)
    try:
        yield tabs
        complaints = [line for line in browser.read_log() if "favicon" not in line]
        expect([] if may_complain else complaints, [])
    finally:
        tabs.close()


def test_todo(browser):
    add = "document.forms.add.text.value = arguments[0]; document.forms.add.requestSubmit()"
    with serve("todo") as port, tabs_of(browser, port) as tabs:
        for text in "Water the plants", "Call Ann", HOSTILE:
            tabs.run(0, add, text)
        tabs.wait(1, "document.querySelectorAll('#tasks li').length === 3")
        expect(tabs.run(1, "return document.querySelectorAll('#tasks span')[2].textContent"), HOSTILE)
        expect(tabs.run(1, "return document.querySelectorAll('#tasks img').length"), 0)
        tabs.run(1, "document.querySelectorAll('#tasks input')[1].click()")
        tabs.wait(0, "document.querySelectorAll('#tasks :checked').length === 1")
        expect(tabs.run(0, "return document.getElementById('left').textContent"), "2 of 3 left")
        tabs.look("todo")
        tabs.run(0, "document.getElementById('clear').click()")
        tabs.wait(1, "document.querySelectorAll('#tasks li').length === 2")


def test_presence(browser):
    move = ("const board = document.getElementById('board'), box = board.getBoundingClientRect();"
            "board.dispatchEvent(new PointerEvent('pointermove', {clientX: box.x + box.width / 2, clientY: box.y + 99}))")
    with serve("presence") as port, tabs_of(browser, port) as tabs:
        for n in 0, 1:
            tabs.wait(n, "document.querySelectorAll('#people li').length === 2")
        tabs.run(1, "const name = document.getElementById('name'); name.value = arguments[0]; name.oninput({target: name})", "Ann")
        tabs.run(1, move)
        tabs.wait(0, "document.querySelector('.cursor span')?.textContent === 'Ann'")
        tabs.look("presence")
        tabs.run(1, "location = 'about:blank'")
        tabs.wait(0, "document.querySelectorAll('#people li').length === 1 && !document.querySelector('.cursor')")


def test_flags(browser):
    with serve("flags") as port, tabs_of(browser, port) as tabs:
        for name in "new-checkout", "dark-mode":
            tabs.run(0, "document.forms.add.elements.name.value = arguments[0]; document.forms.add.requestSubmit()", name)
        tabs.wait(1, "document.querySelectorAll('#flags tr').length === 2")
        with node("flags/backend.mjs", port, PORT="0") as (_, read):
            wait_for(lambda: "http://" in read() and "set flag/new-checkout" not in read(), read())
            backend = int(read().split("localhost:")[1].split()[0])
            expect(request(backend, "GET", "/?user=ann")[2], "the old checkout\n")
            tabs.run(1, "document.querySelectorAll('#flags [type=checkbox]')[1].click()")
            wait_for(lambda: request(backend, "GET", "/?user=ann")[2] == "the new checkout\n", "the flag does not arrive")
            tabs.wait(0, "document.querySelectorAll('.effect')[1].textContent === 'on'")
            tabs.look("flags")


def test_jobs(browser):
    hand_in = ("const {task, input} = document.forms.add; task.value = arguments[0]; input.value = arguments[1];"
               "document.forms.add.requestSubmit()")
    row = "[...document.querySelector('#jobs tr').cells].map(cell => cell.textContent)"
    with serve("jobs") as port, tabs_of(browser, port) as tabs:
        with node("jobs/worker.mjs", port) as (first, read):
            tabs.run(0, hand_in, "wait", "2000")
            wait_for(lambda: "attempt 1" in read(), "no worker takes the job")
            with node("jobs/worker.mjs", port) as (_, read_second):
                wait_for(lambda: "ready" in read_second(), "the second worker does not become ready")
                first.kill()
                wait_for(lambda: "attempt 2" in read_second(), "the job is not taken again")
                tabs.wait(1, f"{row}[1] === 'done'")
                expect(tabs.run(1, f"return {row}[2]"), "2")
                tabs.run(1, hand_in, "primes", "1000")
                tabs.wait(0, f"{row}[4] === '168'")
                tabs.look("jobs")


def test_sensors(browser):
    with serve("sensors") as port, tabs_of(browser, port) as tabs:
        with program([sys.executable, f"{EXAMPLES}/sensors/feeder.py"],
                     KVSERVER_URL=f"http://127.0.0.1:{port}", EVERY="0.1"):
            for n in 0, 1:
                tabs.wait(n, "document.querySelectorAll('#names li').length === 2")
            tabs.wait(0, "document.querySelector('polyline')?.getAttribute('points').split(' ').length > 9")
            tabs.look("sensors")
        expect(request(port, "PUT", "/storage/sensor/x/1", {"value": 1})[0], 202)
        assert int(request(port, "GET", "/storage/sensor/x/1")[1]["KV-TTL"]) <= 120000


@contextlib.contextmanager
def serve_cluster(data):
    """Runs the example: yields the port of HAProxy, whose next two are those of the servers, the first port of Redis, and the folder with the logs."""
    port, redis_port = reserve_block(3), reserve_block(6, above=(0, 10000))  # the nodes of Redis have both
    with program([f"{EXAMPLES}/cluster/run.sh"], KVSERVER_PORT=str(port), REDIS_PORT=str(redis_port), KVSERVER_DATA=data,
                 KVSERVER_PROGRAM=os.environ["KV_SERVER_PROGRAM"]) as (process, read):
        try:
            wait_for(lambda: "ready: " in read() or process.poll() is not None, "the cluster does not become ready")
            assert process.poll() is None, read()
            yield port, redis_port, os.path.join(data, f"at-{redis_port}")
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    expect([name for _, _, names in os.walk(data) for name in names if name.endswith(".pid")], [])


def kill(folder, name):
    with open(os.path.join(folder, f"{name}.pid"), encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)


def test_cluster(browser):
    add = "document.getElementById('add').click()"
    with tempfile.TemporaryDirectory(prefix="kvserver-example-") as data, serve_cluster(data) as (balancer, _, folder):
        one, two = balancer + 1, balancer + 2
        with tabs_of(browser, one, two) as tabs:
            for n in 0, 1:
                tabs.run(n, add)
                for other in 0, 1:
                    tabs.wait(other, f"document.getElementById('count').textContent === '{n + 1}'")
            tabs.look("cluster")
        with tabs_of(browser, balancer, two, may_complain=True) as tabs:
            tabs.run(0, add)
            tabs.wait(1, "document.getElementById('count').textContent === '3'")
            kill(folder, "redis-2")
            tabs.run(0, "document.getElementById('run').click()")
            tabs.wait(1, "Number(document.getElementById('count').textContent) > 40")
            kill(folder, "kvserver-1")
            tabs.wait(1, "Number(document.getElementById('count').textContent) > 80")
            tabs.run(0, "document.getElementById('run').click()")


class Client:
    """Calls a server again and again, in a thread, until it is ended. statuses: how often each was returned, or 0: the
    connection was closed; longest_s: without a success."""

    def __init__(self, port, method, path, body=None):
        self.statuses, self.longest_s, self.is_ended = collections.Counter(), 0, threading.Event()
        self.thread = threading.Thread(target=self.run, args=(port, method, path, body))
        self.thread.start()

    def run(self, *call):
        last = time.monotonic()
        while not self.is_ended.wait(0.01):
            try:
                status = request(*call)[0]
            except (OSError, http.client.HTTPException):
                status = 0
            self.statuses[status] += 1
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - last)
            if status in (200, 204):
                last = now


@contextlib.contextmanager
def clients_of(port, n_keys=16):
    """Clients that increment keys of several partitions, and others that read them."""
    paths = [f"/storage/count/{i}" for i in range(n_keys)]
    writers = [Client(port, "PATCH", path, {"increment": 1}) for path in paths]
    readers = [Client(port, "GET", path) for path in paths]
    try:
        wait_for(lambda: all(writer.statuses[200] > 10 for writer in writers), "nothing is written")
        yield writers, readers
    finally:
        for client in writers + readers:
            client.is_ended.set()
        for client in writers + readers:
            client.thread.join()


def wait_for_more(clients):
    """Until each has had a success that began after the call."""
    before = [client.statuses[200] for client in clients]
    wait_for(lambda: all(client.statuses[200] > n + 1 for client, n in zip(clients, before)), "the clients do not go on")


def statuses_of(clients):
    return sum((client.statuses for client in clients), collections.Counter())


def open_socket(port):
    peer = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    peer.sendall(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert b" 101 " in peer.recv(4096)
    return peer


def is_open(peer):
    peer.setblocking(False)
    try:
        return peer.recv(4096) != b""
    except BlockingIOError:
        return True


def is_down(port):
    try:
        return request(port, "GET", "/readyz")[0] != 200
    except OSError:
        return True


def check_death_of_master(balancer, folder):
    with clients_of(balancer) as (writers, readers), contextlib.closing(open_socket(balancer)) as peer:
        kill(folder, "redis-2")
        wait_for(lambda: is_down(balancer + 1) and is_down(balancer + 2), "the servers do not notice")
        wait_for(lambda: not is_down(balancer + 1) and not is_down(balancer + 2), "no replica takes over")
        wait_for_more(writers)
        assert is_open(peer), "the WebSocket was closed"
    writes, reads = statuses_of(writers), statuses_of(readers)
    assert set(writes) <= {200, 504} and writes[504] <= len(writers), writes
    expect(set(reads) - {200, 204}, set())
    print(f"# a master killed: {dict(writes)}, {dict(reads)}, {max(client.longest_s for client in writers):.2f} s")


def check_death_of_server(balancer, folder, name):
    with clients_of(balancer) as (writers, readers):
        kill(folder, name)
        wait_for_more(writers)
        wait_for_more(readers)
    statuses, longest_s = statuses_of(writers + readers), max(client.longest_s for client in writers + readers)
    assert set(statuses) <= {200, 204, 502, 0}, statuses
    assert statuses[502] + statuses[0] <= len(writers + readers), statuses
    assert longest_s < 5, longest_s
    print(f"# {name} killed: {dict(statuses)}, {longest_s:.2f} s")


def test_balancer():
    with tempfile.TemporaryDirectory(prefix="kvserver-example-") as data, serve_cluster(data) as (balancer, redis_port, folder):
        check_death_of_master(balancer, folder)
        check_death_of_server(balancer, folder, "kvserver-1")
        with run_cluster("kvserver-1", balancer, redis_port, data) as (process, read):
            wait_for(lambda: " ready after" in read() or process.poll() is not None, "the server does not come back")
            assert process.poll() is None, read()
            wait_for(lambda: "Server ready/one is UP" in read_log(folder, "haproxy").rpartition("ready/one is DOWN")[2],
                     "HAProxy does not take the server back")
            check_death_of_server(balancer, folder, "kvserver-2")
            process.terminate()
            process.wait(PATIENCE_S)


def run_cluster(name, balancer, redis_port, data):
    return program([f"{EXAMPLES}/cluster/run.sh", name], KVSERVER_PORT=str(balancer), REDIS_PORT=str(redis_port),
                   KVSERVER_DATA=data, KVSERVER_PROGRAM=os.environ["KV_SERVER_PROGRAM"])


def check_refusal_of_second(name, balancer, redis_port, data):
    with run_cluster(name, balancer, redis_port, data) as (process, read):
        expect(process.wait(PATIENCE_S), 1)
        assert f"{name} is running already" in read(), read()


def test_end_of_cluster():
    """Neither a refused second one nor one that was brought back outlives the example."""
    with tempfile.TemporaryDirectory(prefix="kvserver-example-") as data, contextlib.ExitStack() as stack:
        with serve_cluster(data) as (balancer, redis_port, folder):
            for name in "kvserver-2", "redis-2":
                check_refusal_of_second(name, balancer, redis_port, data)
            brought_back = []
            for name in "redis-2", "kvserver-1":
                kill(folder, name)
                process, read = stack.enter_context(run_cluster(name, balancer, redis_port, data))
                mark = " ready after" if name == "kvserver-1" else "Ready to accept connections"
                wait_for(lambda: mark in read() or process.poll() is not None, f"{name} does not come back")
                assert process.poll() is None, read()
                check_refusal_of_second(name, balancer, redis_port, data)
                brought_back.append(process)
        for process in brought_back:
            expect(process.wait(PATIENCE_S), 0)
        for port in *range(balancer, balancer + 3), *range(redis_port, redis_port + 6):
            with socket.socket() as probe:
                expect((port, probe.connect_ex(("127.0.0.1", port))), (port, errno.ECONNREFUSED))


def read_log(folder, name):
    with open(os.path.join(folder, f"{name}.log"), encoding="utf-8") as file:
        return file.read()


def text_of(browser, port, path="/"):
    browser.open(f"http://localhost:{port}{path}")
    return browser.run("return document.body.innerText").strip()


def test_rate_limiter_in_browser(browser):
    with serve("rate-limiter") as port, node("rate-limiter/server.mjs", port, PORT="0") as (_, read):
        wait_for(lambda: "http://" in read(), read())
        backend = int(read().split("localhost:")[1])
        # A browser may ask for an icon, too.
        texts = [text_of(browser, backend) for _ in range(6)]
        assert texts[0].startswith("welcome, ") and texts[-1].startswith("too many requests; again in "), texts


def test_sessions_in_browser(browser):
    with serve("sessions") as port, node("sessions/server.mjs", port, PORT="0") as (_, read):
        wait_for(lambda: "http://" in read(), read())
        backend = int(read().split("localhost:")[1])
        count_visits(browser, backend)
        leave = "return fetch('/leave', {method: 'POST'}).then(answer => answer.text())"
        expect(browser.run(leave), "goodbye\n")
        expect(text_of(browser, backend), "visit 1")


def count_visits(browser, port):
    """A visit is counted for the page, and another if the browser asks for an icon."""
    visits = [int(text_of(browser, port).removeprefix("visit ")) for _ in range(3)]
    assert visits[0] == 1 and visits[0] < visits[1] < visits[2], visits


EXPRESS = """import express from "express";
import session from "express-session";
import { createStore } from "%(store)s";
const app = express();
const store = new (createStore(session.Store))({ url: process.env.KVSERVER_URL });
app.use(session({ store, secret: "of the test", resave: false, saveUninitialized: false, cookie: { maxAge: 60000 } }));
app.get("/favicon.ico", (request, response) => response.sendStatus(204));
app.get("/", (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  response.send(`visit ${request.session.visits}`);
});
app.get("/look", (request, response) => response.send(`visit ${request.session.visits}`));
app.get("/renew", (request, response) => request.session.regenerate(() => response.send("renewed")));
app.get("/leave", (request, response) => request.session.destroy(() => response.send("goodbye")));
const server = app.listen(0, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));
"""


def fetch_express(folder):
    """Returns: why Express or express-session is missing in the folder; "" if it is not."""
    if shutil.which("npm") is None:
        return "there is no npm"
    got = subprocess.run(["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund",
                          "--fetch-retries=0", "express@4", "express-session@1"], check=False, capture_output=True,
                         text=True, timeout=PATIENCE_S)
    return "" if got.returncode == 0 else "npm cannot fetch express-session here"


def test_express(browser, folder):
    path = os.path.join(folder, "app.mjs")
    with open(path, "w", encoding="utf-8") as file:
        file.write(EXPRESS % {"store": f"{EXAMPLES}/sessions/store.mjs"})
    with serve("sessions") as port, node(path, port) as (process, read):
        wait_for(lambda: "http://" in read() or process.poll() is not None, "the application does not listen")
        assert process.poll() is None, read()
        backend = int(read().split("localhost:")[1])
        expect([text_of(browser, backend) for _ in range(3)], ["visit 1", "visit 2", "visit 3"])
        expect(text_of(browser, backend, "/look"), "visit 3")  # Express touches the session
        (listed,) = json.loads(request(port, "GET", "/storage?prefix=session/&values=true")[2])["keys"]
        expect(listed["value"]["visits"], 3)
        assert 0 < listed["ttl"] <= 60000, listed
        expect(text_of(browser, backend, "/renew"), "renewed")
        expect(text_of(browser, backend), "visit 1")
        expect(text_of(browser, backend, "/leave"), "goodbye")
        expect(json.loads(request(port, "GET", "/storage?prefix=session/")[2])["keys"], [])
        expect(read().count("\n"), 1)  # it has complained of nothing


def test_rate_limiter():
    with serve("rate-limiter") as port, node("rate-limiter/server.mjs", port, PORT="0") as (_, read):
        wait_for(lambda: "http://" in read(), read())
        backend = int(read().split("localhost:")[1])
        answers = [request(backend, "GET", "/") for _ in range(6)]
        expect([status for status, _, _ in answers], [200] * 5 + [429])
        assert 1 <= int(answers[5][1]["Retry-After"]) <= 10, answers[5][1]["Retry-After"]
        request(port, "PATCH", "/storage/rate/127.0.0.1", {"ttl": 1})
        wait_for(lambda: request(backend, "GET", "/")[0] == 200, "the window does not end")


def test_sessions():
    with serve("sessions") as port, node("sessions/server.mjs", port, PORT="0") as (_, read):
        wait_for(lambda: "http://" in read(), read())
        backend = int(read().split("localhost:")[1])
        _, headers, text = request(backend, "GET", "/")
        expect(text, "visit 1\n")
        cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
        expect(request(backend, "GET", "/", headers=cookie)[2], "visit 2\n")
        assert cookie["Cookie"][4:] not in request(port, "GET", "/storage")[2], "the id is in the store"
        expect(request(backend, "POST", "/leave", headers=cookie)[2], "goodbye\n")
        expect(request(backend, "GET", "/", headers=cookie)[2], "visit 1\n")
        check_store(port)


def check_store(port):
    script = f"""import assert from "node:assert/strict";
import {{ createStore }} from "{EXAMPLES}/sessions/store.mjs";
import {{ promisify }} from "node:util";
const store = new (createStore())({{ url: "http://127.0.0.1:{port}" }});
const call = name => promisify(store[name].bind(store));
const session = {{ a: 1, cookie: {{ maxAge: 60000 }} }};
await call("set")("..", session);
assert.deepEqual(await call("get")(".."), session);
await call("touch")("..", {{ cookie: {{ expires: new Date(Date.now() + 3600000) }} }});
await call("touch")("none", session);
assert.equal(await store.get("none"), null);
await call("destroy")("..");
assert.equal(await call("get")(".."), null);"""
    subprocess.run(["node", "--input-type=module", "-e", script], check=True, timeout=PATIENCE_S)


def has_socket():
    """Whether Node has a WebSocket, or the package `ws`."""
    return subprocess.run(["node", "-e", "globalThis.WebSocket ?? require('ws')"], check=False, capture_output=True,
                          env={**os.environ, "NODE_PATH": "/usr/share/nodejs"}).returncode == 0


def why_no_cluster():
    """The missing requirement of the example; "" if there is none."""
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in ("redis-server", "redis-cli", "haproxy") if shutil.which(name, path=path) is None]
    return f"there is no {missing[0]} (Debian: redis-server, haproxy)" if missing else ""


def main():
    has_node = shutil.which("node") is not None
    why_no_pages = "" if shutil.which("chromedriver") else "there is no chromedriver (Debian: chromium-driver)"
    why_no_node = "" if has_node else "there is no node (Debian: nodejs)"
    why_no_socket = why_no_node or ("" if has_socket() else "this Node has no WebSocket, and there is no `ws` (Debian: node-ws)")
    if why_no_pages and why_no_node:
        print(f"1..0 # SKIP {why_no_pages}, and {why_no_node}")
        return 77
    report = Report()
    started = time.monotonic()

    def check(name, test, why_not, *arguments):
        report.skip(name, why_not) if why_not else report.check(name, lambda: test(*arguments))
        print(f"# {time.monotonic() - started:.1f} s", flush=True)

    browser = None if why_no_pages else Browser()
    try:
        check("a to-do list is shared by two tabs", test_todo, why_no_pages, browser)
        check("tabs see who is here, and where the pointer is", test_presence, why_no_pages, browser)
        check("a backend follows the flags that a page sets", test_flags, why_no_pages or why_no_socket, browser)
        check("a job of a killed worker is done by another", test_jobs, why_no_pages or why_no_socket, browser)
        check("a chart shows what is fed", test_sensors, why_no_pages, browser)
        check("pages at two servers over a cluster show one count, and outlive a master and a server", test_cluster,
              why_no_pages or why_no_cluster(), browser)
        check("clients of the balancer wait for a new master, and leave a dead server at once", test_balancer,
              why_no_cluster())
        check("a cluster ends as a whole, with those that were brought back", test_end_of_cluster, why_no_cluster())
        check("an address is refused beyond its rate", test_rate_limiter, why_no_node)
        check("sessions last until they are left", test_sessions, why_no_node)
        why_no_visit = why_no_pages or why_no_node
        check("a browser is refused beyond its rate", test_rate_limiter_in_browser, why_no_visit, browser)
        check("a browser keeps its session", test_sessions_in_browser, why_no_visit, browser)
        with tempfile.TemporaryDirectory(prefix="kvserver-express-") as folder:
            check("Express keeps its sessions in the store", test_express, why_no_visit or fetch_express(folder), browser, folder)
    finally:
        if browser:
            browser.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
