//! CreateTaskStream: many creates in flight on one stream, answered in the order of the requests.
//!
//! A stream is backpressure: a create for which there is no room is tried again, and until it is through nothing more is read.
//!
//! No task, timer or lock per message: the stream of answers polls the stream of requests, starts each create, and then waits for
//! the oldest one alone, because answers leave in order. A create therefore does all it can when it is first polled; what it does
//! later waits until it is the oldest.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use futures_util::Stream;
use tonic::Status;
use z4_proto::{CreateTaskRequest, TaskStreamResponse};
use z4_shards::command::{Command, Op};
use z4_shards::ids::Namespace;
use z4_shards::runtime::net::sleep;
use z4_shards::shard::api::Rejection;

use super::convert::{self, Echo};
use super::create::{Outcome, refused, stream_answer};
use super::inlet::LeftOut;
use super::observe::{Requested, Runs};
use super::services::Context;

/// While answers are ready, requests are looked at once per so many of them.
const ANSWERS_PER_LOOK: usize = 64;

/// The wait of a create for which there was no room twice, the first time; each one is twice as long.
const WAIT_MIN: Duration = Duration::from_millis(2);
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Counts the creates of a stream for which there is no room.
#[derive(Clone, Default)]
pub(super) struct Crowd(Rc<Cell<usize>>);

/// One of them; it is through when this is dropped.
struct Waiting(Crowd);

impl Crowd {
    fn join(&self) -> Waiting {
        self.0.set(self.0.get() + 1);
        Waiting(self.clone())
    }

    fn is_there(&self) -> bool {
        self.0.get() > 0
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Crowd(count) = &self.0;
        count.set(count.get() - 1);
    }
}

/// Tries until there is room. The answer to the first try is looked at when the create is the oldest of its stream: room may have come
/// since, so the second one is at once.
pub(super) async fn until_there_is_room<F>(crowd: Crowd, attempt: impl Fn() -> F) -> Result<Outcome, Rejection>
where
    F: Future<Output = Result<Outcome, Rejection>>,
{
    let mut outcome = attempt().await;
    let mut wait = Duration::ZERO;
    let mut waiting = None;
    while let Err(Rejection::Overloaded { .. }) = outcome {
        waiting.get_or_insert_with(|| crowd.join());
        if !wait.is_zero() {
            sleep(wait).await;
        }
        wait = (wait * 2).clamp(WAIT_MIN, WAIT_MAX);
        outcome = attempt().await;
    }
    outcome
}

/// One request on its way.
enum InFlight<F> {
    /// Refused before it was sent, or done at once.
    Answered(Box<TaskStreamResponse>),
    /// With the shards.
    Sent { future: Pin<Box<F>>, namespace: Namespace, echo: Echo, bytes: usize },
}

/// The answers to a stream of creates.
pub(super) struct CreateStream<R, S, F> {
    requests: R,
    send: S,
    in_flight: VecDeque<InFlight<F>>,
    /// Payload and metadata of what is in flight.
    in_flight_bytes: usize,
    intake: Intake,
    crowd: Crowd,
    left_out: LeftOut,
    /// Messages that were read.
    read: u64,
    /// Set when the requests are over; the error, if any, follows the last answer.
    over: Option<Result<(), Status>>,
    answers_since_look: usize,
}

/// What one message after the other is read with.
struct Intake {
    context: Arc<Context>,
    runs: Runs<Requested>,
    /// The last message's namespace: mostly, the next one's too.
    namespace: Option<Namespace>,
}

impl Intake {
    /// Returns the bytes of its content, too.
    fn read(&mut self, request: CreateTaskRequest) -> Result<(Command, Echo, usize), Status> {
        let namespace = match &self.namespace {
            Some(namespace) if namespace.as_bytes() == request.namespace.as_bytes() => namespace.clone(),
            _ => self.namespace.insert(self.context.namespace(&request.namespace)?).clone(),
        };
        self.runs.count(&namespace);
        let content = request.echo;
        let (create, echo) = convert::create(request, &namespace, &self.context.limits, &*self.context.now_ms)?;
        let bytes = echo.bytes();
        let echo = if content { echo } else { echo.without_content() };
        Ok((Command { namespace, ops: vec![Op::Create(create)] }, echo, bytes))
    }
}

impl<R, S, F> CreateStream<R, S, F>
where
    R: Stream<Item = Result<CreateTaskRequest, Status>> + Unpin,
    S: Fn(Command, bool) -> F,
    F: Future<Output = Result<Outcome, Rejection>>,
{
    /// `send` has a command of one create applied, and is told whether its answer has content; its future starts when it is first polled.
    pub(super) fn new(
        context: Arc<Context>,
        method: &'static str,
        (requests, left_out): (R, LeftOut),
        (send, crowd): (S, Crowd),
    ) -> Self {
        let runs = Runs::new(Requested::new(context.observer.clone(), method));
        Self {
            requests,
            send,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            intake: Intake { context, runs, namespace: None },
            crowd,
            left_out,
            read: 0,
            over: None,
            answers_since_look: 0,
        }
    }

    fn has_room(&self) -> bool {
        let limits = &self.intake.context.limits;
        !self.crowd.is_there() && self.in_flight.len() < limits.in_flight_max && self.in_flight_bytes < limits.in_flight_bytes_max
    }

    /// Starts a create for each request that is there, up to the bound.
    fn take_in(&mut self, cx: &mut Poller<'_>) {
        self.answers_since_look = 0;
        while self.over.is_none() && self.has_room() {
            match Pin::new(&mut self.requests).poll_next(cx) {
                Poll::Ready(Some(Ok(request))) => {
                    let started = self.start(request, cx);
                    self.in_flight.push_back(started);
                }
                Poll::Ready(Some(Err(status))) => self.over = Some(Err(status)),
                Poll::Ready(None) => self.over = Some(Ok(())),
                Poll::Pending => break,
            }
        }
        self.intake.runs.flush();
    }

    /// Polls a create once, which sends it on its way.
    fn start(&mut self, request: CreateTaskRequest, cx: &mut Poller<'_>) -> InFlight<F> {
        let place = self.read;
        self.read += 1;
        let read = match self.left_out.reason(place) {
            Some(reason) => Err(reason.into()),
            None => self.intake.read(request),
        };
        let (command, echo, bytes) = match read {
            Ok(read) => read,
            Err(status) => return InFlight::Answered(Box::new(refused(&status))),
        };
        let namespace = command.namespace.clone();
        let mut future = Box::pin((self.send)(command, echo.content));
        match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => InFlight::Answered(Box::new(stream_answer(&namespace, echo, outcome))),
            Poll::Pending => {
                self.in_flight_bytes += bytes;
                InFlight::Sent { future, namespace, echo, bytes }
            }
        }
    }

    /// The answer to the oldest request.
    fn poll_oldest(&mut self, cx: &mut Poller<'_>) -> Poll<TaskStreamResponse> {
        let outcome = match self.in_flight.front_mut() {
            None => return Poll::Pending,
            Some(InFlight::Answered(_)) => None,
            Some(InFlight::Sent { future, .. }) => match future.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(outcome) => Some(outcome),
            },
        };
        match (self.in_flight.pop_front(), outcome) {
            (Some(InFlight::Answered(answer)), _) => Poll::Ready(*answer),
            (Some(InFlight::Sent { namespace, echo, bytes, .. }), Some(outcome)) => {
                self.in_flight_bytes -= bytes;
                Poll::Ready(stream_answer(&namespace, echo, outcome))
            }
            _ => Poll::Pending,
        }
    }
}

impl<R, S, F> Stream for CreateStream<R, S, F>
where
    R: Stream<Item = Result<CreateTaskRequest, Status>> + Unpin,
    S: Fn(Command, bool) -> F + Unpin,
    F: Future<Output = Result<Outcome, Rejection>>,
{
    type Item = Result<TaskStreamResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.answers_since_look < ANSWERS_PER_LOOK
            && let Poll::Ready(answer) = this.poll_oldest(cx)
        {
            this.answers_since_look += 1;
            return Poll::Ready(Some(Ok(answer)));
        }
        this.take_in(cx);
        if let Poll::Ready(answer) = this.poll_oldest(cx) {
            // There is room again: the next call looks at the requests unless more answers are ready.
            this.answers_since_look += 1;
            return Poll::Ready(Some(Ok(answer)));
        }
        match &mut this.over {
            Some(end) if this.in_flight.is_empty() => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Answers leave in the order of the requests whatever the order of the commits; nothing is sent twice or forgotten.
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures_channel::{mpsc, oneshot};
    use futures_util::{FutureExt, StreamExt};
    use z4_shards::command::Created;

    use super::*;
    use crate::grpc::Limits;
    use crate::grpc::fakes::{context, id};

    type Answer = oneshot::Sender<Result<Outcome, Rejection>>;
    type Answers = Pin<Box<dyn Stream<Item = Result<TaskStreamResponse, Status>>>>;

    /// A stream whose commits the test plays.
    struct Stage {
        requests: mpsc::UnboundedSender<Result<CreateTaskRequest, Status>>,
        sent: Rc<RefCell<Vec<Option<Answer>>>>,
        answers: Answers,
    }

    impl Stage {
        fn new(limits: Limits) -> Self {
            let (requests, received) = mpsc::unbounded();
            let sent = Rc::<RefCell<Vec<Option<Answer>>>>::default();
            let log = sent.clone();
            let send = move |_, _| {
                let (answer, answered) = oneshot::channel();
                log.borrow_mut().push(Some(answer));
                async move { answered.await.unwrap_or(Err(Rejection::Stopping)) }
            };
            let crowd = Crowd::default();
            let answers = CreateStream::new(context(limits), "test", (received, LeftOut::default()), (Box::new(send), crowd));
            Self { requests, sent, answers: Box::pin(answers) }
        }

        fn ask(&self, payload: usize) {
            let payload = vec![0; payload].into();
            let request = CreateTaskRequest { namespace: "a".into(), payload, ..Default::default() };
            self.requests.unbounded_send(Ok(request)).expect("the stream is open");
        }

        /// Commits the `n`th command that was sent.
        fn commit(&self, n: usize) {
            let created = Created { id: id(n as u64), created_ms: 9, duplicate: false };
            let answer = self.sent.borrow_mut()[n].take().expect("committed once");
            assert!(answer.send(Ok(Outcome { created, earlier: None, forwarded_to: String::new() })).is_ok());
        }

        /// Asks once for the next answer: its task's sequence, or its status.
        fn poll(&mut self) -> Option<Result<String, u32>> {
            let answer = self.answers.next().now_or_never()?.expect("not over").expect("no error");
            Some(if answer.status == 0 { Ok(answer.task.expect("a task").id) } else { Err(answer.status) })
        }
    }

    #[test]
    fn answers_keep_the_order_of_the_requests() {
        let mut stage = Stage::new(Limits { payload_bytes_max: 1, ..Limits::default() });
        for payload in [0, 1, 2, 1] {
            stage.ask(payload);
        }
        assert_eq!(stage.poll(), None);
        assert_eq!(stage.sent.borrow().len(), 3, "the bad one is not sent");
        stage.commit(2);
        stage.commit(1);
        assert_eq!(stage.poll(), None, "the oldest is not committed");
        stage.commit(0);
        assert_eq!(stage.poll(), Some(Ok(id(0).to_string())));
        assert_eq!(stage.poll(), Some(Ok(id(1).to_string())));
        assert_eq!(stage.poll(), Some(Err(3)), "in its place");
        assert_eq!(stage.poll(), Some(Ok(id(2).to_string())));
        stage.requests.close_channel();
        assert!(matches!(stage.answers.next().now_or_never(), Some(None)));
    }

    #[test]
    fn what_is_in_flight_is_bounded_by_count_and_by_bytes() {
        let bounds = [(2, usize::MAX), (usize::MAX, 150)];
        for (in_flight_max, in_flight_bytes_max) in bounds {
            let mut stage = Stage::new(Limits { in_flight_max, in_flight_bytes_max, ..Limits::default() });
            (0..5).for_each(|_| stage.ask(100));
            assert_eq!(stage.poll(), None);
            for n in 0..5 {
                assert_eq!(stage.sent.borrow().len(), (n + 2).min(5), "the rest is not even read");
                stage.commit(n);
                assert_eq!(stage.poll(), Some(Ok(id(n as u64).to_string())));
                assert_eq!(stage.poll(), None);
            }
        }
    }

    #[test]
    fn a_broken_request_stream_ends_after_its_answers() {
        let mut stage = Stage::new(Limits::default());
        stage.ask(0);
        stage.requests.unbounded_send(Err(Status::out_of_range("too long"))).expect("open");
        assert_eq!(stage.poll(), None);
        stage.commit(0);
        assert_eq!(stage.poll(), Some(Ok(id(0).to_string())));
        let end = stage.answers.next().now_or_never().expect("ready").expect("an error");
        assert_eq!(end.expect_err("an error").message(), "too long");
        assert!(matches!(stage.answers.next().now_or_never(), Some(None)));
    }

    #[test]
    fn many_ready_answers_do_not_starve_the_requests() {
        let mut stage = Stage::new(Limits::default());
        (0..500).for_each(|_| stage.ask(0));
        assert_eq!(stage.poll(), None);
        (0..500).for_each(|n| stage.commit(n));
        (0..10).for_each(|_| stage.ask(0));
        for _ in 0..2 * ANSWERS_PER_LOOK {
            stage.poll().expect("ready").expect("committed");
        }
        assert_eq!(stage.sent.borrow().len(), 510);
    }
}
