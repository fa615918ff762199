# SPDX-License-Identifier: MIT
"""What all families of tests share: the suite that they add themselves to, and where things are."""
import os

from suite import ROOT, Suite

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(ROOT, "tests", ".cache", "ephemeral")
# TINYKVM_TEST_OPTIONS=--no-fast-path: the same by the slow path.
MORE_OPTIONS = os.environ.get("TINYKVM_TEST_OPTIONS", "").split()

suite = Suite("ephemeral", """\
Servers in `kvmserver -e run`: every request finds the program as it was when it was frozen.

The programs count their requests and answer with the count.  Run plainly they count up; with -e each
answer is the same: one more than the warm-up's requests.  --long: 30 seconds of each load, not 2, and loads
of more kinds.
""")
suite.parser.add_argument("--long", action="store_true", help="30 s of each load")


def source(name):
    return os.path.join(HERE, name)


def duration():
    """Seconds of a load."""
    return 30 if suite.args.long else 2
