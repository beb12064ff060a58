//! Single tasks and lists of them: get, update, delete, list.

use tonic::Status;
use z4_model::command::{Command, Op, OpReply, Refusal};
use z4_model::ids::{GroupId, Namespace, TaskId};
use z4_proto as proto;
use z4_shards::shard::api::{ListCursor, ListQuery, Rejection, TaskPage, TaskView};

use super::services::Context;
use super::status::{internal, status};
use super::timestamp::milliseconds;
use super::{Invalid, convert, page_token, reply};

/// GetTask.
pub(super) async fn get(context: &Context, request: proto::GetTaskRequest) -> Result<proto::Task, Status> {
    let (namespace, id) = name(context, &request.namespace, &request.task_id)?;
    let consistency = convert::consistency(request.consistency)?;
    match context.shards.get(namespace.clone(), id, consistency).await.map_err(status)? {
        Some(view) => convert::task(&namespace, view),
        None => Err(not_found(namespace, id)),
    }
}

/// UpdateTask.
pub(super) async fn update(context: &Context, request: proto::UpdateTaskRequest) -> Result<proto::Task, Status> {
    let (namespace, id) = name(context, &request.namespace, &request.task_id)?;
    let update = convert::update(request, id, &context.limits, &*context.now_ms)?;
    match submit(context, &namespace, Op::Update(update)).await? {
        OpReply::Updated(row) => {
            let state = convert::state_of(&row, (context.now_ms)());
            convert::task(&namespace, TaskView { row, state })
        }
        other => Err(internal(format!("an update was answered by {other:?}"))),
    }
}

/// DeleteTask.
pub(super) async fn delete(context: &Context, request: proto::DeleteTaskRequest) -> Result<proto::DeleteTaskResponse, Status> {
    let (namespace, id) = name(context, &request.namespace, &request.task_id)?;
    let op = Op::Delete { id, expected_version: request.expected_version };
    submit(context, &namespace, op).await?;
    Ok(proto::DeleteTaskResponse {})
}

/// ListTasks. A page is cut short when it has `response_bytes_max`; its token continues there.
pub(super) async fn list(context: &Context, request: proto::ListTasksRequest) -> Result<proto::ListTasksResponse, Status> {
    let query = query(context, &request)?;
    let namespace = query.namespace.clone();
    let page = context.shards.list(query).await.map_err(status)?;
    list_response(&namespace, page, context.limits.response_bytes_max)
}

pub(super) fn list_response(namespace: &Namespace, page: TaskPage, bytes_max: usize) -> Result<proto::ListTasksResponse, Status> {
    let mut tasks = Vec::with_capacity(page.tasks.len());
    let (mut next, mut last, mut bytes) = (page.next, None, 0);
    for view in page.tasks {
        if bytes >= bytes_max {
            next = last;
            break;
        }
        let cursor = ListCursor { dead: view.row.dead, key: view.row.key };
        let task = convert::task(namespace, view)?;
        bytes += reply::framed(&task);
        last = Some(cursor);
        tasks.push(task);
    }
    let next_page_token = next.map(|cursor| page_token::encode(namespace, cursor)).unwrap_or_default();
    Ok(proto::ListTasksResponse { tasks, next_page_token })
}

/// Sends one operation.
pub(super) async fn submit(context: &Context, namespace: &Namespace, op: Op) -> Result<OpReply, Status> {
    let command = Command { namespace: namespace.clone(), ops: vec![op] };
    let mut answered = context.shards.submit(command).await.map_err(status)?;
    answered.value.pop().ok_or_else(|| internal("a command was not answered"))
}

/// A task's full name. An id of another group cannot be in this namespace.
fn name(context: &Context, namespace: &str, id: &str) -> Result<(Namespace, TaskId), Status> {
    let namespace = context.namespace(namespace)?;
    let id = convert::task_id(id)?;
    let group = context.shards.group_of(&namespace);
    // A peer that knows no groups yet says so by itself.
    if group != id.group && group != GroupId::REGISTRY {
        return Err(not_found(namespace, id));
    }
    Ok((namespace, id))
}

fn not_found(namespace: Namespace, id: TaskId) -> Status {
    status(Rejection::Refused(Refusal::NotFound { namespace, id }))
}

fn query(context: &Context, request: &proto::ListTasksRequest) -> Result<ListQuery, Invalid> {
    let namespace = context.namespace(&request.namespace)?;
    let due_from = request.due_from.as_ref().map(|t| milliseconds("due_from", t)).transpose()?;
    let due_until = request.due_until.as_ref().map(|t| milliseconds("due_until", t)).transpose()?;
    let token = &request.page_token;
    let after = (!token.is_empty()).then(|| page_token::decode(&namespace, token)).transpose()?;
    Ok(ListQuery {
        after,
        due_from_ms: due_from.unwrap_or(0),
        due_until_ms: due_until.unwrap_or(u64::MAX),
        state: convert::state_filter(request.state)?,
        limit: reply::parts(context.limits.page_size(request.page_size)?, context.limits.response_bytes_max),
        bytes_max: context.limits.response_bytes_max,
        omit_payload: request.omit_payload,
        consistency: convert::consistency(request.consistency)?,
        namespace,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use z4_model::ids::TaskKey;
    use z4_model::rows::metadata::pack_metadata;
    use z4_model::rows::record::TaskRecord;
    use z4_model::rows::task::TaskRow;
    use z4_shards::shard::api::TaskState;

    use super::*;

    /// A page that is too large for a client is cut, and the token goes on right after the last task that was sent: were it the
    /// page's own, the tasks that were cut off would never be seen.
    #[test]
    fn a_page_cut_short_continues_where_it_ended() {
        let namespace = Namespace::new("a").expect("valid");
        let views = (1..=4u64).map(|sequence| {
            let key = TaskKey { due_ms: 5, sequence };
            let id = TaskId { due_ms: 5, group: GroupId(1), sequence };
            let metadata = pack_metadata(std::iter::empty());
            let record = TaskRecord { payload: Bytes::from(vec![0; 100]), metadata, ..Default::default() };
            TaskView { row: TaskRow { id, key, dead: false, record }, state: TaskState::Ready }
        });
        let cursor = |sequence| ListCursor { dead: false, key: TaskKey { due_ms: 5, sequence } };
        let page = TaskPage { tasks: views.collect(), next: Some(cursor(4)) };
        let whole = list_response(&namespace, page.clone(), 10_000).expect("readable");
        assert_eq!((whole.tasks.len(), whole.next_page_token), (4, page_token::encode(&namespace, cursor(4))));
        let cut = list_response(&namespace, page, 250).expect("readable");
        assert_eq!((cut.tasks.len(), cut.next_page_token), (2, page_token::encode(&namespace, cursor(2))));
    }
}
