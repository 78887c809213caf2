"""A user's mistake, or a limit of the machine: one line that says what is wrong, where, and how to mend it."""

from __future__ import annotations

import errno

LIMITS = {
    errno.EACCES: "no permission to write here",
    errno.EPERM: "no permission to write here",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full; make room and start again, what was done before is kept",
    errno.EDQUOT: "the quota of the disk is used up; make room and start again, what was done before is kept",
}


class UserError(Exception):
    """Ends a command with its message on one line and exit code 2, without a traceback."""


def limit_of_machine(error: OSError) -> UserError:
    """What an operating system's refusal means to a user; raises the error again if it is another one."""
    if error.errno not in LIMITS:
        raise error
    return UserError(f"{error.filename or error.filename2 or 'a file'}: {LIMITS[error.errno]}")
