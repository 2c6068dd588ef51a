#!/usr/bin/env python3
"""The ports of tests (support/python/ports.py, support/client/port.c). Prints TAP."""
import contextlib
import os
import socket
import subprocess
import sys

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support/python")
sys.path.insert(0, SUPPORT)
import ports  # pylint: disable=wrong-import-position
import processes  # pylint: disable=wrong-import-position
from kvserver import PATIENCE_S, Report, wait_for  # pylint: disable=wrong-import-position

N_PORTS = 1000  # of each process: without reservations, some of them would be the same
IN_PYTHON = [sys.executable, "-c", f"""
import sys
sys.path.insert(0, {SUPPORT!r})
import ports
print(*ports.reserve_ports({N_PORTS}), flush=True)
sys.stdin.read()"""]
IN_C = [os.environ["KV_RESERVE_PORTS"], str(N_PORTS)]


@contextlib.contextmanager
def holding(*commands):
    """Yields the processes, and the ports of each, which they hold meanwhile."""
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(processes.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
                   for command in commands]
        yield running, [[int(port) for port in process.stdout.readline().split()] for process in running]
        for process in running:
            process.stdin.close()
            assert process.wait(PATIENCE_S) == 0


def processes_at_once_have_different_ports():
    with holding(IN_PYTHON, IN_C, IN_PYTHON, IN_C) as (_, taken):
        assert [len(each) for each in taken] == [N_PORTS] * 4, taken
        assert len(set().union(*taken)) == 4 * N_PORTS, "a port is given out twice"


def reserved_port_stays_reserved_after_its_server():
    port = ports.reserve_port()
    for _ in range(2):
        socket.create_server(("", port)).close()
    with holding(IN_PYTHON, IN_C) as (_, taken):
        assert port not in set().union(*taken)


def ports_of_a_killed_process_are_free():
    for command in IN_PYTHON, IN_C:
        with holding(command) as (running, taken):
            port = taken[0][0]
            assert not ports.RESERVATIONS.take(port)
            running[0].kill()
            running[0].wait(PATIENCE_S)
            assert ports.RESERVATIONS.take(port)
            ports.RESERVATIONS.give_back(port)
            running.clear()


def children_do_not_keep_reservations():
    script = IN_PYTHON[2].replace("print", "import subprocess\nsubprocess.Popen(['cat'])\nprint", 1)
    with holding([sys.executable, "-c", script]) as (running, taken):
        running[0].kill()  # its child reads until the pipe is closed
        running[0].wait(PATIENCE_S)
        assert ports.RESERVATIONS.take(taken[0][0])
        running.clear()


def port_in_use_at_any_address_is_not_taken():
    port = ports.reserve_port()
    ports.RESERVATIONS.give_back(port)
    for address in "127.0.0.1", "":
        with socket.create_server((address, port)):
            assert not ports.RESERVATIONS.take(port)
    wait_for(lambda: ports.RESERVATIONS.take(port), "the port does not become free")


def block_is_reserved_whole():
    first = ports.reserve_block(6, above=(0, 10000))
    expected = {first + i + above for i in range(6) for above in (0, 10000)}
    assert expected <= ports.RESERVATIONS.ports


def command_has_a_port_until_it_ends():
    command = [os.path.join(SUPPORT, "ports.py"), "sh", "-c", "echo $KV_TEST_PORT; read line || :"]
    with holding(command) as (_, taken):
        port = taken[0][0]
        assert not ports.RESERVATIONS.take(port)
    assert ports.RESERVATIONS.take(port)


def main():
    report = Report()
    report.check_each((test.__name__, test) for test in (
        processes_at_once_have_different_ports, reserved_port_stays_reserved_after_its_server,
        ports_of_a_killed_process_are_free, children_do_not_keep_reservations,
        port_in_use_at_any_address_is_not_taken, block_is_reserved_whole, command_has_a_port_until_it_ends))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
