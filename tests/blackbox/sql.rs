//! The port for MySQL clients, as a client sees it: the rule, errors that leave the connection usable, KILL, bounds of memory and of
//! time, users, and a peer without SQL. What would be wrong: a peer that reads everything because of one careless query, one that can be
//! brought down by a client, or one that lets everybody in because its users' file has a mistake.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::mysql::{Rows, Sql};
use crate::harness::wait::{until, within};
use crate::harness::{Peer, create, http};

const RANGE: &str = "deliver_at BETWEEN '2000-01-01' AND '2100-01-01'";
const ENDLESS: &str = "WITH RECURSIVE c AS (SELECT 1 n UNION ALL SELECT n + 1 FROM c) SELECT";

async fn sql(peer: &Peer) -> Sql {
    within("an SQL login", Sql::connect(&peer.sql_address())).await.expect("logs in")
}

fn one(rows: Rows) -> String {
    rows[0][0].clone().expect("not NULL")
}

/// Tasks are found within bounds; without one of them nothing is read and the error names it; writes are refused; and the same connection
/// goes on after each error.
#[tokio::test]
async fn tasks_are_read_within_bounds_only() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    for payload in ["a", "b"] {
        client.created(create("mails", payload)).await;
    }
    let mut sql = sql(&peer).await;
    let count = format!("SELECT COUNT(*) FROM tasks WHERE namespace = 'mails' AND {RANGE}");
    assert_eq!(one(sql.ask(&count).await.expect("rows")), "2");
    for (statement, code, says) in [
        (format!("SELECT * FROM tasks WHERE {RANGE}"), 1175, "namespace"),
        ("SELECT * FROM tasks WHERE namespace = 'mails'".to_owned(), 1175, "deliver_at"),
        ("DELETE FROM tasks".to_owned(), 1290, "read-only"),
        ("SELECT no_such(1)".to_owned(), 1305, "no_such"),
        ("SELEC 1".to_owned(), 1064, ""),
        ("SELECT * FROM nothing".to_owned(), 1146, "nothing"),
    ] {
        let (told, text) = sql.ask(&statement).await.expect_err(&statement);
        assert!(told == code && text.to_lowercase().contains(says), "{statement}: {told} {text}");
        assert_eq!(one(sql.ask("SELECT 7").await.expect("goes on")), "7");
    }
    assert_eq!(one(sql.ask(&count).await.expect("rows")), "2", "nothing was touched");
}

#[tokio::test]
async fn a_query_can_be_killed() {
    let peer = Peer::start().await;
    let (mut killed, mut killer) = (sql(&peer).await, sql(&peer).await);
    let id = one(killed.ask("SELECT CONNECTION_ID()").await.expect("an id"));
    let query = format!("{ENDLESS} COUNT(*) FROM c");
    let running = tokio::spawn(async move { (killed.ask(&query).await, killed) });
    let shown = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id} AND command = 'Query'");
    until("the query runs", async || (one(killer.ask(&shown).await.ok()?) == "1").then_some(())).await;
    killer.ask(&format!("KILL QUERY {id}")).await.expect("killed");
    let (answer, mut killed) = running.await.expect("no panic");
    assert_eq!(answer.expect_err("interrupted").0, 1317);
    assert_eq!(one(killed.ask("SELECT 1").await.expect("the connection stays")), "1");
    assert_eq!(killer.ask("KILL 999999").await.expect_err("nobody").0, 1094);
}

/// Memory, time and single calls that SQLite cannot interrupt.
#[tokio::test]
async fn a_query_takes_no_more_than_it_may() {
    let peer = Peer::start_with(&[("Z4_SQL_QUERY_MEMORY_BYTES_MAX", "4194304"), ("Z4_SQL_QUERIES_MAX", "1")]).await;
    let mut sql = sql(&peer).await;
    let numbers = "WITH RECURSIVE c AS (SELECT 1 n UNION ALL SELECT n + 1 FROM c WHERE n < 1000000)";
    let sort = format!("{numbers} SELECT n, REPEAT('x', 1000) t FROM c ORDER BY t, n DESC");
    let (code, text) = sql.ask(&sort).await.expect_err("too much");
    assert!(code == 1038 && text.contains("4194304"), "{code} {text}");
    sql.ask("SET max_execution_time = 200").await.expect("set");
    for statement in
        [format!("{ENDLESS} COUNT(*) FROM c"), "SELECT REPEAT('a', 2000000) LIKE CONCAT('%', REPEAT('a', 40000), 'b')".to_owned()]
    {
        assert_eq!(sql.ask(&statement).await.expect_err(&statement).0, 3024, "{statement}");
    }
    let (_, metrics) = http::get(&peer.metrics_address(), "/metrics").await;
    for metric in ["z4_sql_errors_total{kind=\"memory\"} 1", "z4_sql_errors_total{kind=\"timeout\"} 2", "z4_sql_connections 1"] {
        assert!(metrics.contains(metric), "no {metric}");
    }
}

/// Garbage, before a login and after it, ends its own connection and nothing else.
#[tokio::test]
async fn nonsense_hurts_nobody_else() {
    let mut peer = Peer::start().await;
    let mut other = sql(&peer).await;
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 300], &[0, 0, 0, 1], &[1, 0, 0, 1, 0]] {
        let mut stream = TcpStream::connect(peer.sql_address()).await.expect("connects");
        stream.write_all(nonsense).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let mut rest = Vec::new();
        // An error or an end: it comes.
        let _ = within("the connection ends", stream.read_to_end(&mut rest)).await;
        assert_eq!(one(other.ask("SELECT 1").await.expect("served")), "1");
    }
    assert!(peer.exited().is_none());
}

/// A users' file lets nobody in but its users; one with a mistake, or none at all, keeps the peer from starting and says why.
#[tokio::test]
async fn users_are_those_of_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("users");
    fs::write(&path, "# people\ngrafana:*14E65567ABDB5135D0CFD9A70B3032C179A49EE7\n").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permitted");
    let users = path.to_str().expect("a name").to_owned();
    let mut peer = Peer::start_with(&[("Z4_SQL_USERS", &users)]).await;
    let refused = within("the login is refused", Sql::connect(&peer.sql_address())).await.map(|_| ()).expect_err("no such user");
    assert_eq!(refused.0, 1045, "{refused:?}");
    assert!(peer.log().contains("chmod 600"), "others can read the hashes, and nobody is told");
    assert!(peer.terminate().await.success());
    fs::write(&path, "# people\n\ngrafana:secret\n").expect("written");
    let nobody = dir.path().join("nobody");
    fs::write(&nobody, "# a line that was never written\n").expect("written");
    let nobody = nobody.to_str().expect("a name");
    for (path, says) in [(users.as_str(), "line 3"), ("/nowhere/users", "/nowhere/users"), (nobody, "names no user")] {
        let ended = peer.attempt_with(&[("Z4_SQL_USERS", path)]).await;
        assert_eq!(ended.status.code(), Some(64), "{}", ended.log);
        assert!(ended.log.contains(says), "{}", ended.log);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be() {
    let mut peer = Peer::start().await;
    assert!(peer.terminate().await.success());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ended = peer.attempt_with(&[("Z4_SQL_PORT", &port)]).await;
    assert_eq!(ended.status.code(), Some(69), "{}", ended.log);
    assert!(ended.log.contains("sql_port") && ended.log.contains(&port), "{}", ended.log);
}
