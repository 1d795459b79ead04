import doctest
import errno
import functools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch

from helpers.datasets import EMBEDDED_TWO_PHASE, load_two_phase
from helpers.synthetic import volumes
from helpers.synthetic.homogenization import confined_modulus, youngs_modulus
from helpers.synthetic.volumes import (
    FILTER_WIDTHS,
    SEED,
    VOLUME_FRACTIONS,
    make_two_phase,
    sections_of,
    two_phase_volume,
)
from helpers.vit.store import StoredFeatures


@pytest.fixture(scope="module")
def embedded():
    return load_two_phase("embedded")


def test_examples_in_docstrings():
    result = doctest.testmod(volumes)
    assert result.attempted > 0
    assert result.failed == 0


def test_volume_depends_on_seed_and_index_alone():
    again = two_phase_volume(3, 17, size=15)
    two_phase_volume(3, 16, size=15)
    np.testing.assert_array_equal(again.volume, two_phase_volume(3, 17, size=15).volume)
    assert (again.volume != two_phase_volume(3, 18, size=15).volume).any()
    assert (again.volume != two_phase_volume(4, 17, size=15).volume).any()


def test_volume_fraction_is_exact_and_both_phases_are_there():
    for i in range(20):
        sample = two_phase_volume(0, i, size=5, volume_fractions=(0, 1))
        assert sample.volume.dtype == np.uint8
        assert sample.volume.mean() == sample.volume_fraction
        assert 0 < sample.volume_fraction < 1


def test_volume_is_periodic_and_as_anisotropic_as_its_filters():
    """Opposite faces differ as little as neighbouring planes; wider filters mean longer chords."""
    wide_x = two_phase_volume(0, 0, size=48, filter_widths=(2, 2)).volume
    planes = (wide_x != np.roll(wide_x, 1, axis=0)).mean((1, 2))
    assert planes[0] < 1.5 * planes[1:].max()
    clear = 0
    for index in range(20):
        sample = two_phase_volume(1, index, size=32, filter_widths=(1, 6))
        second, widest = np.sort(sample.filter_widths)[1:]
        if widest > 1.5 * second:
            steps = [(sample.volume != np.roll(sample.volume, 1, axis=a)).sum() for a in range(3)]
            assert np.argmin(steps) == np.argmax(sample.filter_widths)
            clear += 1
    assert clear >= 5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": 1}, "size is 1"),
        ({"filter_widths": (0, 5)}, r"filter_widths are \(0, 5\)"),
        ({"filter_widths": (5, 4)}, "low <= high"),
        ({"volume_fractions": (-0.1, 0.5)}, r"volume_fractions are \(-0.1, 0.5\)"),
    ],
)
def test_bad_ranges_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        two_phase_volume(0, 0, **options)


def test_embedded_data_has_the_agreed_form(embedded):
    assert EMBEDDED_TWO_PHASE.stat().st_size <= 8e6
    assert embedded.sections.shape == (5900, 3, 51, 51)
    assert embedded.modulus.shape == embedded.volume_fraction.shape == (5900,)
    assert embedded.modulus_kind == "Young's modulus"
    assert embedded.seed == SEED
    assert (embedded.confined_modulus > embedded.modulus).all()
    low, high = VOLUME_FRACTIONS
    assert low - 1e-5 <= embedded.volume_fraction.min()
    assert embedded.volume_fraction.max() <= high + 1e-5
    assert embedded.filter_widths.min() >= FILTER_WIDTHS[0]
    assert embedded.filter_widths.max() <= FILTER_WIDTHS[1]


def test_embedded_moduli_lie_inside_their_bounds(embedded):
    from helpers.synthetic.elasticity import voigt_reuss_stiffness, young_from_stiffness

    voigt, reuss = voigt_reuss_stiffness(embedded.volume_fraction)
    # the room is that of the solver's tolerance, 1e-4
    assert (embedded.modulus <= young_from_stiffness(voigt) * (1 + 1.1e-4)).all()
    assert (embedded.modulus >= young_from_stiffness(reuss) * (1 - 1.1e-4)).all()
    assert (embedded.confined_modulus <= voigt[:, 0, 0] * (1 + 1.1e-4)).all()
    assert (embedded.confined_modulus >= reuss[:, 0, 0] * (1 - 1.1e-4)).all()


@pytest.mark.parametrize("index", [0, 2345, 5899])
def test_embedded_samples_can_be_made_again(embedded, index):
    sample = two_phase_volume(SEED, index)
    np.testing.assert_array_equal(sections_of(sample.volume), embedded.sections[index])
    assert sample.volume_fraction == embedded.volume_fraction[index]
    np.testing.assert_allclose(sample.filter_widths, embedded.filter_widths[index])
    volume = sample.volume[None]
    np.testing.assert_allclose(youngs_modulus(volume)[0], embedded.modulus[index], rtol=1e-3)
    np.testing.assert_allclose(
        confined_modulus(volume)[0], embedded.confined_modulus[index], rtol=1e-3
    )


def test_first_component_carries_as_much_as_in_the_paper(embedded):
    """Fig. 5b of the paper: 75 %; asked for are 70 to 85 %."""
    from helpers.two_point import two_point_statistics

    maps = two_point_statistics(embedded.sections[::5]).reshape(1180, -1)
    maps -= maps.mean(0)
    variance = np.linalg.svd(maps, compute_uv=False) ** 2
    assert 0.70 < variance[0] / variance.sum() < 0.85


@pytest.fixture
def small_shards(monkeypatch):
    """Data sets of small volumes in shards of two."""
    monkeypatch.setattr(volumes, "VOLUMES_A_SHARD", 2)
    small = functools.partial(two_phase_volume, size=6, filter_widths=(1, 3))
    monkeypatch.setattr(volumes, "two_phase_volume", small)


COMMAND = [sys.executable, "-m", "helpers.synthetic.volumes", "--n-samples", "200", "--jobs", "2"]


def equal(one, two):
    with np.load(one) as a, np.load(two) as b:
        return set(a) == set(b) and all(np.array_equal(a[k], b[k]) for k in a)


def heed_interrupts():
    """A shell tells the programs that it runs in the background to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_killed_making_ends_at_once_and_leaves_no_process(tmp_path, sign):
    """The real process: 51^3 volumes, ended in the middle of a shard."""
    parent = subprocess.Popen(
        [*COMMAND, "--out", str(tmp_path / "x.npz"), "--shards", str(tmp_path / "shards")],
        preexec_fn=heed_interrupts,
    )
    process = psutil.Process(parent.pid)
    while sum(process.cpu_times()[:2]) < 12:  # seconds; the imports are over by then
        assert parent.poll() is None
        time.sleep(0.1)
    workers = process.children()
    parent.send_signal(sign)
    assert parent.wait(timeout=10) != 0
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert not (tmp_path / "x.npz").exists()


def test_interrupted_making_goes_on_where_it_stopped(tmp_path, monkeypatch, small_shards):
    make_two_phase(tmp_path / "whole.npz", 7, shards=tmp_path / "a", jobs=1)
    done, original = [], StoredFeatures.write_shard

    def interrupted(self, rows, values):
        if len(done) == 2:
            raise KeyboardInterrupt
        original(self, rows, values)
        done.append(list(rows))

    monkeypatch.setattr(StoredFeatures, "write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_two_phase(tmp_path / "parts.npz", 7, shards=tmp_path / "b", jobs=1)
    assert not (tmp_path / "parts.npz").exists()

    def counted(self, rows, values):
        original(self, rows, values)
        done.append(list(rows))

    monkeypatch.setattr(StoredFeatures, "write_shard", counted)
    make_two_phase(tmp_path / "parts.npz", 7, shards=tmp_path / "b", jobs=1)
    assert sorted(done) == [[0, 1], [2, 3], [4, 5], [6]]  # each once
    assert equal(tmp_path / "whole.npz", tmp_path / "parts.npz")


def test_a_damaged_shard_is_made_again(tmp_path, small_shards):
    make_two_phase(tmp_path / "whole.npz", 5, shards=tmp_path / "a", jobs=1)
    shard = sorted((tmp_path / "a").rglob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:100])
    make_two_phase(tmp_path / "again.npz", 5, shards=tmp_path / "a", jobs=1)
    assert equal(tmp_path / "whole.npz", tmp_path / "again.npz")


def test_fewer_volumes_take_what_more_have_left(tmp_path, small_shards):
    make_two_phase(tmp_path / "five.npz", 5, shards=tmp_path / "a", jobs=1)
    make_two_phase(tmp_path / "three.npz", 3, shards=tmp_path / "a", jobs=1)
    with np.load(tmp_path / "five.npz") as five, np.load(tmp_path / "three.npz") as three:
        np.testing.assert_array_equal(three["modulus"], five["modulus"][:3])


def test_the_callers_threads_stay_as_they_were(tmp_path, small_shards):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        make_two_phase(tmp_path / "data.npz", 2, shards=tmp_path / "a", jobs=1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("numbers", [{"n_samples": 0}, {"n_samples": 3, "jobs": 0}])
def test_nothing_to_do_is_an_error(tmp_path, numbers):
    with pytest.raises(ValueError, match="expected at least 1"):
        make_two_phase(tmp_path / "x.npz", **numbers)


def test_a_folder_that_cannot_be_written_is_told_first(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(volumes, "solve_volumes", lambda *_: pytest.fail("long work began"))
    with pytest.raises(OSError, match=r"could not write .*can-be-written"):
        make_two_phase(tmp_path / "file" / "x.npz", 2, shards=tmp_path / "s", jobs=1)


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch, small_shards):
    target = tmp_path / "data.npz"
    target.write_bytes(b"old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match=r"could not write .*data\.npz \(No space left"):
        make_two_phase(target, 2, shards=tmp_path / "shards", jobs=1)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["data.npz"]
