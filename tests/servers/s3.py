"""A real S3 server of a test's own: OpenStack Swift with its S3 interface, one disk, one copy of each object."""

from __future__ import annotations

import getpass

from .processes import Servers, free_port, listens, program

PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
STORED = ("account", "container", "object")
# Swift looks for this file in the system's folders before it reads its own configuration.
BEGIN = """
import runpy
from swift.common import utils
utils.set_swift_dir({folder!r})
runpy.run_path({server!r}, run_name="__main__")
"""
SWIFT = """[swift-hash]
swift_hash_path_suffix = a
swift_hash_path_prefix = b

[storage-policy:0]
name = disk
default = yes
"""
DEFAULT = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/node
mount_check = false
workers = 0
user = {user}
log_udp_host =
log_level = WARNING
"""
STORAGE = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors proxy-logging cache listing_formats bulk s3api tempauth slo dlo versioned_writes proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:tempauth]
use = egg:swift#tempauth
user_test_{key} = {secret} .admin

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{cache}

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:proxy-logging]
use = egg:swift#proxy_logging

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:bulk]
use = egg:swift#bulk

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo

[filter:versioned_writes]
use = egg:swift#versioned_writes
"""


def start_s3(servers: Servers, key: str, secret: str) -> int:
    """Starts the server; gives its port. The access key is ``test:`` and ``key``."""
    user, folder = getpass.getuser(), servers.folder / "swift"
    (folder / "node" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT)
    cache, ports = free_port(), {kind: free_port() for kind in (*STORED, "proxy")}
    names = {"folder": folder, "user": user, "cache": cache, "key": key, "secret": secret}
    servers.start(program("memcached", PACKAGES), "-l", "127.0.0.1", "-p", str(cache), "-u", user)
    builder = program("swift-ring-builder", PACKAGES)
    for kind in STORED:
        ring = str(folder / f"{kind}.builder")
        for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{ports[kind]}/disk", "1"], ["rebalance"]):
            servers.run(builder, ring, *words)
    for kind, port in ports.items():
        text = DEFAULT + (PROXY if kind == "proxy" else STORAGE)
        file = folder / f"{kind}.conf"
        file.write_text(text.format(kind=kind, port=port, **names))
        server = program(f"swift-{kind}-server", PACKAGES)
        servers.start("/usr/bin/python3", "-c", BEGIN.format(folder=str(folder), server=server), str(file))
    servers.wait(lambda: all(map(listens, [cache, *ports.values()])))
    return ports["proxy"]
