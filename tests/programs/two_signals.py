# SPDX-License-Identifier: GPL-2.0-or-later
"""A signal, and then another, while the main thread is in a long call that knows nothing of Python."""

import ctypes
import os
import subprocess
import sys

from cosim.parallel.stop import StopSign

StopSign().listen()
subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -TERM {os.getpid()}; sleep 0.5; kill -INT {os.getpid()}"])
libc = ctypes.CDLL(None)
# Unlike sleep(3) this call is not ended by a signal.
lock = (ctypes.c_char * 64)()
libc.pthread_mutex_lock(lock)
libc.pthread_mutex_timedlock(lock, ctypes.byref((ctypes.c_long * 2)(2**40)))
sys.stderr.write("the call has returned\n")
