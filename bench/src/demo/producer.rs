//! The producer: one stream of creates, answered in order. Whatever was not answered is simply sent again, with the same request id.

use tonic::transport::Channel;
use z4_proto::CreateTaskRequest;
use z4_proto::collection_client::CollectionClient;

use super::ledger::Ledger;
use crate::error::{Error, Result};

/// Sends the creates of `indexes` and notes the answers. Returns those that are to be sent again: refused for the moment, or
/// not answered because the producer hung up after `hang_up_after` answers.
pub async fn create(
    channel: &Channel,
    indexes: &[usize],
    request: impl Fn(usize) -> CreateTaskRequest,
    ledger: &Ledger,
    hang_up_after: usize,
) -> Result<Vec<usize>> {
    let requests: Vec<_> = indexes.iter().map(|&index| request(index)).collect();
    let mut client = CollectionClient::new(channel.clone());
    let failed = Error::call("CreateTaskStream");
    let mut answers = match client.create_task_stream(tokio_stream::iter(requests)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Err(failed(status)),
    };
    let mut again = Vec::new();
    for (answered, &index) in indexes.iter().enumerate() {
        if answered >= hang_up_after {
            again.extend_from_slice(&indexes[answered..]);
            break;
        }
        let answer = answers.message().await.map_err(Error::call("CreateTaskStream"))?;
        let answer = answer.ok_or_else(|| Error::Input("the peer ended the stream of creates early".into()))?;
        match (tonic::Code::from_i32(answer.status as i32), answer.task) {
            (tonic::Code::Ok, Some(task)) => ledger.created(index, task.id, answer.duplicate),
            (tonic::Code::ResourceExhausted | tonic::Code::Unavailable, _) => again.push(index),
            (code, _) => return Err(Error::call("CreateTaskStream")(tonic::Status::new(code, answer.message))),
        }
    }
    Ok(again)
}

/// Sends creates until all of `indexes` are acknowledged. Returns how many times one was sent again.
pub async fn create_all(
    channel: &Channel,
    indexes: &[usize],
    request: impl Fn(usize) -> CreateTaskRequest,
    ledger: &Ledger,
) -> Result<usize> {
    let (mut left, mut again) = (indexes.to_vec(), 0);
    loop {
        left = create(channel, &left, &request, ledger, usize::MAX).await?;
        if left.is_empty() {
            return Ok(again);
        }
        again += left.len();
        // Refused for want of resources or of a leader: give the peer a moment.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
