#!/usr/bin/env python3
"""Compares the running server with openapi.yaml and asyncapi.yaml.

Every request below is made; its answer must be described: the status of the operation, the media
type of the status, and the schema of the media type. In turn every operation, and every status
that a client can bring about at will, must have been seen. The same for the messages of the
WebSocket. Prints TAP.
"""
import base64
import json
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
from kvserver import Report, Server  # pylint: disable=wrong-import-position

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"1..0 # SKIP {missing}")
    sys.exit(77)

# Statuses that need a failing server, or another store; other tests cover these.
UNSEEN = {"500", "503", "507"}
UNSEEN_AT = {("/storage", "get", "409"), ("/admin/cluster", "get", "200"),
             ("/admin/restore", "put", "200"), ("/admin/restore", "put", "400"), ("/admin/restore", "put", "413"),
             ("/admin/restore", "post", "200"), ("/admin/restore", "post", "400"),
             ("/admin/restore", "delete", "200"), ("/admin/restore", "delete", "400")}
UNSEEN_MESSAGES = {"ended", "expiring"}
NOT_COUNTED = {"/healthz", "/readyz"}  # for rates


def start():
    """A server with a small limit of values, and a hook that refuses."""
    return Server(files={"hook.lua": 'function before_set() kv.refuse("not this one") end\n'
                                     'function before_delete() kv.refuse("not this one") end\n'},
                  more="scripts: [{file: hook.lua, prefixes: [refused/]}]\n"
                       "limits: {key: 1KiB, value: 64KiB, message: 128KiB}\n")


def start_limited():
    """A server that takes one request a day."""
    return Server(more="access: {anonymous: {read: [''], write: ['']}, rates: {requests: 1/d, per: [address]}}\n")


class Document:
    """A document with references, as the server serves it."""

    def __init__(self, server, path):
        status, headers, body = server.request("GET", path)
        assert status == 200 and headers["content-type"] == "application/yaml", (path, status)
        self.root = yaml.safe_load(body)
        self.resolver = jsonschema.RefResolver("", self.root)

    def resolve(self, node):
        while "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def validate(self, value, schema):
        jsonschema.Draft202012Validator(schema, resolver=self.resolver).validate(value)

    def all_references(self):
        return self.references(self.root)

    def references(self, node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            children = node.values()
        else:
            children = node if isinstance(node, list) else []
        for child in children:
            yield from self.references(child)


# ---- HTTP ----

SET = json.dumps({"value": {"name": "Ada"}, "ttl": "1 hour"})
MERGE = {"Content-Type": "application/merge-patch+json"}
ELSEWHERE = {"Origin": "https://elsewhere.example"}
LONG = "x" * 2000


def requests(revision):
    """(path of the document, method, path, body, headers, status)"""
    key, etag = "/storage/{key}", {"If-Match": f'"{revision}"'}
    never = {"If-Match": '"1"'}
    long_body = json.dumps({"value": "y" * 200000})
    return [
        (key, "GET", "/storage/ada", None, {}, 200),
        (key, "GET", "/storage/nobody", None, {}, 204),
        (key, "GET", "/storage/ada", None, {"If-None-Match": f'"{revision}"'}, 304),
        (key, "GET", "/storage/%ff", None, {}, 400),
        (key, "GET", "/storage/ada", None, never, 412),
        (key, "GET", "/storage/" + LONG, None, {}, 414),
        (key, "HEAD", "/storage/ada", None, {}, 200),
        (key, "HEAD", "/storage/nobody", None, {}, 204),
        (key, "HEAD", "/storage/ada", None, {"If-None-Match": "*"}, 304),
        (key, "HEAD", "/storage/%f", None, {}, 400),
        (key, "HEAD", "/storage/ada", None, never, 412),
        (key, "HEAD", "/storage/" + LONG, None, {}, 414),
        (key, "POST", "/storage/ada", SET, etag, 202),
        (key, "POST", "/storage/ada", '{"value": 1, "ttl": "soon"}', {}, 400),
        (key, "POST", "/storage/refused/1", SET, {}, 403),
        (key, "POST", "/storage/ada", SET, ELSEWHERE, 403),
        (key, "POST", "/storage/ada", SET, never, 412),
        (key, "POST", "/storage/ada", long_body, {}, 413),
        (key, "POST", "/storage/" + LONG, SET, {}, 414),
        (key, "PUT", "/storage/new", SET, {"If-None-Match": "*"}, 202),
        (key, "PUT", "/storage/new", "[]", {}, 400),
        (key, "PUT", "/storage/refused/1", SET, {}, 403),
        (key, "PUT", "/storage/new", SET, {"If-None-Match": "*"}, 412),
        (key, "PUT", "/storage/new", long_body, {}, 413),
        (key, "PUT", "/storage/" + LONG, SET, {}, 414),
        (key, "PATCH", "/storage/visits", '{"increment": 2, "ttl": "1 day"}', {}, 200),
        (key, "PATCH", "/storage/ada", '{"city": "Paris", "name": null}', MERGE, 200),
        (key, "PATCH", "/storage/ada", '{"ttl": "2 hours"}', {}, 202),
        (key, "PATCH", "/storage/ada", "{}", {}, 400),
        (key, "PATCH", "/storage/refused/1", '{"increment": 1}', {}, 403),
        (key, "PATCH", "/storage/nobody", '{"ttl": 5000}', {}, 404),
        (key, "PATCH", "/storage/ada", '{"increment": 1}', {}, 409),
        (key, "PATCH", "/storage/ada", '{"a": 1}', MERGE | never, 412),
        (key, "PATCH", "/storage/ada", long_body, MERGE, 413),
        (key, "PATCH", "/storage/" + LONG, '{"increment": 1}', {}, 414),
        (key, "DELETE", "/storage/new", None, {}, 200),
        (key, "DELETE", "/storage/%zz", None, {}, 400),
        (key, "DELETE", "/storage/refused/1", None, {}, 403),
        (key, "DELETE", "/storage/ada", None, never, 412),
        (key, "DELETE", "/storage/ada", None, {"If-None-Match": "*"}, 412),
        (key, "DELETE", "/storage/" + LONG, None, {}, 414),
        ("/storage", "GET", "/storage?prefix=&limit=1&values=true", None, {}, 200),
        ("/storage", "GET", "/storage?delimiter=/", None, {}, 200),
        ("/storage", "GET", "/storage?count=true", None, {}, 200),
        ("/storage", "GET", "/storage?limit=0", None, {}, 400),
        ("/storage", "GET", "/storage?prefix=" + LONG, None, {}, 414),
        ("/batch", "POST", "/batch", json.dumps(
            [{"type": "set", "payload": {"key": "a", "value": 1}},
             {"type": "get", "id": 1, "payload": {"key": "a"}},
             {"type": "nonsense"}]), {}, 200),
        ("/batch", "POST", "/batch", "{}", {}, 400),
        ("/batch", "POST", "/batch", "[]", ELSEWHERE, 403),
        ("/batch", "POST", "/batch", "[" + "{}," * 10000 + "{}]", {}, 413),
        ("/events", "GET", "/events?key=ada&initial=true", None, {}, 200),
        ("/events", "GET", "/events", None, {}, 400),
        ("/events", "GET", "/events?key=" + LONG, None, {}, 414),
        ("/ws", "GET", "/ws", None, {}, 426),
        ("/ws", "GET", "/ws", None, upgrade(), 101),
        ("/ws", "GET", "/ws", None, upgrade() | ELSEWHERE, 403),
        ("/ws", "GET", "/ws", None, upgrade() | {"Sec-WebSocket-Key": "short"}, 400),
        ("/", "GET", "/", None, {}, 200),
        ("/metrics", "GET", "/metrics", None, {}, 200),
        ("/metrics", "GET", "/metrics", None, {"Accept": "application/openmetrics-text"}, 200),
        ("/admin/backup", "GET", "/admin/backup", None, {}, 200),
        ("/admin/restore", "PUT", "/admin/restore?offset=0", "x", {}, 409),
        ("/admin/restore", "POST", "/admin/restore", None, {}, 409),
        ("/admin/restore", "DELETE", "/admin/restore", None, {}, 409),
        ("/admin/clients", "GET", "/admin/clients?limit=5", None, {}, 200),
        ("/admin/clients", "GET", "/admin/clients?limit=0", None, {}, 400),
        ("/admin/slowlog", "GET", "/admin/slowlog", None, {}, 200),
        ("/admin/cluster", "GET", "/admin/cluster", None, {}, 409),
        ("/healthz", "GET", "/healthz", None, {}, 200),
        ("/readyz", "GET", "/readyz", None, {}, 200),
        ("/openapi.yaml", "GET", "/openapi.yaml", None, {}, 200),
        ("/asyncapi.yaml", "GET", "/asyncapi.yaml", None, {}, 200),
    ]


def upgrade():
    return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode()}


def hold(document, operation, status, headers, body):
    """The answer matches the document."""
    described = document.resolve(operation["responses"][str(status)])
    for name, header in described.get("headers", {}).items():
        value = headers.get(name)
        if value is not None:
            document.validate(value, document.resolve(header)["schema"])
    content = described.get("content")
    if content is None:
        assert not body, f"a body that is not described: {body!r}"
        return
    media_type = headers["content-type"]
    assert media_type in content, f"{media_type} is not described"
    if media_type == "application/json":
        document.validate(json.loads(body), content[media_type]["schema"])


def operations(document):
    """(path of the document, method, description of the operation)"""
    for place, item in document.root["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield place, method, operation


def test_rates(report, document, seen):
    """Every operation beyond the rate, except those that do not count."""
    server = start_limited()

    def make(place, method, operation):
        status, answered, text = server.request(method.upper(), place.replace("{key}", "a"))
        if place in NOT_COUNTED:
            assert status == 200 and "429" not in operation["responses"], status
            return
        assert status == 429 and answered["retry-after"] is not None, f"got {status}: {text[:200]!r}"
        seen.add((place, method, "429"))
        hold(document, operation, status, answered, text)

    try:
        report.check("a request within the rate is served",
                     lambda: expect_status(server.request("GET", "/storage/a"), 204))
        for place, method, operation in operations(document):
            report.check(f"{method.upper()} {place} beyond the rate is answered as described",
                         lambda args=(place, method, operation): make(*args))
    finally:
        server.end()


def expect_status(answer, status):
    assert answer[0] == status, answer


def test_http(report, server):
    document = Document(server, "/openapi.yaml")
    report.check("references of /openapi.yaml lead somewhere",
                 lambda: [document.resolve({"$ref": name}) for name in document.all_references()])
    server.request("POST", "/storage/ada", SET)
    revision = server.request("GET", "/storage/ada")[1]["etag"].strip('"')
    seen = set()

    def make(place, method, path, body, headers, expected):
        operation = document.root["paths"][place][method.lower()]
        status, answered, text = server.request(method, path, body, headers)
        assert status == expected, f"got {status}: {text[:200]!r}"
        seen.add((place, method.lower(), str(status)))
        hold(document, operation, status, answered, text)

    for place, method, path, body, headers, status in requests(revision):
        name = path if len(path) < 60 else path[:20] + "…"
        report.check(f"{method} {name} is answered {status}, as described",
                     lambda args=(place, method, path, body, headers, status): make(*args))

    test_rates(report, document, seen)
    described = {(place, method, status)
                 for place, method, operation in operations(document)
                 for status in operation["responses"] if status not in UNSEEN} - UNSEEN_AT

    def all_seen():
        assert described == seen, f"not seen: {sorted(described - seen)}"
    report.check("every status that is described was seen", all_seen)


# ---- WebSocket ----

class WebSocket:
    """As much of RFC 6455 as short messages need."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        lines = ["GET /ws HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in upgrade().items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.input = self.socket.makefile("rb")
        assert b" 101 " in self.input.readline()
        while self.input.readline() != b"\r\n":
            pass

    def send(self, message):
        text = json.dumps(message).encode()
        assert len(text) < 65536
        length = (struct.pack("!B", 0x80 | len(text)) if len(text) < 126
                  else struct.pack("!BH", 0x80 | 126, len(text)))
        mask = b"\1\2\3\4"
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
        self.socket.sendall(b"\x81" + length + mask + masked)

    def receive(self):
        while True:
            first, length = self.input.read(2)
            if length == 126:
                length = struct.unpack("!H", self.input.read(2))[0]
            payload = self.input.read(length)
            if first == 0x81:
                return json.loads(payload)
            assert first in (0x89, 0x8a), f"a frame that begins with {first:#x}"

    def close(self):
        self.input.close()
        self.socket.close()


# Messages, and the names in the document of their answers.
EXCHANGES = [
    ({"type": "hello", "id": 1}, ["welcome"]),
    ({"type": "auth", "id": 0, "payload": {"token": "any, where there are no rules"}}, ["ok"]),
    ({"type": "set", "id": 2, "payload": {"key": "ws/a", "value": [1], "ttl": "1 hour"}}, ["ok"]),
    ({"type": "get", "payload": {"key": "ws/a"}}, ["value"]),
    ({"type": "get", "id": "x", "payload": {"key": "ws/a", "meta": True}}, ["value"]),
    ({"type": "get", "payload": {"key": "ws/none", "meta": True}}, ["noValue"]),
    ({"type": "touch", "id": 3, "payload": {"key": "ws/a", "ttl": 60000}}, ["ok"]),
    ({"type": "touch", "payload": {"key": "ws/none", "ttl": 60000}}, ["noValue"]),
    ({"type": "increment", "payload": {"key": "ws/n", "by": 2, "ttl": "1 day"}}, ["value"]),
    ({"type": "increment", "payload": {"key": "ws/a"}}, ["error"]),
    ({"type": "merge", "id": 4, "payload": {"key": "ws/m", "patch": {"a": 1}}}, ["value"]),
    ({"type": "set", "id": 5,
      "payload": {"key": "ws/l", "value": 1, "ttl": "30s", "while_connected": True}}, ["ok"]),
    ({"type": "subscribe", "id": 6, "payload": {"key": "ws/a", "initial": True}},
     ["ok", "value", "synced"]),
    ({"type": "subscribe", "payload": {"key": "ws/none", "initial": True, "meta": True}},
     ["noValue", "synced"]),
    ({"type": "subscribe", "id": 7, "payload": {"prefix": "ws/p/", "meta": True}}, ["ok"]),
    ({"type": "set", "payload": {"key": "ws/p/1", "value": 1, "ttl": "1 hour"}}, ["value"]),
    ({"type": "delete", "payload": {"key": "ws/p/1"}}, ["noValue"]),
    ({"type": "subscribe", "payload": {"prefix": "ws/q/", "since": 1, "epoch": "another"}},
     ["reset", "synced"]),
    ({"type": "unsubscribe", "id": 8, "payload": {"prefix": "ws/p/"}}, ["ok"]),
    ({"type": "delete", "id": 9, "payload": {"key": "ws/a"}}, {"ok", "noValue"}),
    ({"type": "nonsense", "id": 10}, ["error"]),
]


def test_websocket(report, server):
    document = Document(server, "/asyncapi.yaml")
    messages = document.root["components"]["messages"]
    report.check("references of /asyncapi.yaml lead somewhere",
                 lambda: [document.resolve({"$ref": name}) for name in document.all_references()])
    for name, message in messages.items():
        for example in message.get("examples", []):
            report.check(f"an example of {name} is as described",
                         lambda args=(example["payload"], message["payload"]):
                         document.validate(*args))
    connection = WebSocket(server.port)
    seen = set()

    def receive(names):
        answer = connection.receive()
        for name in names:
            if answer["type"] == document.resolve(messages[name])["name"]:
                document.validate(answer, messages[name]["payload"])
                seen.add(name)
                return name
        raise AssertionError(f"expected {names}, got {answer}")

    def exchange(message, expected):
        if message["type"] != "nonsense":
            document.validate(message, messages[message["type"]]["payload"])
            seen.add(message["type"])
        connection.send(message)
        if isinstance(expected, set):  # in any order
            left = set(expected)
            while left:
                left.remove(receive(left))
            return
        for name in expected:
            receive([name])

    for message, expected in EXCHANGES:
        report.check(f"{message['type']} {json.dumps(message.get('payload'))} is answered"
                     f" {', '.join(sorted(expected))}",
                     lambda args=(message, expected): exchange(*args))
    connection.close()

    def all_seen():
        expected = set(messages) - UNSEEN_MESSAGES
        assert seen == expected, f"not seen: {sorted(expected - seen)}"
    report.check("every message that is described was seen", all_seen)


def main():
    server = start()
    report = Report()
    try:
        test_http(report, server)
        test_websocket(report, server)
    finally:
        server.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
