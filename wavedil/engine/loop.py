"""The compiled loops: codes drawn one after the other, and blocks of a signal."""

from typing import Any

import numpy as np

from wavedil.engine.compilation import Cached
from wavedil.engine.draws import drawn
from wavedil.engine.interpreter import next_block, next_sample, run_blocks, run_samples
from wavedil.engine.program import BLOCK

CODE, PHASE, CHANGED = range(3)
"""Columns of the status of a signal: its newest code, those of the frame under way, whether its condition changed."""
CONDITION, FRAME, SAMPLE = range(3)


@Cached
def draw_samples(
    first: int, count: int, program: Any, world: Any, arena: Any, scratch: Any, now: Any,
    status: Any, table: Any, amplitudes: Any, conditions: Any, pitch: Any, predictor: Any, given: Any, noise: Any,
    restart: Any, family: Any, tables: Any, guidance: Any, temperature: Any, work: Any, codes: Any, parameters: Any,
) -> None:  # fmt: skip
    """Draws the codes of `count` signals from number `first` on.

    Args:
      first: The first signal.
      count: Signals, side by side.
      program: Sections, operators, inputs, buffers, weights and numbers.
      world: Buffers of x, parameters, condition, frame, pitch, amplitudes and predictor; samples of a frame; numbers of
        a signal; silence.
      arena: Every signal's buffers.
      scratch: As `Program.scratch`.
      now: [1 + signals, buffers]: where the newest samples lie, and for each signal where those of its frames do.
      status: [signals, 3].
      table: [levels + 1, in_channels]: every level as it enters, and NaN.
      amplitudes: [levels + 1]: what every level means as sound, and NaN.
      conditions: [signals, 1 or time, channels].
      pitch: [signals, time, 2]: dilation and voicing.
      predictor: [signals, time, order]: coefficients of the linear prediction.
      given: [signals, time]: codes, or below 0 where one is drawn.
      noise: [signals, time, numbers].
      restart: [signals, time]: whether a sound begins.
      family: As `draws.family`.
      tables: As `draws.family`.
      guidance: Signals that share a draw, 1 or 2; how many outputs there are, and how many of them, the first ones,
        are extrapolated from the second signal's to the first one's; how far, and how far the others go.
      temperature: [signals, time], of the draws.
      work: Room for exponentials.
      codes: [signals, time], to be written.
      parameters: [signals, time or 0, num_outputs], to be written.
    """
    sections, operators, inputs, buffers, weights, numbers = program
    x, y, condition, frame, follows, sound, predicts, factor, size, silence = world
    levels, in_channels, varying = len(table) - 1, table.shape[1], conditions.shape[1] > 1
    together, outputs, guided, far, near = guidance
    for t in range(given.shape[1]):
        for signal in range(first, first + count):
            if restart[signal, t]:
                arena[signal * size : (signal + 1) * size] = 0.0
                status[signal, CODE], status[signal, PHASE] = silence, 0
            if restart[signal, t] or varying:
                status[signal, CHANGED] = 1
            code = status[signal, CODE]
            code = code if 0 <= code < levels else levels
            start = now[0, x] + signal * size
            arena[start : start + in_channels] = table[code]
            if factor > 0:
                start = buffers[frame, 0] + signal * size + status[signal, PHASE] * in_channels
                arena[start : start + in_channels] = table[code]
                status[signal, PHASE] += 1
            if follows >= 0:
                start = buffers[follows, 0] + signal * size
                arena[start : start + 2] = pitch[signal, t]
            if predicts >= 0:
                arena[now[0, sound] + signal * size] = amplitudes[code]
                start = buffers[predicts, 0] + signal * size
                for k in range(predictor.shape[2]):
                    arena[start + k] = predictor[signal, t, k]
            if condition >= 0:
                start = buffers[condition, 0] + signal * size
                channels = conditions.shape[2]
                arena[start : start + channels] = conditions[signal, t if varying else 0]
        # Frames and conditions of each signal by itself, where they are due; then a sample of all. In one place, so
        # that the interpreter is compiled once.
        for job in range(2 * count + 1):
            signal, section = first + job // 2, FRAME if job % 2 == 0 else CONDITION
            rows, rings = 1, 0
            if job == 2 * count:
                signal, section, rows = first, SAMPLE, count
            elif section == FRAME:
                if factor == 0 or status[signal, PHASE] < factor:
                    continue
                rings = 1 + signal
                status[signal, PHASE], status[signal, CHANGED] = 0, 1
            else:
                if condition < 0 or not status[signal, CHANGED]:
                    continue
                status[signal, CHANGED] = 0
            run_samples(
                section, sections, operators, inputs, buffers, now[rings], weights, numbers, arena,
                scratch, signal * size, rows, 0,
            )  # fmt: skip
            next_sample(section, buffers, now[rings])
        if parameters.shape[1] > 0:
            for signal in range(first, first + count):
                start = buffers[y, 0] + signal * size
                for k in range(parameters.shape[2]):
                    parameters[signal, t, k] = arena[start + k]
        for signal in range(first, first + count, together):
            start = buffers[y, 0] + signal * size
            code = given[signal, t]
            if code < 0:
                for k in range(outputs):
                    scale, with_labels = np.float32(far if k < guided else near), arena[start + k]
                    without = arena[start + k + size]
                    arena[start + k] = without + scale * (with_labels - without)
                warmth = temperature[signal, t]
                code = drawn(family, tables, arena, start, noise[signal, t], warmth, work)
            for same in range(signal, signal + together):
                codes[same, t] = code
                status[same, CODE] = code


@Cached
def run_block(program: Any, world: Any, arena: Any, scratch: Any, now: Any, x: Any, y: Any) -> None:
    """The outputs y [batch, time, channels] of a block x [batch, time, channels]."""
    sections, operators, inputs, buffers, weights, numbers = program
    entry, out, size = world
    reach = (BLOCK + 31) // 32 * 32
    for start in range(0, x.shape[1], BLOCK):
        columns = min(BLOCK, x.shape[1] - start)
        whole = (columns + 31) // 32 * 32
        for signal in range(len(x)):
            origin = signal * size
            for channel in range(x.shape[2]):
                at = now[entry] + origin + channel * buffers[entry, 3]
                for k in range(columns):
                    arena[at + k] = x[signal, start + k, channel]
            run_blocks(
                0, sections, operators, inputs, buffers, now, weights, numbers, arena, scratch,
                origin, 0, whole,
            )  # fmt: skip
            for channel in range(y.shape[2]):
                at = now[out] + origin + channel * buffers[out, 3]
                for k in range(columns):
                    y[signal, start + k, channel] = arena[at + k]
        next_block(buffers, now, arena, columns, reach, size, len(x))
