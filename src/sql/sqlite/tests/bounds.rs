//! Parameters and values of every type as bounds: NULL and text allow nothing, fractions are exact.

use super::*;
use crate::sql::testing::row;

#[test]
fn values_of_every_type_bound() {
    let rows: Vec<_> = (0..10).map(|i| row("a", false, i, i + 1)).collect();
    let bench = bench(Fake::new(2, NOW, &rows));
    let count = |low: Datum, high: Datum| {
        let sql = "SELECT count(*) FROM tasks WHERE namespace = ?1 AND deliver_at >= ?2 AND deliver_at <= ?3";
        match bench.all(sql, 1, vec![text("a"), low, high], What::Run).expect("rows").0[0][0] {
            Datum::Int(n) => n,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(count(Datum::Int(2000), Datum::Int(4000)), 3);
    assert_eq!(count(Datum::Int(2001), Datum::Int(3999)), 1);
    assert_eq!(count(Datum::Double(2000.5), Datum::Double(4000.5)), 2);
    assert_eq!(count(Datum::Double(-1e300), Datum::Double(1e300)), 10);
    assert_eq!(count(Datum::Int(i64::MIN), Datum::UInt(u64::MAX)), 10);
    assert_eq!(count(Datum::Null, Datum::Int(4000)), 0);
    assert_eq!(count(text("x"), Datum::Int(4000)), 0);
    assert_eq!(count(Datum::Int(5000), Datum::Int(4000)), 0);
}

#[test]
fn names_that_are_none_match_nothing() {
    let bench = bench(Fake::new(2, NOW, &[row("a", false, 5, 1), row("5", false, 5, 1)]));
    for (name, count) in [("''", 0), ("NULL", 0), ("x'61'", 0), ("5", 1), ("5.5", 0), ("char(1)", 0), ("'A'", 0)] {
        let sql = format!("SELECT count(*) FROM tasks WHERE namespace = {name} AND deliver_at BETWEEN 0 AND 9000000");
        assert_eq!(bench.rows(&sql, 1), [[Datum::Int(count)]], "{name}");
    }
}
