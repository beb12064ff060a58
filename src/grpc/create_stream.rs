//! CreateTaskStream: many creates in flight on one stream, answered in the order of the requests.
//!
//! A stream is backpressure: a create for which there is no room is tried again, and until it is through nothing more is read.
//!
//! No task, timer or lock per message: the stream of answers polls the stream of requests, starts each create, and then waits for
//! the oldest one alone, because answers leave in order. A create therefore does all it can when it is first polled; what it does
//! later waits until it is the oldest. When that turns out to have been made before, those behind it are looked at, too: the tasks of a run
//! of creates that are said again are read together.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tonic::Status;
use z4_model::command::{Command, Op};
use z4_model::ids::Namespace;
use z4_proto::{CreateTaskRequest, TaskStreamResponse};
use z4_shards::account::Share;
use z4_shards::runtime::net::sleep;
use z4_shards::shard::api::Rejection;

use super::convert::{self, Echo};
use super::create::{Outcome, refused, stream_answer};
use super::flight::{Create, Flight, InFlight, done};
use super::inlet::LeftOut;
use super::observe::{Requested, Runs};
use super::pieces::is_large;
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
    flight: Rc<RefCell<Flight<F>>>,
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
    fn read(&mut self, mut request: CreateTaskRequest) -> Result<(Command, Echo, usize), Status> {
        let namespace = match &self.namespace {
            Some(namespace) if namespace.as_bytes() == request.namespace.as_bytes() => namespace.clone(),
            _ => self.namespace.insert(self.context.namespace(&request.namespace)?).clone(),
        };
        self.runs.count(&namespace);
        let content = request.echo;
        if !is_large(request.payload.len()) {
            // It would keep the small messages with which it came.
            request.payload = Bytes::copy_from_slice(&request.payload);
        }
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
            flight: Rc::new(RefCell::new(Flight::new(charge))),
            intake: Intake { context, runs, namespace: None },
            crowd,
            left_out,
            read: 0,
            over: None,
            answers_since_look: 0,
        }
    }

    /// What is on its way and what waits to be answered.
    pub(super) fn flight(&self) -> Rc<RefCell<Flight<F>>> {
        self.flight.clone()
    }

    fn has_room(&self) -> bool {
        !self.crowd.is_there() && self.flight.borrow().has_room(&self.intake.context.limits)
    }

    /// Starts a create for each request that is there, up to the bound.
    fn take_in(&mut self, cx: &mut Poller<'_>) {
        self.answers_since_look = 0;
        while self.over.is_none() && self.has_room() {
            match Pin::new(&mut self.requests).poll_next(cx) {
                Poll::Ready(Some(Ok(request))) => {
                    let started = self.start(request, cx);
                    self.flight.borrow_mut().push(started);
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
            let oldest = ready!(self.flight.borrow_mut().poll_oldest(cx));
            match oldest {
                Some(answer) => return Poll::Ready(answer),
                None => self.begin_run(cx),
            }
        }
    }

    /// The oldest one was made before: reads its earlier task, and those of the ones behind it that are as far.
    fn begin_run(&mut self, cx: &mut Poller<'_>) {
        let (mut run, mut places, mut creates) = (Vec::new(), Vec::new(), 0);
        let mut of: Option<(Namespace, bool)> = None;
        let mut flight = self.flight.borrow_mut();
        while run.len() < RUN_MAX
            && let Poll::Ready(Some(create)) = flight.poll_sent(creates, cx)
        {
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
        let mut flight = self.flight.borrow_mut();
        for ((place, namespace, echo), outcome) in places.into_iter().zip(run) {
            if let Some(step) = flight.step(place) {
                *step = InFlight::Answered(Box::new(stream_answer(&namespace, echo, Ok(outcome))));
            }
        }
        Poll::Ready(())
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
            Some(end) if this.flight.borrow().is_empty() => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
#[path = "create_stream_tests.rs"]
mod tests;
