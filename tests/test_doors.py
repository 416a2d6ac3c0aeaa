"""The `__init__` of a folder is its door: what it exports is its own, hides no module, and is all that others use."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pages
import pytest

import wavedil
import wavedil.receptive_field

ROOT = Path(__file__).parents[1]
FOLDERS = [
    module.name
    for module in pkgutil.iter_modules(wavedil.__path__)
    if module.ispkg and module.name != "cli"
]
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "experiments").rglob("*.py")
} | {
    f"{page}, block {i}": code
    for page, blocks in pages.PAGES.items()
    for i, code in enumerate(blocks)
}


@pytest.mark.parametrize("name", [*FOLDERS, "receptive_field.tracing"])
def test_no_module_is_hidden_by_what_its_folder_exports(name):
    folder = importlib.import_module(f"wavedil.{name}")
    exported = set(getattr(folder, "__all__", dir(folder)))
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{folder.__name__}.{module.name}")
        hidden = module.name in exported and not inspect.ismodule(getattr(folder, module.name))
        assert not hidden, module.name


@pytest.mark.parametrize("name", FOLDERS)
def test_a_door_exports_what_its_own_folder_defines(name):
    folder = importlib.import_module(f"wavedil.{name}")
    for exported in dir(folder):
        value = getattr(folder, exported)
        defined = inspect.isclass(value) or inspect.isfunction(value)
        if defined and not exported.startswith("_") and value.__module__ != "typing":
            assert value.__module__.startswith(folder.__name__), exported


def test_the_package_shows_its_public_names_alone():
    shown = {name for name in dir(wavedil) if not name.startswith("_")}
    parts = {module.name for module in pkgutil.iter_modules(wavedil.__path__)}
    assert {"train", "synthesize", "evaluate", "generate", "load", "save", "WaveNet"} <= shown
    assert all(getattr(wavedil, name) is not None for name in shown)
    assert not shown & {"importlib", "lazy_loader", "Any", "TYPE_CHECKING"}
    hidden = [name for name in shown & parts if not inspect.ismodule(getattr(wavedil, name))]
    assert not hidden


def test_names_that_load_when_they_are_used_are_there():
    for name in wavedil.receptive_field._LAZY:
        assert getattr(wavedil.receptive_field, name).__name__ == name


@pytest.mark.parametrize("source", SOURCES)
def test_the_pages_and_the_experiments_come_in_by_the_doors(source):
    for node in ast.walk(ast.parse(SOURCES[source])):
        modules = (
            [node.module]
            if isinstance(node, ast.ImportFrom) and node.module
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        for module in modules:
            if module.partition(".")[0] == "wavedil":
                assert module.count(".") <= 1, module
