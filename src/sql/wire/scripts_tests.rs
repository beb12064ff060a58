//! What a client sees of one statement after the other: sessions with the engine behind them, through the protocol.
//!
//! `answers/sessions.txt` holds them: `@ session` begins one, `> statement` is asked, and its answer follows: rows (`= value | value`),
//! `ok`, or an error (`! code`). `? type value` lines before a statement are the parameters of a prepared one (`double 1.5`,
//! `decimal 1.50`, `bigint -1`, `unsigned 5`, `text a`, `bytes ff00`, `datetime 2022-04-16 01:02:03.5`, `date 2022-04-16`,
//! `time -26:03:04`, `null`), whose answer is read in the binary protocol: the numbers of the columns' types come first (`: 5, 246`).

use std::fmt::Write;
use std::sync::Arc;

use super::answers_tests::{engine, values};
use super::bytes::{Input, push_string};
use super::fake::{Client, Refusal, Rows, guest, stand_over};
use super::moments::{Clock, Moment};

const SESSIONS: &str = include_str!("answers/sessions.txt");

/// A parameter: its type, its flag, its bytes; no bytes: NULL.
fn param(written: &str) -> (u8, u8, Option<Vec<u8>>) {
    let (name, value) = written.split_once(' ').unwrap_or((written, ""));
    let (mut bytes, date) = (Vec::new(), || Moment::parse(value.as_bytes()).expect("a date"));
    let (kind, flag) = match name {
        "null" => return (6, 0, None),
        "bigint" => {
            bytes.extend(value.parse::<i64>().expect("a number").to_le_bytes());
            (8, 0)
        }
        "unsigned" => {
            bytes.extend(value.parse::<u64>().expect("a number").to_le_bytes());
            (8, 0x80)
        }
        "double" => {
            bytes.extend(value.parse::<f64>().expect("a number").to_le_bytes());
            (5, 0)
        }
        "decimal" => {
            push_string(&mut bytes, value.as_bytes());
            (246, 0)
        }
        "text" => {
            push_string(&mut bytes, value.as_bytes());
            (253, 0)
        }
        "bytes" => {
            let digits = value.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
            let all: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("a byte")).collect();
            push_string(&mut bytes, &all);
            (253, 0)
        }
        "datetime" => {
            date().push_binary(&mut bytes, false, 6);
            (12, 0)
        }
        "date" => {
            date().push_binary(&mut bytes, true, 0);
            (10, 0)
        }
        "time" => {
            Clock::parse(value).expect("a time").push_binary(&mut bytes, 6);
            (11, 0)
        }
        other => panic!("{other} is no type"),
    };
    (kind, flag, Some(bytes))
}

/// The types of the columns, and the rows.
fn binary(result: &Rows) -> String {
    const UNSIGNED: u8 = 0x20;
    let flags: Vec<u8> = result.columns.iter().map(|column| column[column.len() - 5]).collect();
    let kinds: Vec<u8> = result.columns.iter().map(|column| column[column.len() - 6]).collect();
    let mut text = format!(": {}\n", kinds.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
    for row in &result.rows {
        let nulls = (kinds.len() + 9) / 8;
        let mut input = Input(&row[1 + nulls..]);
        let mut shown = Vec::new();
        for (at, kind) in kinds.iter().enumerate() {
            if row[1 + (at + 2) / 8] & 1 << ((at + 2) % 8) != 0 {
                shown.push("NULL".to_owned());
                continue;
            }
            shown.push(match kind {
                8 if flags[at] & UNSIGNED != 0 => u64::from_le_bytes(input.array().expect("eight bytes")).to_string(),
                8 => i64::from_le_bytes(input.array().expect("eight bytes")).to_string(),
                5 => f64::from_le_bytes(input.array().expect("eight bytes")).to_string(),
                10..=12 => {
                    let length = input.u8().expect("a length");
                    format!("{:?}", input.take(usize::from(length)).expect("whole"))
                }
                _ => input.string().map(|bytes| bytes.escape_ascii().to_string()).expect("a string"),
            });
        }
        let _ = writeln!(text, "= {}", shown.join(" | "));
    }
    text
}

async fn prepared(client: &mut Client, sql: &str, params: &[&str]) -> Result<Rows, Refusal> {
    let (id, count, _) = client.prepare(sql).await?;
    assert_eq!(usize::from(count), params.len(), "{sql}");
    let params: Vec<_> = params.iter().map(|written| param(written)).collect();
    let mut nulls = vec![0_u8; params.len().div_ceil(8)];
    let (mut types, mut bytes) = (Vec::new(), Vec::new());
    for (at, (kind, flag, value)) in params.iter().enumerate() {
        types.extend([*kind, *flag]);
        match value {
            Some(value) => bytes.extend_from_slice(value),
            None => nulls[at / 8] |= 1 << (at % 8),
        }
    }
    client.execute(id, &[&nulls[..], &[1], &types, &bytes].concat()).await
}

#[tokio::test]
async fn sessions_are_mysqls() {
    let stand = stand_over(Arc::new(engine()));
    let mut client = guest(&stand).await;
    let (mut wrong, mut params) = (String::new(), Vec::new());
    let mut lines = SESSIONS.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "@ session" {
            client = guest(&stand).await;
        }
        params.extend(line.strip_prefix("? "));
        let Some(sql) = line.strip_prefix("> ") else { continue };
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(['=', '!', 'o', ':'])) {
            expected.push_str(line);
            expected.push('\n');
        }
        let params = std::mem::take(&mut params);
        let result = match params.is_empty() {
            true => client.query(sql).await,
            false => prepared(&mut client, sql, &params).await,
        };
        let got = match result {
            Err((code, message)) if expected.trim().split(' ').count() > 2 => format!("! {code} {message}\n"),
            Err((code, _)) => format!("! {code}\n"),
            Ok(rows) if rows.columns.is_empty() => "ok\n".to_owned(),
            Ok(rows) if !params.is_empty() => binary(&rows),
            Ok(rows) => rows.rows.iter().map(|row| format!("= {}\n", values(row).join(" | "))).collect(),
        };
        if got != expected {
            let _ = writeln!(wrong, "{sql} {params:?}\n{got}instead of\n{expected}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
