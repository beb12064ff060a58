//! The services of a peer that is played.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use z4_proto::admin_server::Admin;
use z4_proto::collection_server::Collection;
use z4_proto::*;

use super::fake::{Consuming, Stage};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the peer's refusal says.
fn not_done(status: &Status) -> bool {
    status.metadata().get(DONE_TRAILER).is_some_and(|done| done == NOT_DONE)
}

fn unplayed<T>() -> Answer<T> {
    Err(Status::unimplemented("no test plays this"))
}

fn settled<'a>(settles: impl Iterator<Item = (&'a String, u64)>) -> SettleResponse {
    let result = |(task_id, token): (&String, u64)| SettleResult { task_id: task_id.clone(), token, ..SettleResult::default() };
    SettleResponse { results: settles.map(result).collect() }
}

#[async_trait]
impl Collection for Stage {
    async fn create_task(&self, request: Request<CreateTaskRequest>) -> Answer<CreateTaskResponse> {
        let request = request.into_inner();
        self.fate("CreateTask", |stage| Response::new(stage.create(&request))).await
    }

    type CreateTaskStreamStream = Answers<TaskStreamResponse>;

    async fn create_task_stream(&self, request: Request<Streaming<CreateTaskRequest>>) -> Answer<Answers<TaskStreamResponse>> {
        let stage = self.clone();
        let answers = request.into_inner().then(move |request| {
            let stage = stage.clone();
            async move {
                let request = request?;
                let created = stage.fate("CreateTaskStream", |stage| stage.create(&request)).await;
                Ok(match created {
                    Ok(CreateTaskResponse { task, forwarded_to, duplicate }) => {
                        TaskStreamResponse { task, forwarded_to, duplicate, ..TaskStreamResponse::default() }
                    }
                    Err(status) if status.code() == tonic::Code::DataLoss => return Err(Status::out_of_range("too large")),
                    Err(status) => TaskStreamResponse {
                        status: status.code() as u32,
                        message: status.message().to_owned(),
                        not_done: not_done(&status),
                        ..TaskStreamResponse::default()
                    },
                })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn create_tasks(&self, request: Request<CreateTasksRequest>) -> Answer<CreateTasksResponse> {
        let request = request.into_inner();
        let mut results = Vec::new();
        for task in &request.tasks {
            let created = self.fate("CreateTasks", |stage| stage.create(task)).await;
            let refused = |status: Status| TaskStreamResponse {
                status: status.code() as u32,
                not_done: not_done(&status),
                ..TaskStreamResponse::default()
            };
            results.push(
                created
                    .map_or_else(refused, |created| TaskStreamResponse { task: created.task, ..TaskStreamResponse::default() }),
            );
        }
        Ok(Response::new(CreateTasksResponse { results }))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Answer<Task> {
        let GetTaskRequest { namespace, task_id, .. } = request.into_inner();
        self.fate("GetTask", |_| Response::new(Task { id: task_id, namespace, ..Task::default() })).await
    }

    async fn update_task(&self, request: Request<UpdateTaskRequest>) -> Answer<Task> {
        let request = request.into_inner();
        let task = Task { id: request.task_id, version: request.expected_version + 1, ..Task::default() };
        self.fate("UpdateTask", |_| Response::new(task)).await
    }

    async fn delete_task(&self, _: Request<DeleteTaskRequest>) -> Answer<DeleteTaskResponse> {
        self.fate("DeleteTask", |_| Response::new(DeleteTaskResponse {})).await
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Answer<ListTasksResponse> {
        let token = request.into_inner().page_token;
        let page =
            self.fate("ListTasks", |stage| stage.play().list_pages.pop_front().expect("no more pages are asked for")).await?;
        let last = self.play().request_ids.last().cloned().unwrap_or_default();
        assert_eq!(token, last, "the token of the page before");
        self.play().request_ids.push(page.next_page_token.clone());
        Ok(Response::new(page))
    }

    type ConsumeStream = Answers<ConsumeResponse>;

    async fn consume(&self, request: Request<Streaming<ConsumeRequest>>) -> Answer<Answers<ConsumeResponse>> {
        let (answers, outgoing) = tokio::sync::mpsc::channel(64);
        let consuming = Consuming { requests: request.into_inner(), answers };
        if !self.fate("Consume", |stage| stage.consumers.send(consuming).is_ok()).await? {
            return Err(Status::unavailable("the test is over"));
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn ack_tasks(&self, request: Request<AckTasksRequest>) -> Answer<SettleResponse> {
        let acks = request.into_inner().acks;
        self.fate("AckTasks", |_| Response::new(settled(acks.iter().map(|ack| (&ack.task_id, ack.token))))).await
    }

    async fn update_namespace(&self, request: Request<UpdateNamespaceRequest>) -> Answer<Namespace> {
        let UpdateNamespaceRequest { namespace: name, settings } = request.into_inner();
        self.fate("UpdateNamespace", |_| Response::new(Namespace { name, settings, ..Namespace::default() })).await
    }

    async fn purge_namespace(&self, _: Request<PurgeNamespaceRequest>) -> Answer<PurgeNamespaceResponse> {
        self.fate("PurgeNamespace", |_| Response::new(PurgeNamespaceResponse { removed: 3 })).await
    }

    async fn delete_namespace(&self, _: Request<DeleteNamespaceRequest>) -> Answer<DeleteNamespaceResponse> {
        self.fate("DeleteNamespace", |_| Response::new(DeleteNamespaceResponse { existed: true })).await
    }

    async fn create_task_async(&self, _: Request<CreateTaskRequest>) -> Answer<CreateTaskResponse> {
        unplayed()
    }

    type CreateTaskStreamAsyncStream = Answers<TaskStreamResponse>;

    async fn create_task_stream_async(
        &self,
        _: Request<Streaming<CreateTaskRequest>>,
    ) -> Answer<Self::CreateTaskStreamAsyncStream> {
        unplayed()
    }

    type GetTaskStreamStream = Answers<Task>;

    async fn get_task_stream(&self, _: Request<StreamTasksRequest>) -> Answer<Self::GetTaskStreamStream> {
        unplayed()
    }

    async fn lease_tasks(&self, _: Request<LeaseTasksRequest>) -> Answer<LeaseTasksResponse> {
        unplayed()
    }

    async fn nack_tasks(&self, _: Request<NackTasksRequest>) -> Answer<SettleResponse> {
        unplayed()
    }

    async fn extend_leases(&self, _: Request<ExtendLeasesRequest>) -> Answer<SettleResponse> {
        unplayed()
    }

    async fn get_namespace(&self, request: Request<GetNamespaceRequest>) -> Answer<Namespace> {
        let window = self.play().idempotency_window_ms.unwrap_or(300_000);
        let settings = NamespaceSettings { idempotency_window_ms: Some(window), ..NamespaceSettings::default() };
        Ok(Response::new(Namespace { name: request.into_inner().namespace, settings: Some(settings), ..Namespace::default() }))
    }

    async fn list_namespaces(&self, _: Request<ListNamespacesRequest>) -> Answer<ListNamespacesResponse> {
        unplayed()
    }
}

#[async_trait]
impl Admin for Stage {
    async fn check_health(&self, _: Request<CheckHealthRequest>) -> Answer<z4_proto::Status> {
        self.fate("CheckHealth", |_| Response::new(z4_proto::Status {})).await
    }

    async fn get_cluster_info(&self, _: Request<GetClusterInfoRequest>) -> Answer<ClusterInfo> {
        let next = self.play().infos.pop_front();
        Ok(Response::new(next.unwrap_or_else(|| self.play().info.clone())))
    }

    async fn add_cluster_member(&self, request: Request<AddClusterMemberRequest>) -> Answer<()> {
        let AddClusterMemberRequest { member_address, member_id, .. } = request.into_inner();
        self.play().request_ids.push(format!("{member_id}@{member_address}"));
        self.fate("AddClusterMember", |_| Response::new(())).await
    }

    async fn remove_cluster_member(&self, request: Request<RemoveClusterMemberRequest>) -> Answer<()> {
        self.play().request_ids.push(request.into_inner().member_id);
        self.fate("RemoveClusterMember", |_| Response::new(())).await
    }

    async fn transfer_leader(&self, request: Request<TransferLeaderRequest>) -> Answer<()> {
        let TransferLeaderRequest { group, member_id } = request.into_inner();
        self.play().request_ids.push(format!("{group}>{member_id}"));
        self.fate("TransferLeader", |_| Response::new(())).await
    }

    async fn rebalance(&self, _: Request<RebalanceRequest>) -> Answer<()> {
        self.fate("Rebalance", |_| Response::new(())).await
    }

    async fn get_state_hash(&self, request: Request<GetStateHashRequest>) -> Answer<StateHash> {
        let group = request.into_inner().group;
        self.fate("GetStateHash", |_| Response::new(StateHash { applied_index: 42, hash: 0xabc0 + u64::from(group) })).await
    }
}
