//! Who gets in, and how: both plugins, switched or not, with and without users; wrong passwords, unknown users, too many connections,
//! clients that say nothing or nonsense. What would be wrong: an answer that tells whether a user is there, a login that never ends, a
//! client let in without its password, a server that is brought down by a handshake.

use std::time::Duration;

use super::fake::{Client, guest, stand, until};
use super::users::{NATIVE, SHA2, line, prove};
use crate::sql::data::Live;

fn users() -> String {
    let (both, more) = (line("both", "secret").expect("fine"), line("x", "other").expect("fine"));
    let hashes: Vec<&str> = more.split(':').collect();
    format!("{both}\nold:{}\nnew:{}", hashes[1], hashes[2])
}

#[tokio::test]
async fn passwords_are_proven_by_either_plugin() {
    let stand = stand(&users(), |_| ());
    for offered in [NATIVE, SHA2, "client_ed25519"] {
        for (user, password) in [("both", "secret"), ("old", "other"), ("new", "other")] {
            let mut client = Client::login(&stand, user, password, offered).await.expect("the right password");
            client.short(0x0e, b"").await.expect("a ping");
        }
        for (user, password) in
            [("both", "wrong"), ("old", "wrong"), ("new", "wrong"), ("nobody", "secret"), ("both", ""), ("", "")]
        {
            let (code, message) = Client::login(&stand, user, password, offered).await.map(|_| ()).expect_err("refused");
            let using = if password.is_empty() { "NO" } else { "YES" };
            let expected = format!("Access denied for user '{user}'@'127.0.0.1' (using password: {using})");
            assert_eq!((code, message), (1045, expected), "{offered}");
        }
    }
}

#[tokio::test]
async fn the_fast_path_is_named_to_those_that_wait_for_it() {
    let stand = stand(&users(), |_| ());
    for (offered, fast) in [(SHA2, true), (NATIVE, false)] {
        let mut client = Client::connect(&stand).await.expect("greeted");
        client.respond("both", b"", offered, None).await;
        let password = if offered == NATIVE { String::new() } else { "secret".to_owned() };
        if offered == SHA2 {
            assert_eq!(client.finish_login(&password).await, Ok(fast));
        } else {
            assert_eq!(client.finish_login(&password).await.expect_err("no proof").0, 1045);
        }
    }
}

/// opensrv leaves a login without an answer when it cannot read the database's name.
#[tokio::test]
async fn a_database_whose_name_is_no_text_is_not_there() {
    let stand = stand("", |_| ());
    let mut client = Client::connect(&stand).await.expect("greeted");
    let caps: u32 = 1 << 9 | 1 << 15 | 1 << 19 | 1 << 3;
    let tail = [&[0; 28][..], b"root\0\0\xff\xfe\x01\0mysql_native_password\0"].concat();
    client.send_as(1, &[&caps.to_le_bytes()[..], &tail].concat()).await;
    assert_eq!(client.finish_login("").await.expect_err("no such database").0, 1049);
}

#[tokio::test]
async fn without_users_anybody_comes_and_salts_differ() {
    let stand = stand("", |_| ());
    let (one, two) = (Client::connect(&stand).await.expect("greeted"), Client::connect(&stand).await.expect("greeted"));
    assert_ne!(one.salt, two.salt);
    assert!(one.salt.iter().all(|byte| (1..128).contains(byte)));
    for (offered, password) in [(NATIVE, "x"), (SHA2, "x"), (SHA2, ""), (NATIVE, "")] {
        Client::login(&stand, "anybody", password, offered).await.expect("logs in");
    }
}

#[tokio::test]
async fn a_database_may_be_named() {
    let stand = stand("", |_| ());
    for (database, expected) in
        [("z4", Ok(false)), ("", Ok(false)), ("other", Err((1049, "Unknown database 'other'".to_owned())))]
    {
        let mut client = Client::connect(&stand).await.expect("greeted");
        client.respond("guest", b"", NATIVE, Some(database)).await;
        assert_eq!(client.finish_login("").await, expected);
    }
}

#[tokio::test]
async fn connections_are_bounded_and_their_places_come_back() {
    let stand = stand("", |options| options.connections_max = 2);
    let (one, two) = (guest(&stand).await, guest(&stand).await);
    let refused = Client::connect(&stand).await.map(|_| ()).expect_err("no place");
    assert_eq!(refused, (1040, "Too many connections".to_owned()));
    assert_eq!(stand.connections.processes().len(), 2);
    drop(one);
    until("the place is free", || stand.connections.processes().len() == 1).await;
    guest(&stand).await;
    drop(two);
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    // One short time each: a login on a busy machine takes longer than either.
    let hasty = stand("", |options| options.login_timeout = Duration::from_millis(50));
    let mut silent = Client::connect(&hasty).await.expect("greeted");
    assert_eq!(silent.read().await, None);
    until("it has gone", || hasty.connections.processes().is_empty()).await;
    let brisk = stand("", |options| options.idle_timeout = Duration::from_millis(50));
    let mut idle = guest(&brisk).await;
    assert_eq!(idle.read().await, None);
    until("it has gone", || brisk.connections.processes().is_empty()).await;
}

#[tokio::test]
async fn nonsense_instead_of_a_login_is_refused() {
    let stand = stand("", |_| ());
    let long = [0xff; 20_000];
    for (payload, sequence, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], 1, 1043),
        (b"", 1, 1043),
        (b"\x00\x82\x28\x00", 1, 1043),
        (b"\x00\x82\x28\x00", 255, 1156),
        (&long, 1, 1153),
    ] {
        let mut client = Client::connect(&stand).await.expect("greeted");
        client.send_as(sequence, payload).await;
        let answer = client.read().await.expect("told why");
        assert_eq!(super::fake::check(&answer).expect_err("an error").0, expected, "{payload:?}");
        assert_eq!(client.read().await, None);
    }
    // A proof for another salt is none.
    let stand = super::fake::stand(&users(), |_| ());
    let mut client = Client::connect(&stand).await.expect("greeted");
    client.respond("both", &prove(NATIVE, "secret", b"another salt entirely"), NATIVE, None).await;
    assert_eq!(client.finish_login("secret").await.expect_err("refused").0, 1045);
}
