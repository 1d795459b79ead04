"""The pages beside the chapters: what they quote from the code is in the code."""

import ast
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bookbuild.chapters import ROOT, toc_entries
from helpers.encoders import ENCODERS
from helpers.io.results import read_results
from helpers.superalloy_scores import TWO_POINT
from helpers.synthetic import alloys

PAGES = ROOT / "pages"
BLIND = "mean of the source"
TROUBLES = (PAGES / "troubleshooting.md").read_text(encoding="utf-8")
SOURCES = [*(ROOT / "helpers").rglob("*.py"), *(ROOT / "bookbuild").glob("*.py")]
QUOTED = re.findall(r"^:::\{dropdown\} `([^`]*(?:`[^`]*)?)`\n\S", TROUBLES, re.MULTILINE)


def _text(node):
    """A text of the source, with three dots where a value is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(part) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    return None


@pytest.fixture(scope="module")
def texts():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    found = (_text(node) for tree in trees for node in ast.walk(tree))
    return [" ".join(text.split()) for text in found if text]


def test_there_are_messages_of_every_group():
    groups = re.split(r"^## ", TROUBLES, flags=re.MULTILINE)[1:8]
    assert [g.splitlines()[0] for g in groups] == [
        "Images", "Tables", "Weights and downloads", "Features and memory",
        "Models and validation", "Your own micrographs", "Building the book",
    ]  # fmt: skip
    assert all(group.count("\n:::{dropdown} `") >= 3 for group in groups)
    assert len(QUOTED) == sum(group.count("\n:::{dropdown} `") for group in groups)


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_in_the_source(texts, message):
    parts = [re.escape(part.strip()) for part in message.split("…")]
    pattern = re.compile(r"\s*…\s*".join(parts))
    assert any(pattern.search(text) for text in texts), "no code says this any more"


def test_environment_variables_exist():
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*SOURCES, *(ROOT / "tests").glob("test_site.py")]
    )
    setup = (PAGES / "setup.md").read_text(encoding="utf-8")
    named = set(re.findall(r"MICROPROP_[A-Z]+", setup))
    assert set(re.findall(r"MICROPROP_[A-Z]+", TROUBLES)) <= named
    assert named == set(re.findall(r"\bMICROPROP_[A-Z]+", code))


def test_glossary_links_every_entry_to_a_chapter_or_a_source():
    text = (PAGES / "glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    terms = []
    for block in blocks:
        entries = dict(re.findall(r"^(\S.*)\n((?:  .*\n?)+)", block, re.MULTILINE))
        assert list(entries) == sorted(entries, key=str.lower)
        terms += entries
        bare = [t for t, said in entries.items() if "](book/" not in said and "{cite}" not in said]
        assert bare == []
    assert len(terms) > 30
    referred = {re.sub(r"\s+", " ", t) for t in re.findall(r"\{term\}`([^`]+)`", text)}
    targets = {re.sub(r".*<(.*)>", r"\1", t) for t in referred}
    assert targets - set(terms) == set()
    links = set(re.findall(r"\]\((book/\w+)\)", text))
    assert links - set(toc_entries(ROOT)) == set()


def message_of(path):
    """The three sentences that a page opens with, each in one line."""
    text = (ROOT / path).read_text(encoding="utf-8")
    block = re.search(r"(^- On the paper's own data, .+?)\n\n", text, re.MULTILINE | re.DOTALL)[1]
    return [" ".join(item.split()) for item in re.split(r"^- ", block, flags=re.MULTILINE)[1:]]


def test_readme_and_landing_page_share_the_message():
    assert len(message_of("README.md")) == 3
    assert message_of("README.md") == message_of("pages/index.md")


OURS = "study == 'published superalloys'"
NETWORKS = [name for name, entry in ENCODERS.items() if entry.in_paper]


@pytest.fixture(scope="module")
def errors():
    """MAPE [%] on shuffled folds, by model and predictor."""
    table = read_results("audit/studies").query(f"{OURS} and folds == 'shuffled'")
    return table.set_index(["model", "predictor"])["mape_pooled"]


@pytest.fixture(scope="module")
def gaps():
    """Differences between two predictors, in percentage points, with their verdicts."""
    return read_results("audit/studies", "differences").query(OURS)


def test_the_first_sentence_is_true(errors, gaps):
    first, *_ = message_of("pages/index.md")
    # The embedded set has the sources of the published one, which does not ship.
    assert f"{alloys.N_SAMPLES} superalloys from {len(alloys.SOURCES)} publications" in first
    best = errors[errors.index.isin(NETWORKS, level="predictor")].groupby("model").idxmin()
    assert "an error of 13 to 14 % at best, against 18 to 19 % with two-point" in first
    assert errors[best].between(13, 14).all()
    assert errors[:, TWO_POINT].round().between(18, 19).all()
    for model, network in best:
        pair = (
            (gaps["model"] == model) & (gaps["other"] == network) & (gaps["folds"] == "shuffled")
        )
        (verdict,) = gaps[pair & (gaps["predictor"] == TWO_POINT)]["errs"]
        assert verdict == "more"


def test_the_second_sentence_is_true(errors):
    _, second, *_ = message_of("pages/index.md")
    best = errors["lr"][errors["lr"].index.isin(NETWORKS)].min()
    assert best == errors[errors.index.isin(NETWORKS, level="predictor")].min(), "the first's"
    assert f"errs even less in the same cross-validation: {errors['lr', BLIND]:.0f} %" in second
    assert errors["lr", BLIND] < best


def test_the_third_sentence_is_true(gaps):
    _, _, third = message_of("pages/index.md")
    assert "none of the networks is shown to beat the mean of all alloys" in third
    unseen = gaps[(gaps["folds"] != "shuffled") & (gaps["other"] == "mean")]
    assert set(NETWORKS) <= set(unseen["predictor"])
    assert "less" not in set(unseen["errs"])


@pytest.mark.parametrize("path", ["README.md", "pages/index.md"])
def test_the_sentence_on_stiffness_is_true(path):
    said = " ".join((ROOT / path).read_text(encoding="utf-8").split())
    assert "three sections tell the stiffness to within about a fifth" in said
    table = read_results("evidence/learning_curves", "curves").query("n == 5310")
    table = table.set_index("method")
    ours = table["mape"][["MicroViT", "counted statistics"]]
    assert ours.between(16, 24).all()
    assert "about as well as plain counted statistics" in said
    assert 0.85 < table["ratio"]["counted statistics"] < 1.15


TEACHING = (PAGES / "teaching.md").read_text(encoding="utf-8")


def test_teaching_names_sections_that_are_there():
    chapter, missing = None, []
    paths = TEACHING.partition("## Assignment")[0]
    for row in re.findall(r"^\| \d+ \| (.+?) \|", paths, re.MULTILINE):
        chapter = next(iter(re.findall(r"\]\((book/\w+)\)", row)), chapter)
        text = (ROOT / f"{chapter}.py").read_text(encoding="utf-8")
        there = {*re.findall(r"^# ##+ (.+)", text, re.MULTILINE), "Which folds?"}
        missing += [f"{chapter}: {title}" for title in {*re.findall(r"\*(.+?)\*", row)} - there]
    assert chapter
    assert missing == []


@pytest.mark.slow
def test_the_assignment_can_be_made_and_graded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make, grade = re.findall(r"^```python\n(.+?)^```", TEACHING, re.MULTILINE | re.DOTALL)
    made = {}
    exec(make, made)
    known, answers = pd.read_csv("known.csv"), pd.read_csv("answers.csv")
    assert (known["source"].nunique(), answers["source"].nunique()) == (13, 6)
    assert not set(known["source"]) & set(answers["source"])
    number = dict(zip(made["table"]["sample"], made["table"].index, strict=True))
    for folder, table in (("known", known), ("new", answers)):
        assert {path.stem for path in (tmp_path / folder).iterdir()} == set(table["sample"])
        for row in table.itertuples():
            alloy = made["alloys"][number[row.sample]]
            assert (row.hardness, row.source) == (round(alloy.hardness, 1), alloy.group)
            with Image.open(tmp_path / folder / f"{row.sample}.png") as image:
                assert np.array_equal(image, alloy.image)
    answers[["sample", "hardness"]].sample(frac=1, random_state=0).to_csv("predictions.csv")
    exec(grade, made)
    assert re.fullmatch(r"model 0\.0 %\nmean rule \d+\.\d %\n", capsys.readouterr().out)
