"""What several tests look at, drawn once."""

import pytest

from data_adapters import phantoms


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> phantoms.Phantoms:
    """Small phantoms of every kind; no test changes them."""
    return phantoms.draw_all(tmp_path_factory.mktemp("phantoms"), seed=3, radiographs=40, size=64)
