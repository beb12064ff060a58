//! The messages of a stream of requests, decoded from the bytes of its inlet.
//!
//! tonic's decoder copies what it gets into a buffer of its own, parts of which live on in what it decodes, and keeps the largest one that it
//! ever needed for as long as the call is open: nobody can know how much that is. Here a large message is decoded where it lies.

use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Poller, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use prost::Message;
use send_wrapper::SendWrapper;
use tonic::{Code, Request, Status};

use super::inlet::Inlet;
use super::pieces::HEAD_BYTES;

/// Where the bytes of a call come from: an [`Inlet`], or a test's.
pub(super) trait Source {
    /// Whole messages, one or some; at the end perhaps the beginning of one. When it is asked again, the ones before are used up.
    fn poll_piece(&self, cx: &mut Poller<'_>) -> Poll<Option<Result<Bytes, Status>>>;
}

/// A call's inlet, for its handler.
#[derive(Clone)]
pub(super) struct Inbox(SendWrapper<Rc<Inlet>>);

impl Inbox {
    pub(super) fn new(inlet: Rc<Inlet>) -> Self {
        Inbox(SendWrapper::new(inlet))
    }
}

/// The messages of a stream of requests.
pub(super) struct Messages<T, S = Inlet> {
    source: Rc<S>,
    /// Whole messages that were not read yet.
    piece: Bytes,
    over: bool,
    of: PhantomData<fn() -> T>,
}

impl<T> Messages<T> {
    /// Those of a request; the request's own body is not to be read any more.
    ///
    /// # Errors
    /// INTERNAL: it came over no connection.
    pub(super) fn of<B>(request: &Request<B>) -> Result<Self, Status> {
        let inbox = request.extensions().get::<Inbox>().ok_or_else(|| Status::internal("a stream without a connection"))?;
        Ok(Self::new((*inbox.0).clone()))
    }
}

impl<T, S> Messages<T, S> {
    fn new(source: Rc<S>) -> Self {
        Self { source, piece: Bytes::new(), over: false, of: PhantomData }
    }
}

/// Takes the message at the front of a piece.
fn decode<T: Message + Default>(piece: &mut Bytes) -> Result<T, Status> {
    let unfinished = || Status::internal("Unexpected EOF decoding stream.");
    let head = piece.first_chunk::<HEAD_BYTES>().ok_or_else(unfinished)?;
    let [compressed, a, b, c, d] = *head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    piece.advance(HEAD_BYTES);
    if compressed != 0 {
        let text = "protocol error: a message is compressed, and this peer has named no encoding that it takes";
        return Err(Status::internal(text));
    }
    if piece.len() < length {
        return Err(unfinished());
    }
    T::decode(piece.split_to(length)).map_err(|error| Status::internal(error.to_string()))
}

impl<T: Message + Default, S: Source> Stream for Messages<T, S> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        while this.piece.is_empty() {
            match ready!(this.source.poll_piece(cx)) {
                Some(Ok(piece)) => this.piece = piece,
                // A client that has gone has nothing more to say.
                Some(Err(status)) if status.code() == Code::Cancelled => this.over = true,
                Some(Err(status)) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => this.over = true,
            }
            if this.over {
                return Poll::Ready(None);
            }
        }
        let message = decode(&mut this.piece);
        if message.is_err() {
            (this.over, this.piece) = (true, Bytes::new());
        }
        Poll::Ready(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use futures_util::{FutureExt, StreamExt};
    use z4_proto::CreateTaskRequest;

    use super::*;

    type Played = RefCell<VecDeque<Result<Bytes, Status>>>;

    impl Source for Played {
        fn poll_piece(&self, _: &mut Poller<'_>) -> Poll<Option<Result<Bytes, Status>>> {
            Poll::Ready(self.borrow_mut().pop_front())
        }
    }

    fn framed(payload: usize) -> Vec<u8> {
        let message = CreateTaskRequest { payload: vec![7; payload].into(), ..Default::default() }.encode_to_vec();
        [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
    }

    /// What comes of these pieces: sizes of payloads, or what was wrong.
    fn read(pieces: Vec<Result<Bytes, Status>>) -> Vec<Result<usize, String>> {
        let messages: Messages<CreateTaskRequest, Played> = Messages::new(Rc::new(RefCell::new(pieces.into())));
        let all = messages.map(|message| message.map(|m| m.payload.len()).map_err(|status| status.message().to_owned()));
        all.collect::<Vec<_>>().now_or_never().expect("nothing waits")
    }

    fn piece(bytes: &[u8]) -> Result<Bytes, Status> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn messages_are_read_one_by_one() {
        let pieces = vec![piece(&[framed(1), framed(0), framed(3)].concat()), piece(&framed(70_000)), piece(&framed(2))];
        assert_eq!(read(pieces), [Ok(1), Ok(0), Ok(3), Ok(70_000), Ok(2)]);
    }

    #[test]
    fn what_is_no_message_ends_the_stream() {
        let long = framed(9);
        let compressed = [&[1][..], &long[1..]].concat();
        let wrong = [0, 0, 0, 0, 1, 0xff];
        let cases =
            [(&long[..4], "Unexpected EOF"), (&long[..9], "Unexpected EOF"), (&compressed, "compressed"), (&wrong, "decode")];
        for (bytes, text) in cases {
            let found = read(vec![piece(&framed(1)), piece(bytes), piece(&framed(2))]);
            assert_eq!((&found[0], found.len()), (&Ok(1), 2), "{found:?}");
            assert!(found[1].as_ref().expect_err("wrong").contains(text), "{found:?}");
        }
    }

    #[test]
    fn a_client_that_goes_ends_its_stream_and_one_that_breaks_a_limit_is_told() {
        let end = |status: Status| read(vec![piece(&framed(1)), Err(status), piece(&framed(2))]);
        assert_eq!(end(Status::cancelled("reset")), [Ok(1)]);
        assert_eq!(end(Status::out_of_range("too long")), [Ok(1), Err("too long".to_owned())]);
    }
}
