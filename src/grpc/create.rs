//! Creating tasks: the command's way to the shard and back, and the single create.

use std::pin::Pin;

use bytes::Bytes;
use tonic::Status;
use z4_model::command::{Command, Created, Defect, Op, OpReply, Refusal};
use z4_model::ids::{Namespace, PeerNumber};
use z4_model::rows::metadata::pack_metadata;
use z4_proto::{CreateTaskRequest, CreateTaskResponse, DONE_TRAILER, NOT_DONE, TaskStreamResponse};
use z4_shards::shard::api::{Answered, Consistency, Rejection, TaskView};
use z4_shards::shard::handle::Shards;

use super::convert::{self, Echo};
use super::create_stream::{LookBack, Run};
use super::services::Context;
use super::status::{code, not_done, status};

/// Earlier tasks of one command that are shown with their payloads, bytes; the others are shown without.
const EARLIER_BYTES_MAX: usize = 1 << 20;

/// What the answer to a create means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledge {
    /// The task is on the disks of a quorum.
    Durable,
    /// The leader has queued it.
    Queued,
}

/// What became of one create.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) created: Created,
    /// For a duplicate: the earlier task, unless it is gone.
    pub(super) earlier: Option<TaskView>,
    /// The address of the peer that did it; empty: this one.
    pub(super) forwarded_to: String,
}

/// Where the peer that did a request is. One that the registry does not tell of (yet) goes by its number.
fn address(shards: &Shards, by: Option<PeerNumber>) -> String {
    let Some(number) = by else { return String::new() };
    shards.roster().member(number).map_or_else(|| format!("peer {number}"), |member| member.address.clone())
}

/// Sends a command of creates; one outcome for each, in their order, without what is known of earlier tasks.
async fn send(shards: &Shards, command: Command, acknowledge: Acknowledge) -> Result<Vec<Outcome>, Rejection> {
    let mut outcomes = Vec::with_capacity(command.ops.len());
    match acknowledge {
        Acknowledge::Queued => {
            let Answered { value, by } = shards.submit_async(command).await?;
            outcomes.extend(value.into_iter().map(|created| Outcome {
                created,
                earlier: None,
                forwarded_to: address(shards, by),
            }));
        }
        Acknowledge::Durable => {
            let Answered { value, by } = shards.submit(command).await?;
            for reply in value {
                let OpReply::Created(created) = reply else {
                    return Err(Refusal::Malformed(Defect::ANSWER_OF_ANOTHER_KIND).into());
                };
                outcomes.push(Outcome { created, earlier: None, forwarded_to: address(shards, by) });
            }
        }
    }
    Ok(outcomes)
}

/// Reads the earlier tasks of duplicates, with one look for all: a batch that is sent again is a thousand duplicates, often of few tasks.
/// One keeps metadata and payload when `content` says so of its place and their bytes. What cannot be read now is left away: the creates are
/// done, and must not be answered as if they were not.
pub(super) async fn look_back<'a>(
    shards: &Shards,
    namespace: Namespace,
    outcomes: impl IntoIterator<Item = &'a mut Outcome>,
    content: impl Fn(usize, usize) -> bool,
) {
    let mut duplicates: Vec<_> = outcomes.into_iter().enumerate().filter(|(_, one)| one.created.duplicate).collect();
    if duplicates.is_empty() {
        return;
    }
    let mut ids: Vec<_> = duplicates.iter().map(|(_, one)| one.created.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = match shards.get_many(namespace.clone(), ids.clone(), Consistency::Linearizable, EARLIER_BYTES_MAX).await {
        Ok(found) => found,
        Err(error) => {
            return tracing::debug!(%namespace, %error, "creates that were said again are answered without the earlier tasks");
        }
    };
    for (place, outcome) in &mut duplicates {
        let at = ids.binary_search(&outcome.created.id).ok();
        outcome.earlier = at.and_then(|at| found.get(at)).cloned().flatten();
        if let Some(view) = &mut outcome.earlier {
            let record = &mut view.row.record;
            if !content(*place, record.payload.len() + record.metadata.len()) {
                (record.payload, record.metadata) = (Bytes::new(), pack_metadata(std::iter::empty()));
            }
        }
    }
}

/// Reads what was made before for streams.
pub(super) struct Earlier(pub(super) Shards);

impl LookBack for Earlier {
    fn look_back(&self, namespace: Namespace, mut run: Run, content: bool) -> Pin<Box<dyn Future<Output = Run>>> {
        let Earlier(shards) = self;
        let shards = shards.clone();
        Box::pin(async move {
            look_back(&shards, namespace, &mut run, |_, _| content).await;
            run
        })
    }
}

/// Sends a command of creates; one outcome for each, in their order. The earlier task of a duplicate keeps metadata and payload when
/// `content` says so of its place and their bytes.
pub(super) async fn submit(
    shards: &Shards,
    command: Command,
    acknowledge: Acknowledge,
    content: impl Fn(usize, usize) -> bool,
) -> Result<Vec<Outcome>, Rejection> {
    let namespace = command.namespace.clone();
    let mut outcomes = send(shards, command, acknowledge).await?;
    look_back(shards, namespace, &mut outcomes, content).await;
    Ok(outcomes)
}

/// Sends a command of one create; nothing is known of the earlier task of a duplicate.
pub(super) async fn submit_one(shards: &Shards, command: Command, acknowledge: Acknowledge) -> Result<Outcome, Rejection> {
    let mut outcomes = send(shards, command, acknowledge).await?;
    outcomes.pop().ok_or_else(|| Refusal::Malformed(Defect::NO_ANSWER).into())
}

/// The answer to a create. A duplicate shows the task as it is stored, or, when that is gone or cannot be read now, the request's content
/// under the earlier id.
pub(super) fn answer(namespace: &Namespace, echo: Echo, outcome: Outcome) -> Result<CreateTaskResponse, Status> {
    let task = match outcome.earlier {
        Some(view) => convert::task(namespace, view)?,
        None => convert::created_task(echo, &outcome.created),
    };
    Ok(CreateTaskResponse { task: Some(task), forwarded_to: outcome.forwarded_to, duplicate: outcome.created.duplicate })
}

/// The same in a stream or a batch, where a refusal is an answer too.
pub(super) fn stream_answer(namespace: &Namespace, echo: Echo, outcome: Result<Outcome, Rejection>) -> TaskStreamResponse {
    match outcome {
        Ok(outcome) => match answer(namespace, echo, outcome) {
            Ok(CreateTaskResponse { task, forwarded_to, duplicate }) => {
                TaskStreamResponse { task, forwarded_to, duplicate, ..Default::default() }
            }
            Err(status) => refused(&status),
        },
        Err(rejection) => {
            let status = code(&rejection) as u32;
            TaskStreamResponse { status, message: rejection.to_string(), not_done: not_done(&rejection), ..Default::default() }
        }
    }
}

/// A status as an answer in a stream or a batch.
pub(super) fn refused(status: &Status) -> TaskStreamResponse {
    let not_done = status.metadata().get(DONE_TRAILER).is_some_and(|done| done == NOT_DONE);
    TaskStreamResponse { status: status.code() as u32, message: status.message().to_owned(), not_done, ..Default::default() }
}

/// CreateTask and CreateTaskAsync.
pub(super) async fn create(
    context: &Context,
    request: CreateTaskRequest,
    method: &'static str,
    acknowledge: Acknowledge,
) -> Result<CreateTaskResponse, Status> {
    let namespace = context.namespace(&request.namespace)?;
    context.observer.creates_requested(method, &namespace, 1);
    let (create, echo) = convert::create(request, &namespace, &context.limits, &*context.now_ms)?;
    let command = Command { namespace: namespace.clone(), ops: vec![Op::Create(create)] };
    let mut outcome = submit_one(&context.shards, command, acknowledge).await.map_err(status)?;
    look_back(&context.shards, namespace.clone(), [&mut outcome], |_, _| true).await;
    answer(&namespace, echo, outcome)
}
