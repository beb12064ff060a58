//! thin
use super::*;
use std::collections::BTreeMap;
fn context() -> Context {
    Context {
        connection: 7,
        user: "root".into(),
        host: "localhost".into(),
        database: Some("z4".into()),
        now_us: 0,
        zone_seconds: 0,
        consistency: Default::default(),
        max_execution_ms: 30000,
        select_limit: u64::MAX,
        variables: BTreeMap::new(),
        warnings: vec![],
    }
}
#[test]
fn thin() {
    for sql in [
        "SELECT * FROM tasks WHERE namespace = 'welcome_emails' AND deliver_at BETWEEN '2022-04-16' AND '2022-04-17' AND JSON_EXTRACT(metadata, '$.user_id') = 'newuser@example.com';",
        "select count(*), t.state s from z4.tasks t where deliver_at > now() - interval 1 day group by s having count(*) > 1 order by 1 desc limit 5,10",
    ] {
        match compile(sql, &context()) {
            Ok(Statement::Query(q)) => {
                println!("{}\n{:?}", q.sqlite, q.columns.iter().map(|c| (&c.name, c.ty)).collect::<Vec<_>>())
            }
            other => println!("{other:?}"),
        }
    }
}
