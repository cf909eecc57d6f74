import ctypes
import sys

import pytest

from trainer.machine.allocation import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_the_c_library_takes_the_options() -> None:
    assert keep_freed_memory() is hasattr(ctypes.CDLL(None), "mallopt")
