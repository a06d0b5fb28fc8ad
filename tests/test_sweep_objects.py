"""Stores in object storage, against an S3 server on this machine that the test starts."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime, timedelta

import pytest
import xarray as xr

import retrowalk
import store_samples as samples
from cli_runner import retrowalk as command
from retrowalk import store
from retrowalk.errors import InputError, RunError
from retrowalk.scenario import parse_scenario
from retrowalk.store import locks
from retrowalk.store import places as buckets
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


def contents(url):
    """Everything but the lock, the order of finishing and how long it took."""
    bucket = buckets.Bucket(url)
    return {
        name: bucket.get(name)
        for name in bucket.sizes
        if name not in ("_retrowalk/lock", "_retrowalk/speed.json")
    }


def test_a_store_in_a_bucket_gives_back_what_was_written(url):
    samples.finish(url)
    with store.open_results(url) as found:
        xr.testing.assert_identical(without_marks(found).load(), samples.results(range(22)))
    assert store.verify(url) == []
    facts = store.status(url)
    assert (facts.state, facts.finished, facts.missing, facts.writer) == ("finished", 22, 0, None)
    assert "_retrowalk/lock" not in buckets.Bucket(url).sizes


def test_plain_zarr_opens_it_only_when_it_is_whole(url):
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    def plain():
        return xr.open_zarr(ObjectStore(from_url(url), read_only=True), consolidated=False, chunks=None)

    with samples.create(url) as writer:
        samples.write_blocks(writer, [0, 1, 2, 3, 4])
    with pytest.raises(FileNotFoundError):
        plain()
    partly = store.open_results(url)
    assert (partly.sizes["case"], partly.attrs["retrowalk_missing_cases"]) == (20, 2)
    samples.finish(url)
    assert plain().sizes["case"] == 22


@pytest.mark.parametrize("pack", [1, 4])
def test_an_interrupted_store_goes_on_to_the_same_objects(url, pack, monkeypatch):
    monkeypatch.setattr(samples, "PACK", pack)
    samples.finish(url)
    whole = contents(url)
    with pytest.MonkeyPatch.context() as patch:
        left = [0]
        real = buckets.Bucket.put

        def failing(self, name, data):
            if left[0] == 0 and "/lock" not in name:
                raise RunError("the network is gone")
            left[0] -= 1
            real(self, name, data)

        patch.setattr(buckets.Bucket, "put", failing)
        for count in range(0, 16, 3 if pack == 1 else 5):
            left[0] = count
            samples_url = f"{url}-{count}"
            with pytest.raises(RunError):
                samples.finish(samples_url)
            left[0] = -1
            samples.finish(samples_url)
            assert contents(samples_url) == whole


def test_damage_is_named_and_repaired(url):
    samples.finish(url)
    whole, bucket = contents(url), buckets.Bucket(url)
    piece = "knee_pain/c.2.0.0.0.0"
    bucket.put(piece, bucket.get(piece)[:-1])
    bucket.delete("assessed/c.5.0.0")
    found = {(damage.file, damage.kind, damage.block) for damage in store.verify(url)}
    assert found == {(piece, "truncated", 2), ("assessed/c.5.0.0", "missing", 5)}
    with pytest.raises(RunError, match=r"the piece assessed/c\.5\.0\.0 is missing"):
        store.open_results(url).assessed.load()
    with samples.create(url, repair=True) as writer:
        assert writer.missing() == [2, 5]
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    assert contents(url) == whole


def test_packs_are_read_damaged_and_repaired_as_in_a_folder(url):
    samples.finish(url, pack=4)
    whole, bucket = contents(url), buckets.Bucket(url)
    assert [name for name in whole if name.startswith("knee_pain/c.")] == [
        "knee_pain/c.0.0.0.0.0",
        "knee_pain/c.1.0.0.0.0",
    ]
    assert [name for name in whole if "blocks" in name] == [
        "_retrowalk/blocks/pack000000000.json",
        "_retrowalk/blocks/pack000000001.json",
    ]
    with store.open_results(url) as found:
        xr.testing.assert_identical(without_marks(found).load(), samples.results(range(22)))
    piece = "knee_pain/c.0.0.0.0.0"
    bucket.put(piece, bucket.get(piece)[:-1])
    assert [(one.file, one.kind, one.block) for one in store.verify(url)] == [(piece, "truncated", 3)]
    with samples.create(url, repair=True) as writer:
        assert writer.missing() == [3]
        partly = store.open_results(url).load()
        assert partly.case.values.tolist() == [number for number in range(22) if not 12 <= number < 16]
        xr.testing.assert_identical(without_marks(partly), samples.results(partly.case.values))
        samples.write_blocks(writer, writer.missing())
        writer.complete()
    assert contents(url) == whole


def test_a_second_writer_is_refused_and_a_dead_one_replaced(url, monkeypatch):
    with samples.create(url):
        with pytest.raises(InputError, match=r"process \d+ on .* is writing this store"):
            samples.create(url)
        assert "process" in store.status(url).writer
    bucket = buckets.Bucket(url)
    gone = {"host": "another", "pid": 1, "boot": "x", "started": "1"}
    bucket.put(locks.LOCK, json.dumps(gone).encode())
    with pytest.raises(InputError, match="process 1 on another is writing this store"):
        samples.create(url)
    later = datetime.now().astimezone() + timedelta(seconds=locks.DEAD_AFTER + 1)
    monkeypatch.setattr(locks, "_now", lambda _bucket: later)
    with samples.create(url) as writer:
        assert writer.state == "unfinished"
    bucket.put(locks.LOCK, json.dumps({**json.loads(locks.myself()), "started": "1"}).encode())
    monkeypatch.undo()


def test_a_lock_of_a_dead_process_of_this_machine_is_replaced_at_once(url):
    samples.create(url).close()
    bucket = buckets.Bucket(url)
    bucket.put(locks.LOCK, json.dumps({**json.loads(locks.myself()), "started": "1"}).encode())
    samples.create(url).close()


def test_a_writer_that_lost_its_lock_writes_no_record(url, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.05)
    with samples.create(url) as writer:
        record = writer.blocks.write(0, samples.results(range(4)))
        buckets.Bucket(url).put(locks.LOCK, b"{}")
        writer._held._thread.join(timeout=10)
        with pytest.raises(RunError, match="another process took this store over"):
            writer.record(record)
    assert buckets.Bucket(url).get(locks.LOCK) == b"{}"


def test_other_results_and_other_objects_are_left_alone(url):
    samples.finish(url)
    with pytest.raises(InputError, match=r"holds other results \(seed differs\)"):
        samples.create(url, digests={**samples.DIGESTS, "seed": "8"})
    samples.finish(url, digests={**samples.DIGESTS, "seed": "8"}, overwrite=True)
    assert store.status(url).digests["seed"] == "8"
    other = f"{url}-other"
    buckets.Bucket(other).put("thesis.txt", b"mine")
    with pytest.raises(InputError, match="holds other objects"):
        samples.create(other, overwrite=True)
    assert list(buckets.Bucket(other).sizes) == ["thesis.txt"]


@pytest.mark.parametrize("bad", ["s3://bucket", "s3:///x", "s3://bucket/../x.zarr", "s3://bucket//x"])
def test_addresses_without_bucket_or_name_are_refused(server, bad):
    with pytest.raises(InputError, match="name a bucket and a store in it"):
        store.status(bad)


def test_a_server_that_is_gone_is_one_sentence(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr(buckets, "_RETRY", {"max_retries": 0, "retry_timeout": timedelta(seconds=1)})
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
