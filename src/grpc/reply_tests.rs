//! What a client does not take is lost to it, although it was done: leases that it never hears of, tasks that it creates a second time.
//! So each rpc's largest answer, with every count and every name as large as any option lets it be, fits into what a client takes that was
//! told nothing. One task may be larger than that only where an option says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use prost_types::FileDescriptorSet;
use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};
use z4_model::rows::metadata::pack_metadata;
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::rows::task::TaskRow;
use z4_model::settings::Settings;
use z4_shards::link::{Clocks, Reachability};
use z4_shards::roster::{Member, Roster};
use z4_shards::shard::api::{Delivered, GroupInfo, NamespaceView, ReplicaInfo, TaskPage, TaskState, TaskView};
use z4_shards::shard::delivery::weight;

use super::*;
use crate::grpc::cluster_info::{Me, Seen, cluster_info};
use crate::grpc::fakes::context;
use crate::grpc::{Limits, consume, convert, lease, namespaces, tasks};

const PEERS: u64 = 63;
const GROUPS: u16 = 1_025;

fn longest(what: &str) -> Namespace {
    Namespace::new(&format!("{what:-<255}")).expect("the longest")
}

fn record(payload: usize, metadata: usize) -> TaskRecord {
    let values: Vec<String> = (0..metadata).map(|n| format!("{n:0>240}")).collect();
    let packed = pack_metadata(values.iter().map(|value| (&value[230..], value.as_str())));
    let late = u64::MAX >> 18;
    TaskRecord {
        id_due_ms: late,
        created_ms: late,
        last_retry_ms: late,
        version: 1_000_000,
        attempts: 1_000_000,
        payload: Bytes::from(vec![7; payload]),
        metadata: packed,
        ..Default::default()
    }
}

fn view(sequence: u64, payload: usize, metadata: usize) -> TaskView {
    let (due_ms, group) = (u64::MAX >> 18, GroupId(1));
    let row = TaskRow {
        id: TaskId { due_ms, group, sequence },
        key: TaskKey { due_ms, sequence },
        dead: false,
        record: record(payload, metadata),
    };
    TaskView { row, state: TaskState::Ready }
}

fn delivered(sequence: u64, payload: usize) -> Delivered {
    let TaskRow { id, key, record, .. } = view(sequence, payload, 0).row;
    Delivered { namespace: longest("n"), id, key, row: record.encode(), attempt: 9, token: u64::MAX, deadline_ms: u64::MAX >> 18 }
}

fn one_task() -> usize {
    convert::task(&longest("n"), view(1, 1 << 20, 64)).expect("readable").encoded_len()
}

fn stream_answer(sequence: u64) -> proto::TaskStreamResponse {
    let task = convert::task(&longest("n"), view(sequence, 0, 0)).expect("readable");
    proto::TaskStreamResponse { task: Some(task), forwarded_to: "h".repeat(260), duplicate: true, ..Default::default() }
}

fn settled(n: u64) -> proto::SettleResult {
    let deadline = prost_types::Timestamp { seconds: i64::MAX >> 8, nanos: 999_999_999 };
    proto::SettleResult {
        task_id: "i".repeat(64),
        token: u64::MAX - n,
        status: 9,
        message: "m".repeat(300),
        lease_deadline: Some(deadline),
    }
}

fn settle_response() -> usize {
    let mut results: Vec<_> = (0..100_000).map(settled).collect();
    fit(&mut results, 0);
    assert!(results.iter().enumerate().all(|(n, result)| result.token == u64::MAX - n as u64 && result.status == 9));
    proto::SettleResponse { results }.encoded_len()
}

fn batch() -> usize {
    let mut results: Vec<_> = (0..65_536).map(stream_answer).collect();
    let ids: Vec<_> = results.iter().flat_map(|result| result.task.clone()).map(|task| task.id).collect();
    fit(&mut results, 0);
    assert_eq!(results.iter().flat_map(|result| result.task.clone()).map(|task| task.id).collect::<Vec<_>>(), ids);
    proto::CreateTasksResponse { results }.encoded_len()
}

fn page() -> usize {
    let limit = parts(100_000, Limits::default().response_bytes_max);
    let small = (0..limit as u64).map(|n| view(n, 0, 0));
    // The last one comes when the page is nearly full.
    let page = |views: Vec<TaskView>| {
        let answer = tasks::list_response(&longest("n"), TaskPage { tasks: views, next: None }, 1 << 20).expect("readable");
        assert!(!answer.next_page_token.is_empty(), "it was cut");
        answer.encoded_len()
    };
    let large = (0..3).map(|n| view(n, (1 << 20) - 1_024, 0));
    page(small.collect()).max(page(large.collect()))
}

fn page_of_namespaces() -> usize {
    let limit = parts(100_000, Limits::default().response_bytes_max);
    let row = NamespaceRow { settings: Settings::default(), created_ms: 9, live: u64::MAX, dead: u64::MAX, low_water_ms: 0 };
    let one = |n: usize| NamespaceView { name: longest(&n.to_string()), group: GroupId(9), row: row.clone(), leased: u64::MAX };
    let answer = namespaces::list_response((0..limit).map(one).collect(), limit, 1 << 20);
    assert_eq!(answer.next_page_token, answer.namespaces.last().expect("some").name, "it goes on after the last one");
    answer.encoded_len()
}

fn consumed() -> usize {
    let context = context(Limits::default());
    let mut small: VecDeque<_> = (0..65_536).map(|n| delivered(n, 0)).collect();
    let mut large: VecDeque<_> = (0..3).map(|n| delivered(n, (1 << 20) - 1_024)).collect();
    let mut results = VecDeque::from_iter((0..10_000).map(settled));
    let results = consume::take_results(&mut results);
    let of = |from: &mut VecDeque<_>| {
        let deliveries = consume::take_deliveries(from, &context).expect("readable");
        proto::ConsumeResponse { deliveries, results: results.clone() }.encoded_len()
    };
    of(&mut small).max(of(&mut large))
}

fn leased() -> usize {
    let one = delivered(1, 0);
    let counted = weight(&one.row);
    assert!(framed(&convert::delivery(one).expect("readable")) <= lease::spelled_out() * counted);
    lease::bytes_max(&context(Limits::default()))
}

fn info() -> usize {
    let id = |number: u64| format!("{number:p>64}");
    let address = |number: u64| format!("{number:h>250}:6356");
    let members = (1..=PEERS).map(|number| Member { number, id: id(number), address: address(number), removed: false });
    let roster = Roster { cluster: "c".repeat(32), members: members.collect(), ..Roster::default() };
    let replica = |peer| ReplicaInfo { peer, voter: true, matched: Some((u64::MAX, u64::MAX)) };
    let group = |group| GroupInfo {
        group: GroupId(group),
        leader: Some(1),
        serves: true,
        term: u64::MAX,
        last_log_index: Some(u64::MAX),
        applied_index: Some(u64::MAX),
        committed_index: None,
        stale_ms: None,
        bytes: 0,
        voters: (1..=PEERS).collect(),
        shard: 255,
        replicas: (1..=PEERS).map(replica).collect(),
    };
    let reach = |_| {
        let (error, service_address) = ("e".repeat(1 << 20), address(1));
        Some(Reachability { links: 0, error, service_address, ..Reachability::default() })
    };
    let me = Me { id: id(1), number: Some(1), cluster_id: "c".repeat(32), ..Me::default() };
    let seen = Seen { roster: &roster, reach: &reach, groups: (0..GROUPS).map(group).collect(), clocks: &Clocks::default() };
    let info = cluster_info(me, seen);
    assert_eq!((info.members.len(), info.groups.len()), (PEERS as usize, usize::from(GROUPS)));
    assert!(info.groups.iter().all(|group| group.leader == id(1)));
    info.encoded_len()
}

#[test]
fn every_answer_fits_a_client_that_was_told_nothing() {
    let nothing = || 64;
    let one_namespace = || 1_024;
    let table: BTreeMap<&str, fn() -> usize> = BTreeMap::from([
        ("CreateTask", one_task as fn() -> usize),
        ("CreateTaskAsync", one_task),
        ("CreateTaskStream", one_task),
        ("CreateTaskStreamAsync", one_task),
        ("CreateTasks", batch),
        ("GetTask", one_task),
        ("GetTaskStream", one_task),
        ("UpdateTask", one_task),
        ("DeleteTask", nothing),
        ("ListTasks", page),
        ("Consume", consumed),
        ("LeaseTasks", leased),
        ("AckTasks", settle_response),
        ("NackTasks", settle_response),
        ("ExtendLeases", settle_response),
        ("GetNamespace", one_namespace),
        ("UpdateNamespace", one_namespace),
        ("ListNamespaces", page_of_namespaces),
        ("PurgeNamespace", nothing),
        ("DeleteNamespace", nothing),
        ("CheckHealth", nothing),
        ("GetClusterInfo", info),
        ("AddClusterMember", nothing),
        ("RemoveClusterMember", nothing),
        ("TransferLeader", nothing),
        ("Rebalance", nothing),
        ("GetStateHash", nothing),
    ]);
    let files = FileDescriptorSet::decode(z4_proto::FILE_DESCRIPTOR_SET).expect("our own").file;
    let services = files.iter().filter(|file| file.package() == "z4").flat_map(|file| &file.service);
    let rpcs: BTreeSet<&str> = services.flat_map(|service| service.method.iter().map(|method| method.name())).collect();
    assert_eq!(table.keys().copied().collect::<BTreeSet<_>>(), rpcs, "each rpc has its row");
    for (rpc, largest) in table {
        let bytes = largest();
        assert!(bytes <= CLIENT_BYTES_MAX, "{rpc}: an answer of {bytes} bytes");
    }
}

/// What fits is left as it is, and what says less are the last ones.
#[test]
fn an_answer_says_less_at_its_end() {
    let mut few: Vec<_> = (0..10).map(settled).collect();
    let before = few.clone();
    fit(&mut few, 0);
    assert_eq!(few, before);
    let mut many: Vec<_> = (0..20_000).map(settled).collect();
    fit(&mut many, 0);
    let cut = many.iter().position(|result| result.task_id.is_empty()).expect("some say less");
    assert!(cut > 5_000 && many[..cut].iter().all(|result| !result.message.is_empty()));
    assert!(many[cut..].iter().all(|result| result.message.is_empty() && result.lease_deadline.is_some()));
}
