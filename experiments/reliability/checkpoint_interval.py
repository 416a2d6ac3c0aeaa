"""How often to save on many hosts: time lost by simulation, beside the formulas of Young and Daly.

    python experiments/reliability/checkpoint_interval.py

A run of some hours of work saves after every interval. Hosts fail independently, each at any moment alike, and one that
fails stops all: what was done since the last save is done again, after a restart during which hosts may fail too.
Writes checkpoint_interval.json.

Young 1974, "A first order approximation to the optimum checkpoint interval", doi:10.1145/361147.361115;
Daly 2006, "A higher order estimate of the optimum checkpoint interval", doi:10.1016/j.future.2004.11.016.
"""

import json
import math
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).with_suffix(".json")
HOSTS = (1, 16, 256, 1000)
# Hours between failures of one host: 419 interruptions of 2,048 hosts in 54 days (arXiv:2407.21783, section 3.3.4).
HOURS_BETWEEN_FAILURES = 2048 * 54 * 24 / 419
# Seconds of a save, and from a failure to the first step again: to notice it, start, compile and restore.
SAVES, RESTART = (2.0, 30.0), 300.0
WORK_HOURS, TRIALS = 500, 1000
# Intervals that are tried, as multiples of Young's.
MULTIPLES = tuple(2.0**exponent for exponent in np.arange(-3, 3.01, 0.5))


def main() -> None:
    rows = []
    for hosts in HOSTS:
        between_failures = 3600 * HOURS_BETWEEN_FAILURES / hosts
        for save in SAVES:
            young = math.sqrt(2 * save * between_failures)
            lost = {
                multiple * young: simulated_loss(multiple * young, save, between_failures)
                for multiple in MULTIPLES
            }
            best = min(lost, key=lost.__getitem__)
            rows.append(
                {
                    "hosts": hosts,
                    "seconds_of_a_save": save,
                    "hours_between_failures": between_failures / 3600,
                    "young_minutes": young / 60,
                    "daly_minutes": daly(save, between_failures) / 60,
                    "best_simulated_minutes": best / 60,
                    "lost_at_best": lost[best],
                    "lost_at_young": lost[young],
                    "expected_at_young": expected_loss(young, save, between_failures),
                    "lost_at_an_eighth": lost[MULTIPLES[0] * young],
                    "lost_at_eight_times": lost[MULTIPLES[-1] * young],
                }
            )
            print({name: round(value, 5) for name, value in rows[-1].items()}, flush=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


def daly(save: float, between_failures: float) -> float:
    """Daly's interval (s), of higher order; saves longer than twice the time between failures have none."""
    ratio = save / (2 * between_failures)
    assert ratio < 1
    return math.sqrt(2 * save * between_failures) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def expected_loss(interval: float, save: float, between_failures: float) -> float:
    """Share of the time that is no work, as Daly expects it: M e^(R/M) (e^((t + C)/M) - 1) seconds for t of work."""
    m = between_failures
    seconds = m * math.exp(RESTART / m) * math.expm1((interval + save) / m)
    return 1 - interval / seconds


def simulated_loss(interval: float, save: float, between_failures: float, seed: int = 0) -> float:
    """Share of the time that is no work, over many runs whose failures are drawn one by one."""
    draw = np.random.default_rng(seed)
    work = 3600.0 * WORK_HOURS
    segments = math.ceil(work / interval)
    lengths = np.full(segments, interval + save)
    lengths[-1] = work - (segments - 1) * interval + save
    total = 0.0
    for _ in range(TRIALS):
        clock, failure, segment = 0.0, draw.exponential(between_failures), 0
        # From save to save; all that ends before the next failure is kept.
        ends = np.cumsum(lengths)
        while segment < segments:
            begun = ends[segment] - lengths[segment]
            kept = int(np.searchsorted(ends, begun + failure - clock, side="right"))
            if kept >= segments:
                clock += ends[-1] - begun
                break
            segment = max(kept, segment)
            clock, failure = failure, failure + draw.exponential(between_failures)
            while failure < clock + RESTART:
                clock, failure = failure, failure + draw.exponential(between_failures)
            clock += RESTART
        total += clock
    return 1 - TRIALS * work / total


if __name__ == "__main__":
    main()
