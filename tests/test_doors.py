"""The `__init__` of a folder is its door: what it exports is its own, and hides no module."""

import importlib
import inspect
import pkgutil

import pytest

import wavedil.receptive_field

FOLDERS = ["receptive_field", "receptive_field.tracing", "ops", "nn", "distributions"]


@pytest.mark.parametrize("name", FOLDERS)
def test_no_module_is_hidden_by_what_its_folder_exports(name):
    folder = importlib.import_module(f"wavedil.{name}")
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{folder.__name__}.{module.name}")
        assert inspect.ismodule(getattr(folder, module.name)), module.name


@pytest.mark.parametrize("name", ["receptive_field", "ops", "nn", "distributions"])
def test_a_door_exports_what_its_own_folder_defines(name):
    folder = importlib.import_module(f"wavedil.{name}")
    for exported in dir(folder):
        value = getattr(folder, exported)
        defined = inspect.isclass(value) or inspect.isfunction(value)
        if defined and not exported.startswith("_") and value.__module__ != "typing":
            assert value.__module__.startswith(folder.__name__), exported


def test_names_that_load_when_they_are_used_are_there():
    for name in wavedil.receptive_field._LAZY:
        assert getattr(wavedil.receptive_field, name).__name__ == name
