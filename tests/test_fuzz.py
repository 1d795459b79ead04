"""The readers on damaged files: hundreds of them, or thousands, always the same ones.

hypothesis draws the damage here and shrinks it; a child process reads the file, so that a decoder
which crashes, hangs or takes all memory is seen. A failure prints the call that reproduces it.
"""

import io
import struct
import zlib

import fuzz_own_targets
import fuzz_targets
import imagecodecs
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
from fuzz_images import BYTES, DAMAGE, IMAGES, chunk, damaged, png_header, with_true_checksums
from fuzz_tables import LAYOUT, ROWS, TABLE, rebuilt, table_bytes, workbook
from fuzzing import Child
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.extract.feature_tables import COLUMNS, FeatureTable, to_arrow

always = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}
ARGUMENTS = {
    fuzz_own_targets.ImageLists: [None, "alloy", "n"],
    fuzz_own_targets.Properties: [
        {}, {"properties": ["hardness"]}, {"group_column": "heat"}, {"composition_unit": "at.%"},
    ],
}  # fmt: skip


def each_number(few, many, *marks):
    """Run a test with few damaged files, and in `make test-all` with many."""
    numbers = [few, pytest.param(many, marks=[pytest.mark.slow, *marks])]
    return pytest.mark.parametrize("number", numbers)


def _child(target, factory):
    child = Child(target, factory.mktemp(target.__name__))
    yield child
    child.close()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    yield from _child(fuzz_targets.Images, tmp_path_factory)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    yield from _child(fuzz_targets.Rows, tmp_path_factory)


def _suffix(name):
    return "." + name.rpartition(".")[2]


def _is_read(answer):
    return isinstance(answer, str)  # else the type and message of an error


@each_number(400, 10_000, pytest.mark.long)
def test_damaged_images(images, number):
    whole = {name: images.read(_suffix(name), content) for name, content in IMAGES.items()}
    assert [name for name, answer in whole.items() if not _is_read(answer)] == ["pages.tif"]
    read = []

    @settings(max_examples=number, **always)
    @given(name=st.sampled_from(sorted(IMAGES)), damage=DAMAGE, mend=st.booleans())
    def check(name, damage, mend):
        content = damaged(IMAGES[name], damage)
        mend &= content.startswith(b"\x89PNG")
        answer = images.read(_suffix(name), with_true_checksums(content) if mend else content)
        read.append(_is_read(answer))
        kinds = {kind for kind, *_ in damage}
        # A file that is only cut shows it, and the checksums of a PNG show any change.
        tells = kinds == {"cut"} or (name.endswith("png") and not mend and "splice" not in kinds)
        if tells and _is_read(answer):
            assert answer == whole[name], "the pixels are others, and nobody says so"

    check()
    assert len(read) >= number
    assert 0.02 < np.mean(read) < 0.6  # both ways are taken


@each_number(100, 1_000)
def test_damaged_text_tables(tables, number):
    read = []

    @settings(max_examples=number, **always)
    @given(layout=LAYOUT, **TABLE)
    def check(layout, kind, cells, damage):
        content = table_bytes(".csv", kind, cells, layout, None, damage)
        read.append(_is_read(tables.read(".csv", content)))

    check()
    assert len(read) >= number
    assert 0.02 < np.mean(read) < 0.9


@each_number(100, 1_000)
def test_damaged_workbooks(tables, number):
    read = []

    @settings(max_examples=number, **always)
    @given(part=st.none() | st.integers(0, 9), **TABLE)
    def check(part, kind, cells, damage):
        content = table_bytes(".xlsx", kind, cells, None, part, damage)
        answer = tables.read(".xlsx", content)
        read.append(_is_read(answer))
        if part is None and damage and _is_read(answer):  # the checksums of the archive tell
            whole = table_bytes(".xlsx", kind, cells, None, None, [])
            assert answer == tables.read(".xlsx", whole)

    check()
    assert len(read) >= number
    assert 0.02 < np.mean(read) < 0.9


# What a user's own study reads


def _feature_file(**options):
    rows = [["a.png", "a", 4, 4, 0.5, 1.0, "0", "8-bit", 1.0]]
    rows.append(["b.png", "b", 5, 6, np.nan, 1.0, "1", "8-bit", 0.5])
    rows.append(["c.png", "b", 5, 6, 1.0, 0.5, "2", "16-bit", 1.0])
    table = pd.DataFrame(rows, columns=COLUMNS)
    features = np.arange(9, dtype=np.float32).reshape(3, 3)
    found = FeatureTable(table, features, {"encoder": "x", "skipped": {}})
    file = io.BytesIO()
    pq.write_table(to_arrow(found), file, **options)
    return file.getvalue()


@each_number(200, 1_000)
def test_damaged_feature_tables(number, tmp_path_factory):
    child = Child(fuzz_own_targets.FeatureTables, tmp_path_factory.mktemp("features"))
    whole = [
        _feature_file(),
        _feature_file(compression="zstd", write_page_checksum=True),
        _feature_file(compression="none", use_dictionary=False),
    ]
    assert all(_is_read(child.read(".parquet", content)) for content in whole)
    read = []

    @settings(max_examples=number, **always)
    @given(content=st.sampled_from(whole), damage=st.lists(BYTES, min_size=1, max_size=3))
    def check(content, damage):
        read.append(_is_read(child.read(".parquet", damaged(content, damage))))

    check()
    child.close()
    assert len(read) >= number
    assert 0 < np.mean(read) < 0.3


@each_number(50, 500)
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize("target", [fuzz_own_targets.Properties, fuzz_own_targets.ImageLists])
def test_damaged_tables_of_own_studies(target, suffix, number, tmp_path_factory):
    folder = tmp_path_factory.mktemp(target.__name__)
    child = Child(target, folder)
    for name in ("a.png", "b.png", "7", "c d.png"):
        (folder / name).touch()
    read = []

    @settings(max_examples=number, **always)
    @given(
        layout=LAYOUT,
        **TABLE,
        argument=st.sampled_from(ARGUMENTS[target]),
    )
    def check(layout, kind, cells, damage, argument):
        content = table_bytes(suffix, kind, cells, layout, None, damage, target.ROWS)
        read.append(_is_read(child.read(suffix, content, argument)))

    check()
    child.close()
    assert len(read) >= number
    assert 0.02 < np.mean(read) < 0.9


# Files of less than a few MB that would unpack to more than the child may take


def _zeros():
    packer = zlib.compressobj()
    return b"".join(packer.compress(bytes(10**6)) for _ in range(1000)) + packer.flush()


def _png(*header, chunks):
    return png_header(9, 7, *header) + b"".join(chunk(*c) for c in chunks) + chunk(b"IEND", b"")


def _strip(name, content):
    """A TIFF of 7 x 9 pixels whose one strip holds `content`."""
    whole = IMAGES[name]
    with tifffile.TiffFile(io.BytesIO(whole)) as tiff:
        tags = tiff.pages[0].tags
        places = tags[273].offset, tags[279].offset
    changed = bytearray(whole + content)
    for place, value in zip(places, (len(whole), len(content)), strict=True):
        struct.pack_into("<HII", changed, place + 2, 4, 1, value)
    return bytes(changed)


def test_images_that_unpack_without_end(images):
    zeros = _zeros()
    rest = IMAGES["grey.png"][33:]
    for expected, suffix, content in [
        ("too large", ".png", png_header(9, 7) + chunk(b"zTXt", b"a\0\0" + zeros) + rest),
        ("too large", ".png", png_header(9, 7) + chunk(b"iCCP", b"a\0\0" + zeros) + rest),
        ("cannot be read", ".tif", _strip("deflate.tif", zeros)),
        ("cannot be read", ".tif", _strip("zstd.tif", imagecodecs.zstd_encode(bytes(10**9)))),
        ("cannot be read", ".tif", _strip("packbits.tif", b"\x81\x00" * 10**6)),
    ]:
        kind, message = images.read(suffix, content)
        assert kind == "ImageError"
        assert expected in message
    for bits, colour in ((8, 0), (16, 2)):  # read as far as there are pixels
        assert _is_read(images.read(".png", _png(bits, colour, chunks=[(b"IDAT", zeros)])))


def test_a_header_that_promises_gigapixels(images):
    header = png_header(2**31 - 1, 2**31 - 1) + IMAGES["grey.png"][33:]
    assert "pixels, more than the 262144 that are read" in images.read(".png", header)[1]


def _sheet(addition):
    def add(part):
        return part.replace(b"</sheetData>", addition + b"</sheetData>")

    return rebuilt(workbook(tuple(map(tuple, ROWS))), "xl/worksheets/sheet1.xml", add)


def test_tables_that_unpack_without_end(tables):
    row = b'<row><c r="XFD%d"><v>1</v></c></row>'
    for expected, suffix, content in [
        ("row 6 is beyond 100000 rows with cells or 1000 columns", ".xlsx",
         _sheet(b"".join(row % i for i in range(6, 100_000)))),
        ("row 1048577 is beyond", ".xlsx", _sheet(b"<row/>" * 1_100_000)),
        ("bytes, more than 67108864", ".xlsx", _sheet(bytes(10**8))),
        ("memory", ".csv", b"a,b\n" + b"\n" * (2**26 - 10)),
    ]:  # fmt: skip
        kind, message = tables.read(suffix, content)
        assert kind == "UserError"
        assert expected in message
