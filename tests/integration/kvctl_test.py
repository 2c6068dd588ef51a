#!/usr/bin/env python3
"""kvctl, as documented in its manual, against running servers. Prints TAP."""
import atexit
import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position
from ports import reserve_port  # pylint: disable=wrong-import-position

KVCTL = os.environ["KV_CTL_PROGRAM"]
DONE, MISSING, USAGE, REFUSED, NO_SERVER = range(5)
HOSTILE = ["", " ", "a/../b//c", "..", "%2F%00", "?x=y#z", "ключ/\U0001f511", "a\nb\tc", "\x1b[31m", "'\"\\$(x)`",
           "-n", "x" * 5000]

FOLDER = tempfile.TemporaryDirectory(prefix="kvctl-test-")


def path_of(name):
    return os.path.join(FOLDER.name, name)


class Ctl:
    """kvctl with an environment of its own."""

    def __init__(self, url, **more):
        self.env = {"PATH": os.environ["PATH"], "HOME": FOLDER.name, "KVSERVER_URL": url}
        self.env.update({name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")})
        self.env.update(more)

    def start(self, *arguments, **how):
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        return processes.start([KVCTL, *arguments], env=self.env, **how)

    def run(self, *arguments, given=None, code=DONE):
        """Returns: what it prints; its errors are in self.errors."""
        how = {"stdin": subprocess.PIPE} if given is not None else {}
        process = self.start(*arguments, **how)
        out, err = process.communicate(given, timeout=PATIENCE_S)
        self.errors = err.decode()
        assert process.returncode == code, (arguments, process.returncode, out[:500], self.errors)
        assert code == DONE or self.errors.startswith("kvctl: "), self.errors
        return out

    def json(self, *arguments, **how):
        return json.loads(self.run(*arguments, "-o", "json", **how))

    def lines(self, *arguments, **how):
        return [json.loads(line) for line in self.run(*arguments, "-o", "jsonl", **how).splitlines()]


class Lines:
    """The lines of a process as they come."""

    def __init__(self, process):
        self.process = process
        self.got = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.got.append(json.loads(line))

    def wait(self, n):
        wait_for(lambda: len(self.got) >= n, f"{n} lines do not come")
        return self.got

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)


class UnixServer:
    """A server on a Unix socket, which can be ended and started again."""

    def __init__(self, name, store="memory"):
        self.socket = path_of(name + ".sock")
        self.ctl = Ctl("unix:" + self.socket)
        with open(path_of(name + ".yaml"), "w", encoding="utf-8") as file:
            file.write(f"listen: [{{unix: {self.socket}}}]\n"
                       f"modules: {os.environ['KV_TEST_MODULES']}\n"
                       f"storage: {{module: {store}" +
                       (f", {store}: {{path: {path_of(name)}}}" if store != "memory" else "") + "}\n")
            self.config = file.name
        self.start()

    def start(self):
        self.process = processes.start([os.environ["KV_SERVER_PROGRAM"], "-c", self.config],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.ctl.start("ping").wait(PATIENCE_S) == DONE, "the server does not start")

    def end(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        self.process.wait(PATIENCE_S)


def keys_and_values_are_kept_byte_for_byte(ctl):
    for key in HOSTILE:
        value = b'{"a" : 1.0e+05,"a":"\\u00e9\\ud800" , "b":[ ]}'
        ctl.run("set", "--", key, value.decode())
        assert ctl.run("get", "--", key) == value + b"\n", key
        ctl.run("del", "--", key)
        assert ctl.run("get", "--", key, code=MISSING) == b""
    ctl.run("set", "-j", json.dumps("nul\0"), "1")
    assert ctl.json("get", "-j", json.dumps("nul\0"))["key"] == "nul\0"
    ctl.run("del", "-j", json.dumps("nul\0"))


def values_come_from_arguments_files_and_standard_input(ctl):
    whole = b'[1,\n "\xc3\xa9" ]'
    with open(path_of("value"), "wb") as file:
        file.write(b" " + whole + b"\n")
    ctl.run("set", "v", "@" + path_of("value"))
    assert ctl.run("get", "v", "-o", "raw") == whole
    ctl.run("set", "v", "-", given=whole)
    assert ctl.run("get", "v") == whole + b"\n"
    text = 'a "text"\n\0 \u0085é'.encode()
    ctl.run("set", "v", "-s", "-", given=text)
    assert ctl.run("get", "v", "-o", "raw") == text
    long = json.dumps("x" * (3 << 20)).encode()
    ctl.run("set", "v", "-", given=long)
    assert ctl.run("get", "v") == long + b"\n"
    for bad in b"hello", b'"\xff"', b"{", b"", b"1 2":
        ctl.run("set", "v", "-", given=bad, code=USAGE)
    ctl.run("set", "v", "@" + path_of("nowhere"), code=USAGE)
    assert "No such file" in ctl.errors
    ctl.run("set", "v", '"\\ud800"')
    ctl.run("get", "v", "-o", "raw", code=REFUSED)
    ctl.run("del", "v")


def formats_match_the_manual(ctl):
    ctl.run("set", "f/1", '{"a":\n1}')
    ctl.run("set", "f/2", '"two"', "--ttl", "1h")
    one = ctl.json("get", "f/1")
    assert one["value"] == {"a": 1} and one["revision"] > 0 and "ttl" not in one
    both = ctl.json("get", "f/1", "f/2")
    assert [each["key"] for each in both] == ["f/1", "f/2"] and 0 < both[1]["ttl"] <= 3600000
    assert [each["value"] for each in ctl.lines("get", "f/1", "f/2")] == [{"a": 1}, "two"]
    some = json.loads(ctl.run("get", "f/1", "nothing", "f/2", "-o", "json", code=MISSING))
    assert len(some) == 2 and "nothing: no value" in ctl.errors
    assert ctl.run("get", "f/1", "f/2") == b'{"a":\n1}\n"two"\n'
    assert ctl.json("set", "f/1", "1")["revision"] > one["revision"]
    assert ctl.run("set", "f/1", "2") == b""
    ctl.run("get", "f/1", "-o", "xml", code=USAGE)
    ctl.run("del", "f/1", "f/2")


def ttl_and_touch(ctl):
    ctl.run("set", "t", "1")
    assert ctl.run("ttl", "t") == b"none\n"
    ctl.run("touch", "t", "10 hours 5s")
    assert 0 < int(ctl.run("ttl", "t")) <= 36005000
    assert ctl.json("ttl", "t")["ttl"] > 0
    ctl.run("touch", "t", "0")
    assert ctl.json("ttl", "t") == {"key": "t", "ttl": None}
    ctl.run("touch", "t", "soon", code=REFUSED)
    assert "is not a duration" in ctl.errors
    ctl.run("set", "t", "1", "-t", "20")
    wait_for(lambda: ctl.start("get", "t").wait(PATIENCE_S) == MISSING, "it does not expire")
    ctl.run("ttl", "t", code=MISSING)
    ctl.run("touch", "t", "1h", code=MISSING)


def incr_and_merge(ctl):
    assert ctl.run("incr", "n") == b"1\n"
    assert ctl.run("incr", "n", "-5", "--ttl", "1h") == b"-4\n"
    assert ctl.run("ttl", "n") == b"none\n"
    assert ctl.json("incr", "n", "9007199254740993")["value"] == 9007199254740989
    ctl.run("incr", "n", "1.5", code=USAGE)
    ctl.run("set", "n", "1.5")
    ctl.run("incr", "n", code=REFUSED)
    ctl.run("set", "n", '{"a": 1,"b":2}')
    assert ctl.run("merge", "n", "-", given=b'{"b":null,"c":[ ]}') == b'{"a": 1,"c":[ ]}\n'
    ctl.run("merge", "n", "{", code=USAGE)
    ctl.run("del", "n")


def conditions_are_refused_with_3(ctl):
    revision = ctl.json("set", "c", "1", "--if-absent")["revision"]
    ctl.run("set", "c", "2", "--if-absent", code=REFUSED)
    ctl.run("set", "c", "2", "--if-revision", str(revision))
    ctl.run("set", "c", "3", "--if-revision", str(revision), code=REFUSED)
    ctl.run("del", "c", "--if-revision", str(revision), code=REFUSED)
    ctl.run("incr", "c", "--if-revision", str(revision), code=REFUSED)
    assert ctl.run("get", "c") == b"2\n"
    ctl.run("set", "c", "1", "--if-revision", "x", code=USAGE)
    ctl.run("set", "c", "1", "--if-revision", "1", "--if-absent", code=USAGE)
    ctl.run("del", "c", "c")


def ls_lists_pages_folders_and_counts(ctl):
    lines = "".join(f'{{"key":"ls/{i % 7}/{i:04}","value":{i}}}\n' for i in range(2500))
    ctl.run("import", given=lines.encode())
    names = ctl.run("ls", "ls/").decode().splitlines()
    assert len(names) == 2500 and names == sorted(names)
    assert ctl.run("ls", "ls/", "--count") == b"2500\n"
    assert ctl.json("ls", "ls/", "-c") == {"count": 2500}
    assert ctl.run("ls", "ls/", "-d", "/").decode().split() == [f"ls/{i}/" for i in range(7)]
    assert len(ctl.json("ls", "ls/", "-n", "1203", "-v")) == 1203
    assert ctl.lines("ls", "ls/3/", "-n1", "-v")[0]["value"] == 3
    assert ctl.json("ls", "nothing/") == []
    for key in HOSTILE:
        ctl.run("set", "-j", json.dumps("hostile/" + key), "1")
    assert sorted(entry["key"][8:] for entry in ctl.json("ls", "hostile/")) == sorted(HOSTILE)
    raw = ctl.run("ls", "hostile/", "-o", "raw")
    assert sorted(raw.decode().split("\0")[:-1]) == sorted("hostile/" + key for key in HOSTILE)
    text = ctl.run("ls", "hostile/")
    assert b"\x1b" not in text and text.count(b"\n") == len(HOSTILE)
    ctl.run("ls", "a", "b", code=USAGE)
    ctl.run("ls", "-d", "", code=USAGE)
    ctl.run("ls", "-n", "0", code=USAGE)


def export_and_import_carry_everything(ctl):
    ctl.run("set", "hostile/spaces", '{"a":\n  "b"}', "--ttl", "1h")
    lines = ctl.run("export", "hostile/")
    for entry in ctl.json("ls", "hostile/"):
        ctl.run("del", "-j", json.dumps(entry["key"]))
    with open(path_of("lines"), "wb") as file:
        file.write(lines)
    ctl.run("import", path_of("lines"), "--batch", "3")
    again = ctl.run("export", "hostile/")
    strip = re.compile(rb'(,"ttl":\d+)?,"revision":\d+')
    assert strip.sub(b"", again) == strip.sub(b"", lines) and len(lines.splitlines()) == len(HOSTILE) + 1
    assert b'{"a":   "b"}' in again and b'"ttl":35' in again


def bad_lines_are_named_and_lines_before_are_imported(ctl):
    def load(text, code):
        return ctl.run("import", given=text, code=code)

    load(b'{"key":"i/1","value":1}\n\n{"key":"i/2"}\n{"key":"i/3","value":1}', USAGE)
    assert "standard input:3: " in ctl.errors
    assert ctl.run("ls", "i/") == b"i/1\n"
    load(b'{"key":"i/2","value":1,"ttl":"soon"}\n{"key":"i/3","value":1}', REFUSED)
    assert "standard input:1: " in ctl.errors
    load(b'{"key":"i/1","deleted":true}', USAGE)
    assert "kvctl restore" in ctl.errors
    assert ctl.run("ls", "i/") == b"i/1\ni/3\n"
    for bad in b"[]", b"x", b'{"key":1,"value":1}', b'{"value":1}':
        load(bad, USAGE)
    ctl.run("import", path_of("nowhere"), code=USAGE)


def backup_is_not_imported(ctl):
    """It would lose TTLs, and deleted keys would come back."""
    state = b'{"key":"b/1","value":1,"revision":1}\n'
    last = b'{"backup":{"revision":1,"epoch":"e","lines":1,"sum":"' + b"0" * 64 + b'"}}\n'
    path = path_of("mistaken")
    for end in last, last.rstrip(), b'{"error":"gone"}\n':
        with open(path, "wb") as file:
            file.write(state * 2000 + end)
        ctl.run("import", path, code=USAGE)
        assert f"{path}:1: this is a backup" in ctl.errors and "kvctl restore; nothing was" in ctl.errors, ctl.errors
        with open(path, "rb") as file:
            process = ctl.start("import", stdin=file)
            _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == USAGE and b"standard input:1: this is a backup" in errors, errors
    for line in b'"deleted":true', b'"touched":true', b'"value":1,"deadline":2000000000000':
        ctl.run("import", given=state + b'{"key":"b/1",' + line + b',"revision":1}\n' + state, code=USAGE)
        assert "standard input:2: this is a backup" in ctl.errors and "; 0 keys were" in ctl.errors, ctl.errors
    assert ctl.run("ls", "b/") == b""
    ctl.run("import", "--batch", "1", given=state + last, code=USAGE)
    assert "standard input:2: this is a backup" in ctl.errors and "; 1 keys were" in ctl.errors, ctl.errors
    looks_like_one = b'{"key":"backup","value":{"backup":{},"deleted":true,"error":1},"ttl":60000,"revision":1}\n'
    with open(path, "wb") as file:
        file.write(looks_like_one)
    ctl.run("import", path)
    assert b'"ttl":' in ctl.run("export", "backup")


def watch_prints_every_change(ctl):
    watch = Lines(ctl.start("watch", "w", "-p", "w/", "-o", "jsonl", "-n", "6"))
    plain = ctl.start("watch", "-p", "w", "-n", "6")

    def watchers():
        text = ctl.run("stats", "-o", "raw").decode()
        return re.search(r"^kvserver_event_streams (\d+)", text, re.M)[1] == "2"

    wait_for(watchers, "nobody watches")
    ctl.run("set", "w", "1")
    ctl.run("set", "w/1", '{"a":\n1}', "--ttl", "1h")
    ctl.run("set", "w/\x1b", "1")
    ctl.run("del", "w")
    ctl.run("touch", "w/1", "1")
    ctl.run("set", "w/2", "2")
    got = watch.wait(6)
    assert {change.get("reason") for change in got} == {"set", "delete", "expire"}, got
    assert [change["key"] for change in got[:4]] == ["w", "w/1", "w/\x1b", "w"]
    assert got[1]["value"] == {"a": 1} and got[1]["type"] == "value"
    assert watch.process.wait(PATIENCE_S) == DONE
    out, _ = plain.communicate(timeout=PATIENCE_S)
    assert out.startswith(b'set\tw\t1\nset\tw/1\t{"a": 1}\nset\t"w/\\u001b"\t1\ndelete\tw\n'), out
    first = ctl.lines("watch", "-p", "w/", "-i", "-n", "2")
    assert {state["key"] for state in first} == {"w/2", "w/\x1b"}
    since = ctl.lines("watch", "-p", "w", "--since", str(got[2]["revision"]), "--epoch", got[2]["epoch"],
                      "-n", "2")
    assert [change["revision"] for change in since] == [got[3]["revision"], got[4]["revision"]]
    ctl.run("watch", code=USAGE)
    ctl.run("watch", "w", "--since", "1", code=USAGE)


def watch_goes_on_across_a_restart_and_a_crash():
    server = UnixServer("durable", "rocksdb")
    server.ctl.run("set", "r/0", "0")
    watch = Lines(server.ctl.start("watch", "-p", "r/", "-i", "-o", "jsonl"))
    watch.wait(2)
    for i, by in enumerate((signal.SIGTERM, signal.SIGKILL), 1):
        server.ctl.run("set", f"r/{i}", "1")
        watch.wait(3 * i)
        server.end(by)
        server.start()
        server.ctl.run("set", f"r/{i}", "2")
        server.ctl.run("del", f"r/{i}")
    got = watch.wait(8)
    assert [(each["type"], each.get("key"), each.get("value")) for each in got] == [
        ("value", "r/0", 0), ("synced", None, None),
        ("value", "r/1", 1), ("value", "r/1", 2), ("no-value", "r/1", None),
        ("value", "r/2", 1), ("value", "r/2", 2), ("no-value", "r/2", None)], got
    watch.end()
    server.end()


def watch_reports_lost_changes():
    server = UnixServer("volatile")
    watch = Lines(server.ctl.start("watch", "-p", "", "-o", "jsonl"))
    wait_for(lambda: b"kvserver_event_streams 1" in server.ctl.run("stats", "-o", "raw"), "nobody watches")
    server.ctl.run("set", "a", "1")
    watch.wait(1)
    server.end()
    server.start()
    server.ctl.run("set", "b", "1")
    wait_for(lambda: any(each.get("key") == "b" for each in watch.got), "the change does not come")
    assert watch.got[1]["type"] == "reset", watch.got
    watch.end()
    server.end()


def lost_server_is_reported_with_4():
    """A server that accepts requests and never answers, and one that cuts an answer off."""
    listener = socket.create_server(("127.0.0.1", 0))
    ctl = Ctl("http://127.0.0.1:%d" % listener.getsockname()[1])

    def serve(*answers):
        def run():
            for answer in answers:
                connection, _ = listener.accept()
                connection.recv(1 << 20)
                connection.sendall(answer)
                connection.close()
        threading.Thread(target=run, daemon=True).start()

    serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"value\":")
    assert ctl.run("get", "a", code=NO_SERVER) == b""
    serve(b"")
    ctl.run("set", "a", "1", code=NO_SERVER)
    assert "whether it took effect is not known" in ctl.errors
    serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    ctl.run("get", "a", code=NO_SERVER)
    assert "does not come from a KvServer" in ctl.errors
    serve(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"keys\":[{}]")
    ctl.run("ls", code=NO_SERVER)
    for bad in b'{"clients":0}', b'{"clients":[1]}', b'{"clients":[{"id":"1"}]}', b'{"clients":[{"name":0}]}':
        serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(bad) + bad)
        ctl.run("clients", code=NO_SERVER)
    serve(b"HTTP/1.1 403 No\r\nContent-Length: 20\r\n\r\n{\"error\":\"\\u001b[1m\"}")
    ctl.run("get", "a", code=REFUSED)
    assert "\x1b" not in ctl.errors
    serve(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    ctl.run("get", "a", code=REFUSED)
    serve(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull")
    ctl.run("import", given=b'{"key":"a","value":1}', code=NO_SERVER)
    for words in ("get", "a"), ("bench", "get", "--connections", "1", "--duration", "1ms"):
        process = ctl.start(*words, "--timeout", "1s")
        connection, _ = listener.accept()
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == NO_SERVER and b"nothing came" in errors, errors
        connection.close()
    listener.close()
    ctl.run("set", "a", "1", code=NO_SERVER)
    assert "took effect" not in ctl.errors


def slow_server_is_waited_for_while_anything_arrives():
    """Less than a byte per second, as in a stream of heartbeats, for longer than the timeout."""
    answer = b'{"value":1}'
    n_slow, pause_s = 4, 1.2
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = Ctl("http://127.0.0.1:%d" % listener.getsockname()[1]).start("get", "a", "--timeout", "3s")
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer))
            for i in range(n_slow):
                # Ends early if the client gives up.
                assert not select.select([connection], [], [], pause_s)[0], process.communicate()
                connection.sendall(answer[i:i + 1])
            connection.sendall(answer[n_slow:])
            out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (DONE, b"1\n"), (out, errors)


def import_reports_its_progress():
    server = UnixServer("gone")
    process = server.ctl.start("import", "--batch", "10", stdin=subprocess.PIPE)
    for i in range(10):
        process.stdin.write(b'{"key":"%d","value":1}\n' % i)
    process.stdin.flush()
    wait_for(lambda: server.ctl.run("ls", "-c") == b"10\n", "the first batch does not come")
    server.end()
    _, errors = process.communicate(b"".join(b'{"key":"%d","value":1}\n' % i for i in range(10, 25)),
                                    timeout=PATIENCE_S)
    assert process.returncode == NO_SERVER
    assert b"10 keys were imported before that, and some of the 10 up to line 20" in errors, errors


def catches_signals(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        caught = int(re.search(r"^SigCgt:\s*(\w+)", status.read(), re.M)[1], 16)
    return all(caught >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))


def signals_terminate_it(ctl):
    for number in signal.SIGINT, signal.SIGTERM:
        process = ctl.start("import", stdin=subprocess.PIPE)
        process.stdin.write(b'{"key":"s","value":1}\n')
        process.stdin.flush()
        wait_for(lambda: catches_signals(process.pid), "signals are not caught")
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number
        process.stdin.close()
    reader, writer = os.pipe()
    process = ctl.start("ls", "ls/", stdout=writer)
    os.close(writer)
    os.close(reader)
    assert process.wait(PATIENCE_S) in (-signal.SIGPIPE, DONE)
    with open("/dev/full", "wb") as full:
        process = ctl.start("ls", "ls/", stdout=full)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == USAGE and b"cannot write" in errors


def terminals_get_no_control_characters(ctl):
    ctl.run("set", "term", '"\u009b31m\x7f\U0001f511"')
    master, slave = pty.openpty()
    process = ctl.start("get", "term", stdout=slave)
    assert process.wait(PATIENCE_S) == DONE
    os.close(slave)
    assert select.select([master], [], [], PATIENCE_S)[0]
    assert os.read(master, 1000).decode() == '"\\u009b31m\\u007f\U0001f511"\r\n'
    os.close(master)
    assert ctl.run("get", "term").decode() == '"\u009b31m\x7f\U0001f511"\n'
    ctl.run("del", "term")


def command_lines_are_checked(ctl):
    for arguments in ([], ["frob"], ["get"], ["set", "a"], ["set", "a", "1", "2"], ["set", "a", "1", "--frob"],
                      ["get", "a", "--url"], ["get", "a", "--quiet=yes"], ["get", "a", "-x"], ["context", "x"],
                      ["context", "add", "x"], ["completion", "csh"], ["get", "a", "--timeout", "30"],
                      ["get", "-j", "a"], ["get", "-j", "1"], ["help", "frob"]):
        process = ctl.start(*arguments)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == USAGE, arguments
    ctl.run("gte", code=USAGE)
    assert "did you mean get?" in ctl.errors
    ctl.run("get", "a", "--ouptut", "json", code=USAGE)
    assert "did you mean --output?" in ctl.errors
    for url in ("ftp://x", "http://u:p@x", "http://x/?y", "localhost:3000", "unix:x", "http://"):
        Ctl("http://127.0.0.1:1").run("--url", url, "get", "a", code=USAGE)
    process = ctl.start("--url", "", "get", "a")  # the default, where another server may be
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode != USAGE
    assert b"usage: kvctl set" in ctl.run("set", "--help")
    assert ctl.run("--version").startswith(b"kvctl ")
    assert ctl.run("-o", "json", "ls", "nothing/") == b"[]\n"


def completions_match_the_table(ctl):
    verbs = re.findall(r"^  ([a-z]+) ", ctl.run("--help").decode(), re.M)
    assert len(verbs) > 15
    for shell in "bash", "zsh", "fish":
        with open(path_of(shell), "wb") as file:
            file.write(ctl.run("completion", shell))
        text = ctl.run("completion", shell).decode()
        assert all(verb in text for verb in verbs)
        try:
            subprocess.run([shell, "-n", file.name], check=True, timeout=PATIENCE_S)
        except FileNotFoundError:
            print(f"# no {shell} here: its syntax was not checked")
    complete = (f'PATH={os.path.dirname(KVCTL)}:$PATH; . {path_of("bash")}; COMP_WORDS=(kvctl "$@"); '
                'COMP_CWORD=$#; compopt() { :; }; _kvctl 2>&1; printf "%s\\n" "${COMPREPLY[@]}"')

    def bash(*words):
        out = subprocess.run(["bash", "-c", complete, "bash", *words], env=ctl.env, timeout=PATIENCE_S,
                             check=True, stdout=subprocess.PIPE).stdout
        return out.decode().split()

    ctl.run("set", "compl/1", "1")
    assert bash("con") == ["context"]
    assert bash("get", "compl") == ["compl/"]
    assert bash("get", "compl/") == ["compl/1"]
    assert "--if-absent" in bash("set", "--if")
    assert bash("get", "-o", "jsonl") == ["jsonl"]
    ctl.run("del", "compl/1")


def contexts_keep_servers_and_tokens(ctl):
    token = ctl.run("token", "-o", "raw").decode().strip()
    with open(path_of("token"), "w", encoding="utf-8") as file:
        file.write(token + "\n")
    url = ctl.env["KVSERVER_URL"]
    user = Ctl(url)
    del user.env["KVSERVER_URL"]
    user.run("context", "add", "one", url)
    user.run("context", "add", "two", "http://127.0.0.1:1", "--token-file", path_of("token"))
    listed = user.run("context", "ls").decode()
    assert listed.startswith("* one") and "two" in listed and token not in listed
    user.run("ping")
    user.run("ping", "--context", "two", code=NO_SERVER)
    for host, is_far in (("localhost", False), ("LOCALHOST:1", False), ("127.0.0.1", False), ("127.9.9.9:1", False),
                         ("[::1]:1", False), ("localhost.example.com", True), ("127.example.com", True),
                         ("127.0.0.1.example.com:1", True), ("[::2]", True), ("128.0.0.1", True)):
        user.run("context", "add", "clear", f"http://{host}", "--token-file", path_of("token"))
        assert ("is not encrypted" in user.errors) == is_far, (host, user.errors)
    user.run("context", "rm", "clear")
    for url_of_token, token_of_user, more, is_warned in (
            ("http://kv.invalid", token, [], True), ("http://kv.invalid", token, ["-q"], False),
            ("http://kv.invalid", "", [], False), ("https://kv.invalid", token, [], False),
            ("http://127.0.0.1:1", token, [], False)):
        sender = Ctl(url_of_token, KVSERVER_TOKEN=token_of_user)
        sender.run("get", "a", *more, code=NO_SERVER)
        assert sender.errors.count("is not encrypted") == is_warned, (url_of_token, more, sender.errors)
    user.run("context", "use", "two")
    user.run("ping", code=NO_SERVER)
    ctl.run("ping")
    user.run("context", "rm", "two")
    user.run("context", "rm", "two", code=USAGE)
    assert [each["name"] for each in user.lines("context", "ls")] == ["one"]
    path = path_of(".config/kvctl/contexts.json")
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    for text in "{", '{"contexts": {"x": {}}}', "[]":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        user.run("context", "ls", code=USAGE)
    os.chmod(path, 0o644)
    user.run("context", "ls", code=USAGE)
    assert "chmod 600" in user.errors
    os.remove(path)


def files_of_certificates_are_checked_first(ctl):
    """Even if the server is not reached by TLS."""
    url, missing = ctl.env["KVSERVER_URL"], path_of("missing.pem")
    present = path_of("present.pem")
    with open(present, "w", encoding="utf-8"):
        pass
    for option in "--cacert", "--cert":
        for path, why in (missing, "No such file"), (FOLDER.name, "it is a folder"):
            for before in (), ("--url", "https://127.0.0.1:1"), ("context", "add", "bad", url):
                ctl.run(*(before or ("ping",)), option, path, *(["ping"] if "--url" in before else []), code=USAGE)
                assert f"{option} {path}: {why}" in ctl.errors, ctl.errors
    ctl.run("ping", "--cert", present, "--cert-key", missing, code=USAGE)
    assert f"--cert-key {missing}: No such file" in ctl.errors, ctl.errors
    for words in ("ping",), ("context", "add", "bad", url):
        ctl.run(*words, "--cert-key", present, code=USAGE)
        assert "--cert-key needs --cert FILE" in ctl.errors, ctl.errors
    Ctl(url, KVSERVER_CACERT=present).run("ping")
    wrong = Ctl(url, KVSERVER_CACERT=missing)
    wrong.run("ping", code=USAGE)
    assert f"KVSERVER_CACERT: {missing}: No such file" in wrong.errors, wrong.errors
    wrong.run("ping", "--cacert", present)
    ctl.run("context", "add", "bad", url, "--cacert", present)
    os.remove(present)
    user = Ctl("")
    user.run("ping", "--context", "bad", code=USAGE)
    assert f"cacert of the context: {present}: No such file" in user.errors, user.errors
    ctl.run("context", "rm", "bad")
    ctl.run("ping", "--url", url.replace("http:", "https:"), code=NO_SERVER)
    assert f"the port may speak no TLS: try {url})" in ctl.errors, ctl.errors


def tokens_and_tls_are_those_of_the_server():
    subprocess.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
                   "/CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out "
                   "cert.pem".split(), cwd=FOLDER.name, check=True, stderr=subprocess.DEVNULL)
    made = Ctl("").json("token")
    hashed = Ctl("").run("token", "hash", given=made["token"].encode() + b"\n").decode()
    assert hashed == f"sha256: {made['sha256']}\n"
    Ctl("").run("token", "hash", given=b"short\n", code=USAGE)
    number = reserve_port()
    server = UnixServer.__new__(UnixServer)
    with open(path_of("tls.yaml"), "w", encoding="utf-8") as file:
        file.write(f"listen: [{{port: {number}, tls: {{cert: cert.pem, key: key.pem}}}}]\n"
                   f"modules: {os.environ['KV_TEST_MODULES']}\n"
                   "access: {tokens: [{name: a, sha256: %s, read: [a/], write: [a/]}]}\n" % made["sha256"])
    server.config = file.name
    url = f"https://localhost:{number}"
    ctl = server.ctl = Ctl(url, KVSERVER_TOKEN=made["token"], KVSERVER_CACERT=path_of("cert.pem"))
    server.start()
    ctl.run("set", "a/1", "1")
    assert ctl.run("get", "a/1") == b"1\n"
    assert ctl.run("ls", "a/") == b"a/1\n"
    ctl.run("get", "b/1", code=REFUSED)
    ctl.run("watch", "-p", "b/", code=REFUSED)
    ctl.run("stats", code=REFUSED)
    assert ctl.lines("watch", "-p", "a/", "-i", "-n", "1")[0]["value"] == 1
    Ctl(url, KVSERVER_CACERT=path_of("cert.pem")).run("get", "a/1", code=REFUSED)
    Ctl(url, KVSERVER_TOKEN="x" * 32, KVSERVER_CACERT=path_of("cert.pem")).run("get", "a/1", code=REFUSED)
    stranger = Ctl(url, KVSERVER_TOKEN=made["token"])
    stranger.run("get", "a/1", code=NO_SERVER)
    assert "--cacert FILE" in stranger.errors, stranger.errors
    subprocess.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other "
                   "-keyout other_key.pem -out other.pem".split(), cwd=FOLDER.name, check=True, stderr=subprocess.DEVNULL)
    stranger.run("get", "a/1", "--cacert", path_of("other.pem"), code=NO_SERVER)
    assert "other.pem does not hold its authority" in stranger.errors, stranger.errors
    for words in ("get", "a/1"), ("watch", "-p", "a/"):
        ctl.run(*words, "--cacert", file.name, code=USAGE)
        assert "--cacert" in ctl.errors and "tls.yaml" in ctl.errors, ctl.errors
        ctl.run(*words, "--cert", path_of("cert.pem"), "--cert-key", path_of("other_key.pem"), code=USAGE)
        assert "--cert-key" in ctl.errors, ctl.errors
    Ctl(url, KVSERVER_TOKEN="a b").run("get", "a/1", code=USAGE)
    ctl.run("get", "a/1", "--url", f"wss://localhost:{number}")
    ctl.run("ping", "--url", f"https://127.0.0.2:{number}", code=NO_SERVER)
    assert "--cacert" not in ctl.errors, "another name is the fault, not the authority: " + ctl.errors
    with open(path_of("token"), "w", encoding="utf-8") as file:
        file.write(made["token"] + "\n")
    Ctl(url).run("get", "a/1", "--token-file", path_of("token"), "--cacert", path_of("cert.pem"))
    server.end()


def stats_match_the_metrics(ctl):
    samples = {sample["name"]: sample for sample in ctl.json("stats")}
    assert samples["kvserver_build_info"]["labels"]["store"] == "store/memory"
    assert len(ctl.lines("stats")) >= len(samples)
    assert b"# TYPE" in ctl.run("stats", "-o", "raw")
    assert b"build_info" in ctl.run("stats")
    assert ctl.json("ping")["microseconds"] > 0


def operated_server():
    """A server that has few slow commands, kvctl of its operator, and kvctl of one who may only read and write."""
    tokens = {"operator": "the-token-of-the-operator", '"nobody': "the-token-of-nobody-at-all"}
    rules = [{"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "read": [""], "write": [""],
              "admin": ["clients", "slowlog", "cluster"] if name == "operator" else []} for name, token in tokens.items()]
    server = Server(more=f"access: {json.dumps({'tokens': rules})}\nlog: {{slow: 1ms}}\n")
    atexit.register(server.process.kill)  # whatever becomes of the test
    url = f"http://127.0.0.1:{server.port}"
    return server, *(Ctl(url, KVSERVER_TOKEN=token) for token in tokens.values())


def rows_of(text):
    """The cells of a table by its titles; no cell may contain blanks."""
    titles, *rows = (line.split() for line in text.decode().splitlines())
    assert all(len(row) == len(titles) for row in rows), text
    return [dict(zip(titles, row)) for row in rows]


def clients_are_listed_through_all_pages():
    server, operator, other = operated_server()
    watch = other.start("watch", "a", "-p", "b/")
    atexit.register(watch.kill)
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1100)]

    def is_whole():
        listed = operator.json("clients")
        return len(listed) > len(crowd) and any(each["subscriptions"] == 2 for each in listed)

    wait_for(is_whole, "the connections are not listed")
    assert len(operator.run("clients", "-o", "raw").splitlines()) == 2
    ids = [each["id"] for each in operator.lines("clients")]
    assert ids == sorted(set(ids)) and len(ids) > len(crowd)
    text = operator.run("clients")
    rows = rows_of(text)
    assert len(rows) > len(crowd) and b"\x1b" not in text
    found = {row["NAME"]: row for row in rows}
    watching = found[json.dumps('"nobody')]
    assert (watching["TRANSPORT"], watching["SUBSCRIPTIONS"], watching["ADDRESS"], watching["TLS"]) == (
        "events", "2", "127.0.0.1", "no"), watching
    assert found["operator"]["TRANSPORT"] == "http", found["operator"]
    assert other.run("clients", code=REFUSED) == b"" and "clients: " in other.errors
    assert json.loads(other.run("clients", "-o", "json", code=REFUSED)) == []
    Ctl(operator.env["KVSERVER_URL"]).run("clients", code=REFUSED)
    for connection in crowd:
        connection.close()
    watch.terminate()
    watch.wait(PATIENCE_S)
    server.end()


def slow_commands_are_listed():
    server, operator, other = operated_server()
    prefix = "slow\n\x1b[2J/"
    other.run("import", given="".join(json.dumps({"key": f"{prefix}{i}", "value": i}) + "\n"
                                      for i in range(40000)).encode())

    def lists():
        other.run("ls", "-c", prefix)
        return [each for each in operator.json("slowlog") if each["operation"] == "list"]

    wait_for(lists, "no command is slow")
    assert lists()[0]["key"] == prefix
    assert [each["number"] for each in operator.lines("slowlog")][:1] == [operator.json("slowlog")[0]["number"]]
    assert json.loads(operator.run("slowlog", "-o", "raw"))["commands"]
    text = operator.run("slowlog")
    row = next(row for row in rows_of(text) if row["OPERATION"] == "list")
    assert b"\x1b" not in text and row["KEY"] == json.dumps(prefix) and row["BYTES"] == str(len(prefix)), row
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["TIME"]) and float(row["MS"]) >= 1, row
    assert (row["OUTCOME"], row["CLIENT"], row["ADDRESS"]) == ("ok", json.dumps('"nobody'), "127.0.0.1"), row
    assert other.run("slowlog", code=REFUSED) == b"" and "slowlog: " in other.errors
    assert other.run("cluster", code=REFUSED) == b"" and "cluster: " in other.errors
    assert operator.run("cluster", code=REFUSED) == b"" and "not one that servers share" in operator.errors
    server.end()


def backups_are_whole_and_restore(ctl):
    other = UnixServer("restored")
    ctl.run("set", "b/ttl", '"a"', "--ttl", "1h")
    ctl.run("set", "b/touched", "1", "--ttl", "1h")
    path = path_of("backup")
    ctl.run("backup", path)
    ctl.run("backup", path, code=USAGE)
    ctl.run("backup", path, "--force")
    assert os.stat(path).st_mode & 0o777 == 0o600 and not os.path.exists(path + ".partial")
    whole = ctl.run("backup", "-")
    assert whole.endswith(b"}}\n") and b'"b/ttl"' in whole
    lines = whole.splitlines(True)
    assert len(lines) > 1000
    # Incomplete or damaged backups of every kind; nothing of them is restored.
    damaged = {"cut": whole[:-20], "without_end": b"".join(lines[:-1]), "line_lost": b"".join(lines[1:]),
               "changed": whole.replace(b'"b/ttl"', b'"b/ttm"'), "more": whole + b"{}\n", "empty": b"",
               "failed": b"".join(lines[:-1]) + b'{"error":"the log is too short"}\n',
               "no_newline": whole[:-1], "no_line": b"x\n" + whole}
    for name, content in damaged.items():
        with open(path_of(name), "wb") as file:
            file.write(content)
        other.ctl.run("restore", "--live", path_of(name), code=USAGE)
        assert other.ctl.run("ls", "-c") == b"0\n", name
    other.ctl.run("restore", "--live", path)

    def state(of):
        return [(entry["key"], entry["value"], "ttl" in entry) for entry in of.json("ls", "-v")]

    assert state(other.ctl) == state(ctl)
    other.ctl.run("restore", "--live", path, code=REFUSED)
    other.ctl.run("restore", path, "--batch", "7", code=USAGE)
    other.ctl.run("restore", path, "--force", code=REFUSED)  # a volatile store keeps nothing for its next start
    assert "--live" in other.ctl.errors
    other.ctl.run("set", "b/ttl", "2")
    other.ctl.run("restore", "--live", path, "--force", "--batch", "7")
    assert state(other.ctl) == state(ctl)
    server = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"ke\r\n"
    for answer in server, server + b"0\r\n\r\n":
        listener = socket.create_server(("127.0.0.1", 0))
        process = Ctl("http://127.0.0.1:%d" % listener.getsockname()[1]).start("backup", path_of("broken"))
        connection, _ = listener.accept()
        connection.recv(1 << 16)
        connection.sendall(answer)
        connection.close()
        listener.close()
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == NO_SERVER
        assert not [name for name in os.listdir(FOLDER.name) if name.startswith("broken")]
    # A deadline set by a later line, and a key that has expired.
    def backup_of(*lines):
        text = "".join(line + "\n" for line in lines)
        digest = hashlib.sha256(text.encode()).hexdigest()
        with open(path_of("made"), "w", encoding="utf-8") as file:
            file.write(text + '{"backup":{"revision":9,"epoch":"e","lines":%d,"sum":"%s"}}\n' % (len(lines), digest))
        return path_of("made")

    soon = int(time.time() * 1000) + 3600000
    other.ctl.run("restore", "--live", "--force", backup_of(
        '{"key":"m/1","value":1,"deadline":1000,"revision":5}', '{"key":"m/2","value":2,"revision":6}',
        '{"key":"m/3","value":3,"deadline":1000,"revision":7}', '{"key":"m/2","deleted":true,"revision":8}',
        '{"key":"m/1","touched":true,"deadline":%d,"revision":5}' % soon))
    assert [entry["key"] for entry in other.ctl.json("ls", "m/")] == ["m/1"]
    assert 3500000 < int(other.ctl.run("ttl", "m/1")) <= 3600000
    other.end()


def restores_at_the_next_start(ctl):
    other = UnixServer("replaced", "rocksdb")
    other.ctl.run("set", "old", "1")
    path = path_of("backup_to_replace")
    ctl.run("backup", path)
    ctl.run("restore", path, "--force", code=REFUSED)
    assert "no folder of its own in which a backup could wait" in ctl.errors, ctl.errors
    other.ctl.run("restore", path, code=REFUSED)
    assert "--force replaces them" in other.ctl.errors
    other.ctl.run("restore", path, "--force")
    assert "when the server starts next" in other.ctl.errors
    assert other.ctl.run("ls") == b"old\n"
    other.end()
    other.start()
    assert other.ctl.run("ls", "-v") == ctl.run("ls", "-v")
    other.end()


def the_manual_has_every_verb_and_option(ctl):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/man/kvctl.1"),
              encoding="utf-8") as file:
        manual = file.read()
    everywhere = re.findall(r"--([a-z-]+)", ctl.run("stats", "--help").decode())
    for verb in re.findall(r"^  ([a-z]+) ", ctl.run("--help").decode(), re.M):
        assert f".It Ic {verb}" in manual, verb
        own = manual.split(f".It Ic {verb}", 1)[1].split("\n.It ")[0]
        for letter, option in re.findall(r"^  (-.)?,? *--([a-z-]+)", ctl.run(verb, "--help").decode(), re.M):
            is_for_all = option in everywhere or option == "json-keys"
            names = "|".join([f"-{option}"] + [letter[1:]] * bool(letter))
            assert is_for_all or re.search(rf"Fl .*(?<![a-z-])({names})\b", own), (verb, option)
            assert re.search(rf"Fl (. , )?-{option}\b", manual), option
            assert not letter or re.search(rf"Fl {letter[1]} , -{option}\b", manual), option


def bench_measures(ctl):
    for kind in "get", "set", "watch":
        result = ctl.json("bench", kind, "--duration", "200ms", "--connections", "3", "--keys", "10")
        assert result["failed"] == 0 and result["n"] > 0, result
        assert 0 < result["p50_us"] <= result["p99_us"] <= result["max_us"], result
    assert b" requests/s over 2 connections" in ctl.run("bench", "get", "--duration", "50ms", "--connections", "2")
    assert ctl.run("ls", "kvctl-bench/") == b""
    process = ctl.start("bench", "set")
    wait_for(lambda: ctl.run("ls", "kvctl-bench/", "-c") != b"0\n", "nothing is measured")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT and b"requests/s" in out
    ctl.run("bench", "get", "--connections", "0", code=USAGE)
    ctl.run("bench", "put", code=USAGE)
    for kind in "get", "set", "watch":
        out = Ctl("http://127.0.0.1:1").run("bench", kind, "--duration", "100ms", code=NO_SERVER)
        assert out == b"", out


def main():
    report = Report()
    server = Server()
    ctl = Ctl(f"http://127.0.0.1:{server.port}")
    for test in (keys_and_values_are_kept_byte_for_byte, values_come_from_arguments_files_and_standard_input,
                 formats_match_the_manual, ttl_and_touch, incr_and_merge, conditions_are_refused_with_3,
                 ls_lists_pages_folders_and_counts, export_and_import_carry_everything,
                 bad_lines_are_named_and_lines_before_are_imported, backup_is_not_imported,
                 watch_prints_every_change,
                 signals_terminate_it, terminals_get_no_control_characters,
                 command_lines_are_checked, completions_match_the_table, contexts_keep_servers_and_tokens,
                 files_of_certificates_are_checked_first,
                 stats_match_the_metrics, backups_are_whole_and_restore, restores_at_the_next_start, the_manual_has_every_verb_and_option,
                 bench_measures):
        report.check(test.__name__, lambda test=test: test(ctl))
    for test in (watch_goes_on_across_a_restart_and_a_crash, watch_reports_lost_changes,
                 lost_server_is_reported_with_4, slow_server_is_waited_for_while_anything_arrives, import_reports_its_progress,
                 tokens_and_tls_are_those_of_the_server, clients_are_listed_through_all_pages,
                 slow_commands_are_listed):
        report.check(test.__name__, test)
    server.end()
    FOLDER.cleanup()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
