"""Trains each convolution of all configured nets for a step under glibc's checks of the heap, and prints a line each.

A kernel that writes past its memory ends the step's process: the line says how. ``ONEDNN_MAX_CPU_ISA=AVX2`` in the
environment tries the kernels of processors without AVX-512; the checks come with glibc (libc_malloc_debug.so.0).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.books.work import scene_net
from tenfold.config import EDITIONS
from tenfold.data import scenes
from tenfold.nets.build import build
from tenfold.papers.icnn_face_parsing import grid as icnn
from tenfold.papers.icnn_face_parsing.train import net_of as icnn_net
from tenfold.papers.rco.faces import BLOCK, HEIGHT, WIDTH
from tenfold.papers.sge import nets as sge_nets
from tenfold.papers.sge.grid import attention_of
from tenfold.papers.sknet import grid as sknet
from tenfold.papers.sknet.nets import build_net
from tenfold.papers.turbo_hoi import grid as turbo_hoi
from tenfold.workflow import Edition, configured

CHECKS = {"LD_PRELOAD": "libc_malloc_debug.so.0", "GLIBC_TUNABLES": "glibc.malloc.check=3"}
SIZE = ("family", "name", "width", "depth", "growth", "cardinality", "stem", "multiplier", "expansion")
CIFAR = 32  # pixels of images whose settings name no size

Case = tuple[Callable[[], nn.Module], tuple[int, int]]  # a net, and height and width of its images


def of_sge(edition: Edition) -> Iterator[Case]:
    """SGE's nets with each kind of attention."""
    for net in edition.settings["nets"].values():
        for arm in net["arms"]:
            attention = attention_of(edition.settings, arm)
            yield partial(sge_nets.build, sized(net) | {"attention": attention}), side(edition.settings)


def of_sknet(edition: Edition) -> Iterator[Case]:
    """SKNet's nets with each kind of branches."""
    for name, net in edition.settings["nets"].items():
        for arm in net["arms"]:
            options = sknet.options(edition.settings, name, arm)
            yield partial(build_net, options), side(sknet.of_net(edition, name).settings)


def of_icnn_face_parsing(edition: Edition) -> Iterator[Case]:
    """The nets of each arm of face parsing, on what each of them sees."""
    settings = edition.settings
    for arm in dict.fromkeys(of["arm"] for of, _ in icnn.trained(edition)):
        cfg = {"widths": settings["widths"], "form": icnn.FORMS[arm]}
        for net, pixels in settings["sides"].items():
            yield partial(icnn_net, cfg, net), (pixels, pixels)


def of_pruning_from_scratch(edition: Edition) -> Iterator[Case]:
    """The nets of Pruning from Scratch, plain and expanded."""
    for net in edition.settings["nets"].values():
        for width in (net["width"], net["expanded"]):
            yield partial(build, sized(net) | {"width": width}), side(edition.settings | net.get("settings", {}))


def of_rco(edition: Edition) -> Iterator[Case]:
    """RCO's teachers and students."""
    settings = edition.settings
    for net in (settings["teacher"]["net"], *settings["students"].values()):
        yield partial(build, sized(net)), side(settings)
    for role in ("teacher", "student") if "faces" in settings else ():
        yield partial(build, settings["faces"][role]), (HEIGHT // BLOCK, WIDTH // BLOCK)


def of_variance_shift(edition: Edition) -> Iterator[Case]:
    """The nets into which dropout is put."""
    for net in edition.settings["nets"].values():
        yield partial(build, sized(net)), side(edition.settings)


def of_turbo_hoi(edition: Edition) -> Iterator[Case]:
    """The loop on drawn scenes; what was detected at full has passed other nets before."""
    net = {"sizes": edition.settings["sizes"], "links": turbo_hoi.LINKS_OF[turbo_hoi.LOOP]}
    net |= {"persons": scenes.PERSONS, "objects": scenes.PERSONS * scenes.OBJECTS}
    yield partial(scene_net, net), (scenes.HEIGHT, scenes.WIDTH)


NETS = {
    "icnn-face-parsing": of_icnn_face_parsing,
    "pruning-from-scratch": of_pruning_from_scratch,
    "rco": of_rco,
    "sge": of_sge,
    "sknet": of_sknet,
    "turbo-hoi": of_turbo_hoi,
    "variance-shift": of_variance_shift,
}


def sized(net: dict[str, Any]) -> dict[str, Any]:
    """What of a net's settings fixes its shapes."""
    return {key: value for key, value in net.items() if key in SIZE}


def side(settings: dict[str, Any]) -> tuple[int, int]:
    """The size of an edition's images."""
    images = settings.get("photos", settings["images"])
    pixels = images.get("size", images.get("pixels", CIFAR))
    return pixels, pixels


def convolutions(case: Case) -> dict[str, tuple[nn.Conv2d, torch.Size]]:
    """The convolutions of a net without weights, and the shapes that they are given, by their description."""
    make, size = case
    found = {}

    def note(module: nn.Module, args: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        _, _, height, width = args[0].shape
        found[f"{module} on {height} x {width}"] = (module, args[0].shape)

    with torch.device("meta"), torch.no_grad():
        net = make().eval()
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(note)
        net(torch.empty(1, 3, *size))
    return found


def step(conv: nn.Conv2d, shape: torch.Size, batch: int, precision: torch.dtype) -> None:
    """A forward and a backward pass, twice: what the first one spoils, the second finds."""
    conv._forward_hooks.clear()
    conv = conv.to_empty(device="cpu").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for parameter in conv.parameters():
        nn.init.normal_(parameter, std=0.1)
    for _ in range(2):
        maps = torch.randn(batch, *shape[1:]).to(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
            out = conv(maps)
        out.float().sum().backward()


def ended(work: Callable[[], None]) -> str:
    """How work ends in a process of its own: ``right``, or the name of what ended it."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "right" if status == 0 else signal.Signals(-status).name if status < 0 else f"exit status {status}"


def main() -> int:
    """Prints the lines and gives the exit code."""
    if any(os.environ.get(name) != value for name, value in CHECKS.items()):
        return subprocess.run([sys.executable, *sys.argv], env=os.environ | CHECKS).returncode
    torch.set_num_threads(1)
    house = configured({})
    found: dict[str, tuple[nn.Conv2d, torch.Size]] = {}
    for edition in EDITIONS:
        for slug, nets in NETS.items():
            for case in nets(house.paper(slug).edition(edition)):
                found |= convolutions(case)
    wrong = 0
    for description, (conv, shape) in found.items():
        for precision in (torch.float32, torch.bfloat16):
            result = ended(partial(step, conv, shape, 3, precision))
            wrong += result != "right"
            print(f"{result}: {description}, {str(precision).removeprefix('torch.')}", flush=True)
    print(f"{len(found)} convolutions, {wrong} of {2 * len(found)} steps wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
