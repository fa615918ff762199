# SPDX-License-Identifier: MIT
"""Print, as JSON, the command lines of the programs that tests of Python's suite would start.

py_record.py MODULE PATTERN...: the tests of MODULE whose names match. They are run, but the
interpreters they start are recorded only, each once.
"""
import io
import json
import subprocess
import sys
import unittest
from test.support import script_helper

started = {}


class Popen:
    def __init__(self, argv, **unused):
        if argv[0] == sys.executable and "-c" in argv:
            started[tuple(argv)] = True
        raise unittest.SkipTest("recorded")


subprocess.Popen = Popen
# Else it would start an interpreter to find out.
vars(script_helper)["__cached_interp_requires_environment"] = False
sys.argv = ["record", sys.argv[1], *(x for name in sys.argv[2:] for x in ("-k", name))]
unittest.main(None, exit=False, testRunner=unittest.TextTestRunner(io.StringIO()))
print(json.dumps(list(started)))
