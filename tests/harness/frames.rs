//! A gRPC client that sends a DATA frame per message, as grpc-go does, as fast as its socket takes them: HTTP/2 without any of gRPC's
//! libraries.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::wait::within;

/// What went wrong with a connection or a call.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The peer had enough of this client.
pub fn is_too_much(failure: &Failure) -> bool {
    failure.downcast_ref::<h2::Error>().is_some_and(|error| error.reason() == Some(Reason::ENHANCE_YOUR_CALM))
}

/// A connection to a peer.
pub struct Raw {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Raw {
    /// Connects with `HOST:PORT`.
    pub async fn connect(address: &str) -> Result<Raw, Failure> {
        let socket = TcpStream::connect(address).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(8 << 20);
        let (requests, connection) = builder.handshake(socket).await?;
        Ok(Raw { requests, connection: tokio::spawn(connection) })
    }

    /// Opens a call of `z4.Collection`.
    pub async fn call(&self, method: &str) -> Result<(Sending, Answers), Failure> {
        self.call_within(method, None).await
    }

    /// The same, for which the peer has so long, milliseconds. Nobody looks at the time here.
    pub async fn call_within(&self, method: &str, time_ms: Option<u64>) -> Result<(Sending, Answers), Failure> {
        let mut request = http::Request::post(format!("http://peer/z4.Collection/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(time_ms) = time_ms {
            request = request.header("grpc-timeout", format!("{time_ms}m"));
        }
        let request = request.body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (response, sending) = requests.send_request(request, false)?;
        let opening = Box::pin(async {
            let (head, body) = response.await?.into_parts();
            Ok((head.headers, body))
        });
        Ok((Sending(sending), Answers { body: Body::Awaited(opening), bytes: BytesMut::new() }))
    }

    /// The connection is as it was: nobody was told to go.
    pub async fn close(self) {
        assert!(!self.connection.is_finished(), "{:?}", self.connection.await);
        drop(self.requests);
        within("the end of the connection", self.connection).await.expect("no panic").expect("a clean end");
    }
}

/// The messages that go out.
pub struct Sending(SendStream<Bytes>);

impl Sending {
    /// Sends a message in a frame of its own, when the window has room for it.
    pub async fn send(&mut self, message: &impl Message) -> Result<(), Failure> {
        let stream = &mut self.0;
        let mut bytes = BytesMut::with_capacity(5 + message.encoded_len());
        bytes.put_u8(0);
        bytes.put_u32(message.encoded_len() as u32);
        message.encode(&mut bytes)?;
        stream.reserve_capacity(bytes.len());
        while stream.capacity() < bytes.len() {
            poll_fn(|cx| stream.poll_capacity(cx)).await.ok_or("the stream is over")??;
        }
        Ok(stream.send_data(bytes.freeze(), false)?)
    }

    /// Says that no more comes.
    pub fn end(&mut self) -> Result<(), Failure> {
        Ok(self.0.send_data(Bytes::new(), true)?)
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<(HeaderMap, RecvStream), Failure>> + Send>>;

enum Body {
    Awaited(Opening),
    There(HeaderMap, RecvStream),
}

/// The messages that come back.
pub struct Answers {
    body: Body,
    bytes: BytesMut,
}

impl Answers {
    /// The next message; `None`: a clean end.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Failure> {
        if let Body::Awaited(opening) = &mut self.body {
            let (headers, body) = opening.await?;
            self.body = Body::There(headers, body);
        }
        let Body::There(headers, body) = &mut self.body else { return Err("no answer".into()) };
        loop {
            if let Some(head) = self.bytes.first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if self.bytes.len() >= 5 + length {
                    self.bytes.advance(5);
                    return Ok(Some(M::decode(self.bytes.split_to(length))?));
                }
            }
            let Some(data) = body.data().await else {
                // An answer without a body has its status in front.
                let trailers = body.trailers().await?.unwrap_or_else(|| headers.clone());
                let status = trailers.get("grpc-status").map(|status| status.as_bytes());
                return if status == Some(b"0") { Ok(None) } else { Err(format!("{trailers:?}").into()) };
            };
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            self.bytes.extend_from_slice(&data);
        }
    }
}
