//! `repair-clock`: what a clock that was ahead put off is due now.
//!
//! Peers of older versions placed everything that was due at once, or soon, at the latest time that any leader of the group had ever had.
//! Such a task was created, or tried last, no earlier than it is due, and is scheduled all the same: for the cluster that moment is yet to
//! come. No other task is like that, so this is safe to run at any time, and again.

use std::pin::pin;

use futures_util::TryStreamExt;
use prost_types::Timestamp;
use serde::Serialize;
use tonic::Code;
use z4_proto::{ListTasksRequest, Task, TaskState, UpdateTaskRequest};

use super::error::ToolError;
use super::output::{Output, Show};
use super::views::printable;
use crate::client::Client;

/// The largest page that a peer gives.
const PAGE: u32 = 1_000;

/// Repairs the namespaces, or all of them when none is named.
pub async fn execute(client: &Client, out: &mut Output, mut names: Vec<String>) -> Result<(), ToolError> {
    if names.is_empty() {
        let mut pages = pin!(client.namespaces(PAGE));
        while let Some(page) = pages.try_next().await? {
            names.extend(page.into_iter().map(|namespace| namespace.name));
        }
    }
    let mut total = 0;
    for namespace in names {
        let moved = repair(client, &namespace).await?;
        if moved > 0 {
            out.show(&Repaired { namespace, moved })?;
        }
        total += moved;
    }
    out.show(&Done { moved: total })
}

async fn repair(client: &Client, namespace: &str) -> Result<u64, ToolError> {
    let mut request = ListTasksRequest {
        namespace: namespace.to_owned(),
        state: TaskState::Scheduled.into(),
        page_size: PAGE,
        omit_payload: true,
        ..ListTasksRequest::default()
    };
    let mut put_off: Vec<Task> = Vec::new();
    loop {
        let page = client.list_page(request.clone()).await?;
        put_off.extend(page.tasks.into_iter().filter(is_put_off));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let mut moved = 0;
    for task in put_off {
        let update = UpdateTaskRequest {
            namespace: namespace.to_owned(),
            task_id: task.id,
            expected_version: task.version,
            // Before any time that is now.
            deliver_at: Some(Timestamp { seconds: 0, nanos: 0 }),
            ..UpdateTaskRequest::default()
        };
        match client.update(update).await {
            Ok(_) => moved += 1,
            // Somebody changed or removed it meanwhile: then it is theirs.
            Err(e) if matches!(e.code(), Code::NotFound | Code::Aborted) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(moved)
}

/// A scheduled task that was put off by a clock.
fn is_put_off(task: &Task) -> bool {
    let order = |time: &Option<Timestamp>| time.as_ref().map(|time| (time.seconds, time.nanos));
    let due = order(&task.deliver_at);
    due.is_some() && (due <= order(&task.created_at) || due <= order(&task.last_retry))
}

#[derive(Serialize)]
struct Repaired {
    namespace: String,
    moved: u64,
}

impl Show for Repaired {
    fn human(&self) -> String {
        format!("{}: due now, put off by a clock before: {}", printable(&self.namespace), self.moved)
    }
}

#[derive(Serialize)]
struct Done {
    moved: u64,
}

impl Show for Done {
    fn human(&self) -> String {
        match self.moved {
            0 => "no task is put off by a clock: nothing to repair".to_owned(),
            moved => format!("{moved} in all"),
        }
    }
}

#[cfg(test)]
mod tests {
    //! A task that was scheduled on purpose must stay where it is.
    use super::*;

    #[test]
    fn only_what_a_clock_put_off_is_moved() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let task = |created, retried, due| Task { created_at: created, last_retry: retried, deliver_at: due, ..Task::default() };
        assert!(is_put_off(&task(at(9), None, at(9))), "created in the future, due at once");
        assert!(is_put_off(&task(at(5), at(9), at(9))), "tried again at once");
        assert!(is_put_off(&task(at(9), None, at(2))), "a past time was asked for");
        assert!(!is_put_off(&task(at(5), None, at(9))), "due later");
        assert!(!is_put_off(&task(at(5), at(7), at(9))), "tried again later");
        assert!(!is_put_off(&Task::default()));
    }
}
