//! The gRPC edge over real sockets, with tonic's own client, as far as it answers without a shard: health, reflection, refused
//! requests, what happens to connections, and what a stream of creates keeps.
//!
//! What would be wrong: a client that is not tonic's server's finds no health or reflection; a bad request takes a stream down; a
//! bound on connections that does not hold, or that is never given back; a stop that hangs on an open stream.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use futures_util::StreamExt;
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use z4::grpc::{ClusterView, Connections, Context, Limits, Me, NoObserver, Services, serve};
use z4_model::command::{Created, Op, OpReply};
use z4_model::ids::{GroupId, SLOTS, TaskId};
use z4_proto as proto;
use z4_proto::admin_client::AdminClient;
use z4_proto::collection_client::CollectionClient;
use z4_shards::account::Account;
use z4_shards::runtime::net::{self, Listener};
use z4_shards::shard::Message;
use z4_shards::shard::api::Answered;
use z4_shards::shard::handle::Shards;

struct Alone;

impl ClusterView for Alone {
    fn me(&self) -> Me {
        Me { id: "peer-1".to_owned(), ..Me::default() }
    }
}

/// An edge without shards, on an executor of its own.
struct Edge {
    address: SocketAddr,
    connections: Connections,
    stop: futures_channel::oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Edge {
    fn start(limits: Limits) -> Self {
        Self::with_account(limits, Account::new(256 << 20))
    }

    fn with_account(limits: Limits, account: Account) -> Self {
        Self::with_shards(limits, account, Shards::disconnected)
    }

    /// The same over shards that are made on its executor.
    fn with_shards(limits: Limits, account: Account, shards: impl FnOnce() -> Shards + Send + 'static) -> Self {
        let (stop, stopped) = futures_channel::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let connections = Connections::default();
        let shared = connections.clone();
        let thread = std::thread::spawn(move || {
            let serving = async move {
                let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
                tell.send(listener.local_addr().expect("bound")).expect("the test waits");
                let context = Context {
                    shards: shards(),
                    limits,
                    account,
                    now_ms: Arc::new(|| 1_000_000),
                    observer: Arc::new(NoObserver),
                    cluster: Arc::new(Alone),
                };
                let services = Services::new(context).expect("our own descriptors");
                serve(listener, services, shared, async { stopped.await.unwrap_or(()) }).await;
            };
            net::run(serving).expect("io_uring");
        });
        Self { address: told.recv().expect("the edge starts"), connections, stop, thread }
    }

    async fn channel(&self) -> Channel {
        let address = format!("http://{}", self.address);
        Channel::from_shared(address).expect("an address").connect().await.expect("the edge listens")
    }

    /// Waits until so many connections are open.
    async fn open(&self, connections: usize) {
        while self.connections.open() != connections {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops it while the clients go on running: they answer its GOAWAY.
    async fn stop(self) {
        self.stop.send(()).expect("the edge serves");
        let join = tokio::task::spawn_blocking(|| self.thread.join());
        join.await.expect("no panic here").expect("the edge ends well");
    }
}

fn create(namespace: &str, payload: usize) -> proto::CreateTaskRequest {
    proto::CreateTaskRequest { namespace: namespace.into(), payload: vec![0; payload].into(), ..Default::default() }
}

#[tokio::test(flavor = "current_thread")]
async fn health_is_served_and_reflection_describes_it() {
    let edge = Edge::start(Limits::default());
    let channel = edge.channel().await;
    for service in ["", "z4.Collection", "z4.Admin"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(channel.clone()).check(request).await.expect("known").into_inner();
        assert_eq!(answer.status, 1, "{service:?} serves");
    }
    AdminClient::new(channel.clone()).check_health(proto::CheckHealthRequest::default()).await.expect("served");
    let added = AdminClient::new(channel.clone()).add_cluster_member(proto::AddClusterMemberRequest::default()).await;
    assert_eq!(added.expect_err("it belongs to no cluster").code(), Code::FailedPrecondition);

    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("nobody.Knows".into())),
        ask(MessageRequest::FileContainingSymbol("z4.Collection".into())),
    ];
    let answers = ServerReflectionClient::new(channel).server_reflection_info(futures_util::stream::iter(asked)).await;
    let answers: Vec<ServerReflectionResponse> =
        answers.expect("served").into_inner().map(|a| a.expect("answered")).collect().await;
    let answers: Vec<_> = answers.into_iter().map(|a| a.message_response.expect("there")).collect();
    match &answers[..] {
        [
            MessageResponse::ListServicesResponse(list),
            MessageResponse::ErrorResponse(e),
            MessageResponse::FileDescriptorResponse(file),
        ] => {
            assert!(list.service.iter().any(|s| s.name == "z4.Collection"));
            assert_eq!(e.error_code, Code::NotFound as i32);
            assert!(!file.file_descriptor_proto[0].is_empty());
        }
        other => panic!("not what was asked: {other:?}"),
    }
    edge.stop().await;
}

#[tokio::test(flavor = "current_thread")]
async fn bad_requests_are_refused_by_field_value_and_limit() {
    let edge = Edge::start(Limits::default());
    let mut client = CollectionClient::new(edge.channel().await);
    let refused = client.create_task(create("a", 1_048_577)).await.expect_err("too large");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "payload has 1048577 bytes; the limit is 1048576 (payload_bytes_max)");
    let refused = client.create_task_async(create("", 1)).await.expect_err("no namespace");
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "namespace is empty; it takes 1 to 255 bytes"));
    let tasks = vec![create("a", 0); 1_001];
    let refused = client.create_tasks(proto::CreateTasksRequest { tasks }).await.expect_err("too many");
    assert_eq!(refused.message(), "tasks has 1001 tasks; the limit is 1000 (batch_tasks_max)");
    let refused = client.lease_tasks(proto::LeaseTasksRequest::default()).await.expect_err("nothing to consume");
    assert_eq!(refused.message(), "namespaces is empty; a consumer takes at least one");
    let messages = futures_util::stream::iter([proto::ConsumeRequest { credit: 1, ..Default::default() }]);
    let mut responses = client.consume(messages).await.expect("the stream starts").into_inner();
    let refused = responses.next().await.expect("an answer").expect_err("not opened");
    assert_eq!(refused.message(), "open is missing; the first message of a consume stream opens it");
    edge.stop().await;
}

/// Refused requests are answered in their order and the stream goes on, with more requests than may be in flight.
#[tokio::test(flavor = "current_thread")]
async fn a_stream_of_bad_requests_is_answered_to_its_end() {
    let edge = Edge::start(Limits { in_flight_max: 8, payload_bytes_max: 10, ..Limits::default() });
    let mut client = CollectionClient::new(edge.channel().await);
    let requests = (0..1_000).map(|i| create("a", 11 + i));
    let answers = client.create_task_stream(futures_util::stream::iter(requests)).await.expect("the stream starts");
    let answers: Vec<_> = answers.into_inner().map(|answer| answer.expect("the stream goes on")).collect().await;
    assert_eq!(answers.len(), 1_000);
    for (i, answer) in answers.into_iter().enumerate() {
        let text = format!("payload has {} bytes; the limit is 10 (payload_bytes_max)", 11 + i);
        assert_eq!((answer.status, answer.message), (Code::InvalidArgument as u32, text));
    }
    edge.stop().await;
}

#[tokio::test(flavor = "current_thread")]
async fn an_unknown_method_is_unimplemented() {
    let edge = Edge::start(Limits::default());
    let mut client = tonic::client::Grpc::new(edge.channel().await);
    client.ready().await.expect("connected");
    let path = "/z4.Nothing/Here".parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<proto::Status, proto::Status>::default();
    let refused = client.unary(tonic::Request::new(proto::Status {}), path, codec).await.expect_err("unknown");
    assert_eq!((refused.code(), refused.message()), (Code::Unimplemented, "/z4.Nothing/Here is no method of this peer"));
    edge.stop().await;
}

/// A connection over the bound is closed at once; when another one ends, its place is free again.
#[tokio::test(flavor = "current_thread")]
async fn connections_are_bounded() {
    let edge = Edge::start(Limits { connections_max: 2, drain_ms: 50, ..Limits::default() });
    let first = tokio::net::TcpStream::connect(edge.address).await.expect("taken");
    let _second = tokio::net::TcpStream::connect(edge.address).await.expect("taken");
    edge.open(2).await;
    let mut third = tokio::net::TcpStream::connect(edge.address).await.expect("the kernel takes it");
    assert_eq!(third.read(&mut [0; 64]).await.unwrap_or(0), 0, "closed without a word");
    drop(first);
    edge.open(1).await;
    let mut fourth = tokio::net::TcpStream::connect(edge.address).await.expect("taken");
    assert!(fourth.read(&mut [0; 64]).await.expect("served") > 0, "the server's settings come");
    edge.stop().await;
}

/// A client that says nothing is cut; one that speaks HTTP/2 but has no call is asked to go (GOAWAY) and then cut.
#[tokio::test(flavor = "current_thread")]
async fn silent_and_idle_connections_end() {
    let edge = Edge::start(Limits { handshake_ms: 50, idle_ms: 100, drain_ms: 50, ..Limits::default() });
    let mut silent = tokio::net::TcpStream::connect(edge.address).await.expect("taken");
    let mut idle = tokio::net::TcpStream::connect(edge.address).await.expect("taken");
    edge.open(2).await;
    // The preface and empty settings.
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("sent");
    let mut seen = Vec::new();
    idle.read_to_end(&mut seen).await.expect("the server closes");
    // A frame's type is its fourth byte; 7 is GOAWAY.
    assert!(frame_types(&seen).contains(&7), "{seen:?}");
    silent.read_to_end(&mut Vec::new()).await.expect("the server closes");
    edge.open(0).await;
    edge.stop().await;
}

fn frame_types(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, ..] = bytes {
        types.push(*kind);
        let length = 9 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    types
}

/// A stop waits for open calls only as long as it is told.
#[tokio::test(flavor = "current_thread")]
async fn a_stop_does_not_hang_on_an_open_stream() {
    let edge = Edge::start(Limits { drain_ms: 50, ..Limits::default() });
    let mut client = CollectionClient::new(edge.channel().await);
    let requests = futures_util::stream::iter([create("", 0)]).chain(futures_util::stream::pending());
    let mut answers = client.create_task_stream(requests).await.expect("the stream starts").into_inner();
    answers.next().await.expect("an answer").expect("the refusal of one request");
    edge.stop.send(()).expect("the edge serves");
    let end = answers.next().await;
    assert!(matches!(&end, None | Some(Err(_))), "{end:?}");
    edge.thread.join().expect("the edge ends well");
}

/// A message that is larger than any may be is answered in its place, with field and limit, and the stream goes on behind it.
#[tokio::test(flavor = "current_thread")]
async fn a_message_that_is_too_large_is_answered_in_its_stream() {
    let edge = Edge::start(Limits { message_bytes_max: 100_000, ..Limits::default() });
    let mut client = CollectionClient::new(edge.channel().await);
    let requests = [create("", 1), create("a", 900_000), create("", 2), create("a", 100_000)];
    let answers = client.create_task_stream(futures_util::stream::iter(requests)).await.expect("the stream starts");
    let answers: Vec<_> = answers.into_inner().map(|answer| answer.expect("the stream goes on")).collect().await;
    let texts: Vec<_> = answers.iter().map(|answer| answer.message.as_str()).collect();
    assert!(answers.iter().all(|answer| answer.status == Code::InvalidArgument as u32), "{texts:?}");
    assert!(texts[1].starts_with("the message has 9000") && texts[1].contains("the limit is 100000"), "{texts:?}");
    assert!(texts[3].starts_with("the message has 1000"), "{texts:?}");
    assert!(texts[0].starts_with("namespace is empty") && texts[2].starts_with("namespace is empty"), "{texts:?}");
    // A call that has one request only ends with it.
    let refused = client.create_task(create("a", 900_000)).await.expect_err("too large");
    assert!(refused.code() == Code::InvalidArgument && refused.message().starts_with("the message has 9000"), "{refused}");
    edge.stop().await;
}

/// An HTTP status would reach the caller as UNKNOWN, without a word.
#[tokio::test(flavor = "current_thread")]
async fn headers_that_are_too_large_are_refused_by_their_limit() {
    let edge = Edge::start(Limits::default());
    let mut client = AdminClient::new(edge.channel().await);
    let ask = |bytes: usize| {
        let mut request = tonic::Request::new(proto::CheckHealthRequest::default());
        request.metadata_mut().insert("x-large", "v".repeat(bytes).parse().expect("a value"));
        request
    };
    client.check_health(ask(15_000)).await.expect("within the limit");
    let refused = client.check_health(ask(20_000)).await.expect_err("above it");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("the limit is 16384 (header_bytes_max)"), "{refused}");
    client.check_health(ask(0)).await.expect("the connection goes on");
    edge.stop().await;
}

/// One client sends nothing but pings: it is told to go, and everybody else is served meanwhile.
#[tokio::test(flavor = "current_thread")]
async fn a_flood_of_control_frames_ends_its_connection_and_holds_nobody_up() {
    let edge = Edge::start(Limits::default());
    let (mut from, mut to) = tokio::net::TcpStream::connect(edge.address).await.expect("taken").into_split();
    let flood = tokio::spawn(async move {
        let _ = to.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        let pings = b"\0\0\x08\x06\0\0\0\0\0pingpong".repeat(1_000);
        // Until the edge closes.
        while to.write_all(&pings).await.is_ok() {}
    });
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        // The end may be a reset: bytes of the flood were never read.
        let _ = from.read_to_end(&mut seen).await;
        seen
    });
    let mut client = AdminClient::new(edge.channel().await);
    while !flood.is_finished() {
        client.check_health(proto::CheckHealthRequest::default()).await.expect("served beside the flood");
    }
    let seen = reading.await.expect("no panic");
    let calm = seen.windows(17).any(|frame| frame[3] == 7 && frame[9..17].ends_with(&[0, 0, 0, 11]));
    assert!(calm, "GOAWAY with ENHANCE_YOUR_CALM, at the end of {} bytes", seen.len());
    edge.stop().await;
}

/// Calls that do nothing cost memory all the same: one connection gets a part of it, others are served, and all of it comes back.
#[tokio::test(flavor = "current_thread")]
async fn open_calls_are_bounded_by_the_account_and_leave_room_for_others() {
    let account = Account::new(4 << 20);
    let edge = Edge::with_account(Limits { drain_ms: 50, ..Limits::default() }, account.clone());
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..4 {
        let mut client = CollectionClient::new(edge.channel().await);
        for _ in 0..100 {
            match client.create_task_stream(futures_util::stream::pending()).await {
                Ok(stream) => held.push(stream.into_inner()),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    assert!(status.message().contains("request_memory_bytes_max"), "{status}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0 && held.len() > 40, "{} are open, {refused} were refused", held.len());
    let mut modest = AdminClient::new(edge.channel().await);
    modest.check_health(proto::CheckHealthRequest::default()).await.expect("there is room for somebody who wants little");
    drop((held, modest));
    edge.stop().await;
    assert_eq!(account.used(), 0);
}

/// Creates that a shard has taken: their payloads, and how they are answered.
#[derive(Clone, Default)]
struct Taken(Rc<RefCell<Vec<(Bytes, Answering)>>>);

type Answering = Box<dyn FnOnce()>;

impl Taken {
    /// Shards that take creates; they are answered when this is called.
    fn shards(&self) -> Shards {
        let (shards, mut inboxes) = Shards::new(1, 64);
        shards.set_slots(&vec![GroupId(1); usize::from(SLOTS)]);
        let (mut inbox, Taken(taken)) = (inboxes.remove(0), self.clone());
        net::spawn(async move {
            let mut messages = Vec::new();
            while inbox.receive(&mut messages, 16).await {
                for message in messages.drain(..) {
                    let Message::Submit(_, command, answer) = message else { panic!("nothing else is asked") };
                    let [Op::Create(create)] = &command.ops[..] else { panic!("creates come one by one") };
                    let id = TaskId { due_ms: 1, group: GroupId(1), sequence: taken.borrow().len() as u64 };
                    let value = Ok(vec![OpReply::Created(Created { id, created_ms: 1, duplicate: false })]);
                    let tell = move || assert!(answer.send(Ok(Answered { value, by: None })).is_ok());
                    taken.borrow_mut().push((create.payload.clone(), Box::new(tell)));
                }
            }
        });
        shards
    }
}

/// Story: a client sends creates and takes no answer. The shard has them all and answers late. What is done is then kept by nobody, although
/// its answer waits, and is not charged; while it was on its way, a payload kept little more memory than it has bytes. Once the client
/// takes its answers all of them come.
#[tokio::test(flavor = "current_thread")]
async fn creates_that_are_done_are_not_kept_while_their_answers_wait() {
    const CREATES: usize = 8;
    const PAYLOAD_BYTES: usize = 20 << 10;
    let account = Account::new(64 << 20);
    let (tell, told) = mpsc::channel();
    let edge = Edge::with_shards(Limits::default(), account.clone(), move || {
        let taken = Taken::default();
        let shards = taken.shards();
        net::spawn(async move {
            while taken.0.borrow().len() < CREATES {
                net::sleep(Duration::from_millis(1)).await;
            }
            tell.send(0).expect("the test waits");
            // One after the other: the first answer waits for the client when the next create is done.
            for (mut payload, answer) in taken.0.take() {
                answer();
                let alone = loop {
                    match payload.try_into_mut() {
                        Ok(alone) => break alone,
                        Err(kept_by_others) => payload = kept_by_others,
                    }
                    net::sleep(Duration::from_millis(1)).await;
                };
                tell.send(alone.capacity()).expect("the test waits");
            }
        });
        shards
    });
    let socket = tokio::net::TcpStream::connect(edge.address).await.expect("the edge listens");
    let mut builder = h2::client::Builder::new();
    let shaking = builder.initial_window_size(0).handshake::<_, Bytes>(socket);
    let (requests, mut connection) = shaking.await.expect("HTTP/2");
    let (set, window) = tokio::sync::oneshot::channel::<()>();
    let driving = tokio::spawn(async move {
        tokio::select! {
            ended = &mut connection => return ended,
            _ = window => connection.set_initial_window_size(1 << 20)?,
        }
        connection.await
    });
    let request = http::Request::post("http://edge/z4.Collection/CreateTaskStream").header("content-type", "application/grpc");
    let mut requests = requests.ready().await.expect("a connection");
    let (response, mut sending) = requests.send_request(request.body(()).expect("a request"), false).expect("a stream");
    let message = create("a", PAYLOAD_BYTES).encode_to_vec();
    let mut all = Vec::new();
    for _ in 0..CREATES {
        all.put_u8(0);
        all.put_u32(message.len() as u32);
        all.extend_from_slice(&message);
    }
    sending.send_data(all.into(), false).expect("within the window");

    let told = tokio::task::spawn_blocking(move || {
        let next = || told.recv_timeout(Duration::from_secs(60)).expect("it comes to that");
        assert_eq!(next(), 0);
        (0..CREATES).map(|_| next()).collect::<Vec<usize>>()
    });
    let kept = told.await.expect("done creates are let go of");
    assert!(kept.iter().all(|bytes| *bytes <= PAYLOAD_BYTES + 64), "a payload kept {kept:?} bytes");
    while account.used() > CREATES * PAYLOAD_BYTES / 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    set.send(()).expect("the connection is there");
    let mut body = response.await.expect("a response").into_body();
    let mut answers = Vec::new();
    let mut count = 0;
    while count < CREATES {
        answers.extend_from_slice(&body.data().await.expect("not over").expect("answers"));
        let mut rest = &answers[..];
        count = 0;
        while rest.len() >= 5 && rest.len() - 5 >= (&rest[1..]).get_u32() as usize {
            let length = (&rest[1..]).get_u32() as usize;
            let answer = proto::TaskStreamResponse::decode(&rest[5..5 + length]).expect("an answer");
            let id: TaskId = answer.task.expect("a task").id.parse().expect("an id");
            assert_eq!(id.sequence, count as u64, "in the order of the requests");
            count += 1;
            rest = &rest[5 + length..];
        }
    }
    drop((sending, body, requests));
    driving.abort();
    edge.stop().await;
    assert_eq!(account.used(), 0);
}
