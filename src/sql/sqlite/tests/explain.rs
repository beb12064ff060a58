//! EXPLAIN is how an operator sees whether a query is cheap: it must tell the ranges that would be read, and read a sample at most.

use super::*;
use crate::sql::testing::row;

#[test]
fn it_tells_groups_ranges_and_order() {
    let bench = bench(Fake::new(3, NOW, &[row("a", false, 5, 1)]));
    let explain = |sql: &str| {
        let (rows, _) = bench.all(sql, 1, Vec::new(), What::Explain).expect(sql);
        rows.into_iter().map(|row| format!("{row:?}").replace("Text(\"", "(\"")).collect::<Vec<_>>()
    };
    let rows = explain(
        "SELECT id FROM tasks WHERE namespace = 'a' AND deliver_at >= 1650067200000000 AND deliver_at < 1650153600000000 ORDER BY deliver_at DESC LIMIT 5",
    );
    assert_eq!(rows.len(), 1);
    for part in [
        "(\"tasks\")",
        "(\"range\")",
        "dead/a/[2022-04-16 00:00:00.000, 2022-04-16 23:59:59.999] tasks/a/[2022-04-16",
        "namespace,id,deliver_at",
        "read in order of due time, backwards",
        "payload not read",
    ] {
        assert!(rows[0].contains(part), "{part}: {}", rows[0]);
    }
    let rows = explain(
        "SELECT t.payload FROM namespaces n JOIN tasks t ON t.namespace = n.name WHERE t.deliver_at BETWEEN 1 AND 2 ORDER BY t.attempts",
    );
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains("\"n\"") && rows[0].contains("ALL"), "{}", rows[0]);
    assert!(rows[1].contains("depend on the rows") && rows[1].contains("USE TEMP B-TREE FOR ORDER BY"), "{}", rows[1]);
    assert!(explain("SELECT 1")[0].contains("No tables used"));
    let before = bench.fake.reads();
    let refused = bench.all("SELECT id FROM tasks", 1, Vec::new(), What::Explain).expect_err("unbounded");
    assert_eq!((refused.code, bench.fake.reads()), (1175, before));
}

#[test]
fn it_tells_about_how_many_rows() {
    let rows: Vec<_> = (0..5_000).map(|n| row("a", false, n * 1_000, n)).collect();
    let bench = bench(Fake::new(3, NOW, &rows));
    for (seconds, about) in [(5_000_u64, 5_000_i64), (1_000, 1_000), (100, 100), (0, 0)] {
        let sql = format!(
            "SELECT id FROM tasks WHERE namespace IN ('a', 'b') AND deliver_at >= 0 AND deliver_at < {}",
            seconds * 1_000_000
        );
        let (rows, _) = bench.all(&sql, 1, Vec::new(), What::Explain).expect("a plan");
        let told = match &rows[0][5] {
            Datum::Int(told) => *told,
            other => panic!("{other:?} is no number"),
        };
        assert!((told - about).abs() <= about / 10, "{told} rows of {about}");
    }
}
