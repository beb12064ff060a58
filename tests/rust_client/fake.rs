//! A peer that is played: z4's services on a socket of its own, without a shard behind them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};
use tonic::codegen::Service;
use tonic::{Status, Streaming};
use z4_proto::admin_server::AdminServer;
use z4_proto::collection_server::CollectionServer;
use z4_proto::*;

/// How long a test waits before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tasks of a cluster: what its peers have created, by request id.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<HashMap<String, String>>>);

impl Tasks {
    /// Creates once; true: it was there.
    fn create(&self, request: &CreateTaskRequest) -> (Task, bool) {
        assert!(!request.request_id.is_empty(), "a client that sends creates again names them");
        let mut tasks = self.0.lock().expect("no test panics with it");
        let next = format!("task-{}", tasks.len() + 1);
        let duplicate = tasks.contains_key(&request.request_id);
        let id = tasks.entry(request.request_id.clone()).or_insert(next).clone();
        (Task { id, namespace: request.namespace.clone(), payload: request.payload.clone(), ..Task::default() }, duplicate)
    }

    pub fn count(&self) -> usize {
        self.0.lock().expect("no test panics with it").len()
    }
}

/// What happens to a request.
pub enum Fate {
    /// It is done and answered.
    Done,
    /// It is not done; this is the answer.
    Refused(Status),
    /// It is done, and then every connection breaks.
    DoneAndLost,
    /// It is done, and never answered.
    DoneAndSilent,
}

/// A consume stream, as the peer sees it.
pub struct Consuming {
    pub requests: Streaming<ConsumeRequest>,
    pub answers: mpsc::Sender<Result<ConsumeResponse, Status>>,
}

impl Consuming {
    /// The client's next message.
    pub async fn next(&mut self) -> ConsumeRequest {
        let next = within("the client says something", self.requests.message()).await;
        next.expect("the client's stream goes on").expect("the client's stream goes on")
    }

    pub async fn say(&self, answer: ConsumeResponse) {
        self.answers.send(Ok(answer)).await.expect("the client listens");
    }
}

/// What a peer has seen and what it will do.
#[derive(Default)]
pub struct Play {
    /// The fates of the next requests; then all are done.
    pub script: VecDeque<Fate>,
    /// What answers to creates say.
    pub forwarded_to: String,
    pub info: ClusterInfo,
    /// The next answers to GetClusterInfo; then `info`.
    pub infos: VecDeque<ClusterInfo>,
    /// Names of the calls that came, GetClusterInfo left out: clients make it when they like.
    pub calls: Vec<&'static str>,
    pub request_ids: Vec<String>,
    pub list_pages: VecDeque<ListTasksResponse>,
    /// What namespaces say; unset: five minutes.
    pub idempotency_window_ms: Option<u64>,
}

/// A peer.
pub struct Fake {
    pub play: Arc<Mutex<Play>>,
    address: SocketAddr,
    consumers: mpsc::UnboundedReceiver<Consuming>,
    consumers_in: mpsc::UnboundedSender<Consuming>,
    tasks: Tasks,
    breaker: Breaker,
    stop: Option<oneshot::Sender<()>>,
}

/// Breaks every connection.
#[derive(Clone, Default)]
pub struct Breaker(Arc<Mutex<Vec<tokio::task::AbortHandle>>>);

impl Breaker {
    pub fn break_all(&self) {
        self.0.lock().expect("no test panics with it").drain(..).for_each(|connection| connection.abort());
    }
}

/// What the services of a peer share.
#[derive(Clone)]
pub struct Stage {
    pub play: Arc<Mutex<Play>>,
    pub tasks: Tasks,
    pub consumers: mpsc::UnboundedSender<Consuming>,
    pub breaker: Breaker,
}

impl Stage {
    pub fn create(&self, request: &CreateTaskRequest) -> CreateTaskResponse {
        self.play().request_ids.push(request.request_id.clone());
        let (task, duplicate) = self.tasks.create(request);
        CreateTaskResponse { task: Some(task), forwarded_to: self.play().forwarded_to.clone(), duplicate }
    }

    pub fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().expect("no test panics with it")
    }

    /// Plays the fate of a request that `done` does.
    pub async fn fate<T>(&self, call: &'static str, done: impl FnOnce(&Self) -> T) -> Result<T, Status> {
        self.play().calls.push(call);
        let fate = self.play().script.pop_front().unwrap_or(Fate::Done);
        match fate {
            Fate::Done => Ok(done(self)),
            Fate::Refused(status) => Err(status),
            Fate::DoneAndLost => {
                done(self);
                self.breaker.break_all();
                std::future::pending().await
            }
            Fate::DoneAndSilent => {
                done(self);
                std::future::pending().await
            }
        }
    }
}

impl Fake {
    /// A peer of a cluster with these tasks, on a port of its own.
    pub async fn start(tasks: &Tasks) -> Fake {
        let (consumers_in, consumers) = mpsc::unbounded_channel();
        let mut fake = Fake {
            play: Arc::default(),
            address: ([127, 0, 0, 1], 0).into(),
            consumers,
            consumers_in,
            tasks: tasks.clone(),
            breaker: Breaker::default(),
            stop: None,
        };
        fake.serve();
        fake
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().expect("no test panics with it")
    }

    /// Its connections break and its port is closed.
    pub fn kill(&mut self) {
        drop(self.stop.take());
        self.breaker.break_all();
    }

    /// Listens again, on the port that it had.
    pub fn serve(&mut self) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(self.address).expect("a port");
        let listener = socket.listen(64).expect("a port");
        self.address = listener.local_addr().expect("bound");
        let stage = Stage {
            play: self.play.clone(),
            tasks: self.tasks.clone(),
            consumers: self.consumers_in.clone(),
            breaker: self.breaker.clone(),
        };
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        tokio::spawn(async move {
            tokio::select! {
                () = accept(listener, stage) => {}
                _ = stopped => {}
            }
        });
    }

    /// The next consumer that comes.
    pub async fn consumer(&mut self) -> Consuming {
        within("a consumer comes", self.consumers.recv()).await.expect("the peer serves")
    }
}

async fn accept(listener: TcpListener, stage: Stage) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let stage = stage.clone();
        let handles = stage.breaker.0.clone();
        let connection = tokio::spawn(async move {
            let collection = CollectionServer::new(stage.clone());
            let admin = AdminServer::new(stage);
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (mut collection, mut admin) = (collection.clone(), admin.clone());
                async move {
                    if request.uri().path().starts_with("/z4.Admin/") {
                        admin.call(request).await
                    } else {
                        collection.call(request).await
                    }
                }
            });
            // A broken connection is a part of the play.
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        handles.lock().expect("no test panics with it").push(connection.abort_handle());
    }
}

/// Waits for a future; panics with `what` when it takes too long.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// A create without a request id.
pub fn create(namespace: &str, payload: &str) -> CreateTaskRequest {
    CreateTaskRequest { namespace: namespace.into(), payload: payload.to_owned().into(), ..CreateTaskRequest::default() }
}

/// A member whose addresses are these.
pub fn member(id: &str, address: &str, service_address: &str) -> Server {
    Server { id: id.into(), address: address.into(), service_address: service_address.into(), ..Server::default() }
}
