//! What a client that is in gets for its commands: typed rows in both forms, prepared statements with values of every kind, errors for
//! commands that are unknown, cut or too long, and a connection that goes on after them; kills, limits and the end of the server.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::fake::{Client, check, guest, stand, until};
use super::users::NATIVE;
use crate::sql::data::Live;
use crate::sql::types::Datum;

fn text_row(row: &[u8]) -> Vec<Option<String>> {
    let mut input = super::bytes::Input(row);
    let mut values = Vec::new();
    while let Some(first) = input.0.first() {
        if *first == 0xfb {
            input.u8();
            values.push(None);
        } else {
            values.push(Some(String::from_utf8_lossy(input.string().expect("whole")).into_owned()));
        }
    }
    values
}

#[tokio::test]
async fn text_rows_have_their_types() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    let rows = client.query("types").await.expect("rows");
    let expected = ["-1", "2", "1.5", "2.01", "té", "\u{fffd}\0", "{}", "2022-04-16 00:00:00.123", "2022-04-16", "01:02:03"];
    let mut expected: Vec<_> = expected.map(|value| Some(value.to_owned())).into();
    expected.push(None);
    assert_eq!(text_row(&rows.rows[0]), expected);
    let converted = ["12", "3", "3", "1.26", "4", "5.5", "6", "no date", "7", "00:00:00"];
    let mut converted: Vec<_> = converted.map(|value| Some(value.to_owned())).into();
    converted.push(None);
    assert_eq!(text_row(&rows.rows[1]), converted);
    // schema, origin, charset of the text and of the blob, type, flags, decimals of the date.
    let fixed = |at: usize| rows.columns[at][rows.columns[at].len() - 12..].to_vec();
    assert!(rows.columns[0].starts_with(b"\x03def\x02z4\x01t\x05tasks\x02c0\x02id\x0c"));
    assert_eq!(fixed(0)[6..10], [8, 0x81, 0, 0], "BIGINT NOT NULL BINARY");
    assert_eq!(fixed(1)[6..9], [8, 0xa0, 0], "BIGINT UNSIGNED");
    assert_eq!((fixed(4)[0], fixed(4)[6]), (46, 253));
    assert_eq!((fixed(5)[0], fixed(5)[6], fixed(5)[7]), (63, 252, 0x90));
    assert_eq!((fixed(7)[6], fixed(7)[9]), (12, 3));
    client.query("set time_zone +02:00").await.expect("set");
    let rows = client.query("types").await.expect("rows");
    assert_eq!(text_row(&rows.rows[0])[7].as_deref(), Some("2022-04-16 02:00:00.123"));
}

#[tokio::test]
async fn binary_rows_have_their_types() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    let (id, params, columns) = client.prepare("types").await.expect("prepared");
    assert_eq!((params, columns), (0, 11));
    let rows = client.execute(id, b"").await.expect("rows");
    let mut expected = vec![0, 0, 0b1_0000];
    expected.extend((-1_i64).to_le_bytes());
    expected.extend(2_i64.to_le_bytes());
    expected.extend(1.5_f64.to_le_bytes());
    expected.extend(b"\x042.01\x03t\xc3\xa9\x02\xff\0\x02{}");
    expected.extend([11, 0xe6, 7, 4, 16, 0, 0, 0, 0x78, 0xe0, 1, 0]);
    expected.extend([4, 0xe6, 7, 4, 16, 8, 0, 0, 0, 0, 0, 1, 2, 3]);
    assert_eq!(rows.rows[0], expected);
    // What is no date is NULL here.
    assert_eq!(rows.rows[1][1..3], [0, 0b1_0110]);
}

#[tokio::test]
async fn parameters_reach_the_query() {
    let stand = stand("", |_| ());
    let mut client = Client::connect(&stand).await.expect("greeted");
    client.deprecate_eof = true;
    client.respond("guest", b"", NATIVE, None).await;
    client.finish_login("").await.expect("logs in");
    let (id, params, _) = client.prepare("echo ? ? ?").await.expect("prepared");
    assert_eq!(params, 3);
    client.send(0x18, &[&id.to_le_bytes()[..], &[2, 0], b"long "].concat()).await;
    client.send(0x18, &[&id.to_le_bytes()[..], &[2, 0], b"text"].concat()).await;
    let rows = client.execute(id, &[2, 1, 8, 0, 253, 0, 253, 0, 5, 0, 0, 0, 0, 0, 0, 0]).await.expect("rows");
    assert_eq!(rows.rows.len(), 1);
    let expected = [Datum::Int(5), Datum::Null, Datum::Text("long text".to_owned())];
    assert_eq!(*stand.fake.params.lock().expect("not poisoned"), expected);
    // Cut, unknown, closed: an error each, and the connection goes on.
    assert_eq!(client.execute(id, &[0, 1, 8]).await.expect_err("cut").0, 1835);
    assert_eq!(client.execute(id, &[0, 1, 99, 0, 99, 0, 99, 0, 1]).await.expect_err("no such type").0, 1835);
    assert_eq!(client.execute(99, b"").await.expect_err("no such statement").0, 1243);
    client.send(0x17, b"\x01").await;
    assert_eq!(client.rows().await.expect_err("cut").0, 1835);
    client.send(0x19, &id.to_le_bytes()).await;
    assert_eq!(client.execute(id, b"").await.expect_err("closed").0, 1243);
}

#[tokio::test]
async fn long_values_and_statements_are_bounded() {
    let stand = stand("", |options| {
        options.packet_bytes_max = 4_096;
        options.statements_max = 2;
    });
    let mut client = guest(&stand).await;
    let (id, ..) = client.prepare("echo ?").await.expect("prepared");
    let one = [0, 1, 252, 0];
    for (pieces, expected) in [(2, 1105), (1, 0)] {
        for _ in 0..pieces {
            client.send(0x18, &[&id.to_le_bytes()[..], &[0, 0], &[b'x'; 3_000]].concat()).await;
        }
        assert_eq!(client.execute(id, &one).await.map_or_else(|(code, _)| code, |_| 0), expected, "{pieces}");
    }
    client.send(0x18, &[&id.to_le_bytes()[..], &[7, 0], b"no such parameter"].concat()).await;
    assert_eq!(client.execute(id, &one).await.expect_err("no such parameter").0, 1210);
    client.send(0x18, &[&id.to_le_bytes()[..], &[0, 0], b"forgotten"].concat()).await;
    client.short(0x1a, &id.to_le_bytes()).await.expect("reset");
    assert_eq!(client.execute(id, &one).await.expect_err("no value").0, 1835);
    client.prepare("echo ?").await.expect("the second");
    assert_eq!(client.prepare("echo ?").await.expect_err("the third").0, 1461);
    client.send(3, &[b' '; 5_000]).await;
    assert_eq!(client.rows().await.expect_err("too long").0, 1153);
    assert_eq!(client.read().await, None, "the connection ends");
}

#[tokio::test]
async fn a_statement_may_come_in_parts() {
    let stand = stand("", |options| options.packet_bytes_max = 20 << 20);
    let mut client = guest(&stand).await;
    client.send_as(0, &[&b"\x03nonsense"[..], &vec![b' '; 0xff_ffff - 9]].concat()).await;
    client.send_as(1, &vec![b' '; 1 << 20]).await;
    assert_eq!(client.rows().await.expect_err("read whole, and no SQL").0, 1064);
    client.query("types").await.expect("goes on");
    client.send_as(0, &[&b"\x03"[..], &vec![b' '; 0xff_ffff - 1]].concat()).await;
    client.send_as(7, b"").await;
    assert_eq!(client.rows().await.expect_err("not the next").0, 1156);
    assert_eq!(client.read().await, None);
}

#[tokio::test]
async fn every_command_has_an_answer() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    for command in [0, 5, 6, 7, 8, 10, 11, 13, 15, 16, 18, 20, 21, 29, 30, 32, 200, 255] {
        assert_eq!(client.short(command, b"\0\0\0\0\0").await.expect_err("unknown").0, 1047, "{command}");
    }
    for command in [0x0c, 0x1a, 0x1b, 0x1c] {
        assert_eq!(client.short(command, b"").await.expect_err("cut").0, 1835, "{command}");
    }
    client.send_as(0, b"").await;
    assert_eq!(check(&client.read().await.expect("told")).expect_err("empty").0, 1835);
    client.short(0x0e, b"").await.expect("ping");
    client.short(0x1f, b"").await.expect("reset");
    assert_eq!(client.short(0x1b, &[0, 0]).await.expect("option")[0], 0xfe);
    assert_eq!(client.short(0x04, b"tasks\0").await.expect("no fields")[0], 0xfe);
    assert!(client.short(0x09, b"").await.expect("statistics").starts_with(b"Uptime: "));
    client.short(0x02, b"z4").await.expect("a database");
    assert_eq!(client.short(0x02, b"other").await.expect_err("none").0, 1049);
    assert_eq!(client.short(0x0c, &[9, 9, 9, 9]).await.expect_err("nobody").0, 1094);
    assert_eq!(client.query("echo ?").await.expect_err("a parameter").0, 1064);
    assert_eq!(client.query("SELECT @@max_allowed_packet").await.expect_err("not opensrv's answer").0, 1064);
    assert_eq!(client.query("USE other").await.expect_err("not opensrv's either").0, 1064);
    assert_eq!(client.query("fail").await.expect_err("refused").0, 1175);
    client.send(3, b"\xff\xfe").await;
    assert_eq!(client.rows().await.expect_err("no UTF-8").0, 1300);
    client.send(3, b"explain '\xff'").await;
    assert_eq!(client.rows().await.expect_err("a string may be none").0, 1064);
    assert_eq!(client.query("explain").await.expect("a plan").columns.len(), 8);
    client.query("use information_schema").await.expect("a database");
    assert_eq!(stand.connections.processes()[0].database.as_deref(), Some("information_schema"));
    assert_eq!(client.query("nothing").await.expect("OK").last, [0, 0, 0, 2, 0, 0, 0], "autocommit");
    client.send(1, b"").await;
    assert_eq!(client.read().await, None);
}

#[tokio::test]
async fn many_rows_stream_and_a_client_that_goes_ends_its_query() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    let rows = client.query("many 200").await.expect("rows");
    assert_eq!((rows.rows.len(), text_row(&rows.rows[199_999])), (200_000, vec![Some("row 199 999".to_owned())]));
    client.send(3, b"forever").await;
    until("it runs", || stand.fake.waiting.load(SeqCst) == 1).await;
    drop(client);
    until("it was interrupted", || stand.fake.waiting.load(SeqCst) == 0).await;
    // One that does not read, and then goes.
    let mut client = guest(&stand).await;
    client.send(3, b"many 1000000").await;
    client.read().await.expect("it started");
    drop(client);
    until("it has gone", || stand.connections.processes().is_empty()).await;
}

#[tokio::test]
async fn queries_and_connections_are_killed() {
    let stand = stand("", |_| ());
    let (mut victim, mut other) = (guest(&stand).await, guest(&stand).await);
    // Nothing runs: nothing happens.
    other.query(&format!("kill query {}", victim.id)).await.expect("OK");
    victim.query("types").await.expect("rows");
    victim.send(3, b"forever").await;
    until("it runs", || stand.fake.waiting.load(SeqCst) == 1).await;
    let running = stand.connections.processes().into_iter().find(|row| row.id == victim.id).expect("there");
    assert_eq!((running.command, running.statement.as_deref()), ("Query", Some("forever")));
    other.query(&format!("kill query {}", victim.id)).await.expect("OK");
    assert_eq!(victim.rows().await.expect_err("killed").0, 1317);
    victim.query("types").await.expect("the connection stays");
    other.query(&format!("kill {}", victim.id)).await.expect("OK");
    assert_eq!(victim.read().await, None);
    assert_eq!(other.query("kill 4000000000").await.expect_err("nobody").0, 1094);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let stand = stand("", |options| options.write_timeout = Duration::from_millis(50));
    let mut client = guest(&stand).await;
    client.send(3, b"many 1000000").await;
    until("it was cut", || stand.connections.processes().is_empty()).await;
    assert!(stand.connections.status().contains(&("Aborted_clients", "1".to_owned())));
}

#[tokio::test]
async fn the_end_of_the_server_ends_queries() {
    let mut stand = stand("", |_| ());
    let (mut idle, mut busy) = (guest(&stand).await, guest(&stand).await);
    busy.send(3, b"forever").await;
    until("it runs", || stand.fake.waiting.load(SeqCst) == 1).await;
    let server = stand.server.take().expect("runs");
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    assert_eq!(busy.rows().await.expect_err("stopped").0, 1053);
    assert_eq!(idle.read().await, None);
    drop((idle, busy));
    stopped.await.expect("stopped");
    assert!(tokio::net::TcpStream::connect(stand.address).await.is_err());
}
