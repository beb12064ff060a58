//! One HTTP/2 connection: its calls are counted, it can be asked to go, and it can be cut.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use z4_shards::runtime::net;

use super::Limits;
use super::services::Services;

/// An HTTP/2 client speaks first: these many bytes.
const PREFACE_BYTES: u64 = 24;

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
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Called every `passed_ms`: closes a connection that never spoke HTTP/2, asks an idle one to go, cuts one that does not go.
    pub(super) fn check(&self, passed_ms: u64, limits: &Limits) {
        let begun = self.begun.get();
        let busy = self.open.get() > 0 || self.seen.replace(begun) != begun;
        if busy && self.phase.get() == Phase::Serving {
            self.waited_ms.set(0);
            return;
        }
        let waited_ms = self.waited_ms.get() + passed_ms;
        self.waited_ms.set(waited_ms);
        match self.phase.get() {
            Phase::Serving if self.received.get() < PREFACE_BYTES && waited_ms >= limits.handshake_ms => self.cut(),
            Phase::Serving if waited_ms >= limits.idle_ms => self.leave(),
            Phase::Leaving if waited_ms >= limits.drain_ms => self.cut(),
            _ => {}
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: net::Stream, services: Services, shared: Rc<Shared>) {
    let calls = Calls { services, shared: shared.clone() };
    let builder = builder(calls.services.limits());
    let mut connection = pin!(builder.serve_connection(stream, calls));
    let mut leaving = false;
    let end = std::future::poll_fn(|cx| {
        match shared.phase.get() {
            Phase::Cut => return Poll::Ready(Ok(())),
            Phase::Leaving if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ => {}
        }
        let end = connection.as_mut().poll(cx);
        let mut waker = shared.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        end
    });
    if let Err(error) = end.await {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
    }
}

fn builder(limits: &Limits) -> http2::Builder<net::Executor> {
    let mut builder = http2::Builder::new(net::Executor);
    builder
        .timer(net::Timer)
        .keep_alive_interval(Duration::from_millis(limits.keep_alive_ms))
        .keep_alive_timeout(Duration::from_millis(limits.keep_alive_timeout_ms))
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_bytes_max)
        .max_pending_accept_reset_streams(limits.pending_resets_max)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        // Larger frames mean fewer of them: tonic's clients send up to 32 KiB at once.
        .max_frame_size(64 * 1024)
        .max_send_buf_size(256 * 1024)
        // gRPC has no use for it.
        .auto_date_header(false);
    builder
}

/// hyper's view of the services.
struct Calls {
    services: Services,
    shared: Rc<Shared>,
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = Call;

    fn call(&self, request: Request<Incoming>) -> Call {
        let open = Open::new(&self.shared);
        Call { answer: self.services.call(request), open: Some(open) }
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

/// The answer to a call, on its way.
struct Call {
    answer: BoxFuture<Response<Body>, Infallible>,
    open: Option<Open>,
}

impl Future for Call {
    type Output = Result<Response<Counted>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(self.answer.as_mut().poll(cx));
        let open = self.open.take();
        Poll::Ready(answer.map(|response| response.map(|body| Counted { body, _open: open })))
    }
}

/// A response's body, which keeps its call open.
struct Counted {
    body: Body,
    _open: Option<Open>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
