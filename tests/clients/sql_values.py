"""Values of every type as SQL writes them, by kind: what the generated statements are made of."""

NINES = "9" * 65

VALUES = {
    "null": ["NULL"],
    "truth": ["TRUE", "FALSE", "(1 = 1)", "(1 IS NULL)", "(2 > 3)"],
    "int": ["0", "1", "-1", "2", "3", "7", "-7", "10", "-128", "255", "65536", "2147483647", "-2147483648", "123456789012",
            "9223372036854775806", "9223372036854775807", "-9223372036854775807", "-9223372036854775808"],
    "unsigned": ["CAST(0 AS UNSIGNED)", "CAST(3 AS UNSIGNED)", "CAST(7 AS UNSIGNED)", "9223372036854775808", "18446744073709551615",
                 "18446744073709551614", "CAST(9223372036854775807 AS UNSIGNED)", "CAST(-1 AS UNSIGNED)"],
    "decimal": ["0.0", "0.5", "-0.5", "1.5", "2.5", "-1.50", "0.1", "3.0", "123.456", "-7.25", "1.0000", "99999999999999999999.5",
                "-12345678901234567890.123456789", "0.000000000000000000000000000001", NINES, "-" + NINES,
                "12345678901234567890123456789012345.123456789012345678901234567891", "CAST(1 AS DECIMAL(10,3))", "9223372036854775807.5",
                "18446744073709551616"],
    "double": ["0e0", "-0e0", "5e-1", "15e-1", "25e-1", "-25e-1", "3e0", "-7e0", "1e15", "123456789e0", "1e20", "-1e20", "1e300", "1e-300",
               "1.7976931348623157e308", "1e-5", "20240229e0"],
    "text": ["''", "' '", "'a'", "'A'", "'abc'", "'ABC'", "'a '", "'b'", "'1'", "' 1'", "'-1.5'", "'1e2'", "'12abc'", "'0'", "'0x10'",
             "'ä'", "'Ünï cödé'", "'日本'", "'😀'", "'9223372036854775808'", "'-9223372036854775809'", "'2024-02-29'",
             "'2024-02-29 10:11:12.5'", "'10:11:12'", "'-25:00:00'", "'20240229'", "'%a_'", "'a,b,c'", "'true'", "'1.5.5'", "'.5'", "'+7'"],
    "blob": ["X'00'", "X'61'", "X'3132'", "X''", "X'C3A4'", "CAST('abc' AS BINARY)", "UNHEX('FF00')", "CAST('7' AS BINARY)",
             "CAST('a ' AS BINARY)"],
    "date": ["DATE'2024-02-29'", "DATE'1000-01-01'", "DATE'9999-12-31'", "DATE'1970-01-01'", "DATE'2023-12-31'", "DATE'2024-03-31'"],
    "datetime": ["TIMESTAMP'2024-02-29 10:11:12'", "TIMESTAMP'2024-02-29 00:00:00'", "TIMESTAMP'1970-01-01 00:00:00'",
                 "TIMESTAMP'2024-12-31 23:59:59.9'", "TIMESTAMP'2024-02-29 10:11:12.5'", "TIMESTAMP'2024-02-29 10:11:12.123456'",
                 "TIMESTAMP'9999-12-31 23:59:59'", "TIMESTAMP'2000-01-31 12:00:00.050'"],
    "time": ["TIME'10:11:12'", "TIME'00:00:00'", "TIME'-01:00:00'", "TIME'838:59:59'", "TIME'-838:59:59'", "TIME'25:00:00.5'",
             "TIME'10:11:12.123456'", "TIME'-00:00:01.50'", "TIME'23:59:59.9'"],
    "year": ["YEAR('2024-02-29')", "YEAR('1999-01-01')"],
}

# Kinds that JSON functions take; JSON beside operators is not asked: MariaDB's JSON is text, MySQL's is not.
DOCUMENTS = ["'{}'", "'[]'", "'{\"a\": 1, \"b\": [1, 2.5, \"x\", null, true]}'", "'[1, [2, 3], {\"k\": \"v\"}]'", "'\"text\"'", "'null'", "'12'",
             "'1.50'", "'true'", "'{\"a\": {\"b\": {\"c\": \"ä\"}}}'", "'{\"ü\": \"q\\\\\"uote\"}'", "NULL", "'[\"2024-02-29\", \"10:11:12\"]'",
             "'{\"a\": \"1\", \"n\": 18446744073709551615}'", "'[-1, 1e2, 0.1, \"\"]'"]
PATHS = ["'$'", "'$.a'", "'$.b'", "'$[0]'", "'$[1]'", "'$.a.b'", "'$.*'", "'$[*]'", "'$**.c'", "'$.b[1]'", "'$.x'", "'$[9]'", "NULL"]

# Whole numbers that are counts, lengths and places.
SMALL = ["0", "1", "2", "3", "-1", "-2", "5", "NULL", "1.5", "'2'", "30"]

KINDS = list(VALUES)
NUMBERS = ["truth", "int", "unsigned", "decimal", "double"]
DATES = ["date", "datetime", "time"]

# What CAST and CONVERT make.
TARGETS = ["SIGNED", "UNSIGNED", "CHAR", "CHAR(3)", "BINARY", "BINARY(4)", "DECIMAL", "DECIMAL(5,2)", "DECIMAL(65,30)", "DECIMAL(20)", "DOUBLE",
           "DATE", "DATETIME", "DATETIME(3)", "DATETIME(6)", "TIME", "TIME(2)", "TIME(6)"]

UNITS = ["MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "SECOND_MICROSECOND", "MINUTE_SECOND",
         "HOUR_MINUTE", "HOUR_SECOND", "DAY_HOUR", "DAY_SECOND", "DAY_MICROSECOND", "YEAR_MONTH"]
AMOUNTS = ["1", "-1", "0", "30", "1.5", "-2.5", "'1'", "'1 2'", "'1:2'", "'1 2:3:4'", "'1.5'", "NULL", "'-1 1'", "1e0", "100000"]
