"""Batches that a thread makes ahead of the steps that use them."""

import threading

import pytest

from wavedil.training.ahead import ahead


def test_batches_come_in_order_each_once_and_are_made_before_they_are_asked_for():
    made, second = [], threading.Event()

    def make(step):
        made.append(step)
        if step == 4:
            second.set()
        return 10 * step

    with ahead(make, range(3, 9)) as batches:
        assert next(batches) == 30
        assert second.wait(timeout=10)  # nobody has asked for it
        assert list(batches) == [40, 50, 60, 70, 80]
    assert made == list(range(3, 9))


def test_no_more_than_a_few_are_made_that_nobody_uses():
    made = []
    with ahead(made.append, range(100)) as batches:
        next(batches)
    assert len(made) <= 3


def test_an_error_in_a_batch_is_raised_where_that_batch_is_used_and_the_thread_ends():
    threads = threading.active_count()

    def make(step):
        return 1 // (2 - step)

    with pytest.raises(ZeroDivisionError), ahead(make, range(4)) as batches:
        assert [next(batches), next(batches)] == [0, 1]
        next(batches)
    assert threading.active_count() == threads
