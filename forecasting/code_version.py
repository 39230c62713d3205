"""Fingerprint of the code behind a class, so that saved results are never reused after that code has changed."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Libraries whose release can change a trained model.
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "pytorch-lightning")


@cache
def code_version(module: str) -> str:
    """Hash of the sources of ``module`` and all that it imports from its own package and from this one, and of libraries.

    Sources are read once per process, when first asked for. A module without a source file counts by its name.
    """
    packages = {__name__.partition(".")[0], module.partition(".")[0]}
    digest = hashlib.sha256()
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        source = _source(name)
        waiting += [found for found in _imports(source, name) if found.partition(".")[0] in packages]
    for name in sorted(seen):
        digest.update(f"{name}\n{_source(name)}\n".encode())
    digest.update("".join(f"{library} {_release(library)}\n" for library in _LIBRARIES).encode())
    return digest.hexdigest()[:16]


def _source(name: str) -> str:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file is None:  # an import inside a function, not made yet: beside its package
        package, _, leaf = name.rpartition(".")
        folder = getattr(sys.modules.get(package), "__path__", None)
        file = Path(folder[0]) / f"{leaf}.py" if folder else None
    path = Path(file) if file is not None else None
    return path.read_text(encoding="utf-8") if path is not None and path.suffix == ".py" and path.is_file() else ""


def _imports(source: str, name: str) -> Iterator[str]:
    """Modules named by the import statements of ``source``; ``from a import b`` may mean the module ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = (
                    name.split(".")[: -node.level]
                    if not _is_package(name)
                    else name.split(".")[: 1 - node.level or None]
                )
                base = ".".join([*anchor, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _is_package(name: str) -> bool:
    return hasattr(sys.modules.get(name), "__path__")


def _release(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"
