//! `task create | get | list | update | delete`.

use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use prost_types::Timestamp;
use serde::Serialize;
use z4_proto::{CreateTaskRequest, DeleteTaskRequest, GetTaskRequest, ListTasksRequest, TaskState, UpdateTaskRequest};
use z4_shards::runtime::clock;

use super::args::{CreateArgs, DueArgs, ListArgs, PayloadArgs, State, TaskCommand, UpdateArgs};
use super::error::ToolError;
use super::output::{Output, Show};
use super::views::{TaskRow, TaskView};
use super::{rfc3339, zone};
use crate::client::Client;

/// The largest page that a peer gives.
const PAGE_TASKS_MAX: u64 = 1_000;
/// Pages that carry payloads stay far below the limit of an answer's size.
const PAGE_TASKS_WITH_PAYLOAD_MAX: u64 = 100;

/// No peer takes a larger payload (the top of the range of payload_bytes_max); a file without an end is not read to it.
const PAYLOAD_BYTES_MAX: u64 = 16 << 20;

/// A request that is ready to be sent: files are read, contradictions found.
pub enum Request {
    /// `task create`
    Create(CreateTaskRequest),
    /// `task get`
    Get(GetTaskRequest),
    /// `task list`
    List(ListArgs),
    /// `task update`
    Update(UpdateTaskRequest),
    /// `task delete`
    Delete(DeleteTaskRequest),
}

/// Makes the request, before anything is connected.
pub fn prepare(command: TaskCommand) -> Result<Request, ToolError> {
    Ok(match command {
        TaskCommand::Create(args) => Request::Create(create_request(args)?),
        TaskCommand::Get(args) => {
            let request = GetTaskRequest { namespace: args.namespace, task_id: args.task_id, ..GetTaskRequest::default() };
            Request::Get(request)
        }
        TaskCommand::List(args) => Request::List(args),
        TaskCommand::Update(args) => Request::Update(update_request(args)?),
        TaskCommand::Delete(args) => Request::Delete(DeleteTaskRequest {
            namespace: args.task.namespace,
            task_id: args.task.task_id,
            expected_version: args.expected_version,
        }),
    })
}

/// Sends the request and prints the answer.
pub async fn execute(client: &Client, out: &mut Output, request: Request) -> Result<(), ToolError> {
    match request {
        Request::Create(request) => {
            let answer = client.create(request).await?;
            let task = TaskView::from(answer.task.unwrap_or_default());
            out.show(&CreatedView { task, duplicate: answer.duplicate, forwarded_to: answer.forwarded_to })
        }
        Request::Get(request) => out.show(&TaskView::from(client.get(request).await?)),
        Request::List(args) => list(client, out, args).await,
        Request::Update(request) => out.show(&UpdatedView(client.update(request).await?.into())),
        Request::Delete(request) => {
            let deleted = request.task_id.clone();
            client.delete(request).await?;
            out.show(&DeletedView { deleted })
        }
    }
}

#[derive(Serialize)]
struct CreatedView {
    #[serde(flatten)]
    task: TaskView,
    duplicate: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    forwarded_to: String,
}

impl Show for CreatedView {
    fn human(&self) -> String {
        let done = if self.duplicate { "exists already:" } else { "created" };
        format!("{done} {} due {}", self.task.id(), self.task.due())
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct UpdatedView(TaskView);

impl Show for UpdatedView {
    fn human(&self) -> String {
        format!("updated {} due {} version {}", self.0.id(), self.0.due(), self.0.version())
    }
}

#[derive(Serialize)]
struct DeletedView {
    deleted: String,
}

impl Show for DeletedView {
    fn human(&self) -> String {
        format!("deleted {}", self.deleted)
    }
}

fn create_request(args: CreateArgs) -> Result<CreateTaskRequest, ToolError> {
    let (deliver_at, tts_seconds) = due(&args.due);
    say(&args.due);
    Ok(CreateTaskRequest {
        request_id: args.request_id.unwrap_or_default(),
        namespace: args.namespace,
        metadata: args.meta.into_iter().collect(),
        payload: read_payload(args.payload)?.unwrap_or_default(),
        deliver_at,
        tts_seconds,
        ..CreateTaskRequest::default()
    })
}

fn update_request(args: UpdateArgs) -> Result<UpdateTaskRequest, ToolError> {
    let (deliver_at, tts_seconds) = due(&args.due);
    let payload = read_payload(args.payload)?;
    let replace_metadata = args.clear_meta || !args.meta.is_empty();
    if deliver_at.is_none() && tts_seconds == 0 && payload.is_none() && !replace_metadata && !args.revive {
        let text = "nothing to change: give --at, --in, --payload, --payload-file, --meta, --clear-meta or --revive";
        return Err(ToolError::Usage(text.to_owned()));
    }
    say(&args.due);
    Ok(UpdateTaskRequest {
        namespace: args.task.namespace,
        task_id: args.task.task_id,
        expected_version: args.expected_version,
        deliver_at,
        tts_seconds,
        replace_metadata,
        metadata: args.meta.into_iter().collect(),
        replace_payload: payload.is_some(),
        payload: payload.unwrap_or_default(),
        revive: args.revive,
    })
}

/// The two fields that say when a task is due. A delay of 0 means now, but 0 in `tts_seconds` means "not given": the beginning of
/// time says now, too. A negative delay is counted back from this machine's clock: the peer takes none.
fn due(args: &DueArgs) -> (Option<Timestamp>, i64) {
    match args.delay {
        Some(delay) if delay.seconds > 0 => (None, delay.seconds),
        Some(delay) if delay.seconds < 0 => (Some(before_now(delay.seconds.unsigned_abs())), 0),
        Some(_) => (Some(Timestamp { seconds: 0, nanos: 0 }), 0),
        None => (args.at, 0),
    }
}

/// So many seconds ago; nothing is before 1970.
fn before_now(seconds: u64) -> Timestamp {
    let ms = clock::wall_ms().saturating_sub(seconds.saturating_mul(1_000));
    Timestamp { seconds: (ms / 1_000) as i64, nanos: (ms % 1_000) as i32 * 1_000_000 }
}

/// Says on stderr which moment a time was taken for: who leaves the offset out, or forgets that it is summer, sees it here.
fn say(args: &DueArgs) {
    if let Some(at) = args.at.filter(|at| *at != Timestamp::default()) {
        eprintln!("z4t: due at {}, here {}", rfc3339::format(&at), zone::on_the_wall(&at));
    }
}

fn read_payload(args: PayloadArgs) -> Result<Option<Bytes>, ToolError> {
    if let Some(text) = args.payload {
        return Ok(Some(text.into()));
    }
    let Some(path) = args.payload_file else { return Ok(None) };
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(PAYLOAD_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(&path).and_then(|file| file.take(PAYLOAD_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    if read.map_err(|source| ToolError::File { path: path.clone(), source })? as u64 > PAYLOAD_BYTES_MAX {
        let text = format!("{} is larger than any payload: {PAYLOAD_BYTES_MAX} bytes", path.display());
        return Err(ToolError::Usage(text));
    }
    Ok(Some(bytes.into()))
}

async fn list(client: &Client, out: &mut Output, args: ListArgs) -> Result<(), ToolError> {
    let page_max = if args.omit_payload { PAGE_TASKS_MAX } else { PAGE_TASKS_WITH_PAYLOAD_MAX };
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut request = ListTasksRequest {
        namespace: args.namespace,
        due_from: args.from,
        due_until: args.until,
        state: args.state.map_or(TaskState::Unspecified, TaskState::from).into(),
        page_size: 0,
        page_token: String::new(),
        omit_payload: args.omit_payload,
        consistency: 0,
    };
    let mut first = true;
    while left > 0 {
        request.page_size = u32::try_from(left.min(page_max)).unwrap_or(1);
        let page = client.list_page(request.clone()).await?;
        if std::mem::take(&mut first) {
            out.header(TaskRow::HEADER)?;
        }
        left = left.saturating_sub(page.tasks.len() as u64);
        for task in page.tasks {
            out.show(&TaskRow(TaskView::from(task)))?;
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(())
}

impl From<State> for TaskState {
    fn from(state: State) -> Self {
        match state {
            State::Scheduled => TaskState::Scheduled,
            State::Ready => TaskState::Ready,
            State::Leased => TaskState::Leased,
            State::Dead => TaskState::Dead,
        }
    }
}
