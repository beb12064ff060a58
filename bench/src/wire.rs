//! gRPC with as little work per message as possible: requests are bytes that were encoded before, replies are read only as far as a
//! run needs them (prost skips the fields that a message type does not declare).

use std::marker::PhantomData;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost_types::Timestamp;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint};

use crate::error::{Error, Result};

/// HTTP/2 windows: larger than what is in flight, so that flow control never decides a figure.
const WINDOW_BYTES: u32 = 8 << 20;
/// A response may carry a whole window of deliveries.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Opens so many connections to several peers, in turn.
pub async fn connect_all(addresses: &[String], connections: usize) -> Result<Vec<Channel>> {
    let mut channels = Vec::with_capacity(connections);
    for address in addresses.iter().cycle().take(connections.max(addresses.len())) {
        channels.extend(connect(address, 1).await?);
    }
    Ok(channels)
}

/// Opens `connections` HTTP/2 connections, so that every shard that accepts gets some.
pub async fn connect(address: &str, connections: usize) -> Result<Vec<Channel>> {
    let mut channels = Vec::with_capacity(connections);
    for _ in 0..connections {
        let failed = |source| Error::Connect { address: address.to_owned(), source };
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(failed)?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .buffer_size(4096)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        channels.push(endpoint.connect().await.map_err(failed)?);
    }
    Ok(channels)
}

/// The rpcs that are called with encoded requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rpc(&'static str);

impl Rpc {
    /// Unary, durable.
    pub const CREATE: Self = Self("/z4.Collection/CreateTask");
    /// Unary, answered when queued.
    pub const CREATE_ASYNC: Self = Self("/z4.Collection/CreateTaskAsync");
    /// Streamed, durable.
    pub const CREATE_STREAM: Self = Self("/z4.Collection/CreateTaskStream");
    /// Streamed, answered when queued.
    pub const CREATE_STREAM_ASYNC: Self = Self("/z4.Collection/CreateTaskStreamAsync");
    /// A batch.
    pub const CREATE_BATCH: Self = Self("/z4.Collection/CreateTasks");
    /// Deliveries and acks.
    pub const CONSUME: Self = Self("/z4.Collection/Consume");

    /// The name for messages.
    pub fn name(self) -> &'static str {
        self.0.rsplit('/').next().unwrap_or(self.0)
    }

    fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(self.0)
    }

    /// One request, one reply.
    pub async fn unary<R: Message + Default + 'static>(
        self,
        channel: &Channel,
        request: Bytes,
    ) -> std::result::Result<R, Status> {
        let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(grpc.unary(tonic::Request::new(request), self.path(), Wire::default()).await?.into_inner())
    }

    /// A stream of requests, a stream of replies.
    pub async fn stream<R: Message + Default + 'static>(
        self,
        channel: &Channel,
        requests: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Streaming<R>> {
        let failed = Error::call(self.name());
        let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        if let Err(error) = grpc.ready().await {
            return Err(failed(Status::unavailable(error.to_string())));
        }
        match grpc.streaming(tonic::Request::new(requests), self.path(), Wire::default()).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(failed(status)),
        }
    }
}

/// A codec from encoded bytes to a reply of type `R`.
struct Wire<R>(PhantomData<R>);

impl<R> Default for Wire<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R: Message + Default + 'static> Codec for Wire<R> {
    type Encode = Bytes;
    type Decode = R;
    type Encoder = Encoded;
    type Decoder = Self;

    fn encoder(&mut self) -> Encoded {
        Encoded
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

/// Puts bytes that are a message already.
struct Encoded;

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // A frame is sent when the stream has no more messages or at 32 KiB: room for that from the start.
        BufferSettings::new(32 << 10, 32 << 10)
    }
}

impl<R: Message + Default + 'static> Decoder for Wire<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> std::result::Result<Option<R>, Status> {
        let rest = buffer.remaining();
        R::decode(buffer).map(Some).map_err(|e| Status::internal(format!("a reply of {rest} bytes cannot be read: {e}")))
    }
}

/// The part of a `CreateTaskResponse` that is read: nothing, its arrival is the answer.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Created {}

/// The part of a `TaskStreamResponse` that is read.
#[derive(Clone, PartialEq, Message)]
pub struct StreamReply {
    /// A gRPC code.
    #[prost(uint32, tag = "2")]
    pub status: u32,
    /// Why it was refused.
    #[prost(string, tag = "3")]
    pub message: String,
}

/// The part of a `CreateTasksResponse` that is read.
#[derive(Clone, PartialEq, Message)]
pub struct BatchReply {
    /// In the order of the requests.
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<StreamReply>,
}

/// The part of a `ConsumeResponse` that is read.
#[derive(Clone, PartialEq, Message)]
pub struct Consumed {
    /// Tasks.
    #[prost(message, repeated, tag = "1")]
    pub deliveries: Vec<Delivered>,
    /// Answers to acks.
    #[prost(message, repeated, tag = "2")]
    pub results: Vec<Settled>,
}

/// The part of a `Delivery` that is read.
#[derive(Clone, PartialEq, Message)]
pub struct Delivered {
    /// The task.
    #[prost(message, optional, tag = "1")]
    pub task: Option<DeliveredTask>,
    /// 1 for the first delivery.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
    /// For the ack.
    #[prost(uint64, tag = "3")]
    pub token: u64,
}

/// The part of a delivered `Task` that is read.
#[derive(Clone, PartialEq, Message)]
pub struct DeliveredTask {
    /// For the ack.
    #[prost(string, tag = "1")]
    pub id: String,
    /// For the ack.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// May carry a time stamp of the load generator.
    #[prost(bytes = "bytes", tag = "4")]
    pub payload: Bytes,
    /// When it was due.
    #[prost(message, optional, tag = "5")]
    pub deliver_at: Option<Timestamp>,
}

/// The part of a `SettleResult` that is read.
#[derive(Clone, PartialEq, Message)]
pub struct Settled {
    /// A gRPC code.
    #[prost(uint32, tag = "3")]
    pub status: u32,
    /// Why it was refused.
    #[prost(string, tag = "4")]
    pub message: String,
}

/// Milliseconds since 1970 as a protobuf time.
pub fn timestamp(millis: i64) -> Timestamp {
    Timestamp { seconds: millis.div_euclid(1_000), nanos: (millis.rem_euclid(1_000) * 1_000_000) as i32 }
}

/// A protobuf time as microseconds since 1970.
pub fn micros(time: &Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

#[cfg(test)]
mod tests {
    //! The partial messages must read what the whole ones say: a wrong tag would read zeros, and a refused task would count as created.
    use super::*;
    use z4_proto as pb;

    #[test]
    fn partial_messages_read_what_whole_ones_say() {
        let task = pb::Task { id: "A".into(), namespace: "n".into(), payload: Bytes::from_static(b"p"), ..Default::default() };
        let task = pb::Task { deliver_at: Some(timestamp(1_001)), attempts: 3, ..task };
        let reply = pb::TaskStreamResponse { task: Some(task.clone()), status: 3, message: "no".into(), ..Default::default() };
        let batch = pb::CreateTasksResponse { results: vec![reply.clone(), reply.clone()] };
        let read = StreamReply { status: 3, message: "no".into() };
        assert_eq!(StreamReply::decode(&*reply.encode_to_vec()), Ok(read.clone()));
        assert_eq!(BatchReply::decode(&*batch.encode_to_vec()), Ok(BatchReply { results: vec![read.clone(), read] }));

        let delivery = pb::Delivery { task: Some(task), attempt: 2, token: 7, lease_deadline: Some(timestamp(9)) };
        let result = pb::SettleResult { task_id: "A".into(), token: 7, status: 9, message: "late".into(), lease_deadline: None };
        let consumed = pb::ConsumeResponse { deliveries: vec![delivery], results: vec![result] };
        let read = Consumed::decode(&*consumed.encode_to_vec()).expect("the same message");
        let task = read.deliveries[0].task.as_ref().expect("a task");
        assert_eq!((task.id.as_str(), task.namespace.as_str(), &*task.payload), ("A", "n", b"p".as_slice()));
        assert_eq!((read.deliveries[0].attempt, read.deliveries[0].token), (2, 7));
        assert_eq!(read.results, vec![Settled { status: 9, message: "late".into() }]);
        assert_eq!(task.deliver_at.as_ref().map(micros), Some(1_001_000));
    }

    #[test]
    fn times_before_1970_keep_positive_nanos() {
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_000_000 });
        assert_eq!(micros(&timestamp(-1)), -1_000);
    }
}
