//! What MySQL's SQL becomes: a wrong name, type or coercion here is a wrong answer to a user, or a column that tools show as another type.

mod golden;
mod hostile;
mod lifts;
mod sqlite;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sql::context::{Consistency, Context, Variables};
use crate::sql::types::Datum;
use crate::sql::zones::Zone;

/// A session at 2022-04-16 10:00:00 UTC in the zone +00:00.
fn context() -> Context {
    let text = |name: &str, value: &str| (name.to_owned(), Datum::Text(value.to_owned()));
    Context {
        connection: 7,
        user: "root".to_owned(),
        host: "localhost".to_owned(),
        database: Some("z4".to_owned()),
        now_us: 1_650_103_200_000_000,
        zone: Zone::UTC,
        params: Arc::default(),
        consistency: Consistency::Stale,
        max_execution_ms: 30_000,
        select_limit: u64::MAX,
        variables: Variables::new(Arc::new(BTreeMap::from([
            text("version", "8.0.36-z4"),
            text("version_comment", "z4"),
            text("sql_mode", "STRICT_TRANS_TABLES"),
            ("max_allowed_packet".to_owned(), Datum::UInt(67_108_864)),
            ("autocommit".to_owned(), Datum::Int(1)),
        ]))),
        own: Arc::default(),
        warnings: Vec::new(),
    }
}
