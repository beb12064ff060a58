"""Fixed queries about the corners of the dialect, on which z4 and MariaDB must agree. `$B` bounds tasks, `$B(t)` tasks called t.

Not here, because MariaDB is not MySQL there: `->` and `->>`, GREATEST of numbers and text, CAST to DATETIME with a fraction, JSON
strings beside numbers, windows over MAX of a DATETIME.
"""

import re

# No rows whatever stands in the table; tools ask so for the types of the columns.
NOTHING = [
    "SELECT * FROM tasks WHERE 1=0", "SELECT * FROM tasks WHERE 0", "SELECT id, deliver_at FROM tasks WHERE FALSE",
    "SELECT * FROM tasks WHERE 1 <> 1 AND state = 'ready'", "SELECT * FROM tasks WHERE state = 'ready' AND (1=0) AND attempts > 1",
    "SELECT * FROM tasks LIMIT 0", "SELECT * FROM tasks WHERE NOT 1", "SELECT * FROM tasks WHERE 'a' = 'b'", "SELECT * FROM tasks WHERE NULL",
    "SELECT COUNT(*), MAX(deliver_at) FROM tasks WHERE 1=0", "SELECT state, COUNT(*) FROM tasks WHERE 1=0 GROUP BY state",
    "SELECT * FROM (SELECT * FROM tasks) t WHERE 1=0", "SELECT * FROM (SELECT id, COUNT(*) AS c FROM tasks GROUP BY id) t WHERE 1=0",
    "SELECT * FROM (SELECT COUNT(*) AS c FROM tasks) t WHERE 1=0", "SELECT COUNT(*) FROM (SELECT COUNT(*) AS c FROM tasks) t WHERE 1=0",
    "SELECT * FROM (SELECT id FROM tasks) t LIMIT 0", "SELECT id FROM tasks UNION ALL SELECT id FROM tasks LIMIT 0",
    "SELECT a.id, n.name FROM tasks a JOIN namespaces n ON n.name = a.namespace WHERE 1=0",
    "SELECT a.id, n.name FROM namespaces n LEFT JOIN tasks a ON n.name = a.namespace WHERE 1=0",
    "SELECT a.id, n.name FROM namespaces n LEFT JOIN tasks a ON n.name = a.namespace LIMIT 0",
    "SELECT a.id, n.name FROM tasks a RIGHT JOIN namespaces n ON n.name = a.namespace WHERE (1=0)",
    "SELECT a.id FROM tasks a, tasks b WHERE 1 > 2", "SELECT * FROM tasks WHERE 1=0 ORDER BY deliver_at DESC LIMIT 5",
    "SELECT id FROM tasks WHERE 1=0 OR 1=2",
]

# The rule, where a constant decides nothing.
REFUSED = [
    "SELECT * FROM tasks WHERE 1=1", "SELECT * FROM tasks WHERE 1=0 OR state = 'ready'", "SELECT * FROM tasks WHERE NOT (1=0)",
    "SELECT * FROM tasks WHERE NOT (NULL AND state = 'ready')", "SELECT * FROM tasks LIMIT 1001", "SELECT * FROM tasks WHERE 'a'",
    "SELECT * FROM tasks WHERE NOT (1=0 AND state = 'ready')", "SELECT (SELECT COUNT(*) FROM tasks) FROM namespaces LIMIT 1",
    "SELECT COUNT(*) FROM tasks HAVING 1=0", "SELECT id FROM tasks WHERE 1=0 UNION ALL SELECT id FROM tasks",
    "SELECT a.id FROM tasks a LEFT JOIN namespaces n ON 1=0",
]

QUERIES = [
    "SELECT n.name, t.id FROM tasks t RIGHT JOIN namespaces n ON n.name = t.namespace AND $B(t) ORDER BY n.name, t.id",
    "SELECT n.name, t.id FROM namespaces n RIGHT JOIN tasks t ON n.name = t.namespace AND n.max_attempts > 2 WHERE $B(t) ORDER BY t.id",
    "SELECT n.name, COUNT(t.id) FROM tasks t RIGHT JOIN namespaces n ON n.name = t.namespace AND $B(t) AND t.state = 'dead' "
    "GROUP BY n.name ORDER BY n.name",
    "SELECT a.id, b.id, n.name FROM tasks a JOIN tasks b ON a.namespace = b.namespace AND a.id = b.id "
    "RIGHT JOIN namespaces n ON n.name = a.namespace WHERE $B(a) AND $B(b) ORDER BY a.id",
    "SELECT a.id, n.name, m.name FROM tasks a JOIN namespaces n JOIN namespaces m ON m.name = n.name ON n.name = a.namespace "
    "WHERE $B(a) ORDER BY a.id",
    "SELECT a.id, n.name, m.name FROM tasks a LEFT JOIN namespaces n JOIN namespaces m ON m.name = n.name AND m.max_attempts > 3 "
    "ON n.name = a.namespace WHERE $B(a) ORDER BY a.id",
    "SELECT id FROM tasks WHERE $B AND deliver_at > 0 AND '0000-00-00' < deliver_at ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND last_error NOT IN ('no answer', NULL) ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND namespace NOT IN (SELECT name FROM namespaces WHERE max_attempts > 2) ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND attempts NOT IN (SELECT NULLIF(max_attempts, 1) FROM namespaces) ORDER BY id",
    "SELECT id FROM tasks t WHERE $B(t) AND attempts < (SELECT max_attempts FROM namespaces n WHERE n.name = t.namespace) ORDER BY id",
    "SELECT id, (SELECT COUNT(*) FROM tasks u WHERE u.namespace = t.namespace AND u.deliver_at < t.deliver_at AND $B(u)) AS m "
    "FROM tasks t WHERE $B(t) ORDER BY id LIMIT 30",
    "SELECT x.state, x.n FROM (SELECT state, COUNT(*) AS n FROM tasks WHERE $B GROUP BY state) x WHERE x.n > 5 ORDER BY x.n DESC, 1",
    "WITH a AS (SELECT id, namespace, attempts FROM tasks WHERE $B), b AS (SELECT namespace, MAX(attempts) AS m FROM a GROUP BY namespace) "
    "SELECT a.id, b.m FROM a JOIN b USING (namespace) WHERE a.attempts = b.m ORDER BY a.id",
    "WITH a AS (WITH c AS (SELECT id, state FROM tasks WHERE $B) SELECT state, COUNT(*) AS n FROM c GROUP BY state) "
    "SELECT * FROM a ORDER BY state",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i, i * i AS q, SUM(i) OVER (ORDER BY i) AS s "
    "FROM n ORDER BY i",
    "SELECT id, state FROM tasks WHERE $B UNION ALL SELECT name, 'n' FROM namespaces ORDER BY 2, id DESC LIMIT 20",
    "(SELECT id FROM tasks WHERE $B ORDER BY id LIMIT 3) UNION ALL (SELECT id FROM tasks WHERE $B ORDER BY id DESC LIMIT 3) ORDER BY id",
    "SELECT state AS s, COUNT(*) FROM tasks WHERE $B GROUP BY s ORDER BY s",
    "SELECT state, COUNT(*) FROM tasks WHERE $B GROUP BY 1 ORDER BY 2 DESC, 1",
    "SELECT DATE(deliver_at) AS d, COUNT(*) AS n FROM tasks WHERE $B GROUP BY d HAVING n > 1 AND d IS NOT NULL ORDER BY d",
    "SELECT DISTINCT state, attempts FROM tasks WHERE $B ORDER BY state, attempts",
    "SELECT COUNT(DISTINCT last_error), COUNT(DISTINCT namespace, last_error), SUM(DISTINCT attempts), AVG(DISTINCT attempts) "
    "FROM tasks WHERE $B",
    "SELECT id, SUM(attempts) OVER (PARTITION BY namespace ORDER BY id ROWS UNBOUNDED PRECEDING) AS s, AVG(attempts) OVER w AS a "
    "FROM tasks WHERE $B WINDOW w AS (PARTITION BY state ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) ORDER BY id",
    "SELECT id, NTH_VALUE(id, 2) OVER (PARTITION BY namespace ORDER BY id) AS n, PERCENT_RANK() OVER (ORDER BY attempts) AS p, "
    "CUME_DIST() OVER (ORDER BY attempts) AS c, LAG(deliver_at, 2) OVER (ORDER BY id) AS l FROM tasks WHERE $B ORDER BY id",
    "SELECT namespace, SUM(COUNT(*)) OVER (ORDER BY namespace) AS running FROM tasks WHERE $B GROUP BY namespace ORDER BY namespace",
    "SELECT id FROM tasks WHERE $B AND attempts IN ('1', 2, NULL) ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND state IN ('ready', 0) ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND attempts > '0.5' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND state = 0 ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND DATE(deliver_at) BETWEEN '2024-01-01' AND '2030-01-01' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND deliver_at BETWEEN DATE(deliver_at) AND DATE(deliver_at) + INTERVAL 1 DAY ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND JSON_EXTRACT(metadata, '$.n') = '4' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND JSON_VALUE(metadata, '$.n') = 4 ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND JSON_VALUE(metadata, '$.n') > '4' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND (namespace, state) = ('x', 'ready') ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND (attempts, state) IN (SELECT attempts, state FROM tasks WHERE $B AND state = 'dead') ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND (attempts, id) > (0, 'z') ORDER BY id",
    # An OR of columns that bound: SQLite may plan its arms one by one.
    "SELECT id FROM tasks WHERE $B AND (namespace, state) IN (('x', 'ready'), ('sms', 'dead')) ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND (namespace = 'x' OR state = 'dead') ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND (id = 'x' OR state = 'dead') ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND ((namespace = 'x' AND attempts = 0) OR (namespace = 'sms' AND attempts = 1)) ORDER BY id",
    "SELECT id FROM tasks WHERE deliver_at BETWEEN '2020-01-01' AND '2040-01-01' AND (namespace = 'x' OR namespace = 'sms') ORDER BY id",
    "SELECT id FROM tasks WHERE deliver_at BETWEEN '2020-01-01' AND '2040-01-01' AND ((namespace = 'x' AND attempts = 0) "
    "OR (namespace = 'sms' AND attempts = 1)) ORDER BY id",
    "SELECT * FROM (SELECT 1 AS a, 2 AS b) x JOIN (SELECT 3 AS c, 2 AS b) y USING (b) JOIN (SELECT 3 AS c, 7 AS d) z USING (c)",
    "SELECT id, attempts AS a FROM tasks WHERE $B HAVING a > 0 ORDER BY id",
    "SELECT namespace, COUNT(*) AS n FROM tasks WHERE $B GROUP BY namespace ORDER BY COUNT(*) DESC, namespace",
    "SELECT id FROM tasks WHERE $B ORDER BY state = 'ready' DESC, FIELD(state, 'dead', 'ready'), id LIMIT 40",
    "SELECT id FROM tasks WHERE $B AND deliver_at IN (SELECT deliver_at FROM tasks WHERE $B AND state = 'dead') ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND state COLLATE utf8mb4_general_ci = 'READY' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND namespace LIKE 'mail|_%' ESCAPE '|' ORDER BY id",
    "SELECT HEX(SUBSTRING(payload, 1, 2)) AS h, COUNT(*) FROM tasks WHERE $B GROUP BY h ORDER BY h",
    "SELECT id FROM tasks WHERE $B AND deliver_at >= '2024-01-01T00:00:00' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND deliver_at >= 20240101 AND deliver_at < 20300101000000 ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND deliver_at >= '24-1-1' ORDER BY id",
    "SELECT id FROM tasks WHERE $B AND deliver_at >= CONCAT('2024', '-01-01') ORDER BY id",
    "SELECT TIMESTAMP '2024-01-01 00:00:00' = '2024-01-01 00:00:00.000', TIMESTAMP '2024-01-01 12:00:00' = '20240101120000', "
    "TIMESTAMP '2024-01-01 12:00:00' = '2024/01/01 12.00.00', TIMESTAMP '2024-01-01 12:00:00' = '2024-1-1 12:0:0', "
    "TIMESTAMP '2024-01-01 12:00:00' = '240101120000'",
    "SELECT deliver_at + INTERVAL attempts DAY, deliver_at - INTERVAL '1 2' DAY_HOUR, DATE_ADD(DATE(deliver_at), INTERVAL -1 MONTH), "
    "DATE(deliver_at) + INTERVAL 90 SECOND, deliver_at + INTERVAL 1.5 SECOND FROM tasks WHERE $B ORDER BY id",
    "SELECT DATE_ADD('2024-01-31', INTERVAL 1 MONTH), DATE_ADD('2024-01-31 10:00:00', INTERVAL 1 MONTH), "
    "DATE_ADD('2024-01-31', INTERVAL 1 HOUR), DATE_ADD('2024-01-31', INTERVAL '1.5' SECOND), DATE_ADD(20240131, INTERVAL 1 MONTH), "
    "DATE_ADD(CONCAT('2024-01-31', ''), INTERVAL 1 MONTH), DATE_SUB('garbage', INTERVAL 1 HOUR)",
    "SELECT DATE_ADD(DATE '2024-01-31', INTERVAL 1 MONTH), DATE_ADD(TIMESTAMP '2024-01-31 00:00:00', INTERVAL 1 MONTH)",
    "SELECT 1 UNION ALL SELECT 'a'", "SELECT 1 UNION ALL SELECT 1.5", "SELECT NULL UNION ALL SELECT 1", "SELECT NULL",
    "SELECT DATE '2024-01-01' UNION ALL SELECT 'x'", "SELECT DATE '2024-01-01' UNION ALL SELECT TIMESTAMP '2024-01-01 10:00:00'",
    "SELECT CASE WHEN 1 THEN 1 ELSE 'a' END, CASE WHEN 1 THEN 1 ELSE 1.5 END, CASE WHEN 1 THEN DATE '2024-01-01' ELSE 5 END, "
    "CASE WHEN 1 THEN DATE '2024-01-01' ELSE TIMESTAMP '2024-01-01 10:00:00' END, IF(1, 1.5, 2e0), COALESCE(NULL, 1.5, 2)",
    "SELECT '6' / 2, '7' % 4, '5' - 1, '5' + '6.5', -'5.5', - '7'",
]


def filled(span, namespaces):
    """QUERIES with bounds around everything in `span`."""
    names = ", ".join(f"'{name}'" for name in namespaces)

    def bounds(match):
        dot = f"{match[1]}." if match[1] else ""
        return f"{dot}namespace IN ({names}) AND {dot}deliver_at BETWEEN '{span[0]}' AND '{span[-1]}'"

    return [re.sub(r"\$B(?:\((\w+)\))?(?!\w)", bounds, sql) for sql in QUERIES]
