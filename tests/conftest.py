"""Fixtures that several test modules share."""

import os
from pathlib import Path

import pytest

from bookbuild.chapters import ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of published data, or skip the test where there is none."""
    named = os.environ.get("MICROPROP_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the published data: no folder {folder}; set MICROPROP_DATA")
    return folder
