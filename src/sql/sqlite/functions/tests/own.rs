//! What is z4's own (coercions, how dates travel), and where MySQL 8 answers otherwise than MariaDB.

use rusqlite::functions::FunctionFlags;

use super::{NOW_US, arguments, ask, check, connection, translate};
use crate::sql::signatures;
use crate::sql::sqlite::functions::{register, session};
use crate::sql::zones::Zone;

fn as_it_is(sql: &str) -> String {
    sql.to_owned()
}

/// 2022-04-16 00:00:00 UTC is 1650067200 s.
#[test]
fn coercions() {
    check(
        &[
            ("z4_dt('2022-04-16')", Some("1650067200000000")),
            ("z4_dt(20220416)", Some("1650067200000000")),
            ("z4_dt(20220416000000.5)", Some("1650067200500000")),
            ("z4_dt('nonsense')", None),
            ("z4_dt_strict('2022-04-16')", Some("1650067200000000")),
            ("z4_dt_strict('x')", Some("1525 Incorrect DATETIME value: 'x'")),
            ("z4_dt_strict(NULL)", None),
            ("z4_dt_text(1650067200123456, 3)", Some("2022-04-16 00:00:00.123")),
            ("z4_dt_text(1650067200000000, 0)", Some("2022-04-16 00:00:00")),
            ("z4_dt_num(1650067200000000)", Some("20220416000000")),
            ("z4_dt_num(NULL)", None),
            ("z4_num('12.5abc')", Some("12.5")),
            ("z4_num('abc')", Some("0")),
            ("z4_num(' -1e2x')", Some("-100")),
            ("z4_num('.5')", Some("0.5")),
            ("z4_num('1e999')", Some("1.7976931348623157e308")),
            ("typeof(z4_num(3))", Some("integer")),
            ("z4_int(2.5)", Some("3")),
            ("z4_int(-2.5)", Some("-3")),
            ("z4_int('7up')", Some("7")),
            ("z4_int(1e300)", Some("9223372036854775807")),
            ("z4_text(1.0)", Some("1")),
            ("z4_text(1e15)", Some("1e15")),
            ("z4_text(1e14)", Some("100000000000000")),
            ("z4_text(0.00001)", Some("0.00001")),
            ("z4_text(1.5e-20)", Some("1.5e-20")),
            ("z4_text(-12345678901234567890.0)", Some("-1.2345678901234567e19")),
            ("z4_dec_text(z4_dec(1.005, 10, 2), 2)", Some("1.01")),
            ("z4_dec_text(z4_dec(-0.5, 10, 0), 0)", Some("-1")),
            ("z4_dec_text(1.5, 4)", Some("1.5000")),
            ("z4_dec_text(3, 2)", Some("3.00")),
            ("z4_dec_text(-0.001, 2)", Some("0.00")),
            ("z4_json_scalar('\"x\"')", Some("x")),
            ("typeof(z4_json_scalar('12'))", Some("integer")),
            ("typeof(z4_json_scalar('1.5'))", Some("real")),
            ("z4_json_scalar('{\"a\": 1}')", Some("{\"a\": 1}")),
            ("z4_json('x\"')", Some("\"x\\\"\"")),
            ("z4_json(1.0)", Some("1.0")),
            ("z4_json_text('{\"a\": \"x\"}', '$.a')", Some("x")),
            ("z4_json_text('{\"a\": \"x\\ty\"}', '$.a')", Some("x\ty")),
            ("z4_json_text('{\"a\": \"x\"}', '$.b')", None),
            ("z4_div(1, 0)", None),
            ("z4_div(7, 2)", Some("3.5")),
            ("z4_intdiv(-7, 2)", Some("-3")),
            ("z4_intdiv(7.5, 2)", Some("3")),
            ("z4_intdiv(1, 0)", None),
            ("z4_intdiv(-9223372036854775808, -1)", Some("1690 BIGINT value is out of range in DIV")),
            ("z4_mod(-9223372036854775808, -1)", Some("0")),
            ("z4_xor(1, 0)", Some("1")),
            ("z4_xor(1, NULL)", None),
            ("z4_now(3)", Some("1650104430123000")),
            ("z4_now()", Some("1650104430000000")),
            ("z4_today()", Some("2022-04-16")),
            ("z4_date(1650104430123456)", Some("2022-04-16")),
            ("z4_tm_text(z4_time(1650104430123456), 3)", Some("10:20:30.123")),
            ("'abc' = 'ABC' COLLATE z4_ci", Some("1")),
            ("'é' = 'É' COLLATE z4_ci", Some("1")),
        ],
        as_it_is,
    );
}

/// Escapes, and case.
#[test]
fn like_and_regexp() {
    check(
        &[
            ("z4_like('abc', 'a%', '\\', 0)", Some("1")),
            ("z4_like('abc', 'A%', '\\', 0)", Some("0")),
            ("z4_like('abc', 'A%', '\\', 1)", Some("1")),
            ("z4_like('a%c', 'a\\%c', '\\', 0)", Some("1")),
            ("z4_like('abc', 'a\\%c', '\\', 0)", Some("0")),
            ("z4_like('a_c', 'a|_c', '|', 0)", Some("1")),
            ("z4_like('é', '_', '\\', 0)", Some("1")),
            ("z4_like('a\\c', 'a\\c', '', 0)", Some("1")),
            ("z4_like('', '%', '\\', 0)", Some("1")),
            ("z4_like('', '', '\\', 0)", Some("1")),
            ("z4_like('mississippi', '%iss%ip%i', '\\', 0)", Some("1")),
            ("z4_like('abcd', '%b_', '\\', 0)", Some("0")),
            ("z4_like(NULL, '%', '\\', 0)", None),
            ("z4_like(12, '1%')", Some("1")),
            ("z4_regexp('abc', '^a.c$')", Some("1")),
            ("z4_regexp('ABC', '^a')", Some("0")),
            ("my_regexp_like('ABC', '^a', 'i')", Some("1")),
            ("z4_regexp(NULL, 'a')", None),
            ("my_regexp_substr('abc', 'x')", None),
            ("my_regexp_substr('aXbX', '[A-Z]', 3)", Some("X")),
            ("my_regexp_instr('dog cat dog', 'dog', 1, 2)", Some("9")),
            ("my_regexp_instr('dog cat dog', 'dog', 1, 1, 1)", Some("4")),
            ("my_regexp_replace('abc def ghi', '[a-z]+', 'X', 1, 3)", Some("abc def X")),
            ("my_regexp_replace('abc', 'b', 'a$b')", Some("aa$bc")),
            ("my_regexp_substr('abc', 'x', 9)", Some("3686 Index out of bounds in regular expression search.")),
        ],
        as_it_is,
    );
    let said = ask(&connection(), "z4_regexp('a', '(')").expect("an error");
    assert!(said.starts_with("3691 "), "{said}");
}

/// Dates are microseconds: what comes is read as text, what goes is written by the coercion that the dialect adds.
#[test]
fn moments() {
    let add = |date: &str, span: &str| format!("z4_dt_text(z4_date_add(z4_dt('{date}'), {span}), 6)");
    let connection = connection();
    for (date, span, expected) in [
        ("2018-05-01", "1, 'DAY'", Some("2018-05-02 00:00:00.000000")),
        ("2018-01-31", "1, 'MONTH'", Some("2018-02-28 00:00:00.000000")),
        ("2020-02-29", "1, 'YEAR'", Some("2021-02-28 00:00:00.000000")),
        ("2020-03-31", "-1, 'QUARTER'", Some("2019-12-31 00:00:00.000000")),
        ("2100-12-31 23:59:59", "'1:1', 'MINUTE_SECOND'", Some("2101-01-01 00:01:00.000000")),
        ("2025-01-01", "'-1 10', 'DAY_HOUR'", Some("2024-12-30 14:00:00.000000")),
        ("1992-12-31 23:59:59.000002", "'1.999999', 'SECOND_MICROSECOND'", Some("1993-01-01 00:00:01.000001")),
        ("2020-01-01", "'1.5', 'SECOND_MICROSECOND'", Some("2020-01-01 00:00:01.500000")),
        ("2020-01-01", "1.5, 'SECOND'", Some("2020-01-01 00:00:01.500000")),
        ("2020-01-01", "'1-2', 'YEAR_MONTH'", Some("2021-03-01 00:00:00.000000")),
        ("2020-01-01", "2, 'week'", Some("2020-01-15 00:00:00.000000")),
        ("9999-12-31", "1, 'DAY'", None),
        ("2020-01-01", "9223372036854775807, 'DAY'", None),
        ("2020-01-01", "NULL, 'DAY'", None),
        ("2020-01-01", "1, 'FORTNIGHT'", None),
    ] {
        assert_eq!(ask(&connection, &add(date, span)).as_deref(), expected, "{date} + {span}");
    }
    check(
        &[
            ("z4_dt_text(my_from_unixtime(1447430881), 0)", Some("2015-11-13 16:08:01")),
            ("my_from_unixtime(-1)", None),
            ("my_unix_timestamp()", Some("1650104430")),
            ("my_unix_timestamp('1969-01-01')", Some("0")),
            ("my_timestampdiff('MONTH', '2003-02-01', '2003-05-01')", Some("3")),
            ("my_timestampdiff('YEAR', '2002-05-01', '2001-01-01')", Some("-1")),
            ("my_timestampdiff('MINUTE', '2003-02-01', '2003-05-01 12:05:55')", Some("128885")),
            ("my_timestampdiff('MONTH', '2020-01-31', '2020-02-29')", Some("0")),
            ("z4_dt_text(my_timestampadd('MINUTE', 1, '2003-01-02'), 0)", Some("2003-01-02 00:01:00")),
            ("z4_dt_text(my_timestampadd('SQL_TSI_WEEK', 1, '2003-01-02'), 0)", Some("2003-01-09 00:00:00")),
            ("my_extract('YEAR', '2019-07-02')", Some("2019")),
            ("my_extract('YEAR_MONTH', '2019-07-02 01:02:03')", Some("201907")),
            ("my_extract('DAY_MINUTE', '2019-07-02 01:02:03')", Some("20102")),
            ("my_extract('MICROSECOND', '2003-01-02 10:30:00.000123')", Some("123")),
            ("my_extract('HOUR', '26:00:00')", Some("26")),
            ("z4_dt_text(my_timestamp('2003-12-31 12:00:00', '12:00:00'), 0)", Some("2004-01-01 00:00:00")),
            ("z4_dt_text(my_convert_tz('2004-01-01 12:00:00', '+00:00', '+10:00'), 0)", Some("2004-01-01 22:00:00")),
            ("z4_dt_text(my_convert_tz('2004-01-01 12:00:00', 'GMT', 'MET'), 0)", Some("2004-01-01 13:00:00")),
            ("z4_dt_text(my_adddate('2008-01-02', 31), 0)", Some("2008-02-02 00:00:00")),
            ("z4_dt_text(my_subdate('2008-01-02', 31), 0)", Some("2007-12-02 00:00:00")),
            ("z4_wall_text(my_str_to_date('2013-05-01 10:11:12', '%Y-%m-%d %T'), 0)", Some("2013-05-01 10:11:12")),
            ("z4_tm_text(my_curtime(2), 2)", Some("10:20:30.12")),
            ("my_utc_date()", Some("2022-04-16")),
            ("my_get_format('DATE', 'EUR')", Some("%d.%m.%Y")),
            ("my_hour('2020-01-01')", Some("0")),
        ],
        as_it_is,
    );
}

/// A session east of UTC sees another day.
#[test]
fn the_zone_of_the_session_counts() {
    let connection = connection();
    session::set(NOW_US, Zone::parse("+14:00").expect("a zone"));
    for (sql, expected) in [
        ("z4_today()", "2022-04-17"),
        ("z4_dt('2022-04-16')", "1650067200000000"),
        ("z4_ts(z4_dt('2022-04-16'))", "1650016800000000"),
        ("z4_dt_strict('2022-04-16')", "1650016800000000"),
        ("z4_dt_text(1650067200000000, 0)", "2022-04-16 14:00:00"),
        ("my_hour(z4_dt_text(1650067200000000, 0))", "14"),
        ("my_utc_date()", "2022-04-16"),
        ("z4_wall_text(my_utc_timestamp(), 0)", "2022-04-16 10:20:30"),
        ("z4_tm_text(my_curtime(), 0)", "00:20:30"),
        ("z4_tm_text(my_utc_time(), 0)", "10:20:30"),
        ("my_unix_timestamp('2022-04-16 14:00:00')", "1650067200"),
        ("my_day(z4_date_add(z4_dt('2022-01-31'), 1, 'MONTH'))", "28"),
        ("z4_wall_text(my_str_to_date('2022-04-16 01', '%Y-%m-%d %H'), 0)", "2022-04-16 01:00:00"),
    ] {
        assert_eq!(ask(&connection, sql).as_deref(), Some(expected), "{sql}");
    }
}

/// MySQL 8 differs from MariaDB 10.11 in these.
#[test]
fn as_mysql_and_not_as_mariadb() {
    check(
        &[
            ("LOCATE('', 'abc', 4)", Some("4")),
            ("JSON_EXTRACT('[10, 20, [30, 40]]', '$[1]', '$[0]')", Some("[20, 10]")),
            ("JSON_VALUE('{\"a\": [1]}', '$.a')", Some("[1]")),
            ("JSON_CONTAINS('{\"a\": 1}', '1', '$.x')", None),
            ("JSON_SEARCH('{\"a b\": \"x\"}', 'one', 'x')", Some("\"$.\\\"a b\\\"\"")),
            ("JSON_EXTRACT('{\"a\": 1, \"a\": 2}', '$.a')", Some("2")),
            ("JSON_EXTRACT('{\"a\":{\"x\":1}}', '$.a')", Some("{\"x\": 1}")),
            // A date that is not in the calendar is none.
            ("STR_TO_DATE('2013-02-30', '%Y-%m-%d')", None),
        ],
        translate,
    );
}

/// What users of the original call, and MariaDB has not.
#[test]
fn uuids_digests_and_places_in_arrays() {
    const ID: &str = "6ccd780c-baba-1026-9564-5b8c656024db";
    check(
        &[
            ("MD5('testing')", Some("ae2b1fca515949e5d54fb22b8ed95575")),
            ("MD5(NULL)", None),
            ("IS_UUID('6ccd780c-baba-1026-9564-5b8c656024db')", Some("1")),
            ("IS_UUID('6CCD780CBABA102695645B8C656024DB')", Some("1")),
            ("IS_UUID('{6ccd780c-baba-1026-9564-5b8c656024db}')", Some("1")),
            ("IS_UUID('{6ccd780cbaba102695645b8c656024db}')", Some("0")),
            ("IS_UUID('6ccd780c-baba-1026-9564-5b8c6560')", Some("0")),
            ("IS_UUID('6ccd780cb-aba-1026-9564-5b8c656024db')", Some("0")),
            ("IS_UUID(NULL)", None),
            ("HEX(UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db'))", Some("6CCD780CBABA102695645B8C656024DB")),
            ("HEX(UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db', 0))", Some("6CCD780CBABA102695645B8C656024DB")),
            ("HEX(UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db', 1))", Some("1026BABA6CCD780C95645B8C656024DB")),
            ("BIN_TO_UUID(UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db'))", Some(ID)),
            ("BIN_TO_UUID(UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db', 1), 1)", Some(ID)),
            ("UUID_TO_BIN('x')", Some("1411 Incorrect string value: 'x' for function uuid_to_bin")),
            ("BIN_TO_UUID('x')", Some("1411 Incorrect string value: 'x' for function bin_to_uuid")),
            ("UUID_TO_BIN(NULL)", None),
            (
                "JSON_ARRAY_INSERT('[\"a\", {\"b\": [1, 2]}, [3, 4]]', '$[1]', 'x')",
                Some("[\"a\", \"x\", {\"b\": [1, 2]}, [3, 4]]"),
            ),
            ("JSON_ARRAY_INSERT('[\"a\", [3, 4]]', '$[100]', 'x')", Some("[\"a\", [3, 4], \"x\"]")),
            ("JSON_ARRAY_INSERT('[{\"b\": [1, 2]}]', '$[0].b[0]', 'x')", Some("[{\"b\": [\"x\", 1, 2]}]")),
            ("JSON_ARRAY_INSERT('{\"a\": 1}', '$.a[0]', 'x')", Some("{\"a\": 1}")),
            ("JSON_ARRAY_INSERT('[1]', '$.a', 2)", Some("3165 A path expression is not a path to a cell in an array.")),
            ("JSON_STORAGE_SIZE('[1, 2]')", Some("6")),
            ("JSON_STORAGE_SIZE(NULL)", None),
            ("VALUES(1)", None),
        ],
        translate,
    );
}

#[test]
fn errors_have_mysqls_codes() {
    check(
        &[
            (
                "my_json_extract('{', '$.a')",
                Some("3141 Invalid JSON text in argument 1 to function json_extract: \"Invalid value.\" at position 1."),
            ),
            (
                "my_json_extract('{\"a\": 1} x', '$.a')",
                Some("3141 Invalid JSON text in argument 1 to function json_extract: \"Invalid value.\" at position 9."),
            ),
            ("my_json_extract('{}', 'a')", Some("3143 Invalid JSON path expression. The error is around character position 0.")),
            ("my_json_object(NULL, 1)", Some("3158 JSON documents may not contain NULL member names.")),
            ("my_json_depth(my_repeat('[', 200))", Some("3157 The JSON document exceeds the maximum depth.")),
            ("my_pow(10, 400)", Some("1690 DOUBLE value is out of range in 'pow'")),
            ("my_abs(-9223372036854775808)", Some("1690 BIGINT value is out of range in 'abs'")),
        ],
        as_it_is,
    );
}

#[test]
fn aggregates() {
    let connection = connection();
    let over = |call: &str| {
        ask(
            &connection,
            &format!("{call} FROM (SELECT column1 AS n, column2 AS t FROM (VALUES (1, 'a'), (2, 'b'), (4, 'a'), (NULL, 'c')))"),
        )
    };
    for (call, expected) in [
        ("my_bit_and(n)", Some("0")),
        ("my_bit_or(n)", Some("7")),
        ("my_bit_xor(n)", Some("7")),
        ("my_round(my_var_pop(n), 9)", Some("1.555555556")),
        ("my_round(my_var_samp(n), 9)", Some("2.333333333")),
        ("my_round(my_stddev_pop(n), 9)", Some("1.247219129")),
        ("my_json_arrayagg(z4_json(n))", Some("[1, 2, 4, null]")),
        ("my_json_objectagg(t, z4_json(n))", Some("{\"a\": 4, \"b\": 2, \"c\": null}")),
    ] {
        assert_eq!(over(call).as_deref(), expected, "{call}");
    }
    assert_eq!(ask(&connection, "my_json_arrayagg(1) WHERE 0"), None);
    assert_eq!(ask(&connection, "my_var_samp(1)"), None);
    assert_eq!(ask(&connection, "my_bit_and(1) WHERE 0").as_deref(), Some("-1"));
}

/// BLOBs are cut between bytes and stay BLOBs.
#[test]
fn blobs() {
    check(
        &[
            ("my_char_length(x'c3a9')", Some("2")),
            ("hex(my_left(x'c3a9', 1))", Some("C3")),
            ("typeof(my_left(x'c3a9', 1))", Some("blob")),
            ("typeof(my_concat('a', x'00'))", Some("blob")),
            ("hex(my_unhex('abc'))", Some("0ABC")),
            ("my_hex(x'00ff')", Some("00FF")),
            ("my_length(my_concat('a', char(0), 'b'))", Some("3")),
        ],
        as_it_is,
    );
}

/// The dialect would write calls of what is not there.
#[test]
fn every_signature_has_a_body() {
    let connection = connection();
    let mut named = connection.prepare("SELECT DISTINCT name FROM pragma_function_list").expect("a list");
    let names: std::collections::HashSet<String> =
        named.query_map([], |row| row.get(0)).expect("names").map(|name| name.expect("a name")).collect();
    let missing: Vec<_> = signatures::all().filter(|one| !names.contains(one.sqlite)).map(|one| one.name).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(arguments("'a, b', f(1, 2), 3").len(), 3);
}

/// Printed, not asserted: how long a connection takes to register all, and JSON_EXTRACT of metadata.
#[test]
fn costs() {
    let clock = z4_shards::runtime::clock::monotonic;
    let plain = rusqlite::Connection::open_in_memory().expect("SQLite opens");
    let start = clock();
    register(&plain).expect("registered");
    println!("registering all functions: {:?}", start.elapsed());
    let count = "my_sum FROM (SELECT count(my_json_extract('{\"user_id\": \"newuser@example.com\", \"n\": \"' || value || '\"}', '$.user_id')) my_sum FROM rows)";
    let rows =
        format!("WITH RECURSIVE rows(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM rows LIMIT 200000) SELECT {count}");
    let start = clock();
    let counted: i64 = plain.query_row(&rows, [], |row| row.get(0)).expect("counted");
    println!("JSON_EXTRACT of {counted} rows: {:?}", start.elapsed());
    plain.create_scalar_function("my_nothing", 1, FunctionFlags::SQLITE_UTF8, |_| Ok(1_i64)).expect("registered");
    let start = clock();
    let counted: i64 = plain
        .query_row(&rows.replace("my_json_extract(", "my_nothing(").replace(", '$.user_id'", ""), [], |row| row.get(0))
        .expect("counted");
    println!("a function that does nothing over {counted} rows: {:?}", start.elapsed());
}
