"""Which process made something, written so that anybody can ask later whether it still lives."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

# Carried in the environment by a driver and by all that it starts, so that they can be found
# again when it is gone. Processes are never found by name.
MARK_VARIABLE = "GFMP_DRIVER"
# Set by whoever starts a driver and starts another one when it dies: the run that it creates is
# found by that.
TOKEN_VARIABLE = "GFMP_SUBMISSION"
# Submission id of the job that a driver is, where a cluster runs it on behalf of somebody else.
JOB_VARIABLE = "GFMP_JOB_ID"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_HOST_DIGITS = 6
_BOOT_DIGITS = 8
_TAG = re.compile(r"(?P<host>[0-9a-f]{6})-(?P<boot>[0-9a-f]{8})-(?P<pid>[1-9][0-9]*)")


@dataclass(frozen=True)
class Owner:
    """A process on a machine, since that machine was booted.

    Attributes:
        host: Digest of the name of the machine.
        boot: Digest of the machine's boot id, which is another one after every boot.
        pid: Process id.
    """

    host: str
    boot: str
    pid: int

    @classmethod
    def present(cls) -> Owner:
        """Return the calling process."""
        return cls(host_digest(socket.gethostname()), boot_digest(), os.getpid())

    @classmethod
    def of(cls, tag: str) -> Owner | None:
        """Return the owner that `tag` names; None when it names none."""
        found = _TAG.fullmatch(tag)
        return cls(found["host"], found["boot"], int(found["pid"])) if found else None

    @property
    def tag(self) -> str:
        """The owner as a part of a file name."""
        return f"{self.host}-{self.boot}-{self.pid}"

    def dead(self) -> bool:
        """Return True when the process is certainly gone.

        Of another machine nothing is certain. A process id that was given out again looks alive.
        """
        if self.host != host_digest(socket.gethostname()):
            return False
        return self.boot != boot_digest() or not process_exists(self.pid)


def host_digest(name: str) -> str:
    """Return a short digest of the name of a machine."""
    return hashlib.sha256(name.encode()).hexdigest()[:_HOST_DIGITS]


@functools.cache
def boot_digest() -> str:
    """Return a short digest of this machine's boot id; the same for ever where there is none."""
    boot = _BOOT_ID.read_bytes() if _BOOT_ID.exists() else b""
    return hashlib.sha256(boot).hexdigest()[:_BOOT_DIGITS]


def process_exists(pid: int) -> bool:
    """Return True while a process of this machine has the id `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
