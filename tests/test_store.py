"""Round trips of the store, its layout, and what plain Zarr and xarray make of it."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

import store_samples as samples
from retrowalk import store
from retrowalk.errors import InputError
from retrowalk.store.layout import chunk_shape


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "sweep.zarr"
    samples.finish(path)
    return path


def without_marks(dataset: xr.Dataset) -> xr.Dataset:
    attributes = {name: value for name, value in dataset.attrs.items() if not name.startswith("retrowalk_")}
    return xr.Dataset(dataset.data_vars, dataset.coords, attributes)


def test_a_finished_store_gives_back_what_was_written(finished):
    with store.open_results(finished) as dataset:
        xr.testing.assert_identical(without_marks(dataset).load(), samples.results(range(samples.CASES)))
        assert list(dataset.data_vars) == ["knee_pain", "knee_pain_grade", "assessed", "weight"]
        assert dataset.knee_pain.dtype == np.float32
        assert dataset.arm.dtype.kind == "U"


def test_plain_xarray_reads_a_finished_store_without_warnings(finished):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xr.open_zarr(finished, consolidated=False, chunks=None).load()
    expected = samples.results(range(samples.CASES))
    for name in [*expected.data_vars, *expected.coords]:
        # Text comes back in another of NumPy's types, so values are compared.
        np.testing.assert_array_equal(np.asarray(dataset[name]), np.asarray(expected[name]))
        assert {**dataset[name].attrs}.keys() == {**expected[name].attrs}.keys()
    assert set(dataset.coords) == set(expected.coords)


def test_arrays_are_stored_as_the_design_says(finished):
    array = zarr.open_array(finished, path="knee_pain", mode="r")
    (sharding,) = array.metadata.codecs
    assert [codec.to_dict()["name"] for codec in sharding.codecs] == ["bytes", "blosc", "crc32c"]
    assert array.chunks == (samples.BLOCK, 3, 2, 2, 4)
    assert array.shards == (samples.GROUP * samples.BLOCK, 3, 2, 2, 4)
    assert not (finished / "zarr.json").read_text().count("consolidated_metadata")


def test_netcdf_gives_back_what_was_written(tmp_path, finished):
    one_file = store.export(finished, tmp_path / "sweep.nc")
    with store.open_results(one_file) as dataset:
        xr.testing.assert_identical(without_marks(dataset).load(), samples.results(range(samples.CASES)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["sweep.nc"]


def test_netcdf_holds_attributes_that_it_has_no_type_for(tmp_path):
    dataset = samples.results(range(2)).assign_attrs(mapping={"a": [1, None]}, nothing=None, truth=True)
    with store.open_results(store.write_netcdf(dataset, tmp_path / "a.nc")) as found:
        assert found.attrs["mapping"] == '{"a": [1, null]}'
        assert (found.attrs["nothing"], found.attrs["truth"]) == ("null", "true")


def test_netcdf_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "a.nc"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"a\.nc: exists; choose another output or use --overwrite"):
        store.write_netcdf(samples.results(range(2)), path)
    assert path.read_text() == "mine"
    store.write_netcdf(samples.results(range(2)), path, overwrite=True)
    with store.open_results(path) as found:
        assert found.sizes["case"] == 2


def opens_as_a_whole(path) -> bool:
    """Whether any plain way of reading finds a variable."""
    ways = [
        lambda: xr.open_zarr(path, consolidated=False).data_vars,
        lambda: xr.open_zarr(path / "knee_pain", consolidated=False).data_vars,
        lambda: list(zarr.open_group(path, mode="r").members()),
        lambda: zarr.open_array(path, path="knee_pain", mode="r").shape,
    ]
    for way in ways:
        try:
            if way():
                return True
        except (OSError, KeyError, ValueError):
            continue
    return False


def test_an_unfinished_store_never_opens_as_a_whole(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        assert writer.state == "new"
        for block in writer.missing():
            assert not opens_as_a_whole(path)
            samples.write_blocks(writer, [block])
        assert not opens_as_a_whole(path)
        writer.complete()
        assert opens_as_a_whole(path)


@pytest.mark.filterwarnings("ignore:Object at:zarr.errors.ZarrUserWarning")
def test_an_empty_group_made_by_plain_zarr_does_no_harm(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        samples.write_blocks(writer, [0])
    zarr.open_group(path, mode="a")
    assert not list(zarr.open_group(path, mode="r").members())
    samples.finish(path)
    with store.open_results(path) as dataset:
        xr.testing.assert_identical(without_marks(dataset).load(), samples.results(range(samples.CASES)))


def test_an_unfinished_store_shows_its_finished_cases(tmp_path):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        with store.open_results(path) as dataset:
            assert dataset.sizes["case"] == 0
        samples.write_blocks(writer, [5, 2])
        with store.open_results(path) as dataset:
            expected = samples.results(np.r_[8:12, 20:22])
            xr.testing.assert_identical(without_marks(dataset).load(), expected)
            assert dataset.attrs["retrowalk_finished_cases"] == 6
            assert dataset.attrs["retrowalk_missing_cases"] == samples.CASES - 6
        found = store.status(path)
        assert (found.state, found.total, found.finished, found.missing) == ("unfinished", 22, 6, 16)
        assert (found.blocks, found.finished_blocks, found.digests) == (6, 2, samples.DIGESTS)
        assert found.writer
    assert store.status(path).writer is None


def test_blocks_may_come_in_any_order_from_threads_and_other_processes(tmp_path, finished):
    path = tmp_path / "sweep.zarr"
    with samples.create(path) as writer:
        elsewhere = pickle.loads(pickle.dumps(writer.blocks))
        writer.record(pickle.loads(pickle.dumps(elsewhere.write(3, samples.results(range(12, 16))))))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda block: samples.write_blocks(writer, [block]), [5, 4, 2, 1, 0]))
        writer.complete()
    assert samples.tree(path) == samples.tree(finished)


def test_a_store_is_complete_only_with_all_blocks(tmp_path):
    with samples.create(tmp_path / "sweep.zarr") as writer:
        samples.write_blocks(writer, [0, 1, 3])
        with pytest.raises(InputError, match="3 blocks are missing, the first is 2"):
            writer.complete()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda block: block.drop_vars("assessed"), "the variable assessed is missing"),
        (lambda block: block.isel(case=slice(3)), r"the store expects .* and \(4, "),
        (lambda block: block.isel(day=slice(3)), "knee_pain has dims"),
        (lambda block: block.transpose("arm", ...), "knee_pain has dims"),
    ],
)
def test_a_block_of_another_shape_is_refused(tmp_path, spoil, sentence):
    with samples.create(tmp_path / "sweep.zarr") as writer:
        with pytest.raises(InputError, match=sentence):
            writer.write(0, spoil(samples.results(range(4))))
        assert writer.finished() == set()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda plan: plan.transpose("arm", ...), "`case` must be its first dimension"),
        (lambda plan: plan.assign(text=("case", ["a"] * samples.CASES)), "numbers and text coordinates"),
        (lambda plan: plan.rename(weight="../weight"), "use letters, digits"),
        (lambda plan: plan.rename(weight="_retrowalk"), "use letters, digits"),
        (lambda plan: plan.isel(case=slice(0)), "at least one case"),
    ],
)
def test_a_template_that_no_store_can_hold_is_refused(tmp_path, spoil, sentence):
    with pytest.raises(InputError, match=sentence):
        store.create(tmp_path / "a.zarr", spoil(samples.template()), digests={}, block=4)
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=5).filter(
        lambda shape: np.prod(shape, dtype=float) < 1e11
    ),
    st.sampled_from([1, 4, 8]),
)
def test_chunks_divide_the_block_and_stay_under_ten_megabytes(shape, itemsize):
    chunk = chunk_shape(shape, itemsize)
    assert shape[0] % chunk[0] == 0
    assert all(1 <= part <= size for part, size in zip(chunk, shape, strict=True))
    assert np.prod(chunk, dtype=float) * itemsize <= 10e6


def test_large_blocks_are_sharded_into_chunks_of_megabytes(tmp_path):
    size = 1000
    block = xr.Dataset({"o": (("case", "member"), np.arange(64.0 * 60_000).reshape(64, 60_000))})
    plan = store.widen(block, xr.Dataset(coords={"case": np.arange(size)}))
    with store.create(tmp_path / "a.zarr", plan, digests={}, block=64) as writer:
        writer.write(3, block)
    # The other blocks are not needed to look at one file.
    with store.open_results(tmp_path / "a.zarr") as dataset:
        np.testing.assert_array_equal(dataset.o.values, block.o.values.astype(np.float32))
        assert 1e6 <= np.prod(dataset.o.encoding["chunks"]) * 4 <= 10e6
    assert len(samples.block_files(tmp_path / "a.zarr")) == 1


def test_a_hundred_thousand_cases_are_hundreds_of_files(tmp_path):
    cases = 100_000
    one = {f"v{number}": (("case", "arm", "day"), np.ones((1, 2, 5), np.float32)) for number in range(24)}
    plan = store.widen(xr.Dataset(one), xr.Dataset(coords={"case": np.arange(cases)}))
    block = store.suggest_block(plan)
    path = tmp_path / "a.zarr"
    with store.create(path, plan, digests={}, block=block) as writer:
        for number in writer.missing():
            part = writer.layout.cases_of(number)
            writer.write(number, plan.isel(case=part))
        writer.complete()
    assert sum(1 for file in path.rglob("*") if file.is_file()) < 1000
    with store.open_results(path) as dataset:
        assert dataset.sizes["case"] == cases


@pytest.mark.parametrize(("draws", "memory"), [(1, 2**28), (100, 2**28), (100, 2**22), (10_000, 2**20)])
def test_a_suggested_block_fits_memory(draws, memory):
    one = {name: (("case", "draw", "day"), np.zeros((1, draws, 5))) for name in "abcdef"}
    plan = store.widen(xr.Dataset(one), xr.Dataset(coords={"case": np.arange(100_000)}))
    block = store.suggest_block(plan, memory=memory)
    assert block == 1 or block * draws * 5 * 4 * 6 <= memory
    assert store.suggest_block(plan, memory=memory, most=3) <= 3


def test_importing_the_store_loads_neither_zarr_nor_xarray():
    code = "import sys, retrowalk.store; print({'zarr', 'xarray', 'pandas', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
