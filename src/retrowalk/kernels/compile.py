"""How kernels are compiled and where the compiled code is kept: the one owner of that policy.

`jit` compiles on the first call, without the interpreter's lock and without fast-math, so that a result does
not depend on threads or vector width. Importing this module loads no numba; decorating a function does, which
is why kernel modules are imported only where kernels run.

numba's own disk cache is not used: its index files do not stand concurrent writers (numba issues 4807 and
10128) and it runs an old kernel after a callee in another module changed (numba issue 1833). Here the key is
a digest of *all* kernel sources and of everything else that decides the machine code, so a folder never
holds stale code, and nobody writes to a published folder (`retrowalk.kernels.cache`). Nothing of numba's
configuration is changed, so it does not matter who imported numba first, and other libraries keep their
caches.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import importlib
import os
import pickle
import pkgutil
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import retrowalk
from retrowalk.kernels import cache as store

# ruff: noqa: ANN401 (what goes to and comes from numba has no better type than Any)


F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = Path(__file__).parent
#: Versions of numba whose inside the cache was tested with; with others kernels are compiled in every run.
NUMBA = "0.68"
#: numba settings that change machine code (environment variables of the same names with NUMBA_ before).
_SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "ENABLE_AVX", "CPU_NAME",
             "CPU_FEATURES", "DEBUGINFO_DEFAULT", "DISABLE_INTEL_SVML")  # fmt: skip


@dataclass(frozen=True)
class CacheStatus:
    """Where compiled kernels are kept, and why nothing is where nothing is."""

    path: Path | None
    """The published folder, or the folder it will be published in; None in memory."""
    state: str
    """``ready`` (some are read from `path`; see `missing`), ``filling`` (published there when the process
    ends), ``memory`` (kept by no one) or ``interpreted`` (``NUMBA_DISABLE_JIT`` is set)."""
    reason: str = ""


def jit(function: F) -> F:
    """Compile a kernel on its first call for each combination of argument types.

    The function may call other functions decorated so, in any kernel module. Only functions of
    `retrowalk.kernels` are kept on disk, since only their sources are in the digest.
    """
    return _compiled(function)


def jit_inlined(function: F) -> F:
    """Like `jit`, and its code is copied into every caller before types are inferred.

    For the steps of hot loops: a call that stays a call keeps the loop from being vectorised, and a function
    with a compilation of its own is optimised once for itself and once more in every caller.
    """
    return _compiled(function, inline="always")


def _compiled(function: F, **options: str) -> F:
    policy = {"nogil": True, "fastmath": False, "error_model": "numpy", "boundscheck": False, **options}
    compiled = _numba().njit(**policy)(function)
    ours = Path(function.__code__.co_filename).parent == _SOURCES
    if ours and not _numba().config.DISABLE_JIT and _open() is not None:
        with _known_numba():
            # Nobody calls kernels from C: without that wrapper they compile faster.
            compiled.targetoptions["no_cfunc_wrapper"] = True
            compiled._cache = _kernel_cache(function, type(compiled._cache))
    return cast("F", compiled)


def cache_status() -> CacheStatus:
    """Where compiled kernels are kept at this moment, and why not where they are not."""
    if _numba().config.DISABLE_JIT:
        return CacheStatus(None, "interpreted", "NUMBA_DISABLE_JIT is set")
    opened = _open()
    if opened is None:
        return CacheStatus(None, "memory", _State.reason)
    if opened.ready is None:
        return CacheStatus(opened.home, "filling")
    return CacheStatus(opened.ready, "ready")


def missing(kernels: Iterable[str]) -> tuple[str, ...]:
    """Which of some kernels, such as ``"summarize"``, no earlier process has kept: they must be compiled."""
    opened = _open()
    folder = opened.ready if opened else None
    kept = {entry.name.rpartition("-")[0] for entry in folder.iterdir()} if folder else set()
    return tuple(name for name in kernels if name not in kept)


def publish() -> CacheStatus:
    """Make what this process compiled available to later ones now rather than at its end."""
    opened = _open()
    if opened is not None:
        opened.publish()
    return cache_status()


def warmup() -> CacheStatus:
    """Compile every kernel for the types in use and publish the result.

    Kernel modules name them in ``warmup_examples()``, which yields ``(kernel, arguments)`` pairs.
    """
    package = importlib.import_module("retrowalk.kernels")
    for module in pkgutil.iter_modules(package.__path__, "retrowalk.kernels."):
        examples = getattr(importlib.import_module(module.name), "warmup_examples", tuple)
        for kernel, arguments in examples():
            kernel(*arguments)
    return publish()


class _State:
    """Why the cache of this process is off: known when it is opened or when a write fails."""

    reason = ""


@functools.cache
def _opened() -> store.Store | None:
    try:
        opened = store.Store(store.cache_home(), digest())
    except store.UnusableError as error:
        _State.reason = str(error)
        return None
    atexit.register(opened.publish)
    return opened


def _open() -> store.Store | None:
    return None if _State.reason else _opened()


def digest() -> str:
    """Digest of all that decides the machine code: sources, versions, processor, numba's settings."""
    import numpy as np

    numba, binding = _numba(), _numba("llvmlite.binding")
    parts = [retrowalk.__version__, numba.__version__, _numba("llvmlite").__version__, np.__version__]
    parts += [sys.version, sys.platform, platform.machine(), binding.get_host_cpu_name()]
    parts += [binding.get_host_cpu_features().flatten()]
    parts += [f"{name}={getattr(numba.config, name, None)}" for name in _SETTINGS]
    for path in sorted(_SOURCES.glob("*.py")):
        parts += [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _numba(module: str = "numba") -> Any:
    """Import a module of numba late and untyped: its annotations are partial."""
    return importlib.import_module(module)


@contextlib.contextmanager
def _known_numba() -> Iterator[None]:
    """Go on without a cache where a newer numba lacks what is used of its inside."""
    try:
        yield
    except (ImportError, AttributeError, TypeError, KeyError) as error:
        version = _numba().__version__
        _State.reason = f"numba {version} is not known to this version of retrowalk ({error}); {NUMBA} is"


def _kernel_cache(function: Callable[..., Any], plain: Any) -> Any:
    """Cache of one kernel, as numba's dispatcher asks for it: one entry per signature."""
    compiler, serialize = _numba("numba.core.compiler"), _numba("numba.core.serialize")
    normalize = _numba("numba.core.sigutils").normalize_signature
    runtime = _numba("numba.core.runtime").rtsys

    class KernelCache(plain):  # type: ignore[misc]  # a class of no known type
        @property
        def cache_path(self) -> str:
            return str(cache_status().path)

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            opened = _open()
            content = opened and opened.read(self._name(sig, target_context.codegen()))
            if not content:
                return None
            # All of numba's operations are only needed to compile, which loads them then.
            runtime.initialize(target_context)
            with _known_numba():
                # The folder is this user's alone and the content's checksum has been compared.
                return compiler.CompileResult._rebuild(target_context, *pickle.loads(content))  # noqa: S301
            return None

        def save_overload(self, sig: Any, data: Any) -> None:
            opened = _open()
            if opened is None or data.library.has_dynamic_globals or data.lifted:
                return
            try:
                with _known_numba():
                    opened.write(self._name(sig, data.codegen), serialize.dumps(data._reduce()))
            except OSError as error:
                # A full or read-only disk; what is published can still be read.
                if opened.ready is None:
                    _State.reason = f"{opened.home} cannot be written ({os.strerror(error.errno or 0)})"

        def _name(self, sig: Any, codegen: Any) -> str:
            types, _ = normalize(sig)
            key = f"{function.__module__}.{function.__qualname__}{types}{codegen.magic_tuple()}"
            return f"{function.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"

    return KernelCache()
