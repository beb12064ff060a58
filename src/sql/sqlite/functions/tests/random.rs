//! No function panics, whatever it is given: a panic would end the process. Proptest prints the seed of what fails.

use proptest::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::{TABLES, register, session};
use crate::sql::sqlite::functions::print;
use crate::sql::zones::Zone;

fn value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        "$",
        "$.a",
        "$[0]",
        "$**.a",
        "$[last-1]",
        "$[1 to 3]",
        "{\"a\": [1, \"é\"]}",
        "[1, 2]",
        "\"x\"",
        "one",
        "all",
        "null",
        "a,b",
        "(",
        "[a-z]+",
        "%",
        "_",
        "DAY",
        "MONTH",
        "DAY_MICROSECOND",
        "HOUR_SECOND",
        "SECOND",
        "YEAR_MONTH",
        "2022-04-16",
        "2022-04-16 01:02:03.5",
        "9999-12-31 23:59:59",
        "0000-01-01",
        "-838:59:59",
        "12:00",
        "+14:00",
        "-12:30",
        "%Y-%m-%d %T",
        "%X %V %W",
        "%j",
        "%f%p",
        "é",
        "\\",
        "$1",
    ]);
    prop_oneof![
        1 => Just(Value::Null),
        2 => prop::sample::select(vec![0, 1, -1, 2, 3, 10, 16, 64, 1 << 24, i64::MAX, i64::MIN, 1_650_067_200_000_000]).prop_map(Value::Integer),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => any::<f64>().prop_map(Value::Real),
        1 => prop::sample::select(vec![0.0, -0.0, 0.5, 1e300, -1e300, f64::INFINITY, f64::NAN, 1e18]).prop_map(Value::Real),
        4 => words.prop_map(|word| Value::Text(word.to_owned())),
        1 => ".{0,12}".prop_map(Value::Text),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::Blob),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_panics(values in prop::collection::vec(value(), 0..6), zone in -50_340..=50_400_i32, now in any::<i64>()) {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        register(&connection).expect("registered");
        let zone = if zone % 2 == 0 { "Europe/Paris".to_owned() } else { format!("{:+03}:{:02}", zone / 3600, zone.abs() / 60 % 60) };
        session::set(now % (1 << 55), Zone::parse(&zone).unwrap_or(Zone::UTC));
        let holes = (1..=values.len()).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        for (name, _) in TABLES.iter().copied().flatten() {
            let asked = connection.query_row(&format!("SELECT {name}({holes})"), params_from_iter(&values), |row| row.get_ref(0).map(|_| ()));
            if let Err(error) = asked {
                prop_assert!(error.to_string().starts_with('\u{1}'), "{name}{values:?}: {error}");
            }
        }
    }

    #[test]
    fn json_reads_what_it_prints(text in "[\\[\\]{}\":, a0-9.e\\\\u-]{0,30}") {
        if let Ok(json) = super::super::json::Json::of(&text, 0, "f") {
            let printed = json.to_string();
            prop_assert_eq!(super::super::json::Json::of(&printed, 0, "f").map(|again| again.to_string()), Ok(printed));
        }
    }

    #[test]
    fn doubles_read_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
        prop_assert_eq!(print::double(value).parse::<f64>(), Ok(value));
        let _ = (print::round(value, 3), print::truncate(value, -3), print::fixed(value, 4));
    }
}
