"""Chapters are lessons, and helpers leave the prose to them; the rules, each broken once."""

import ast
import re

import nbformat
import pytest
from lessons import RULES, SENTENCE, faults, frame_of_a_chapter

from bookbuild.chapters import ROOT, notebook_of, tags

EXECUTED = ROOT / "_build" / "executed" / "embedded"


def each(pattern):
    names = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
    # The report and the commands of `own` speak for themselves, beyond any chapter.
    kept = [name for name in names if not name.startswith("helpers/own/")]
    return pytest.mark.parametrize("name", kept)


def judge(name, wrong, what):
    """Fail with what is wrong in a file."""
    if wrong:
        pytest.fail(f"{name} {what}:\n{wrong}", pytrace=False)


def cells_of(notebook):
    return [(cell.source, tags(cell)) for cell in notebook.cells]


@each("book/*.py")
def test_a_chapter_is_a_lesson(name):
    source = ROOT / name
    written, path = notebook_of(source), EXECUTED / f"{source.stem}.ipynb"
    executed = nbformat.read(path, as_version=4) if path.is_file() else written
    made = path.is_file() and cells_of(executed) == cells_of(written)
    judge(name, faults(executed if made else written), "is no lesson")
    if not made:
        why = "is of other cells" if path.is_file() else "is not there"
        pytest.skip(f"no rule was held on outputs: {path.relative_to(ROOT)} {why}; run make book")


# The rules


@pytest.fixture
def frame(tmp_path):
    """Give the notebook of CONTRIBUTING's frame, after text in it is exchanged."""

    def changed(old="", new=""):
        text = frame_of_a_chapter()
        assert old in text
        path = tmp_path / "45_frame.py"
        path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
        return notebook_of(path)

    return changed


def broken(notebook):
    return [rule.__name__ for rule in RULES if list(rule(notebook))]


def test_the_frame_of_contributing_is_a_lesson(frame):
    assert faults(frame()) == ""


SAW = "# %% [markdown]\n# ## What we saw"
WIDE = "x = 1  # " + "very " * 13 + "wide"
PLOTS = "y = 1\n" * 9 + f"\n{SAW}"


@pytest.mark.parametrize(
    "rule, old, new, told",
    [
        ("first_screen", "# # Title", "# ## Title", "no title"),
        ("first_screen", "sentence?**", "sentence.**", "no question in bold"),
        ("first_screen", "Ten minutes", "Ten pages", "no minutes to read and to run"),
        ("narrow_code", SAW, f"# %%\n{WIDE}\n\n{SAW}", "which begins `x = 1  # very"),
        ("narrow_code", "# print(", f"# {WIDE}\n# print(", "78 in the solution of 1: `x = 1"),
        ("visible_code", SAW, f'# %% tags=["hide-input"]\n{PLOTS}', "9 lines in code cell"),
        ("visible_code", SAW, f'# %% jupyter={{"source_hidden": true}}\n{PLOTS}', "`y = 1`"),
        ("checked_takeaways", "# 1. On average", "# On average", "no numbered takeaway"),
        ("checked_takeaways", "# *Checked*", "# Checked", "0 times *Checked*, expected once"),
        ("checked_takeaways", ' tags=["checked"]', "", "begins `assert 0.4"),
        ("checked_takeaways", '["checked"]', '["checked", "hide-input"]', "it is hidden"),
        ("checked_takeaways", "0.6  # 1", "0.6", "no assert ends with `# 1`"),
        ("checked_takeaways", "0.6  # 1", "0.6  # 2", "`# 2`, but no takeaway 2"),
        ("exercises", "## Exercises", "## More", "0 exercises"),
        ("exercises", "# 3. How", "# How", "2 exercises"),
        ("exercises", "Solution of 1", "Solution of 4", "of 4, but no exercise 4"),
        ("exercises", "```python", "```", "the solution of 1 holds no code"),
        ("exercises", "Solution of 1", "Solved", "1 blocks {dropdown}, but 0 of them"),
    ],
)
def test_a_rule_on_the_source_that_is_broken_is_told(frame, rule, old, new, told):
    notebook = frame(old, new)
    assert broken(notebook) == [rule]
    assert told in faults(notebook)


@pytest.mark.parametrize(
    "rule, outputs",
    [
        ("one_computed_text", [{"text/markdown": "**Data: x**"}, {"text/markdown": "- x"}]),
        ("html_is_no_prose", [{"text/html": "<p>The mean errs less.</p>"}]),
        ("html_is_no_prose", [{"text/html": "<table><td>1</table><p>The mean errs less.</p>"}]),
        ("printed_labels", ["The mean errs by 12 %, which says little."]),
        ("printed_labels", ["error 0.2\nthe mean is better by 0.1"]),
        ("printed_labels", ["3 of the samples err more than the mean of their source paper"]),
        ("printed_labels", [{"text/plain": "'the mean has the last word'"}]),
    ],
)
def test_a_rule_on_outputs_that_is_broken_names_the_cell(frame, rule, outputs):
    notebook = shown_by(frame(), outputs)
    assert broken(notebook) == [rule]
    assert "which begins `assert 0.4 < " in faults(notebook)


def shown_by(notebook, outputs):
    """Let the last code cell show texts that are printed, and results by type."""
    cell = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    cell.outputs = [
        nbformat.v4.new_output("stream", text=output)
        if isinstance(output, str)
        else nbformat.v4.new_output("display_data", output)
        for output in outputs
    ]
    return notebook


def test_labels_numbers_tables_charts_and_the_badge_are_no_prose(frame):
    printed = ["error 0.1 ± 0.2 %, of the mean 0.3\nvalues: [1. 2.]\nDINOv2 S14  (3, 42, 42)\n"]
    printed += ["relative difference of the features of 300 sections: 6e-03\n12 of 19 sources\n"]
    held = [
        {"text/markdown": "**Data: x.**", "text/plain": "<Markdown, which is not shown>"},
        {"text/html": "<style>a. b</style><table><td>The paper says so.</td></table>"},
        {"text/html": '<div id="vega">It is drawn by a script.</div>'},
        {"text/html": '<p class="data-badge">They are made up.</p>', "text/markdown": "Made up."},
        {"text/plain": "array([[0.16, 0.04]])"},
    ]
    assert faults(shown_by(frame(), printed + held)) == ""


# Helpers


def test_sentences_of_helpers_are_told_with_their_line():
    text = '''
"""A module. It has docstrings."""
raise UserError(f"x is {x}. Take another one.")
Option(help="The folder of images.")
warn("The values differ. Look at them.")
print("It is done.")
LABELS = {"mean": "mean of the source", "dr.": "Root [MPa]"}
answer = f"The mean errs by {error:.1f} %, which is {share} of it."
'''
    assert sentences(text) == ["line 8: `The mean errs by 0 %, which is 0 of it.`"]


NOTES = re.compile(r"help|notes?|(\w+_)?notice")  # what is said about an option or data
ANSWERS = re.compile(r"(Error|Warning|print|warn|tell|notes\.append)$")


def sentences(source):
    """Give the sentences in a module that are no docstring, error, note or line of a command."""
    return [
        f"line {node.lineno}: `{text}`"
        for node in _spoken(ast.parse(source))
        if SENTENCE.search(text := _text(node))
    ]


def _spoken(node):
    """Give the strings below a node whose words a chapter might show."""
    match node:
        case ast.Raise() | ast.Expr(value=ast.Constant()):
            return
        case (
            ast.Assign(targets=[ast.Name(id=name)])
            | ast.FunctionDef(name=name)
            | ast.keyword(arg=str(name))
        ) if NOTES.fullmatch(name):
            return
        case ast.Call(func=f) if ANSWERS.search(ast.unparse(f)):
            return  # what a chapter prints is judged there
        case ast.Constant(value=str()) | ast.JoinedStr():
            yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(node, ast.JoinedStr) or isinstance(child, ast.FormattedValue):
            yield from _spoken(child)


def _text(node):
    """Give the words of a string, with 0 for what is computed."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(part.value if isinstance(part, ast.Constant) else "0" for part in parts)


@each("helpers/**/*.py")
def test_helpers_hold_no_sentences(name):
    wrong = "\n".join(sentences((ROOT / name).read_text(encoding="utf-8")))
    remedy = "composes text; the chapter's Markdown says this, and a helper returns the numbers"
    judge(name, wrong, remedy)
