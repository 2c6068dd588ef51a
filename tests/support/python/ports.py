#!/usr/bin/env python3
"""Ports for the servers of tests and benchmarks, of which many run at the same time.

A port is reserved until this process ends: no other test of this user gets it meanwhile, whether or not a server listens
there. Each port is a byte of one file, and a lock on the byte reserves it. The kernel removes the lock with the
process, and children do not inherit it. Tests in C lock the same file (../client/port.c).

The ports lie below the range from which Linux takes ports for connections: there, a connection could take one before
the server listens.

ports.py COMMAND [ARGUMENT]...: runs the command with a port in KV_TEST_PORT, reserved until the command ends.
"""
import fcntl
import os
import random
import socket
import sys
import threading

LOWEST = 10000
N_ATTEMPTS = 100000
PATH = f"/tmp/kvserver-test-ports-{os.getuid()}"  # wherever TMPDIR is: ports are the machine's
DICE = random.Random()  # tests seed the common one


def highest():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return max(int(file.read().split()[0]) - 1, LOWEST + 1000)


def is_free(port):
    """On all addresses, as Redis listens on all."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
            return True
        except OSError:
            return False


class Reservations:
    def __init__(self):
        # Open to the end: closing any descriptor of a file removes the process's locks on it.
        self.file = os.open(PATH, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self.ports, self.highest = set(), highest()
        self.mutex = threading.Lock()

    def take(self, port):
        """Returns: whether the port was free, and is reserved now."""
        with self.mutex:
            if port in self.ports:
                return False
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            except (BlockingIOError, PermissionError):  # it is another process's; see fcntl(2) on the two
                return False
            if not is_free(port):
                fcntl.lockf(self.file, fcntl.LOCK_UN, 1, port)
                return False
            self.ports.add(port)
            return True

    def give_back(self, port):
        with self.mutex:
            self.ports.remove(port)
            fcntl.lockf(self.file, fcntl.LOCK_UN, 1, port)


RESERVATIONS = Reservations()


def reserve_port():
    return reserve_block(1)


def reserve_ports(n):
    return [reserve_port() for _ in range(n)]


def reserve_block(n, above=(0,)):
    """Reserves n consecutive ports, and those that lie above each by each of these numbers. Returns: the first port."""
    for _ in range(N_ATTEMPTS):
        first = DICE.randint(LOWEST, RESERVATIONS.highest - max(above) - n + 1)
        taken = []
        for port in (first + i + more for i in range(n) for more in above):
            if not RESERVATIONS.take(port):
                break
            taken.append(port)
        else:
            return first
        for port in taken:
            RESERVATIONS.give_back(port)
    raise RuntimeError("no port is free")


if __name__ == "__main__":
    os.environ["KV_TEST_PORT"] = str(reserve_port())
    os.set_inheritable(RESERVATIONS.file, True)  # the lock stays through exec, as long as the file is open
    os.execvp(sys.argv[1], sys.argv[1:])
