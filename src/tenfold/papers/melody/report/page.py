"""The page on which listeners compare melodies: one HTML file that needs no network and sends nothing anywhere."""

from __future__ import annotations

from typing import Any

from tenfold.files import canonical_json

DATA = "/*DATA*/"


def page_html(data: dict[str, Any]) -> str:
    """The page with its pieces and pairs inside.

    Args:
        data: ``page`` (its digest), ``face`` (a line), ``sixteenth`` (seconds), ``pieces``: id -> notes (onset and
            length in sixteenths, MIDI pitch), ``pairs``: the two ids of each.
    """
    return TEMPLATE.replace(DATA, canonical_json(data).replace("<", "\\u003c"))


TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'">
<title>Which melody sounds better?</title>
<style>
body { font: 1.1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
.pair { display: flex; gap: 1rem; margin: 1.5rem 0; }
.pair section { flex: 1; border: 1px solid #999; border-radius: .5rem; padding: 1rem; text-align: center; }
button { font: inherit; padding: .5rem 1rem; margin: .3rem; }
button.playing { outline: .2rem solid #0072b2; }
progress { width: 100%; }
footer { margin-top: 3rem; font-size: .8rem; color: #555; }
</style>
</head>
<body>
<h1>Which melody sounds better?</h1>
<p>Play both melodies, as often as you like, then choose the one that you like better. Nothing is sent anywhere: at the
end, or whenever you stop, save your answers to a file.</p>
<p id="where" aria-live="polite"></p>
<progress id="progress" value="0"></progress>
<div class="pair">
  <section><h2>First</h2><button id="play0">Play</button><button id="choose0" disabled>This one</button></section>
  <section><h2>Second</h2><button id="play1">Play</button><button id="choose1" disabled>This one</button></section>
</div>
<button id="stop">Stop the sound</button>
<button id="save">Save my answers</button>
<footer id="face"></footer>
<noscript>This page needs JavaScript to play melodies.</noscript>
<script>
"use strict";
const data = /*DATA*/;
const answers = [];
const get = (id) => document.getElementById(id);
let context = null;
let output = null;
let heard = [false, false];

function stop() {
  if (output) { output.gain.value = 0; output.disconnect(); output = null; }
  for (const side of [0, 1]) get("play" + side).classList.remove("playing");
}

function play(side) {
  stop();
  context = context || new AudioContext();
  context.resume();
  output = context.createGain();
  output.gain.value = 0.12;
  output.connect(context.destination);
  const start = context.currentTime + 0.1;
  for (const [onset, length, pitch] of data.pieces[data.pairs[answers.length][side]]) {
    const from = start + onset * data.sixteenth;
    const until = from + length * data.sixteenth;
    const tone = context.createOscillator();
    const envelope = context.createGain();
    tone.type = "triangle";
    tone.frequency.value = 440 * Math.pow(2, (pitch - 69) / 12);
    envelope.gain.setValueAtTime(0, from);
    envelope.gain.linearRampToValueAtTime(1, from + 0.01);
    envelope.gain.exponentialRampToValueAtTime(0.15, until);
    envelope.gain.linearRampToValueAtTime(0, until + 0.03);
    tone.connect(envelope).connect(output);
    tone.start(from);
    tone.stop(until + 0.05);
  }
  get("play" + side).classList.add("playing");
  heard[side] = true;
  show();
}

function choose(side) {
  const [first, second] = data.pairs[answers.length];
  answers.push({ first, second, chosen: side === 0 ? first : second });
  heard = [false, false];
  stop();
  show();
}

function show() {
  const over = answers.length === data.pairs.length;
  get("where").textContent = over
    ? "That was the last pair. Thank you: please save your answers."
    : "Pair " + (answers.length + 1) + " of " + data.pairs.length;
  get("progress").max = data.pairs.length;
  get("progress").value = answers.length;
  for (const side of [0, 1]) {
    get("play" + side).disabled = over;
    get("choose" + side).disabled = over || !(heard[0] && heard[1]);
  }
}

function save() {
  const text = JSON.stringify({ page: data.page, answers }, null, 1) + "\\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "answers-" + data.page.slice(0, 8) + ".json";
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const side of [0, 1]) {
  get("play" + side).onclick = () => play(side);
  get("choose" + side).onclick = () => choose(side);
}
get("stop").onclick = stop;
get("save").onclick = save;
get("face").textContent = data.face;
show();
</script>
</body>
</html>
"""
