//! Tasks: create, read, change, delete, list; and leases without a stream.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{Stream, try_unfold};
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic::transport::Channel;
use z4_proto::collection_client::CollectionClient;
use z4_proto::{
    Ack, AckTasksRequest, CreateTaskRequest, CreateTaskResponse, CreateTasksRequest, DeleteTaskRequest, Delivery, GetTaskRequest,
    LeaseTasksRequest, ListTasksRequest, ListTasksResponse, Nack, NackTasksRequest, SettleResult, Task, TaskStreamResponse,
    UpdateTaskRequest,
};

use super::attempt::Backoff;
use super::call::Call;
use super::error::Error;
use super::{Client, slot};

/// Makes a create one that can be sent twice: without a request id it gets one of 128 random bits. True: it had none.
pub(super) fn give_request_id(request: &mut CreateTaskRequest) -> bool {
    let none = request.request_id.is_empty();
    if none {
        request.request_id = format!("{:032x}", rand::random::<u128>());
    }
    none
}

/// A gRPC code inside an answer says that it is so for the moment only.
pub(super) fn passes(status: u32) -> bool {
    [Code::Unavailable, Code::ResourceExhausted].into_iter().any(|code| code as u32 == status)
}

/// A refusal inside an answer that does not say that nothing was done.
pub(super) fn may_be_done(answer: &TaskStreamResponse) -> bool {
    answer.status == Code::Unavailable as u32 && !answer.not_done
}

impl Client {
    pub(super) fn collection(&self, channel: Channel) -> CollectionClient<Channel> {
        CollectionClient::new(channel).max_decoding_message_size(self.options().answer_bytes_max)
    }

    /// Creates a task. The answer means that it is on the disks of a quorum.
    ///
    /// Without a `request_id` it gets a random one. Then `duplicate` of the answer is false: only this call can have made it.
    pub async fn create(&self, mut request: CreateTaskRequest) -> Result<CreateTaskResponse, Error> {
        let own_id = give_request_id(&mut request);
        let slot = slot(&request.namespace);
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).create_task(request).await }
        };
        let (mut created, peer) = self.call(Call::creating("CreateTask", slot, &[&request.namespace]), send).await?;
        self.follow(slot, &created.forwarded_to, &peer);
        created.duplicate &= !own_id;
        Ok(created)
    }

    /// Creates tasks: of each namespace all or none. One result for each, in their order; its status is a gRPC code. Tasks without a
    /// `request_id` get random ones. Those that are refused for the moment are asked for again, until the client's time for a call is over.
    ///
    /// # Errors
    /// The batch is refused as a whole, or there is no answer.
    pub async fn create_batch(&self, mut tasks: Vec<CreateTaskRequest>) -> Result<Vec<TaskStreamResponse>, Error> {
        let own_ids: Vec<bool> = tasks.iter_mut().map(give_request_id).collect();
        let since = Instant::now();
        let until = since + self.options().timeout;
        let mut results = self.send_batch(&tasks).await?;
        let mut backoff = Backoff::default();
        loop {
            let mut refused: Vec<usize> = (0..results.len().min(tasks.len())).filter(|&n| passes(results[n].status)).collect();
            let wait = backoff.next();
            if refused.is_empty() || Instant::now() + wait >= until {
                break;
            }
            sleep(wait).await;
            let unsure = refused.iter().filter(|&&n| may_be_done(&results[n])).map(|&n| tasks[n].namespace.as_str());
            for namespace in unsure.collect::<BTreeSet<_>>() {
                if !self.remembers(namespace, since, until).await {
                    refused.retain(|&n| tasks[n].namespace != namespace || !may_be_done(&results[n]));
                }
            }
            if refused.is_empty() {
                break;
            }
            let again: Vec<CreateTaskRequest> = refused.iter().map(|&n| tasks[n].clone()).collect();
            // What was created stays created: an error now is about the rest, which has its refusals already.
            let Ok(answers) = self.send_batch(&again).await else { break };
            for (n, answer) in refused.into_iter().zip(answers) {
                results[n] = answer;
            }
        }
        for (result, own_id) in results.iter_mut().zip(own_ids) {
            result.duplicate &= !own_id;
        }
        Ok(results)
    }

    async fn send_batch(&self, tasks: &[CreateTaskRequest]) -> Result<Vec<TaskStreamResponse>, Error> {
        let slot = tasks.first().and_then(|task| slot(&task.namespace));
        let send = |channel| {
            let request = CreateTasksRequest { tasks: tasks.to_vec() };
            async move { self.collection(channel).create_tasks(request).await }
        };
        let namespaces: BTreeSet<&str> = tasks.iter().map(|task| task.namespace.as_str()).collect();
        let namespaces: Vec<&str> = namespaces.into_iter().collect();
        let (created, peer) = self.call(Call::creating("CreateTasks", slot, &namespaces), send).await?;
        match created.results.first() {
            Some(first) if first.status == 0 => self.follow(slot, &first.forwarded_to, &peer),
            Some(first) if passes(first.status) => self.peers().forget_leader(slot),
            _ => {}
        }
        Ok(created.results)
    }

    /// Reads a task. Everything that was acknowledged before is seen, unless the request asks for less.
    pub async fn get(&self, request: GetTaskRequest) -> Result<Task, Error> {
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).get_task(request).await }
        };
        Ok(self.call(Call::read("GetTask", slot(&request.namespace)), send).await?.0)
    }

    /// Changes a task. Sent again only when it names the version that it expects, or when it was not done: an ABORTED after that, with
    /// [`Error::may_be_done`], can mean that the first one was done.
    pub async fn update(&self, request: UpdateTaskRequest) -> Result<Task, Error> {
        let slot = slot(&request.namespace);
        let call = if request.expected_version > 0 { Call::safe("UpdateTask", slot) } else { Call::once("UpdateTask", slot) };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).update_task(request).await }
        };
        Ok(self.call(call, send).await?.0)
    }

    /// Removes a task. Sent again as [`Client::update`] is: a NOT_FOUND after that can mean that the first one was done.
    pub async fn delete(&self, request: DeleteTaskRequest) -> Result<(), Error> {
        let slot = slot(&request.namespace);
        let call = if request.expected_version > 0 { Call::safe("DeleteTask", slot) } else { Call::once("DeleteTask", slot) };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).delete_task(request).await }
        };
        self.call(call, send).await.map(drop)
    }

    /// One page of a list.
    pub async fn list_page(&self, request: ListTasksRequest) -> Result<ListTasksResponse, Error> {
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).list_tasks(request).await }
        };
        Ok(self.call(Call::read("ListTasks", slot(&request.namespace)), send).await?.0)
    }

    /// Lists tasks in due order, page by page; the request says which ones, how large a page is, and where to begin.
    pub fn list(&self, request: ListTasksRequest) -> impl Stream<Item = Result<Vec<Task>, Error>> + Send + use<> {
        try_unfold((self.clone(), Some(request)), |(client, request)| async move {
            let Some(request) = request else { return Ok(None) };
            let page = client.list_page(request.clone()).await?;
            let more = !page.next_page_token.is_empty();
            let next = more.then_some(ListTasksRequest { page_token: page.next_page_token, ..request });
            Ok(Some((page.tasks, (client, next))))
        })
    }

    /// Leases tasks that are due, without a stream; the peer waits up to `wait_ms` for the first one. A [`Consumer`](super::Consumer) is
    /// faster and extends its leases by itself. Not sent again unless it is sure that nothing was leased.
    pub async fn lease_tasks(&self, request: LeaseTasksRequest) -> Result<Vec<Delivery>, Error> {
        let slot = request.namespaces.first().and_then(|namespace| slot(namespace));
        let wait = Duration::from_millis(request.wait_ms.into());
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).lease_tasks(request).await }
        };
        Ok(self.call(Call { wait, ..Call::once("LeaseTasks", slot) }, send).await?.0.deliveries)
    }

    /// Acknowledges deliveries. One result for each, in their order: status 0 is done, 9 came too late.
    pub async fn ack_tasks(&self, acks: Vec<Ack>) -> Result<Vec<SettleResult>, Error> {
        let slot = acks.first().and_then(|ack| slot(&ack.namespace));
        let request = AckTasksRequest { acks };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).ack_tasks(request).await }
        };
        Ok(self.call(Call::safe("AckTasks", slot), send).await?.0.results)
    }

    /// Gives deliveries up. One result for each, in their order.
    pub async fn nack_tasks(&self, nacks: Vec<Nack>) -> Result<Vec<SettleResult>, Error> {
        let slot = nacks.first().and_then(|nack| slot(&nack.namespace));
        let request = NackTasksRequest { nacks };
        let send = |channel| {
            let request = request.clone();
            async move { self.collection(channel).nack_tasks(request).await }
        };
        Ok(self.call(Call::safe("NackTasks", slot), send).await?.0.results)
    }
}
