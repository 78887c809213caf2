"""A WebDAV server of a test's own: rclone's."""

from __future__ import annotations

from .processes import Servers, free_port, listens, program


def start_webdav(servers: Servers, user: str, password: str) -> int:
    """Starts the server on the folder ``webdav``; gives its port."""
    rclone, port, folder = program("rclone", "rclone"), free_port(), servers.folder / "webdav"
    folder.mkdir()
    # Passwords in the environment: others may see a command line.
    secrets = {"RCLONE_USER": user, "RCLONE_PASS": password, "RCLONE_CONFIG": str(servers.folder / "rclone.conf")}
    servers.start(rclone, "serve", "webdav", str(folder), "--addr", f"127.0.0.1:{port}", env=secrets)
    servers.wait(lambda: listens(port))
    return port
