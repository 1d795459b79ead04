"""Solutions of exercises run where they stand, each after the cells and solutions before it."""

import re
import shutil

import pytest
from lessons import frame_of_a_chapter

from bookbuild.__main__ import build
from bookbuild.chapters import ROOT, BuildError

SOURCES = sorted((ROOT / "book").glob("*.py"))
SOLVED = [p.stem for p in SOURCES if "{dropdown} Solution of" in p.read_text(encoding="utf-8")]


def solved(text):
    """Make a cell of the code of each solution, all lines where they were.

    Gives the text, and the exercise of each such cell by the line that its code begins at.
    """
    lines, exercises, number, inside = [], {}, None, False
    for at, line in enumerate(text.splitlines(), 1):
        if begun := re.match(r"# ````\{dropdown\} Solution of (\d+)", line):
            number, line = int(begun[1]), "#"  # jupytext sees no cells inside a block
        elif line == "# ````":
            number, line = None, "#"
        elif number and line == "# ```python":
            line, inside = '# %% tags=["remove-output"]', True
            exercises[at + 1] = number
        elif inside and line == "# ```":
            line, inside = "# %% [markdown]", False
        elif inside:
            line = re.sub("^# ?", "", line)
        lines.append(line)
    return "\n".join(lines) + "\n", exercises


def solve(project, name):
    """Execute a chapter and its solutions in one kernel, as a reader would who opens them all."""
    source = project / "book" / f"{name}.py"
    text, exercises = solved(source.read_text(encoding="utf-8"))
    assert exercises, f"book/{name}.py: no ```python in its solutions"
    source.write_text(text, encoding="utf-8")
    source.with_suffix(".ipynb").unlink(missing_ok=True)  # of the chapter as it was
    try:
        build(project, "embedded", 1, names=[name], site=False)
    except BuildError as error:
        line = int((re.search(r"\(line (\d+)\)", str(error)) or [0, 0])[1])
        if line not in exercises:
            raise
        message = f"book/{name}.py, line {line}: the solution of exercise {exercises[line]} fails"
        raise BuildError(f"{message}\n{error}") from None


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVED)
def test_the_solutions_of_a_chapter_run(project, name):
    solve(project, name)


SECOND = """
# ````{dropdown} Solution of 2
# The number of the first solution is still there:
#
# ```python
# if number == 1:
#     number = 3
# ```
#
# and so
# ```python
# assert number == 2
# ```
# ````
"""


def test_a_solution_sees_the_chapter_and_those_before_and_is_named_if_it_fails(tmp_path):
    source = tmp_path / "book" / "10_a.py"
    source.parent.mkdir()
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: book/10_a\n"
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    first = "# %%\nnumber = 0\n\n# %% [markdown]\n# ## Exercises\n#\n# 1. Add.\n# 2. Add.\n#\n"
    first += "# ````{dropdown} Solution of 1\n# ```python\n# number += 1\n# ```\n# ````"
    source.write_text(first + SECOND)
    with pytest.raises(BuildError) as told:
        solve(tmp_path, "10_a")
    lines = str(told.value).splitlines()
    assert lines[0] == "book/10_a.py, line 25: the solution of exercise 2 fails"
    assert lines[2] == "at `assert number == 2`", "the first solution had made it 1, the second 3"


def test_the_solutions_of_the_frame_run():
    text, exercises = solved(frame_of_a_chapter())
    assert list(exercises.values()) == [1]
    names = {}
    exec(compile(text, "frame", "exec"), names)
