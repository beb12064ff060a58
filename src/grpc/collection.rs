//! `z4.Collection`: each rpc and the file that does it.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use prost::Message;
use send_wrapper::SendWrapper;
use tonic::{Request, Response, Status, Streaming, async_trait};
use z4_model::command::Command;
use z4_model::ids::Namespace;
use z4_proto as proto;
use z4_shards::shard::api::Settle;

use super::create::{Acknowledge, Earlier, create, submit_one};
use super::create_stream::{CreateStream, Crowd, until_there_is_room};
use super::inlet::LeftOut;
use super::meanwhile::Meanwhile;
use super::memory::Memory;
use super::messages::Messages;
use super::services::Context;
use super::settle::{Said, settle};
use super::status::status;
use super::{Invalid, consume, create_batch, lease, namespaces, task_stream, tasks};

/// A stream of responses. It stays on the thread of its connection; tonic wants it `Send` all the same.
type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service.
pub(super) struct Collection {
    context: Arc<Context>,
}

impl Collection {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn create_stream(
        &self,
        request: Request<Streaming<proto::CreateTaskRequest>>,
        method: &'static str,
        acknowledge: Acknowledge,
    ) -> Result<Responses<proto::TaskStreamResponse>, Status> {
        let shards = self.context.shards.clone();
        let charge = Memory::of(&request).map(|memory| memory.holder().count(0));
        let crowd = Crowd::default();
        let waiting = crowd.clone();
        let send = move |command: Command| {
            let (shards, crowd) = (shards.clone(), waiting.clone());
            async move { until_there_is_room(crowd, || submit_one(&shards, command.clone(), acknowledge)).await }
        };
        let earlier = Earlier(self.context.shards.clone());
        let left_out = request.extensions().get::<LeftOut>().cloned().unwrap_or_default();
        let requests = (Messages::of(&request)?, left_out);
        let ways = ((send, crowd), (earlier, charge));
        let stream = CreateStream::new(self.context.clone(), method, requests, ways.0, ways.1);
        if let Some(meanwhile) = Meanwhile::of(&request) {
            meanwhile.set(stream.flight());
        }
        Ok(Box::pin(SendWrapper::new(stream)))
    }

    /// Settles deliveries, as a function that owns what it needs.
    fn settler(&self) -> impl Fn(Namespace, Vec<Settle>) -> LocalSettled + Clone + use<> {
        let shards = self.context.shards.clone();
        move |namespace, settles| {
            let shards = shards.clone();
            Box::pin(async move { shards.settle(namespace, settles).await })
        }
    }
}

type LocalSettled = Pin<Box<dyn Future<Output = Vec<z4_shards::shard::api::Settled>>>>;

/// Runs a handler that is not `Send` and wraps its answer.
async fn local<T>(handler: impl Future<Output = Result<T, Status>>) -> Result<Response<T>, Status> {
    handler.await.map(Response::new)
}

/// Runs a list once there is memory for a page of it; the page's own size is kept until it was sent.
async fn listed<T: Message>(
    memory: Option<Memory>,
    context: &Context,
    list: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let Some(memory) = memory else { return list.await };
    // A page is closed when it is full, and one task more may be on it.
    let limits = &context.limits;
    memory.take(limits.response_bytes_max + limits.payload_bytes_max + limits.metadata_bytes_max).await?;
    let page = list.await?;
    memory.keep(page.encoded_len());
    Ok(page)
}

macro_rules! run {
    ($handler:expr) => {
        SendWrapper::new(local($handler)).await
    };
}

#[async_trait]
impl proto::collection_server::Collection for Collection {
    async fn create_task(
        &self,
        request: Request<proto::CreateTaskRequest>,
    ) -> Result<Response<proto::CreateTaskResponse>, Status> {
        run!(create(&self.context, request.into_inner(), "CreateTask", Acknowledge::Durable))
    }

    async fn create_task_async(
        &self,
        request: Request<proto::CreateTaskRequest>,
    ) -> Result<Response<proto::CreateTaskResponse>, Status> {
        run!(create(&self.context, request.into_inner(), "CreateTaskAsync", Acknowledge::Queued))
    }

    type CreateTaskStreamStream = Responses<proto::TaskStreamResponse>;

    async fn create_task_stream(
        &self,
        request: Request<Streaming<proto::CreateTaskRequest>>,
    ) -> Result<Response<Self::CreateTaskStreamStream>, Status> {
        self.create_stream(request, "CreateTaskStream", Acknowledge::Durable).map(Response::new)
    }

    type CreateTaskStreamAsyncStream = Responses<proto::TaskStreamResponse>;

    async fn create_task_stream_async(
        &self,
        request: Request<Streaming<proto::CreateTaskRequest>>,
    ) -> Result<Response<Self::CreateTaskStreamAsyncStream>, Status> {
        self.create_stream(request, "CreateTaskStreamAsync", Acknowledge::Queued).map(Response::new)
    }

    async fn create_tasks(
        &self,
        request: Request<proto::CreateTasksRequest>,
    ) -> Result<Response<proto::CreateTasksResponse>, Status> {
        run!(create_batch::create_tasks(&self.context, request.into_inner().tasks))
    }

    async fn get_task(&self, request: Request<proto::GetTaskRequest>) -> Result<Response<proto::Task>, Status> {
        run!(tasks::get(&self.context, request.into_inner()))
    }

    type GetTaskStreamStream = Responses<proto::Task>;

    async fn get_task_stream(
        &self,
        request: Request<proto::StreamTasksRequest>,
    ) -> Result<Response<Self::GetTaskStreamStream>, Status> {
        let memory = Memory::of(&request).map(|memory| memory.holder());
        let namespace = self.context.namespace(&request.into_inner().namespace)?;
        let bounds = (0, self.context.limits.consumer_buffer_bytes);
        let consumer = self.context.shards.consume_on(vec![namespace.clone()], bounds, (Vec::new(), memory)).map_err(status)?;
        let stream = task_stream::task_stream(self.context.clone(), namespace, consumer, self.settler());
        Ok(Response::new(Box::pin(SendWrapper::new(stream))))
    }

    async fn update_task(&self, request: Request<proto::UpdateTaskRequest>) -> Result<Response<proto::Task>, Status> {
        run!(tasks::update(&self.context, request.into_inner()))
    }

    async fn delete_task(
        &self,
        request: Request<proto::DeleteTaskRequest>,
    ) -> Result<Response<proto::DeleteTaskResponse>, Status> {
        run!(tasks::delete(&self.context, request.into_inner()))
    }

    async fn list_tasks(&self, request: Request<proto::ListTasksRequest>) -> Result<Response<proto::ListTasksResponse>, Status> {
        let memory = Memory::of(&request);
        run!(listed(memory, &self.context, tasks::list(&self.context, request.into_inner())))
    }

    type ConsumeStream = Responses<proto::ConsumeResponse>;

    async fn consume(&self, request: Request<Streaming<proto::ConsumeRequest>>) -> Result<Response<Self::ConsumeStream>, Status> {
        let memory = Memory::of(&request).map(|memory| memory.holder());
        let mut requests = Messages::<proto::ConsumeRequest>::of(&request)?;
        let settler = self.settler();
        let context = self.context.clone();
        // The response starts before the client's first message: clients wait for the response's head before they send.
        let stream = async move {
            let first = match requests.next().await {
                Some(first) => first?,
                None => return Err(Invalid::Request("the stream ended before its first message, which opens it").into()),
            };
            let consume::Opened { namespaces, lease_ms, held } = consume::open(&first, &context.limits)?;
            let (shards, buffer_bytes) = (&context.shards, context.limits.consumer_buffer_bytes);
            let charge = consume::Charge(memory.as_ref().map(|memory| memory.count(0)));
            let consumer = shards.consume_on(namespaces, (lease_ms, buffer_bytes), (held, memory)).map_err(status)?;
            consume::consume(context, first, consumer, (requests, charge), settler)
        };
        let responses = futures_util::stream::once(stream).flat_map(|opened| match opened {
            Ok(responses) => responses.left_stream(),
            Err(status) => futures_util::stream::once(std::future::ready(Err(status))).right_stream(),
        });
        Ok(Response::new(Box::pin(SendWrapper::new(responses))))
    }

    async fn lease_tasks(
        &self,
        request: Request<proto::LeaseTasksRequest>,
    ) -> Result<Response<proto::LeaseTasksResponse>, Status> {
        let memory = Memory::of(&request);
        let holder = memory.as_ref().map(Memory::holder);
        run!(listed(memory, &self.context, lease::lease_tasks(Arc::clone(&self.context), request.into_inner(), holder)))
    }

    async fn ack_tasks(&self, request: Request<proto::AckTasksRequest>) -> Result<Response<proto::SettleResponse>, Status> {
        run!(settle(&self.context, request.into_inner().acks.into_iter().map(Said::Ack)))
    }

    async fn nack_tasks(&self, request: Request<proto::NackTasksRequest>) -> Result<Response<proto::SettleResponse>, Status> {
        run!(settle(&self.context, request.into_inner().nacks.into_iter().map(Said::Nack)))
    }

    async fn extend_leases(
        &self,
        request: Request<proto::ExtendLeasesRequest>,
    ) -> Result<Response<proto::SettleResponse>, Status> {
        run!(settle(&self.context, request.into_inner().extensions.into_iter().map(Said::Extend)))
    }

    async fn get_namespace(&self, request: Request<proto::GetNamespaceRequest>) -> Result<Response<proto::Namespace>, Status> {
        run!(namespaces::get(&self.context, request.into_inner()))
    }

    async fn update_namespace(
        &self,
        request: Request<proto::UpdateNamespaceRequest>,
    ) -> Result<Response<proto::Namespace>, Status> {
        run!(namespaces::update(&self.context, request.into_inner()))
    }

    async fn list_namespaces(
        &self,
        request: Request<proto::ListNamespacesRequest>,
    ) -> Result<Response<proto::ListNamespacesResponse>, Status> {
        let memory = Memory::of(&request);
        run!(listed(memory, &self.context, namespaces::list(&self.context, request.into_inner())))
    }

    async fn purge_namespace(
        &self,
        request: Request<proto::PurgeNamespaceRequest>,
    ) -> Result<Response<proto::PurgeNamespaceResponse>, Status> {
        run!(namespaces::purge(&self.context, request.into_inner()))
    }

    async fn delete_namespace(
        &self,
        request: Request<proto::DeleteNamespaceRequest>,
    ) -> Result<Response<proto::DeleteNamespaceResponse>, Status> {
        run!(namespaces::delete(&self.context, request.into_inner()))
    }
}
