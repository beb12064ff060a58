"""Compares the answers of z4 and MariaDB to generated statements.

    sql_compare.py --z4-port 3306 --mariadb-socket /run/mysqld/mysqld.sock --seed 1 --count 3000 [--kinds] [--only text]

Prints the seed, each statement that differs with both answers, and how many there are of each kind.
"""

import argparse
import collections
import sys

from sql_rules import REWRITES, allowed
from sql_sides import Side
from sql_statements import Statements

# z4 sees trailing spaces and is strict.
THEIR_SESSION = "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES'"
OUR_SESSION = "SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00'"


def what_differs(statement, ours, theirs):
    """In a word; None: nothing."""
    if ours.error is not None or theirs.error is not None:
        if ours.error == theirs.error:
            return None
        return "error instead of an answer" if theirs.error is None else "answer instead of an error" if ours.error is None else "another error"
    mine, other = ours.rows, theirs.rows
    if not statement.ordered:
        mine, other = (sorted(answer.rows, key=lambda row: place(row, answer.types)) for answer in (ours, theirs))
    # Doubles are equal when they are within two steps of their last digit, and digits are the server's.
    if len(mine) != len(other) or not all(same_row(a, b, ours, theirs) for a, b in zip(mine, other)):
        return "value"
    if ours.types != theirs.types:
        return "type"
    return None


def place(row, types):
    """Where a row stands in an order of all rows: DOUBLEs by their value, for -0 is 0."""
    return [(value is None, float(value) if word == "double" and value else 0.0, b"" if word == "double" else value or b"")
            for value, word in zip(row, types)]


def same_row(mine, other, ours, theirs):
    return len(mine) == len(other) and all(
        a == b or a is not None and b is not None and "double" in (ours.types[at], theirs.types[at]) and same_double(a, b)
        for at, (a, b) in enumerate(zip(mine, other)))


def same_double(a, b):
    try:
        a, b = float(a), float(b)
    except ValueError:
        return False
    return abs(a - b) <= 4e-16 * max(abs(a), abs(b))


class Difference:
    """A statement that two servers answer differently."""

    def __init__(self, statement, what, ours, theirs):
        self.statement, self.what, self.ours, self.theirs = statement, what, ours, theirs

    def __str__(self):
        return f"{self.statement}\n    {self.what}\n    z4:      {self.ours}\n    MariaDB: {self.theirs}"

    def kind(self):
        """Differences with the same reason have mostly the same of this."""
        about = f"{self.statement.family} {self.statement.form} ({', '.join(self.statement.kinds)}): {self.what}"
        if self.what == "type":
            about += f" {', '.join(self.ours.types)} instead of {', '.join(self.theirs.types)}"
        return about


def compare(ours, theirs, statements):
    """The differences, and how many the rules explain, by rule."""
    found, explained = [], collections.Counter()
    for at, statement in enumerate(statements):
        mine, other = ours.ask(statement.sql), theirs.ask(statement.sql)
        what = what_differs(statement, mine, other)
        if what is None and at % 5 == 0 and mine.error is None:
            mine, other = ours.prepare(statement.sql), theirs.prepare(statement.sql)
            what = what_differs(statement, mine, other) and "prepared"
        if what is None:
            continue
        name = allowed(statement, mine, other)
        for rewrite in REWRITES if what != "prepared" else []:
            rewritten = rewrite(statement)
            if not name and rewritten != statement.sql:
                again = theirs.ask(rewritten)
                name = rewrite.__name__ if what_differs(statement, mine, again) is None else allowed(statement, mine, again)
        if name:
            explained[name] += 1
        else:
            found.append(Difference(statement, what, mine, other))
    return found, explained


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--z4-port", type=int, required=True)
    parser.add_argument("--mariadb-socket", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many seeds from --seed on")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--only", default="", help="differences whose kind holds this")
    parser.add_argument("--kinds", action="store_true", help="count the kinds only")
    options = parser.parse_args()
    ours = Side(OUR_SESSION, host="127.0.0.1", port=options.z4_port)
    theirs = Side(THEIR_SESSION, unix_socket=options.mariadb_socket)
    differs = 0
    for seed in range(options.seed, options.seed + options.seeds):
        found, explained = compare(ours, theirs, Statements(seed, options.count))
        found = [difference for difference in found if options.only in difference.kind()]
        differs += len(found)
        if not options.kinds:
            print("\n".join(map(str, found)))
        for kind, count in collections.Counter(difference.kind() for difference in found).most_common():
            print(f"{count:5} {kind}")
        print(f"seed {seed}: {len(found)} of {options.count} answers differ; documented: {dict(explained)}")
    sys.exit(1 if differs else 0)


if __name__ == "__main__":
    main()
