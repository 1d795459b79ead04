"""Data of the case studies: embedded with the book, or published and downloaded."""

from __future__ import annotations

import dataclasses
import functools
import html
import re
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import numpy as np
import pandas as pd
import scipy.io

from helpers import UserError, check_choice
from helpers.images.read import read_image
from helpers.io.atomic import atomic_write
from helpers.io.downloads import INSTALLED, ROOT, cache_folder, fetch, published_kind, registry
from helpers.io.superalloy_files import SuperalloyData, read_published, read_table
from helpers.segmentation import segment

SOURCES = ("embedded", "published")
TRUTH = ["volume_fraction", "radius_nm", "nm_per_pixel", "hardness_model"]
DATA = ROOT / "data"
EMBEDDED_TWO_PHASE = DATA / "two_phase.npz"
EMBEDDED_SUPERALLOYS = DATA / "superalloys"
PAPER_RESULTS = DATA / "paper_results.csv"
PUBLISHED_TWO_PHASE = "two_phase/dataset.mat"
SYNTHETIC = "Synthetic data"
# Dark enough for white letters.
BADGE_COLOURS, OTHER_COLOUR = {SYNTHETIC: "#0072b2", "Published data": "#00664b"}, "#8a4600"
PHASE_MODULI = (2.4, 120.0)  # of phases 0 and 1 [GPa], Cecen et al. 2018: a contrast of 50


@dataclasses.dataclass(frozen=True)
class TwoPhaseData:
    """Case study 1: three sections and the modulus of every two-phase volume.

    Attributes
    ----------
    sections : ndarray of uint8, shape (n, 3, h, w)
        Index-0 sections normal to the axes x, y and z; 0 compliant, 1 stiff.
    modulus : ndarray of float64, shape (n,)
        Modulus along x [GPa]; `modulus_kind` says which.
    volume_fraction : ndarray of float64, shape (n,)
        Share of the stiff phase in the volume.
    confined_modulus : ndarray or None
        C11 [GPa], where the data set holds it beside Young's modulus.
    filter_widths : ndarray of shape (n, 3) or None
        Widths of the filters that made the volumes [voxels]; None where not recorded.
    seed : int or None
        With the row number, makes volume n again: `helpers.synthetic.volumes.two_phase_volume`.
    kind : str
        ``"Synthetic data"``, ``"Published data"``, or a test fixture in its place.
    notice : str
        Which data this is, in a sentence or two; a chapter shows both by its `badge`.
    """

    sections: np.ndarray
    modulus: np.ndarray
    volume_fraction: np.ndarray
    modulus_kind: str
    kind: str
    notice: str
    confined_modulus: np.ndarray | None = None
    filter_widths: np.ndarray | None = None
    seed: int | None = None

    def first(self, n):
        """The first `n` volumes, as the notice then says; ValueError if there are fewer, or n < 1.

        Examples
        --------
        >>> load_two_phase().first(100).sections.shape
        (100, 3, 51, 51)
        """
        if not 1 <= n <= len(self.modulus):
            raise UserError(f"n is {n}: expected 1 to {len(self.modulus)} volumes")
        cut = {k: v[:n] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return dataclasses.replace(self, **cut, notice=f"{self.notice} Here: the first {n}.")


def load_two_phase(source="embedded"):
    """Data of case study 1.

    Parameters
    ----------
    source : str
        ``"embedded"``: made by `helpers.synthetic.volumes`, ships with the book. ``"published"``:
        the 5900 volumes of Cecen et al. (2018), from ``MICROPROP_DATA`` or downloaded once.

    Returns
    -------
    TwoPhaseData

    Raises
    ------
    ValueError
        Another `source`, or a damaged file.
    DownloadError
        The published data cannot be had; see `helpers.io.downloads.fetch`.

    Examples
    --------
    >>> data = load_two_phase("embedded")
    >>> data.sections.shape[1:], data.sections.dtype.name
    ((3, 51, 51), 'uint8')
    """
    check_choice("source", source, SOURCES)
    if source == "embedded":
        arrays = _read_two_phase(_embedded(EMBEDDED_TWO_PHASE), "make data")
        notice = (
            f"{len(arrays['modulus'])} two-phase volumes made by this book's own generator and "
            "solver, not the published set of the paper. Errors may be compared with each other; "
            "the paper's stand beside them for orientation, for they are of other volumes."
        )
        return TwoPhaseData(**arrays, kind=SYNTHETIC, notice=notice)
    entry = registry()[PUBLISHED_TWO_PHASE]
    compact = cache_folder() / f"two_phase-{entry['hash'].split(':')[1][:12]}.npz"
    if not compact.exists():
        convert_published(fetch(PUBLISHED_TWO_PHASE), compact)
    arrays = _read_two_phase(compact, f"delete {compact} and try again")
    notice = f"{len(arrays['modulus'])} two-phase volumes ({entry['citation']})."
    return TwoPhaseData(**arrays, kind=published_kind(entry), notice=notice)


def load_superalloys(source="embedded"):
    """Data of case study 2.

    Parameters
    ----------
    source : str
        ``"embedded"``: made by `helpers.synthetic.alloys`, ships with the book. ``"published"``:
        the 149 alloys of the paper, from ``MICROPROP_DATA`` or downloaded once, every file
        verified.

    Returns
    -------
    SuperalloyData

    Raises
    ------
    ValueError
        Another `source`.
    FileNotFoundError
        The embedded data is not there.
    DownloadError
        The published data cannot be had; see `helpers.io.downloads.fetch`.

    Notes
    -----
    Section 3.2 of doi:10.1016/j.actamat.2025.121217. Rows of one source paper, and often of one
    alloy, are alike: `SuperalloyData.groups` tells which they are.

    Examples
    --------
    >>> data = load_superalloys("embedded")
    >>> data.hardness.shape, data.composition.shape, data.composition_unit
    ((149,), (149, 22), 'at.%')
    """
    check_choice("source", source, SOURCES)
    if source == "embedded":
        return _read_embedded(EMBEDDED_SUPERALLOYS)
    return read_published(fetch("superalloys"), registry()["superalloys"])


@dataclasses.dataclass(frozen=True)
class Badge:
    """What a page rests on, in a few words that open to say more; made by `badge`."""

    kind: str
    label: str
    note: str

    def __repr__(self):
        return f"{self.label}. {self.note}"

    def _repr_html_(self):
        """Colours stand here and not in a style sheet, so that Jupyter shows them as well."""
        colour = BADGE_COLOURS.get(self.kind, OTHER_COLOUR)
        look = f"background: {colour}; color: white; border-radius: 1em; padding: 0.15em 0.9em"
        note = re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(self.note))
        return (
            '<details class="data-badge"><summary style="display: list-item; width: fit-content; '
            f'list-style-position: inside; cursor: pointer; font-weight: 600; {look}">'
            f"{html.escape(self.label)}</summary><p>{note}</p></details>"
        )


def badge(data, *parts, note=""):
    """What a page rests on, for its top: whose data, which networks.

    Parameters
    ----------
    data : TwoPhaseData, SuperalloyData or str
        The data set, whose `kind` and `notice` are told; or what it is, in two words.
    *parts : str
        What else the page rests on, as titles of networks. From three on they are counted, and
        listed in the note.
    note : str
        More sentences, with names of code between backticks.

    Returns
    -------
    Badge
        Shows as a coloured label, which opens to the note. On other data than the synthetic the
        note adds that takeaways are about those, as they are written into the page.

    Examples
    --------
    >>> badge("Your micrographs", "MicroViT", note="Read on Monday.")
    Your micrographs, MicroViT. Read on Monday.
    """
    kind = data if isinstance(data, str) else data.kind
    notes = [note] if isinstance(data, str) else [data.notice, note]
    if len(parts) > 2:
        notes.append(f"Networks: {', '.join(parts)}.")
        parts = [f"{len(parts)} networks"]
    if not isinstance(data, str) and kind != SYNTHETIC:
        notes.append("Takeaways written into the page describe its run on the synthetic data.")
    return Badge(kind, ", ".join([kind, *parts]), " ".join(filter(None, notes)))


def paper_results():
    """Numbers that the paper states, from ``data/paper_results.csv``.

    Returns
    -------
    pandas.DataFrame
        Columns ``case_study``, ``descriptor``, ``aggregate``, ``model``, ``composition``,
        ``quantity``, ``value`` (NaN: shown in a figure only), ``unit``, ``n_components``,
        ``where`` (section or figure of doi:10.1016/j.actamat.2025.121217).

    Examples
    --------
    >>> table = paper_results()
    >>> table[table["n_components"] == 39]["value"].tolist()
    [25.1]
    """
    return pd.read_csv(_embedded(PAPER_RESULTS))


def _embedded(path):
    """A file of the folder ``data``; an installed package holds few of them."""
    if INSTALLED:
        (address,) = metadata.metadata("microprop").get_all("Project-URL")
        raise FileNotFoundError(
            f"the embedded data sets are not in the installed package ({path.name} was asked "
            f"for): they are in the folder data of a clone of {address.split(', ')[1]}; work there"
        )
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make data`")
    return path


def save_two_phase(path, arrays, **meta):
    """Write arrays of n volumes and scalars `meta` in the compact form: sections bit by bit."""
    sections = arrays["sections"]
    packed = np.packbits(sections.reshape(*sections.shape[:2], -1), axis=-1)
    rest = {k: v for k, v in arrays.items() if k != "sections"}
    shape = np.array(sections.shape[2:])
    with atomic_write(path) as file:
        np.savez_compressed(file, sections_packed=packed, section_shape=shape, **rest, **meta)


def convert_published(mat_file, path):
    """Turn the published file, ``data`` (size^3 n of 0 and 1) and ``label`` [GPa], into ours."""
    content = scipy.io.loadmat(mat_file, variable_names=["data", "label"])
    modulus = content["label"].ravel().astype(float)
    size = round((content["data"].size / len(modulus)) ** (1 / 3))
    volumes = content["data"].reshape(size, size, size, len(modulus)).transpose(3, 0, 1, 2)
    sections = np.stack([volumes[:, 0], volumes[:, :, 0], volumes[:, :, :, 0]], axis=1)
    arrays = {
        "sections": sections.astype(np.uint8),
        "modulus": modulus,
        "volume_fraction": volumes.mean((1, 2, 3)),
    }
    save_two_phase(path, arrays)


def _read_two_phase(path, remedy):
    """Fields of `TwoPhaseData`, but for kind and notice, from a file in the compact form."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        h, w = arrays.pop("section_shape")
        bits = np.unpackbits(arrays.pop("sections_packed"), axis=-1, count=h * w)
        arrays["sections"] = bits.reshape(*bits.shape[:2], h, w)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is damaged or not a two-phase data set ({error}): restore it, or {remedy}"
        ) from error
    if "seed" in arrays:
        arrays["seed"] = int(arrays["seed"])
    # The phases' own moduli bound both kinds; only the confined one can exceed the stiff phase.
    confined = arrays["modulus"].max() > 1.001 * max(PHASE_MODULI)
    arrays["modulus_kind"] = "confined modulus C11" if confined else "Young's modulus"
    return arrays


def _read_embedded(folder):
    """The embedded set of a folder that holds ``table.csv`` and an image for each of its rows."""
    table = read_table(_embedded(folder / "table.csv"))
    with ThreadPoolExecutor() as pool:
        files = [_embedded(folder / f"{name}.jpg") for name in table.names]
        images = list(pool.map(lambda file: np.uint8(np.rint(255 * read_image(file))), files))
    notice = (
        f"{len(table.names)} invented alloys with micrographs made by this book's own generator, "
        f"not the published set of the paper. Nothing in it was measured. {table.unit_notice}"
    )
    return SuperalloyData(
        **vars(table),
        kind=SYNTHETIC,
        notice=notice,
        read_binary_images=functools.partial(_segment_all, images),
        images=images,
        truth=pd.read_csv(folder / "table.csv", index_col="Image_Name")[TRUTH],
    )


def _segment_all(images):
    with ThreadPoolExecutor() as pool:
        return list(pool.map(functools.partial(segment, method="paper"), images))
