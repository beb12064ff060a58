//! CreateTaskStream: many creates in flight on one stream, answered in the order of the requests.
//!
//! A stream is backpressure: a create for which there is no room is tried again, and until it is through nothing more is read.
//!
//! No task, timer or lock per message: the stream of answers polls the stream of requests, starts each create, and then waits for
//! the oldest one alone, because answers leave in order. A create therefore does all it can when it is first polled; what it does
//! later waits until it is the oldest. When that turns out to have been made before, those behind it are looked at, too: the tasks of a run
//! of creates that are said again are read together.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tonic::Status;
use z4_proto::{CreateTaskRequest, TaskStreamResponse};
use z4_shards::account::Share;
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

/// What a create in flight costs beside its payload and metadata, at most: its future, its command, its place in the group's queue. Bytes.
const CREATE_BYTES: usize = 2 << 10;

/// What is counted for a create of so many bytes: its payload keeps the buffer in which it came, which is half as large again.
fn cost(bytes: usize) -> usize {
    CREATE_BYTES + bytes + bytes / 2
}

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

/// Tries until there is room, if it may come by itself. The answer to the first try is looked at when the create is the oldest of its stream: room may have come
/// since, so the second one is at once.
pub(super) async fn until_there_is_room<F>(crowd: Crowd, attempt: impl Fn() -> F) -> Result<Outcome, Rejection>
where
    F: Future<Output = Result<Outcome, Rejection>>,
{
    let mut outcome = attempt().await;
    let mut wait = Duration::ZERO;
    let mut waiting = None;
    while outcome.as_ref().is_err_and(Rejection::passes) {
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
    Sent { future: Pin<Box<F>>, namespace: Namespace, echo: Echo },
    /// Made before; the earlier task is to be read.
    Replayed { outcome: Box<Outcome>, namespace: Namespace, echo: Echo },
}

/// A request on its way, and what is counted for it until its answer is sent: payload and metadata, bytes.
struct Create<F> {
    step: InFlight<F>,
    bytes: usize,
}

/// Creates that are said again, of one namespace, one behind the other; at most so many.
pub(super) type Run = Vec<Outcome>;
const RUN_MAX: usize = 256;

/// What reads the earlier tasks of a run: all of one namespace, and whether they are to have payloads.
pub(super) trait LookBack {
    /// The same outcomes, with their earlier tasks.
    fn look_back(&self, namespace: Namespace, run: Run, content: bool) -> Pin<Box<dyn Future<Output = Run>>>;
}

/// A run while its earlier tasks are read; nothing leaves meanwhile, so places stay.
struct Looking {
    reading: Pin<Box<dyn Future<Output = Run>>>,
    /// What the answers need, in order: their places in flight, whose they are, and their echoes.
    places: Vec<(usize, Namespace, Echo)>,
}

/// The answers to a stream of creates.
pub(super) struct CreateStream<R, S, F, L> {
    requests: R,
    send: S,
    earlier: L,
    looking: Option<Looking>,
    in_flight: VecDeque<Create<F>>,
    /// Payload and metadata of what is in flight.
    in_flight_bytes: usize,
    /// The charge for what is in flight. It is counted and never refused, as it was charged when it came: a stream whose connection has its
    /// part reads no further message.
    charge: Option<Share>,
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

impl<R, S, F, L> CreateStream<R, S, F, L>
where
    R: Stream<Item = Result<CreateTaskRequest, Status>> + Unpin,
    S: Fn(Command) -> F,
    F: Future<Output = Result<Outcome, Rejection>>,
    L: LookBack,
{
    /// `send` has a command of one create applied; its future starts when it is first polled. `earlier` reads what was made before.
    pub(super) fn new(
        context: Arc<Context>,
        method: &'static str,
        (requests, left_out): (R, LeftOut),
        (send, crowd): (S, Crowd),
        (earlier, charge): (L, Option<Share>),
    ) -> Self {
        let runs = Runs::new(Requested::new(context.observer.clone(), method));
        Self {
            requests,
            send,
            earlier,
            looking: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            charge,
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
                    self.in_flight_bytes += started.bytes;
                    if let Some(charge) = &mut self.charge {
                        charge.count(cost(started.bytes));
                    }
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
    fn start(&mut self, request: CreateTaskRequest, cx: &mut Poller<'_>) -> Create<F> {
        let place = self.read;
        self.read += 1;
        let read = match self.left_out.reason(place) {
            Some(reason) => Err(reason.into()),
            None => self.intake.read(request),
        };
        let (command, echo, bytes) = match read {
            Ok(read) => read,
            Err(status) => return Create { step: InFlight::Answered(Box::new(refused(&status))), bytes: 0 },
        };
        let namespace = command.namespace.clone();
        let mut future = Box::pin((self.send)(command));
        let step = match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => done(namespace, echo, outcome),
            Poll::Pending => InFlight::Sent { future, namespace, echo },
        };
        Create { step, bytes }
    }

    /// The answer to the oldest request.
    fn poll_oldest(&mut self, cx: &mut Poller<'_>) -> Poll<TaskStreamResponse> {
        loop {
            if self.looking.is_some() {
                ready!(self.poll_looking(cx));
            }
            match self.in_flight.front_mut().map(|create| &mut create.step) {
                None => return Poll::Pending,
                Some(InFlight::Answered(_)) => {
                    if let Some(Create { step: InFlight::Answered(answer), bytes }) = self.in_flight.pop_front() {
                        self.in_flight_bytes -= bytes;
                        if let Some(charge) = &mut self.charge {
                            charge.shrink(cost(bytes));
                        }
                        return Poll::Ready(*answer);
                    }
                }
                Some(InFlight::Replayed { .. }) => self.begin_run(cx),
                Some(InFlight::Sent { .. }) => ready!(self.poll_sent(0, cx)),
            }
        }
    }

    /// Ready: the create at this place is not on its way any more.
    fn poll_sent(&mut self, place: usize, cx: &mut Poller<'_>) -> Poll<()> {
        if let Some(step) = self.in_flight.get_mut(place).map(|create| &mut create.step)
            && let InFlight::Sent { future, .. } = step
        {
            let outcome = ready!(future.as_mut().poll(cx));
            let placeholder = InFlight::Answered(Box::default());
            if let InFlight::Sent { namespace, echo, .. } = std::mem::replace(step, placeholder) {
                *step = done(namespace, echo, outcome);
            }
        }
        Poll::Ready(())
    }

    /// The oldest one was made before: reads its earlier task, and those of the ones behind it that are as far.
    fn begin_run(&mut self, cx: &mut Poller<'_>) {
        let (mut run, mut places, mut creates) = (Vec::new(), Vec::new(), 0);
        let mut of: Option<(Namespace, bool)> = None;
        while creates < self.in_flight.len() && run.len() < RUN_MAX && self.poll_sent(creates, cx).is_ready() {
            let create = &mut self.in_flight[creates].step;
            if let InFlight::Replayed { namespace, echo, .. } = create {
                // Payloads are read for one at a time: each may be as large as an answer.
                if of.as_ref().is_some_and(|(first, content)| *content || echo.content || first != namespace) {
                    break;
                }
                of = Some((namespace.clone(), echo.content));
                if let InFlight::Replayed { outcome, namespace, echo } =
                    std::mem::replace(create, InFlight::Answered(Box::default()))
                {
                    run.push(*outcome);
                    places.push((creates, namespace, echo));
                }
            }
            creates += 1;
        }
        if let Some((namespace, content)) = of {
            self.looking = Some(Looking { reading: self.earlier.look_back(namespace, run, content), places });
        }
    }

    fn poll_looking(&mut self, cx: &mut Poller<'_>) -> Poll<()> {
        let Some(looking) = &mut self.looking else { return Poll::Ready(()) };
        let run = ready!(looking.reading.as_mut().poll(cx));
        let Some(Looking { places, .. }) = self.looking.take() else { return Poll::Ready(()) };
        for ((place, namespace, echo), outcome) in places.into_iter().zip(run) {
            if let Some(create) = self.in_flight.get_mut(place) {
                create.step = InFlight::Answered(Box::new(stream_answer(&namespace, echo, Ok(outcome))));
            }
        }
        Poll::Ready(())
    }
}

/// What a create is once its outcome is known.
fn done<F>(namespace: Namespace, echo: Echo, outcome: Result<Outcome, Rejection>) -> InFlight<F> {
    match outcome {
        Ok(outcome) if outcome.created.duplicate => InFlight::Replayed { outcome: Box::new(outcome), namespace, echo },
        outcome => InFlight::Answered(Box::new(stream_answer(&namespace, echo, outcome))),
    }
}

impl<R, S, F, L> Stream for CreateStream<R, S, F, L>
where
    R: Stream<Item = Result<CreateTaskRequest, Status>> + Unpin,
    S: Fn(Command) -> F + Unpin,
    F: Future<Output = Result<Outcome, Rejection>>,
    L: LookBack + Unpin,
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
#[path = "create_stream_tests.rs"]
mod tests;
