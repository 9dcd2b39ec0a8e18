"""Memory that one answer needed is used again by the next, instead of being asked for anew."""

import subprocess
import sys

import pytest

BLOCKS = """
import resource
from salesflow.adapters.projector.reused_memory import reuse_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def answer(size):
    columns = [bytearray(size) for _ in range(3)]
    for column in columns:
        column[:] = b"1" * size
    del columns

{first}
answer({size}), answer({size})
before = faults()
for _ in range(10):
    answer({size})
print((faults() - before) * resource.getpagesize() // {size})
"""
SHORT, LONG = 3 << 20, 40 << 20


def taken_anew(first: str, size: int) -> int:
    """Return how often so much as a column takes was asked of the system by ten answers."""
    code = BLOCKS.format(first=first, size=size)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is that of glibc")
def test_what_an_answer_took_is_used_again_by_the_next_one() -> None:
    assert taken_anew("", SHORT) > 10, "else there is nothing to do"
    assert taken_anew("reuse_memory()", SHORT) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is that of glibc")
def test_what_is_long_goes_back_at_once() -> None:
    assert taken_anew("reuse_memory()", LONG) > 10
