"""The undecimated wavelet transform beside PyWavelets', which is C on one core."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pywt
from sizes import Sizes
from timing import alternate, ratio, summary

from wavedil.nn import AtrousWavelet


def measure(sizes: Sizes) -> dict[str, Any]:
    return {
        "num_samples": sizes.wavelet_samples,
        "rows": {
            f"{name}, {levels} levels": _row(name, levels, sizes) for name, levels in sizes.wavelets
        },
    }


def _row(name: str, levels: int, sizes: Sizes) -> dict[str, Any]:
    """One signal of float32, divided by both; PyWavelets' bands are arrays of their own, and ours are channels."""
    x = np.random.default_rng(0).normal(size=sizes.wavelet_samples).astype(np.float32)
    signal = jnp.asarray(x)[None, :, None]
    layer = AtrousWavelet(1, levels=levels, wavelet=name)
    divided = jax.jit(layer).lower(signal).compile()

    def theirs() -> list[np.ndarray]:
        return pywt.swt(x, name, levels, trim_approx=True)

    _check(np.asarray(divided(signal)[0]), theirs(), layer, levels)
    calls = {
        "wavedil": lambda: jax.block_until_ready(divided(signal)),
        "PyWavelets": theirs,
    }
    times = alternate(calls, sizes.rounds)
    return {
        **{f"{which}_seconds": summary(values) for which, values in times.items()},
        "times_as_fast": ratio(times["PyWavelets"], times["wavedil"]),
    }


def _check(ours: np.ndarray, theirs: list[np.ndarray], layer: AtrousWavelet, levels: int) -> None:
    """Both compute the same, away from the ends and each level by its shift."""
    moments = pywt.Wavelet(layer.wavelet).vanishing_moments_psi
    inside = slice(layer.delay, len(ours) - layer.delay)
    for number, level in enumerate([levels, *range(levels, 0, -1)]):
        shifted = ours[(2**level - 1) * moments :, number]
        np.testing.assert_allclose(
            shifted[inside], theirs[number][inside], rtol=1e-4, atol=1e-4, err_msg=str(level)
        )


def table(results: dict[str, Any]) -> list[str]:
    def milliseconds(row: dict[str, Any], which: str) -> str:
        return f"{1e3 * row[f'{which}_seconds']['median']:.1f}"

    return [
        f"Undecimated wavelet transform of {results['num_samples']:,} samples, float32 (aim: 1x PyWavelets' `swt`):",
        "",
        "| wavelet | wavedil, ms | PyWavelets, ms | ratio |",
        "|---|---|---|---|",
        *(
            f"| {name} | {milliseconds(row, 'wavedil')} | {milliseconds(row, 'PyWavelets')} | wavedil "
            f"{row['times_as_fast']['median']:.2f}x as fast ({row['times_as_fast']['lowest']:.2f} to "
            f"{row['times_as_fast']['highest']:.2f}) |"
            for name, row in results["rows"].items()
        ),
    ]
