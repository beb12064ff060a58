"""Generated statements, beside MariaDB: every pair of types with every operator and family of functions.

What differs and is explained by no rule (sql_rules.py) is printed with both answers. It is one in two hundred at most: huge numbers and
texts that are nothing of the kind, where both servers have answers of their own. More than that is a fault that came in.
"""

import collections
import os
import shutil
import unittest

from peer import Peer
from sql_compare import OUR_SESSION, THEIR_SESSION, compare
from sql_sides import Side
from sql_statements import Statements
from sql_test import MariaDB

FIRST_SEED = int(os.environ.get("Z4_TEST_SEED") or 1)
SEEDS = 10
STATEMENTS = 3_000
DIFFERENCES_MAX = STATEMENTS // 200


class Generated(unittest.TestCase):
    """Ten seeds of statements."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("mariadbd"):
            raise unittest.SkipTest("mariadbd is missing: apt-get install mariadb-server")
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        cls.addClassCleanup(cls.peer.close)
        cls.mariadb = MariaDB()
        cls.addClassCleanup(cls.mariadb.close)
        cls.ours = Side(OUR_SESSION, host="127.0.0.1", port=cls.peer.sql)
        cls.theirs = Side(THEIR_SESSION, unix_socket=str(cls.mariadb.socket))

    def test_answers_are_alike(self):
        for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
            with self.subTest(seed=seed):
                found, explained = compare(self.ours, self.theirs, Statements(seed, STATEMENTS))
                kinds = collections.Counter(difference.kind() for difference in found)
                print(f"seed {seed}: {len(found)} of {STATEMENTS} differ, {sum(explained.values())} more are explained")
                for difference in found:
                    print(difference)
                self.assertLessEqual(len(found), DIFFERENCES_MAX, kinds.most_common())


if __name__ == "__main__":
    unittest.main()
