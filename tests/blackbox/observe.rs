//! What standard tools see: health, reflection, cluster info, metrics.

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use z4_proto::admin_client::AdminClient;
use z4_proto::{CheckHealthRequest, CreateTaskRequest, GetClusterInfoRequest, Membership};

use crate::harness::wait::{until, within};
use crate::harness::{Client, ConsumeStream, Peer, create, http, members};

/// Load balancers ask `grpc.health.v1`.
#[tokio::test]
async fn health_says_serving() {
    let peer = Peer::start().await;
    let mut health = HealthClient::new(peer.client().await.channel());
    let mut check = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        within("Check", health.check(request)).await.map(|answer| answer.into_inner().status())
    };
    for service in ["", "z4.Collection", "z4.Admin"] {
        assert_eq!(check(service).await.expect(service), ServingStatus::Serving, "{service}");
    }
    assert_eq!(check("z4.Nothing").await.expect_err("unknown").code(), Code::NotFound);
}

/// Story: a peer that waits to be added answers everybody who asks whether it serves: no, and why; and whoever asks whether it should live:
/// yes. So does a peer of two whose other one has gone. When it is back, both serve; the one that is removed then does not.
#[tokio::test]
async fn health_is_told_truly_everywhere() {
    let first = Peer::start().await;
    let mut second = Peer::start_with(&[("Z4_BOOTSTRAP_CLUSTER", "false"), ("Z4_PEER_ID", "second")]).await;
    told(&first, None).await;
    told(&second, Some("peer has no leader")).await;
    let client = first.client().await;
    members::add(&client, "second", &second.peer_address()).await.expect("added");
    members::until_replicas(&client, &["peer-1+", "second+"]).await;
    told(&first, None).await;
    told(&second, None).await;
    second.kill().await;
    told(&first, Some("peer has no leader")).await;
    let info = members::info(&client).await;
    assert!(info.leader_address.is_empty() && info.groups.iter().all(|group| group.leader.is_empty()), "{info:?}");
    second.restart().await;
    told(&first, None).await;
    told(&second, None).await;
    let client = first.client().await;
    members::remove(&client, "second").await.expect("removed");
    told(&second, Some("removed")).await;
    told(&first, None).await;
}

/// Asks a peer in every way whether it serves, until all of them say so, or say why not.
async fn told(peer: &Peer, not: Option<&str>) {
    let channel = peer.client().await.channel();
    let says = |text: &str| not.is_none_or(|why| text.contains(why));
    until("everybody hears the same", async || {
        let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.ok()?.into_inner();
        let check = AdminClient::new(channel.clone()).check_health(CheckHealthRequest::default()).await;
        let (head, body) = http::get(&peer.metrics_address(), "/healthz").await;
        let status = if not.is_none() { ServingStatus::Serving } else { ServingStatus::NotServing };
        let ping = ping(&peer.address(), &[]);
        let agreed = health.status() == status
            && check.as_ref().map_or_else(|e| e.code() == Code::Unavailable && says(e.message()), |_| not.is_none())
            && check.is_ok() == not.is_none()
            && head.starts_with("HTTP/1.1 200") == not.is_none()
            && says(&body)
            && ping == not.is_none();
        agreed.then_some(())
    })
    .await;
    assert!(http::get(&peer.metrics_address(), "/livez").await.0.starts_with("HTTP/1.1 200"), "no restart mends that");
    assert!(ping(&peer.address(), &["--alive"]), "it is there");
}

/// Whether `z4t ping` says yes.
fn ping(target: &str, more: &[&str]) -> bool {
    let mut ping = std::process::Command::new(env!("CARGO_BIN_EXE_z4t"));
    ping.args(["-t", target, "ping"]).args(more).output().expect("z4t runs").status.success()
}

/// grpcurl asks for the list of services and for the file of a symbol; with both it can call everything.
#[tokio::test]
async fn reflection_knows_every_service() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let Some(MessageResponse::ListServicesResponse(list)) = reflect(&client, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let services: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["z4.Collection", "z4.Admin", "grpc.health.v1.Health"] {
        assert!(services.contains(&service), "{service} is not in {services:?}");
    }
    let symbol = MessageRequest::FileContainingSymbol("z4.Collection".to_owned());
    let Some(MessageResponse::FileDescriptorResponse(files)) = reflect(&client, symbol).await else {
        panic!("no file for z4.Collection");
    };
    let served = FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).expect("a descriptor");
    let known = FileDescriptorSet::decode(z4_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let ours = known.file.iter().find(|file| file.name() == "z4.proto").expect("z4.proto");
    assert_eq!(served.service, ours.service, "what is served is what is described");
}

async fn reflect(client: &Client, request: MessageRequest) -> Option<MessageResponse> {
    let mut reflection = ServerReflectionClient::new(client.channel());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let asked = reflection.server_reflection_info(tokio_stream::iter([request]));
    let mut answers = within("ServerReflectionInfo", asked).await.expect("a stream").into_inner();
    let answer: Option<ServerReflectionResponse> = within("an answer", answers.message()).await.expect("an answer");
    answer.expect("an answer").message_response
}

/// One peer that leads everything, and knows it.
#[tokio::test]
async fn cluster_info_shows_one_leader_of_all_groups() {
    let peer = Peer::start().await;
    let mut admin = peer.client().await.admin;
    let info = within("GetClusterInfo", admin.get_cluster_info(GetClusterInfoRequest {})).await.expect("info").into_inner();
    assert_eq!(info.server_id, "peer-1");
    assert!(!info.leader_address.is_empty());
    assert_eq!(info.members.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["peer-1"]);
    assert_eq!(info.members[0].address, info.leader_address);
    assert!(info.groups.len() >= 2, "group 0 and at least one for tasks: {:?}", info.groups);
    for (n, group) in info.groups.iter().enumerate() {
        assert_eq!((group.id as usize, group.leader.as_str()), (n, "peer-1"));
        assert_eq!(group.members, ["peer-1"]);
        assert!(group.term >= 1 && group.applied_index <= group.last_log_index, "{group:?}");
        assert!(group.shard < 2, "{group:?}");
    }
    let me = &info.members[0];
    assert_eq!((me.number, me.connected, me.connection_error.as_str(), me.clock_skew_ms), (1, true, "", 0.0));
    assert_eq!(me.service_address, peer.address(), "where clients reach it");
    assert_eq!((info.membership(), info.cluster_id.len()), (Membership::Member, 32));
    for group in &info.groups {
        let [replica] = &group.replicas[..] else { panic!("one replica: {group:?}") };
        assert!(group.serves && replica.voter && replica.peer_id == "peer-1", "{group:?}");
        assert_eq!((replica.matched_index, replica.lag), (Some(group.last_log_index), Some(0)));
    }
}

/// The documented names are there, and they count: a dashboard that reads a name that nobody writes shows a flat line.
#[tokio::test]
async fn metrics_have_their_documented_names_and_count() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let mut stream = ConsumeStream::open(&client, &["emails"], 10).await;
    for _ in 0..3 {
        client.created(create("emails", "x")).await;
        let delivery = stream.next().await;
        assert_eq!(stream.ack(&delivery).await.status, 0);
    }
    let deleted = client.created(CreateTaskRequest { tts_seconds: 3_600, ..create("letters", "x") }).await;
    client.delete("letters", &deleted.id, 0).await.expect("deleted");
    let (head, _) = http::get(&peer.metrics_address(), "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: text/plain"), "{head}");
    let (head, _) = http::get(&peer.metrics_address(), "/nothing").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");

    // Threads add up their counts, and measure their sizes, about once a second.
    let text = until("the metrics count three creates and three deliveries and know the log's size", async || {
        let (_, text) = http::get(&peer.metrics_address(), "/metrics").await;
        let counted = value(&text, "z4_create_task_request_total", &["method=\"CreateTask\"", "namespace=\"emails\""])
            == Some(3.0)
            && value(&text, "z4_streamed_task_total", &["method=\"Consume\"", "namespace=\"emails\""]) == Some(3.0)
            && value(&text, "z4_lateness_seconds_count", &[]) == Some(3.0)
            && value(&text, "z4_received_log_count", &[]).is_some_and(|n| n >= 8.0)
            && value(&text, "z4_log_bytes", &[]).is_some_and(|bytes| bytes > 0.0);
        counted.then_some(text)
    })
    .await;
    assert_eq!(value(&text, "z4_is_leader", &["group=\"0\""]), Some(1.0));
    // Four creates, three acks and a delete are eight entries.
    assert!(value(&text, "z4_applied_log_count", &[]).is_some_and(|n| n >= 8.0), "{text}");
    for (what, count) in [("acked", 3.0), ("nacked", 0.0), ("dead", 0.0), ("removed", 1.0)] {
        assert_eq!(value(&text, &format!("z4_{what}_task_total"), &[]), Some(count), "{what}");
    }
    for histogram in
        ["commit_seconds", "fdatasync_seconds", "batch_commands", "batch_bytes", "apply_seconds", "proposals_in_flight"]
    {
        let count = value(&text, &format!("z4_{histogram}_count"), &[]);
        assert!(count.is_some_and(|n| n > 0.0), "z4_{histogram} counts {count:?}");
    }
    for name in ["z4_last_fsm_snapshot", "z4_mailbox_depth_count", "z4_oldest_due_age_seconds", "z4_partition_bytes"] {
        assert!(value(&text, name, &[]).is_some(), "{name} is missing");
    }
    for state in ["scheduled", "ready", "leased", "dead"] {
        let state = format!("state=\"{state}\"");
        assert!(value(&text, "z4_tasks", &[&state]).is_some(), "z4_tasks has no {state}");
    }
}

/// With every consumer away, the backlog must show as ready and its age must grow: this is what an operator is woken by. A gauge that
/// only knows what consumers asked for would show nothing.
#[tokio::test]
async fn a_backlog_without_consumers_is_seen() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    for namespace in ["a", "b", "c"] {
        client.created(create(namespace, "due at once")).await;
    }
    client.created(CreateTaskRequest { tts_seconds: 3_600, ..create("a", "later") }).await;
    until("three tasks are ready, one is scheduled, and the oldest ages", async || {
        let (_, text) = http::get(&peer.metrics_address(), "/metrics").await;
        let sum = |name: &str, label: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        let seen = sum("z4_tasks{", "state=\"ready\"") == 3.0
            && sum("z4_tasks{", "state=\"scheduled\"") == 1.0
            && sum("z4_oldest_due_age_seconds{", "group=") > 0.0;
        seen.then_some(())
    })
    .await;
}

/// The value of the first line with this name and these labels.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let named = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let line = text.lines().filter(named).find(|line| labels.iter().all(|label| line.contains(label)))?;
    line.rsplit(' ').next()?.parse().ok()
}
