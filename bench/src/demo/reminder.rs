//! A reminder of the input file, and the task that it becomes.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use z4_proto::CreateTaskRequest;

use super::csv;
use crate::error::{Error, Result};
use crate::wire;

/// The columns of the file, in their order.
const COLUMNS: [&str; 7] = ["request_id", "namespace", "due", "user_id", "channel", "locale", "payload"];
/// The metadata entry that tells which reminder a delivered task is.
const REMINDER: &str = "reminder_id";

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// Makes its create idempotent.
    pub request_id: String,
    /// Where its task goes.
    pub namespace: String,
    /// When it is due, in milliseconds from the start of the demo; negative for the past.
    pub due_ms: i64,
    /// Whom it is for, how and in which language.
    pub metadata: BTreeMap<String, String>,
    /// What it says.
    pub payload: String,
}

impl Reminder {
    /// The task: due at its time after `start_ms` (milliseconds since 1970).
    pub fn request(&self, start_ms: i64) -> CreateTaskRequest {
        CreateTaskRequest {
            request_id: self.request_id.clone(),
            namespace: self.namespace.clone(),
            metadata: self.metadata.clone(),
            payload: Bytes::from(self.payload.clone()),
            deliver_at: Some(wire::timestamp(start_ms + self.due_ms)),
            ..CreateTaskRequest::default()
        }
    }

    fn new(record: Vec<String>) -> std::result::Result<Self, String> {
        let count = record.len();
        let [request_id, namespace, due, user_id, channel, locale, payload]: [String; 7] =
            record.try_into().map_err(|_| format!("{count} fields instead of {}", COLUMNS.len()))?;
        let due_ms = due_ms(&due).ok_or_else(|| format!("due {due:?} is not like -3600s, +0s or +7.250s"))?;
        let metadata = [(REMINDER, request_id.clone()), ("user_id", user_id), ("channel", channel), ("locale", locale)];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
        Ok(Self { request_id, namespace, due_ms, metadata, payload })
    }
}

/// Reads a file of reminders.
pub fn read(path: &Path) -> Result<Vec<Reminder>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(format!("cannot read {}", path.display())))?;
    parse(&text).map_err(|problem| Error::Input(format!("{}: {problem}", path.display())))
}

fn parse(text: &str) -> std::result::Result<Vec<Reminder>, String> {
    let mut records = csv::records(text).map_err(|e| e.to_string())?.into_iter();
    if records.next().is_none_or(|header| header != COLUMNS) {
        return Err(format!("the first line is not: {}", COLUMNS.join(",")));
    }
    let numbered = records.enumerate();
    numbered.map(|(n, record)| Reminder::new(record).map_err(|e| format!("reminder {}: {e}", n + 1))).collect()
}

/// `+7.250s` as 7250: a sign, seconds with up to three decimals, and an s.
fn due_ms(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let number = rest.strip_suffix('s')?;
    let (seconds, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let milliseconds: i64 = format!("{decimals:0<3}").parse().ok()?;
    Some(sign * seconds.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(milliseconds)?)
}

/// Which reminder a delivered task is.
pub fn id_of(metadata: &BTreeMap<String, String>) -> Option<&str> {
    metadata.get(REMINDER).map(String::as_str)
}

#[cfg(test)]
mod tests {
    //! The demo claims that nothing is delivered before its time, so the times of its input must be read to the millisecond; and the
    //! committed file must be what the demo needs: reminders in the past, now and to come, each with its own request id.
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn due_times_are_read_to_the_millisecond() {
        for (text, want) in [("+0s", 0), ("-3600s", -3_600_000), ("+7.250s", 7_250), ("+7.25s", 7_250), ("-0.001s", -1)] {
            assert_eq!(due_ms(text), Some(want), "{text}");
        }
        for bad in ["", "+", "5s", "+5", "+s", "+1.s", "+.5s", "+1.2345s", "+1.-2s", "+--1s", "é5s", "+99999999999999999999s"] {
            assert_eq!(due_ms(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_committed_file_is_what_the_demo_needs() {
        let reminders = parse(include_str!("../../demo/reminders.csv")).expect("the file");
        let share =
            |wanted: fn(i64) -> bool| reminders.iter().filter(|r| wanted(r.due_ms)).count() as f64 / reminders.len() as f64;
        assert!(reminders.len() >= 2_000);
        assert!(share(|ms| ms < 0) > 0.15 && share(|ms| ms == 0) > 0.1 && share(|ms| ms > 500) > 0.5);
        assert!(reminders.iter().all(|r| r.due_ms <= 12_000 && serde_json::from_str::<serde_json::Value>(&r.payload).is_ok()));
        assert_eq!(reminders.iter().map(|r| &r.request_id).collect::<BTreeSet<_>>().len(), reminders.len());
    }

    #[test]
    fn a_reminder_becomes_its_task() {
        let text = "request_id,namespace,due,user_id,channel,locale,payload\nr1,n,+1.500s,u,sms,de,\"{\"\"a\"\":1}\"\n";
        let task = parse(text).expect("one reminder")[0].request(10_000);
        assert_eq!((task.request_id.as_str(), task.namespace.as_str(), &*task.payload), ("r1", "n", b"{\"a\":1}".as_slice()));
        assert_eq!(task.deliver_at, Some(wire::timestamp(11_500)));
        assert_eq!((id_of(&task.metadata), task.metadata["channel"].as_str()), (Some("r1"), "sms"));
    }

    #[test]
    fn a_broken_file_is_refused_with_its_place() {
        assert!(parse("a,b\n").is_err_and(|e| e.contains("first line")));
        let header = COLUMNS.join(",");
        assert!(parse(&format!("{header}\na,b\n")).is_err_and(|e| e == "reminder 1: 2 fields instead of 7"));
        assert!(parse(&format!("{header}\na,b,soon,,,,\n")).is_err_and(|e| e.contains("\"soon\"")));
    }
}
