"""What a run says of its pace, by a clock that the test moves."""

import itertools

import jax
import numpy as np
import pytest

from wavedil.training import Metrics, MetricsFile, MetricsLog, NonFiniteError, TrainingConfig


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Takes steps of so many seconds each, compiled or not, evaluating after some, and gives what was reported."""
    clock, reports = [0.0], []
    monkeypatch.setattr("wavedil.training.metrics.time.perf_counter", lambda: clock[0])
    settings = TrainingConfig(steps=100, log_every=10)
    log = MetricsLog(MetricsFile(tmp_path / "metrics.jsonl"), None, settings, reports.append)

    def take(steps):
        for number, (seconds, compiled, aside) in enumerate(steps, start=1):
            clock[0] += seconds
            weight = np.float32(50.0)
            metrics = Metrics(loss=weight, weight=weight, named={}, gradient_norm=weight)
            log.step(number, metrics, compiled=compiled)
            with log.not_training():
                clock[0] += aside
        return reports

    return take


def test_compiling_is_no_part_of_the_pace_nor_of_the_time_left(run):
    compiles = (40.0, True, 0.0)
    runs = (2.0, False, 0.0)
    *_, report = run([compiles, runs, runs, compiles, runs, runs, runs, compiles, runs, runs])
    assert report.targets_per_second == 25.0
    assert report.seconds_left == 90 * 2.0


@pytest.mark.parametrize("seconds", [0.001, 0.4, 1.9, 2.1, 4.0, 30.0])
@pytest.mark.parametrize("compiling", [0.0, 1.5, 60.0])
def test_the_first_report_comes_within_five_seconds_of_the_first_step(run, seconds, compiling):
    reports = run([(compiling + seconds, compiling > 0, 0.0)] + [(seconds, False, 0.0)] * 9)
    first_step = compiling + seconds
    times = [report.seconds_elapsed for report in reports]
    assert first_step <= times[0] <= first_step + 5
    assert all(later - now <= 5 + seconds for now, later in itertools.pairwise(times))
    for report in reports:
        expected = (100 - report.step) * seconds
        known = report.step > 1 or not compiling
        assert report.seconds_left == pytest.approx(expected if known else np.nan, nan_ok=True)


def test_where_every_step_was_compiled_there_is_no_other_pace(run):
    *_, report = run([(40.0, True, 0.0)] * 10)
    assert report.targets_per_second == 50.0 / 40.0


def test_time_beside_the_training_is_no_part_of_the_pace_but_of_the_time_left(run):
    *_, report = run([(2.0, False, 1.0)] * 20)
    assert report.targets_per_second == 25.0
    assert report.seconds_left == pytest.approx(80 * (2.0 + 19 / 20))


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log with a report every five steps, and the lists of steps whose metrics it has fetched at a time."""
    fetched, device_get = [], jax.device_get

    def noting(pending):
        if pending:
            fetched.append([step for step, _ in pending])
        return device_get(pending)

    monkeypatch.setattr(jax, "device_get", noting)
    settings = TrainingConfig(steps=12, log_every=5)
    return MetricsLog(MetricsFile(tmp_path / "metrics.jsonl"), None, settings, None), fetched


def metrics_of(loss, weight=2.0):
    loss, weight = np.float32(loss), np.float32(weight)
    return Metrics(loss, weight, {"bits": (loss * weight, weight)}, np.float32(1.0))


def test_metrics_leave_the_device_at_reports_and_at_the_first_step_alone(log):
    log, fetched = log
    for step in range(1, 13):
        log.step(step, metrics_of(step))
    assert fetched == [[1], [2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]


def test_what_is_reported_weighs_every_target_of_all_steps_alike(log, tmp_path):
    log, _ = log
    for step, weight in enumerate((1, 0, 5, 2, 8), start=1):
        log.step(step, metrics_of(step, weight))
    (line,) = MetricsFile(tmp_path / "metrics.jsonl").read()
    assert line["bits"] == pytest.approx((1 * 1 + 3 * 5 + 4 * 2 + 5 * 8) / 16)


def test_a_loss_that_is_not_finite_is_found_at_the_next_report_and_named_by_its_step(log):
    log, _ = log
    for step in range(1, 5):
        log.step(step, metrics_of(np.nan if step == 3 else 1))
    with pytest.raises(NonFiniteError, match="step 3: the loss is nan"):
        log.step(5, metrics_of(1))


def test_a_loss_that_is_not_finite_is_found_before_anything_beside_the_training(log):
    log, _ = log
    log.step(1, metrics_of(1))
    log.step(2, metrics_of(np.inf))
    with pytest.raises(NonFiniteError, match="step 2: the loss is inf"), log.not_training():
        raise AssertionError("not looked at before")
