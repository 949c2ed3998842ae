"""Plugins: the modules of a package, found by folder. A new one edits nothing else."""

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType


def names(package: ModuleType) -> list[str]:
    """Return the names of a package's public modules, in order."""
    return sorted(each.name for each in pkgutil.iter_modules(package.__path__) if not each.name.startswith("_"))


def load(package: ModuleType, name: str, attributes: Sequence[str] = ()) -> ModuleType:
    """Return one module of a package.

    Raises:
        LookupError: there is no module of that name; the message names those that there are.
        TypeError: it lacks one of `attributes`, what a module of this package must have.
    """
    if name not in (known := names(package)):
        raise LookupError(f"{name!r} is not known (known: {', '.join(known)})")
    module = importlib.import_module(f"{package.__name__}.{name}")
    if missing := [each for each in attributes if not hasattr(module, each)]:
        raise TypeError(f"{module.__name__} lacks {', '.join(missing)}")
    return module
