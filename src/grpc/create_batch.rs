//! CreateTasks: one command per namespace, so all of its tasks or none.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::future::join_all;
use tonic::Status;
use z4_model::command::{Command, Create, Op};
use z4_model::ids::Namespace;
use z4_proto::{CreateTaskRequest, CreateTasksResponse, TaskStreamResponse};

use super::convert::{self, Echo};
use super::create::{Acknowledge, refused, stream_answer, submit};
use super::limits::{at_most, metadata_bytes};
use super::services::Context;
use super::{Invalid, Limits, reply};

const METHOD: &str = "CreateTasks";

/// The tasks of one namespace.
#[derive(Default)]
struct Group {
    creates: Vec<Create>,
    /// Position in the batch, and what the answer needs.
    echoes: Vec<(usize, Echo)>,
    /// Requests of this namespace, refused ones included.
    positions: Vec<usize>,
    /// The first request that was refused: with it, all of them are.
    refused: Option<(usize, Invalid)>,
}

/// What the answers of a batch may still carry of metadata and payloads, bytes.
struct Content(Cell<usize>);

impl Content {
    /// Takes so many, if there are.
    fn takes(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.unwrap_or(self.0.get()));
        left.is_some()
    }
}

/// Answers in the order of the requests.
pub(super) async fn create_tasks(context: &Context, requests: Vec<CreateTaskRequest>) -> Result<CreateTasksResponse, Status> {
    check_whole(&requests, &context.limits)?;
    let mut results = vec![TaskStreamResponse::default(); requests.len()];
    let mut groups = BTreeMap::<Namespace, Group>::new();
    let content = Content(Cell::new(context.limits.response_bytes_max));
    for (position, request) in requests.into_iter().enumerate() {
        match Namespace::new(&request.namespace) {
            Ok(namespace) => {
                let group = groups.entry(namespace.clone()).or_default();
                group.take(position, request, &namespace, (context, &content));
            }
            Err(e) => results[position] = refused(&Invalid::from(e).at("tasks", position).into()),
        }
    }
    let sent = groups.into_iter().map(|(namespace, group)| send((context, &content), namespace, group));
    for (position, result) in join_all(sent).await.into_iter().flatten() {
        results[position] = result;
    }
    reply::fit(&mut results, 0);
    Ok(CreateTasksResponse { results })
}

/// The limits of a batch as a whole.
fn check_whole(requests: &[CreateTaskRequest], limits: &Limits) -> Result<(), Invalid> {
    at_most("tasks", requests.len(), "tasks", limits.batch_tasks_max, "batch_tasks_max")?;
    let bytes = requests.iter().map(|r| r.payload.len() + metadata_bytes(&r.metadata)).sum();
    at_most("tasks", bytes, "bytes", limits.batch_bytes_max, "batch_bytes_max")
}

impl Group {
    fn take(
        &mut self,
        position: usize,
        request: CreateTaskRequest,
        namespace: &Namespace,
        (context, content): (&Context, &Content),
    ) {
        self.positions.push(position);
        if self.refused.is_some() {
            return;
        }
        let asked = request.echo;
        match convert::create(request, namespace, &context.limits, &*context.now_ms) {
            Ok((create, echo)) => {
                let echo = if asked && content.takes(echo.bytes()) { echo } else { echo.without_content() };
                self.creates.push(create);
                self.echoes.push((position, echo));
            }
            Err(invalid) => self.refused = Some((position, invalid)),
        }
    }
}

async fn send((context, content): (&Context, &Content), namespace: Namespace, group: Group) -> Vec<(usize, TaskStreamResponse)> {
    context.observer.creates_requested(METHOD, &namespace, group.positions.len() as u64);
    if let Some((bad, invalid)) = group.refused {
        return refuse_all(&group.positions, bad, invalid);
    }
    let command = Command { namespace: namespace.clone(), ops: group.creates.into_iter().map(Op::Create).collect() };
    // An earlier task may have more content than the request that asked for it.
    let more = |place: usize, bytes: usize| {
        let echo = group.echoes.get(place).map(|(_, echo)| echo).filter(|echo| echo.content);
        echo.is_some_and(|echo| content.takes(bytes.saturating_sub(echo.bytes())))
    };
    match submit(&context.shards, command, Acknowledge::Durable, more).await {
        Ok(outcomes) => {
            let pairs = group.echoes.into_iter().zip(outcomes);
            pairs.map(|((position, echo), outcome)| (position, stream_answer(&namespace, echo, Ok(outcome)))).collect()
        }
        Err(rejection) => {
            let echoes = group.echoes.into_iter();
            echoes.map(|(position, echo)| (position, stream_answer(&namespace, echo, Err(rejection.clone())))).collect()
        }
    }
}

/// One bad request refuses its whole namespace: it says why, the others name it.
fn refuse_all(positions: &[usize], bad: usize, invalid: Invalid) -> Vec<(usize, TaskStreamResponse)> {
    let own = Status::from(invalid.clone().at("tasks", bad));
    let text = format!("none of this namespace's tasks was created, because tasks[{bad}] was refused: {invalid}");
    let others = Status::aborted(text);
    positions.iter().map(|at| (*at, refused(if *at == bad { &own } else { &others }))).collect()
}

#[cfg(test)]
mod tests {
    //! A batch is all or nothing per namespace: a bad request must never leave half of its namespace behind.
    use std::cell::RefCell;
    use std::pin::pin;

    use bytes::Bytes;
    use futures_util::future::{Either, select};
    use z4_model::command::{Created, OpReply};
    use z4_model::ids::{GroupId, SLOTS};
    use z4_shards::runtime::{mailbox, net};
    use z4_shards::shard::Message;
    use z4_shards::shard::api::{Answered, Consistency};
    use z4_shards::shard::handle::Shards;

    use super::*;
    use crate::grpc::fakes::{context_of, id};

    /// Every create was made before; writes down each look at the earlier tasks: how many, and how fresh.
    async fn say_it_was_made(mut inbox: mailbox::Receiver<Message>, looks: &RefCell<Vec<(usize, Consistency)>>) {
        let mut messages = Vec::new();
        while inbox.receive(&mut messages, 16).await {
            for message in messages.drain(..) {
                match message {
                    Message::Submit(_, command, answer) => {
                        let made = |n| OpReply::Created(Created { id: id(n as u64), created_ms: 1, duplicate: true });
                        let value = Ok((0..command.ops.len()).map(made).collect());
                        assert!(answer.send(Ok(Answered { value, by: None })).is_ok());
                    }
                    Message::Get(_, (_, ids, _), consistency, answer) => {
                        looks.borrow_mut().push((ids.len(), consistency));
                        assert!(answer.send(Ok(ids.iter().map(|_| None).collect())).is_ok());
                    }
                    _ => panic!("a batch asks for nothing else"),
                }
            }
        }
    }

    /// A batch that is said again is one look at the leader's quorum for each of its namespaces, however many tasks there are.
    #[test]
    fn a_batch_that_is_said_again_is_looked_up_once() {
        net::run(async {
            let (shards, mut inboxes) = Shards::new(1, 16);
            shards.set_slots(&vec![GroupId(1); usize::from(SLOTS)]);
            let (looks, context) = (RefCell::default(), context_of(shards, Limits::default()));
            let requests = (0..1_000).map(|n| request(if n < 700 { "a" } else { "b" }, 8)).collect();
            let answers = pin!(create_tasks(&context, requests));
            let serving = pin!(say_it_was_made(inboxes.remove(0), &looks));
            let Either::Left((answers, _)) = select(answers, serving).await else { panic!("the shard ended") };
            assert!(answers.expect("answered").results.iter().all(|result| result.status == 0 && result.duplicate));
            assert_eq!(*looks.borrow(), [(700, Consistency::Linearizable), (300, Consistency::Linearizable)]);
        })
        .expect("io_uring");
    }

    fn request(namespace: &str, payload: usize) -> CreateTaskRequest {
        CreateTaskRequest { namespace: namespace.into(), payload: Bytes::from(vec![0; payload]), ..Default::default() }
    }

    #[test]
    fn a_batch_has_limits_as_a_whole() {
        let limits = Limits { batch_tasks_max: 2, batch_bytes_max: 10, ..Limits::default() };
        assert!(check_whole(&[request("a", 5), request("a", 5)], &limits).is_ok());
        let text = |requests: &[_]| check_whole(requests, &limits).expect_err("over a limit").to_string();
        assert_eq!(
            text(&[request("a", 0), request("a", 0), request("a", 0)]),
            "tasks has 3 tasks; the limit is 2 (batch_tasks_max)"
        );
        assert_eq!(text(&[request("a", 5), request("a", 6)]), "tasks has 11 bytes; the limit is 10 (batch_bytes_max)");
    }

    #[test]
    fn one_bad_request_refuses_its_namespace() {
        let results = refuse_all(&[0, 3, 4], 3, Invalid::Request("no"));
        let seen: Vec<_> = results.iter().map(|(at, r)| (*at, tonic::Code::from(r.status as i32), r.message.as_str())).collect();
        let siblings = "none of this namespace's tasks was created, because tasks[3] was refused: no";
        let expected = [
            (0, tonic::Code::Aborted, siblings),
            (3, tonic::Code::InvalidArgument, "tasks[3]: no"),
            (4, tonic::Code::Aborted, siblings),
        ];
        assert_eq!(seen, expected);
    }
}
