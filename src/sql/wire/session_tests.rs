//! What a session is told and keeps: transactions in the status, several statements in one text, another user on the same connection.
//! What would be wrong: a client that believes to be in no transaction, or waits for a result that never comes; a session that goes to
//! another user with what the one before left in it.

use std::sync::atomic::Ordering::SeqCst;

use super::fake::{Client, guest, stand, until};
use super::users::{NATIVE, SHA2, line, prove};
use crate::sql::data::Live;

const MORE: u16 = 8;
const SEVERAL: u32 = 1 << 16;

#[tokio::test]
async fn the_status_tells_of_transactions() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    for (statement, status) in [
        ("nothing", 2),
        ("begin", 3),
        ("types", 3),
        ("commit", 2),
        ("set autocommit 0", 0),
        ("nothing", 0),
        ("begin", 1),
        ("set autocommit 1", 2),
    ] {
        assert_eq!(client.query(statement).await.expect("fine").status(), status, "{statement}");
    }
    client.query("begin").await.expect("OK");
    let reset = client.short(0x1f, b"").await.expect("reset");
    assert_eq!(reset[3], 2, "a reset ends a transaction");
}

#[tokio::test]
async fn release_ends_the_connection_behind_its_answer() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    client.query("begin").await.expect("OK");
    assert_eq!(client.query("commit release").await.expect("OK").status(), 2);
    assert_eq!(client.read().await, None);
}

async fn several(stand: &super::fake::Stand) -> Client {
    let mut client = Client::connect(stand).await.expect("greeted");
    client.capabilities = SEVERAL;
    client.respond("guest", b"", NATIVE, None).await;
    client.finish_login("").await.expect("logs in");
    client
}

#[tokio::test]
async fn several_statements_are_answered_one_after_the_other() {
    let stand = stand("", |_| ());
    let mut client = several(&stand).await;
    client.send(3, b"nothing; types ;begin;types; -- done\n;").await;
    for status in [2 | MORE, 2 | MORE, 3 | MORE, 3] {
        assert_eq!(client.rows().await.expect("a result").status(), status);
    }
    // The first error ends them.
    client.send(3, b"types; fail; types").await;
    assert_eq!(client.rows().await.expect("a result").status(), 3 | MORE);
    assert_eq!(client.rows().await.expect_err("fails").0, 1175);
    client.short(0x0e, b"").await.expect("nothing was left unread");
    client.send(3, b"types; nonsense").await;
    assert_eq!(client.rows().await.expect("a result").status(), 3 | MORE);
    assert_eq!(client.rows().await.expect_err("no SQL").0, 1064);
    // One that is killed, too.
    client.send(3, b"forever; types").await;
    until("it runs", || stand.fake.waiting.load(SeqCst) == 1).await;
    let mut other = guest(&stand).await;
    other.query(&format!("kill query {}", client.id)).await.expect("OK");
    assert_eq!(client.rows().await.expect_err("killed").0, 1317);
    client.short(0x0e, b"").await.expect("goes on");
}

#[tokio::test]
async fn several_statements_need_the_clients_word() {
    let stand = stand("", |_| ());
    let mut client = guest(&stand).await;
    assert_eq!(client.query("types; types").await.expect_err("one at a time").0, 1064);
    client.short(0x1b, &[0, 0]).await.expect("on");
    client.send(3, b"types; types").await;
    assert_eq!(client.rows().await.expect("a result").status(), 2 | MORE);
    assert_eq!(client.rows().await.expect("a result").status(), 2);
    assert_eq!(client.prepare("types; types").await.expect_err("one is prepared").0, 1064);
    client.short(0x1b, &[1, 0]).await.expect("off");
    assert_eq!(client.query("types; types").await.expect_err("one at a time").0, 1064);
}

/// A text of a million statements must not keep the thread from other connections, nor its answers in memory.
#[tokio::test]
async fn others_are_served_beside_a_long_text() {
    let stand = stand("", |_| ());
    let mut client = several(&stand).await;
    client.send(3, "nothing;".repeat(200_000).as_bytes()).await;
    let mut other = guest(&stand).await;
    other.query(&format!("kill {}", client.id)).await.expect("OK");
    let mut answers = 0;
    while client.read().await.is_some() {
        answers += 1;
    }
    assert!(answers < 200_000, "it was ended: {answers}");
}

fn users() -> String {
    let (both, more) = (line("both", "secret").expect("fine"), line("x", "other").expect("fine"));
    let hashes: Vec<&str> = more.split(':').collect();
    format!("{both}\nold:{}\nnew:{}", hashes[1], hashes[2])
}

async fn change(client: &mut Client, user: &str, password: &str, offered: &str, database: &str) -> Result<bool, (u16, String)> {
    let answer = prove(offered, password, &client.salt);
    let mut payload = [user.as_bytes(), b"\0"].concat();
    payload.push(answer.len() as u8);
    payload.extend_from_slice(&answer);
    payload.extend_from_slice(&[database.as_bytes(), b"\0", &[46, 0], offered.as_bytes(), b"\0"].concat());
    client.send(0x11, &payload).await;
    client.finish_login(password).await
}

#[tokio::test]
async fn another_user_has_another_session() {
    let stand = stand(&users(), |_| ());
    let mut client = Client::login(&stand, "both", "secret", NATIVE).await.expect("logs in");
    client.query("begin").await.expect("OK");
    client.query("use z4").await.expect("OK");
    client.query("set autocommit 0").await.expect("OK");
    let (id, ..) = client.prepare("types").await.expect("prepared");
    for (user, password, offered, database) in [
        ("both", "secret", NATIVE, ""),
        ("both", "secret", SHA2, "information_schema"),
        // By another plugin than the client offers.
        ("old", "other", SHA2, "z4"),
        ("new", "other", NATIVE, ""),
    ] {
        change(&mut client, user, password, offered, database).await.expect("the right password");
        let me = stand.connections.processes().remove(0);
        assert_eq!((me.user.as_str(), me.database.as_deref().unwrap_or_default()), (user, database));
        assert_eq!(client.query("types").await.expect("rows").status(), 2, "no transaction, and autocommit");
        assert_eq!(client.execute(id, b"").await.expect_err("forgotten").0, 1243);
    }
    for (user, password, offered) in
        [("both", "wrong", NATIVE), ("nobody", "secret", NATIVE), ("old", "wrong", SHA2), ("new", "wrong", NATIVE)]
    {
        let mut client = Client::login(&stand, "both", "secret", NATIVE).await.expect("logs in");
        let (code, _) = change(&mut client, user, password, offered, "").await.expect_err("refused");
        assert_eq!(code, 1045, "{user}");
        assert_eq!(client.read().await, None, "the connection ends");
    }
    let mut client = Client::login(&stand, "both", "secret", NATIVE).await.expect("logs in");
    assert_eq!(change(&mut client, "both", "secret", NATIVE, "other").await.expect_err("no such database").0, 1049);
    assert_eq!(client.read().await, None);
}

/// Between the request for a proof and the proof nobody is logged in: whatever comes is taken for a proof, or is out of order.
#[tokio::test]
async fn nothing_comes_between_a_change_of_user_and_its_proof() {
    let stand = stand(&users(), |_| ());
    for (sequence, payload, code) in [(0, &b"\x03types"[..], 1156), (2, b"\x03types", 1045), (2, b"", 1045)] {
        let mut client = Client::login(&stand, "both", "secret", NATIVE).await.expect("logs in");
        client.send(0x11, b"old\0\0\0\x2e\0caching_sha2_password\0").await;
        assert_eq!(client.read().await.expect("a request")[0], 0xfe);
        client.send_as(sequence, payload).await;
        let answer = client.read().await.expect("told why");
        assert_eq!(super::fake::check(&answer).expect_err("refused").0, code);
        assert_eq!(client.read().await, None);
    }
    let mut client = Client::login(&stand, "both", "secret", NATIVE).await.expect("logs in");
    client.send(0x11, b"both\0\xff").await;
    assert_eq!(super::fake::check(&client.read().await.expect("told why")).expect_err("cut").0, 1043);
}
