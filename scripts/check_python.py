"""Says in one line why an interpreter cannot be that of .venv. It has to run on those that cannot, too."""

import sys


def problem() -> str:
    """Gives what is wrong with this interpreter and how to mend it; empty where nothing is."""
    choose = "name another one, as in: make PYTHON=python3.12"
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        version = ".".join(map(str, sys.version_info[:2]))
        return f"Python {version} at {sys.executable} is outside >=3.11,<3.14: {choose}"
    try:
        import ensurepip  # noqa: F401  Debian's python3 has venv without it, and so no pip for .venv
        import venv  # noqa: F401
    except ImportError:
        return f"{sys.executable} has no venv module: apt install python3-venv, or {choose}"
    return ""


if __name__ == "__main__":
    found = problem()
    if found:
        print("tenfold: " + found, file=sys.stderr)
        sys.exit(2)
