#!/usr/bin/env python3
"""The clients and slow commands that a running server shows to operators. Prints TAP."""
import base64
import hashlib
import http.client
import json
import os
import socket
import sys
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position

# A prefix that, unescaped, would end its line of the log and control a terminal.
MANY = 'many\n"\x1b[2J/'
MANY_SHOWN = 'many\\u000a\\"\\u001b[2J/'

NAMES = ("operator", "writer")
TOKENS = {name: f"the-token-of-{name}" for name in NAMES}
BEARER = {name: {"Authorization": f"Bearer {TOKENS[name]}"} for name in NAMES}


def expect(got, expected):
    assert got == expected, f"expected {expected}, got {got}"


def rules():
    digest = {name: hashlib.sha256(TOKENS[name].encode()).hexdigest() for name in NAMES}
    return ("access: {tokens: ["
            f"{{name: operator, sha256: {digest['operator']}, read: [''], "
            "admin: [clients, slowlog, cluster]}, "
            f"{{name: writer, sha256: {digest['writer']}, read: [''], write: ['']}}]}}\n")


def ask(server, path, name="operator"):
    status, headers, body = server.request("GET", path, headers=BEARER.get(name))
    return status, json.loads(body) if headers["content-type"] == "application/json" else body


def websocket(server, n_subscriptions):
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall((f"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        f"Sec-WebSocket-Key: {key}\r\n"
                        f"Authorization: Bearer {TOKENS['writer']}\r\n\r\n").encode())
    while b"\r\n\r\n" not in connection.recv(4096):
        pass
    for i in range(n_subscriptions):
        text = json.dumps({"type": "subscribe", "payload": {"key": f"k{i}"}}).encode()
        connection.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
    return connection


def events(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", "/events?prefix=a&prefix=b", headers=BEARER["writer"])
    return connection.getresponse()


def kept(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", "/storage/a", headers=BEARER["writer"])
    connection.getresponse().read()
    return connection


def clients(server, query=""):
    status, page = ask(server, "/admin/clients" + query)
    expect(status, 200)
    return page


def test_clients(report, server):
    held = [websocket(server, 3), events(server), kept(server)]

    def seen():
        def by_transport():
            found = {}
            for client in clients(server)["clients"]:
                found.setdefault((client["transport"], client.get("name")), client)
            return found
        wait_for(lambda: by_transport().get(("websocket", "writer"), {}).get("subscriptions") == 3,
                 "the subscriptions of the WebSocket are not seen")
        found = by_transport()
        expect(found[("events", "writer")]["subscriptions"], 2)
        for client in found.values():
            expect((client["address"], client["tls"], client["unix"]), ("127.0.0.1", False, False))
            assert client["age"] >= 0 and client["unsent"] >= 0
        assert ("http", "writer") in found
        assert ("http", "operator") in found, "it does not see itself"

    def no_token():
        text = server.request("GET", "/admin/clients", headers=BEARER["operator"])[2].decode()
        assert not any(token in text for token in TOKENS.values())

    def pages():
        crowd = [kept(server) for _ in range(25)]
        ids, cursor, n_pages = [], "", 0
        while cursor is not None:
            page = clients(server, f"?limit=10&cursor={cursor or 0}")
            assert len(page["clients"]) <= 10
            ids += [client["id"] for client in page["clients"]]
            cursor, n_pages = page.get("cursor"), n_pages + 1
        expect(ids, sorted(set(ids)))
        assert n_pages >= 3 and len(ids) >= 28
        for connection in crowd:
            connection.close()

    def refusals():
        expect(ask(server, "/admin/clients", "writer")[0], 403)
        expect(ask(server, "/admin/clients", None)[0], 401)
        expect(ask(server, "/admin/clients?limit=0")[0], 400)
        expect(ask(server, "/admin/clients?limit=1001")[0], 400)
        expect(ask(server, "/admin/clients?sort=age")[0], 400)

    report.check("clients are seen with what they use", seen)
    report.check("no token is shown", no_token)
    report.check("they come in pages", pages)
    report.check("it takes the right to it", refusals)
    for connection in held:
        connection.close()


CROWD = 400
LIMIT_KIB = 4096


def peak_kib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmHWM:")).split()[1])


def most_kib(server):
    """AddressSanitizer keeps what has been freed for a while."""
    with open(f"/proc/{server.process.pid}/maps", encoding="utf-8") as maps:
        return (4 if "libasan" in maps.read() else 2) * LIMIT_KIB


def test_crowd(report):
    def ask_at_once(server):
        crowd = [kept(server) for _ in range(CROWD)]
        before = peak_kib(server)
        server.stop()  # so that it finds all requests at once
        for connection in crowd:
            connection.request("GET", "/admin/clients?limit=1000", headers=BEARER["operator"])
        server.go_on()
        statuses = {connection.getresponse().status for connection in crowd}
        assert statuses <= {200, 507}, statuses
        grown = peak_kib(server) - before
        assert grown < most_kib(server), f"{grown} KiB were used"

    def bounded():
        server = Server(rules() + f"threads: 2\nlimits: {{memory: {LIMIT_KIB}KiB}}\n")
        try:
            ask_at_once(server)
        finally:
            server.end()

    report.check("many requests at once are bounded", bounded)


def test_readiness(report, server):
    def verbose():
        status, answer = ask(server, "/readyz?verbose", None)
        expect((status, answer), (200, {"status": "ready", "store": "open",
                                        "sinks": {"number": 1, "waiting": 0},
                                        "keys": {"sources": 0, "missing": 0}}))

    report.check("readiness is described, to anybody", verbose)


LATE = ["late/" + "x" * n for n in range(1, 41)]


def read_late(server):
    """Requests much at once, and reads the answers when the server holds them back."""
    for key in LATE:
        expect(server.request("POST", "/storage/" + key, json.dumps({"value": "v" * 8000}),
                              BEARER["writer"])[0], 202)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(PATIENCE_S)
    connection.connect(("127.0.0.1", server.port))
    heads = [f"GET /storage/{key}?{'q' * 4000} HTTP/1.1\r\nHost: localhost\r\n"
             f"Authorization: Bearer {TOKENS['writer']}\r\n" for key in 50 * LATE]
    sender = threading.Thread(target=connection.sendall, args=(
        ("\r\n".join(heads) + "Connection: close\r\n\r\n").encode(),))
    sender.start()
    wait_for(lambda: any(client["unsent"] > 50000 for client in clients(server)["clients"]),
             "no answers are held back")
    while connection.recv(1 << 16):
        pass
    sender.join()
    connection.close()


def test_slow_reader(report, server):
    def slow():
        read_late(server)
        commands = [command for command in ask(server, "/admin/slowlog")[1]["commands"]
                    if command["operation"] == "get"]
        assert commands, "no command was slow"
        for command in commands:
            assert command["key"] in LATE and len(command["key"]) == command["key_length"], command

    report.check("a command whose answer had to wait is seen with its key", slow)


def test_slow_log(report, server):
    for at in range(0, 60000, 10000):
        sets = [{"type": "set", "payload": {"key": MANY + str(i), "value": i}}
                for i in range(at, at + 10000)]
        expect(server.request("POST", "/batch", json.dumps(sets), BEARER["writer"])[0], 200)

    def slow():
        def found():
            server.request("GET", "/storage?count=true&prefix=" + urllib.parse.quote(MANY), headers=BEARER["writer"])
            return [command for command in ask(server, "/admin/slowlog")[1]["commands"]
                    if command["operation"] == "list"]
        wait_for(lambda: found() and f'slow: list "{MANY_SHOWN}" took' in server.read_log(),
                 "no command is slow")  # five lines a second are logged, of whatever command
        command = found()[0]
        expect((command["key"], command["key_length"]), (MANY, len(MANY)))
        expect((command["client"], command["address"], command["outcome"]),
               ("writer", "127.0.0.1", "ok"))
        assert command["duration"] >= 1 and command["time"] > 1_700_000_000_000

    def newest_first():
        numbers = [command["number"] for command in ask(server, "/admin/slowlog")[1]["commands"]]
        expect(numbers, sorted(numbers, reverse=True))
        assert len(numbers) <= 128

    def refusals():
        expect(ask(server, "/admin/slowlog", "writer")[0], 403)
        expect(ask(server, "/admin/slowlog", None)[0], 401)
        expect(server.request("PUT", "/admin/slowlog", "{}", BEARER["operator"])[0], 405)
        for name, status in ("writer", 403), (None, 401), ("operator", 409):  # the store is none that is shared
            expect(ask(server, "/admin/cluster", name)[0], status)

    report.check("slow commands are seen", slow)
    report.check("the newest come first, and no more than 128", newest_first)
    report.check("it takes the right to it, too", refusals)


def main():
    report = Report()
    server = Server(rules() + "log: {slow: 1ms}\nthreads: 3\n"
                    "limits: {unsent_per_connection: 64KiB, pending_per_connection: 64}\n"
                    "sinks: [{module: file, options: {path: '%folder/changes'}}]\n")
    try:
        test_clients(report, server)
        test_crowd(report)
        test_readiness(report, server)
        test_slow_log(report, server)
        test_slow_reader(report, server)
    finally:
        server.end()
    sys.exit(report.end())


main()
