"""Stores in object storage, against an S3 server on this machine that the test starts."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from datetime import timedelta

import pytest
import xarray as xr

import retrowalk
import store_samples as samples
from cli_runner import retrowalk as command
from retrowalk import store
from retrowalk.errors import InputError, RunError
from retrowalk.scenario import parse_scenario
from retrowalk.store import LostStoreError, bucket
from retrowalk.store import lock as locking
from sweep_samples import SWEPT
from test_store import without_marks

pytest.importorskip("obstore")
moto = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch:
        running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        make = urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")
        urllib.request.urlopen(make).close()
        yield f"http://{host}:{port}"
        running.stop()


@pytest.fixture
def url(server, tmp_path):
    return f"s3://bucket/{tmp_path.name}/sweep.zarr"


def objects(url):
    from obstore.store import from_url

    return from_url(url)


def keys(url) -> list[str]:
    import obstore

    return sorted(entry["path"] for batch in obstore.list(objects(url)) for entry in batch)


def get(url, key) -> bytes:
    import obstore

    return bytes(obstore.get(objects(url), key).bytes())


def put(url, key, data) -> None:
    import obstore

    obstore.put(objects(url), key, data)


def contents(url):
    """Everything that readers of the results see."""
    return {key: get(url, key) for key in keys(url) if not key.startswith("_retrowalk")}


class GoneError(RuntimeError):
    """What a network that is gone raises."""


def failing_network(patch, count) -> None:
    """Let all requests but the first so many that write anything fail; locks and clocks do not count."""
    import obstore

    real, left = obstore.put, [count]

    def put(store, path, *args, **more):
        if "/lock" not in path and "/clock" not in path:
            left[0] -= 1
            if left[0] < 0:
                raise GoneError("the network is gone")
        return real(store, path, *args, **more)

    patch.setattr(obstore, "put", put)


def test_a_store_in_a_bucket_gives_back_what_was_written(url):
    samples.finish(url)
    with store.open_results(url) as found:
        xr.testing.assert_identical(without_marks(found).load(), samples.results(range(22)))
    assert store.verify(url) == []
    facts = store.status(url)
    assert (facts.state, facts.finished, facts.missing, facts.writer) == ("finished", 22, 0, None)
    assert LOCK not in keys(url)


def test_plain_zarr_opens_it_only_when_it_is_whole(url):
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    def plain():
        return xr.open_zarr(ObjectStore(from_url(url), read_only=True), consolidated=False, chunks=None)

    with samples.create(url) as writer:
        samples.write_blocks(writer, [0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="Expecting value"):
        plain()
    partly = store.open_results(url)
    assert (partly.sizes["case"], partly.attrs["retrowalk_missing_cases"]) == (20, 2)
    samples.finish(url)
    assert plain().sizes["case"] == 22


@pytest.mark.parametrize(("group", "counts"), [(1, range(0, 40, 5)), (4, range(1, 34, 6))])
def test_an_interrupted_store_goes_on_to_the_same_objects(url, group, counts, monkeypatch):
    monkeypatch.setattr(samples, "GROUP", group)
    samples.finish(url)
    whole = contents(url)
    for count in counts:
        other = f"{url}-{count}"
        with pytest.MonkeyPatch.context() as patch:
            failing_network(patch, count)
            with pytest.raises(RunError, match="the network is gone"):
                samples.finish(other)
        samples.finish(other)
        assert contents(other) == whole
        assert store.verify(other) == []


def test_damage_is_named_and_repaired(url, monkeypatch):
    import obstore

    monkeypatch.setattr(samples, "GROUP", 1)
    samples.finish(url)
    whole = contents(url)
    piece = "knee_pain/c.2.0.0.0.0"
    put(url, piece, get(url, piece)[:-1])
    obstore.delete(objects(url), "assessed/c.5.0.0")
    found = {(damage.file, damage.kind, damage.block) for damage in store.verify(url)}
    assert found == {(piece, "truncated", 2), ("assessed/c.5.0.0", "missing", 5)}
    with pytest.raises(RunError, match=r"the piece assessed/c\.5\.0\.0 is missing"):
        store.open_results(url).assessed.load()
    with samples.create(url, repair=True) as writer:
        assert writer.missing() == [2, 5]
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    assert contents(url) == whole


def test_groups_are_read_damaged_and_repaired_as_in_a_folder(url):
    samples.finish(url, group=4)
    whole = contents(url)
    assert [name for name in whole if name.startswith("knee_pain/c.")] == [
        "knee_pain/c.0.0.0.0.0",
        "knee_pain/c.1.0.0.0.0",
    ]
    assert not [name for name in keys(url) if "/blocks/" in name]
    with store.open_results(url) as found:
        xr.testing.assert_identical(without_marks(found).load(), samples.results(range(22)))
    piece = "knee_pain/c.0.0.0.0.0"
    put(url, piece, get(url, piece)[:-1])
    assert [(one.file, one.kind, one.block) for one in store.verify(url)] == [(piece, "truncated", 3)]
    with samples.create(url, repair=True) as writer:
        assert writer.missing() == [3]
        partly = store.open_results(url).load()
        assert partly.case.values.tolist() == [number for number in range(22) if not 12 <= number < 16]
        xr.testing.assert_identical(without_marks(partly), samples.results(partly.case.values))
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    assert contents(url) == whole


def test_edited_descriptions_are_refused_and_written_again(url):
    samples.finish(url)
    whole = contents(url)
    put(url, "minutes/zarr.json", whole["minutes/zarr.json"].replace(b'"min"', b'"h"'))
    with pytest.raises(InputError, match=r"minutes/zarr\.json: is not as it was written"):
        store.open_results(url)
    samples.finish(url, repair=True)
    assert contents(url) == whole


def test_looking_writes_nothing(url, monkeypatch):
    import obstore

    with samples.create(url) as writer:
        samples.write_blocks(writer, [0])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(obstore, "put", None)
            patch.setattr(obstore, "delete", None)
            assert store.status(url).writer
            assert store.verify(url) == []
            assert store.open_results(url).load().sizes["case"] == 4


LOCK = "_retrowalk/lock"


def test_a_second_writer_is_refused_and_a_dead_one_replaced(url, monkeypatch):
    with samples.create(url):
        with pytest.raises(InputError, match=r"process \d+ on .* is writing this store"):
            samples.create(url)
        assert "process" in store.status(url).writer
        mine = json.loads(get(url, LOCK))
    gone = {"host": "another", "pid": 1, "boot": "x", "started": "1"}
    put(url, LOCK, json.dumps(gone).encode())
    with pytest.raises(InputError, match="process 1 on another is writing this store"):
        samples.create(url)
    with monkeypatch.context() as patch:
        patch.setattr(locking, "DEAD_AFTER", -1)
        with samples.create(url) as writer:
            assert writer.state == "unfinished"
    # A dead process of this very machine is known to be dead at once.
    put(url, LOCK, json.dumps({**mine, "started": "1"}).encode())
    samples.create(url).close()


def test_a_writer_that_lost_its_lock_writes_nothing_more(url):
    with samples.create(url) as writer:
        record = writer.blocks.write(0, samples.results(range(4)))
        put(url, LOCK, b"{}")
        before = keys(url)
        with pytest.raises(RunError, match="another process took this store over; nothing more is written"):
            writer.record(record)
        assert keys(url) == before
    assert get(url, LOCK) == b"{}"


def sleeper(url, blocks):
    """A writer that finished some blocks and then sleeps, its lock being taken for that of a dead process."""
    import obstore

    writer = samples.create(url)
    samples.write_blocks(writer, blocks)
    obstore.delete(objects(url), LOCK)
    return writer


def blinded(monkeypatch):
    """Let a writer pass every check of its lock, as one does that sleeps between check and write."""
    monkeypatch.setattr(locking.BucketLock, "check", lambda self: None)


def test_a_woken_writer_overwrites_no_block_of_a_store_that_another_finished(url, monkeypatch):
    old = sleeper(url, [0, 1, 2])
    samples.finish(url)
    whole, everything = contents(url), keys(url)
    blinded(monkeypatch)
    with pytest.raises(LostStoreError, match="another process took this store over"):
        samples.write_blocks(old, [3])
    with pytest.raises(LostStoreError):
        old.note_speed(1, 1.0) or old.record(old.blocks.write(4, samples.results(range(16, 20))))
    assert contents(url) == whole
    assert [key for key in keys(url) if key not in everything and "/blocks/" not in key] in (
        [], ["_retrowalk/speed.json"],
    )  # fmt: skip
    assert store.verify(url) == []


def test_a_woken_writer_of_other_results_mixes_nothing_into_a_new_store(url, monkeypatch):
    """Writer A (seed 7) sleeps, its store is removed, B (seed 8) begins at the same address, both go on."""
    other = {**samples.DIGESTS, "seed": "8"}
    samples.finish(f"{url}-alone", digests=other)
    old = sleeper(url, [0, 1, 2])
    old_layout = old.layout
    with samples.create(url, digests=other, overwrite=True) as new:
        samples.write_blocks(new, [0, 2])
        blinded(monkeypatch)
        # Where its own prefix is gone, the woken writer's lines and blocks go there and nowhere else.
        for block in (3, 4, 5):
            with contextlib.suppress(RunError):
                samples.write_blocks(old, [block])
        with pytest.raises(RunError):
            old.complete()
        assert new.missing() == [1, 3, 4, 5]
        assert store.status(url).finished == 8
        monkeypatch.undo()
        samples.write_blocks(new, new.missing())
        new.complete()
    assert new.layout.store != old_layout.store
    assert contents(url) == contents(f"{url}-alone")
    assert store.verify(url) == []
    assert store.status(url).digests["seed"] == "8"


def test_a_server_that_ignores_conditions_is_refused(url, monkeypatch):
    import obstore

    real = obstore.put

    def put(store_, path, data, **more):
        more.pop("mode", None)
        return real(store_, path, data, **more)

    monkeypatch.setattr(obstore, "put", put)
    with pytest.raises(InputError, match="does not honour conditional writes"):
        samples.create(url)
    assert [key for key in keys(url) if key != LOCK] == []


def test_other_results_and_other_objects_are_left_alone(url):
    samples.finish(url)
    with pytest.raises(InputError, match=r"holds other results \(seed differs\)"):
        samples.create(url, digests={**samples.DIGESTS, "seed": "8"})
    samples.finish(url, digests={**samples.DIGESTS, "seed": "8"}, overwrite=True)
    assert store.status(url).digests["seed"] == "8"
    other = f"{url}-other"
    put(other, "thesis.txt", b"mine")
    with pytest.raises(InputError, match="holds other objects"):
        samples.create(other, overwrite=True)
    assert keys(other) == ["thesis.txt"]


@pytest.mark.parametrize("bad", ["s3://bucket", "s3:///x", "s3://bucket/../x.zarr", "s3://bucket//x"])
def test_addresses_without_bucket_or_name_are_refused(server, bad):
    with pytest.raises(InputError, match="name a bucket and a store in it"):
        store.status(bad)


def test_a_server_that_is_gone_is_one_sentence(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr(bucket, "RETRY", {"max_retries": 0, "retry_timeout": timedelta(seconds=1)})
    with pytest.raises(RunError, match="the object store does not answer") as caught:
        store.status("s3://bucket/x.zarr")
    assert "\n" not in str(caught.value)


def test_the_command_line_takes_addresses(url, tmp_path):
    (tmp_path / "s.yaml").write_text(SWEPT)
    made = command("sweep", "s.yaml", "-o", url, cwd=tmp_path)
    assert (made.code, made.err.splitlines()[-1]) == (0, f"wrote {url}; next: retrowalk summary {url}")
    checked = command("status", url, "--verify", cwd=tmp_path)
    assert checked.out.startswith(f"{url}: finished, 44 of 44 cases, ")
    assert "every file is as it was written" in checked.out
    shown = command("summary", url, cwd=tmp_path)
    assert shown.code == 0
    assert "A small question" in shown.out
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.yaml"]


def test_a_sweep_into_a_bucket_equals_one_into_a_folder(url, tmp_path):
    scenario = parse_scenario(SWEPT)
    there = retrowalk.sweep(scenario, store=url).load()
    here = retrowalk.sweep(scenario, store=tmp_path / "here.zarr").load()
    xr.testing.assert_identical(there, here)
    assert store.status(url).seconds_per_case > 0
    xr.testing.assert_identical(retrowalk.sweep(scenario, store=url, threads=1).load(), here)
