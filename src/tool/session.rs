//! The connection to the target, and how long the tool waits for it.

use std::future::Future;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use z4_proto::admin_client::AdminClient;
use z4_proto::collection_client::CollectionClient;

use super::error::ToolError;

/// A page of 100 tasks with the largest payloads has 100 MiB; what the peer sends, the tool takes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// One connection to one peer.
pub struct Session {
    target: String,
    channel: Channel,
    timeout: Duration,
}

impl Session {
    /// Connects to `HOST:PORT`.
    pub async fn connect(target: &str, timeout: Duration) -> Result<Self, ToolError> {
        let endpoint = Endpoint::from_shared(format!("http://{target}"))
            .map_err(|_| ToolError::Usage(format!("the target {target:?} is not HOST:PORT")))?
            .connect_timeout(timeout);
        let connected = tokio::time::timeout(timeout, endpoint.connect()).await;
        let channel = connected.map_err(|_| late(timeout))?.map_err(ToolError::Unreachable)?;
        Ok(Session { target: target.to_owned(), channel, timeout })
    }

    /// `HOST:PORT`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How long to wait for an answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A client for tasks and namespaces.
    pub fn collection(&self) -> CollectionClient<Channel> {
        CollectionClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// A client for the cluster.
    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Waits for the answer to a call, as long as the user wants to.
    pub async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, ToolError> {
        let answered = tokio::time::timeout(self.timeout, call).await;
        Ok(answered.map_err(|_| late(self.timeout))??.into_inner())
    }
}

/// The error for a peer that keeps silent.
pub fn late(timeout: Duration) -> ToolError {
    ToolError::Refused(Status::deadline_exceeded(format!("no answer within {timeout:?} (--timeout)")))
}
