//! The admin tool, as an operator or a script runs it.

use std::io::{BufRead, Write};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::Peer;
use crate::harness::wait::until;

/// Runs `z4t` against a peer, with flags where an operator would put them, and some input.
fn z4t(target: &str, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_z4t"))
        .args(["-t", target])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("z4t runs");
    // A tool that reads no input may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    child.wait_with_output().expect("z4t ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs it with success and returns what it printed for people.
fn done(target: &str, args: &[&str]) -> String {
    printed(target, &[args, &["-o", "table"]].concat())
}

/// Runs it with success and returns what it printed.
fn printed(target: &str, args: &[&str]) -> String {
    let output = z4t(target, args, b"");
    assert!(output.status.success(), "z4t {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a script reads from a pipe without a wish: objects, one per line.
fn json(target: &str, args: &[&str]) -> Vec<Value> {
    let printed = printed(target, args);
    printed.lines().map(|line| serde_json::from_str(line).expect("an object on each line")).collect()
}

/// Runs it without success and returns its exit code and its one line.
fn fails(target: &str, args: &[&str]) -> (i32, String) {
    let output = z4t(target, args, b"");
    let line = text(&output.stderr);
    assert!(!output.status.success(), "z4t {args:?} succeeded");
    assert_eq!(line.trim_end().lines().count(), 1, "one line of error: {line}");
    (output.status.code().expect("an exit code"), line)
}

/// info is a table for people and JSON for scripts, with the three fields that they read first, and groups below.
#[tokio::test]
async fn info_and_ping() {
    let peer = Peer::start().await;
    let target = peer.address();
    let table = done(&target, &["info"]);
    assert!(table.starts_with("peer-1") && table.contains("MEMBER") && table.contains("GROUP"), "{table}");
    let printed = printed(&target, &["info"]);
    assert_eq!(json(&target, &["info", "--json"])[0]["server_id"], "peer-1", "and so it is when it is wished");
    let info: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(info["server_id"], "peer-1");
    assert_eq!(info["members"][0]["id"], "peer-1");
    assert_eq!(info["members"][0]["address"], info["leader_address"]);
    assert_eq!((&info["groups"][1]["id"], &info["groups"][1]["leader"]), (&1.into(), &"peer-1".into()));
    assert!(printed.find("leader_address") < printed.find("groups"), "{printed}");
    assert!(done(&target, &["ping"]).starts_with(&format!("{target} serves")));
    assert_eq!(json(&target, &["ping"])[0]["target"], target.as_str());
}

/// The life of a task by hand: created with everything, read, listed, changed, deleted.
#[tokio::test]
async fn tasks_by_hand() {
    let peer = Peer::start().await;
    let target = peer.address();
    let create = [
        "task",
        "create",
        "-n",
        "emails",
        "--at",
        "2031-05-06T07:08:09.250+02:00",
        "--meta",
        "to=eve",
        "--meta",
        "cc=",
        "--request-id",
        "r1",
        "--payload",
        "-5 °C",
    ];
    let created = json(&target, &create).remove(0);
    assert_eq!((&created["deliver_at"], &created["duplicate"]), (&"2031-05-06T05:08:09.250Z".into(), &false.into()));
    let id = created["id"].as_str().expect("an id");
    assert!(done(&target, &create).starts_with(&format!("exists already: {id}")));

    let read = json(&target, &["task", "get", "-n", "emails", id]).remove(0);
    assert_eq!(
        (&read["payload"], &read["metadata"]["to"], &read["state"]),
        (&"-5 °C".into(), &"eve".into(), &"scheduled".into())
    );
    assert!(done(&target, &["task", "get", "-n", "emails", id]).contains("due         2031-05-06T05:08:09.250Z"));

    let update = ["task", "update", "-n", "emails", id, "--payload-file", "-", "--expected-version", "1"];
    assert!(z4t(&target, &update, &[0xff, 0xfe]).status.success());
    let listed = json(&target, &["task", "list", "-n", "emails", "--state", "scheduled"]);
    assert_eq!((listed.len(), &listed[0]["payload_base64"], &listed[0]["version"]), (1, &"//4=".into(), &2.into()));
    let table = done(&target, &["task", "list", "-n", "emails"]);
    assert_eq!(
        table.lines().next().and_then(|header| header.find("STATE")),
        table.lines().nth(1).and_then(|row| row.find("scheduled"))
    );

    let (code, line) = fails(&target, &update);
    assert_eq!(code, 1);
    assert!(line.contains(&target) && line.contains("ABORTED") && line.contains("expected_version"), "{line}");
    done(&target, &["task", "delete", "-n", "emails", id]);
    let (code, line) = fails(&target, &["task", "get", "-n", "emails", id]);
    assert!(code == 1 && line.contains("NOT_FOUND") && line.contains(id), "{line}");
}

/// Times as people type them; what they were taken for is said on stderr, with this machine's offset.
#[tokio::test]
async fn times_as_people_type_them() {
    let peer = Peer::start().await;
    let target = peer.address();
    let create = |at: &[&str]| z4t(&target, &[&["task", "create", "-ns", "a"], at].concat(), b"");
    let output = create(&["--at", "2031-05-06 07:08 +02:00"]);
    assert!(text(&output.stderr).starts_with("z4t: due at 2031-05-06T05:08:00.000Z, here 2031-05-"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("2031-05-06T05:08:00.000Z"), "{}", text(&output.stdout));
    let local = create(&["--at", "2031-05-06"]);
    assert!(text(&local.stderr).contains("here 2031-05-06 00:00:00 "), "{}", text(&local.stderr));
    let past: Value = serde_json::from_slice(&create(&["--in", "-5s"]).stdout).expect("JSON");
    assert_ne!(past["state"], "scheduled");
    assert_eq!(create(&["--at", "tomorrow"]).status.code(), Some(2));
}

/// consume prints as many tasks as it was told, acknowledges them, and leaves the others; a reader that goes away is no failure.
#[tokio::test]
async fn consume_prints_and_acknowledges() {
    let peer = Peer::start().await;
    let target = peer.address();
    for n in 0..5 {
        done(&target, &["task", "create", "--namespace", "a", "--payload", &n.to_string(), "--at", "now"]);
    }
    let consumed = json(&target, &["consume", "--namespace", "a", "--namespace", "b", "--ack", "--limit", "3"]);
    assert_eq!(consumed.iter().map(|task| task["payload"].as_str().expect("text")).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(consumed[0]["attempt"], 1);
    assert_eq!(json(&target, &["namespace", "get", "a"])[0]["live"], 2);

    // The pipe is closed before the first task is printed.
    let mut child = Command::new(env!("CARGO_BIN_EXE_z4t"))
        .args(["-t", &target, "consume", "-n", "a", "--ack", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("z4t runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("z4t ends by itself");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(json(&target, &["namespace", "get", "a"])[0]["live"], 2, "what could not be printed is not acknowledged");
}

/// An operator looks at tasks again and again. Were each look an attempt of some task, the tasks would be dead after enough of them.
#[tokio::test]
async fn tasks_that_are_looked_at_lose_no_attempt() {
    let peer = Peer::start().await;
    let target = peer.address();
    for n in 0..3 {
        done(&target, &["task", "create", "--namespace", "a", "--payload", &n.to_string(), "--at", "now"]);
    }
    for look in 0..3 {
        let seen = json(&target, &["consume", "-n", "a", "--limit", if look == 0 { "1" } else { "3" }]);
        assert!(seen.iter().all(|task| task["attempt"] == 1), "look {look}: {seen:?}");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_z4t"))
        .args(["-t", &target, "consume", "-n", "a", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("z4t runs");
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("a pipe")).lines();
    lines.next().expect("a line").expect("read");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success() && child.wait().expect("it ends").success());
    let left = json(&target, &["task", "list", "-n", "a"]);
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|task| task["attempts"] == 0 && task["state"] == "ready"), "{left:?}");
}

/// Namespaces by hand: set, get, list, purge.
#[tokio::test]
async fn namespaces_by_hand() {
    let peer = Peer::start().await;
    let target = peer.address();
    let set = json(&target, &["namespace", "set", "emails", "--lease-ms", "5000", "--paused", "true"]).remove(0);
    assert_eq!((&set["settings"]["lease_ms"], &set["settings"]["paused"]), (&5_000.into(), &true.into()));
    done(&target, &["task", "create", "-n", "emails", "--in", "1h"]);
    let listed = json(&target, &["namespace", "list"]);
    assert_eq!((listed.len(), &listed[0]["name"], &listed[0]["live"]), (1, &"emails".into(), &1.into()));
    assert!(done(&target, &["namespace", "get", "emails"]).contains("max_attempts           25"));
    assert_eq!(done(&target, &["namespace", "purge", "emails"]), "removed 1 tasks from emails\n");
    let (code, line) = fails(&target, &["namespace", "set", "emails", "--lease-ms", "99"]);
    assert!(code == 1 && line.contains("INVALID_ARGUMENT") && line.contains("lease_ms is 99"), "{line}");
}

/// A second peer is added, asked, given leadership, and removed, all by hand; flags with one dash are understood.
#[tokio::test]
async fn a_cluster_by_hand() {
    let peer = Peer::start().await;
    let other = Peer::start_with(&[("Z4_BOOTSTRAP_CLUSTER", "false"), ("Z4_PEER_ID", "b")]).await;
    let target = peer.address();
    assert!(done(&other.address(), &["info"]).starts_with("b is not a member of a cluster yet"));
    assert_eq!(done(&target, &["-p", &other.peer_address(), "-id", "b", "add-peer"]), "peer added\n");
    // The new peer hears a moment later that it votes.
    until("the new peer shows two voters in each of four groups", async || {
        let info = json(&other.address(), &["info"]).remove(0);
        assert_eq!((&info["server_id"], &info["membership"]), (&"b".into(), &"member".into()));
        let voters = |group: &Value| {
            group["replicas"].as_array().expect("replicas").iter().filter(|replica| replica["voter"] == true).count()
        };
        let groups = info["groups"].as_array().expect("groups");
        (groups.len() == 4 && groups.iter().all(|group| voters(group) == 2)).then_some(())
    })
    .await;
    // Leaders spread by themselves at the same time, so it may have to be asked for again.
    until("b leads group 1", async || {
        let transfer = z4t(&target, &["transfer-leader", "--group", "1", "--to", "b", "-o", "table"], b"");
        transfer.status.success().then(|| assert_eq!(text(&transfer.stdout), "b leads group 1\n"))
    })
    .await;
    let both = format!("{target},{}", other.address());
    assert_eq!(done(&both, &["ping"]).lines().count(), 2);
    let output = z4t(&format!("{target},127.0.0.1:1,127.0.0.1:2"), &["ping"], b"");
    let told = text(&output.stderr);
    assert!(
        !output.status.success() && told.contains("127.0.0.1:1: ") && told.contains("127.0.0.1:2: "),
        "both are named: {told}"
    );
    let hashes = json(&both, &["hash", "--group", "0"]);
    assert_eq!(hashes.iter().map(|hash| hash["hash"].as_str().map(str::len)).collect::<Vec<_>>(), [Some(16), Some(16)]);
    assert_eq!(done(&target, &["rebalance"]), "leadership is being spread\n");
    let table = done(&target, &["info"]);
    assert!(table.starts_with("peer-1 is a member of cluster") && table.contains(&other.peer_address()), "{table}");
    // Even the peer that is asked can be the one that goes.
    assert_eq!(done(&other.address(), &["remove-peer", "-id=b"]), "peer removed\n");
    until("the removed peer says so", async || {
        done(&other.address(), &["info"]).starts_with("b was removed from cluster").then_some(())
    })
    .await;
}

/// What is refused comes back as one line. A peer that is not there is named.
#[tokio::test]
async fn failures_are_one_line_with_their_reason() {
    let peer = Peer::start().await;
    let target = peer.address();
    for (args, says) in [
        (&["-p", "127.0.0.1:9", "-id", "peer-1", "add-peer"][..], "ALREADY_EXISTS"),
        (&["remove-peer", "-id=b"], "NOT_FOUND"),
        (&["remove-peer", "-id=peer-1"], "FAILED_PRECONDITION"),
        (&["transfer-leader", "--group", "77", "--to", "peer-1"], "group 77"),
    ] {
        let (code, line) = fails(&target, args);
        assert!(code == 1 && line.contains(says) && line.contains(&target), "{args:?}: {line}");
    }
    let (code, line) = fails(&target, &["add-peer"]);
    assert!(code == 2 && line.contains("--id"), "{line}");
    assert_eq!(z4t(&target, &["nonsense"], b"").status.code(), Some(2));
    let (code, line) = fails("127.0.0.1:1", &["ping"]);
    assert!(code == 1 && line.contains("127.0.0.1:1: UNAVAILABLE") && line.contains("refused"), "{line}");
}

/// A user's line for the SQL port is made without any peer, from the first line of the input, and holds both hashes but no password.
#[test]
fn a_users_line() {
    let output = z4t("127.0.0.1:1", &["sql-user", "grafana"], b"secret\n");
    let line = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        line.starts_with("grafana:*14E65567ABDB5135D0CFD9A70B3032C179A49EE7:$sha2$") && line.trim_end().len() == 120,
        "{line}"
    );
    assert!(!line.contains("secret"));
    for (name, password) in [("a:b", &b"x"[..]), ("a", b""), ("", b"x")] {
        let output = z4t("127.0.0.1:1", &["sql-user", name], password);
        assert_eq!(output.status.code(), Some(2), "{name:?}: {}", text(&output.stderr));
    }
}
