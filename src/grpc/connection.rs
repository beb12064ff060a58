//! One HTTP/2 connection: its calls are started and counted, it can be asked to go, and it can be cut.
//!
//! h2 is driven here and not by hyper, for three reasons: bytes are taken before their window is given back (`inlet`), answers are
//! charged until they are sent (`call`), and a client that floods is read at a pace (`pace`).

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use h2::server::{Builder, Connection, Handshake};
use h2::{Ping, PingPong, Reason};
use z4_shards::account::Holder;
use z4_shards::runtime::net;

use super::Limits;
use super::call::{Call, Chunk};
use super::pace::{PAUSE, PREFACE_BYTES, Pace, Paced};
use super::services::Services;

/// What an open connection costs before it says anything: its socket's buffers here and h2's. Bytes.
pub(super) const CONNECTION_BYTES: usize = 16 << 10;

/// h2 refuses a request whose headers are so many times larger than the limit itself, with an HTTP status that gRPC's clients cannot
/// read; what is smaller gets a gRPC status from us.
const HEADERS_READ: u32 = 4;

/// What h2 may keep of one stream's answer, bytes.
const SEND_BYTES_MAX: usize = 256 << 10;

/// Larger frames mean fewer of them: tonic's clients send up to 32 KiB at once.
const FRAME_BYTES_MAX: u32 = 64 << 10;

/// Calls that one turn of a connection starts. A request has few bytes and starts a handler; the bytes of a turn could be a thousand.
const CALLS_PER_TURN: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Open calls go on, new ones are refused (GOAWAY).
    Leaving,
    /// Dropped as it stands.
    Cut,
}

/// What the accept loop and the connection's own task know of each other.
pub(super) struct Shared {
    phase: Cell<Phase>,
    waker: RefCell<Option<Waker>>,
    received: Rc<Cell<u64>>,
    /// Calls that are open now.
    open: Cell<usize>,
    /// Calls that were begun, ever.
    begun: Cell<u64>,
    /// Seen by the last check.
    seen: Cell<u64>,
    /// Milliseconds without a call, or without a preface, or since it was asked to go.
    waited_ms: Cell<u64>,
    /// Bytes that had come at the last check, and for how many milliseconds nothing did.
    heard: Cell<u64>,
    silent_ms: Cell<u64>,
    /// The client is to be asked whether it lives.
    ping: Cell<bool>,
}

impl Shared {
    pub(super) fn new(received: Rc<Cell<u64>>) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Serving),
            waker: RefCell::default(),
            received,
            open: Cell::new(0),
            begun: Cell::new(0),
            seen: Cell::new(0),
            waited_ms: Cell::new(0),
            heard: Cell::new(0),
            silent_ms: Cell::new(0),
            ping: Cell::new(false),
        })
    }

    /// Asks the connection to go.
    pub(super) fn leave(&self) {
        if self.phase.get() == Phase::Serving {
            self.enter(Phase::Leaving);
        }
    }

    /// Ends the connection now.
    pub(super) fn cut(&self) {
        self.enter(Phase::Cut);
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.waited_ms.set(0);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Called every `passed_ms`: closes a connection that never spoke HTTP/2, asks an idle one to go, cuts one that does not go.
    pub(super) fn check(&self, passed_ms: u64, limits: &Limits) {
        self.check_life(passed_ms, limits);
        let begun = self.begun.get();
        let busy = self.open.get() > 0 || self.seen.replace(begun) != begun;
        if busy && self.phase.get() == Phase::Serving {
            self.waited_ms.set(0);
            return;
        }
        let waited_ms = self.waited_ms.get() + passed_ms;
        self.waited_ms.set(waited_ms);
        match self.phase.get() {
            Phase::Serving if self.received.get() < PREFACE_BYTES as u64 && waited_ms >= limits.handshake_ms => self.cut(),
            Phase::Serving if waited_ms >= limits.idle_ms => self.leave(),
            Phase::Leaving if waited_ms >= limits.drain_ms => self.cut(),
            _ => {}
        }
    }

    /// Asks a silent client whether it lives, and cuts one that does not answer: its answer is heard as anything else is.
    fn check_life(&self, passed_ms: u64, limits: &Limits) {
        let received = self.received.get();
        if self.heard.replace(received) != received {
            self.silent_ms.set(0);
            return;
        }
        let before_ms = self.silent_ms.get();
        let silent_ms = before_ms + passed_ms;
        self.silent_ms.set(silent_ms);
        if silent_ms >= limits.keep_alive_ms + limits.keep_alive_timeout_ms {
            self.cut();
        } else if silent_ms >= limits.keep_alive_ms && before_ms < limits.keep_alive_ms {
            self.ping.set(true);
            self.wake();
        }
    }

    fn keep(&self, waker: &Waker) {
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }
}

/// A call that is open: from its request to the end of its response.
struct Open(Rc<Shared>);

impl Open {
    fn new(shared: &Rc<Shared>) -> Self {
        shared.open.set(shared.open.get() + 1);
        shared.begun.set(shared.begun.get() + 1);
        Self(shared.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: net::Stream, services: Services, shared: Rc<Shared>, holder: Holder) {
    let (stream, pace) = Paced::new(stream);
    let state = State::Greeting(builder(services.limits()).handshake(stream));
    let serving =
        Serving { state, pace, pause: None, services, shared, holder, calls_left: 0, told: false, leaving: false, calm: false };
    if let Err(error) = serving.await {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_bytes_max.saturating_mul(HEADERS_READ))
        .max_pending_accept_reset_streams(limits.pending_resets_max)
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buffer_size(SEND_BYTES_MAX)
        // Frames that nobody took are at most those of one turn (`pace`), because each call takes its own at once (`inlet`). h2's
        // bound is not needed, and it never forgets small frames of a call that ended before they came.
        .data_frame_budget(usize::MAX / 2);
    builder
}

enum State {
    Greeting(Handshake<Paced, Chunk>),
    Greeted { connection: Connection<Paced, Chunk>, pings: Option<PingPong> },
}

/// A connection at work.
struct Serving {
    state: State,
    pace: Rc<Pace>,
    /// The last turn was used up: nothing is read before this is over.
    pause: Option<net::Sleep>,
    services: Services,
    shared: Rc<Shared>,
    holder: Holder,
    /// Calls that this turn may still start.
    calls_left: usize,
    /// It is to be told, or was told, to go.
    leaving: bool,
    told: bool,
    /// It was told to go because it floods.
    calm: bool,
}

impl Serving {
    /// Whether it may read: a new turn begins unless the one before was used up and others have not had theirs.
    fn begin_turn(&mut self, cx: &mut Context<'_>) {
        if let Some(pause) = &mut self.pause {
            if Pin::new(pause).poll(cx).is_pending() {
                return;
            }
            self.pause = None;
        }
        self.pace.begin_turn();
        self.calls_left = CALLS_PER_TURN;
    }

    /// Until there is nothing more to do.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.state {
                State::Greeting(handshake) => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    let pings = connection.ping_pong();
                    self.state = State::Greeted { connection, pings };
                }
                State::Greeted { connection, pings } => {
                    if self.leaving {
                        connection.graceful_shutdown();
                        self.leaving = false;
                    }
                    if self.shared.ping.take()
                        && let Some(pings) = pings
                    {
                        // The answer to the one before, if there was one. Of both, failures show as a connection that is silent or broken.
                        let _ = pings.poll_pong(cx);
                        let _ = pings.send_ping(Ping::opaque());
                    }
                    if self.pace.is_flooded() && !self.calm {
                        self.calm = true;
                        tracing::debug!("a connection is told to go: it floods with control frames");
                        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    }
                    if self.calls_left == 0 {
                        self.pace.use_up();
                        return connection.poll_closed(cx);
                    }
                    let Some(accepted) = ready!(connection.poll_accept(cx)) else { return Poll::Ready(Ok(())) };
                    self.calls_left -= 1;
                    let (request, respond) = accepted?;
                    let open = Open::new(&self.shared);
                    if let Some(call) = Call::new(request, respond, &self.services, &self.holder, open) {
                        net::spawn(call);
                    }
                }
            }
        }
    }
}

impl Future for Serving {
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match this.shared.phase.get() {
            Phase::Cut => return Poll::Ready(Ok(())),
            Phase::Leaving if !this.told => {
                this.told = true;
                this.leaving = true;
            }
            _ => {}
        }
        this.begin_turn(cx);
        if let Poll::Ready(end) = this.poll_turn(cx) {
            return Poll::Ready(end);
        }
        if this.pace.is_used_up() && this.pause.is_none() {
            let mut pause = net::Sleep::new(PAUSE);
            if Pin::new(&mut pause).poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            this.pause = Some(pause);
        }
        this.shared.keep(cx.waker());
        Poll::Pending
    }
}
