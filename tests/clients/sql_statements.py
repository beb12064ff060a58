"""Statements made by chance, the same ones for the same seed: every kind of value with every kind beside it under every operator, and every
family of functions, as literals, as columns of a derived table, and nested."""

import itertools
import random
import re

from sql_functions import AGGREGATES, BINARY, FAMILIES, WINDOWS
from sql_values import AMOUNTS, DATES, DOCUMENTS, KINDS, NUMBERS, PATHS, SMALL, TARGETS, UNITS, VALUES

# How often each family comes.
SHARES = {"operator": 24, "cast": 8, "precedence": 6, "text": 10, "number": 8, "choice": 10, "date": 12, "json": 6, "aggregate": 8, "window": 4,
          "set": 5, "order": 3, "subquery": 3, "nested": 7}
CHAIN = ["+", "-", "*", "/", "DIV", "%", "&", "|", "^", "<<", ">>", "=", "<>", "<", ">=", "<=>", "AND", "OR", "XOR", "LIKE", "IN", "BETWEEN", "IS"]


class Statement:
    """A statement, and what it is about: family and form, and the kinds of its values."""

    def __init__(self, family, form, kinds, sql, ordered=False):
        self.family, self.form, self.kinds, self.sql, self.ordered = family, form, kinds, sql, ordered

    def __str__(self):
        return self.sql


class Statements:
    """`count` statements of a seed. Seeds that follow each other go on in the list of all pairs of kinds under all operators."""

    def __init__(self, seed, count):
        self.seed, self.count, self.random = seed, count, random.Random(f"sql {seed}")
        pairs, casts = list(itertools.product(KINDS, KINDS, BINARY)), list(itertools.product(KINDS, TARGETS))
        for every in (pairs, casts):
            random.Random("pairs").shuffle(every)
        self.pairs, self.casts = self.from_here(pairs, "operator"), self.from_here(casts, "cast")

    def from_here(self, every, family):
        at = self.seed * self.count * SHARES[family] // sum(SHARES.values())
        return itertools.islice(itertools.cycle(every), at % len(every), None)

    def __iter__(self):
        families = self.random.choices(list(SHARES), SHARES.values(), k=self.count)
        for family in families:
            yield getattr(self, family, None)() if family not in FAMILIES else self.function(family)

    # Values.

    def pick(self, choices):
        return self.random.choice(choices)

    def value(self, kinds, seen):
        kind = self.pick(kinds)
        seen.append(kind)
        return self.pick(VALUES[kind])

    def hole(self, name, seen):
        """What stands in place of {name}."""
        if name in ("n", "s", "b", "d", "t") and self.random.random() < 0.12:
            name = "any"
        if name == "s" and self.random.random() < 0.08:
            name = "b"
        match name:
            case "any":
                return self.value(KINDS, seen)
            case "n":
                return self.value(NUMBERS, seen)
            case "s":
                return self.value(["text"], seen)
            case "b":
                return self.value(["text", "blob"], seen)
            case "d":
                return self.value(["date", "datetime"], seen)
            case "t":
                return self.value(["time", "datetime"], seen)
            case "i":
                return self.pick(SMALL)
            case "doc":
                return self.pick(DOCUMENTS)
            case "path":
                return self.pick(PATHS)
            case "unit":
                return self.pick(UNITS)
            case "amount":
                return self.pick(AMOUNTS)
        raise ValueError(name)

    def filled(self, form, seen, columns=None):
        """The form with values; those in `columns` are given there instead, and their names stand here."""

        def put(match):
            value = self.hole(match[1], seen)
            if columns is None or match[1] not in ("any", "n", "s", "b", "d", "t"):
                return value
            columns.append(f"{value} AS c{len(columns)}")
            return f"c{len(columns) - 1}"

        return re.sub(r"\{(\w+)\}", put, form)

    def asked(self, family, form, template, seen=None):
        """SELECT of a form, with its values as literals or as columns."""
        seen, columns = [] if seen is None else seen, [] if self.random.random() < 0.5 else None
        expression = self.filled(template, seen, columns)
        source = f" FROM (SELECT {', '.join(columns)}) t" if columns else ""
        return Statement(family, form, seen, f"SELECT {expression} AS x{source}")

    # Families.

    def operator(self):
        left, right, sign = next(self.pairs)
        a, b = self.pick(VALUES[left]), self.pick(VALUES[right])
        if self.random.random() < 0.5:
            sql = f"SELECT c0 {sign} c1 AS x FROM (SELECT {a} AS c0, {b} AS c1) t"
        else:
            sql = f"SELECT {a} {sign} {b} AS x"
        return Statement("operator", sign, [left, right], sql)

    def cast(self):
        kind, target = next(self.casts)
        value, form = self.pick(VALUES[kind]), self.pick(["CAST({} AS {})", "CONVERT({}, {})"])
        if self.random.random() < 0.5:
            sql = f"SELECT {form.format('c0', target)} AS x FROM (SELECT {value} AS c0) t"
        else:
            sql = f"SELECT {form.format(value, target)} AS x"
        return Statement("cast", target, [kind], sql)

    def precedence(self):
        seen, parts = [], [self.pick(["", "", "", "NOT ", "!", "-", "~"]) + self.pick(["1", "0", "2", "3", "NULL"])]
        for _ in range(self.random.randint(2, 4)):
            sign = self.pick(CHAIN)
            operand = self.pick(["", "", "", "-", "!", "~"]) + self.pick(["1", "0", "2", "3", "NULL"])
            seen.append(sign)
            match sign:
                case "IN":
                    parts.append(f"{self.pick(['', 'NOT '])}IN (0, {operand})")
                case "BETWEEN":
                    parts.append(f"{self.pick(['', 'NOT '])}BETWEEN 0 AND {operand}")
                case "IS":
                    parts.append(self.pick(["IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT FALSE"]))
                case _:
                    parts.append(f"{sign} {operand}")
        return Statement("precedence", " ".join(seen), [], f"SELECT {' '.join(parts)} AS x")

    def function(self, family):
        form = self.pick(FAMILIES[family])
        return self.asked(family, form, form)

    def nested(self):
        outer_family, inner_family = self.pick(["text", "number", "choice", "date"]), self.pick(["text", "number", "choice", "date"])
        outer, inner = self.pick(FAMILIES[outer_family]), self.pick(FAMILIES[inner_family])
        holes = [match for match in re.finditer(r"\{(any|n|s|b|d|t)\}", outer)]
        if not holes:
            return self.asked(outer_family, outer, outer)
        at = self.pick(holes)
        inside = inner if re.match(r"^\w+\(.*\)$", inner) else f"({inner})"
        return self.asked("nested", f"{outer} of {inner}", outer[:at.start()] + inside + outer[at.end():])

    def rows(self, kinds, count):
        """A derived table: n counts, g is 0 or 1, c is a value."""
        seen, rows = [], []
        for n in range(count):
            value = self.value(kinds, seen) if self.random.random() < 0.85 else "NULL"
            rows.append(f"SELECT {n} n, {n % 2} g, {value} c" if n == 0 else f"SELECT {n}, {n % 2}, {value}")
        return f"({' UNION ALL '.join(rows)}) t", seen

    def some_kinds(self):
        """Of a column: most have values of one kind."""
        return [self.pick(KINDS[1:])] if self.random.random() < 0.75 else self.random.sample(KINDS[1:], 2)

    def aggregate(self):
        kinds, form = self.some_kinds(), self.pick(AGGREGATES)
        table, _ = self.rows(kinds, self.random.randint(1, 5))
        what = form.replace("{c}", "c")
        match self.random.randrange(4):
            case 0:
                sql, ordered = f"SELECT {what} AS x FROM {table}", True
            case 1:
                sql, ordered = f"SELECT g, {what} AS x FROM {table} GROUP BY g ORDER BY g", True
            case 2:
                sql, ordered = f"SELECT c, {what} AS x FROM {table} GROUP BY c", False
            case _:
                sql, ordered = f"SELECT g, {what} AS x FROM {table} GROUP BY g HAVING x IS NOT NULL", False
        return Statement("aggregate", form, kinds, sql, ordered)

    def window(self):
        kinds, form = self.some_kinds(), self.pick(WINDOWS)
        table, _ = self.rows(kinds, self.random.randint(2, 5))
        return Statement("window", form, kinds, f"SELECT n, {form.replace('{c}', 'c')} AS x FROM {table} ORDER BY n", True)

    def set(self):
        kinds = [self.pick(KINDS), self.pick(KINDS)]
        word = self.pick(["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "UNION DISTINCT"])
        a, b, again = self.pick(VALUES[kinds[0]]), self.pick(VALUES[kinds[1]]), self.pick(VALUES[kinds[0]])
        sql = f"SELECT {a} AS x {word} SELECT {b}"
        if self.random.random() < 0.4:
            sql += f" {word} SELECT {again}"
        return Statement("set", word, kinds, sql)

    def order(self):
        kinds = self.some_kinds()
        table, _ = self.rows(kinds, self.random.randint(3, 6))
        match self.random.randrange(4):
            case 0:
                return Statement("order", "ORDER BY", kinds, f"SELECT c FROM {table} ORDER BY c, n", True)
            case 1:
                return Statement("order", "ORDER BY DESC", kinds, f"SELECT n, c FROM {table} ORDER BY c DESC, n LIMIT 3", True)
            case 2:
                return Statement("order", "DISTINCT", kinds, f"SELECT DISTINCT c FROM {table}")
            case _:
                return Statement("order", "ORDER BY expression", kinds, f"SELECT n FROM {table} ORDER BY c IS NULL, c + 0, n", True)

    def subquery(self):
        kinds, seen = self.some_kinds(), []
        table, _ = self.rows(kinds, self.random.randint(1, 4))
        value = self.value(kinds if self.random.random() < 0.6 else KINDS, seen)
        form = self.pick([
            "SELECT {v} IN (SELECT c FROM {t}) AS x", "SELECT {v} NOT IN (SELECT c FROM {t}) AS x", "SELECT (SELECT MAX(c) FROM {t}) AS x",
            "SELECT (SELECT c FROM {t}) AS x", "SELECT {v} = (SELECT c FROM {t} WHERE n = 0) AS x", "SELECT EXISTS (SELECT 1 FROM {t} WHERE c = {v}) AS x",
            "SELECT n FROM {t} WHERE c = {v} ORDER BY n", "SELECT n FROM {t} WHERE c > {v} ORDER BY n", "SELECT n, c FROM {t} WHERE c ORDER BY n",
            "SELECT COUNT(*) FROM {t} WHERE NOT c <=> {v}", "SELECT a.n, b.n FROM {t} JOIN (SELECT {v} c, 1 n) b ON a.c = b.c ORDER BY a.n"])
        if "JOIN" in form:
            table = table[:-1] + "a"
        return Statement("subquery", form, kinds + seen, form.replace("{v}", value).replace("{t}", table), True)
