//! Messages to commands and rows to messages. Pure: the time comes in as a function.

use std::collections::BTreeMap;

use bytes::Bytes;
use tonic::Status;
use z4_model::command::{Create, Created, Update};
use z4_model::ids::{Namespace, RequestHash, TaskId, TaskKey};
use z4_model::rows::metadata::{pack_metadata, unpack_metadata};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::rows::task::TaskRow;
use z4_model::settings::{Settings, SettingsPatch};
use z4_proto::{self as proto, CreateTaskRequest};
use z4_shards::shard::api::{Consistency, Delivered, NamespaceView, TaskState, TaskView};

use super::limits::metadata_bytes;
use super::status::internal;
use super::timestamp::{due_ms, timestamp};
use super::{Invalid, Limits};

/// What the answer to a create needs of its request: the machine sends back only the id.
#[derive(Clone, Debug, PartialEq)]
pub struct Echo {
    /// As it was sent.
    pub namespace: String,
    /// As it was sent.
    pub metadata: BTreeMap<String, String>,
    /// As it was sent.
    pub payload: Bytes,
    /// When it was to be due, if that was said.
    pub asked_ms: Option<u64>,
    /// The answer's task has metadata and payload.
    pub content: bool,
}

impl Echo {
    /// Payload and metadata together.
    pub fn bytes(&self) -> usize {
        self.payload.len() + metadata_bytes(&self.metadata)
    }

    /// The answer's task has neither metadata nor payload.
    pub fn without_content(self) -> Self {
        Echo { metadata: BTreeMap::new(), payload: Bytes::new(), content: false, ..self }
    }
}

/// A request to create a task, checked and taken apart. `namespace` is the request's own.
pub fn create(
    request: CreateTaskRequest,
    namespace: &Namespace,
    limits: &Limits,
    now_ms: impl FnOnce() -> u64,
) -> Result<(Create, Echo), Invalid> {
    namespace.check_new()?;
    limits.request_id(&request.request_id)?;
    limits.payload(&request.payload)?;
    limits.metadata(&request.metadata)?;
    // No time at all is a past time, and the machine makes those due at once.
    let due_ms = due_ms(request.deliver_at.as_ref(), request.tts_seconds, now_ms)?.unwrap_or(0);
    // The beginning of time is how a message says "not given" when it must say something.
    let asked_ms = (due_ms > 0 && request.tts_seconds == 0).then_some(due_ms);
    let id = &request.request_id;
    let create = Create {
        request: (!id.is_empty()).then(|| RequestHash::new(namespace, id)),
        due_ms,
        asked_ms,
        sequence: 0,
        metadata: pack(&request.metadata),
        payload: request.payload.clone(),
    };
    let CreateTaskRequest { namespace, metadata, payload, .. } = request;
    Ok((create, Echo { namespace, metadata, payload, asked_ms, content: true }))
}

fn pack(metadata: &BTreeMap<String, String>) -> Bytes {
    pack_metadata(metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// The task that a create made.
pub fn created_task(echo: Echo, created: &Created) -> proto::Task {
    let due_ms = created.id.due_ms;
    let state = match created.duplicate {
        // The earlier task is gone: it has no state any more.
        true => proto::TaskState::Unspecified,
        false => state_at_creation(due_ms, created.created_ms),
    };
    proto::Task {
        id: created.id.to_string(),
        namespace: echo.namespace,
        metadata: echo.metadata,
        payload: echo.payload,
        deliver_at: Some(timestamp(echo.asked_ms.map_or(due_ms, |asked_ms| asked_ms.min(due_ms)))),
        last_retry: None,
        created_at: Some(timestamp(created.created_ms)),
        state: state.into(),
        attempts: 0,
        version: 1,
        last_error: String::new(),
    }
}

fn state_at_creation(due_ms: u64, created_ms: u64) -> proto::TaskState {
    if due_ms > created_ms { proto::TaskState::Scheduled } else { proto::TaskState::Ready }
}

/// A delivery as the older stream has it. As long as nothing has happened to the task it is the very message that its create was
/// answered with: clients in the field compare the two.
///
/// # Errors
/// INTERNAL when the row cannot be read.
pub fn streamed(delivered: Delivered) -> Result<proto::Task, Status> {
    let record = TaskRecord::decode(&delivered.row).map_err(|e| internal(format!("the record of task {}: {e}", delivered.id)))?;
    let untouched = record.attempts == 0 && record.version == 1;
    let state = if untouched { state_at_creation(delivered.key.due_ms, record.created_ms) } else { proto::TaskState::Leased };
    from_record(&delivered.namespace, delivered.id, delivered.key, record, state)
}

/// A task id as a client sends it.
pub fn task_id(text: &str) -> Result<TaskId, Invalid> {
    text.parse().map_err(|_| Invalid::TaskId(text.chars().take(64).collect()))
}

/// A request to change a task, checked.
pub fn update(
    request: proto::UpdateTaskRequest,
    id: TaskId,
    limits: &Limits,
    now_ms: impl FnOnce() -> u64,
) -> Result<Update, Invalid> {
    // Sent without its flag, new content would be dropped in silence.
    if !request.replace_metadata && !request.metadata.is_empty() {
        return Err(Invalid::Request("metadata is set but replace_metadata is false; set it to replace the task's metadata"));
    }
    if !request.replace_payload && !request.payload.is_empty() {
        return Err(Invalid::Request("payload is set but replace_payload is false; set it to replace the task's payload"));
    }
    limits.payload(&request.payload)?;
    limits.metadata(&request.metadata)?;
    Ok(Update {
        id,
        expected_version: request.expected_version,
        due_ms: due_ms(request.deliver_at.as_ref(), request.tts_seconds, now_ms)?,
        metadata: request.replace_metadata.then(|| pack(&request.metadata)),
        payload: request.replace_payload.then_some(request.payload),
        revive: request.revive,
        fence: 0,
    })
}

/// A row as a message.
///
/// # Errors
/// INTERNAL when the row's metadata cannot be read.
pub fn task(namespace: &Namespace, view: TaskView) -> Result<proto::Task, Status> {
    let TaskView { row, state } = view;
    let state = match state {
        TaskState::Scheduled => proto::TaskState::Scheduled,
        TaskState::Ready => proto::TaskState::Ready,
        TaskState::Leased => proto::TaskState::Leased,
        TaskState::Dead => proto::TaskState::Dead,
    };
    from_record(namespace, row.id, row.key, row.record, state)
}

/// The state of a row that was just written, so that no consumer has it.
pub fn state_of(row: &TaskRow, now_ms: u64) -> TaskState {
    match row {
        TaskRow { dead: true, .. } => TaskState::Dead,
        row if row.key.due_ms > now_ms => TaskState::Scheduled,
        _ => TaskState::Ready,
    }
}

/// A delivery as a message.
///
/// # Errors
/// INTERNAL when the row cannot be read.
pub fn delivery(delivered: Delivered) -> Result<proto::Delivery, Status> {
    let record = TaskRecord::decode(&delivered.row).map_err(|e| internal(format!("the record of task {}: {e}", delivered.id)))?;
    let Delivered { namespace, id, key, attempt, token, deadline_ms, .. } = delivered;
    let task = from_record(&namespace, id, key, record, proto::TaskState::Leased)?;
    Ok(proto::Delivery { task: Some(task), attempt, token, lease_deadline: Some(timestamp(deadline_ms)) })
}

fn from_record(
    namespace: &Namespace,
    id: TaskId,
    key: TaskKey,
    record: TaskRecord,
    state: proto::TaskState,
) -> Result<proto::Task, Status> {
    let due_ms = record.due_ms(key);
    let metadata = unpack_metadata(&record.metadata).map_err(|e| internal(format!("the record of task {id}: {e}")))?;
    Ok(proto::Task {
        id: id.to_string(),
        namespace: namespace.to_string(),
        metadata: metadata.into_iter().collect(),
        payload: record.payload,
        deliver_at: Some(timestamp(due_ms)),
        last_retry: (record.last_retry_ms > 0).then(|| timestamp(record.last_retry_ms)),
        created_at: Some(timestamp(record.created_ms)),
        state: state.into(),
        attempts: record.attempts,
        version: record.version,
        last_error: String::from_utf8_lossy(&record.last_error).into_owned(),
    })
}

/// A list's state filter.
pub fn state_filter(state: i32) -> Result<Option<TaskState>, Invalid> {
    match proto::TaskState::try_from(state) {
        Ok(proto::TaskState::Unspecified) => Ok(None),
        Ok(proto::TaskState::Scheduled) => Ok(Some(TaskState::Scheduled)),
        Ok(proto::TaskState::Ready) => Ok(Some(TaskState::Ready)),
        Ok(proto::TaskState::Leased) => Ok(Some(TaskState::Leased)),
        Ok(proto::TaskState::Dead) => Ok(Some(TaskState::Dead)),
        Err(_) => Err(Invalid::OutOfRange { field: "state", found: state.into(), range: "0 to 4".to_owned() }),
    }
}

/// What a read must have seen.
pub fn consistency(consistency: i32) -> Result<Consistency, Invalid> {
    match proto::Consistency::try_from(consistency) {
        Ok(proto::Consistency::Linearizable) => Ok(Consistency::Linearizable),
        Ok(proto::Consistency::Stale) => Ok(Consistency::Stale),
        Err(_) => Err(Invalid::OutOfRange { field: "consistency", found: consistency.into(), range: "0 to 1".to_owned() }),
    }
}

/// A namespace as a message.
pub fn namespace(view: NamespaceView) -> proto::Namespace {
    let NamespaceRow { settings, created_ms, live, dead, .. } = view.row;
    proto::Namespace {
        name: view.name.to_string(),
        settings: Some(settings_message(&settings)),
        created_at: (created_ms > 0).then(|| timestamp(created_ms)),
        live,
        dead,
        leased: view.leased,
        group: view.group.0.into(),
    }
}

fn settings_message(settings: &Settings) -> proto::NamespaceSettings {
    proto::NamespaceSettings {
        lease_ms: Some(settings.lease_ms),
        max_attempts: Some(settings.max_attempts),
        backoff_first_ms: Some(settings.backoff_first_ms),
        backoff_factor: Some(settings.backoff_factor),
        backoff_ceiling_ms: Some(settings.backoff_ceiling_ms),
        backoff_jitter: Some(settings.backoff_jitter),
        paused: Some(settings.paused),
        idempotency_window_ms: Some(settings.idempotency_window_ms),
    }
}

/// A change of settings.
pub fn settings_patch(settings: &proto::NamespaceSettings) -> SettingsPatch {
    SettingsPatch {
        lease_ms: settings.lease_ms,
        max_attempts: settings.max_attempts,
        backoff_first_ms: settings.backoff_first_ms,
        backoff_factor: settings.backoff_factor,
        backoff_ceiling_ms: settings.backoff_ceiling_ms,
        backoff_jitter: settings.backoff_jitter,
        paused: settings.paused,
        idempotency_window_ms: settings.idempotency_window_ms,
    }
}

#[cfg(test)]
mod tests {
    //! What a client sends is what is stored, and what is stored is what a client gets.
    use z4_model::ids::GroupId;

    use super::*;

    fn name() -> Namespace {
        Namespace::new("mail").expect("valid")
    }

    fn request() -> proto::CreateTaskRequest {
        proto::CreateTaskRequest {
            request_id: "r1".into(),
            namespace: "mail".into(),
            metadata: BTreeMap::from([("to".into(), "ann".into()), ("lang".into(), "de".into())]),
            payload: Bytes::from_static(b"hello"),
            deliver_at: Some(timestamp(5_001)),
            ..Default::default()
        }
    }

    fn row(record: TaskRecord) -> TaskRow {
        let id = TaskId { due_ms: 5_001, group: GroupId(3), sequence: 9 };
        TaskRow { id, key: TaskKey { due_ms: 7_000, sequence: 9 }, dead: false, record }
    }

    #[test]
    fn a_create_carries_the_request_and_its_echo_makes_the_task() {
        let (create, echo) = create(request(), &name(), &Limits::default(), || unreachable!()).expect("valid");
        assert_eq!(create.request, Some(RequestHash::new(&name(), "r1")));
        assert_eq!((create.due_ms, create.sequence, &create.payload[..]), (5_001, 0, &b"hello"[..]));
        let pairs = unpack_metadata(&create.metadata).expect("packed");
        assert_eq!(pairs, [("lang", "de"), ("to", "ann")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(echo.bytes(), 5 + "toannlangde".len());
        let created = Created { id: row(TaskRecord::default()).id, created_ms: 4_000, duplicate: false };
        let task = created_task(echo, &created);
        assert_eq!((task.state(), task.version), (proto::TaskState::Scheduled, 1));
        assert_eq!((task.id, task.metadata, task.payload), (created.id.to_string(), request().metadata, request().payload));
        assert_eq!((task.deliver_at, task.created_at), (Some(timestamp(5_001)), Some(timestamp(4_000))));
    }

    #[test]
    fn without_id_and_time_a_create_is_due_at_once_and_not_remembered() {
        let request = proto::CreateTaskRequest { request_id: String::new(), deliver_at: None, ..request() };
        let (create, _) = create(request, &name(), &Limits::default(), || unreachable!()).expect("valid");
        assert_eq!((create.request, create.due_ms), (None, 0));
    }

    /// What is sent is what is shown, by the create's answer, by reads and by deliveries alike; the beginning of time says "not given".
    #[test]
    fn a_past_due_time_is_shown_as_it_was_sent() {
        let send = |deliver_at| {
            let request = CreateTaskRequest { deliver_at: Some(deliver_at), ..request() };
            create(request, &name(), &Limits::default(), || 9_000).expect("valid")
        };
        let (past, echo) = send(timestamp(1_000));
        assert_eq!((past.due_ms, past.asked_ms), (1_000, Some(1_000)));
        let id = TaskId { due_ms: 9_000, group: GroupId(3), sequence: 9 };
        let answered = created_task(echo, &Created { id, created_ms: 9_000, duplicate: false });
        assert_eq!((answered.deliver_at, answered.state()), (Some(timestamp(1_000)), proto::TaskState::Ready));
        let record = TaskRecord {
            id_due_ms: 9_000,
            created_ms: 9_000,
            asked_ms: 1_000,
            version: 1,
            metadata: past.metadata,
            payload: past.payload,
            ..Default::default()
        };
        let (row, key) = (record.encode(), id.home());
        let delivered = Delivered { namespace: name(), id, key, row, attempt: 1, token: 1, deadline_ms: 10_000 };
        assert_eq!(streamed(delivered).expect("readable"), answered, "the older stream's clients compare the two");
        let (now, echo) = send(timestamp(0));
        assert_eq!((now.due_ms, now.asked_ms, echo.asked_ms), (0, None, None));
    }

    #[test]
    fn limits_are_checked_on_create_and_update() {
        let limits = Limits { payload_bytes_max: 4, metadata_entries_max: 1, request_id_bytes_max: 1, ..Limits::default() };
        let refused = |request| create(request, &name(), &limits, || 0).expect_err("over a limit").to_string();
        assert!(refused(request()).starts_with("request_id has 2 bytes"));
        let no_id = proto::CreateTaskRequest { request_id: String::new(), ..request() };
        assert!(refused(no_id.clone()).starts_with("payload has 5 bytes"));
        assert!(refused(proto::CreateTaskRequest { payload: Bytes::new(), ..no_id }).starts_with("metadata has 2 entries"));
        let id = row(TaskRecord::default()).id;
        let refused = |request| update(request, id, &limits, || 0).expect_err("refused").to_string();
        let payload = Bytes::from_static(b"hello");
        let change = proto::UpdateTaskRequest { payload, replace_payload: true, ..Default::default() };
        assert!(refused(change.clone()).starts_with("payload has 5 bytes"));
        assert!(refused(proto::UpdateTaskRequest { replace_payload: false, ..change }).starts_with("payload is set but"));
    }

    #[test]
    fn an_update_changes_only_what_it_names() {
        let id = row(TaskRecord::default()).id;
        let nothing = proto::UpdateTaskRequest { expected_version: 4, ..Default::default() };
        let update = update(nothing, id, &Limits::default(), || unreachable!()).expect("valid");
        let expected = Update { id, expected_version: 4, due_ms: None, metadata: None, payload: None, revive: false, fence: 0 };
        assert_eq!(update, expected);
    }

    #[test]
    fn rows_become_tasks_and_deliveries() {
        let record = TaskRecord {
            id_due_ms: 5_001,
            created_ms: 4_000,
            last_retry_ms: 6_000,
            attempts: 2,
            version: 3,
            last_error: Bytes::from_static(b"no answer"),
            metadata: pack(&request().metadata),
            payload: Bytes::from_static(b"hello"),
            ..Default::default()
        };
        let row = row(record.clone());
        let task = task(&name(), TaskView { row: row.clone(), state: TaskState::Dead }).expect("readable");
        assert_eq!((task.deliver_at, task.last_retry), (Some(timestamp(7_000)), Some(timestamp(6_000))));
        assert_eq!((task.attempts, task.version, task.last_error.as_str()), (2, 3, "no answer"));
        assert_eq!((task.state(), &task.metadata), (proto::TaskState::Dead, &request().metadata));
        let delivered = Delivered {
            namespace: name(),
            id: row.id,
            key: row.key,
            row: record.encode(),
            attempt: 3,
            token: 11,
            deadline_ms: 9_000,
        };
        let delivery = delivery(delivered).expect("readable");
        assert_eq!((delivery.attempt, delivery.token, delivery.lease_deadline), (3, 11, Some(timestamp(9_000))));
        let expected = proto::Task { state: proto::TaskState::Leased.into(), ..task };
        assert_eq!(delivery.task, Some(expected));
    }

    #[test]
    fn what_is_no_id_or_state_is_refused() {
        assert_eq!(
            task_id("x").expect_err("too short").to_string(),
            "task_id \"x\" is not a task id: it takes 26 characters of Crockford's base 32"
        );
        assert_eq!(state_filter(0), Ok(None));
        assert_eq!(state_filter(4), Ok(Some(TaskState::Dead)));
        assert_eq!(state_filter(5).expect_err("unknown").to_string(), "state is 5; it takes 0 to 4");
        assert_eq!(consistency(1), Ok(Consistency::Stale));
        assert_eq!(consistency(2).expect_err("unknown").to_string(), "consistency is 2; it takes 0 to 1");
    }
}
