"""The runner, on tiny projects of its own: what runs when, and what a failure leaves behind."""

import base64
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest
from filelock import FileLock
from PIL import Image

import bookbuild.__main__ as build
from bookbuild import site
from bookbuild.chapters import (
    ROOT,
    BuildError,
    affected,
    chapter_key,
    inputs,
    notebook_of,
    toc_entries,
)
from bookbuild.outcome import fault_in, fault_of
from bookbuild.sync import sync
from bookbuild.worker import softened
from helpers.io.provenance import imported

GOOD = """\
    # %% [markdown]
    # # A chapter

    # %% tags=["parameters"]
    data = "embedded"

    # %%
    from helpers import tiny
    print(data, tiny.VALUE)
    """
TOC = "format: jb-book\nroot: index\nchapters:\n- file: book/10_a\n- file: book/20_b\n"
WAITING = """
    # %%
    Path('../started').touch()
    import time
    time.sleep(600)
"""
OTHER = """\
    # %% [markdown]
    # # Another

    # %%
    from pathlib import Path
    print(Path.cwd().name)
    """


def write(path: Path, text: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def project(tmp_path):
    """Give a project of two chapters, of which the first imports a helper."""
    write(tmp_path / "_toc.yml", TOC)
    write(tmp_path / "pyproject.toml", '[project]\nname = "tiny"\ndependencies = ["numpy==0"]\n')
    write(tmp_path / "helpers/__init__.py", "")
    write(tmp_path / "helpers/tiny.py", "from ._deep import VALUE\n")
    deep = 'VALUE = 1\n\n\ndef table():\n    return read_results("room/numbers")\n'
    write(tmp_path / "helpers/_deep.py", deep)
    write(tmp_path / "helpers/unused.py", "VALUE = 1\n")
    write(tmp_path / "data/results/room/numbers.csv", "1\n")
    write(tmp_path / "book/10_a.py", GOOD)
    write(tmp_path / "book/20_b.py", OTHER)
    return tmp_path


def run(project: Path, **options) -> dict[str, bool]:
    """Execute the chapters; tell for each whether it really ran."""
    runs = build.build(project, options.pop("profile", "embedded"), 2, site=False, **options)
    return {run.name: not run.cached for run in runs}


def planned(project: Path) -> set[str]:
    """Tell which chapters would run, without running them."""
    folder = project / "_build" / "executed" / "embedded"
    profile, chapters = build.PROFILES["embedded"], build.chapters_in_toc(project)
    runs = build.plan(project, chapters, profile, folder)
    return {run.name for run in runs if not run.cached}


def output(project: Path, name: str, profile: str = "embedded") -> str:
    path = project / "_build" / "executed" / profile / f"{name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    return "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))


@pytest.fixture
def pretend_executed(project):
    """Leave what a complete run leaves, without the seconds that starting kernels takes."""
    folder = project / "_build" / "executed" / "embedded"
    profile, chapters = build.PROFILES["embedded"], build.chapters_in_toc(project)
    for run in build.plan(project, chapters, profile, folder):
        run.keep(notebook_of(run.source))
    return project


def test_second_run_does_nothing_and_a_profile_sets_declared_parameters(project):
    assert run(project) == {"10_a": True, "20_b": True}
    assert output(project, "10_a") == "embedded 1\n"
    assert output(project, "20_b") == "book\n"
    assert run(project) == {"10_a": False, "20_b": False}
    assert run(project, profile="paper", names=["10_a"]) == {"10_a": True}
    assert output(project, "10_a", "paper") == "published 1\n"
    assert planned(project) == set(), "profiles keep their results apart"
    text = (project / "_build/executed/embedded/10_a.ipynb").read_text(encoding="utf-8")
    assert str(project) not in text, "what is published must not name folders of this machine"


CHECKED = """
    # %% [markdown]
    # *Checked*

    # %% tags=["checked"]
    assert data
    assert data == "embedded", "x"  # 1
    assert (
        len(data) > 1
        and data != "published"
    )  # 2: as the text says
    assert tiny.VALUE == 1  # 3
"""


def test_a_takeaway_fails_where_it_is_about_and_is_told_to_differ_elsewhere(project):
    source = project / "book/10_a.py"
    write(source, GOOD + CHECKED)
    run(project, profile="paper", names=["10_a"])
    told = "published 1\ntakeaway 1 differs here\ntakeaway 2 differs here\n"
    assert output(project, "10_a", "paper") == told
    executed = nbformat.read(project / "_build/executed/paper/10_a.ipynb", as_version=4)
    own = notebook_of(source).cells[-1].source
    assert executed.cells[-1].source == own, "the site shows what the chapter says"
    assert len(softened(own).splitlines()) == len(own.splitlines()), "lines that errors name"
    write(project / "helpers/_deep.py", "VALUE = 2\n")
    with pytest.raises(BuildError, match=r"(?s)line 15\).*at `assert tiny.VALUE == 1  # 3`"):
        run(project, names=["10_a"])


@pytest.mark.parametrize(
    "path, rerun",
    [
        ("book/20_b.py", {"20_b"}),
        ("helpers/tiny.py", {"10_a"}),
        ("helpers/_deep.py", {"10_a"}),
        ("helpers/unused.py", set()),
        ("helpers/__init__.py", {"10_a"}),
        ("data/results/room/numbers.csv", {"10_a"}),
        ("data/results/room/numbers_more.csv", {"10_a"}),
        ("data/results/room/numbers.json", {"10_a"}),
        ("data/results/room/number.csv", set()),
        ("data/numbers.npz", {"10_a", "20_b"}),
        ("data/deep/new.csv", {"10_a", "20_b"}),
    ],
)
def test_a_change_reruns_what_depends_on_it(pretend_executed, path, rerun):
    assert planned(pretend_executed) == set()
    changed = pretend_executed / path
    old = changed.read_text(encoding="utf-8") if changed.is_file() else ""
    write(changed, old + "\n# changed\n")
    assert planned(pretend_executed) == rerun


def test_a_changed_pin_reruns_all_but_a_test_tool_does_not(pretend_executed):
    pyproject = pretend_executed / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    extra = '[project.optional-dependencies]\ndev = ["pytest==0"]\n'
    pyproject.write_text(text + extra, encoding="utf-8")
    assert planned(pretend_executed) == set()
    pyproject.write_text(text.replace("numpy==0", "numpy==1"), encoding="utf-8")
    assert planned(pretend_executed) == {"10_a", "20_b"}


def test_fetched_weights_rerun_the_chapters_that_use_them(project, monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    chapter = build.chapters_in_toc(project)[0]
    keys = []
    for weights in ("embedded", "pretrained"):
        keys.append([chapter_key(project, chapter, {"weights": weights})])
        write(tmp_path / "cache" / "encoders" / weights / "manifest.json", "{}")
        keys[-1].append(chapter_key(project, chapter, {"weights": weights}))
    assert keys[0][0] == keys[0][1]
    assert len({*keys[0], *keys[1]}) == 3


def test_another_registry_of_downloads_reruns_all(pretend_executed, monkeypatch):
    registry = pretend_executed / "registry.json"
    monkeypatch.setenv("MICROPROP_REGISTRY", str(registry))
    assert planned(pretend_executed) == set(), "no such file: the helpers will complain"
    keys = set()
    for text in ("{}", '{"a": 1}'):
        write(registry, text)
        assert planned(pretend_executed) == {"10_a", "20_b"}
        folder = pretend_executed / "_build" / "executed" / "embedded"
        chapters = build.chapters_in_toc(pretend_executed)
        keys.update(run.key for run in build.plan(pretend_executed, chapters, {}, folder))
    assert len(keys) == 4


def test_what_is_printed_past_jupyter_is_no_message_and_paths_are_absolute(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv("MICROPROP_CACHE", "cache")
    printing = """
    # %%
    import os, sys
    os.system("echo hi")
    print("past", file=sys.__stdout__, flush=True)
    print(os.environ["MICROPROP_CACHE"])
    """
    write(project / "book/20_b.py", OTHER + printing)
    assert run(project, names=["20_b"]) == {"20_b": True}
    assert f"{project / 'cache'}\n" in output(project, "20_b")
    log = (project / "_build/logs/20_b.log").read_text(encoding="utf-8")
    assert "hi\n" in log
    assert "past\n" in log


@pytest.mark.parametrize("damage", ["truncated notebook", "broken stamp", "no stamp"])
def test_a_damaged_result_does_not_count(pretend_executed, damage):
    executed = pretend_executed / "_build" / "executed" / "embedded" / "10_a.ipynb"
    if damage == "truncated notebook":
        executed.write_bytes(executed.read_bytes()[:-20])
    elif damage == "broken stamp":
        executed.with_suffix(".json").write_text('{"key": ', encoding="utf-8")
    else:
        executed.with_suffix(".json").unlink()
    assert planned(pretend_executed) == {"10_a"}


def test_failure_names_chapter_and_cell_and_keeps_the_notebook(project, capsys):
    write(project / "book/20_b.py", OTHER + "\n    # %%\n    number = 0\n    1 / number\n")
    status = build.main(["--root", str(project), "--no-site"])
    message = capsys.readouterr().err
    assert status == 1
    assert "book/20_b.py failed: code cell 2 of 2 (line 9), which begins `number = 0`" in message
    assert "ZeroDivisionError: division by zero" in message
    kept = project / "_build" / "failed" / "20_b.ipynb"
    assert str(kept) in message
    assert "ZeroDivisionError" in kept.read_text(encoding="utf-8")
    assert "20_b" in planned(project)
    assert not list((project / "_build/executed/embedded").glob("20_b*"))


@pytest.mark.parametrize(
    "before, after, place",
    [
        ("1 / 0\n\n# %%\n", "1 / 0\n", r"cell 1 of 4 \(line 2\), which begins `1 / 0`"),
        ("1\n\n# %%\n", "1 / 0\n", r"cell 3 of 4 \(line 8\), which begins `1 / 0`"),
    ],
)
def test_a_failure_before_and_after_what_papermill_adds(project, before, after, place):
    text = f'# %%\n{before} tags=["parameters"]\ndata = "embedded"\n\n# %%\n{after}\n# %%\nx = 1\n'
    (project / "book/20_b.py").write_text(text.replace("%%\n tags", "%% tags"), encoding="utf-8")
    with pytest.raises(BuildError, match=place):
        run(project, profile="paper", names=["20_b"])


def test_failure_names_the_last_line_of_the_project_and_keeps_a_plain_traceback(project, capsys):
    write(project / "helpers/tiny.py", "VALUE = 1\n\n\ndef f(x):\n    return int(x)\n")
    write(
        project / "book/20_b.py",
        OTHER + "\n    # %%\n    from helpers.tiny import f\n    f('x')\n",
    )
    assert build.main(["--root", str(project), "20_b"]) == 1
    message = capsys.readouterr().err
    assert "in helpers/tiny.py, line 5, in f\n" in message
    kept = project / "_build" / "failed" / "20_b.txt"
    assert str(kept) in message
    text = kept.read_text(encoding="utf-8")
    assert "return int(x)" in text
    assert "\x1b" not in text
    write(project / "book/20_b.py", OTHER)
    assert run(project, names=["20_b"]) == {"20_b": True}
    assert not kept.exists()


def test_stderr_of_a_chapter_that_runs_alone_is_quoted(project, capsys):
    printing = "\n    # %%\n    import sys\n    print('beware', file=sys.stderr)\n"
    write(project / "book/20_b.py", OTHER + printing)
    assert build.main(["--root", str(project), "20_b"]) == 1
    message = capsys.readouterr().err
    assert "code cell 2 of 2 (line 9), which begins `import sys`" in message
    assert "it wrote to stderr: beware" in message


def test_affected_names_chapters_and_tests(project, capsys):
    write(project / "tests/test_tiny.py", "from helpers import tiny\n")
    write(project / "tests/room/test_other.py", "from shared import x\n")
    write(project / "tests/shared.py", "def f():\n    from helpers._deep import VALUE\n")
    write(project / "tests/test_none.py", "import numpy\n")
    for file in ("helpers/_deep.py", "helpers/unused.py", "data/results/room/numbers.csv"):
        assert build.main(["--root", str(project), "--affected", file]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "python -m bookbuild 10_a",
        "python -m pytest -n logical tests/room/test_other.py tests/test_tiny.py",
        "No chapter depends on helpers/unused.py.",
        "No test imports helpers/unused.py.",
        "python -m bookbuild 10_a",
        "Which tests read a file is not followed: make test",
    ]
    assert build.main(["--root", str(project), "--affected", "helpers/gone.py"]) == 1
    assert "There is no file helpers/gone.py" in capsys.readouterr().err


def test_a_test_is_affected_by_the_fixtures_that_it_can_take(project):
    write(project / "helpers/fixed.py", "VALUE = 2\n")
    write(project / "tests/conftest.py", "import os\n")
    write(project / "tests/room/conftest.py", "def f():\n    from helpers import fixed\n")
    for test in ("test_a", "room/test_b", "room/deeper/test_c", "other/test_d"):
        write(project / f"tests/{test}.py", "import numpy\n")

    def tests(file):
        return {Path(test).stem for test in affected(project, Path(file))[1]}

    assert tests("helpers/fixed.py") == tests("tests/room/conftest.py") == {"test_b", "test_c"}
    assert tests("tests/conftest.py") == {"test_a", "test_b", "test_c", "test_d"}
    assert tests("helpers/unused.py") == set()


def test_a_chapter_depends_on_the_results_that_it_reads(tmp_path):
    source = tmp_path / "book" / "a.py"
    write(tmp_path / "helpers/__init__.py", "")
    write(tmp_path / "data/table.csv", "1\n")
    for name in ("room/a.csv", "room/a.json", "room/a_part.csv", "room/ab.csv", "README.md"):
        write(tmp_path / f"data/results/{name}", "1\n")

    def results(text):
        write(source, text)
        files = {p.relative_to(tmp_path / "data").as_posix() for p in inputs(tmp_path, source)[1:]
                 if p.is_relative_to(tmp_path / "data")}  # fmt: skip
        assert "table.csv" in files
        return files - {"table.csv"}

    assert results('"""Of read_results("room/a")."""\n') == set()
    whole = {"results/room/a.csv", "results/room/a.json", "results/room/a_part.csv"}
    assert results('x = read_results("room/a")\n') == whole
    assert results('x = read_results("room/a", part)\n') == whole
    with pytest.raises(
        BuildError, match=r"a\.py, line 1: read_results\(name\) must name its result in quotes"
    ):
        results("x = read_results(name)\n")


def test_a_chapter_whose_kernel_was_shut_down_has_not_finished(project):
    notebook = notebook_of(project / "book/20_b.py")
    assert "stopped after 0 of 1 code cells" in fault_in(notebook, project / "book/20_b.py")


def test_a_kernel_that_dies_is_a_failure(project):
    write(project / "book/20_b.py", OTHER + "\n    # %%\n    import os\n    os._exit(9)\n")
    with pytest.raises(BuildError, match=r"20_b.py failed.*(?s:.*)(died|Dead)"):
        run(project, names=["20_b"])
    assert "20_b" in planned(project)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_run_that_is_ended_leaves_nothing_finished_and_no_process(project, ending):
    number = getattr(signal, ending)
    status, message = end_a_running_build(project, number)
    if ending == "SIGINT":
        assert status == 130
        assert "will be executed again" in message
    else:
        assert status == -number
    assert planned(project) == {"10_a", "20_b"}
    folder = project / "_build" / "executed" / "embedded"
    assert [path.name for path in folder.iterdir()] == []
    assert run(project, names=["10_a"]) == {"10_a": True}
    assert {path.name for path in folder.iterdir()} == {"10_a.ipynb", "10_a.json"}


def test_two_builds_at_once_are_refused(project, capsys):
    (project / "_build").mkdir()
    with FileLock(project / "_build" / "build.lock"):
        assert build.main(["--root", str(project), "--no-site"]) == 1
    said = capsys.readouterr().err
    assert f"Another build is at work in {project / '_build'}; wait for it or end it." in said


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_that_is_ended_by_others_has_not_finished(project):
    write(project / "book/20_b.py", OTHER + WAITING)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, project, names=["20_b"])
        wait_for((project / "started").is_file)
        (worker,) = (
            child for child in psutil.Process().children() if "bookbuild.worker" in child.cmdline()
        )
        worker.terminate()
        with pytest.raises(BuildError, match=r"20_b.py failed"):
            running.result(timeout=180)
    assert planned(project) == {"10_a", "20_b"}


def end_a_running_build(project: Path, ending: int) -> tuple[int, str]:
    """Send a signal to a build that executes 20_b, and wait until all it started is gone."""
    write(project / "book/20_b.py", OTHER + WAITING)
    command = [sys.executable, "-m", "bookbuild", "--root", str(project), "--no-site"]
    with subprocess.Popen(
        [*command, "20_b"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        try:
            wait_for((project / "started").is_file)
            children = psutil.Process(process.pid).children(recursive=True)
            assert len(children) >= 2, "a worker and its kernel"
            process.send_signal(ending)
            message = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()
    wait_for(lambda: not any(is_alive(child) for child in children), 60)
    return process.returncode, message


def is_alive(process: psutil.Process) -> bool:
    """Tell whether it still does something; who has ended may wait for its new parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def heed_interrupts():
    """Undo that a job in the background of a script ignores Ctrl-C, as its children do."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition, seconds: float = 180):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_first_failure_ends_the_other_chapter(project):
    write(project / "book/10_a.py", OTHER + "\n    # %%\n    import time\n    time.sleep(600)\n")
    write(project / "book/20_b.py", OTHER + "\n    # %%\n    raise ValueError('early')\n")
    start = time.monotonic()
    with pytest.raises(BuildError, match="ValueError: early"):
        run(project)
    assert time.monotonic() - start < 300
    assert planned(project) == {"10_a", "20_b"}


def test_foreign_kernelspec_is_not_used(project, monkeypatch):
    foreign = project / "foreign"
    spec = {"argv": ["/nonexistent/python"], "display_name": "x", "language": "python"}
    write(foreign / "kernels/python3/kernel.json", json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(foreign))
    write(
        project / "book/20_b.py", OTHER + "\n    # %%\n    import sys\n    print(sys.executable)\n"
    )
    run(project, names=["20_b"])
    assert sys.executable in output(project, "20_b")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--profile", "papr"], r"--profile: invalid choice: 'papr' \(.*embedded.*paper"),
        (["--jobs", "0"], "--jobs is 0; at least one"),
        (["30_c"], "No chapter '30_c' in _toc.yml; there are 10_a, 20_b"),
    ],
)
def test_wrong_arguments_are_explained(project, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        sys.exit(build.main(["--root", str(project), *arguments]))
    assert ended.value.code in (1, 2)
    assert re.search(message, capsys.readouterr().err)


def test_a_chapter_that_does_not_exist_is_explained(project):
    (project / "book/20_b.py").unlink()
    with pytest.raises(BuildError, match=r"_toc.yml names book/20_b, but .* does not exist"):
        run(project)


@pytest.mark.parametrize(
    "path, text, message",
    [
        ("book/20_b.py", "1\n2 +\n", r"20_b\.py, line 2 cannot be parsed: invalid syntax"),
        ("helpers/_deep.py", "def f(:\n", r"_deep\.py, line 1 cannot be parsed: invalid syntax"),
        ("_toc.yml", "root: index\nchapters: [\n", r"_toc\.yml, .*cannot be read: (?s:.*)line 3"),
        (
            "_toc.yml",
            "format: jb-book\nroot: index\nchapters:\n- file: 3\n",
            r"_toc\.yml, .*cannot be read: .*must be .*got 3",
        ),
    ],
)
def test_what_cannot_be_parsed_is_named_with_its_line(project, capsys, path, text, message):
    (project / path).write_text(text, encoding="utf-8")
    assert build.main(["--root", str(project), "--no-site"]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_table_of_contents_that_is_missing_is_explained(project):
    (project / "_toc.yml").unlink()
    with pytest.raises(BuildError, match=r"_toc\.yml, the table of contents, cannot be read"):
        run(project)


@pytest.mark.parametrize("cell", ["data = open('x')", "print(1)", "a = b = 1"])
def test_parameters_must_be_literals(project, cell):
    write(project / "book/20_b.py", f'# %% tags=["parameters"]\n{cell}\n')
    with pytest.raises(BuildError, match=r"20_b.py: the cell tagged 'parameters' holds"):
        run(project)


def test_two_cells_of_parameters_are_refused(project):
    cell = '# %% tags=["parameters"]\ndata = 1\n'
    (project / "book/20_b.py").write_text(2 * cell, encoding="utf-8")
    with pytest.raises(BuildError, match=r"20_b\.py has 2 cells tagged 'parameters'"):
        run(project)


def test_a_long_chapter_tells_how_far_it_is(project, capfd):
    (project / "book/20_b.py").write_text(12 * "# %%\n1\n", encoding="utf-8")
    run(project, names=["20_b"])
    assert "20_b: cell 10 of 12\n" in capfd.readouterr().out


def test_progress_bars_are_no_part_of_a_page(project):
    write(
        project / "book/20_b.py",
        """\
        # %%
        import sys
        from tqdm import tqdm
        for _ in tqdm(range(3), file=sys.stdout):
            pass
        print("done")
        """,
    )
    run(project, names=["20_b"])
    assert output(project, "20_b") == "done\n"


def test_fixture_results_never_reach_the_site(project, monkeypatch):
    monkeypatch.setenv("MICROPROP_REGISTRY", "somewhere")
    with pytest.raises(BuildError, match="MICROPROP_REGISTRY is set"):
        build.build(project, "embedded", 2)
    run(project, names=["20_b"])
    assert output(project, "20_b", "embedded-fixtures") == "book\n"
    assert planned(project) == {"10_a", "20_b"}


def test_what_the_page_cannot_show_is_refused_and_charts_have_no_background(project):
    alt = 'mystnb={"figure": {"caption": "x"}, "image": {"alt": "A line."}}'
    write(
        project / "book/20_b.py",
        f"""\
        # %% {alt}
        import matplotlib.pyplot as plt
        figure, axis = plt.subplots()
        plt.close(figure)
        axis.plot([1, 2])
        figure

        # %% {alt}
        picture, axis = plt.subplots()
        plt.close(picture)
        axis.imshow([[1, 2]])
        picture

        # %% {alt}
        axis.set_title("small", fontsize=6)
        picture.set_size_inches(8.3, 4)
        picture
        """,
    )
    fault = r"cell 3 of 3 [^\0]*8\.3 in wide, .* 7\.2[^\0]*lettering of 6 pt, .* 8"
    with pytest.raises(BuildError, match=fault):
        run(project, names=["20_b"])
    notebook = nbformat.read(project / "_build/failed/20_b.ipynb", as_version=4)
    images = [base64.b64decode(cell.outputs[-1].data["image/png"]) for cell in notebook.cells[-3:]]
    corners = [Image.open(io.BytesIO(i)).convert("RGBA").getpixel((0, 0))[3] for i in images]
    assert corners == [0, 255, 255]


def test_image_without_alt_text_is_refused():
    image = nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    cell = nbformat.v4.new_code_cell("plots.x()", outputs=[image])
    assert "no alt text" in fault_of(cell)
    cell.metadata["mystnb"] = {"figure": {"name": "x"}, "image": {"alt": "A line."}}
    assert "its figure has no caption." in fault_of(cell)
    cell.metadata["mystnb"]["figure"]["caption"] = "A line."
    assert fault_of(cell) == ""
    cell.outputs.append(image)
    assert re.search(r"its figure shows 2 times.*panels", fault_of(cell))


def test_text_on_stderr_is_told_where_the_reader_would_see_it():
    warning = nbformat.v4.new_output("stream", name="stderr", text="Warning: beware\n")
    cell = nbformat.v4.new_code_cell("f()", outputs=[warning])
    assert "it wrote to stderr: Warning: beware" in fault_of(cell)
    cell.metadata["tags"] = ["remove-stderr"]
    assert fault_of(cell) == ""


def test_closure_of_imports_follows_every_form(tmp_path):
    write(tmp_path / "helpers/__init__.py", "")
    for name in "abcdefg":
        write(tmp_path / f"helpers/{name}.py", "")
    write(tmp_path / "helpers/a.py", "from . import b\nfrom .c import x\nimport numpy\n")
    write(tmp_path / "helpers/c.py", "def f():\n    from helpers.d import y\n")
    write(
        tmp_path / "chapter.py", "import helpers.a\nfrom helpers import e as f\nfrom x import g\n"
    )
    names = [path.stem for path in imported(tmp_path, tmp_path / "chapter.py")]
    assert names == ["__init__", "a", "b", "c", "d", "e"]


def test_closure_of_imports_follows_packages_inside_the_package(tmp_path):
    for name in ("", "own/", "own/deep/", "io/", "left/"):
        write(tmp_path / f"helpers/{name}__init__.py", "")
    write(tmp_path / "helpers/own/__init__.py", "from helpers import core\n")
    for name in ("core", "io/read", "io/write", "own/deep/far", "own/near", "left/a", "left/b"):
        write(tmp_path / f"helpers/{name}.py", "")
    write(tmp_path / "helpers/own/study.py", "from . import near\nfrom .deep.far import x\n")
    write(tmp_path / "helpers/own/deep/far.py", "from ...io import read\nfrom .. import study\n")
    write(tmp_path / "helpers/io/read.py", "import helpers.io.write\n")
    write(tmp_path / "chapter.py", "from helpers.own.study import fit\n")
    found = imported(tmp_path, tmp_path / "chapter.py")
    assert [path.relative_to(tmp_path / "helpers").as_posix() for path in found] == [
        "__init__.py", "core.py", "io/__init__.py", "io/read.py", "io/write.py",
        "own/__init__.py", "own/deep/__init__.py", "own/deep/far.py", "own/near.py",
        "own/study.py",
    ]  # fmt: skip


def test_a_changed_module_of_a_package_inside_runs_its_chapter_again(project):
    write(project / "helpers/own/__init__.py", "")
    write(project / "helpers/own/study.py", "VALUE = 1\n")
    write(
        project / "book/20_b.py", OTHER + "\n    # %%\n    from helpers.own.study import VALUE\n"
    )
    chapters = {source.stem: source for source in build.chapters_in_toc(project)}
    before = {name: chapter_key(project, chapter, {}) for name, chapter in chapters.items()}
    write(project / "helpers/own/study.py", "VALUE = 2\n")
    after = {name: chapter_key(project, chapter, {}) for name, chapter in chapters.items()}
    assert before["10_a"] == after["10_a"]
    assert before["20_b"] != after["20_b"]


def test_a_docstring_of_a_package_inside_is_a_reason_to_build_the_site(project):
    write(project / "helpers/own/study.py", '"""One."""\n')
    before = site.site_key(project, project / "pages")
    write(project / "helpers/own/study.py", '"""Two."""\n')
    assert site.site_key(project, project / "pages") != before


def test_toc_entries_follow_reading_order(tmp_path):
    text = """\
        format: jb-book
        root: index
        parts:
        - chapters:
          - file: one
            sections:
            - file: two
        - chapters:
          - file: three
        """
    write(tmp_path / "_toc.yml", text)
    assert toc_entries(tmp_path) == ["index", "one", "two", "three"]


def test_sync_writes_only_what_changed(project):
    assert [path.name for path in sync(project)] == ["10_a.ipynb", "20_b.ipynb"]
    assert sync(project) == []
    write(project / "book/20_b.py", OTHER + "\n    # %%\n    1\n")
    assert [path.name for path in sync(project)] == ["20_b.ipynb"]


@pytest.fixture
def pretend_site(project, monkeypatch):
    """Give a function that builds the project's site, without the seconds that Sphinx takes."""

    for path in ("_config.yml", "pages/index.md", "_ext/x.py", "_static/x.css"):
        write(project / path, "")

    def pretend(root, source, work):
        write(work / "_build/html/index.html", "index")
        write(work / "_build/html/deep/page.html", "page")

    monkeypatch.setattr(site, "run_jupyter_book", pretend)
    return lambda: site.build_site(project, [], project / "work", project / "html")


@pytest.mark.parametrize("damage", [Path.unlink, lambda page: page.write_text("cut")])
def test_a_site_with_a_file_lost_or_cut_is_built_again(pretend_site, project, damage):
    page = project / "html/deep/page.html"
    assert pretend_site()
    assert not pretend_site(), "nothing changed"
    damage(page)
    assert pretend_site()
    assert page.read_text(encoding="utf-8") == "page"
    assert not pretend_site()


def test_a_site_that_cannot_be_moved_leaves_the_old_one(pretend_site, project, monkeypatch):
    assert pretend_site()
    write(project / "pages/new.md", "# New")
    monkeypatch.setattr(
        site, "run_jupyter_book", lambda *_: shutil.rmtree(project / "work/_build")
    )
    with pytest.raises(BuildError, match=r"could not be moved to .*html"):
        pretend_site()
    assert (project / "html/deep/page.html").is_file()
    assert not list(project.glob("*.html*"))


def test_colours_are_taken_out_of_what_jupyter_book_says(tmp_path, monkeypatch):
    def failing(*_, stdout, **__):
        stdout.write("\x1b[31;01mpage.md:1: WARNING: \x1b[39;49;00mbad\n")
        return subprocess.CompletedProcess([], 1)

    monkeypatch.setattr(site.subprocess, "run", failing)
    with pytest.raises(BuildError, match=r"\npage\.md:1: WARNING: bad$"):
        site.run_jupyter_book(tmp_path, tmp_path, tmp_path)


def test_a_warning_about_a_notebook_names_the_line_of_its_source(project, monkeypatch):
    text = (
        "# %% [markdown]\n# # Title\n\n# %%\nx = 1\n\n# %% [markdown]\n# One.\n# Two {doc}`no`.\n"
    )
    source = project / "site"
    (project / "book/20_b.py").write_text(text, encoding="utf-8")
    notebook = notebook_of(project / "book/20_b.py")
    notebook.cells.insert(1, nbformat.v4.new_code_cell("data = 'published'"))  # of papermill
    (source / "book").mkdir(parents=True)
    nbformat.write(notebook, source / "book/20_b.ipynb")

    def failing(*_, stdout, **__):
        stdout.write(f"{source}/book/20_b.ipynb:40002: WARNING: unknown document: 'no'\n")
        stdout.write(f"{source}/book/20_b.ipynb:40003: WARNING: a second paragraph\n")
        stdout.write(f"{source}/book/20_b.ipynb:20001: WARNING: no line of ours\n")
        stdout.write(f"{source}/page.md:20001: WARNING: another page\n")
        return subprocess.CompletedProcess([], 1)

    monkeypatch.setattr(site.subprocess, "run", failing)
    with pytest.raises(BuildError) as caught:
        site.run_jupyter_book(project, source, project)
    assert str(caught.value).splitlines()[1:] == [
        "book/20_b.py:8: WARNING: unknown document: 'no'",
        "book/20_b.py:9: WARNING: a second paragraph",
        f"{source}/book/20_b.ipynb:20001: WARNING: no line of ours",
        f"{source}/page.md:20001: WARNING: another page",
    ]


@pytest.fixture
def small_site(tmp_path):
    """Give the folder of a real site of two pages, and a function that builds it."""
    root = tmp_path / "project"
    for name in ("_config.yml", "pyproject.toml"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    write(root / "_toc.yml", "format: jb-book\nroot: index\nchapters:\n- file: other\n")
    write(root / "pages/references.bib", "")
    write(root / "pages/index.md", "# Welcome\n\n$a^2$\n")
    write(root / "pages/other.md", "# First title\n\n![a](picture.png)\n![b](chart.png)\n")
    Image.new("L", (200, 100)).save(root / "pages/picture.png", dpi=(192, 192))
    Image.new("RGBA", (30, 20)).save(root / "pages/chart.png")
    return root, lambda: site.build_site(root, [], tmp_path / "work", tmp_path / "html")


def test_a_site_of_two_pages_is_built_once(tmp_path, small_site):
    _, built = small_site
    assert built()
    text = (tmp_path / "html/other.html").read_text(encoding="utf-8")
    assert "First title" in text
    assert '<img width="100" height="50" alt="a" src' in text, "twice as fine"
    assert '<img width="30" height="20" alt="b" class="chart dark-light" loading="lazy"' in text
    assert not built(), "nothing changed"


@pytest.mark.slow
def test_site_warnings_fail_and_leave_the_old_site(tmp_path, small_site):
    root, built = small_site
    assert built()
    assert not built(), "nothing changed"
    write(root / "pages/index.md", "# Welcome\n\n[](nowhere.md)\n")
    for _ in range(2):  # the second time, Sphinx would not read the page again and be content
        with pytest.raises(BuildError, match="nowhere"):
            built()
    assert "a^2" in (tmp_path / "html/index.html").read_text(encoding="utf-8")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["html", "html.json", "project", "work"], "the old site with its stamp"
    write(root / "pages/index.md", "# Welcome\n\n$a^2$\n")
    assert not built(), "the old site is that of the old pages"


@pytest.mark.slow
def test_a_citation_without_entry_is_told_with_its_line(tmp_path, small_site):
    root, _ = small_site
    write(root / "_toc.yml", "format: jb-book\nroot: index\nchapters:\n- file: book/20_b\n")
    write(root / "book/20_b.py", OTHER + "\n    # %% [markdown]\n    # As {cite}`nobody` says.\n")
    nbformat.write(notebook_of(root / "book/20_b.py"), tmp_path / "20_b.ipynb")
    with pytest.raises(BuildError, match=r"\nbook/20_b\.py:9: WARNING: .*bibtex key .nobody"):
        site.build_site(root, [tmp_path / "20_b.ipynb"], tmp_path / "work", tmp_path / "html")


@pytest.mark.slow
def test_site_follows_titles_and_pages_that_go(tmp_path, small_site):
    root, built = small_site
    index = tmp_path / "html/index.html"
    assert built()
    assert "First title" in index.read_text(encoding="utf-8")
    write(root / "pages/other.md", "# Second title\n")
    assert built()
    text = index.read_text(encoding="utf-8")
    assert "Second title" in text
    assert "First title" not in text
    (root / "pages/other.md").unlink()
    write(root / "_toc.yml", "format: jb-book\nroot: index\n")
    assert built()
    assert not (tmp_path / "html/other.html").exists()
    assert "Second title" not in index.read_text(encoding="utf-8")
