"""Slots: sounds drawn side by side, where one begins as soon as another has ended.

A slot draws one sound after the other, so that short ones do not wait for the longest:

    slot 0  |------- a -------|---- d ----|
    slot 1  |------ b ------|------ c ------|

Where a sound ends in the middle of its slot, the next begins as if nothing had been before it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

# Slots on a device unless the caller says: more do not draw faster on a CPU.
_MOST_SLOTS = 16


class Timeline(NamedTuple):
    """Which frame of which sound each slot draws, frame by frame; a slot that is done draws any."""

    sound: Int[np.ndarray, "slots frames"]
    frame: Int[np.ndarray, "slots frames"]

    def part(self, start: int, count: int) -> "Timeline":
        """The frames `start .. start + count - 1`; beyond the end the first frame again."""
        missing = max(0, start + count - self.sound.shape[1])
        padded = (np.pad(rows, ((0, 0), (0, missing))) for rows in self)
        return Timeline(*(rows[:, start : start + count] for rows in padded))


def fitting_slots(lengths: Sequence[int], num_devices: int = 1) -> int:
    """As many slots as are done soonest, on the devices that can share them evenly.

    A step of n slots on a device takes about (2 + n) times what each slot adds to it, and there are as many steps as
    the longest slot has frames.
    """

    def cost(num_slots: int) -> int:
        slots = assign_slots(lengths, num_slots)
        on_device = num_slots // math.gcd(num_slots, num_devices)
        return (2 + on_device) * max(sum(lengths[sound] for sound in slot) for slot in slots)

    return min(range(1, min(num_devices * _MOST_SLOTS, len(lengths)) + 1), key=cost)


def assign_slots(lengths: Sequence[int], num_slots: int) -> list[list[int]]:
    """The sounds of each slot in turn: the longest first, each into the slot that is free first."""
    slots: list[list[int]] = [[] for _ in range(min(num_slots, len(lengths)))]
    ends = [0] * len(slots)
    for sound in sorted(range(len(lengths)), key=lambda sound: -lengths[sound]):
        slot = ends.index(min(ends))
        slots[slot].append(sound)
        ends[slot] += lengths[sound]
    return slots


def timeline(
    slots: list[list[int]], lengths: Sequence[int]
) -> tuple[Timeline, list[tuple[int, int]]]:
    """The draws of every slot, and the slot and first frame of each sound."""
    num_frames = max(sum(lengths[sound] for sound in slot) for slot in slots)
    sounds = np.zeros((len(slots), num_frames), np.int32)
    frames = np.zeros_like(sounds)
    starts = [(0, 0)] * len(lengths)
    for row, slot in enumerate(slots):
        start = 0
        for sound in slot:
            end = start + lengths[sound]
            sounds[row, start:end] = sound
            frames[row, start:end] = np.arange(lengths[sound])
            starts[sound] = (row, start)
            start = end
    return Timeline(sounds, frames), starts
