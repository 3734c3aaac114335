# Runs a command where DIRECTORY is an automount of which the daemon never answers: dead_mount.py DIRECTORY COMMAND...
import ctypes
import os
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20000) != 0 or libc.mount(b"none", b"/", None, 0x44000, None) != 0:
    sys.exit("no mount namespace")
reading, writing = os.pipe()
os.setpgid(0, 0)
options = "fd=%d,pgrp=%d,minproto=5,maxproto=5,indirect" % (writing, os.getpgrp())
if libc.mount(b"x", sys.argv[1].encode(), b"autofs", 0, options.encode()) != 0:
    sys.exit("no autofs: errno %d" % ctypes.get_errno())
sys.exit(subprocess.Popen(sys.argv[2:], preexec_fn=lambda: os.setpgid(0, 0)).wait())
