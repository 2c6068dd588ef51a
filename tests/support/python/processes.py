"""Processes that never outlive the test that starts them, whichever way it ends: SIGKILL included.

The kernel sends them a signal then (PR_SET_PDEATHSIG). It is not passed on to processes that these start themselves.
"""
import ctypes
import os
import signal
import subprocess
import threading

PR_SET_PDEATHSIG = 1  # see prctl(2)
PRCTL = ctypes.CDLL(None).prctl


def bound_to_test(then=None, by=signal.SIGKILL):
    """For `preexec_fn`. then: is called in the child as well; by: the signal, which ends the process with the test."""
    # Otherwise the process would end with the thread that starts it.
    assert threading.current_thread() is threading.main_thread(), "only the main thread starts processes"
    parent = os.getpid()

    def prepare():
        PRCTL(PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(127)
        if then is not None:
            then()
    return prepare


def start(command, preexec_fn=None, by=signal.SIGKILL, **how):
    """Like subprocess.Popen()."""
    return subprocess.Popen(command, preexec_fn=bound_to_test(preexec_fn, by), **how)


def run(command, **how):
    """Like subprocess.run(). Only for the main thread."""
    return subprocess.run(command, preexec_fn=bound_to_test(), **how)
