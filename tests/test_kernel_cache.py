"""Compiled kernels on disk: what is kept, when it is refused, and what many processes do at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import retrowalk
from retrowalk.kernels import cache as store

KERNELS = """
from retrowalk.kernels.compile import jit
from retrowalk.kernels.{callee} import add

@jit
def double(x):
    return 2.0 * add(x)

@jit
def triple(x):
    return 3.0 * add(x)

def warmup_examples():
    yield double, (1.0,)
    yield triple, (1.0,)
"""
CALLEE = """
from retrowalk.kernels.compile import jit

@jit
def add(x):
    return x + {amount}
"""
CALL = """
import json, sys
from retrowalk.kernels.compile import cache_status
from retrowalk.kernels.probe import {name} as kernel
value = kernel(4.0)
stats = getattr(kernel, "stats", None)
hits = sum(stats.cache_hits.values()) if stats else 0
misses = sum(stats.cache_misses.values()) if stats else 0
status = cache_status()
print(json.dumps([value, status.state, status.reason, str(status.path), hits, misses]))
"""


class Program:
    """A copy of the package with two kernel modules of its own, run as real processes."""

    def __init__(self, folder):
        self.folder, self.cache = folder, folder / "cache"
        self.package = folder / "src" / "retrowalk"
        self.package.mkdir(parents=True)
        shutil.copy(Path(retrowalk.__file__), self.package)
        (self.package / "kernels").mkdir()
        for name in ("__init__.py", "compile.py", "cache.py"):
            shutil.copy(Path(store.__file__).parent / name, self.package / "kernels")
        self.write("callee", CALLEE.format(amount=1))
        self.write("probe", KERNELS.format(callee="callee"))

    def write(self, module, text):
        (self.package / "kernels" / f"{module}.py").write_text(text, encoding="utf-8")

    def start(self, code, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        environment |= {"PYTHONPATH": str(self.folder / "src"), "RETROWALK_CACHE_DIR": str(self.cache)}
        return subprocess.Popen([sys.executable, "-W", "error", "-c", code], env=environment | variables,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def run(self, code, **variables):
        return finish(self.start(code, **variables))

    def call(self, name="double", before="", **variables):
        import json

        return json.loads(self.run(before + CALL.format(name=name), **variables))

    def published(self):
        return sorted(path for path in (self.cache / "kernels").glob("*-[0-9]*") if path.name[0] != ".")

    def leftovers(self):
        return [path.name for path in (self.cache / "kernels").glob(".*")]


def finish(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def test_the_second_start_reads_what_the_first_compiled(program):
    value, state, reason, path, hits, misses = program.call()
    assert (value, state, reason, hits, misses) == (10.0, "filling", "", 0, 1)
    assert Path(path) == program.cache / "kernels"
    (folder,) = program.published()
    before = {entry.name: entry.stat().st_mtime_ns for entry in folder.iterdir()}
    assert len(before) == 2  # the kernel and its callee
    assert folder.stat().st_mode & 0o777 == 0o700
    assert program.call() == [10.0, "ready", "", str(folder), 1, 0]
    assert {entry.name: entry.stat().st_mtime_ns for entry in folder.iterdir()} == before
    assert program.leftovers() == []


def test_what_was_missing_is_published_beside_the_first_folder(program):
    program.call("double")
    program.call("triple")
    first, second = program.published()
    assert {entry.name for entry in first.iterdir()} < {entry.name for entry in second.iterdir()}
    assert program.call("double")[4:] == [1, 0]
    assert program.call("triple")[3:] == [str(second), 1, 0]


def test_a_changed_callee_in_another_module_is_never_run_from_an_old_folder(program):
    assert program.call()[0] == 10.0
    program.write("callee", CALLEE.format(amount=6))
    value, state, *_ = program.call()
    assert (value, state) == (20.0, "filling")
    assert len({folder.name.rpartition("-")[0] for folder in program.published()}) == 2


def test_four_first_starts_at_once(program):
    started = [program.start(CALL.format(name=name)) for name in ("double", "triple", "double", "triple")]
    values = [finish(process).split(",")[0] for process in started]
    assert values == ["[10.0", "[15.0", "[10.0", "[15.0"]
    assert program.leftovers() == []
    for name in ("double", "triple"):
        assert program.call(name)[1:2] + program.call(name)[4:] == ["ready", 1, 0]


def test_warmup_publishes_every_example(program):
    code = "from retrowalk.kernels.compile import warmup; print(warmup().state)"
    assert program.run(code).strip() == "ready"
    assert [program.call(name)[4] for name in ("double", "triple")] == [1, 1]


def test_it_does_not_matter_who_imported_numba_first(program):
    program.call()
    assert program.call(before="import numba\n")[1:2] + program.call(before="import numba\n")[4:] == [
        "ready", 1, 0]  # fmt: skip
    assert program.run("import retrowalk.kernels.compile, sys; print('numba' in sys.modules)") == "False\n"


def test_other_libraries_keep_their_own_cache(program):
    code = "import retrowalk.kernels.probe, numba, os; print([numba.config.CACHE_DIR, os.environ.get('{}')])"
    assert program.run(code.format("NUMBA_CACHE_DIR")).strip() == "['', None]"


def test_a_damaged_entry_is_compiled_again(program):
    program.call()
    for entry in program.published()[0].iterdir():
        entry.write_bytes(entry.read_bytes()[:-9])
    assert program.call()[:2] == [10.0, "ready"]


def test_without_compilation(program):
    value, state, reason, *_ = program.call(NUMBA_DISABLE_JIT="1")
    assert (value, state) == (10.0, "interpreted")
    assert "NUMBA_DISABLE_JIT" in reason


def test_a_folder_that_cannot_be_made(program):
    blocker = program.folder / "file"
    blocker.write_text("")
    value, state, reason, *_ = program.call(RETROWALK_CACHE_DIR=str(blocker / "cache"))
    assert (value, state) == (10.0, "memory")
    assert str(blocker) in reason


@pytest.mark.skipif(os.name == "nt", reason="mode bits do not protect folders on Windows")
@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_others_may_write_to_is_refused(program, mode):
    program.call()
    for folder in (program.cache, program.cache / "kernels", program.published()[0]):
        folder.chmod(mode)
        value, state, reason, *_ = program.call()
        folder.chmod(0o700)
        assert (value, state) == (10.0, "memory")
        assert f"{folder} may be written by others" in reason
    assert program.call()[1] == "ready"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no numeric owner here")
def test_a_folder_of_another_user_is_refused(program):
    program.call()
    value, state, reason, *_ = program.call(before="import os\nos.geteuid = lambda: 4711\n")
    assert (value, state) == (10.0, "memory")
    assert "belongs to another user" in reason


@pytest.mark.parametrize("part", ["_reduce", "_rebuild"])
def test_a_numba_of_other_insides_costs_only_the_cache(program, part):
    """What writes or reads entries is gone: kernels run, and the reason names numba's version."""
    if part == "_rebuild":
        program.call()
    before = f"import numba.core.compiler as c, retrowalk.kernels.compile\ndel c.CompileResult.{part}\n"
    value, state, reason, *_ = program.call(before=before)
    assert (value, state) == (10.0, "memory")
    assert f"numba {numba.__version__} is not known to this version of retrowalk" in reason


def test_what_is_missing_is_known_before_it_is_compiled(program):
    code = "from retrowalk.kernels.compile import missing; print(missing(['double', 'triple', 'add']))"
    assert program.run(code) == "('double', 'triple', 'add')\n"
    program.call("double")
    assert program.run(code) == "('triple',)\n"


NOT_WRITABLE = """
import os, tempfile
def refuse(*args, **keywords):
    raise PermissionError(13, "Permission denied")
if hasattr(os, "geteuid") and os.geteuid() == 0:  # the superuser may write anywhere: refuse for it
    tempfile.mkdtemp = refuse
    access, os.access = os.access, lambda path, mode: mode != os.W_OK and access(path, mode)
"""


def test_a_read_only_folder_is_read_and_what_is_missing_stays_in_memory(program):
    program.call("double")
    folder, home = program.published()[0], program.cache / "kernels"
    folder.chmod(0o500)
    home.chmod(0o500)
    try:
        assert program.call("double", before=NOT_WRITABLE) == [10.0, "ready", "", str(folder), 1, 0]
        assert program.call("triple", before=NOT_WRITABLE)[:2] == [15.0, "ready"]
        assert program.published() == [folder]
    finally:
        home.chmod(0o700)
        folder.chmod(0o700)


def test_a_read_only_empty_folder_means_memory(program):
    home = program.cache / "kernels"
    program.cache.mkdir(mode=0o700)
    home.mkdir(mode=0o500)
    value, state, reason, *_ = program.call(before=NOT_WRITABLE)
    home.chmod(0o700)
    assert (value, state) == (10.0, "memory")
    assert "not writable" in reason


def test_without_file_locks_of_the_system(program):
    before = "import sys\nsys.modules['fcntl'] = None\n"
    started = [program.start(before + CALL.format(name=name)) for name in ("double", "triple")]
    assert [finish(process).split(",")[0] for process in started] == ["[10.0", "[15.0"]
    assert list((program.cache / "kernels").glob("*.held")) == []
    assert [program.call(name)[4] for name in ("double", "triple")] == [1, 1]


def test_a_lock_that_is_never_released_costs_only_the_publication(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    waiting = store.Store(tmp_path / "cache" / "kernels", "digest", patience=0.1)
    waiting.write("entry", b"content")
    with (waiting.home / "digest.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting.publish()
    assert waiting.ready is None
    assert [path.name for path in waiting.home.iterdir()] == ["digest.lock"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_leaves_its_parents_folder_alone(program):
    program.run(f"""
import os, pathlib
from retrowalk.kernels.cache import Store
parent = Store(pathlib.Path({str(program.cache)!r}, "kernels"), "digest")
parent.write("entry", b"content")
child = os.fork()
if child == 0:
    parent.publish()
    os._exit(0 if parent.ready is None and len(list(parent.home.iterdir())) == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
parent.publish()
""")
    assert [folder.name for folder in program.published()] == ["digest-0001"]


def test_what_killed_processes_left_goes_after_a_day(tmp_path):
    one = store.Store(tmp_path / "cache" / "kernels", "digest")
    for name, age in ((".digest-killed", store.STALE + 60), (".digest-running", 60)):
        (one.home / name).mkdir()
        then = (one.home / name).stat().st_mtime - age
        os.utime(one.home / name, (then, then))
    one.write("entry", b"content")
    one.publish()
    assert sorted(path.name for path in one.home.glob(".*")) == [".digest-running"]


def test_old_folders_go_and_the_newest_stay(tmp_path):
    home = tmp_path / "cache" / "kernels"
    for number in range(store.KEEP + 3):
        one = store.Store(home, f"digest{number:02d}")
        one.write("entry", b"content")
        one.publish()
        os.utime(one.ready, (number, number))
    left = sorted(path.name for path in home.glob("*-0001"))
    assert left == [f"digest{number:02d}-0001" for number in range(3, store.KEEP + 3)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RETROWALK_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}, "/a/kernels"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/retrowalk/kernels"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/somebody"}, "/home/somebody/.cache/retrowalk/kernels"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="POSIX paths")
def test_where_the_folder_is(monkeypatch, variables, expected):
    for name in ("RETROWALK_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert store.cache_home() == Path(expected)


def test_no_home_at_all(monkeypatch):
    for name in ("RETROWALK_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)

    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(store.UnusableError, match="no home"):
        store.cache_home()
