"""Image files to damage, and kinds of damage that hypothesis draws."""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

RNG = np.random.default_rng(0)
GREY, RGB = RNG.integers(0, 256, (7, 9), np.uint8), RNG.integers(0, 256, (7, 9, 3), np.uint8)
GREY16, RGB16 = (a.astype(np.uint16) * 257 for a in (GREY, RGB))
WIDE = RNG.integers(0, 256, (20, 33), np.uint8)


def _pillow(array, kind, mode=None, **options):
    image = Image.fromarray(array)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def _tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, metadata=None, software=False, **options)
    return file.getvalue()


def _exif(orientation=6):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


TESCAN = b"\x07[MAIN]\r\nPixelSizeX=2e-7\r\nPixelSizeY=2e-7\r\nImageStripSize=2\r\n"
FEI = "[Scan]\r\nPixelWidth=2e-8\r\n[Image]\r\nResolutionX=9\r\nResolutionY=5\r\n"
ZEISS = "\r\n0\r\nAP_PIXEL_SIZE\r\nPixel Size = 25.0 nm\r\n"
JEOL = "<EosMode>eosTEM</EosMode><ModeString>MAG</ModeString><SelectorValue>2e4</SelectorValue>"
IMAGES = {
    "grey.png": _pillow(GREY, "PNG"),
    "colour.png": _pillow(RGB, "PNG", exif=_exif()),
    "grey16.png": _pillow(GREY16, "PNG"),
    "colour16.png": imagecodecs.png_encode(RGB16),
    "palette.png": _pillow(RGB, "PNG", "P", transparency=1),
    "bits.png": _pillow(GREY > 127, "PNG"),
    "grey.jpg": _pillow(GREY, "JPEG", optimize=True),
    "colour.jpg": _pillow(RGB, "JPEG", exif=_exif(), optimize=True),
    "progressive.jpg": _pillow(RGB, "JPEG", progressive=True),
    "plain.tif": _tiff(GREY),
    "colour.tif": _tiff(RGB),
    "grey16.tif": _tiff(GREY16, byteorder=">", rowsperstrip=3),
    "float.tif": _tiff((GREY / 255).astype(np.float32)),
    "lzw.tif": _tiff(RGB16, compression="lzw", rowsperstrip=3),
    "deflate.tif": _tiff(GREY16, compression="deflate", predictor=True),
    "packbits.tif": _tiff(GREY, compression="packbits"),
    "zstd.tif": _tiff((GREY / 255).astype(np.float32), compression="zstd", predictor=True),
    "jpeg.tif": _tiff(RGB, photometric="rgb", compression="jpeg"),
    "tiles.tif": _tiff(WIDE, tile=(16, 16)),
    "tiles_lzw.tif": _tiff(WIDE, tile=(16, 16), compression="lzw"),
    "planes.tif": _tiff(RGB.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"),
    "big.tif": _tiff(GREY, bigtiff=True),
    "bits12.tif": _tiff(GREY16 // 16, bitspersample=12),
    "group4.tif": _pillow(GREY > 127, "TIFF", compression="group4"),
    "palette.tif": _tiff(GREY, photometric="palette", colormap=np.arange(768, dtype=np.uint16)
                         .reshape(3, 256)),
    "pages.tif": _tiff(np.stack([GREY, GREY]), photometric="minisblack"),
    "white.tif": _tiff(GREY, photometric="miniswhite"),
    "grey.bmp": _pillow(GREY, "BMP"),
    "colour.bmp": _pillow(RGB, "BMP"),
    "palette.gif": _pillow(RGB, "GIF"),
    "grey.gif": _pillow(WIDE, "GIF", interlace=0),
    "interlaced.gif": _pillow(WIDE, "GIF", interlace=1),
    "lossless.webp": _pillow(RGB, "WEBP", lossless=True, exif=_exif()),
    "lossy.webp": _pillow(WIDE, "WEBP", quality=60),
    "alpha.webp": _pillow(np.dstack([RGB, GREY]), "WEBP"),
    "colour.ppm": _pillow(RGB, "PPM"),
    "colour.jp2": _pillow(RGB, "JPEG2000", irreversible=True),
    "grey.jp2": _pillow(WIDE, "JPEG2000"),
    "grey16.jp2": _pillow(GREY16, "JPEG2000"),
    "tiles.j2k": _pillow(WIDE, "JPEG2000", no_jp2=True, tile_size=(16, 16)),
    "tescan.tif": _tiff(GREY, extratags=[(50431, 7, len(TESCAN), TESCAN, True)]),
    "fei.tif": _tiff(GREY, extratags=[(34682, "s", 0, FEI, True)]),
    "zeiss.tif": _tiff(GREY, extratags=[(34118, "s", 0, ZEISS, True)]),
    "dm.tif": _tiff(GREY, extratags=[*((65003 + i, "s", 0, "nm", True) for i in range(2)),
                                     *((65009 + i, "f", 1, 2.5, True) for i in range(2))]),
    "jeol.tif": _tiff(GREY16 // 16, description=JEOL, resolution=(1000, 1000),
                      resolutionunit="CENTIMETER",
                      extratags=[(271, "s", 0, "JEOL Ltd.", True), (281, "H", 1, 4095, True)]),
}  # fmt: skip
NUMBERS = [0, 1, 2, 3, 7, 127, 128, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1,
           2**63, 2**64 - 1]  # fmt: skip
PLACE = st.integers(0, 2**16 - 1)  # taken modulo the length
BYTES = st.one_of(
    st.tuples(st.just("byte"), PLACE, st.integers(0, 255)),
    st.tuples(st.just("flip"), PLACE, st.integers(0, 7)),
    st.tuples(st.just("cut"), PLACE),
    st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("delete"), PLACE, st.integers(1, 40)),
    st.tuples(st.just("repeat"), PLACE, st.integers(1, 40), st.integers(1, 30)),
    st.tuples(st.just("number"), PLACE, st.sampled_from(NUMBERS), st.sampled_from("HIQ"),
              st.sampled_from("<>")),
    st.tuples(st.just("splice"), PLACE, st.sampled_from(sorted(IMAGES)), PLACE),
    st.tuples(st.just("tag"), st.integers(0, 19), st.sampled_from("tnv"),
              st.sampled_from(NUMBERS) | st.integers(0, 400)),
)  # fmt: skip
DAMAGE = st.lists(BYTES, min_size=1, max_size=4)


def damaged(content, damage, others=IMAGES):
    """The bytes after each kind of damage in turn."""
    for kind, *how in damage:
        if kind == "tag":
            content = _false_tag(content, *how)
            continue
        place = how[0] % (len(content) or 1)
        head, tail = content[:place], content[place:]
        if kind == "byte":
            content = head + bytes([how[1]]) + tail[1:]
        elif kind == "flip":
            content = head + bytes(b ^ 1 << how[1] for b in tail[:1]) + tail[1:]
        elif kind == "cut":
            content = head
        elif kind == "insert":
            content = head + how[1] + tail
        elif kind == "delete":
            content = head + tail[how[1] :]
        elif kind == "repeat":
            content = head + tail[: how[1]] * how[2] + tail
        elif kind == "number":
            number = struct.pack(how[3] + how[2], how[1] % 2 ** (8 * struct.calcsize(how[2])))
            content = head + number + tail[len(number) :]
        elif kind == "splice":
            other = others[how[1]]
            content = head + other[how[2] % len(other) :]
    return content


def _false_tag(content, index, field, number):
    """Another type, count or value in an entry of the first directory of a TIFF file."""
    if content[:4] not in (b"II*\0", b"MM\0*") or len(content) < 8:
        return content
    order = "<" if content[:1] == b"I" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    if start + 2 > len(content):
        return content
    (count,) = struct.unpack_from(order + "H", content, start)
    place = start + 2 + 12 * (index % (count or 1)) + {"t": 2, "n": 4, "v": 8}[field]
    new = struct.pack(
        order + ("H" if field == "t" else "I"), number % 2 ** (16 if field == "t" else 32)
    )
    return content[:place] + new + content[place + len(new) :]


def chunk(kind, data):
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png_header(width, height, bits=8, kind=0, interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)


def with_true_checksums(png):
    """A PNG file whose chunks all state the checksum that they have."""
    parts, start = [png[:8]], 8
    while start + 12 <= len(png):
        length = min(int.from_bytes(png[start : start + 4], "big"), len(png) - start - 12)
        body = png[start + 4 : start + 8 + length]
        parts.append(struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body)))
        start += 12 + length
    return b"".join(parts)
