"""What makes a chapter a lesson, as rules on its notebook: each gives what breaks it, a line each.

The docstring of a rule is what a failing test says; it names the limit and what to do.
"""

import re
import textwrap

from bookbuild.chapters import ROOT, code_cells, tags
from bookbuild.worker import takeaways

WIDEST = 72  # characters that the column of the site holds
SEEN = 0.7  # of the code lines of a chapter
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
UNSHOWN = {"remove-output", "remove-cell"}
# From a capital to a full stop, over two words at least.
SENTENCE = re.compile(
    r"(?:^|[.:!?] )\W*[A-Z][\w ][^\n]*? [^\n]*?[^\W\d][\])*`'\"]*[.!?](?=\W*$|\s)", re.MULTILINE
)
VERB = re.compile(r"\b(is|are|was|were|be|been|has|have|had|does|did|can|will|would|must|may)\b")
LONG = re.compile(r"(?:[^\W\d]+ ){7}[^\W\d]+")  # no number and no mark in between
SOLUTION = re.compile(
    r"^````\{dropdown\} Solution of (\d+)\n(.*?)^````$", re.DOTALL | re.MULTILINE
)
CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def prose(text):
    """Tell whether a printed line says something: labels do not, nor do numbers."""
    return any(pattern.search(text) for pattern in (SENTENCE, VERB, LONG))


def place(notebook, cell):
    """Say where a code cell stands, as the build does."""
    number = [c.id for c in code_cells(notebook)].index(cell.id) + 1
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"code cell {number}, which begins `{first[:40]}`"


def shown(notebook):
    """Give each output that the site shows: the place of its cell, and what it holds by type."""
    for cell in code_cells(notebook):
        if not UNSHOWN & set(tags(cell)):
            for output in cell.outputs:
                printed = {"stdout": output["text"]} if output.get("name") == "stdout" else {}
                yield place(notebook, cell), {**output.get("data", {}), **printed}


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def section(notebook, title):
    """Give the Markdown from a heading to the next one of its level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", markdown(notebook) + "\n", re.M | re.S)
    return found[1] if found else ""


def numbers(text):
    """Give the numbers of the items of a numbered list."""
    return [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]


def is_hidden(cell):
    folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    return folded or bool(HIDDEN & set(tags(cell)))


def length(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def first_screen(notebook):
    """The first cell asks and promises: the title; the question in bold, `**...?**`, what readers
    will be able to do after it; and `Ten minutes to read, one to run`."""
    first = next((c.source for c in notebook.cells if c.cell_type == "markdown"), "")
    if not re.match(r"# \S", first):
        yield "no title, `# Title`"
    if not re.search(r"\*\*[^*]+\?\*\*", first):
        yield "no question in bold"
    if not re.search(r"\b(minute|second)s?\s+to\s+read\b.*\bto\s+run\b", first, re.DOTALL):
        yield "no minutes to read and to run"


def narrow_code(notebook):
    """Code, its comments too, is at most 72 characters wide: break the line, or name a part."""
    for cell in code_cells(notebook):
        if not {"remove-input", "remove-cell"} & set(tags(cell)):
            for line in cell.source.splitlines():
                if len(line) > WIDEST:
                    yield f"{len(line)} in {place(notebook, cell)}: `{line.strip()}`"
    for number, block in SOLUTION.findall(section(notebook, "Exercises")):
        for line in "".join(CODE.findall(block)).splitlines():
            if len(line) > WIDEST:
                yield f"{len(line)} in the solution of {number}: `{line.strip()}`"


def visible_code(notebook):
    """At least seven tenths of the code lines are visible: show the fits, splits and scores that
    answer the question; what only plots or lays out becomes one call of a helper."""
    first, *cells = code_cells(notebook)
    cells = cells if "remove-cell" in tags(first) else [first, *cells]  # which installs the book
    hidden = sorted(filter(is_hidden, cells), key=length, reverse=True)
    every, unseen = sum(map(length, cells)), sum(map(length, hidden))
    if unseen > (1 - SEEN) * every:
        yield f"{unseen} of {every} lines are hidden, most of them in:"
        yield from (f"{length(cell)} lines in {place(notebook, cell)}" for cell in hidden[:3])


def one_computed_text(notebook):
    """At most one output is Markdown: people write the prose, in Markdown cells; a number that
    code computed stands in a table, a figure or a printed line."""
    places = [
        where
        for where, held in shown(notebook)
        if "text/markdown" in held and "text/html" not in held  # which the site would show instead
    ]
    yield from places if len(places) > 1 else ()


def html_is_no_prose(notebook):
    """HTML comes from tables, charts and the data badge (class `data-badge`), without a sentence
    beside them: write those in Markdown cells."""
    for where, held in shown(notebook):
        html = held.get("text/html", "")
        around = re.sub(r"<(style|script|table)\b.*?</\1>", "", html, flags=re.DOTALL)
        if not html or 'class="data-badge"' in html or "vega" in html:
            continue
        if "<table" not in html or SENTENCE.search(re.sub(r"<[^>]*>", "", around)):
            yield where


def printed_labels(notebook):
    """Printed lines are labels and numbers: no verb, no full stop, at most seven words in a row.
    Print `error 0.1, mean 0.2`, and say in Markdown what it means."""
    for where, held in shown(notebook):
        alone = held.get("text/plain", "") if len(held) == 1 else ""
        for line in held.get("stdout", alone).splitlines():
            if prose(line):
                yield f"`{line.strip()}` in {where}"


def checked_takeaways(notebook):
    """Each takeaway is held: under `## What we saw` stand numbered ones, `1. ...`, then *Checked*,
    and in the next cell, visible and tagged `checked`, one `assert ...  # 1` at least for each."""
    claimed = set(numbers(section(notebook, "What we saw")))
    if not claimed:
        yield "no numbered takeaway"
    pairs = zip(notebook.cells, notebook.cells[1:], strict=False)
    after = [b for a, b in pairs if a.cell_type == "markdown" and "*Checked*" in a.source]
    if len(after) != 1 or after[0].cell_type != "code":
        yield f"{len(after)} times *Checked*, expected once, with a code cell after it"
        return
    (cell,) = after
    if "checked" not in tags(cell):
        yield f"{place(notebook, cell)}: no tag `checked`"
    if is_hidden(cell):
        yield f"{place(notebook, cell)}: it is hidden"
    held = {number for _, number in takeaways(cell.source)}
    yield from (f"no assert ends with `# {number}`" for number in sorted(claimed - held))
    yield from (f"`# {number}`, but no takeaway {number}" for number in sorted(held - claimed))


def exercises(notebook):
    """`## Exercises` is a numbered list of three to five, `1. ...`; a solution is a block
    ````{dropdown} Solution of 1` that holds its code as ```python."""
    text = section(notebook, "Exercises")
    asked = numbers(SOLUTION.sub("", text))
    if not 3 <= len(asked) <= 5:
        yield f"{len(asked)} exercises"
    for number, block in SOLUTION.findall(text):
        if int(number) not in asked:
            yield f"a solution of {number}, but no exercise {number}"
        if not CODE.search(block):
            yield f"the solution of {number} holds no code"
    whole, begun = len(SOLUTION.findall(text)), len(re.findall(r"\{dropdown\}", text))
    if whole != begun:
        yield f"{begun} blocks {{dropdown}}, but {whole} of them whole and called `Solution of N`"


RULES = (
    first_screen,
    narrow_code,
    visible_code,
    one_computed_text,
    html_is_no_prose,
    printed_labels,
    checked_takeaways,
    exercises,
)


def faults(notebook):
    """Say of each rule that a notebook breaks what it is, and where; empty if it is a lesson."""
    told = []
    for rule in RULES:
        if wrong := list(rule(notebook)):
            told += ["", " ".join(rule.__doc__.split()), *(f"  {line}" for line in wrong)]
    return "\n".join(told)


def frame_of_a_chapter():
    """Give the source that CONTRIBUTING begins a chapter with."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a chapter")[2]
    return textwrap.dedent(re.search(r"```python\n(.+?\n) *```\n", text, re.DOTALL)[1])
