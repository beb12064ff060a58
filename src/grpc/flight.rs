//! The creates of a stream that are on their way, or whose answers wait, in the order of their requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};

use z4_model::ids::Namespace;
use z4_proto::TaskStreamResponse;
use z4_shards::account::Share;
use z4_shards::shard::api::Rejection;

use super::Limits;
use super::convert::Echo;
use super::create::{Outcome, stream_answer};
use super::meanwhile::GoesOn;

/// What a create in flight costs beside its payload and metadata, at most: its future, its command, its place in the group's queue, its
/// answer. Bytes.
pub(super) const CREATE_BYTES: usize = 2 << 10;

/// What is counted for a create of so many bytes: sizes that the allocator has lie up to a quarter apart.
pub(super) fn cost(bytes: usize) -> usize {
    CREATE_BYTES + bytes + bytes / 4
}

/// One request on its way.
pub(super) enum InFlight<F> {
    /// Refused before it was sent, or done.
    Answered(Box<TaskStreamResponse>),
    /// With the shards.
    Sent { future: Pin<Box<F>>, namespace: Namespace, echo: Echo },
    /// Made before; the earlier task is to be read.
    Replayed { outcome: Box<Outcome>, namespace: Namespace, echo: Echo },
}

/// A request on its way, and what is counted for it: payload and metadata, bytes. Once it is done that is what its answer repeats.
pub(super) struct Create<F> {
    pub(super) step: InFlight<F>,
    pub(super) bytes: usize,
}

/// What is in flight on a stream.
pub(super) struct Flight<F> {
    creates: VecDeque<Create<F>>,
    /// The first so many are not on their way any more, as far as was looked.
    done: usize,
    /// Payload and metadata of all.
    bytes: usize,
    /// The charge for all. It is counted and never refused, as it was charged when it came: a stream whose connection has its part reads no
    /// further message.
    charge: Option<Share>,
}

impl<F> Flight<F> {
    pub(super) fn new(charge: Option<Share>) -> Self {
        Self { creates: VecDeque::new(), done: 0, bytes: 0, charge }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.creates.is_empty()
    }

    /// There is room for another one.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.creates.len() < limits.in_flight_max && self.bytes < limits.in_flight_bytes_max
    }

    pub(super) fn push(&mut self, create: Create<F>) {
        self.bytes += create.bytes;
        if let Some(charge) = &mut self.charge {
            charge.count(cost(create.bytes));
        }
        self.creates.push_back(create);
    }

    /// Where one of them is. Places count from the oldest.
    pub(super) fn step(&mut self, place: usize) -> Option<&mut InFlight<F>> {
        self.creates.get_mut(place).map(|create| &mut create.step)
    }

    /// The answer to the oldest one, which leaves; `None`: it was made before, and its earlier task is to be read.
    pub(super) fn poll_oldest(&mut self, cx: &mut Poller<'_>) -> Poll<Option<TaskStreamResponse>>
    where
        F: Future<Output = Result<Outcome, Rejection>>,
    {
        match ready!(self.poll_sent(0, cx)) {
            None => Poll::Pending,
            Some(InFlight::Answered(answer)) => {
                let answer = std::mem::take(&mut **answer);
                if let Some(Create { bytes, .. }) = self.creates.pop_front() {
                    self.release(bytes, cost(bytes));
                }
                self.done = self.done.saturating_sub(1);
                Poll::Ready(Some(answer))
            }
            Some(_) => Poll::Ready(None),
        }
    }

    /// Ready: the create at this place is not on its way any more, or there is none.
    pub(super) fn poll_sent(&mut self, place: usize, cx: &mut Poller<'_>) -> Poll<Option<&mut InFlight<F>>>
    where
        F: Future<Output = Result<Outcome, Rejection>>,
    {
        let Some(Create { step, bytes }) = self.creates.get_mut(place) else { return Poll::Ready(None) };
        if let InFlight::Sent { future, .. } = step {
            let outcome = ready!(future.as_mut().poll(cx));
            let placeholder = InFlight::Answered(Box::default());
            if let InFlight::Sent { namespace, echo, .. } = std::mem::replace(step, placeholder) {
                let released = if echo.content { 0 } else { std::mem::take(bytes) };
                *step = done(namespace, echo, outcome);
                self.release(released, cost(released) - cost(0));
            }
        }
        Poll::Ready(self.step(place))
    }

    fn release(&mut self, bytes: usize, charged: usize) {
        self.bytes -= bytes;
        if let Some(charge) = &mut self.charge {
            charge.shrink(charged);
        }
    }
}

/// What a create is once its outcome is known.
pub(super) fn done<F>(namespace: Namespace, echo: Echo, outcome: Result<Outcome, Rejection>) -> InFlight<F> {
    match outcome {
        Ok(outcome) if outcome.created.duplicate => InFlight::Replayed { outcome: Box::new(outcome), namespace, echo },
        outcome => InFlight::Answered(Box::new(stream_answer(&namespace, echo, outcome))),
    }
}

/// While nobody asks for the next answer: what is done holds its payload no longer, and what found no room goes on.
impl<F: Future<Output = Result<Outcome, Rejection>>> GoesOn for RefCell<Flight<F>> {
    fn go_on(&self, cx: &mut Poller<'_>) {
        let mut flight = self.borrow_mut();
        let mut done = flight.done;
        while let Poll::Ready(Some(_)) = flight.poll_sent(done, cx) {
            done += 1;
        }
        flight.done = done;
    }
}
