#!/usr/bin/env python3
"""Tokens that are revoked while a server cannot see the changes in Redis. Prints TAP. It starts a Redis of its own.
"""
import base64
import hashlib
import hmac
import json
import os
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from redis_servers import Proxy, Redis  # pylint: disable=wrong-import-position

SECRET = "0123456789abcdef0123456789abcdef"
OPERATOR = "operator-token-1234567890"
LOG_ENTRIES = 100
UNSURE = "it is not known at the moment which tokens are revoked"
RULES = f"""
access:
  revoked: auth/revoked/
  tokens:
    - {{name: operator, read: [''], write: ['', auth/revoked/], sha256: {hashlib.sha256(OPERATOR.encode()).hexdigest()}}}
  jwt:
    - {{issuer: test, secret: '{SECRET}', grants: {{read: ["user/{{sub}}/"]}}}}
"""


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:200]}, got {str(got)[:200]}"


def coded(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def make_token(subject):
    claims = {"iss": "test", "sub": subject, "jti": f"of-{subject}", "exp": int(time.time()) + 3600}
    signed = coded(b'{"alg":"HS256"}') + "." + coded(json.dumps(claims).encode())
    return signed + "." + coded(hmac.digest(SECRET.encode(), signed.encode(), "sha256"))


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def read_as(server, subject):
    """Returns: the status of a request with the subject's token, and its body."""
    status, _, body = server.request("GET", f"/storage/user/{subject}/x", None, bearer(make_token(subject)))
    return status, body.decode()


def revoke(server, subject, method="PUT"):
    status = server.request(method, f"/storage/auth/revoked/jti/of-{subject}", '{"value": 1}', bearer(OPERATOR))[0]
    expect(status, 202 if method == "PUT" else 200)


def fill_log(server):
    """Writes more than the log keeps, as Redis trims it by whole nodes."""
    now = time.monotonic()
    messages = [{"type": "set", "payload": {"key": f"fill/{i}", "value": now}} for i in range(5 * LOG_ENTRIES)]
    expect(server.request("POST", "/batch", json.dumps(messages), bearer(OPERATOR))[0], 200)


class Meddler(Proxy):
    """A connection to Redis that can be cut, and on which the reading of lists can be made to fail."""

    def __init__(self, path):
        self.is_cut, self.fails_lists, self.peers, self.lock = False, False, [], threading.Lock()
        super().__init__(path)

    def cut(self):
        with self.lock:
            self.is_cut = True
            for peer in self.peers:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:  # it has ended
                    pass
            self.peers = []

    def heal(self):
        self.is_cut = False

    def pass_on(self, source, sink, is_of_redis, has_subscribed):
        with self.lock:
            self.peers.append(source)
            if self.is_cut:
                source.close()
                sink.close()
                return
        super().pass_on(source, Sieve(self, sink), is_of_redis, has_subscribed)


class Sieve:
    """Passes bytes on to a socket; spoils requests for lists."""

    def __init__(self, meddler, sink):
        self.meddler, self.sink = meddler, sink

    def sendall(self, sent):
        self.sink.sendall(sent.replace(b"kv1_scan", b"kv1_none") if self.meddler.fails_lists else sent)

    def shutdown(self, how):
        self.sink.shutdown(how)


class WebSocket:
    """A connection that waits for its end."""

    def __init__(self, server, subject):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                             f"Authorization: Bearer {make_token(subject)}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def close_code(self):
        """Waits for the close frame, the only frame that comes."""
        frame = b""
        while len(frame) < 4:
            more = self.socket.recv(4096)
            assert more, "the connection has ended without a close frame"
            frame += more
        expect(frame[0], 0x88)
        return int.from_bytes(frame[2:4], "big")

    def is_open(self):
        self.socket.settimeout(0.01)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b"ping"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)


class Stream:
    """An event stream that waits for its end."""

    def __init__(self, server, subject):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        self.socket.sendall((f"GET /events?prefix=user/{subject}/&initial=true HTTP/1.1\r\nHost: localhost\r\n"
                             f"Authorization: Bearer {make_token(subject)}\r\n\r\n").encode())
        self.text = b""
        while b"event: synced" not in self.text:
            self.text += self.socket.recv(4096)

    def rest(self):
        while more := self.socket.recv(4096):
            self.text += more
        return self.text


class Tests:
    def __init__(self):
        self.redis = Redis()
        self.proxy = Meddler(self.redis.socket)
        options = f"timeout: 2s, log_entries: {LOG_ENTRIES}"
        self.one = Server(RULES, store="redis", options=f"unix: {self.redis.socket}, {options}")
        self.two = Server(RULES, store="redis", options=f"unix: {self.proxy.path}, {options}")

    def end(self):
        self.two.end()
        self.one.end()
        self.proxy.end()
        self.redis.end()

    def miss(self, change):
        """Makes a change that the second server does not see, and that is no longer in the log when it is back."""
        self.proxy.cut()
        change()
        fill_log(self.one)
        self.proxy.heal()

    def seen_at_the_other(self):
        expect(read_as(self.two, "seen")[0], 204)
        revoke(self.one, "seen")
        wait_for(lambda: read_as(self.two, "seen")[0] == 401, "the revocation is not seen")

    def missed_revocation(self):
        socket_, stream = WebSocket(self.two, "ann"), Stream(self.two, "ann")
        other = WebSocket(self.two, "bob")
        self.miss(lambda: revoke(self.one, "ann"))
        wait_for(lambda: read_as(self.two, "ann")[0] == 401, "a revoked token is valid")
        expect(socket_.close_code(), 3000)
        assert b"event: unauthorized" in stream.rest(), stream.text
        expect(read_as(self.two, "bob")[0], 204)
        assert other.is_open(), "a connection whose token is valid was closed"

    def missed_end_of_a_revocation(self):
        revoke(self.one, "cid")
        wait_for(lambda: read_as(self.two, "cid")[0] == 401, "the revocation is not seen")
        self.miss(lambda: revoke(self.one, "cid", "DELETE"))
        wait_for(lambda: read_as(self.two, "cid")[0] == 204, "the token stays revoked")

    def keys_that_cannot_be_read(self):
        """Nobody is let in by a token that may be revoked, and connections with such tokens are closed."""
        socket_, stream = WebSocket(self.two, "dan"), Stream(self.two, "eve")
        self.proxy.fails_lists = True
        self.miss(lambda: revoke(self.one, "dan"))
        for subject in "dan", "eve":
            wait_for(lambda subject=subject: UNSURE in read_as(self.two, subject)[1], "a token is accepted")
            expect(read_as(self.two, subject)[0], 503)
        expect(socket_.close_code(), 1013)
        assert b"unauthorized" not in stream.rest(), "it is not known that the token is revoked"
        expect(self.two.request("GET", "/storage/x", None, bearer(OPERATOR))[0], 204)
        wait_for(lambda: "no token of an issuer is accepted" in self.two.read_log(), "the operator is not told")
        self.proxy.fails_lists = False
        wait_for(lambda: read_as(self.two, "eve")[0] == 204, "the tokens are not known again")
        expect(read_as(self.two, "dan")[0], 401)


def main():
    report, tests = Report(), Tests()
    report.check("a token that is revoked at one server is refused by another", tests.seen_at_the_other)
    report.check("a revocation that was missed applies when Redis is there again", tests.missed_revocation)
    report.check("the end of a revocation that was missed applies as well", tests.missed_end_of_a_revocation)
    report.check("no token of an issuer is accepted while the keys cannot be read", tests.keys_that_cannot_be_read)
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
