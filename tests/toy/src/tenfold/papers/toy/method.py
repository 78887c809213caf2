"""The toy's idea: a sum with momentum, in integers."""

from __future__ import annotations


def step(value: int, velocity: int, rate: int, momentum: int, noise: int) -> tuple[int, int]:
    """One step: the velocity grows by ``rate`` and noise, the value by the velocity, both modulo 2**32."""
    velocity = (momentum * velocity + rate + noise) % 2**32
    return (value + velocity) % 2**32, velocity
