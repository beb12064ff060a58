"""Functions, each with forms of its arguments: what stands in braces is drawn anew for each statement.

`{any}` is a value of any kind, `{n}` a number, `{s}` a text, `{b}` text or bytes, `{d}` a date or a moment, `{t}` a time or a moment,
`{i}` a small whole number, `{doc}` a JSON document, `{path}` a path in one, `{unit}` and `{amount}` an interval.
"""

TEXT = [
    "ASCII({s})", "BIN({n})", "BIT_LENGTH({b})", "CHAR_LENGTH({b})", "CHARACTER_LENGTH({s})", "CONCAT({any}, {any})", "CONCAT({any})",
    "CONCAT({s}, {n}, {d})", "CONCAT_WS({s}, {any}, {any}, {any})", "CONV({n}, 10, 16)", "CONV({s}, 16, 10)", "CONV({n}, 10, -2)",
    "ELT({i}, {any}, {any}, {any})", "EXPORT_SET({i}, 'Y', 'N', ',', 6)", "FIELD({any}, {any}, {any})", "FIELD({s}, {s}, {s}, {s})",
    "FIND_IN_SET({s}, 'a,b,c,1')", "FIND_IN_SET({s}, {s})", "FORMAT({n}, {i})", "FORMAT({n}, 2, 'de_DE')", "FROM_BASE64({s})",
    "TO_BASE64({b})", "HEX({n})", "HEX({any})", "HEX({b})", "INSERT({s}, {i}, {i}, {s})", "INSTR({s}, {s})", "LCASE({s})", "LEFT({any}, {i})",
    "LENGTH({any})", "LOCATE({s}, {s})", "LOCATE({s}, {s}, {i})", "LOWER({any})", "LPAD({s}, {i}, {s})", "LTRIM({s})", "MAKE_SET({i}, 'a', 'b', 'c')",
    "MD5({any})", "MID({s}, {i}, {i})", "OCT({n})", "OCTET_LENGTH({any})", "ORD({s})", "POSITION({s} IN {s})", "QUOTE({s})", "REPEAT({any}, {i})",
    "REPLACE({s}, {s}, {s})", "REVERSE({any})", "RIGHT({any}, {i})", "RPAD({s}, {i}, {s})", "RTRIM({s})", "SHA1({b})", "SHA2({b}, 256)",
    "SHA2({b}, {i})", "SOUNDEX({s})", "SPACE({i})", "STRCMP({any}, {any})", "STRCMP({s}, {s})", "SUBSTR({any}, {i})", "SUBSTRING({any}, {i}, {i})",
    "SUBSTRING_INDEX({s}, ',', {i})", "SUBSTRING_INDEX('a.b.c', '.', {i})", "TRIM({any})", "TRIM(LEADING 'a' FROM {s})", "TRIM(BOTH {s} FROM {s})",
    "TRIM(TRAILING ' ' FROM {s})", "UCASE({any})", "UNHEX({s})", "UPPER({any})", "CHAR({i}, 65, 66)", "CHAR({n} USING utf8mb4)", "CRC32({any})",
    "{any} LIKE {s}", "{s} LIKE {s} ESCAPE '|'", "{any} NOT LIKE '%1%'", "{s} REGEXP 'a|1'", "{any} RLIKE '^[0-9]'", "CHARSET({any})",
    "COLLATION({any})", "COERCIBILITY({any})", "INET_ATON({s})", "INET_NTOA({n})", "CAST({s} AS CHAR) COLLATE utf8mb4_general_ci = {s}",
    "BINARY {any}", "CONVERT({any} USING utf8mb4)", "REGEXP_REPLACE({s}, 'a|1', 'x')", "REGEXP_SUBSTR({any}, '[0-9]+')", "REGEXP_INSTR({s}, 'b|1')",
]

NUMBER = [
    "ABS({any})", "ABS({n})", "SIGN({any})", "CEIL({any})", "CEIL({n})", "FLOOR({any})", "FLOOR({n})", "ROUND({any})", "ROUND({n})", "ROUND({n}, {i})",
    "ROUND({any}, 1)", "TRUNCATE({n}, {i})", "TRUNCATE({any}, 1)", "MOD({any}, {any})", "MOD({n}, {n})", "POW({n}, {i})", "SQRT({n})", "EXP({i})",
    "LN({n})", "LOG({n})", "LOG(2, {n})", "LOG2({n})", "LOG10({n})", "SIN({i})", "COS({i})", "TAN({i})", "COT({i})", "ASIN({i})", "ACOS({i})",
    "ATAN({n})", "ATAN({n}, {i})", "ATAN2({i}, {i})", "DEGREES({i})", "RADIANS({i})", "BIT_COUNT({any})", "BIT_COUNT({n})", "GREATEST({n}, {n})",
    "GREATEST({n}, {n}, {n})", "LEAST({n}, {n})", "LEAST({s}, {s})", "GREATEST({s}, {s})", "GREATEST({d}, {d})", "LEAST({t}, {t})",
    "INTERVAL({n}, 1, 5, 10)", "ISNULL({any})", "CRC32({n})",
]

CHOICE = [
    "IF({any}, {any}, {any})", "IF({n}, {n}, {n})", "IFNULL({any}, {any})", "IFNULL(NULL, {any})", "NULLIF({any}, {any})", "NULLIF({n}, {n})",
    "COALESCE({any}, {any}, {any})", "COALESCE(NULL, {any})", "CASE WHEN {any} THEN {any} ELSE {any} END", "CASE WHEN {any} THEN {any} END",
    "CASE {any} WHEN {any} THEN 1 ELSE 2 END", "CASE {n} WHEN {n} THEN {n} WHEN {n} THEN {n} ELSE {n} END", "{any} BETWEEN {any} AND {any}",
    "{n} NOT BETWEEN {n} AND {n}", "{d} BETWEEN {d} AND {d}", "{s} BETWEEN {s} AND {s}", "{any} IN ({any}, {any})", "{n} NOT IN ({n}, {n}, {n})",
    "{s} IN ({s}, {s})", "{d} IN ({d}, {d})", "{t} IN ({t}, {t})", "{n} IN ({s}, {n})", "({n}, {s}) = ({n}, {s})", "({n}, {n}) < ({n}, {n})",
    "({n}, {s}) IN (({n}, {s}), ({n}, {s}))", "{any} IS NULL", "{any} IS TRUE", "{any} IS NOT FALSE", "NOT {any}", "!{any}", "-{any}", "~{any}", "- -{n}",
    "{any} IS UNKNOWN",
]

DATE = [
    "DATE({any})", "DATE({d})", "TIME({any})", "TIME({t})", "TIMESTAMP({d})", "TIMESTAMP({d}, {t})", "YEAR({any})", "YEAR({d})", "QUARTER({d})", "MONTH({d})",
    "MONTHNAME({d})", "DAY({any})", "DAYOFMONTH({d})", "DAYNAME({d})", "DAYOFWEEK({d})", "DAYOFYEAR({d})", "WEEKDAY({d})", "WEEK({d})",
    "WEEK({d}, {i})", "WEEKOFYEAR({d})", "YEARWEEK({d})", "YEARWEEK({d}, {i})", "HOUR({any})", "HOUR({t})", "MINUTE({t})", "SECOND({t})", "MICROSECOND({t})",
    "EXTRACT({unit} FROM {d})", "EXTRACT({unit} FROM {t})", "DATE_FORMAT({d}, '%Y-%m-%d %H:%i:%s.%f')", "DATE_FORMAT({d}, '%a %b %c %D %e %j %M %U %u %V %v %W %w %X %x %y')",
    "DATE_FORMAT({d}, '%h %I %k %l %p %r %T %%')", "TIME_FORMAT({t}, '%H:%i:%s.%f')", "TIME_FORMAT({t}, '%h %k %l %p %r %T')",
    "STR_TO_DATE({s}, '%Y-%m-%d')", "STR_TO_DATE({s}, '%Y-%m-%d %H:%i:%s.%f')", "STR_TO_DATE('10:11', '%H:%i')", "STR_TO_DATE('Feb 29 2024', '%b %d %Y')",
    "DATEDIFF({d}, {d})", "TIMEDIFF({t}, {t})", "TIMEDIFF({d}, {d})", "TIMESTAMPDIFF(SECOND, {d}, {d})", "TIMESTAMPDIFF(MONTH, {d}, {d})",
    "TIMESTAMPADD(MINUTE, {i}, {d})", "TIMESTAMPADD(MONTH, {i}, {d})", "DATE_ADD({d}, INTERVAL {amount} {unit})", "DATE_SUB({d}, INTERVAL {amount} {unit})",
    "{d} + INTERVAL {amount} {unit}", "{t} - INTERVAL {amount} {unit}", "ADDDATE({d}, {i})", "SUBDATE({d}, {i})", "ADDDATE({d}, INTERVAL {amount} {unit})",
    "ADDTIME({t}, {t})", "SUBTIME({t}, {t})", "ADDTIME({d}, {s})", "UNIX_TIMESTAMP({d})", "FROM_UNIXTIME({i})", "FROM_UNIXTIME({n})",
    "FROM_UNIXTIME({i}, '%Y %H')", "FROM_DAYS({i} + 738000)", "TO_DAYS({d})", "TO_SECONDS({d})", "LAST_DAY({d})", "MAKEDATE(2024, {i})",
    "MAKETIME({i}, {i}, {i})", "MAKETIME({i}, 30, 1.5)", "SEC_TO_TIME({n})", "SEC_TO_TIME({i})", "TIME_TO_SEC({t})", "CONVERT_TZ({d}, '+00:00', '+05:30')",
    "PERIOD_ADD(202401, {i})", "PERIOD_DIFF(202402, 202311)", "{d} + 0", "{t} + 0", "{t} * 1.5", "{d} - {d}", "{d} = {s}", "{t} < {s}", "{d} <= {t}", "{d} > {n}",
    "GREATEST({d}, {d})", "LEAST({t}, {t})", "IFNULL({d}, {t})", "COALESCE({d}, {d})",
]

JSON = [
    "JSON_EXTRACT({doc}, {path})", "JSON_EXTRACT({doc}, {path}, {path})", "JSON_UNQUOTE(JSON_EXTRACT({doc}, {path}))", "JSON_VALUE({doc}, {path})",
    "JSON_KEYS({doc})", "JSON_KEYS({doc}, {path})", "JSON_LENGTH({doc})", "JSON_LENGTH({doc}, {path})", "JSON_DEPTH({doc})", "JSON_TYPE({doc})",
    "JSON_TYPE(JSON_EXTRACT({doc}, {path}))", "JSON_VALID({doc})", "JSON_VALID({s})", "JSON_CONTAINS({doc}, {doc})", "JSON_CONTAINS({doc}, '1', {path})",
    "JSON_CONTAINS_PATH({doc}, 'one', {path}, {path})", "JSON_CONTAINS_PATH({doc}, 'all', {path}, {path})", "JSON_SEARCH({doc}, 'one', 'x')",
    "JSON_SEARCH({doc}, 'all', '%')", "JSON_OBJECT('a', {any}, 'b', {n})", "JSON_ARRAY({any}, {any})", "JSON_ARRAY()", "JSON_OBJECT()",
    "JSON_SET({doc}, {path}, {n})", "JSON_INSERT({doc}, {path}, {s})", "JSON_REPLACE({doc}, {path}, {s})", "JSON_REMOVE({doc}, {path})",
    "JSON_ARRAY_APPEND({doc}, {path}, {n})", "JSON_ARRAY_INSERT({doc}, '$[0]', {n})", "JSON_MERGE_PATCH({doc}, {doc})", "JSON_MERGE_PRESERVE({doc}, {doc})",
    "JSON_QUOTE({s})", "JSON_UNQUOTE({s})", "JSON_OVERLAPS({doc}, {doc})", "JSON_EXISTS({doc}, {path})",
]

FAMILIES = {"text": TEXT, "number": NUMBER, "choice": CHOICE, "date": DATE, "json": JSON}

BINARY = ["+", "-", "*", "/", "DIV", "MOD", "%", "&", "|", "^", "<<", ">>", "=", "<>", "<", "<=", ">", ">=", "<=>", "AND", "OR", "XOR", "||", "&&"]

AGGREGATES = [
    "COUNT({c})", "COUNT(DISTINCT {c})", "SUM({c})", "SUM(DISTINCT {c})", "AVG({c})", "AVG(DISTINCT {c})", "MIN({c})", "MAX({c})", "BIT_AND({c})", "BIT_OR({c})",
    "BIT_XOR({c})", "STDDEV({c})", "STDDEV_SAMP({c})", "VARIANCE({c})", "VAR_SAMP({c})", "GROUP_CONCAT({c} ORDER BY {c})",
    "GROUP_CONCAT(DISTINCT {c} ORDER BY {c} DESC SEPARATOR ';')", "COUNT(*)", "MAX({c}) = MIN({c})", "SUM({c}) + 1", "SUM({c}) / COUNT(*)",
    "COUNT(DISTINCT {c}, g)", "IFNULL(MAX({c}), 'none')", "SUM({c} IS NULL)", "SUM({c} > 1)", "CONCAT(MIN({c}), '')", "JSON_ARRAYAGG({c})",
    "GREATEST(MAX({c}), MIN({c}))", "MAX({c}) + 0", "AVG({c}) * 2", "ROUND(AVG({c}), 2)", "CAST(SUM({c}) AS CHAR)",
]

WINDOWS = [
    "ROW_NUMBER() OVER (ORDER BY n)", "RANK() OVER (ORDER BY {c})", "DENSE_RANK() OVER (ORDER BY {c} DESC)", "NTILE(2) OVER (ORDER BY n)",
    "SUM({c}) OVER (ORDER BY n)", "AVG({c}) OVER (PARTITION BY g ORDER BY n)", "MIN({c}) OVER (ORDER BY n ROWS 1 PRECEDING)",
    "MAX({c}) OVER (PARTITION BY g)", "COUNT({c}) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)", "LAG({c}) OVER (ORDER BY n)",
    "LEAD({c}, 2) OVER (ORDER BY n)", "FIRST_VALUE({c}) OVER (PARTITION BY g ORDER BY n)", "LAST_VALUE({c}) OVER (ORDER BY n)",
    "NTH_VALUE({c}, 2) OVER (ORDER BY n)", "PERCENT_RANK() OVER (ORDER BY n)", "CUME_DIST() OVER (ORDER BY n)", "BIT_OR({c}) OVER (PARTITION BY g)",
    "STDDEV({c}) OVER (PARTITION BY g)", "SUM({c}) OVER ()", "ROW_NUMBER() OVER (PARTITION BY {c} ORDER BY n)",
]
