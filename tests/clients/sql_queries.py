"""Queries that z4 and MariaDB must answer alike, generated from a seed over the rows of `sql_rows`.

Every query bounds `tasks` as z4 wants it and orders its rows, so that answers can be compared as lists.
"""

import random

SCALARS = [
    "id", "namespace", "state", "deliver_at", "created_at", "last_retry", "attempts", "payload", "payload_bytes", "last_error",
    "attempts + 1", "attempts - 3", "attempts * 2.5", "attempts / 2", "attempts DIV 2", "attempts % 3", "MOD(attempts, 2)", "-attempts",
    "1 / 0", "attempts / 0", "5 DIV 0", "7 / 2", "1e3 + attempts", "attempts = 1", "attempts <> 1", "attempts <=> NULL",
    "attempts IN (1, 2)", "attempts BETWEEN 1 AND 2", "NOT attempts", "attempts AND 1", "attempts OR 0", "attempts XOR 1",
    "attempts & 1", "attempts | 4", "attempts << 2", "last_error IS NULL", "last_error IS NOT NULL", "last_retry IS NULL",
    "IF(attempts > 0, 'some', 'none')", "IF(attempts, deliver_at, created_at)", "IFNULL(last_error, 'fine')", "IFNULL(last_retry, deliver_at)",
    "COALESCE(last_error, namespace)", "COALESCE(NULL, attempts)", "NULLIF(state, 'dead')", "NULLIF(attempts, 0)",
    "CASE WHEN attempts > 1 THEN 'many' WHEN attempts = 1 THEN 'one' ELSE 'none' END", "CASE state WHEN 'dead' THEN 1 ELSE 0 END",
    "GREATEST(attempts, 1)", "LEAST(attempts, 1)", "ISNULL(last_error)",
    "CONCAT(namespace, '/', state)", "CONCAT(attempts, ' tries')", "CONCAT(namespace, NULL)", "CONCAT_WS('-', namespace, last_error, state)",
    "UPPER(state)", "LOWER(namespace)", "LENGTH(namespace)", "CHAR_LENGTH(namespace)", "LEFT(namespace, 3)", "RIGHT(namespace, 2)",
    "SUBSTRING(namespace, 2, 3)", "SUBSTRING(namespace, -3)", "SUBSTRING(namespace FROM 2 FOR 2)", "SUBSTRING_INDEX(namespace, '-', 1)",
    "SUBSTRING_INDEX(namespace, '-', -1)", "REPLACE(namespace, 'a', 'ä')", "REVERSE(state)", "REPEAT('ab', attempts)",
    "LPAD(attempts, 4, '0')", "RPAD(state, 12, '.')", "TRIM('  x ')", "LTRIM('  x')", "RTRIM('x  ')", "TRIM(BOTH 's' FROM state)",
    "INSTR(namespace, 'a')", "LOCATE('e', state)", "LOCATE('e', state, 3)", "POSITION('a' IN namespace)", "FIELD(state, 'dead', 'ready')",
    "FIND_IN_SET(state, 'dead,ready')", "ELT(attempts, 'a', 'b', 'c')", "STRCMP(state, 'ready')", "HEX(namespace)", "HEX(attempts)",
    "HEX(payload)", "UNHEX('4142')", "ASCII(state)", "LENGTH(payload)", "TO_BASE64(payload)", "CRC32(namespace)", "SHA1(namespace)",
    "SHA2(namespace, 256)", "BIN(attempts)", "CONV(255, 10, 16)", "FORMAT(attempts * 1234.5, 2)", "SPACE(2)", "INSERT(state, 2, 1, 'XX')", "QUOTE(namespace)",
    "state LIKE 'r%'", "state LIKE 'R%'", "namespace LIKE '%a_'", "namespace NOT LIKE 'a%'", "state REGEXP '^(ready|dead)$'",
    "state RLIKE 'e.d'", "namespace NOT REGEXP '[0-9]'", "'50%' LIKE '50\\\\%'", "'a' < 'b'", "'10' + 5", "'3x' + 1",
    "ABS(-attempts)", "SIGN(attempts)", "CEIL(attempts / 2)", "FLOOR(attempts / 2)", "ROUND(attempts / 3, 2)", "ROUND(2.5)", "ROUND(-1.5)",
    "TRUNCATE(2.789, 1)", "POW(2, attempts)", "SQRT(attempts)", "LN(attempts + 1)", "LOG10(100)", "EXP(0)", "BIT_COUNT(attempts)",
    "DATE(deliver_at)", "TIME(deliver_at)", "YEAR(deliver_at)", "QUARTER(deliver_at)", "MONTH(deliver_at)", "MONTHNAME(deliver_at)", "DAY(deliver_at)",
    "DAYOFMONTH(deliver_at)", "DAYNAME(deliver_at)", "DAYOFWEEK(deliver_at)", "DAYOFYEAR(deliver_at)", "WEEKDAY(deliver_at)", "WEEK(deliver_at)",
    "WEEK(deliver_at, 3)", "YEARWEEK(deliver_at)", "HOUR(deliver_at)", "MINUTE(deliver_at)", "SECOND(deliver_at)", "MICROSECOND(deliver_at)",
    "EXTRACT(YEAR_MONTH FROM deliver_at)", "EXTRACT(HOUR FROM deliver_at)", "LAST_DAY(deliver_at)", "TO_DAYS(deliver_at)",
    "DATE_FORMAT(deliver_at, '%Y-%m-%d %H:%i:%s')", "DATE_FORMAT(deliver_at, '%W %e %M %y, %l:%i %p')", "DATE_FORMAT(deliver_at, '%f %j %T %r')",
    "DATE_ADD(deliver_at, INTERVAL 1 DAY)", "DATE_SUB(deliver_at, INTERVAL 90 MINUTE)", "deliver_at + INTERVAL 1 MONTH",
    "deliver_at - INTERVAL 2 WEEK", "DATE_ADD('2024-01-31', INTERVAL 1 MONTH)", "DATE_ADD(deliver_at, INTERVAL '1:30' HOUR_MINUTE)",
    "DATEDIFF(deliver_at, '2024-01-01')", "TIMESTAMPDIFF(HOUR, '2024-01-01', deliver_at)", "TIMESTAMPDIFF(MONTH, '2020-01-31', deliver_at)",
    "TIMESTAMPDIFF(SECOND, created_at, deliver_at) > 0", "UNIX_TIMESTAMP('2024-05-06 07:08:09')", "UNIX_TIMESTAMP(deliver_at)",
    "FROM_UNIXTIME(1700000000)", "FROM_UNIXTIME(1700000000, '%Y %D')", "STR_TO_DATE('06.05.2024', '%d.%m.%Y')", "MAKEDATE(2024, 60)",
    "SEC_TO_TIME(3661)", "TIME_TO_SEC('01:01:01')", "deliver_at > '2024-01-01'", "deliver_at > created_at", "deliver_at + 0",
    "CAST(attempts AS CHAR)", "CAST('12' AS SIGNED)", "CAST('12.7' AS DECIMAL(5,1))", "CAST(deliver_at AS DATE)", "CAST('2024-02-03' AS DATETIME)",
    "CONVERT(attempts, CHAR)", "CONVERT('7', UNSIGNED)", "CAST(deliver_at AS CHAR)", "CAST(attempts AS DOUBLE)",
    "JSON_EXTRACT(metadata, '$.user_id')", "JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.user_id'))", "JSON_VALUE(metadata, '$.channel')",
    "JSON_EXTRACT(metadata, '$.missing')", "JSON_CONTAINS(metadata, '\"mail\"', '$.channel')", "JSON_LENGTH(metadata)",
    "JSON_VALID(metadata)", "JSON_TYPE(JSON_EXTRACT(metadata, '$.n'))", "JSON_EXTRACT(metadata, '$.channel') = 'mail'",
    "JSON_CONTAINS_PATH(metadata, 'one', '$.n', '$.zz')", "JSON_QUOTE(state)", "JSON_EXTRACT('[1, [2, 3]]', '$[1][0]')", "JSON_DEPTH('[[1]]')",
    "JSON_VALUE(metadata, '$.n') + 1",
]

FILTERS = [
    "state = 'ready'", "state IN ('dead', 'ready')", "state <> 'scheduled'", "attempts > 0", "attempts = 0", "attempts BETWEEN 1 AND 2",
    "last_error IS NULL", "last_error LIKE '%no%'", "metadata LIKE '%mail%'", "JSON_EXTRACT(metadata, '$.channel') = 'mail'",
    "JSON_UNQUOTE(JSON_EXTRACT(metadata, '$.user_id')) IN ('user1@example.com', 'user2@example.com', 'user3@example.com')",
    "JSON_VALUE(metadata, '$.n') > 5", "payload_bytes > 10", "HOUR(deliver_at) < 12", "DAYOFWEEK(deliver_at) IN (1, 7)",
    "deliver_at > created_at", "NOT (attempts = 0 AND state = 'ready')", "(attempts = 0 OR state = 'dead')", "namespace LIKE '%a%'",
    "namespace REGEXP '^[a-m]'", "LENGTH(payload) % 2 = 0", "last_retry IS NOT NULL", "payload LIKE '%1%'", "id > '0'",
    "(state, attempts) IN (('ready', 0), ('dead', 1))", "attempts <=> 1", "COALESCE(last_error, '') = ''", "TRUE", "1 = 1",
]

GROUPS = [
    "state", "namespace", "DATE(deliver_at)", "attempts", "HOUR(deliver_at)", "JSON_VALUE(metadata, '$.channel')", "namespace, state",
    "DATE_FORMAT(deliver_at, '%Y-%m')", "attempts > 0", "WEEKDAY(deliver_at)",
]

AGGREGATES = [
    "COUNT(*)", "COUNT(last_error)", "COUNT(DISTINCT state)", "SUM(attempts)", "AVG(attempts)", "MIN(deliver_at)", "MAX(deliver_at)",
    "MIN(namespace)", "MAX(payload_bytes)", "SUM(attempts > 0)", "AVG(payload_bytes)", "MAX(attempts) - MIN(attempts)", "SUM(payload_bytes / 2)",
    "GROUP_CONCAT(id ORDER BY id)", "GROUP_CONCAT(DISTINCT state ORDER BY state SEPARATOR '|')", "ROUND(STDDEV(attempts), 3)", "ROUND(VAR_SAMP(attempts), 3)",
    "BIT_OR(attempts)", "MIN(last_retry)", "COUNT(DISTINCT namespace, state)", "MAX(DATE(deliver_at))", "SUM(1.5)",
]

WINDOWS = [
    "ROW_NUMBER() OVER (PARTITION BY namespace ORDER BY deliver_at, id)", "RANK() OVER (ORDER BY attempts DESC)",
    "DENSE_RANK() OVER (PARTITION BY state ORDER BY attempts)", "LAG(attempts) OVER (ORDER BY id)", "LEAD(state, 1) OVER (ORDER BY id)",
    "SUM(attempts) OVER (PARTITION BY namespace)", "SUM(attempts) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "COUNT(*) OVER (PARTITION BY state)", "FIRST_VALUE(id) OVER (PARTITION BY namespace ORDER BY id)", "NTILE(3) OVER (ORDER BY id)",
]


class Queries:
    """An endless supply."""

    def __init__(self, seed, namespaces, span):
        self.random = random.Random(seed)
        self.namespaces, self.span = namespaces, span

    def bound(self, table=""):
        """A predicate that bounds a reference to tasks."""
        dot = f"{table}." if table else ""
        names = self.random.sample(self.namespaces, self.random.randint(1, len(self.namespaces)))
        quoted = ", ".join(f"'{name}'" for name in names)
        where = f"{dot}namespace = '{names[0]}'" if self.random.random() < 0.3 else f"{dot}namespace IN ({quoted})"
        low, high = sorted(self.random.sample(self.span, 2)) if self.random.random() < 0.5 else (self.span[0], self.span[-1])
        time = self.random.choice([
            f"{dot}deliver_at BETWEEN '{low}' AND '{high}'", f"{dot}deliver_at >= '{low}' AND {dot}deliver_at < '{high}'",
            f"{dot}deliver_at > '{low}' AND '{high}' >= {dot}deliver_at",
            f"({dot}deliver_at >= TIMESTAMP '{low}' AND {dot}deliver_at <= '{high}')"])
        return f"{where} AND {time}"

    def filter(self):
        return self.random.choice(FILTERS)

    def scalars(self):
        """One query for each expression."""
        for scalar in SCALARS:
            yield f"SELECT id, {scalar} AS x FROM tasks WHERE {self.bound()} ORDER BY id LIMIT 25"

    def one(self):
        """A random query."""
        pick = self.random.choice
        shape = self.random.randrange(12)
        where = f"{self.bound()} AND {self.filter()}"
        if shape == 0:
            columns = ", ".join(self.random.sample(SCALARS, 3))
            return f"SELECT {columns} FROM tasks WHERE {where} ORDER BY id"
        if shape == 1:
            group = pick(GROUPS)
            return f"SELECT {group}, {pick(AGGREGATES)}, {pick(AGGREGATES)} FROM tasks WHERE {where} GROUP BY {group} ORDER BY {group}"
        if shape == 2:
            return f"SELECT {', '.join(self.random.sample(AGGREGATES, 4))} FROM tasks WHERE {where}"
        if shape == 3:
            group = pick(GROUPS)
            return (f"SELECT {group}, COUNT(*) AS n FROM tasks WHERE {where} GROUP BY {group} HAVING n > {self.random.randint(0, 5)} "
                    f"ORDER BY n DESC, {group}")
        if shape == 4:
            offset, limit = self.random.randint(0, 9), self.random.randint(1, 20)
            form = pick([f"LIMIT {limit}", f"LIMIT {offset}, {limit}", f"LIMIT {limit} OFFSET {offset}"])
            order = pick(["deliver_at, id", "deliver_at DESC, id", "namespace, deliver_at DESC, id", "state, id DESC", "attempts DESC, id"])
            return f"SELECT id, state, deliver_at FROM tasks WHERE {where} ORDER BY {order} {form}"
        if shape == 5:
            return f"SELECT id, {pick(WINDOWS)} AS w FROM tasks WHERE {where} ORDER BY id"
        if shape == 6:
            return (f"SELECT t.id, n.max_attempts FROM tasks t JOIN namespaces n ON n.name = t.namespace WHERE {self.bound('t')} "
                    f"AND n.max_attempts > {self.random.randint(0, 3)} ORDER BY t.id")
        if shape == 7:
            return (f"SELECT n.name, COUNT(t.id) FROM namespaces n LEFT JOIN tasks t ON t.namespace = n.name AND {self.bound('t')} "
                    f"GROUP BY n.name ORDER BY n.name")
        if shape == 8:
            return (f"WITH few AS (SELECT id, state, attempts FROM tasks WHERE {where}) SELECT state, COUNT(*), MAX(attempts) FROM few "
                    f"WHERE attempts < 5 GROUP BY state ORDER BY state")
        if shape == 9:
            return f"SELECT id FROM tasks WHERE {where} UNION SELECT id FROM tasks WHERE {self.bound()} ORDER BY id"
        if shape == 10:
            return (f"SELECT id, attempts FROM tasks WHERE {where} AND attempts >= (SELECT AVG(attempts) FROM tasks WHERE {self.bound()}) "
                    f"ORDER BY id")
        return (f"SELECT a.id FROM tasks a WHERE {self.bound('a')} AND EXISTS (SELECT 1 FROM tasks b WHERE b.namespace = a.namespace AND "
                f"{self.bound('b')} AND b.attempts = a.attempts AND b.id <> a.id) ORDER BY a.id")
