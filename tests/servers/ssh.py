"""An ssh server of a test's own, for whoever runs the tests."""

from __future__ import annotations

import os
from pathlib import Path

from .processes import Servers, free_port, listens, program

CONFIGURATION = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""
SEPARATION = Path("/run/sshd")  # an empty folder that sshd wants where it is root


def make_key(servers: Servers, name: str) -> Path:
    """A new key in the servers' folder."""
    path = servers.folder / name
    servers.run(program("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    return path


def start_ssh(servers: Servers) -> tuple[int, Path]:
    """Starts the server; gives its port and the key that it lets in."""
    sshd, port = program("sshd", "openssh-server"), free_port()
    make_key(servers, "host_key")
    key = make_key(servers, "key")
    if os.geteuid() == 0:
        SEPARATION.mkdir(mode=0o755, exist_ok=True)
    file = servers.folder / "sshd_config"
    file.write_text(CONFIGURATION.format(port=port, folder=servers.folder))
    servers.start(sshd, "-D", "-e", "-f", str(file))
    servers.wait(lambda: listens(port))
    return port, key
