//! A gRPC client with the calls that most tests make.

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use z4_proto::admin_client::AdminClient;
use z4_proto::collection_client::CollectionClient;
use z4_proto::*;

use super::requests::{ack_of, nack_of};
use super::wait::within;

/// The longest LeaseTasks that a test asks for, milliseconds: a condition that is not met in that time is a failure.
const LONG_POLL_MS: u32 = 60_000;

/// One connection to a peer. Clones share it.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    /// Tasks and namespaces, as generated.
    pub tasks: CollectionClient<Channel>,
    /// The cluster, as generated.
    pub admin: AdminClient<Channel>,
}

impl Client {
    /// Connects; `None` when nobody listens (yet).
    pub async fn connect(address: &str) -> Option<Self> {
        Self::connect_to(endpoint(address)).await
    }

    /// Connects with settings of one's own.
    pub async fn connect_to(endpoint: Endpoint) -> Option<Self> {
        let channel = endpoint.connect().await.ok()?;
        let tasks = CollectionClient::new(channel.clone()).max_decoding_message_size(64 << 20);
        Some(Client { tasks, admin: AdminClient::new(channel.clone()), channel })
    }

    /// For clients that are not generated here.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The peer is there, whether it serves or not.
    pub async fn answers(&self) -> bool {
        self.admin.clone().get_cluster_info(GetClusterInfoRequest {}).await.is_ok()
    }

    /// CheckHealth says that the peer serves.
    pub async fn healthy(&self) -> bool {
        self.health().await.is_ok()
    }

    /// CheckHealth: why the peer does not serve.
    pub async fn health(&self) -> Result<(), Status> {
        self.admin.clone().check_health(CheckHealthRequest::default()).await.map(drop)
    }

    /// Creates a task.
    pub async fn create(&self, request: CreateTaskRequest) -> Result<CreateTaskResponse, Status> {
        Ok(within("CreateTask", self.tasks.clone().create_task(request)).await?.into_inner())
    }

    /// Creates a task that must be taken.
    pub async fn created(&self, request: CreateTaskRequest) -> Task {
        self.create(request).await.expect("the task is taken").task.expect("the answer carries the task")
    }

    /// Creates a batch.
    pub async fn create_batch(&self, tasks: Vec<CreateTaskRequest>) -> Result<Vec<TaskStreamResponse>, Status> {
        let request = CreateTasksRequest { tasks };
        Ok(within("CreateTasks", self.tasks.clone().create_tasks(request)).await?.into_inner().results)
    }

    /// Creates any number of tasks, in batches; all must be taken.
    pub async fn created_all(&self, tasks: Vec<CreateTaskRequest>) -> Vec<Task> {
        let mut created = Vec::with_capacity(tasks.len());
        for batch in tasks.chunks(500) {
            for result in self.create_batch(batch.to_vec()).await.expect("the batch is taken") {
                assert_eq!(result.status, 0, "{}", result.message);
                created.push(result.task.expect("a result carries its task"));
            }
        }
        created
    }

    /// Reads a task.
    pub async fn get(&self, namespace: &str, id: &str) -> Result<Task, Status> {
        let request = GetTaskRequest { namespace: namespace.to_owned(), task_id: id.to_owned(), ..GetTaskRequest::default() };
        Ok(within("GetTask", self.tasks.clone().get_task(request)).await?.into_inner())
    }

    /// Reads a task as this peer has it.
    pub async fn get_stale(&self, namespace: &str, id: &str) -> Result<Task, Status> {
        let (namespace, task_id) = (namespace.to_owned(), id.to_owned());
        let request = GetTaskRequest { namespace, task_id, consistency: Consistency::Stale.into(), ..GetTaskRequest::default() };
        Ok(within("GetTask", self.tasks.clone().get_task(request)).await?.into_inner())
    }

    /// The task does not exist (any more).
    pub async fn is_gone(&self, namespace: &str, id: &str) -> bool {
        matches!(self.get(namespace, id).await, Err(status) if status.code() == Code::NotFound)
    }

    /// Changes a task.
    pub async fn update(&self, request: UpdateTaskRequest) -> Result<Task, Status> {
        Ok(within("UpdateTask", self.tasks.clone().update_task(request)).await?.into_inner())
    }

    /// Removes a task.
    pub async fn delete(&self, namespace: &str, id: &str, expected_version: u32) -> Result<(), Status> {
        let request = DeleteTaskRequest { namespace: namespace.to_owned(), task_id: id.to_owned(), expected_version };
        within("DeleteTask", self.tasks.clone().delete_task(request)).await.map(drop)
    }

    /// One page of a list.
    pub async fn list_page(&self, request: ListTasksRequest) -> Result<ListTasksResponse, Status> {
        Ok(within("ListTasks", self.tasks.clone().list_tasks(request)).await?.into_inner())
    }

    /// Every page of a list.
    pub async fn list(&self, mut request: ListTasksRequest) -> Vec<Task> {
        let mut tasks = Vec::new();
        loop {
            let page = self.list_page(request.clone()).await.expect("a page");
            tasks.extend(page.tasks);
            if page.next_page_token.is_empty() {
                return tasks;
            }
            assert_ne!(page.next_page_token, request.page_token, "a list that does not move never ends");
            request.page_token = page.next_page_token;
        }
    }

    /// Every task of a namespace.
    pub async fn list_all(&self, namespace: &str) -> Vec<Task> {
        self.list(ListTasksRequest { namespace: namespace.to_owned(), page_size: 1_000, ..ListTasksRequest::default() }).await
    }

    /// Reads a namespace.
    pub async fn namespace(&self, namespace: &str) -> Namespace {
        let request = GetNamespaceRequest { namespace: namespace.to_owned() };
        within("GetNamespace", self.tasks.clone().get_namespace(request)).await.expect("a namespace").into_inner()
    }

    /// Reads a namespace, perhaps in vain.
    pub async fn try_namespace(&self, namespace: &str) -> Result<Namespace, Status> {
        let request = GetNamespaceRequest { namespace: namespace.to_owned() };
        Ok(within("GetNamespace", self.tasks.clone().get_namespace(request)).await?.into_inner())
    }

    /// Changes a namespace's settings.
    pub async fn configure(&self, namespace: &str, settings: NamespaceSettings) -> Result<Namespace, Status> {
        let request = UpdateNamespaceRequest { namespace: namespace.to_owned(), settings: Some(settings) };
        Ok(within("UpdateNamespace", self.tasks.clone().update_namespace(request)).await?.into_inner())
    }

    /// Failed attempts come back at once, so that no test waits for a backoff that it is not about.
    pub async fn without_backoff(&self, namespace: &str) {
        let settings = NamespaceSettings { backoff_first_ms: Some(0), backoff_jitter: Some(0.0), ..NamespaceSettings::default() };
        self.configure(namespace, settings).await.expect("the settings are taken");
    }

    /// Removes every task of a namespace and says how many there were.
    pub async fn purge(&self, namespace: &str) -> u64 {
        let request = PurgeNamespaceRequest { namespace: namespace.to_owned() };
        within("PurgeNamespace", self.tasks.clone().purge_namespace(request)).await.expect("a purge").into_inner().removed
    }

    /// LeaseTasks as it is.
    pub async fn lease_tasks(&self, request: LeaseTasksRequest) -> Result<Vec<Delivery>, Status> {
        // A long poll may take as long as its own wait; the answer must come soon after.
        let asked = tokio::time::timeout(super::wait::PATIENCE * 2, self.tasks.clone().lease_tasks(request)).await;
        Ok(asked.expect("LeaseTasks answers when its wait is over")?.into_inner().deliveries)
    }

    /// The next delivery of a namespace, however long it takes. `lease_ms` 0: the namespace's lease time.
    pub async fn lease_one(&self, namespace: &str, lease_ms: u32) -> Delivery {
        let namespaces = vec![namespace.to_owned()];
        let request = LeaseTasksRequest { namespaces, max_tasks: 1, lease_ms, wait_ms: LONG_POLL_MS };
        let mut deliveries = self.lease_tasks(request).await.expect("a lease");
        assert_eq!(deliveries.len(), 1, "one task was asked for and {} came", deliveries.len());
        deliveries.remove(0)
    }

    /// What is deliverable now, up to 1,000 tasks.
    pub async fn lease_now(&self, namespace: &str) -> Vec<Delivery> {
        let namespaces = vec![namespace.to_owned()];
        let request = LeaseTasksRequest { namespaces, max_tasks: 1_000, lease_ms: 0, wait_ms: 0 };
        self.lease_tasks(request).await.expect("a lease")
    }

    /// Acknowledges deliveries; one answer for each.
    pub async fn ack(&self, deliveries: &[Delivery]) -> Vec<SettleResult> {
        let request = AckTasksRequest { acks: deliveries.iter().map(ack_of).collect() };
        within("AckTasks", self.tasks.clone().ack_tasks(request)).await.expect("answers").into_inner().results
    }

    /// Gives one delivery up, which must be accepted.
    pub async fn nack(&self, delivery: &Delivery, delay_ms: Option<u64>, reason: &str) {
        let request = NackTasksRequest { nacks: vec![nack_of(delivery, delay_ms, reason)] };
        let answer = within("NackTasks", self.tasks.clone().nack_tasks(request)).await.expect("answers").into_inner();
        assert_eq!(answer.results[0].status, 0, "{}", answer.results[0].message);
    }
}

/// How tests reach a peer: every call has its own bound, so the connection has none.
pub fn endpoint(address: &str) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).expect("an address")
}
