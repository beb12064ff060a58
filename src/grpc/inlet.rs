//! A request's bytes, from the socket to the decoder.
//!
//! h2 keeps each DATA frame that nobody took, small ones at a cost of many times their size, and ends the connection of a client that
//! has too many of them. So a call takes its frames at once, whatever its handler does, and keeps their bytes here. What holds the
//! client back is the window: it is given back when the *handler* has used bytes up, or waits for the rest of a message. So what lies
//! here is bounded by the stream's and the connection's window and one message, and charged to the account by the length that a
//! message announces, before it comes. A stream for whose next message there is no memory waits; a call with one request is refused.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use send_wrapper::SendWrapper;
use tonic::Status;
use z4_shards::account::Share;
use z4_shards::runtime::net::Sleep;

use super::call::CALL_BYTES;
use super::messages::Source;
use super::pieces::{HEAD_BYTES, Pieces};
use super::services::Context;
use super::shape::Shape;
use super::{Invalid, Limits};

/// A stream without memory for its next message looks again after this, the first time; each wait is twice as long.
const LOOK_MIN: Duration = Duration::from_millis(5);
const LOOK_MAX: Duration = Duration::from_millis(160);

/// Messages of a stream that were left out, by their place from 0: the handler gets an empty message in their place.
#[derive(Clone)]
pub(super) struct LeftOut(SendWrapper<Rc<Reasons>>);

type Reasons = RefCell<VecDeque<(u64, Invalid)>>;

impl Default for LeftOut {
    fn default() -> Self {
        LeftOut(SendWrapper::new(Rc::default()))
    }
}

impl LeftOut {
    /// Why this message was left out, if it was. Asked for each message, in their order.
    pub(super) fn reason(&self, place: u64) -> Option<Invalid> {
        let mut left_out = self.0.borrow_mut();
        left_out.pop_front_if(|(at, _)| *at == place).map(|(_, reason)| reason)
    }

    fn put(&self, place: u64, reason: Invalid) {
        self.0.borrow_mut().push_back((place, reason));
    }
}

/// What becomes of a message that breaks a limit before it is decoded.
#[derive(Clone)]
pub(super) enum Bad {
    /// It ends the call.
    Ends,
    /// It is left out, and the stream goes on.
    LeftOut(LeftOut),
}

/// A call's bytes; shared by its task, which fills it, and its handler's body.
pub(super) struct Inlet {
    stream: RefCell<RecvStream>,
    state: RefCell<State>,
    /// Until memory is looked for again, and how long that is.
    look: RefCell<Option<(Sleep, Duration)>>,
}

impl Inlet {
    pub(super) fn new(stream: RecvStream, path: &str, bad: Bad, context: Arc<Context>, share: Share) -> Rc<Self> {
        let state = State::new(Shape::of(path), bad, context, share);
        Rc::new(Self { stream: RefCell::new(stream), state: RefCell::new(state), look: RefCell::default() })
    }

    /// Takes everything that has come. Called at the beginning of each turn of the call's task, so that whoever waits for bytes is
    /// polled afterwards.
    pub(super) fn fill(&self, cx: &mut Poller<'_>) {
        let mut stream = self.stream.borrow_mut();
        let mut state = self.state.borrow_mut();
        let mut news = self.look_for_memory(&mut state, &mut stream, cx);
        while !state.over.as_ref().is_some_and(|end| end.is_ok()) {
            match stream.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    release(&mut stream, state.arrived(&bytes));
                }
                Poll::Ready(Some(Err(error))) => {
                    state.over.get_or_insert_with(|| Err(Status::from_error(Box::new(error))));
                    news = true;
                    break;
                }
                Poll::Ready(None) => {
                    state.over.get_or_insert(Ok(()));
                    news = true;
                    break;
                }
                Poll::Pending => break,
            }
            news = true;
        }
        if news
            && let Some(waker) = state.waker.take()
            && !waker.will_wake(cx.waker())
        {
            waker.wake();
        }
    }

    /// A message for which there was no memory is looked after; `true`: there is now, and what came behind it was taken in.
    fn look_for_memory(&self, state: &mut State, stream: &mut RecvStream, cx: &mut Poller<'_>) -> bool {
        let mut look = self.look.borrow_mut();
        let mut found = false;
        while state.short {
            let (sleep, wait) = look.get_or_insert_with(|| (Sleep::new(LOOK_MIN), LOOK_MIN));
            if Pin::new(sleep).poll(cx).is_pending() {
                return found;
            }
            match state.look_again() {
                Some(released) => {
                    release(stream, released);
                    found = true;
                    *look = None;
                }
                None => {
                    let wait = (*wait * 2).min(LOOK_MAX);
                    *look = Some((Sleep::new(wait), wait));
                }
            }
        }
        found
    }

    /// The handler has made its answer of what it read: nothing of a request is there any more.
    pub(super) fn answered(&self) {
        self.state.borrow_mut().framing.answered();
    }

    /// Messages come one after the other, and the handler goes on with each.
    pub(super) fn is_stream(&self) -> bool {
        self.state.borrow().framing.is_stream()
    }
}

impl Source for Inlet {
    fn poll_piece(&self, cx: &mut Poller<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let mut state = self.state.borrow_mut();
        let (released, piece) = state.hand_out();
        release(&mut self.stream.borrow_mut(), released);
        if let Some(piece) = piece {
            return Poll::Ready(Some(Ok(piece)));
        }
        match state.over.clone() {
            None | Some(Ok(())) if state.short => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            // The beginning of a message that never came: the decoder says so.
            Some(Ok(())) if state.pieces.len() > 0 => Poll::Ready(Some(Ok(state.pieces.rest()))),
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(status)) => Poll::Ready(Some(Err(status))),
        }
    }
}

/// Gives the client window for bytes that are used up. An error means that the stream is gone.
fn release(stream: &mut RecvStream, bytes: usize) {
    if bytes > 0 {
        let _ = stream.flow_control().release_capacity(bytes);
    }
}

struct State {
    framing: Framing,
    /// Whole messages, then the beginning of one.
    pieces: Pieces,
    /// What the decoder has and may not have used up.
    given: usize,
    /// Of what was given and what lies here, the first so many bytes are those for which the client got new window when they came.
    early: usize,
    /// The handler waits for the message that is coming.
    starving: bool,
    /// There is no memory for the message whose head is there. What came behind it lies here; the window bounds it.
    short: bool,
    behind: BytesMut,
    /// The end of the bytes, or what ended the call.
    over: Option<Result<(), Status>>,
    waker: Option<Waker>,
}

/// What is known of the message that is coming, and of those before.
struct Framing {
    shape: Shape,
    bad: Bad,
    context: Arc<Context>,
    share: Share,
    /// Messages that are whole.
    messages: u64,
    /// Bytes that it still lacks; 0: its head is not whole.
    missing: usize,
    /// Bytes of a message that was left out which still come.
    skip: usize,
}

impl State {
    fn new(shape: Shape, bad: Bad, context: Arc<Context>, share: Share) -> Self {
        let framing = Framing { shape, bad, context, share, messages: 0, missing: 0, skip: 0 };
        State {
            framing,
            pieces: Pieces::default(),
            given: 0,
            early: 0,
            starving: false,
            short: false,
            behind: BytesMut::new(),
            over: None,
            waker: None,
        }
    }

    /// Takes bytes in; returns for how many the client gets new window at once.
    fn arrived(&mut self, mut bytes: &[u8]) -> usize {
        let mut released = 0;
        while !bytes.is_empty() {
            if matches!(self.over, Some(Err(_))) {
                return released + bytes.len();
            }
            if self.short {
                self.framing.share.count(bytes.len());
                self.behind.extend_from_slice(bytes);
                return released;
            }
            let skipped = self.framing.skip.min(bytes.len());
            self.framing.skip -= skipped;
            released += skipped;
            bytes = &bytes[skipped..];
            let wanted = match self.framing.missing {
                0 => HEAD_BYTES - self.pieces.begun().len(),
                missing => missing,
            };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.pieces.extend(part);
            bytes = rest;
            if self.starving {
                self.early += part.len();
                released += part.len();
            }
            if part.len() < wanted {
                self.framing.missing = self.framing.missing.saturating_sub(part.len());
                continue;
            }
            released += match self.framing.missing {
                0 => self.headed(),
                _ => self.completed(),
            };
        }
        released
    }

    /// The head of a message is there. Returns how much became useless.
    fn headed(&mut self) -> usize {
        let length = self.announced();
        if let Err(invalid) = fits(length, &self.framing.context.limits) {
            self.framing.skip = length;
            return self.refuse(invalid);
        }
        if let Err(full) = self.framing.share.grow(HEAD_BYTES + length) {
            if self.framing.is_stream() {
                self.short = true;
                return 0;
            }
            return self.end(Status::resource_exhausted(full.to_string()));
        }
        self.admitted(length)
    }

    /// How long the message is whose head is there.
    fn announced(&self) -> usize {
        let head = self.pieces.begun();
        u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize
    }

    /// There is memory for the message whose head is there. Returns how much became useless.
    fn admitted(&mut self, length: usize) -> usize {
        self.framing.missing = length;
        self.pieces.announced(length);
        if length == 0 {
            return self.completed();
        }
        0
    }

    /// Whether there is memory now for the message that waits for it. `Some`: what came behind it was taken in, and for so many bytes the
    /// client gets new window.
    fn look_again(&mut self) -> Option<usize> {
        let length = self.announced();
        self.framing.share.grow(HEAD_BYTES + length).ok()?;
        self.short = false;
        let behind = std::mem::take(&mut self.behind);
        self.framing.share.shrink(behind.len());
        let released = self.admitted(length);
        Some(released + self.arrived(&behind))
    }

    /// A message is whole. Returns how much became useless.
    fn completed(&mut self) -> usize {
        self.framing.missing = 0;
        let message = self.pieces.begun();
        // A compressed one is refused by the decoder.
        if message[0] == 0
            && let Err(invalid) = self.framing.shape.check(&message[HEAD_BYTES..], &self.framing.context.limits)
        {
            let bytes = message.len();
            self.framing.share.shrink(bytes);
            return self.refuse(invalid);
        }
        self.stands();
        0
    }

    /// The message that was coming is whole.
    fn stands(&mut self) {
        self.pieces.stands();
        self.framing.messages += 1;
        self.starving = false;
    }

    /// The message that is coming breaks a limit. Returns how much became useless.
    fn refuse(&mut self, invalid: Invalid) -> usize {
        let Bad::LeftOut(left_out) = self.framing.bad.clone() else { return self.end(invalid.into()) };
        left_out.put(self.framing.messages, invalid);
        // An empty message stands in its place.
        let cut = self.pieces.empty();
        let content = self.not_early(cut);
        self.framing.share.count(HEAD_BYTES);
        self.stands();
        content
    }

    /// Whole messages are still handed out, then the call ends. Returns how much became useless.
    fn end(&mut self, status: Status) -> usize {
        self.over = Some(Err(status));
        let cut = self.pieces.cut(0);
        self.not_early(cut)
    }

    /// So much was cut off at the end; returns for how much of it the client has not got new window.
    fn not_early(&mut self, cut: usize) -> usize {
        let early = self.early.saturating_sub(self.given + self.pieces.len());
        self.early -= early;
        cut - early
    }

    /// The handler has used up what it got and gets more; nothing: it has to wait. Returns for how much the client gets new window, too.
    fn hand_out(&mut self) -> (usize, Option<Bytes>) {
        let released = self.used_up();
        if let Some(piece) = self.pieces.next() {
            self.given = piece.len();
            return (released, Some(piece));
        }
        self.pieces.let_go();
        let starved = if self.over.is_none() { self.starve() } else { 0 };
        (released + starved, None)
    }

    /// The handler has used up what it was given. Returns for how much of it the client gets new window.
    fn used_up(&mut self) -> usize {
        let bytes = std::mem::take(&mut self.given);
        let early = bytes.min(self.early);
        self.early -= early;
        self.framing.used_up(bytes);
        bytes - early
    }

    /// The handler can do nothing before the message is whole, however large it is; it was charged. Returns for how much of it the
    /// client gets new window: the rest comes when it comes.
    fn starve(&mut self) -> usize {
        self.starving = true;
        let bytes = self.pieces.len() - self.early;
        self.early = self.pieces.len();
        bytes
    }
}

impl Framing {
    /// The handler has used bytes up. A call with a single request keeps them charged to its end: what was made of them lives on.
    fn used_up(&mut self, bytes: usize) {
        if self.is_stream() {
            self.share.shrink(bytes);
        }
    }

    /// The message of a call with a single request is gone; the call itself goes on.
    fn answered(&mut self) {
        if !self.is_stream() {
            self.share.shrink(self.share.bytes().saturating_sub(CALL_BYTES));
        }
    }

    /// Messages come one after the other, and the handler goes on with each.
    fn is_stream(&self) -> bool {
        matches!(self.bad, Bad::LeftOut(_)) || self.shape == Shape::Consume
    }
}

fn fits(length: usize, limits: &Limits) -> Result<(), Invalid> {
    let option = "twice the larger of batch_bytes_max and payload_bytes_max";
    super::limits::at_most("the message", length, "bytes", limits.message_bytes_max, option)
}

/// The body that a handler reads.
pub(super) struct RequestBody(SendWrapper<Rc<Inlet>>);

impl RequestBody {
    pub(super) fn new(inlet: Rc<Inlet>) -> Self {
        RequestBody(SendWrapper::new(inlet))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    //! Were window lost, a stream would stop for ever; were it given twice, nothing would hold a client back.
    use proptest::prelude::*;
    use prost::Message;
    use z4_proto::CreateTaskRequest;
    use z4_shards::account::Account;

    use super::*;
    use crate::grpc::fakes::context;

    const LIMIT: usize = 100_000;

    fn state(account: &Account) -> (State, LeftOut) {
        let left_out = LeftOut::default();
        (with(account, Bad::LeftOut(left_out.clone())), left_out)
    }

    fn with(account: &Account, bad: Bad) -> State {
        let limits = Limits { message_bytes_max: LIMIT, ..Limits::default() };
        State::new(Shape::Create, bad, context(limits), account.holder(1).take(0).expect("nothing"))
    }

    fn framed(payload: usize) -> Vec<u8> {
        let request = CreateTaskRequest { payload: vec![7; payload].into(), ..Default::default() };
        let mut bytes = vec![0; HEAD_BYTES];
        request.encode(&mut bytes).expect("room");
        let length = (bytes.len() - HEAD_BYTES) as u32;
        bytes[1..HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Messages of any size in pieces of any size, a handler that asks at any time: all of them arrive, those that are too large as
        /// empty ones with their reason, what is held is never more than one message beyond what the client was not given window for,
        /// and in the end all window is given back.
        #[test]
        fn every_message_arrives_and_every_byte_of_window_comes_back(
            sizes in prop::collection::vec(prop_oneof![0usize..40, 90_000usize..100_100], 1..30),
            pieces in prop::collection::vec(1usize..70_000, 1..20),
            asks in prop::collection::vec(0usize..4, 1..20),
        ) {
            let account = Account::new(64 << 20);
            let (mut state, left_out) = state(&account);
            let sent: Vec<Vec<u8>> = sizes.iter().map(|size| framed(*size)).collect();
            let all = sent.concat();
            let (mut released, mut arrived, mut rest, mut turn) = (0, Vec::new(), &all[..], 0);
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(pieces[turn % pieces.len()].min(rest.len()));
                rest = later;
                released += state.arrived(piece);
                for _ in 0..asks[turn % asks.len()] {
                    let (more, piece) = state.hand_out();
                    released += more;
                    arrived.extend_from_slice(&piece.unwrap_or_default());
                }
                let received = all.len() - rest.len();
                prop_assert!(released <= received);
                prop_assert!(state.pieces.len() + state.given <= received - released + LIMIT + HEAD_BYTES);
                turn += 1;
            }
            loop {
                let (more, piece) = state.hand_out();
                released += more;
                match piece {
                    Some(piece) => arrived.extend_from_slice(&piece),
                    None => break,
                }
            }
            prop_assert_eq!(released, all.len());
            let expected: Vec<u8> =
                sent.iter().flat_map(|m| if m.len() - HEAD_BYTES > LIMIT { vec![0; HEAD_BYTES] } else { m.clone() }).collect();
            prop_assert!(arrived == expected);
            for (place, message) in sent.iter().enumerate() {
                prop_assert_eq!(left_out.reason(place as u64).is_some(), message.len() - HEAD_BYTES > LIMIT);
            }
            drop(state);
            prop_assert_eq!(account.used(), 0);
        }
    }

    #[test]
    fn a_message_is_charged_by_the_length_that_it_announces() {
        let account = Account::new(150_000);
        let mut first = with(&account, Bad::Ends);
        assert_eq!(first.arrived(&framed(60_000)[..9]), 0);
        assert!(account.used() > 60_000, "before it comes");
        let mut second = with(&account, Bad::Ends);
        let late = framed(90_000);
        second.arrived(&late[..9]);
        let refused = second.over.clone().expect("it is over").expect_err("refused");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("request_memory_bytes_max"), "{refused}");
        assert_eq!(second.arrived(&late[9..]), late.len() - 9, "the rest is not kept");
    }

    /// Story: one message of a stream finds no memory. Nothing is refused; what comes behind it is kept and gives the client no window, so it
    /// stops; when there is memory again all of it arrives, and the account is as it was.
    #[test]
    fn a_stream_waits_for_memory() {
        let account = Account::new(300_000);
        let (mut state, left_out) = state(&account);
        let greedy = account.holder(1);
        let taken = greedy.count(250_000);
        let sent: Vec<Vec<u8>> = vec![framed(60_000), framed(10), framed(0)];
        let all = sent.concat();
        let mut released = 0;
        for piece in all.chunks(7_000) {
            released += state.arrived(piece);
        }
        assert!(state.short && state.over.is_none(), "it waits");
        assert_eq!((released, state.hand_out().1, state.look_again()), (0, None, None));
        assert!(account.used() > 310_000, "what waits is counted");
        drop(taken);
        released = state.look_again().expect("there is memory") + 5;
        let mut arrived = Vec::new();
        loop {
            let (more, piece) = state.hand_out();
            released += more;
            match piece {
                Some(piece) => arrived.extend_from_slice(&piece),
                None => break,
            }
        }
        assert!(arrived == all && left_out.reason(0).is_none());
        assert_eq!(released, all.len(), "every byte of window comes back");
        drop(state);
        assert_eq!(account.used(), 0);
    }
}
