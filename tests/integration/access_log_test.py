#!/usr/bin/env python3
"""The access log, and a server whose log is not read. Prints TAP."""
import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position

TOKEN = "the-secret-token-of-the-writer"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LONG_KEY = "k" * 47 + "é" + "z" * 100  # cut within a character
JSON_LOG = "log: {level: error, format: json, access: 1}"


def rules():
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return (f"access: {{tokens: [{{name: writer, sha256: {digest}, read: [''], write: [''], "
            "admin: [metrics]}]}\n")


def expect(got, expected):
    assert got == expected, f"expected {expected}, got {got}"


def lines(server):
    """The lines of the access log, parsed from JSON."""
    found = [json.loads(line) for line in server.read_log().splitlines() if line[0] == "{"]
    return [line for line in found if line["subject"] == "request"]


def expect_line(server, **members):
    """Waits for a line with these members. Returns it."""
    found = []

    def is_there():
        found[:] = [line for line in lines(server)
                    if all(line.get(name) == value for name, value in members.items())]
        return found
    wait_for(is_there, f"no line has {members}: {server.read_log()[-4000:]}")
    return found[0]


def reload(server, log):
    with open(server.path, encoding="utf-8") as file:
        text = re.sub("^log: .*$", log.strip(), file.read(), flags=re.MULTILINE)
    with open(server.path, "w", encoding="utf-8") as file:
        file.write(text)
    server.process.send_signal(signal.SIGHUP)


class WebSocket:
    """The part of a client that the test needs."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /ws?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n"
                             "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                             f"Authorization: Bearer {TOKEN}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.socket.recv(4096):
            pass

    def send(self, message):
        text = json.dumps(message).encode()
        self.socket.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)


def test_http(report, server):
    def commands():
        expect(server.request("PUT", "/storage/a%20key", '{"value": "1234"}', BEARER)[0], 202)
        line = expect_line(server, operation="set", key="a key")
        expect({name: line[name] for name in ("transport", "status", "outcome", "bytes", "client",
                                              "address", "level")},
               {"transport": "http", "status": 202, "outcome": "ok", "bytes": 6, "level": "info",
                "client": "writer", "address": "127.0.0.1"})
        assert 0 <= line["duration"] < PATIENCE_S * 1000
        server.request("GET", "/storage/a%20key", None, BEARER)
        expect(expect_line(server, operation="get", key="a key")["bytes"], 6)
        server.request("GET", "/storage/gone", None, BEARER)
        line = expect_line(server, operation="get", key="gone")
        expect((line["status"], line["outcome"], line["bytes"]), (204, "missing", 0))
        server.request("GET", "/storage?prefix=a", None, BEARER)
        expect_line(server, operation="list", key="a", status=200)
        server.request("DELETE", "/storage/a%20key", None, {**BEARER, "If-Match": '"1"'})
        expect_line(server, operation="delete", key="a key", status=412,
                    outcome="condition_failed")

    def others():
        server.request("GET", f"/nothing?token={TOKEN}", None, BEARER)
        line = expect_line(server, method="GET", path="/nothing", status=404)
        assert "operation" not in line and line["bytes"] > 0
        server.request("GET", "/storage/secret")
        line = expect_line(server, operation="get", key="secret", status=401)
        assert "client" not in line
        server.request("GET", "/storage/secret", None, {"Authorization": f"Bearer {TOKEN}x"})
        expect_line(server, method="GET", path="/storage/secret", status=401)
        server.request("GET", "/metrics", None, {**BEARER, "X-More": "1"})
        expect_line(server, method="GET", path="/metrics", status=200, client="writer")
        server.request("GET", "/events?key=a", None, BEARER)
        expect_line(server, method="GET", path="/events", status=200)

    def batch():
        server.request("POST", "/batch", json.dumps(
            [{"type": "get", "payload": {"key": "b1"}},
             {"type": "set", "payload": {"key": "b2", "value": [1]}}]), BEARER)
        expect_line(server, transport="batch", operation="get", key="b1", outcome="missing")
        expect_line(server, transport="batch", operation="set", key="b2", outcome="ok", bytes=3)
        expect_line(server, transport="http", method="POST", path="/batch", status=200)

    def short():
        server.request("POST", "/batch",
                       json.dumps([{"type": "get", "payload": {"key": LONG_KEY}}]), BEARER)
        expect_line(server, transport="batch", key="k" * 47 + "…")
        server.request("GET", "/" + "p" * 100, None, BEARER)
        expect_line(server, path="/" + "p" * 47 + "…")

    report.check("requests that are commands are logged", commands)
    report.check("so are others, without their query", others)
    report.check("so is each message of a batch", batch)
    report.check("keys and paths are cut between characters", short)


def test_websocket(report, server):
    connection = WebSocket(server)

    def messages():
        expect_line(server, method="GET", path="/ws", status=101)
        connection.send({"type": "set", "payload": {"key": "w", "value": 12}})
        line = expect_line(server, transport="websocket", operation="set", key="w")
        expect((line["status"], line["outcome"], line["bytes"], line["client"]),
               (200, "ok", 2, "writer"))
        connection.send({"type": "get", "payload": {"key": "w"}})
        expect_line(server, transport="websocket", operation="get", key="w", bytes=2)
        connection.send({"type": "subscribe", "payload": {"prefix": "w"}})
        expect_line(server, transport="websocket", operation="subscribe", key="w", status=200)

    def others():
        connection.send({"type": "dance", "payload": {}})
        expect_line(server, transport="websocket", status=400)
        connection.send({"type": "hello"})
        expect_line(server, transport="websocket", status=200, operation=None)

    report.check("messages are logged", messages)
    report.check("so are those that are no commands", others)
    connection.socket.close()


def test_secrecy(report, server):
    def no_token():
        assert TOKEN not in server.read_log()

    report.check("no token is in the log", no_token)


def test_rates(report, server):
    def n_lines():
        return server.read_log().count("request: transport=http operation=get")

    def ask(n, mark):
        """Sends all requests at once."""
        connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        request = (f"GET /storage/{mark} HTTP/1.1\r\nHost: localhost\r\n"
                   f"Authorization: Bearer {TOKEN}\r\n\r\n").encode()
        connection.sendall(request * n)
        received = b""
        while received.count(b"HTTP/1.1 204") < n:
            received += connection.recv(65536)
        connection.close()

    def sampled():
        reload(server, "log: {access: 10}")
        wait_for(lambda: "nothing has changed that needs a restart" in server.read_log(),
                 "it is not reloaded")
        before = n_lines()
        ask(3000, "sampled")
        wait_for(lambda: n_lines() - before > 150, "too few lines")
        assert n_lines() - before < 600
        assert re.search('request: transport=http operation=get key="sampled" status=204 '
                         'outcome=missing bytes=0 duration=[0-9.]+ client="writer" '
                         'address=127.0.0.1\n', server.read_log())

    def off():
        reload(server, "log: {}")
        wait_for(lambda: server.read_log().count("needs a restart") == 2, "it is not reloaded")
        before = n_lines()
        ask(1000, "off")
        reload(server, "log: {access: 1}")
        wait_for(lambda: server.read_log().count("needs a restart") == 3, "it is not reloaded")
        ask(1, "on")
        wait_for(lambda: n_lines() > before, "it is not logged")
        expect(n_lines() - before, 1)

    report.check("SIGHUP changes the share, and one of so many is logged", sampled)
    report.check("SIGHUP switches it off and on", off)


class UnreadServer(Server):
    """A server whose log is a pipe."""

    def spawn(self, command):
        process = processes.start(command, stderr=subprocess.PIPE)
        while b"listening on" not in (line := process.stderr.readline()):
            assert line, "the server has ended"
        self.log.write(line.decode())
        self.log.flush()
        return process


def test_nobody_reads(report):
    server = UnreadServer("log: {access: 1}\n")

    def dropped():
        text = server.request("GET", "/metrics")[2].decode()
        return int(re.search("^kvserver_log_lines_dropped_total ([0-9]+)$", text, re.M)[1])

    def served():
        gets = json.dumps([{"type": "get", "payload": {"key": "k"}}] * 10000)
        expect(dropped(), 0)
        wait_for(lambda: server.request("POST", "/batch", gets)[0] == 200 and dropped() > 0,
                 "the log takes everything")

    read = []

    def told():
        threading.Thread(target=lambda: read.extend(server.process.stderr)).start()
        wait_for(lambda: server.request("GET", "/") and any(
            b"lines before this one were dropped: the log is not read fast enough" in line
            for line in list(read)), "the dropped lines are not reported")

    def ended():
        server.process.terminate()
        expect(server.process.wait(PATIENCE_S), 0)
        wait_for(lambda: read[-1].endswith(b"server: stopped\n"), "the last line is missing")

    report.check("an unread log delays no request", served)
    report.check("dropped lines are reported", told)
    report.check("all that was logged is written at the end", ended)
    server.log.close()
    server.folder.cleanup()


def test_end(report):
    def ends():
        server = UnreadServer("log: {access: 1}\n")
        gets = json.dumps([{"type": "get", "payload": {"key": "k"}}] * 1000)
        server.request("POST", "/batch", gets)
        server.process.terminate()
        expect(server.process.wait(PATIENCE_S), 0)
        server.process.stderr.close()
        server.log.close()
        server.folder.cleanup()

    report.check("the server ends, though nobody reads its log", ends)


def main():
    report = Report()
    server = Server(rules() + "log: {}\nthreads: 2\n")
    try:
        test_rates(report, server)
        reload(server, JSON_LOG)
        wait_for(lambda: server.request("GET", "/") and lines(server), "there is no log of JSON")
        test_http(report, server)
        test_websocket(report, server)
        test_secrecy(report, server)
    finally:
        server.end()
    test_nobody_reads(report)
    test_end(report)
    sys.exit(report.end())


main()
