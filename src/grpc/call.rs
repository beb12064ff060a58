//! One call: its request is read, its handler runs, its answer is sent. One task for all three.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Poller, Poll, ready};

use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use z4_shards::account::{Holder, Share};

use super::Limits;
use super::inlet::{Bad, Inlet, LeftOut, RequestBody};
use super::meanwhile::Meanwhile;
use super::memory::Memory;
use super::messages::Inbox;
use super::services::Services;

/// What an open call costs before it says anything: h2's stream, its task, the buffers of decoder and encoder. Bytes.
pub(super) const CALL_BYTES: usize = 16 << 10;

/// A status' message in a header, bytes: clients bound the headers that they take, and a name that was sent may stand in it.
const MESSAGE_BYTES_MAX: usize = 2 << 10;

/// What HTTP/2 counts for each header beside its name and value, bytes.
const HEADER_OVERHEAD_BYTES: usize = 32;

/// A part of an answer, charged until h2 has sent it.
pub(super) struct Chunk {
    bytes: Bytes,
    _share: Share,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
    }
}

/// A call at work; the task ends with it. `K` is kept for as long.
pub(super) struct Call<K> {
    inlet: Rc<Inlet>,
    holder: Holder,
    /// It waits where others are refused.
    waits: bool,
    respond: SendResponse<Chunk>,
    step: Step,
    meanwhile: Meanwhile,
    _memory: Memory,
    _kept: K,
}

enum Step {
    Handling(BoxFuture<Response<Body>, Infallible>),
    Sending {
        body: Body,
        stream: SendStream<Chunk>,
        /// Waits for the client's window; nothing more is asked of the handler meanwhile. With whether it is the last one.
        waiting: Option<(Chunk, bool)>,
    },
}

/// The call is over because its stream is.
struct Gone;

impl From<h2::Error> for Gone {
    fn from(error: h2::Error) -> Self {
        tracing::trace!(error = &error as &dyn std::error::Error, "a call's stream broke");
        Gone
    }
}

impl<K> Call<K> {
    /// The call of a request; `None`: it was refused, and that was answered.
    pub(super) fn new(
        request: Request<RecvStream>,
        mut respond: SendResponse<Chunk>,
        services: &Services,
        holder: &Holder,
        kept: K,
    ) -> Option<Self> {
        let (mut head, stream) = request.into_parts();
        let admitted = small(&head, services.limits())
            .and_then(|()| holder.take(CALL_BYTES).map_err(|full| Status::resource_exhausted(full.to_string())));
        let share = match admitted {
            Ok(share) => share,
            Err(status) => {
                let (head, _) = status.into_http::<Body>().into_parts();
                // An error means that the client is gone already.
                let _ = respond.send_response(Response::from_parts(head, ()), true);
                return None;
            }
        };
        let path = head.uri.path();
        let bad = match path {
            "/z4.Collection/CreateTaskStream" | "/z4.Collection/CreateTaskStreamAsync" => Bad::LeftOut(LeftOut::default()),
            _ => Bad::Ends,
        };
        let waits = matches!(bad, Bad::LeftOut(_));
        let inlet = Inlet::new(stream, path, bad.clone(), services.context().clone(), share);
        if let Bad::LeftOut(left_out) = bad {
            head.extensions.insert(left_out);
        }
        if inlet.is_stream() {
            head.extensions.insert(Inbox::new(inlet.clone()));
        }
        let meanwhile = Meanwhile::new();
        if waits {
            head.extensions.insert(meanwhile.clone());
        }
        let memory = Memory::new(holder);
        head.extensions.insert(memory.clone());
        let answer = services.call(Request::from_parts(head, RequestBody::new(inlet.clone())));
        let (holder, step) = (holder.clone(), Step::Handling(answer));
        Some(Self { inlet, holder, waits, respond, step, meanwhile, _memory: memory, _kept: kept })
    }

    fn poll_step(&mut self, cx: &mut Poller<'_>) -> Poll<Result<(), Gone>> {
        while let Step::Handling(answer) = &mut self.step {
            match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => {
                    self.inlet.answered();
                    let (mut head, body) = response.into_parts();
                    shorten(&mut head.headers);
                    let last = body.is_end_stream();
                    let stream = self.respond.send_response(Response::from_parts(head, ()), last)?;
                    if last {
                        return Poll::Ready(Ok(()));
                    }
                    self.step = Step::Sending { body, stream, waiting: None };
                }
                Poll::Ready(Err(never)) => match never {},
                Poll::Pending => {
                    ready!(self.respond.poll_reset(cx))?;
                    return Poll::Ready(Err(Gone));
                }
            }
        }
        self.poll_send(cx)
    }

    fn poll_send(&mut self, cx: &mut Poller<'_>) -> Poll<Result<(), Gone>> {
        let Step::Sending { body, stream, waiting } = &mut self.step else { return Poll::Pending };
        loop {
            if stream.poll_reset(cx)?.is_ready() {
                return Poll::Ready(Err(Gone));
            }
            if let Some((chunk, last)) = waiting.take() {
                if chunk.has_remaining() && stream.capacity() == 0 && !has_capacity(stream, cx)? {
                    *waiting = Some((chunk, last));
                    self.meanwhile.go_on(cx);
                    return Poll::Pending;
                }
                stream.send_data(chunk, last)?;
                if last {
                    return Poll::Ready(Ok(()));
                }
            }
            let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                // gRPC's bodies end with trailers.
                None => return Poll::Ready(Ok(stream.send_trailers(HeaderMap::new())?)),
                Some(Err(status)) => return Poll::Ready(Ok(stream.send_trailers(trailers(&status))?)),
            };
            match frame.into_data() {
                // Answers to a stream of creates are small, there is one at a time, and what was done must be told.
                Ok(bytes) => match if self.waits { Ok(self.holder.count(bytes.len())) } else { self.holder.take(bytes.len()) } {
                    Ok(share) => {
                        // One byte asks for capacity; h2 raises it to what `send_data` brings. All of it at once would keep it from
                        // other streams meanwhile.
                        stream.reserve_capacity(1);
                        *waiting = Some((Chunk { bytes, _share: share }, body.is_end_stream()));
                    }
                    Err(full) => {
                        let status = Status::resource_exhausted(format!("the answer cannot be kept until it is read: {full}"));
                        return Poll::Ready(Ok(stream.send_trailers(trailers(&status))?));
                    }
                },
                Err(frame) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    shorten(&mut trailers);
                    stream.reserve_capacity(0);
                    return Poll::Ready(Ok(stream.send_trailers(trailers)?));
                }
            }
        }
    }
}

/// There is capacity to send now.
fn has_capacity(stream: &mut SendStream<Chunk>, cx: &mut Poller<'_>) -> Result<bool, Gone> {
    loop {
        match stream.poll_capacity(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Some(Ok(0))) => {}
            Poll::Ready(Some(Ok(_))) => return Ok(true),
            Poll::Ready(Some(Err(error))) => return Err(error.into()),
            Poll::Ready(None) => return Err(Gone),
        }
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from(status.code() as u16));
    }
    shorten(&mut trailers);
    trailers
}

/// Cuts a status' message that is too long for a header.
fn shorten(headers: &mut HeaderMap) {
    let Some(message) = headers.get(Status::GRPC_MESSAGE).filter(|message| message.len() > MESSAGE_BYTES_MAX) else { return };
    let bytes = &message.as_bytes()[..MESSAGE_BYTES_MAX];
    // Not within the three characters that stand for one.
    let end = bytes.iter().rposition(|byte| *byte == b'%').filter(|at| at + 3 > bytes.len()).unwrap_or(bytes.len());
    if let Ok(cut) = http::HeaderValue::from_bytes(&[&bytes[..end], b"..."].concat()) {
        headers.insert(Status::GRPC_MESSAGE, cut);
    }
}

/// Checks the size of the headers.
fn small(head: &http::request::Parts, limits: &Limits) -> Result<(), Status> {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES).sum();
    let bytes = fields + head.uri.path().len();
    let limit = limits.header_bytes_max;
    if bytes <= limit as usize {
        return Ok(());
    }
    Err(Status::resource_exhausted(format!("the request's headers have {bytes} bytes; the limit is {limit} (header_bytes_max)")))
}

impl<K: Unpin> Future for Call<K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.inlet.fill(cx);
        // What went wrong, the client knows.
        this.poll_step(cx).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients bound the headers that they take: an answer with a longer one is no answer to them.
    #[test]
    fn a_status_whose_message_quotes_too_much_is_cut() {
        for filling in ["x", "\u{fc}", "a\u{fc}\u{1f525}"] {
            let status = Status::invalid_argument(filling.repeat(1 << 20));
            let headers = trailers(&status);
            let message = headers.get(Status::GRPC_MESSAGE).expect("a message").as_bytes();
            assert!(message.len() <= MESSAGE_BYTES_MAX + 3 && message.ends_with(b"..."), "{}", message.len());
            let percents = message.iter().enumerate().filter(|(_, byte)| **byte == b'%');
            for (at, _) in percents {
                assert!(message[at + 1..at + 3].iter().all(u8::is_ascii_hexdigit), "a whole character");
            }
            assert_eq!(headers.get(Status::GRPC_STATUS).expect("a status"), "3");
        }
        let short = Status::not_found("no such task");
        assert_eq!(trailers(&short).get(Status::GRPC_MESSAGE).expect("a message"), "no%20such%20task");
    }
}
