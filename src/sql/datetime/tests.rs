//! A date must mean the same in every form in which MySQL takes it, and what is no date must be none: otherwise a query's range would be
//! another than the one written. The numbers here come from `date -u -d … +%s` and from MySQL's manual.

use proptest::prelude::*;

use super::*;

fn parse(text: &str, zone: i32) -> Option<i64> {
    parse_civil(text).map(|(civil, own)| from_civil(&civil, own.unwrap_or(zone)))
}

fn at(text: &str) -> Option<i64> {
    parse(text, 0)
}

const DAY_OF_TEST: i64 = 1_650_067_200 * SECOND; // 2022-04-16

#[test]
fn every_form_of_a_day_is_the_same_day() {
    for text in [
        "2022-04-16",
        "2022-4-16",
        "2022/04/16",
        "2022.04.16",
        "2022@4@16",
        "22-04-16",
        "22-4-16",
        "20220416",
        "220416",
        " 2022-04-16 ",
        "2022-04-16 00:00",
        "2022-04-16 0",
        "2022-04-16 00:00:00",
        "2022-04-16T00:00:00",
        "2022-04-16 00:00:00.000000",
        "2022-04-16T00:00:00Z",
        "2022-04-16 02:00:00+02:00",
        "2022-04-15 22:00:00-02:00",
        "20220416000000",
        "220416000000",
        "20220416T000000",
        "2022-04-16 00:00:00.",
        "2022-04-16:00:00:00",
        "2022-04-15 23:59:59.9999999",
    ] {
        assert_eq!(at(text), Some(DAY_OF_TEST), "{text:?}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        "x",
        "2022",
        "2022-04",
        "2022-04-31",
        "2022-02-29",
        "2022-13-01",
        "2022-00-10",
        "2022-01-00",
        "0000-00-00",
        "2022-04-16x",
        "2022-04-16 24:00:00",
        "2022-04-16 10:60:00",
        "2022-04-16 10:00:60",
        "2022-04-16 10:00:00 x",
        "2022-04-16 10:00:00+15:00",
        "2022-04-16+02:00",
        "20220",
        "2022041",
        "202204161",
        "2022-04-16T",
        "2022-04-16 10:00:00.x",
        "ü2022-04-16",
        "2022-04-16 ü",
        "99999-01-01",
        "2022-04-16 10:00:00+2",
        "2022-04-16 10 05",
    ] {
        assert_eq!(at(text), None, "{text:?}");
    }
}

#[test]
fn a_fraction_counts_to_the_microsecond() {
    assert_eq!(at("2022-04-16 00:00:00.5"), Some(DAY_OF_TEST + 500_000));
    assert_eq!(at("2022-04-16 00:00:00.000001"), Some(DAY_OF_TEST + 1));
    assert_eq!(at("2022-04-16 00:00:00.1234565"), Some(DAY_OF_TEST + 123_457));
    assert_eq!(at("20220416000000.25"), Some(DAY_OF_TEST + 250_000));
    assert_eq!(at("2022-04-16T00:00:00.25+01:00"), Some(DAY_OF_TEST + 250_000 - 3600 * SECOND));
}

#[test]
fn the_zone_of_the_session_counts_where_the_text_names_none() {
    assert_eq!(parse("2022-04-16 02:00", 7200), Some(DAY_OF_TEST));
    assert_eq!(parse("2022-04-16 00:00:00Z", 7200), Some(DAY_OF_TEST));
    assert_eq!(format(DAY_OF_TEST, 7200, 3), "2022-04-16 02:00:00.000");
    assert_eq!(format(DAY_OF_TEST + 1, -3600, 0), "2022-04-15 23:00:00");
    assert_eq!(format(DAY_OF_TEST + 1, 0, 6), "2022-04-16 00:00:00.000001");
}

#[test]
fn years_of_two_digits() {
    assert_eq!(at("69-12-31"), at("2069-12-31"));
    assert_eq!(at("70-01-01"), Some(0));
    assert_eq!(at("1-1-1"), at("0001-01-01"));
}

#[test]
fn numbers() {
    for number in [220_416, 20_220_416, 220_416_000_000, 20_220_416_000_000] {
        assert_eq!(parse_number(number), Some(DAY_OF_TEST), "{number}");
    }
    for number in [0, -1, 100, 20_220_431, 20_220_416_240_000, i64::MAX, i64::MIN] {
        assert_eq!(parse_number(number), None, "{number}");
    }
}

#[test]
fn days_and_months() {
    assert_eq!(days_from_civil(0, 1, 1), FIRST_DAY);
    assert_eq!(days_from_civil(9999, 12, 31), LAST_DAY);
    assert_eq!(weekday(0), 3, "1970-01-01 was a Thursday");
    assert_eq!(weekday(days_from_civil(2022, 4, 16)), 5, "a Saturday");
    let (end, _) = parse_civil("2022-01-31 10:00").expect("a date");
    assert_eq!(add_months(&end, 1).map(|c| (c.year, c.month, c.day, c.hour)), Some((2022, 2, 28, 10)));
    assert_eq!(add_months(&end, -2).map(|c| (c.year, c.month, c.day)), Some((2021, 11, 30)));
    assert_eq!(add_months(&end, i64::MAX), None);
    assert_eq!(add_months(&end, 12 * 9999), None);
}

proptest! {
    #[test]
    fn a_moment_written_is_read_as_itself(us in FIRST_DAY * DAY..(LAST_DAY + 1) * DAY, zone in -50_340..50_400_i32) {
        let local = us + i64::from(zone) * SECOND;
        prop_assume!((FIRST_DAY * DAY..(LAST_DAY + 1) * DAY).contains(&local));
        prop_assert_eq!(parse(&format(us, zone, 6), zone), Some(us));
        prop_assert_eq!(from_civil(&civil(us, zone), zone), us);
    }

    #[test]
    fn days_come_one_after_the_other(days in FIRST_DAY..LAST_DAY) {
        let (year, month, day) = civil_from_days(days);
        prop_assert_eq!(days_from_civil(year, month, day), days);
        prop_assert!(civil_from_days(days + 1) > (year, month, day));
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC*", digits in "[-0-9:./TZ +]{0,30}", number: i64, zone: i32) {
        let _ = (parse(&text, zone), parse(&digits, zone), parse_number(number), format(number, zone, 6));
    }
}
