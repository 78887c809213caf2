"""A user's mistake: one line that says what is wrong, where, and how to mend it."""


class UserError(Exception):
    """Ends a command with its message on one line and exit code 2, without a traceback."""
