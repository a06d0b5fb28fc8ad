"""What holds for every verb: help, speed, exit codes, one line per error, nothing heavy without need."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from cli_runner import SCRIPT, SMALL, retrowalk
from retrowalk.cli.app import VERBS, app
from retrowalk.cli.guard import explain
from retrowalk.errors import InputError, RunError

HEAVY = ("numba", "xarray", "pandas", "scipy", "zarr", "h5py", "rich")


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_overview_lists_every_verb(words: list[str]) -> None:
    done = retrowalk(*words)
    assert done.code == 0
    assert done.err == ""
    for verb, (_, line) in VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(line)}$", done.out, re.MULTILINE)


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_loads_has_help_and_takes_the_common_options(verb: str) -> None:
    with click.Context(app) as context:
        command = app.get_command(context, verb)
    assert command is not None
    assert command.name == verb
    assert command.help
    if not isinstance(command, click.Group):
        options = {name for parameter in command.params for name in parameter.opts}
        assert {"--quiet", "--verbose", "--debug"} <= options


def test_version_and_citation() -> None:
    import retrowalk as package

    assert retrowalk("--version").out == f"retrowalk, version {package.__version__}\n"
    assert f"retrowalk {package.__version__}" in retrowalk("--cite").out
    module = subprocess.run(
        [sys.executable, "-m", "retrowalk", "--version"], capture_output=True, text=True, check=True
    )
    assert package.__version__ in module.stdout


@pytest.mark.parametrize(
    "words", [["--help"], ["check", "FILE"], ["schema"], ["init"], ["evidence", "list"], ["info"]]
)
def test_light_verbs_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    heavy = (*HEAVY, "numpy")
    code = (
        "import sys; from retrowalk.cli import main; code = main(sys.argv[1:]); "
        f"print(code, [name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    argv = [str(file) if word == "FILE" else word for word in words]
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["smmary"], "retrowalk: No such command 'smmary'. Did you mean 'summary'?"),
        (["evidence", "shwo", "x"], "retrowalk evidence: No such command 'shwo'. Did you mean 'show'?"),
        (["run", "x", "--sed", "1"], "retrowalk run: No such option '--sed'."),
        (["run"], "retrowalk run: Missing argument 'FILE'."),
        (["run", "x", "--seed", "-1"], "retrowalk run: Invalid value for '--seed'"),
        (["init", "knee"], "knee_oa"),
        (["summary", "missing.nc"], "missing.nc: does not exist"),
        (["status", "."], "not a retrowalk store"),
        (["run", "missing.yaml"], "missing.yaml: there is no such file"),
        (["run", "."], "is a directory"),
        (["evidence", "show", "alghadir2091"], "did you mean alghadir2019"),
        (["evidence", "list", "--outcome", "knee_pian"], "did you mean 'knee_pain'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_two(words: list[str], sentence: str, tmp_path: Path) -> None:
    done = retrowalk(*words, cwd=tmp_path)
    assert done.code == 2
    assert done.out == ""
    assert len(done.errors) == 1
    assert sentence in done.errors[0]
    assert "Traceback" not in done.err


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    for words in (["--debug", "summary", "no.nc"], ["summary", "no.nc", "--debug"]):
        done = retrowalk(*words, cwd=tmp_path)
        assert done.code == 2
        assert "Traceback" in done.err
        assert done.errors[-1].startswith("retrowalk: no.nc")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("two\nlines"), 2, "retrowalk: two lines"),
        (RunError("lost"), 1, "retrowalk: lost"),
        (OSError(28, "No space left on device", "out.nc"), 1, "retrowalk: out.nc: the disk is full"),
        (OSError(30, "Read-only file system"), 1, "retrowalk: the disk is read-only"),
        (PermissionError(13, "Permission denied", "x"), 1, "retrowalk: x: permission denied"),
        (MemoryError(), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division by zero"), 1, "run again with --debug"),
    ],
)
def test_every_exception_becomes_a_sentence(error: BaseException, code: int, words: str) -> None:
    sentence, found = explain(error)
    assert found == code
    assert words in sentence
    assert "\n" not in sentence


def test_a_reader_that_leaves_is_no_failure() -> None:
    with subprocess.Popen([SCRIPT, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_stdout_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([SCRIPT, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "retrowalk: the disk is full\n"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_interrupted_sweep_leaves_130_and_the_command_to_go_on(tmp_path: Path) -> None:
    text = SMALL.replace("size: 40", "size: 3000").replace("draws: 6", "draws: 100")
    axis = "sweep: {arms.walking.phases.0.sessions.0.minutes: {from: 5, to: 60, steps: 300}}\n"
    (tmp_path / "long.yaml").write_text(text + axis)
    command = [SCRIPT, "sweep", "long.yaml", "-o", "long.zarr"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "long.zarr" / "_retrowalk" / "store.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        words = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "finished cases are kept. Go on with: retrowalk sweep long.yaml -o long.zarr" in words
    assert "Traceback" not in words
    assert "long.zarr: unfinished" in retrowalk("status", "long.zarr", cwd=tmp_path).out
    summary = retrowalk("summary", "long.zarr", cwd=tmp_path)
    told = "are not finished; this summary is of the other" if summary.code == 0 else "no case of this sweep"
    assert told in summary.err
