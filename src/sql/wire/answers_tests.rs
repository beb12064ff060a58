//! Statements with MySQL's answers, through dialect, engine and the text protocol: what a client sees.
//!
//! `answers/*.txt` hold them: `> statement`, then its rows (`= value | value`, NULL is `NULL`) and, where they matter, the types of its
//! columns (`: Int, Text`), or its error (`! code`). The answers are MariaDB 10.11's, and MySQL 8.0's documented ones where a comment
//! says so. `@ zone NAME` sets the session's time zone for the statements below it. The clock stands at 2022-04-16 10:20:30.123456 UTC; `tasks` has six rows in namespaces a and b, all due in 1970.

use std::fmt::Write;
use std::sync::Arc;

use super::rows::Form;
use crate::sql::context::Context;
use crate::sql::dialect::compile_for_others as compile;
use crate::sql::error::SqlError;
use crate::sql::result::{Batch, Progress};
use crate::sql::sqlite::{EXPLAIN_COLUMNS, Engine, Options, What};
use crate::sql::statement::{OutColumn, Query, Statement};
use crate::sql::testing::{Fake, context, row};
use crate::sql::types::SqlType;
use crate::sql::zones::Zone;

const FILES: &[(&str, &str)] = &[
    ("grammar", include_str!("answers/grammar.txt")),
    ("times", include_str!("answers/times.txt")),
    ("numbers", include_str!("answers/numbers.txt")),
    ("decimals", include_str!("answers/decimals.txt")),
    ("values", include_str!("answers/values.txt")),
    ("documents", include_str!("answers/documents.txt")),
    ("zones", include_str!("answers/zones.txt")),
    ("groups", include_str!("answers/groups.txt")),
    ("differences", include_str!("answers/differences.txt")),
    ("regexps", include_str!("answers/regexps.txt")),
];

/// 2022-04-16 10:20:30.123 UTC.
const NOW_MS: u64 = 1_650_104_430_123;

pub(super) fn engine() -> Engine {
    let rows: Vec<_> = (0..6).map(|i| row(["a", "b"][i as usize % 2], i % 3 == 0, 1_000 + i * 1_000, i + 1)).collect();
    let fake = Arc::new(Fake::new(1, NOW_MS, &rows));
    let options = Options {
        queries_max: 1,
        waiting_max: 4,
        query_memory_bytes_max: 16 << 20,
        memory_bytes_max: 256 << 20,
        unbounded_rows_max: 0,
    };
    Engine::start(fake.clone(), fake, options).expect("an engine")
}

/// The values of a row of the text protocol.
pub(super) fn values(mut packet: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    while let Some((first, rest)) = packet.split_first() {
        let (length, rest) = match first {
            0xfb => {
                values.push("NULL".to_owned());
                packet = rest;
                continue;
            }
            0xfc => (usize::from(u16::from_le_bytes([rest[0], rest[1]])), &rest[2..]),
            0xfd => panic!("an answer of these is short"),
            short => (usize::from(*short), rest),
        };
        let (value, rest) = rest.split_at(length);
        values.push(String::from_utf8_lossy(value).into_owned());
        packet = rest;
    }
    values
}

fn run(engine: &Engine, query: &Query, context: &Context, what: What) -> Result<Vec<Batch>, SqlError> {
    let mut progress = engine.start_query(Arc::new(query.clone()), query.values(), Arc::new(context.clone()), what);
    let mut batches = Vec::new();
    while let Some(step) = progress.blocking_recv() {
        match step {
            Progress::Rows(batch) => batches.push(batch),
            Progress::Done { .. } => return Ok(batches),
            Progress::Failed(error) => return Err(error),
        }
    }
    panic!("a query ended without a word");
}

/// What a client sees, in the form of the files; `types`: the types of the columns, too.
fn answer(engine: &Engine, context: &Context, sql: &str, types: bool) -> String {
    let (query, what) = match compile(sql, context) {
        Ok(Statement::Query(query)) => (query, What::Run),
        Ok(Statement::Do(query)) => (query, What::Drop),
        Ok(Statement::Explain(query)) => {
            let column = |(name, ty): &(&str, SqlType)| OutColumn {
                name: (*name).to_owned(),
                table: String::new(),
                origin: None,
                ty: *ty,
                nullable: true,
                whole: 0,
            };
            (Query { columns: EXPLAIN_COLUMNS.iter().map(column).collect(), ..query }, What::Explain)
        }
        Ok(other) => return format!("< {other:?}\n"),
        Err(error) => return format!("! {} {}\n", error.code, error.message),
    };
    let batches = match run(engine, &query, context, what) {
        Ok(batches) => batches,
        Err(error) => return format!("! {} {}\n", error.code, error.message),
    };
    let mut text = String::new();
    if types {
        let types: Vec<String> = query.columns.iter().map(|column| format!("{:?}", column.ty)).collect();
        let _ = writeln!(text, ": {}", types.join(", "));
    }
    let form = Form { types: query.columns.iter().map(|column| column.ty).collect(), binary: false, zone: context.zone.clone() };
    for batch in &batches {
        for row in batch.cells.chunks(query.columns.len()) {
            let mut packet = Vec::new();
            form.push_text(&mut packet, batch, row);
            let _ = writeln!(text, "= {}", values(&packet).join(" | "));
        }
    }
    text
}

/// `Z4_ANSWERS=show` prints what z4 answers now instead of comparing.
#[test]
fn answers_are_mysqls() {
    let engine = engine();
    let show = std::env::var_os("Z4_ANSWERS").is_some();
    let (mut wrong, mut count) = (String::new(), 0);
    for (name, text) in FILES {
        let mut lines = text.lines().peekable();
        let mut context = context(NOW_MS);
        while let Some(line) = lines.next() {
            if let Some(zone) = line.strip_prefix("@ zone ") {
                context.zone = Zone::parse(zone).expect(zone);
            }
            let Some(sql) = line.strip_prefix("> ") else { continue };
            let mut expected = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with(['>', '#', '@']) && !line.is_empty()) {
                expected.push_str(line);
                expected.push('\n');
            }
            let got = answer(&engine, &context, sql, expected.starts_with(':'));
            count += 1;
            // Of an error the code is compared where no sentence is expected.
            let code_only = expected.starts_with('!') && expected.trim().split(' ').count() == 2;
            let same = if code_only { got.split(' ').take(2).eq(expected.trim().split(' ')) } else { got == expected };
            if !same || show {
                let _ = writeln!(wrong, "{name}: {sql}\n{got}instead of\n{expected}");
            }
        }
    }
    assert!(wrong.is_empty(), "of {count} statements:\n{wrong}");
}
