"""The stand-in for photographs of persons who act on objects: stick figures, drawn with integers only.

Each of two persons does one of eight things, which its legs tell, on the side to which it looks. Within its reach are
four objects, up and low on either side, and four forearms: on each side both point at the object of their own level,
or both at that of the other. One forearm is its own: on the side of its gaze, up or low as its action has it. What it
points at is the target; who hits, hits the other object of that side. Half of the persons have their arms out of sight,
so that nothing joins the own forearm to them. Boxes of persons show how far they can reach, not what they do; colours
and kinds of objects say nothing.

So each task needs the other, by construction. All that is drawn above the hips is independent of legs, that is of the
action, where arms are out of sight:

- Poses need interactions. The own wrist has two places on its side that look alike and are equally likely. The action,
  told by the feet far away, leaves one: it is known where the hands are of who throws, and of who carries.
- Interactions need poses. Objects and forearms are the same whoever acts: each of the four objects is equally likely to
  be the target. Gaze, legs and the forearm's direction leave one.
- The action says which forearm, and only its direction says which object. That a net needs several turns for this is
  not by construction: features of both forearms, read together, tell as much.

Each direction of help can be taken away. With ``hidden`` 0 the own forearm hangs on a shoulder: poses need no action.
With ``told`` 1 and ``reach`` 1 the shirt names the action, and there is one object: interactions need no pose.

Only integer operations are used (as in `tenfold.data.shapes`), so the bytes are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.shapes import Ints, Mask, Scenes

ACTIONS: dict[str, tuple[str, ...]] = {  # and their roles; those of the first half are done with hands up
    "talk_on_phone": ("instr",),
    "catch": ("obj",),
    "throw": ("obj",),
    "stand": (),
    "hold": ("obj",),
    "hit": ("instr", "obj"),
    "carry": ("obj",),
    "sit": (),
}
OUTPUTS = tuple((action, role) for action, roles in ACTIONS.items() for role in roles or ("",))  # of a net
CLASSES = ("ball", "bat", "board", "cup", "phone")
JOINTS = (
    "nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
NOSE, SHOULDER, ELBOW, WRIST, HIP, KNEE, ANKLE = 0, 1, 3, 5, 7, 9, 11  # the left one's place among them
ARMS = range(ELBOW, HIP)
COCO_JOINT = (0, *range(5, 17))  # their places among COCO's 17
SPLITS = ("train", "val", "test")
UNLABELLED, HIDDEN, SEEN = 0, 1, 2  # joints, in COCO's numbers

PERSONS, OBJECTS = 2, 4  # in a scene, and in the reach of each person
HEIGHT, WIDTH = 40, 72  # pixels; each person has half of the width
FINE = 16  # positions are in sixteenths of a pixel; pixel k lies at 16 k + 8
UNIT = 1000  # half the side of a person's reach, in the person's own coordinates: x to the image's right, y down
NOWHERE = -1000 * FINE  # of joints that are not labelled
REACH = 16  # the same in pixels, for a person at scale 100
SCALE = (90, 108)  # percent

# The left half of an upright person who faces us; the right half is its mirror image.
HEAD = (0, -560)
BODY = {SHOULDER: (190, -300), ELBOW: (220, -70), WRIST: (210, 170), HIP: (130, 180), KNEE: (150, 480),
        ANKLE: (130, 820)}  # fmt: skip
LOOK = (240, 0)  # from the head's middle to the nose
BENT, APART = (280, -20), (280, -40)  # how far a knee is bent outwards, and a foot set
# Up and low: where forearms begin, where they end that point at the object of their own level or of the other, and
# where objects are.
ELBOWS = ((390, -505), (390, 265))
WRISTS = (((676, -594), (485, -306)), ((676, 354), (485, 66)))
SLOTS = ((820, -640), (820, 400))
LOOSE, FIRM = 40, 20  # how far objects and forearms, and how far other joints, may be away from there

LIMB, TORSO, NECK = 16, 40, 12  # half the width of what is drawn, in sixteenths of a pixel
RADIUS, SKULL, HAND, TIP = 190, 290, 80, 90  # of objects, heads, hands and noses
GROUND, LIGHT, PAINT = (20, 50), (210, 250), (60, 140)  # grey levels: background, persons, objects and clothes
GRAIN = 4

# What is drawn of an object, of (u, v) in thousandths of its radius.
OUTLINES = {
    "ball": lambda u, v: u * u + v * v <= UNIT * UNIT,
    "bat": lambda u, v: abs(u - v) <= 450,
    "board": lambda u, v: abs(v) <= 450,
    "cup": lambda u, v: (abs(u) >= 400) | (v >= 350),
    "phone": lambda u, v: abs(u) <= 600,
}


@dataclass(frozen=True)
class Split:
    """Scenes of a split: N of them, each with P persons and Q objects; all arrays of integers.

    Attributes:
        images: (N, H, W, 3) uint8.
        persons: boxes (N, P, 4), left, top, right, bottom in pixels: the square of a person's reach, whatever it does.
        objects: boxes (N, Q, 4).
        classes: of the objects (N, Q), positions in `CLASSES`.
        joints: x and y (N, P, K, 2), in sixteenths of a pixel; outside the image where they are not labelled.
        seen: `UNLABELLED`, `HIDDEN` or `SEEN`, (N, P, K).
        actions: what each person does (N, P), positions in `ACTIONS`.
        targets: the object of each role (N, P, 2), a position among the scene's objects; -1 where there is none.
        acting: the joint that acts (N, P), a position in `JOINTS`; -1 where none does.
    """

    images: NDArray[np.uint8]
    persons: Ints
    objects: Ints
    classes: Ints
    joints: Ints
    seen: Ints
    actions: Ints
    targets: Ints
    acting: Ints


def generate(settings: dict[str, Any]) -> dict[str, Split]:
    """Draws a dataset.

    Args:
        settings: ``train``, ``val`` and ``test`` (numbers of scenes), ``seed``, and the switches ``hidden`` (of a
            hundred persons, how many have their arms out of sight), ``reach`` (4, or 1: of the objects and forearms
            only the target and what points at it) and ``told`` (0 by default; 1: the shirt's colour names the action).
    """
    splits = {}
    for name in SPLITS:
        scenes = Scenes.of(settings["seed"], name, np.arange(settings[name], dtype=np.int64))
        splits[name] = draw(scenes, deeds(scenes), settings)
    return splits


@dataclass(frozen=True)
class Deeds:
    """What the persons of N scenes do.

    Attributes:
        action: (N, P), positions in `ACTIONS`.
        side: where they look and act (N, P): 0, their left (the image's right), or 1.
    """

    action: Ints
    side: Ints


def deeds(scenes: Scenes) -> Deeds:
    """Draws them: all actions and both sides are equally likely."""
    return Deeds(
        scenes.integers("action", 0, len(ACTIONS) - 1, PERSONS),
        scenes.integers("side", 0, 1, PERSONS),
    )


def draw(scenes: Scenes, done: Deeds, settings: dict[str, Any]) -> Split:
    """Draws scenes in which this is done; all that chance decides of them besides is independent of it."""
    parts = [_Person(scenes, number, done, settings).split() for number in range(PERSONS)]
    reach = parts[0].objects.shape[1]
    for number, part in enumerate(parts):
        left = number * WIDTH // PERSONS
        labelled = part.seen > UNLABELLED
        for boxes in (part.persons, part.objects):
            boxes[..., 0::2] += left
        part.joints[labelled, 0] += FINE * left
        part.targets[part.targets >= 0] += number * reach
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts], 1) for field in fields(Split)}
    return Split(**joined | {"images": np.concatenate([part.images for part in parts], 2)})


class _Person:
    """The person of one half of N scenes, and what is within its reach."""

    def __init__(self, scenes: Scenes, number: int, done: Deeds, settings: dict[str, Any]) -> None:
        self.scenes, self.number = scenes, number
        self.action, self.side = done.action[:, number], done.side[:, number]
        n, reach, self.told = len(self.action), settings["reach"], settings.get("told", 0)
        self.hidden = self._drawn("hidden", 0, 99) < settings["hidden"]
        self.idle = np.isin(self.action, [place for place, roles in enumerate(ACTIONS.values()) if not roles])
        self._stand()

        # The object and the forearm 2 level + side; forearm k points at object pointed[k].
        level, side = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        crossed = self._drawn("crossed", 0, 1, 2)[:, side]
        self.pointed = (2 * (level ^ crossed)) + side
        loose = self._drawn("loose", -LOOSE, LOOSE, 2, OBJECTS, 2)
        self.slots = mirrored(np.array(SLOTS)[level], side) + loose[:, 0]
        self.elbows = mirrored(np.array(ELBOWS)[level], side) + loose[:, 1]
        self.wrists = mirrored(np.array(WRISTS)[level, crossed], side) + loose[:, 1]
        self.own = 2 * (self.action // (len(ACTIONS) // 2)) + self.side
        self.target = of_each(self.pointed, self.own)
        self.shown = {OBJECTS: np.broadcast_to(np.arange(OBJECTS), (n, OBJECTS)), 1: self.target[:, None]}[reach]
        self.forearms = {OBJECTS: self.shown, 1: self.own[:, None]}[reach]
        self.joints = self._joints()

    def _drawn(self, purpose: str, low: int, high: int, *shape: int) -> Ints:
        return self.scenes.integers(f"{purpose} of person {self.number}", low, high, *shape)

    def _stand(self) -> None:
        """Where the person is: its box, in whole pixels, lies within its half of the canvas."""
        half = REACH * self._drawn("scale", *SCALE) // 100
        room = np.stack([WIDTH // PERSONS // 2 - half, HEIGHT // 2 - half], 1)
        away = self._drawn("place", 0, 1 << 20, 2) % (2 * room + 1) - room
        centre = away + np.array([WIDTH // PERSONS // 2, HEIGHT // 2])
        self.box = np.concatenate([centre - half[:, None], centre + half[:, None]], 1)
        self.half, self.centre = FINE * half, FINE * centre

    def _joints(self) -> Ints:
        """Where its joints are, in its own coordinates: (N, K, 2)."""
        n = len(self.action)
        joints = self._drawn("posture", -FIRM, FIRM, len(JOINTS), 2)
        for joint, place in BODY.items():
            for side in (0, 1):
                joints[:, joint + side] += mirrored(np.array([place]), np.array([side]))[0]
        for side in (0, 1):
            for joint, bit, far in ((KNEE + side, side, BENT), (ANKLE + side, 2, APART)):
                is_out = (self.action >> bit & 1)[:, None]
                joints[:, joint] += is_out * mirrored(np.array([far]), np.array([side]))
        self.head = np.array(HEAD) + joints[:, NOSE]
        joints[:, NOSE] = self.head + mirrored(np.broadcast_to(LOOK, (n, 2)), self.side)
        acts = np.flatnonzero(~self.idle)
        for joint, places in ((ELBOW, self.elbows), (WRIST, self.wrists)):
            joints[acts, joint + self.side[acts]] = of_each(places, self.own)[acts]
        return joints

    def split(self) -> Split:
        """The half of the scenes, its boxes and places in its own pixels."""
        radius = RADIUS * self.half[:, None, None] // UNIT
        centres = self._place(of_each(self.slots, self.shown))
        boxes = np.concatenate([centres - radius, centres + radius + FINE - 1], 2) // FINE
        second = np.where(self.action == list(ACTIONS).index("hit"), self.target ^ 2, -1)
        roles = np.stack([np.where(self.idle, -1, self.target), second], 1)
        at = (roles[:, :, None] == self.shown[:, None]) * np.arange(1, self.shown.shape[1] + 1)
        acting = np.where(self.idle, -1, WRIST + self.side)
        seen = self._seen(acting)
        return Split(
            images=self._image(),
            persons=self.box[:, None],
            objects=boxes,
            classes=self._kinds(),
            joints=np.where(seen[..., None] > UNLABELLED, self._place(self.joints), NOWHERE)[:, None],
            seen=seen[:, None],
            actions=self.action[:, None],
            targets=at.sum(2)[:, None] - 1,
            acting=acting[:, None],
        )

    def _kinds(self) -> Ints:
        return of_each(self._drawn("kind", 0, len(CLASSES) - 1, OBJECTS), self.shown)

    def _seen(self, acting: Ints) -> Ints:
        """What arms out of sight do is not labelled, but for where the acting one is."""
        joint = np.arange(len(JOINTS))
        acts = (joint == acting[:, None]) | (joint == acting[:, None] - WRIST + ELBOW)
        out_of_sight = self.hidden[:, None] & np.isin(joint, ARMS)
        return np.where(out_of_sight, np.where(acts, HIDDEN, UNLABELLED), SEEN)

    def _place(self, own: Ints) -> Ints:
        """From the person's coordinates to sixteenths of a pixel: (N, k, 2) -> (N, k, 2)."""
        return self.centre[:, None] + own * self.half[:, None, None] // UNIT

    # Drawing, back to front -------------------------------------------------------------------------------------

    def _image(self) -> NDArray[np.uint8]:
        n, width = len(self.action), WIDTH // PERSONS
        self.x = FINE * np.arange(width)[None, None, :] + FINE // 2
        self.y = FINE * np.arange(HEIGHT)[None, :, None] + FINE // 2
        ground = self._drawn("ground", *GROUND, 3)
        self.canvas = np.broadcast_to(ground[:, None, None], (n, HEIGHT, width, 3)).astype(np.int16)
        self.limb = self._drawn("limb", *LIGHT, 3)
        self._paint_objects()
        self._paint_person()
        grain = self._drawn("grain", -GRAIN, GRAIN, HEIGHT, width, 3).astype(np.int16)
        return np.clip(self.canvas + grain, 0, 255).astype(np.uint8)

    def _paint_objects(self) -> None:
        """Objects, and the forearms that point at them, all of the person's colour."""
        slots, elbows, wrists = (self._place(places) for places in (self.slots, self.elbows, self.wrists))
        colours = self._drawn("object", *PAINT, OBJECTS, 3)
        kinds = self._kinds()
        for k in range(self.shown.shape[1]):
            shown = self.shown[:, k]
            self._paint(self._object(of_each(slots, shown), kinds[:, k]), of_each(colours, shown))
        for k in range(self.forearms.shape[1]):
            elbow, wrist = (of_each(places, self.forearms[:, k]) for places in (elbows, wrists))
            self._paint(self._segment(elbow, wrist, LIMB), self.limb)
            self._paint(self._square(wrist, HAND), self.limb)

    def _paint_person(self) -> None:
        """The torso, what is in sight of the limbs, the head, and the nose."""
        places = self._place(self.joints)
        neck, waist = (places[:, joint : joint + 2].sum(1) // 2 for joint in (SHOULDER, HIP))
        self._paint(self._segment(neck, waist, TORSO), self._shirt())
        in_sight = ~self.hidden[:, None, None]
        for side in (0, 1):
            for upper, lower in ((SHOULDER, ELBOW), (ELBOW, WRIST), (HIP, KNEE), (KNEE, ANKLE)):
                mask = self._segment(places[:, upper + side], places[:, lower + side], LIMB)
                self._paint(mask & (in_sight | (upper >= HIP)), self.limb)
            self._paint(self._square(places[:, WRIST + side], HAND) & in_sight, self.limb)
        head, nose = self._place(self.head[:, None])[:, 0], places[:, NOSE]
        self._paint(self._disc(head, SKULL), self.limb)
        self._paint(self._segment(head, nose, NECK) | self._disc(nose, TIP), np.zeros_like(self.limb))

    def _shirt(self) -> Ints:
        """One of eight colours: any, or the action's."""
        number = self.action if self.told else self._drawn("shirt", 0, len(ACTIONS) - 1)
        return np.where(number[:, None] >> np.arange(3) & 1, PAINT[1], PAINT[0])

    def _paint(self, mask: Mask, colour: Ints) -> None:
        np.copyto(self.canvas, colour.astype(np.int16)[:, None, None], where=mask[..., None])

    def _from(self, place: Ints) -> tuple[Ints, Ints]:
        """How far all pixels are from a place (N, 2), to the right and down: (N, H, W / P) each, by broadcasting."""
        return self.x - place[:, 0, None, None], self.y - place[:, 1, None, None]

    def _size(self, own: int) -> Ints:
        return (own * self.half // UNIT)[:, None, None]

    def _segment(self, start: Ints, end: Ints, width: int) -> Mask:
        """The pixels within ``width`` of the line between two places, all lengths times that of the line squared."""
        (x, y), (along_x, along_y) = self._from(start), ((end - start)[:, axis, None, None] for axis in (0, 1))
        square = np.maximum(along_x**2 + along_y**2, 1)
        foot = np.clip(x * along_x + y * along_y, 0, square)
        mask: Mask = (x * square - foot * along_x) ** 2 + (y * square - foot * along_y) ** 2 <= (width * square) ** 2
        return mask

    def _disc(self, place: Ints, radius: int) -> Mask:
        x, y = self._from(place)
        mask: Mask = x**2 + y**2 <= self._size(radius) ** 2
        return mask

    def _square(self, place: Ints, half: int) -> Mask:
        x, y = self._from(place)
        mask: Mask = np.maximum(abs(x), abs(y)) <= self._size(half)
        return mask

    def _object(self, place: Ints, kinds: Ints) -> Mask:
        u, v = (way * UNIT // self._size(RADIUS) for way in self._from(place))
        outlines = [OUTLINES[name](u, v) for name in CLASSES]
        return self._square(place, RADIUS) & np.choose(kinds[:, None, None], outlines)


def mirrored(places: Ints, side: Ints) -> Ints:
    """Places (..., 2) on the side (...): as they are on 0, the image's right, mirrored on 1."""
    return np.stack([places[..., 0] * (1 - 2 * side), places[..., 1] + 0 * side], -1)


def of_each(values: Ints, which: Ints) -> Ints:
    """In each scene those of its values (N, k, ...) with these numbers, (N,) or (N, j)."""
    scene = np.arange(len(which))
    return values[scene if which.ndim == 1 else scene[:, None], which]


def coco(split: Split, first: int = 1) -> dict[str, Any]:
    """The scenes in COCO's format: persons with 17 keypoints, and objects.

    Args:
        split: the scenes.
        first: id of the first image; its annotations are numbered from 100 times that, persons first.
    """
    categories = [{"id": 1, "name": "person", "keypoints": list(JOINTS)}]
    categories += [{"id": place, "name": name} for place, name in enumerate(CLASSES, 2)]
    images, annotations = [], []
    for scene in range(len(split.images)):
        image = first + scene
        images.append({"id": image, "file_name": f"{image:06d}.png", "height": HEIGHT, "width": WIDTH})
        for number, box in enumerate(split.persons[scene]):
            keypoints = np.zeros((17, 3))
            seen = split.seen[scene, number]
            keypoints[COCO_JOINT, :2] = np.where(seen[:, None] > UNLABELLED, split.joints[scene, number] / FINE, 0)
            keypoints[COCO_JOINT, 2] = seen
            annotations.append(
                _annotation(image, number, box, category=1)
                | {"keypoints": keypoints.flatten().tolist(), "num_keypoints": int((seen > UNLABELLED).sum())}
            )
        for number, box in enumerate(split.objects[scene]):
            category = 2 + int(split.classes[scene, number])
            annotations.append(_annotation(image, split.persons.shape[1] + number, box, category))
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotation(image: int, number: int, box: Ints, category: int) -> dict[str, Any]:
    """An annotation; half of its box is taken as the area that it fills."""
    left, top, right, bottom = (int(edge) for edge in box)
    width, height = right - left, bottom - top
    return {
        "id": 100 * image + number,
        "image_id": image,
        "category_id": category,
        "bbox": [left, top, width, height],
        "area": width * height / 2,
        "iscrowd": 0,
    }


def vcoco(split: Split, first: int = 1) -> list[dict[str, Any]]:
    """What the persons do in V-COCO's format: a dictionary for each action, whose ``role_object_id`` is flat.

    Args:
        split: the scenes.
        first: as for `coco`.
    """
    n, p = split.actions.shape
    image = np.repeat(first + np.arange(n), p)
    ids = 100 * image + np.tile(np.arange(p), n)
    targets = split.targets.reshape(n * p, -1)
    listed = []
    for place, (action, roles) in enumerate(ACTIONS.items()):
        acts = split.actions.reshape(-1) == place
        columns = [ids]
        for role in range(len(roles)):
            there = acts & (targets[:, role] >= 0)
            columns.append(np.where(there, 100 * image + p + targets[:, role], 0))
        listed.append(
            {
                "action_name": action,
                "role_name": ["agent", *roles],
                "image_id": image.tolist(),
                "ann_id": ids.tolist(),
                "label": acts.astype(int).tolist(),
                "role_object_id": np.concatenate(columns).tolist(),
                "include": [[], *([*CLASSES] for _ in roles)],
            }
        )
    return listed
