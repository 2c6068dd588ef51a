#!/usr/bin/env python3
"""Processes that tests start (support/python/processes.py, support/redis/) do not outlive them, and get their input.
Prints TAP."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support")
sys.path.insert(0, os.path.join(SUPPORT, "python"))
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report  # pylint: disable=wrong-import-position
from redis_servers import PROGRAM, Cluster, Guarded, Redis  # pylint: disable=wrong-import-position

BEGIN = f"""
import sys
sys.path.insert(0, {os.path.join(SUPPORT, "python")!r})
import processes
processes.start(["sleep", "infinity"])
print("started", flush=True)
"""


def leaves_no_process(command, by):
    """by: the signal that ends the command; None: it ends by itself. All processes that it starts inherit its output,
    which ends with the last of them. As ctest also waits for that, those that were left would make it wait."""
    with tempfile.TemporaryDirectory(prefix="kvserver-test-") as folder, \
            processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
                            env={**os.environ, "TMPDIR": folder}) as process:
        assert process.stdout.readline() == b"started\n"
        if by is not None:
            process.send_signal(by)
        try:
            process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError("processes are left") from None


def none_is_left_by_a_test_that_is_killed():
    leaves_no_process([sys.executable, "-c", BEGIN + "processes.signal.pause()"], signal.SIGKILL)


def none_is_left_by_a_test_that_is_terminated():
    leaves_no_process([sys.executable, "-c", BEGIN + "processes.signal.pause()"], signal.SIGTERM)


def none_is_left_by_a_test_that_fails():
    leaves_no_process([sys.executable, "-c", BEGIN + "assert False"], None)


def none_is_started_by_a_thread_that_ends_first():
    refused = []

    def run():
        try:
            processes.start(["true"])
        except AssertionError as fault:
            refused.append(fault)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert refused


def n_children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return len(file.read().split())


def fails_without_rest(construct):
    folder = tempfile.mkdtemp(prefix="kvserver-test-")
    tempfile.tempdir = folder  # of the constructor
    try:
        construct()
    except AssertionError:
        assert n_children() == 0, "processes are left"
        assert os.listdir(folder) == [], "folders are left"
    else:
        raise AssertionError("the constructor does not fail")
    finally:
        tempfile.tempdir = None
        shutil.rmtree(folder)


def none_is_left_by_a_constructor_that_fails():
    def fail_at_third(i):
        assert i < 2
    fails_without_rest(lambda: Redis("--no-such-option", "1"))
    fails_without_rest(lambda: Cluster(more=fail_at_third))
    fails_without_rest(lambda: Guarded(n_replicas=1, sentinel_lines=["no such line"]))


def none_is_left_by_the_scripts_that_run_a_command_beside_redis():
    for script in [f"{SUPPORT}/redis/with_redis.sh"], [sys.executable, f"{SUPPORT}/redis/with_cluster.py"]:
        for by in signal.SIGTERM, signal.SIGKILL:
            leaves_no_process([*script, "sh", "-c", "echo started; exec sleep infinity"], by)


def a_command_beside_redis_reads_the_input_of_the_script():
    for script in [f"{SUPPORT}/redis/with_redis.sh"], [sys.executable, f"{SUPPORT}/redis/with_cluster.py"]:
        with processes.start([*script, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            output, _ = process.communicate(b"some input", timeout=PATIENCE_S)
        assert output == b"some input", output


def main():
    report = Report()
    beside_redis = (none_is_left_by_a_constructor_that_fails, none_is_left_by_the_scripts_that_run_a_command_beside_redis,
                    a_command_beside_redis_reads_the_input_of_the_script)
    report.check_each(((test.__name__, test) for test in (
        none_is_left_by_a_test_that_is_killed, none_is_left_by_a_test_that_is_terminated, none_is_left_by_a_test_that_fails,
        none_is_started_by_a_thread_that_ends_first, *beside_redis)),
        skipped={} if shutil.which(PROGRAM) else dict.fromkeys(beside_redis, f"there is no {PROGRAM}"))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
