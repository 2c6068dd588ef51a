#!/usr/bin/env python3
"""PUT and POST /admin/restore: a backup waits for the next start of the server, and then replaces the
store: whole, or not at all, whenever the server is killed. Prints TAP. The environment says which
durable store (KV_TEST_STORE, KV_TEST_STORE_OPTIONS).
"""
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support/python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, Server, wait_for  # pylint: disable=wrong-import-position

STORE = os.environ["KV_TEST_STORE"]
OPTIONS = os.environ["KV_TEST_STORE_OPTIONS"]
PATH = "/admin/restore"
N_OLD = 300
N_NEW = 20_000
N_KILLS = int(os.environ.get("KV_TEST_CRASHES", "8"))
TOKEN = "operator-token-1234567890"

REVOKED = "access: {revoked: auth/revoked/, anonymous: {read: [''], write: ['']}}\n"
SIGNALS = signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN

OLD = {f"old/{i}": i for i in range(N_OLD)}
NEW = {f"new/{i}": "x" * 50 for i in range(N_NEW)}
OTHER = {"other/1": 1, "other/2": 2}


def expect(got, expected):
    assert got == expected, f"expected {str(expected)[:300]}, got {str(got)[:300]}"


def make_backup(state):
    lines = "".join(json.dumps({"key": key, "value": value, "revision": i + 1}) + "\n"
                    for i, (key, value) in enumerate(state.items()))
    end = {"revision": len(state), "epoch": "e", "lines": len(state),
           "sum": hashlib.sha256(lines.encode()).hexdigest()}
    return (lines + json.dumps({"backup": end}) + "\n").encode()


BACKUP = make_backup(NEW)
OTHER_BACKUP = make_backup(OTHER)


class OnFaultyDisk(Server):
    """Its store is on a disk that is full, or broken, while a file says so (support/faults/disk_faults.c)."""

    def spawn(self, command):
        self.disk = os.path.join(os.path.realpath(self.folder.name), "disk")
        library = os.path.join(os.path.dirname(os.environ["KV_SERVER_PROGRAM"]), "tests/kv_disk_faults.so")
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        environment = dict(os.environ, LD_PRELOAD=library, KV_DISK_ROOT=self.disk, ASAN_OPTIONS=sanitizer)
        return processes.start(command, stderr=self.log, env=environment)

    def begin(self, state, content=""):
        self.write(f"disk.{state}", content)

    def end_state(self, state):
        os.remove(f"{self.disk}.{state}")


def start_old(more="", kind=Server, options=OPTIONS):
    server = kind(more, store=STORE, options=options)
    messages = [{"type": "set", "payload": {"key": key, "value": value}} for key, value in OLD.items()]
    status, _, _ = server.request("POST", "/batch", json.dumps(messages), headers_of(more))
    expect(status, 200)
    return server


def headers_of(more):
    return {"Authorization": f"Bearer {TOKEN}"} if "tokens" in more else {}


def upload(server, backup, size=500_000):
    for at in range(0, len(backup), size):
        part = backup[at:at + size]
        status, _, body = server.request("PUT", f"{PATH}?offset={at}", part)
        expect((status, json.loads(body)), (200, {"length": at + len(part)}))


def finish(server):
    status, _, body = server.request("POST", PATH)
    return status, json.loads(body)


def state_of(server):
    state, cursor = {}, ""
    while True:
        status, _, body = server.request("GET", f"/storage?limit=10000&values=true&cursor={cursor}")
        expect(status, 200)
        page = json.loads(body)
        state.update({entry["key"]: entry["value"] for entry in page["keys"]})
        cursor = page.get("cursor", "")
        if not cursor:
            return state


def epoch_of(server):
    answers = server.request("POST", "/batch", '[{"type":"hello"}]')[2]
    return json.loads(answers)[0]["payload"]["epoch"]


def beside(server):
    """The files beside the store."""
    return sorted(name[6:] for name in os.listdir(server.folder.name) if name.startswith("store."))


def kill(server):
    server.process.kill()
    server.process.wait(PATIENCE_S)
    server.log.close()


def restart(server):
    server.end_process()
    server.start()


def test_parts(report):
    server = start_old()

    def refusals():
        expect(server.request("POST", PATH)[0], 409)
        expect(server.request("PUT", PATH, b"x")[0], 400)
        expect(server.request("PUT", PATH + "?offset=x", b"x")[0], 400)
        expect(server.request("POST", PATH + "?offset=0")[0], 400)
        expect(server.request("PUT", PATH + "?offset=0", b"x" * (1 << 20) + b"x")[0], 413)
        expect(server.request("GET", PATH)[0], 405)
        expect(server.request("PUT", PATH + "?offset=0", b"abc")[0], 200)
        status, _, body = server.request("PUT", PATH + "?offset=2", b"x")
        expect(status, 409)
        assert "3 bytes have been uploaded, not 2" in json.loads(body)["error"], body

    def damaged():
        for backup in (BACKUP[:-1000], BACKUP.replace(b"new/7", b"new/8"), BACKUP + b"{}\n", b"x"):
            upload(server, backup)
            status, body = finish(server)
            expect(status, 400)
            assert "the backup" in body["error"], body
        upload(server, BACKUP[:BACKUP.rindex(b"\n", 0, -1) + 1])
        expect(finish(server),
               (400, {"error": "the backup is incomplete: its last line is missing. Nothing was changed"}))
        expect(server.request("PUT", PATH + "?offset=0", b"")[0], 200)
        status, body = finish(server)
        expect(status, 400)
        assert "the backup is empty" in body["error"], body
        restart(server)
        expect(state_of(server), OLD)

    def discarded():
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        expect(beside(server), ["restore"])
        expect(server.request("DELETE", PATH)[0], 200)
        expect(beside(server), [])
        restart(server)
        expect(state_of(server), OLD)

    report.check("parts come one behind the other", refusals)
    report.check("a damaged backup is refused, and changes nothing", damaged)
    report.check("what waits can be discarded", discarded)
    server.end()


def test_replacing(report):
    server = start_old()
    epoch = epoch_of(server)

    def waits():
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        expect(state_of(server), OLD)

    def replaces():
        restart(server)
        expect(state_of(server), NEW)
        assert epoch_of(server) != epoch
        expect(beside(server), ["replaced"])

    def again():
        upload(server, make_backup({"a": 1}))
        expect(finish(server), (200, {"waits": True}))
        expect(beside(server), ["restore"])
        restart(server)
        expect(state_of(server), {"a": 1})
        restart(server)
        expect(state_of(server), {"a": 1})

    report.check("until the next start the old store is served", waits)
    report.check("then the new one, of a new epoch, and the old one is kept", replaces)
    report.check("the next restore makes room, and happens once", again)
    server.end()


def blocked_signals(process):
    """Of each thread but the first, which may be waiting for signals just now: its name, and a mask."""
    for thread in os.scandir(f"/proc/{process.pid}/task"):
        if thread.name == str(process.pid):
            continue
        with open(os.path.join(thread.path, "status"), encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        yield status["Name"], int(status["SigBlk"], 16)


def test_signals(report):
    """The old store is opened before the new one is served, and may leave threads behind."""
    def survives(more):
        server = start_old(more)
        server.end_process()
        with open(os.path.join(server.folder.name, "store.restore"), "wb") as file:
            file.write(OTHER_BACKUP)
        server.start()
        handled = sum(1 << (number - 1) for number in SIGNALS)
        expect([name for name, mask in blocked_signals(server.process) if mask & handled != handled], [])
        for _ in range(50):
            server.process.send_signal(signal.SIGHUP)
        expect(state_of(server), OTHER)
        server.end()

    report.check("the server that has restored handles its signals", lambda: survives(""))
    report.check("also those that it sends to itself", lambda: survives(REVOKED))


def test_faults(report):
    def put_back():
        server = start_old()
        server.end_process()
        server.write("store.restore", "no backup\n")
        server.start()
        expect(state_of(server), OLD)
        expect(beside(server), ["refused"])
        wait_for(lambda: "is put away as" in server.read_log(), "nobody is told")
        server.end()

    def of_another():
        server = start_old()
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        result = server.run()
        expect(result.returncode, 1)
        expect(state_of(server), OLD)
        expect(beside(server), ["restore"])
        restart(server)
        expect(state_of(server), NEW)
        server.end()

    def impossible():
        server = Server()
        status, _, body = server.request("PUT", PATH + "?offset=0", BACKUP[:1000])
        expect(status, 409)
        assert "--live" in json.loads(body)["error"], body
        server.end()
        with tempfile.TemporaryDirectory(prefix="kvserver-test-") as elsewhere:
            link = Server(store=STORE, options=OPTIONS,
                          before=lambda server: os.symlink(elsewhere, os.path.join(server.folder.name, "store")))
            expect(link.request("PUT", PATH + "?offset=0", BACKUP[:1000])[0], 409)
            link.end()

    def rights():
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        server = start_old("access: {anonymous: {read: [''], write: ['']}, tokens: [{name: operator, "
                           f"read: [''], write: [''], admin: [restore], sha256: {digest}}}]}}\n")
        for method in "PUT", "POST", "DELETE":
            expect(server.request(method, PATH + "?offset=0", b"x")[0], 401)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        expect(server.request("PUT", PATH + "?offset=0", b"x", headers)[0], 200)
        expect(server.request("PUT", PATH + "?offset=0", b"x", dict(headers, Origin="https://evil.example"))[0], 403)
        server.end()

    def expect_failure(server, status, text):
        got, body = finish(server)
        expect(got, status)
        assert text in body["error"], body

    def unusable_files():
        server = start_old()
        path = os.path.join(server.folder.name, "store")
        os.mkdir(path + ".upload")
        expect(server.request("PUT", PATH + "?offset=0", b"x")[0], 500)
        expect_failure(server, 500, "directory")
        os.rmdir(path + ".upload")
        upload(server, BACKUP)
        os.makedirs(path + ".restore/occupied")
        expect_failure(server, 500, path + ".upload")
        shutil.rmtree(path + ".restore")
        expect(finish(server), (200, {"waits": True}))
        server.end()

    def faulty_disk():
        server = start_old(kind=OnFaultyDisk, options=OPTIONS.replace("%folder/", "%folder/disk/"))
        server.begin("full")
        status, _, body = server.request("PUT", PATH + "?offset=0", BACKUP[:1000])
        expect(status, 507)
        assert "No space left on device" in json.loads(body)["error"], body
        server.end_state("full")
        upload(server, BACKUP)
        server.begin("broken")
        expect_failure(server, 500, "Input/output error")
        server.end_state("broken")
        expect_failure(server, 409, "nothing has been uploaded")
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        server.end()

    def beside_one_that_waits():
        server = start_old(kind=OnFaultyDisk, options=OPTIONS.replace("%folder/", "%folder/disk/"))
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        upload(server, OTHER_BACKUP)
        server.begin("unlisted", "1")  # the second sync of the folder is after the backup has taken its place
        expect_failure(server, 500, "Input/output error")
        server.end_state("unlisted")
        restart(server)
        expect(state_of(server), NEW)
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        upload(server, OTHER_BACKUP)
        expect(finish(server), (200, {"waits": True}))
        assert not os.path.exists(os.path.join(server.disk, "store.upload")), "the earlier backup is kept"
        restart(server)
        expect(state_of(server), OTHER)
        server.end()

    def of_old_abi():
        server = Server(store="dated", options="path: '%folder/store'", modules=os.path.join(
            os.path.dirname(os.environ["KV_SERVER_PROGRAM"]), "modules-test"))
        status, _, body = server.request("PUT", PATH + "?offset=0", BACKUP[:1000])
        expect(status, 409)
        assert "module ABI" in json.loads(body)["error"], body
        server.end_process()
        os.mkdir(os.path.join(server.folder.name, "store"))
        backup = server.write("store.restore", "")
        for arguments in [], ["--restore", backup]:
            result = server.run(*arguments)
            expect(result.returncode, 1)
            assert "store/dated can neither be exported nor have a backup restored" in result.stderr.decode(), result
        server.folder.cleanup()

    report.check("files that the server cannot use are its own failure", unusable_files)
    report.check("so is a disk that is full or broken, and what was not synced is not taken", faulty_disk)
    report.check("a backup that fails leaves the one that waits", beside_one_that_waits)
    report.check("a store that cannot be opened to read is refused at once", of_old_abi)
    report.check("a backup that cannot be restored is put away, and the store stays", put_back)
    report.check("a second server takes nothing from the first", of_another)
    report.check("a store that cannot be replaced says so", impossible)
    report.check("it takes the right to it", rights)


def test_kills(report):
    dice = random.Random(int(os.environ.get("KV_TEST_SEED", "1")))

    def while_uploading():
        server = start_old()
        upload(server, BACKUP[:len(BACKUP) // 2])
        kill(server)
        server.start()
        expect(state_of(server), OLD)
        server.end()

    def while_restoring():
        took_s = 0.5
        for _ in range(N_KILLS):
            server = start_old()
            upload(server, BACKUP)
            expect(finish(server), (200, {"waits": True}))
            kill(server)
            for _ in range(3):
                server.log = open(os.path.join(server.folder.name, "log"), "w+", encoding="utf-8")
                server.process = server.spawn([os.environ["KV_SERVER_PROGRAM"], "-c", server.path])
                time.sleep(dice.uniform(0, took_s))  # a moment is what is wanted
                server.process.send_signal(dice.choice([signal.SIGKILL, signal.SIGTERM]))
                server.process.wait(PATIENCE_S)
                server.log.close()
            began = time.monotonic()
            server.start()
            took_s = time.monotonic() - began
            expect(state_of(server), NEW)
            expect(beside(server), ["replaced"])
            server.end()

    def with_its_group():
        """By Ctrl+C, while it runs in the background of a script, where SIGINT is ignored."""
        server = start_old()
        upload(server, BACKUP)
        expect(finish(server), (200, {"waits": True}))
        kill(server)
        for _ in range(3):
            process = processes.start([os.environ["KV_SERVER_PROGRAM"], "-c", server.path],
                                      stderr=subprocess.DEVNULL, start_new_session=True,
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
            wait_for(lambda: "restoring" in beside(server), "the restore does not begin")
            while process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.01)
        server.start()
        expect(state_of(server), NEW)
        expect(beside(server), ["replaced"])
        server.end()

    report.check("a server that is killed during an upload has the old store", while_uploading)
    report.check("one that is interrupted with all of its group goes on at the next start", with_its_group)
    report.check("one that is killed while it restores has the new one, whole, in the end", while_restoring)


class Place:
    """A store's folder and what lies beside it, as an end between two steps of a restore leaves them."""

    def __init__(self):
        self.server = start_old()
        self.server.end_process()
        self.folder = self.server.folder.name
        self.path = os.path.join(self.folder, "store")
        self.keep("old")
        self.make("new", BACKUP)
        self.make("part", make_backup({"new/1": "x"}))

    def keep(self, name):
        os.rename(self.path, os.path.join(self.folder, name))

    def make(self, name, backup):
        path = os.path.join(self.folder, "backup")
        with open(path, "wb") as file:
            file.write(backup)
        expect(self.server.run("--restore", path).returncode, 0)
        self.keep(name)

    def lay(self, store, **others):
        """store, incomplete, replaced: which store lies there; others: what is in the file."""
        for name in ["store"] + [f"store.{suffix}" for suffix in beside(self.server)]:
            path = os.path.join(self.folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
        folders = {f".{name}": others.pop(name, None) for name in ("incomplete", "replaced")}
        for suffix, what in {"": store, **folders}.items():
            if what is not None:
                shutil.copytree(os.path.join(self.folder, what), self.path + suffix)
        for suffix, content in others.items():
            with open(f"{self.path}.{suffix}", "wb") as file:
                file.write(content)

    def expect_served(self, state, *names):
        """And served again by the start after that."""
        for _ in range(2):
            self.server.start()
            expect(state_of(self.server), state)
            expect(beside(self.server), sorted(names))
            self.server.end_process()

    def expect_refusal(self, *arguments, names):
        result = self.server.run(*arguments)
        expect(result.returncode, 1)
        text = result.stderr.decode()
        for name in names:
            assert f"{self.path}{name}" in text, text
        return text


def test_states(report):
    place = Place()

    def check(name, state, names, **laid):
        def test():
            place.lay(**laid)
            place.expect_served(state, *names)
        report.check(name, test)

    check("upload: nothing has happened yet", OLD, ["replaced", "upload"],
          store="old", upload=BACKUP[:1000], replaced="part")
    check("the backup waits: it is restored", NEW, ["replaced"], store="old", restore=BACKUP)
    check("the old store is set aside: the backup is restored", NEW, ["replaced"],
          store=None, restore=BACKUP, replaced="old")
    check("the new store is being made: it is made anew", NEW, ["replaced"],
          store="part", restore=BACKUP, restoring=b"", replaced="old")
    check("so it is if it had just been begun", NEW, ["replaced"],
          store=None, restore=BACKUP, restoring=b"", replaced="old")
    check("and if its removal was interrupted", NEW, ["replaced"],
          store=None, incomplete="part", restore=BACKUP, restoring=b"", replaced="old")
    check("and if there was none before", NEW, [], store="part", restore=BACKUP, restoring=b"")
    check("the new store is whole: it stays", NEW, ["replaced"],
          store="new", restore=BACKUP, restored=b"", replaced="old")
    check("and the mark that says so goes, also alone", NEW, ["replaced"], store="new", restored=b"", replaced="old")
    check("the mark does not stand for a store that is missing", NEW, ["replaced"],
          store=None, restore=BACKUP, restored=b"", replaced="old")
    check("nor for one that is being made", NEW, ["replaced"],
          store="part", restore=BACKUP, restored=b"", restoring=b"", replaced="old")
    check("a backup that cannot be restored: the old store comes back", OLD, ["refused"],
          store=None, restore=b"no backup\n", replaced="old")
    check("so it does after a part was made", OLD, ["refused"],
          store="part", restore=b"no backup\n", restoring=b"", replaced="old")
    check("and after the removal of that part was interrupted", OLD, ["refused"],
          store=None, incomplete="part", restore=b"no backup\n", restoring=b"", replaced="old")

    def tried_again():
        """A refused backup gets the name of one that waits; an earlier restore has replaced another store."""
        place.lay("old", restore=BACKUP, replaced="part")
        place.expect_served(NEW, "replaced")
        shutil.rmtree(place.path)
        os.rename(place.path + ".replaced", place.path)
        place.expect_served(OLD)

    def taken_away():
        place.lay(None, replaced="old")
        assert "rename it" in place.expect_refusal(names=["", ".replaced"])
        place.lay("part", restoring=b"", replaced="old")
        assert "delete" in place.expect_refusal(names=["", ".restoring", ".replaced"])
        place.lay("part", restoring=b"")
        assert ".replaced" not in place.expect_refusal(names=["", ".restoring"])

    def others():
        more = place.server.write("more.jsonl", '{"key":"a","value":1}\n')
        backup = os.path.join(place.folder, "backup")
        for store, replaced in ("old", None), (None, "old"):
            place.lay(store, restore=BACKUP, replaced=replaced)
            place.expect_refusal("--import", more, names=[".restore"])
            place.expect_refusal("--restore", backup, names=[".restore"])
            place.expect_served(NEW, "replaced")

    def half_made():
        place.lay("part", restore=BACKUP, restoring=b"", replaced="old")
        assert "start the server" in place.expect_refusal("--export", names=[".restore"])
        place.expect_served(NEW, "replaced")

    report.check("a backup that waits again is restored, and the store that it replaces is kept", tried_again)
    report.check("a store that was replaced is not forgotten when the backup is taken away", taken_away)
    report.check("nothing else is loaded while a backup waits", others)
    report.check("what is half made is not exported", half_made)
    place.server.folder.cleanup()


def main():
    report = Report()
    test_parts(report)
    test_replacing(report)
    test_signals(report)
    test_faults(report)
    test_states(report)
    test_kills(report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
