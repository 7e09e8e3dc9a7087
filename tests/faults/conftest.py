"""What a fault does to a program must not depend on how the tests were started."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True)
def heard():
    """Under nohup, which children inherit, a closed terminal would be no signal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
