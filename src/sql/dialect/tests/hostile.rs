//! Whatever is sent is answered: no panic, no overflow of the stack, no time without bound.

use proptest::prelude::*;

use super::super::compile;
use super::{context, golden};
use crate::sql::statement::Statement;

fn repeated(head: &str, part: &str, count: usize, tail: &str) -> String {
    format!("{head}{}{tail}", part.repeat(count))
}

/// Threads have 2 MiB of stack, and builds without optimization take much of it: a quarter is left here.
#[test]
fn what_is_nested_without_end_is_an_error() {
    let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(nested).expect("a thread");
    thread.join().expect("no panic");
}

fn nested() {
    for count in [30, 50, 59, 70, 500, 5_000] {
        for (head, part, tail) in [
            ("SELECT ", "(", "1"),
            ("SELECT ", "-", "1"),
            ("SELECT ", "- ", "1"),
            ("SELECT ", "!", "1"),
            ("SELECT ", "~", "1"),
            ("SELECT ", "NOT ", "1"),
            ("SELECT ", "f(", "1"),
            ("SELECT ", "ABS(", "1"),
            ("SELECT ", "CASE WHEN ", "1"),
            ("SELECT ", "(SELECT ", "1"),
            ("SELECT 1", " IS NULL", ""),
            ("SELECT 1", " COLLATE utf8mb4_bin", ""),
            ("SELECT 1", "+1", ""),
            ("SELECT 1", " OR 1", ""),
            ("SELECT 1", " AND (1", ""),
            ("SELECT 1", " BETWEEN 1 AND 1", ""),
            ("SELECT 1", " LIKE 1", ""),
            ("SELECT 1", " IN (1)", ""),
            ("SELECT 1", " -> '$'", ""),
            ("SELECT 1", " UNION SELECT 1", ""),
            ("SELECT 1 + ", "INTERVAL ", "1 DAY"),
            ("SELECT * FROM ", "(", "peers"),
            ("SELECT * FROM ", "(SELECT * FROM ", "peers"),
            ("SELECT * FROM peers", " JOIN peers", ""),
            ("SELECT * FROM peers", ", peers", ""),
            ("", "(", "SELECT 1"),
            ("", "EXPLAIN ", "SELECT 1"),
            ("SELECT CAST(1 AS ", "DECIMAL(", "1"),
            ("SELECT EXTRACT(DAY FROM ", "EXTRACT(DAY FROM ", "1"),
            ("SET x = ", "CONCAT(", "1"),
            ("SELECT 1 ", "/*!40101 ", ""),
            ("SELECT ", "{", "1"),
            ("SELECT ", "[", "1"),
            ("SELECT BINARY ", "BINARY ", "1"),
            ("SELECT 1 IN ", "(1, ", "1"),
            ("WITH x AS ", "(WITH x AS ", "1"),
            ("SELECT a", ".a", ""),
            ("SELECT 'a' ", "'a' ", ""),
            ("SELECT ", "@", "a"),
        ] {
            let _ = compile(&repeated(head, part, count, tail), &context());
            let closed = repeated(head, part, count, tail) + &")".repeat(count);
            let _ = compile(&closed, &context());
        }
    }
}

/// Some rewrites write a part of a statement several times, and one inside of another would grow with a power of its depth: they are
/// refused before that, whichever way they are nested, and shallow ones are not.
#[test]
fn no_rewrite_grows_without_bound() {
    const BYTES_MAX: usize = 8 << 20;
    for (head, innermost, tail) in [
        ("1 > ANY (SELECT ", "1", ")"),
        ("(", "1", " <> ANY (SELECT 2))"),
        ("(", "1", " = ALL (SELECT 1 > ALL (SELECT 2)))"),
        ("(SELECT a FROM (SELECT ", "1", " a) t GROUP BY a WITH ROLLUP LIMIT 1)"),
        ("(SELECT MAX(a) FROM (SELECT 1 a, 2 b) t GROUP BY b, ", "3 + 4", " WITH ROLLUP LIMIT 1)"),
        ("1 < ALL (SELECT a FROM (SELECT ", "1", " a, 2 b) t GROUP BY a, b WITH ROLLUP)"),
        ("(SELECT a > ANY (SELECT ", "1", ") FROM (SELECT 1 a) t GROUP BY a WITH ROLLUP LIMIT 1)"),
        ("(SELECT l.a FROM (SELECT 1 a) t, LATERAL (SELECT t.a > ANY (SELECT ", "1", ") a) l)"),
    ] {
        let mut refused = false;
        for depth in 1..=24 {
            match compile(&(repeated("SELECT ", head, depth, innermost) + &tail.repeat(depth)), &context()) {
                Ok(Statement::Query(query)) => {
                    let bytes = query.sqlite.len();
                    assert!(bytes <= BYTES_MAX, "{head}…{tail}, {depth} times, becomes {bytes} bytes");
                }
                Ok(other) => panic!("{other:?} is no query"),
                Err(wrong) => {
                    assert!([1235, 1436].contains(&wrong.code), "{head}…{tail}, {depth} times: {wrong:?}");
                    assert!(depth > 1, "{head}…{tail}: {wrong:?}");
                    refused = true;
                }
            }
        }
        assert!(refused, "{head}…{tail} is never refused");
    }
}

#[test]
fn a_hundred_thousand_parentheses_are_an_error() {
    for part in ["(", "ABS(", "(SELECT "] {
        let closed = repeated("SELECT ", part, 100_000, "1") + &")".repeat(100_000);
        assert_eq!(compile(&closed, &context()).map_err(|wrong| wrong.code), Err(1436), "{part}");
    }
}

#[test]
fn what_is_long_is_no_error() {
    let list: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    assert!(compile(&format!("SELECT id FROM tasks WHERE attempts IN ({})", list.join(",")), &context()).is_ok());
    assert!(compile(&repeated("SELECT id FROM tasks WHERE id = 'x'", " OR id = 'x'", 400, ""), &context()).is_ok());
    assert!(compile(&repeated("SELECT 1", ", 1 + 1", 1_000, ""), &context()).is_ok());
    assert!(compile(&(repeated("SELECT ", "(", 40, "1") + &")".repeat(40)), &context()).is_ok());
}

fn mutated() -> impl Strategy<Value = String> {
    let statements: Vec<&'static str> = golden::statements().collect();
    let words = [
        "(", ")", ",", "'", "\"", "`", "SELECT", "FROM", "?", "@", "0x", "--", "/*", "*/", "é", "INTERVAL", "1e9", "AS", "*",
        ".", ";",
    ];
    (
        proptest::sample::select(statements),
        proptest::collection::vec((any::<proptest::sample::Index>(), 0..3_u8, proptest::sample::select(words.to_vec())), 1..6),
    )
        .prop_map(|(sql, edits)| {
            let mut chars: Vec<char> = sql.chars().collect();
            for (at, edit, word) in edits {
                let at = at.index(chars.len() + 1);
                match edit {
                    0 => drop(chars.drain(at..(at + 5).min(chars.len()))),
                    1 => drop(chars.splice(at..at, word.chars())),
                    _ => chars.truncate(at),
                }
            }
            chars.into_iter().collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_text_is_answered(text in "\\PC{0,80}") {
        let _ = compile(&text, &context());
        let _ = compile(&format!("SELECT {text}"), &context());
    }

    #[test]
    fn statements_with_mistakes_are_answered(sql in mutated()) {
        let _ = compile(&sql, &context());
    }
}
