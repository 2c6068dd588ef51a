#!/usr/bin/env python3
"""The store and the sink `redis` with a Redis that takes TLS only, checks its clients' certificates, and
gives a user the rights of the store's README. Prints TAP.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
from kvserver import Report, Server, wait_for  # pylint: disable=wrong-import-position
from ports import reserve_port  # pylint: disable=wrong-import-position
from redis_servers import Cluster, Redis, Sentinel, require_redis  # pylint: disable=wrong-import-position

NAME = "redis.test"
RIGHTS = "~kv{0}* &kv{0}* +@all -@dangerous +client|kill +info".split()
LONG = 3_000_000


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-days", "2", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_certificate(folder, name, also=""):
    """also: further names, each behind a comma."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}{also}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.pem")


class Tests:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kv-redis-tls-")
        for authority in ("ca", "stranger"):
            make_authority(self.folder.name, authority)
        for name in (NAME, "kvserver"):
            make_certificate(self.folder.name, name)
        make_certificate(self.folder.name, "node", ",IP:127.0.0.1")
        openssl(self.folder.name, "pkey", "-in", "kvserver.key", "-aes256", "-passout", "pass:secret",
                "-out", "encrypted.key")
        shutil.copy(self.file("kvserver.pem"), self.file("encrypted.pem"))
        self.port = reserve_port()
        self.redis = Redis("--tls-port", str(self.port), "--tls-cert-file", self.file(NAME + ".pem"),
                           "--tls-key-file", self.file(NAME + ".key"),
                           "--tls-ca-cert-file", self.file("ca.pem"), "--tls-auth-clients", "yes",
                           has_port=False)
        self.ask("ACL SETUSER kv on >secret ~kvserver", *RIGHTS)

    def ask(self, *words):
        answer = self.redis.ask(*words)
        assert not answer.startswith("-"), answer
        return answer

    def file(self, name):
        return os.path.join(self.folder.name, name)

    def tls(self, ca="ca", cert="kvserver", name=NAME):
        tls = f"ca: {self.file(ca + '.pem')}"
        if name:
            tls += f", name: {name}"
        if cert:
            tls += f", cert: {self.file(cert + '.pem')}, key: {self.file(cert + '.key')}"
        return f"tls: {{{tls}}}"

    def options(self, password="secret", where="", **tls):
        where = where or f"port: {self.port}"
        return f"{where}, timeout: 2s, user: kv, password: {password}, {self.tls(**tls)}"

    def cluster(self):
        """By the addresses that the nodes tell, and by one name for all; also when a master is replaced."""
        files = self.file("node.pem"), self.file("node.key"), self.file("ca.pem")
        cluster = Cluster(arguments=["--tls-port", "%port", "--tls-cluster", "yes", "--tls-replication", "yes",
                                     "--tls-cert-file", files[0], "--tls-key-file", files[1],
                                     "--tls-ca-cert-file", files[2], "--tls-auth-clients", "yes"], has_port=False,
                          cli=["--tls", "--cert", files[0], "--key", files[1], "--cacert", files[2]])
        where = f'nodes: ["127.0.0.1:{cluster.nodes[0].port}"]'
        servers = [Server(store="redis", options=f"{where}, timeout: 10s, {self.tls(name=name)}") for name in ("", "node")]

        def check(round_):
            for i in range(20):
                body = json.dumps({"value": [round_, i]})
                status = servers[i % 2].request("PUT", f"/storage/{i}", body)[0]
                assert status == 202, status
                answer = servers[1 - i % 2].request("GET", f"/storage/{i}")[2]
                assert json.loads(answer)["value"] == [round_, i], answer
        check(1)
        try:
            Server(store="redis", options=f"{where}, timeout: 1s, {self.tls(name='other.test')}").end()
        except AssertionError as fault:
            assert "hostname mismatch" in str(fault), fault
        else:
            raise AssertionError("it has started")
        cluster.masters()[0].kill()
        cluster.wait_for_masters()
        for server in servers:
            wait_for(lambda server=server: server.request("GET", "/readyz")[0] == 200, "a server is not ready again")
        check(2)
        for server in servers:
            server.end()
        cluster.end()

    def shared(self):
        one = Server(store="redis", options=self.options())
        two = Server(store="redis", options=self.options())
        for key, value in (("short", 1), ("long", "x" * LONG)):
            status = one.request("PUT", "/storage/" + key, json.dumps({"value": value}))[0]
            assert status == 202, status
            status, _, body = two.request("GET", "/storage/" + key)
            assert status == 200 and json.loads(body)["value"] == value, (status, body[:100])
        one.end()
        two.end()

    def cut_connections(self):
        one = Server(store="redis", options=self.options())
        for i in range(40):
            if i % 8 == 0:
                self.ask("CLIENT KILL TYPE pubsub")
            status = one.request("PUT", "/storage/cut", json.dumps({"value": i}))[0]
            assert status in (202, 504), status
        assert one.request("PUT", "/storage/cut", json.dumps({"value": "end"}))[0] == 202
        one.end()

    def sink(self):
        sink = f"sinks:\n  - {{module: redis, options: {{{self.options()}, name: kvserver}}}}\n"
        one = Server(sink)
        for i in range(10):
            assert one.request("PUT", f"/storage/{i}", json.dumps({"value": "y" * 100_000}))[0] == 202
        wait_for(lambda: self.redis.ask("XLEN kvserver") == ":10\r\n", "the sink delivers nothing")
        one.end()

    def sentinel(self):
        """TLS is for the sentinels as well, and theirs are the same authority and name."""
        port = reserve_port()
        sentinel = Sentinel(self.redis, 1, 1000, f"tls-port {port}", "tls-replication yes",
                            f"tls-cert-file {self.file(NAME + '.pem')}", f"tls-key-file {self.file(NAME + '.key')}",
                            f"tls-ca-cert-file {self.file('ca.pem')}", has_port=False, announced_port=self.port)
        one = Server(store="redis", options=self.options(where=f'sentinels: ["127.0.0.1:{port}"], master: main'))
        assert one.request("PUT", "/storage/guarded", json.dumps({"value": 1}))[0] == 202
        one.end()
        sentinel.end()

    def refused(self, text, **options):
        try:
            Server(store="redis", options=self.options(**options)).end()
        except AssertionError as fault:
            assert text in str(fault), fault
        else:
            raise AssertionError("it has started")

    def end(self):
        self.redis.end()
        self.folder.cleanup()


def main():
    require_redis()
    report, tests = Report(), Tests()
    report.check("servers share a Redis by TLS, long values included", tests.shared)
    report.check("a connection by TLS that is cut is made anew", tests.cut_connections)
    report.check("the sink delivers by TLS", tests.sink)
    report.check("the master is found at a sentinel by TLS", tests.sentinel)
    report.check("servers share a cluster by TLS, and reach a replica that takes over", tests.cluster)
    report.check("a certificate of another authority is refused",
                 lambda: tests.refused("its certificate: ", ca="stranger"))
    report.check("a certificate for another name is refused",
                 lambda: tests.refused("its certificate: hostname mismatch", name="other.test"))
    report.check("a certificate is for an address only where it says so",
                 lambda: tests.refused("its certificate: IP address mismatch", name="127.0.0.1"))
    report.check("Redis refuses a server without a certificate",
                 lambda: tests.refused("closed the connection", cert=""))
    report.check("an encrypted key is refused, and nobody is asked for its passphrase",
                 lambda: tests.refused("encrypted.key: it is encrypted", cert="encrypted"))
    report.check("a wrong password is told",
                 lambda: tests.refused("HELLO: WRONGPASS", password="other"))
    tests.end()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
