"""Feed documents and stores that mean harm to the readers: sentences only, bounded time and memory.

python tests/fuzz.py documents 50000     generated scenarios and mutations of the shipped ones
python tests/fuzz.py atheris 600         coverage-guided, seconds; needs `pip install atheris`
"""

from __future__ import annotations

import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from retrowalk.errors import RetrowalkError

#: Seconds that one input may take, and megabytes that the process may reach.
SECONDS, MEGABYTES = 2.0, 500
SHIPPED = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
PIECES = [
    "*a", "&a", "<<: *a", "!!python/object:os.system", "[" * 60, "{" * 60, "nan", ".inf", "-1", "1e400",
    "0x7f", "'", '"', "\t", "\0", "\ufeff", "- ", ": ", "? ", "|", ">", "%YAML 9.9", "---", "...", "~",
    "null", "9" * 400, "60 %", "3 km/h", "../../etc/passwd",
    "sweep: {seed: {from: 1, to: 9, steps: 999999999}}", "\u202e", "a" * 5000,
]  # fmt: skip


def peak_megabytes() -> float:
    """Peak memory of this process alone: `ru_maxrss` would count what its parent held when it was started."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch:
    """Counts outcomes and finds the slowest input; anything but a sentence of ours goes through."""

    def __init__(self) -> None:
        self.tried = self.refused = 0
        self.slowest = 0.0

    def __call__(self, action: Callable[[], object]) -> None:
        start = time.process_time()
        self.tried += 1
        try:
            action()
        except RetrowalkError as error:
            self.refused += 1
            lines = str(error).splitlines()
            assert lines, "an empty sentence"
            assert all(len(line) < 2000 for line in lines), "an endless sentence"
        taken = time.process_time() - start
        self.slowest = max(self.slowest, taken)
        assert taken < SECONDS, f"took {taken:.1f} s"

    def report(self, what: str) -> None:
        peak = peak_megabytes()
        assert peak < MEGABYTES, f"reached {peak:.0f} MB"
        sys.stdout.write(
            f"{what}: {self.tried} tried, {self.refused} refused with a sentence, slowest "
            f"{self.slowest:.2f} s, peak {peak:.0f} MB\n"
        )


def read(content: bytes) -> None:
    """What `retrowalk check` does with a file."""
    from retrowalk.scenario import parse_document, scenario_from_document

    scenario = scenario_from_document(parse_document(content.decode("utf-8", "surrogateescape"), "fuzz.yaml"))
    scenario.digest()


def mutated(text: str, rng: random.Random) -> str:
    """Cut, repeat, swap and spoil at random."""
    for _ in range(rng.randint(1, 4)):
        lines = text.split("\n")
        kind, at = rng.randrange(6), rng.randrange(len(text) + 1)
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randint(1, 40) :]
        elif kind == 2:
            text = "\n".join(lines[:-1] + [rng.choice(lines)] * rng.randint(1, 30))
        elif kind == 3:
            rng.shuffle(lines)
            text = "\n".join(lines)
        elif kind == 4:
            words = text.split(" ")
            words[rng.randrange(len(words))] = rng.choice(PIECES)
            text = " ".join(words)
        else:
            text = "".join(chr(ord(char) ^ 1) if rng.random() < 0.01 else char for char in text)
    return text


def documents(count: int) -> None:
    """Half generated from the format, half mutated from the shipped files."""
    import json

    from hypothesis import HealthCheck, Phase, given, seed, settings

    from retrowalk.testing import documents as strategy

    watch, rng = Watch(), random.Random(20261122)
    texts = [path.read_text() for path in SHIPPED]

    def generate(number: int, examples: int) -> None:
        @seed(number)
        @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(strategy())
        def generated(data: dict[str, object]) -> None:
            text = json.dumps(data, ensure_ascii=False)
            watch(lambda: read(text.encode()))

        generated()

    # Some at a time: Hypothesis remembers all that one test has tried, which is memory of its own.
    while watch.tried < count // 2:
        generate(watch.tried, min(500, count // 2 - watch.tried))
    while watch.tried < count:
        content = mutated(rng.choice(texts), rng).encode("utf-8", "surrogatepass")
        watch(partial(read, content))
    watch.report("documents")


def atheris_for(seconds: int) -> None:
    """Let libFuzzer look for inputs that reach new code, over the reader and the opening of stores."""
    import atheris

    with atheris.instrument_imports(include=["retrowalk.scenario", "retrowalk.store"]):
        from retrowalk import store
    import store_samples

    watch, folder = Watch(), Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    store_samples.finish(folder / "whole.zarr")
    path = folder / "hurt.zarr"
    shutil.copytree(folder / "whole.zarr", path)
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name != "lock"]
    ends = time.monotonic() + seconds

    def spoil(data: bytes) -> None:
        file = files[data[0] % len(files)]
        original = file.read_bytes()
        at = int.from_bytes(data[1:3], "big") % (len(original) + 1)
        file.write_bytes(original[:at] + data[3:] + original[at + len(data[3:]) :])
        try:
            for look in (store.status, store.verify, lambda where: store.open_results(where).load()):
                watch(lambda look=look: look(path))
        finally:
            file.write_bytes(original)

    def one(data: bytes) -> None:
        if time.monotonic() > ends:
            shutil.rmtree(folder, ignore_errors=True)
            watch.report("atheris")
            sys.stdout.flush()
            # libFuzzer has no other way out of its loop.
            __import__("os")._exit(0)
        if len(data) > 3 and data[0] % 4 == 0:
            spoil(data[1:])
        else:
            watch(lambda: read(data[1:]))

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, scenario in enumerate(SHIPPED):
        (corpus / f"{number}").write_bytes(b"\1" + scenario.read_bytes()[:4000])
    (corpus / "store").write_bytes(b"\0\5\0\40{}")
    atheris.Setup([sys.argv[0], str(corpus), "-timeout=10", f"-rss_limit_mb={MEGABYTES}", "-verbosity=0",
                   f"-artifact_prefix={folder}/", "-max_len=4096"], one)  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    {"documents": documents, "atheris": atheris_for}[sys.argv[1]](int(sys.argv[2]))
