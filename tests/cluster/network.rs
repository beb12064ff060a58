//! The network that the other tests disturb, without z4: a caller says Hello as a peer does, then both ends send bytes.
//!
//! What would be wrong: a test that believes in a partition which was none proves nothing.

use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use z4_proto::peer::Hello;

use crate::harness::network::{Network, Passage, Way};
use crate::harness::wait::{until, within};

/// Two peers, `a` and `b`, of which `a` calls and `b` listens.
struct Two {
    network: Network,
    address: String,
    listener: TcpListener,
}

impl Two {
    async fn new() -> Two {
        let network = Network::new();
        let address = network.attach("b").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        network.move_to("b", &listener.local_addr().expect("bound").to_string());
        Two { network, address, listener }
    }

    /// Calls and says who calls.
    async fn call(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.expect("the network listens");
        let hello = Hello { from_id: "a".to_owned(), ..Hello::default() }.encode_to_vec();
        stream.write_all(&(hello.len() as u32).to_be_bytes()).await.expect("sent");
        stream.write_all(&hello).await.expect("sent");
        stream
    }

    /// Both ends of a connection over which the Hello has gone.
    async fn connection(&self) -> (TcpStream, TcpStream) {
        let caller = self.call().await;
        let (mut called, _) = within("the call arrives", self.listener.accept()).await.expect("accepted");
        let length = within("the Hello arrives", called.read_u32()).await.expect("a length") as usize;
        let mut hello = vec![0; length];
        within("the Hello arrives", called.read_exact(&mut hello)).await.expect("a Hello");
        assert_eq!(Hello::decode(&hello[..]).expect("a Hello").from_id, "a");
        (caller, called)
    }
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("sent");
}

async fn hear(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    within("what was said arrives", stream.read_exact(&mut heard)).await.expect("bytes");
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

/// The other end is gone, by an end of the stream or by a reset.
async fn ended(stream: &mut TcpStream) {
    let end = within("the connection ends", stream.read_u8()).await;
    assert!(end.is_err(), "nothing more comes");
}

/// Nothing has come so far, though whatever was said before has had its time.
fn silent(stream: &TcpStream) {
    let mut byte = [0];
    let read = stream.try_read(&mut byte);
    assert!(read.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "{read:?}");
}

/// Bytes of the other direction have passed: those of this one had the time to.
async fn round(from: &mut TcpStream, to: &mut TcpStream) {
    for n in 0..20 {
        say(from, &n.to_string()).await;
        hear(to, &n.to_string()).await;
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_and_an_end_is_passed_on() {
    let two = Two::new().await;
    let (mut a, mut b) = two.connection().await;
    say(&mut a, "there").await;
    hear(&mut b, "there").await;
    say(&mut b, "and back").await;
    drop(b);
    hear(&mut a, "and back").await;
    ended(&mut a).await;
    assert_eq!(two.network.connections(), 1);
}

#[tokio::test]
async fn a_cut_breaks_connections_and_refuses_new_ones_until_it_is_healed() {
    let two = Two::new().await;
    let (mut a, mut b) = two.connection().await;
    // Either direction will do.
    two.network.set("b", "a", Way::with(Passage::Cut));
    ended(&mut a).await;
    ended(&mut b).await;
    ended(&mut two.call().await).await;
    two.network.heal();
    let (mut a, mut b) = two.connection().await;
    say(&mut a, "again").await;
    hear(&mut b, "again").await;
    two.network.break_all();
    ended(&mut a).await;
    two.connection().await;
}

#[tokio::test]
async fn held_bytes_arrive_later() {
    let two = Two::new().await;
    let (mut a, mut b) = two.connection().await;
    two.network.set("a", "b", Way::with(Passage::Held));
    say(&mut a, "late").await;
    round(&mut b, &mut a).await;
    silent(&b);
    // A new call is taken and not heard.
    let mut second = two.call().await;
    round(&mut b, &mut a).await;
    silent(&second);
    two.network.heal();
    hear(&mut b, "late").await;
    let (mut called, _) = within("the call arrives", two.listener.accept()).await.expect("accepted");
    say(&mut called, "x").await;
    hear(&mut second, "x").await;
}

#[tokio::test]
async fn lost_bytes_never_arrive_and_their_connection_breaks_when_the_way_opens() {
    let two = Two::new().await;
    let (mut a, mut b) = two.connection().await;
    let (mut whole_a, mut whole_b) = two.connection().await;
    two.network.set("a", "b", Way::with(Passage::Lost));
    say(&mut a, "lost").await;
    round(&mut b, &mut a).await;
    silent(&b);
    two.network.heal();
    ended(&mut a).await;
    ended(&mut b).await;
    // A connection that missed nothing goes on.
    say(&mut whole_a, "whole").await;
    hear(&mut whole_b, "whole").await;
}

#[tokio::test]
async fn a_slow_way_keeps_order_and_loses_nothing() {
    let two = Two::new().await;
    let (mut a, mut b) = two.connection().await;
    let slow =
        Way { delay: Duration::from_millis(20), jitter: Duration::from_millis(20), bytes_per_second: 20_000, ..Way::default() };
    two.network.set("a", "b", slow);
    let text: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    for part in &text {
        say(&mut a, part).await;
    }
    hear(&mut b, &text.concat()).await;
}

#[tokio::test]
async fn a_way_that_breaks_does_so_now_and_then() {
    let two = Two::new().await;
    two.network.set("a", "b", Way { breaks: 0.2, ..Way::default() });
    // One connection after the other ends; the network stays.
    for _ in 0..5 {
        let mut a = two.call().await;
        until("the connection breaks", async || a.write_all(b"x").await.is_err().then_some(())).await;
    }
}
