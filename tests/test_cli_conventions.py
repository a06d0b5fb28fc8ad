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

from cli_runner import SCRIPT, SMALL, SWEPT, retrowalk
from retrowalk.cli import main
from retrowalk.cli.app import VERBS, app, explain
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
        (["smmary"], "retrowalk: No such command 'smmary'; did you mean 'summary'?"),
        (["evidence", "shwo", "x"], "retrowalk evidence: No such command 'shwo'; did you mean 'show'?"),
        (["run", "x", "--sed", "1"], "retrowalk run: No such option '--sed'."),
        (["run"], "retrowalk run: Missing argument 'FILE'."),
        (["run", "x", "--seed", "-1"], "retrowalk run: Invalid value for '--seed'"),
        (["init", "knee"], "knee_oa"),
        (["summary", "missing.nc"], "missing.nc: does not exist"),
        (["status", "."], "not a retrowalk store"),
        (["run", "missing.yaml"], "missing.yaml: there is no such file"),
        (["run", "."], "is a directory"),
        (["evidence", "show", "alghadir2091"], "did you mean 'alghadir2019'"),
        (
            ["evidence", "list", "--outcome", "knee_pian"],
            "unknown outcome 'knee_pian'; did you mean 'knee_pain'?",
        ),
        (["run", "small.yaml", "-o", "x" * 300], "no file can have this name: file name too long"),
        (["sweep", "small.yaml", "-o", "x" * 300], "no file can have this name: file name too long"),
        (["summary", "x" * 300], "no file can have this name: file name too long"),
        (["check", "a\x1b[2J\x9b\u202e\nfake.yaml"], r"a\x1b[2J\x9b\u202e\nfake.yaml"),
        (["smm\x1b[2Jary"], r"No such command 'smm\x1b[2Jary'"),
        (["status", "ftp://me:secret@host/a.zarr"], "ftp://***@host/a.zarr: "),
        (
            ["sweep", "small.yaml", "-o", "a.zarr", "--scheduler", "tcp://me:secret@localhost:1"],
            "no sweep axes",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_two(words: list[str], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    done = retrowalk(*words, cwd=tmp_path)
    assert done.code == 2
    assert done.out == ""
    assert "secret" not in done.err
    assert done.err.replace("\n", "").isprintable()
    assert len(done.errors) == 1
    assert sentence in done.errors[0]
    assert "Traceback" not in done.err


@pytest.mark.parametrize("verb", [["run", "small.yaml"], ["sweep", "small.yaml"], ["init"], ["calibrate"]])
def test_a_nul_in_the_output_is_refused(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: no system passes a NUL on to another one."""
    (tmp_path / "small.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    assert main([*verb, "-o", "out\0.nc"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "'--output': no file can have this name" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


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
        (OSError(36, "File name too long", "xxx"), 2, "retrowalk: xxx: no file can have this name"),
        (PermissionError(13, "Permission denied", "x"), 1, "retrowalk: x: permission denied"),
        (MemoryError(), 1, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division by zero"), 1, "run again with --debug"),
    ],
)
def test_every_exception_becomes_a_sentence(error: BaseException, code: int, words: str) -> None:
    (sentence,), found = explain(error)
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


def shell(command: str, cwd: Path, *, place: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which `retrowalk` is the installed script."""
    return subprocess.run(["/bin/sh", "-c", command.replace("retrowalk", str(place))], cwd=cwd, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)  # fmt: skip


posix = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@posix
@pytest.mark.parametrize("verb", ["schema", "info --json", "run small.yaml"])
@pytest.mark.parametrize(
    ("where", "reason"), [("> /dev/full", "cannot be written: the disk is full"), (">&-", "is closed")]
)
def test_data_that_cannot_be_written_is_one_sentence(
    verb: str, where: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    done = shell(f"retrowalk {verb} {where}", tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("retrowalk: standard output ")
    assert reason in done.stderr


@posix
@pytest.mark.parametrize(
    "where",
    ["2> /dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "> /dev/full 2> /dev/full", "2>&1 | true", ">&-"],
)
def test_progress_and_words_are_never_worth_a_sweep(where: str, tmp_path: Path) -> None:
    (tmp_path / "swept.yaml").write_text(SWEPT)
    command = (
        f"retrowalk sweep swept.yaml -o swept.zarr --json-progress {where.partition('|')[0]}; echo $? > code"
    )
    shell(f"{{ {command}; }} | true" if "|" in where else command, tmp_path)
    assert (tmp_path / "code").read_text() == "0\n"
    assert retrowalk("status", "swept.zarr", "--verify", cwd=tmp_path).code == 0


@posix
def test_a_closed_standard_input_is_one_sentence(tmp_path: Path) -> None:
    done = shell("retrowalk check - <&-", tmp_path)
    assert (done.returncode, done.stderr) == (2, "-: cannot be read: standard input is closed\n")


@posix
def test_kernels_are_not_kept_in_the_working_folder_and_the_screen_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    done = shell("unset RETROWALK_CACHE_DIR XDG_CACHE_HOME; HOME=. retrowalk run small.yaml", tmp_path)
    assert done.returncode == 0
    (said,) = done.stderr.splitlines()
    assert said.startswith("compiling kernels, about 8 s in every run: they cannot be kept (the home folder")
    assert "set XDG_CACHE_HOME" in said
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


@posix
def test_words_that_nobody_takes_change_no_exit_code(tmp_path: Path) -> None:
    for where in ("2> /dev/full", "2>&-"):
        for verb, code in (("summary none.nc", 2), ("schema > /dev/null", 0), ("schema > /dev/full", 1)):
            assert shell(f"retrowalk {verb} {where}", tmp_path).returncode == code


@posix
def test_a_closed_stderr_is_handed_to_no_other_file(tmp_path: Path) -> None:
    """A closed stderr is not handed to the next file that is opened."""
    (tmp_path / "swept.yaml").write_text(SWEPT)
    done = shell("retrowalk sweep swept.yaml -o swept.zarr --json-progress 2>&-", tmp_path)
    assert done.returncode == 0
    for file in (tmp_path / "swept.zarr").rglob("*"):
        assert file.is_dir() or b'"event"' not in file.read_bytes()


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
    words = "are not finished; this summary is of the other" if summary.code == 0 else "no case of this sweep"
    assert words in summary.err
