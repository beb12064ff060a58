//! Tasks and deliveries as they are printed.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use serde::Serialize;
use z4_proto::{Delivery, Task, TaskState};

use super::base64;
use super::output::Show;
use super::rfc3339;

/// How much of a payload a table row shows, in characters.
const PREVIEW_CHARS: usize = 60;

/// A task in JSON: times as RFC 3339, the payload as text when it is text, else as base 64.
#[derive(Serialize)]
pub struct TaskView {
    id: String,
    namespace: String,
    state: &'static str,
    deliver_at: Option<String>,
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_retry: Option<String>,
    attempts: u32,
    version: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    payload: Payload,
}

#[derive(Serialize)]
enum Payload {
    #[serde(rename = "payload")]
    Text(String),
    #[serde(rename = "payload_base64")]
    Base64(String),
}

impl From<Task> for TaskView {
    fn from(task: Task) -> Self {
        let payload = match std::str::from_utf8(&task.payload) {
            Ok(text) => Payload::Text(text.to_owned()),
            Err(_) => Payload::Base64(base64::encode(&task.payload)),
        };
        TaskView {
            state: state_name(task.state()),
            id: task.id,
            namespace: task.namespace,
            deliver_at: time(&task.deliver_at),
            created_at: time(&task.created_at),
            last_retry: time(&task.last_retry),
            attempts: task.attempts,
            version: task.version,
            last_error: task.last_error,
            metadata: task.metadata,
            payload,
        }
    }
}

impl Show for TaskView {
    fn human(&self) -> String {
        let mut lines = vec![
            format!("id          {}", self.id),
            format!("namespace   {}", printable(&self.namespace)),
            format!("state       {}", self.state),
            format!("due         {}", or_dash(&self.deliver_at)),
            format!("created     {}", or_dash(&self.created_at)),
            format!("last retry  {}", or_dash(&self.last_retry)),
            format!("attempts    {}", self.attempts),
            format!("version     {}", self.version),
        ];
        if !self.last_error.is_empty() {
            lines.push(format!("last error  {}", printable(&self.last_error)));
        }
        for (key, value) in &self.metadata {
            lines.push(format!("metadata    {}={}", printable(key), printable(value)));
        }
        lines.push(match &self.payload {
            Payload::Text(text) => format!("payload     {}", printable(text)),
            Payload::Base64(text) => format!("payload     (base64) {text}"),
        });
        lines.join("\n")
    }
}

impl TaskView {
    /// The task's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it is due, or `-`.
    pub fn due(&self) -> &str {
        or_dash(&self.deliver_at)
    }

    /// Counts updates.
    pub fn version(&self) -> u32 {
        self.version
    }

    fn preview(&self) -> String {
        let (mark, text) = match &self.payload {
            Payload::Text(text) => ("", text),
            Payload::Base64(text) => ("(base64) ", text),
        };
        let mut preview: String = text.chars().take(PREVIEW_CHARS).collect();
        if preview.len() < text.len() {
            preview.push('…');
        }
        format!("{mark}{}", printable(&preview))
    }
}

/// A task as a row of a list.
#[derive(Serialize)]
#[serde(transparent)]
pub struct TaskRow(pub TaskView);

impl TaskRow {
    /// The header above the rows. Every column but the last has a fixed width, so rows can be printed as they come.
    pub const HEADER: &str = "ID                          STATE      DUE                       ATTEMPTS  PAYLOAD";
}

impl Show for TaskRow {
    fn human(&self) -> String {
        let TaskRow(task) = self;
        format!("{:26}  {:9}  {:24}  {:>8}  {}", task.id, task.state, task.due(), task.attempts, task.preview())
    }
}

/// A delivery: the task and what is needed to settle it.
#[derive(Serialize)]
pub struct DeliveryView {
    #[serde(flatten)]
    task: TaskView,
    attempt: u32,
    /// As text: it has more digits than a JSON number keeps in most languages.
    token: String,
    lease_deadline: Option<String>,
}

impl DeliveryView {
    /// The header above the rows.
    pub const HEADER: &str = "ID                          DUE                       ATTEMPT  NAMESPACE         PAYLOAD";
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        DeliveryView {
            attempt: delivery.attempt,
            token: delivery.token.to_string(),
            lease_deadline: time(&delivery.lease_deadline),
            task: TaskView::from(delivery.task.unwrap_or_default()),
        }
    }
}

impl Show for DeliveryView {
    fn human(&self) -> String {
        let task = &self.task;
        let namespace = printable(&task.namespace);
        format!("{:26}  {:24}  {:>7}  {:16}  {}", task.id, task.due(), self.attempt, namespace, task.preview())
    }
}

/// A state as users write it.
pub fn state_name(state: TaskState) -> &'static str {
    match state {
        TaskState::Unspecified => "unknown",
        TaskState::Scheduled => "scheduled",
        TaskState::Ready => "ready",
        TaskState::Leased => "leased",
        TaskState::Dead => "dead",
    }
}

/// A time as RFC 3339.
pub fn time(time: &Option<Timestamp>) -> Option<String> {
    time.as_ref().map(rfc3339::format)
}

/// The text, or `-` for none.
pub fn or_dash(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("-")
}

/// The text with its control characters escaped: what a producer wrote must not move an operator's cursor.
pub fn printable(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(payload: &'static [u8]) -> serde_json::Value {
        let task = Task { id: "01".to_owned(), state: TaskState::Ready.into(), payload: payload.into(), ..Task::default() };
        serde_json::to_value(TaskView::from(task)).expect("has a JSON form")
    }

    /// A script must be able to tell text from bytes: one field or the other, never both.
    #[test]
    fn payloads_are_text_or_base64() {
        let text = json("héllo".as_bytes());
        assert_eq!((&text["payload"], text.get("payload_base64")), (&"héllo".into(), None));
        let bytes = json(&[0xff, 0x00]);
        assert_eq!((&bytes["payload_base64"], bytes.get("payload")), (&"/wA=".into(), None));
        assert_eq!(text["state"], "ready");
    }

    /// jq, JavaScript and others read numbers as doubles: an ack with a token that lost its last digits is refused.
    #[test]
    fn tokens_keep_all_their_digits() {
        let token = 2_049 << 42 | 1;
        let json = serde_json::to_value(DeliveryView::from(Delivery { token, ..Delivery::default() })).expect("JSON");
        assert_eq!(json["token"], token.to_string());
    }

    #[test]
    fn rows_are_aligned_with_their_header_and_harmless() {
        let task = Task {
            id: "0".repeat(26),
            state: TaskState::Scheduled.into(),
            deliver_at: Some(Timestamp { seconds: 0, nanos: 0 }),
            payload: "\u{1b}[2Jx".into(),
            ..Task::default()
        };
        let row = TaskRow(TaskView::from(task)).human();
        assert_eq!(row.find("scheduled"), TaskRow::HEADER.find("STATE"));
        assert_eq!(row.find("1970"), TaskRow::HEADER.find("DUE"));
        assert_eq!(row.find("\\u{1b}[2Jx"), TaskRow::HEADER.find("PAYLOAD"), "{row}");
    }
}
