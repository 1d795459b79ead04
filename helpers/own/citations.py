"""What to cite for what was used: the book, the paper that it rebuilds, encoders and methods."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from helpers.extract.feature_tables import read_feature_table
from helpers.io.downloads import ROOT, registry
from helpers.own.model_files import MODEL, load_model

BIBLIOGRAPHY = ROOT / "pages" / "references.bib"
ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300"}  # of TeX, as combining characters
ALWAYS = ("microprop", "whitman2025")
OF_MODELS = ("vovk2015", "laxhammar2015")  # prediction intervals; which images are unlike


def references(used=()):
    """References of what features and models were made with.

    Parameters
    ----------
    used : sequence of path-like
        Feature tables and model folders. None of them: the book and its paper alone.

    Returns
    -------
    list of dict
        ``key``, ``text`` (one line) and ``bibtex``.

    Raises
    ------
    ValueError
        Something that is neither; an encoder of the user's own, which has no reference here, is
        told as a text without BibTeX.

    Examples
    --------
    >>> [entry["key"] for entry in references()]
    ['microprop', 'whitman2025']
    """
    keys, own = list(ALWAYS), []
    for path in map(Path, used):
        if (path / MODEL).is_file():
            facts = load_model(path).features
            keys += OF_MODELS
        else:
            facts = read_feature_table(path).facts
        entry = registry().get(f"encoders/{facts['encoder']}") if not facts.get("folder") else None
        keys += [entry["citation"]] if entry else []
        own += [] if entry else [facts["encoder"]]
    known = read_bibliography()
    found = [
        {"key": k, "text": as_text(known[k]), "bibtex": known[k]} for k in dict.fromkeys(keys)
    ]
    for name in dict.fromkeys(own):
        text = f"{name}: a network of your own; cite its source and the data it was trained on."
        found.append({"key": name, "text": text, "bibtex": f"% {text}"})
    return found


def read_bibliography(path=BIBLIOGRAPHY):
    """BibTeX entries of the book by key."""
    entries = re.split(r"(?m)^(?=@)", Path(path).read_text(encoding="utf-8"))[1:]
    return {re.match(r"@\w+\{([^,]+),", entry)[1]: entry.strip() for entry in entries}


def as_text(entry):
    """One line from a BibTeX entry: authors, title, where, year, DOI."""
    entry = re.sub(r"\{\\([\"'`])(\w)\}", lambda m: m[2] + ACCENTS[m[1]], entry)
    entry = unicodedata.normalize("NFC", entry)
    fields = dict(re.findall(r"(\w+)\s*=\s*\{(.*)\},?\s*$", entry, re.M))
    plain = {k: re.sub(r"[{}]|\\(?=[&%])|(?<=-)-+", "", v) for k, v in fields.items()}
    if "doi" in plain:
        plain["doi"] = f"doi:{plain['doi']}"

    def first(*names):
        return next((plain[name] for name in names if name in plain), "")

    volume = f"{first('journal', 'booktitle', 'publisher', 'howpublished')} {first('volume')}"
    link = first("doi", "url", "note")
    parts = (first("author"), first("title"), volume.strip(), first("year"), link)
    return ". ".join(part.rstrip(".") for part in parts if part) + "."
