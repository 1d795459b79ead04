"""What a number was computed by."""

import pytest

from helpers.io.provenance import code_digest

CODE = '''"""About it."""

from scipy.linalg import svd

from PACK.b import g


def f(x):
    """Say so."""
    from PACK.b import h

    return svd(g(x)) + h(x) + 1
'''


@pytest.fixture
def digest(tmp_path):
    """Writes a module of a small package, and gives the digest of it."""

    def write(path, code):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code)
        code_digest.cache_clear()
        return code_digest(tmp_path / path, tmp_path)

    return write


def test_a_key_follows_the_code_and_not_its_words(digest):
    key = digest("pack1/a.py", CODE.replace("PACK", "pack1"))
    said = "# why\n" + CODE.replace("Say so.", "Say it otherwise.")
    assert digest("pack1/a.py", said.replace("PACK", "pack1")) == key
    assert digest("pack1/a.py", CODE.replace("PACK", "pack1").replace("+ 1", "+ 2")) != key


def test_a_key_stays_when_a_module_moves_into_a_room(digest):
    key = digest("pack2/a.py", CODE.replace("PACK", "pack2"))
    assert digest("pack2/room/other.py", CODE.replace("PACK", "pack2.room")) == key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scipy.linalg", "numpy.linalg"),
        ("import g", "import k as g"),
        ("import h", "import g as h"),
    ],
)
def test_a_key_follows_what_is_imported(digest, old, new):
    code = CODE.replace("PACK", "pack3")
    assert digest("pack3/a.py", code) != digest("pack3/a.py", code.replace(old, new))


def test_a_key_follows_the_code_of_what_is_imported(digest, tmp_path):
    code = CODE.replace("PACK", "pack4")
    digest("pack4/room/__init__.py", '"""A room."""')
    digest("pack4/room/deep.py", "def h(x):\n    return x\n")
    digest("pack4/b.py", "from .room import deep\nimport pack4.room.deep\n")
    key = digest("pack4/a.py", code)
    digest("pack4/room/__init__.py", '"""Another word."""')
    digest("pack4/unused.py", "x = 1\n")
    assert digest("pack4/a.py", code) == key
    digest("pack4/room/deep.py", "def h(x):\n    return x + 1\n")
    assert digest("pack4/a.py", code) != key
