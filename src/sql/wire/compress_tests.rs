//! Clients whose packets go in frames, compressed by either method and cut anywhere. What would be wrong: another answer than without, a
//! client that waits for ever, memory for what a frame only claims to hold, a connection that goes on after a frame that is not sound.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use z4_shards::account::Account;

use super::compress::Method;
use super::fake::{Client, Fake, Refusal, Stand, check, guest, metrics, stand, until};
use super::handshake::capability as c;
use super::users::{NATIVE, SHA2, Users, line, prove};
use super::{Connections, Options, start};
use crate::sql::data::Live;

const METHODS: [u32; 2] = [c::COMPRESS, c::ZSTD];

/// A client's frames, both ways.
pub(super) struct Framing {
    method: Method,
    /// No frame holds more of the packets.
    piece: usize,
    number: u8,
    plain: VecDeque<u8>,
}

impl Framing {
    pub(super) fn new(method: Method) -> Framing {
        Framing { method, piece: 1 << 20, number: 0, plain: VecDeque::new() }
    }

    /// `anew`: a command begins.
    pub(super) fn frames(&mut self, packets: &[u8], anew: bool) -> Vec<u8> {
        if anew {
            self.number = 0;
        }
        let mut frames = Vec::new();
        for piece in packets.chunks(self.piece) {
            let packed = self.packed(piece);
            frames.extend(self.frame(&packed, piece.len()));
        }
        frames
    }

    fn packed(&self, bytes: &[u8]) -> Vec<u8> {
        if self.method == Method::Zlib {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("packs")
        } else {
            zstd::bulk::compress(bytes, 19).expect("packs")
        }
    }

    fn frame(&mut self, packed: &[u8], whole: usize) -> Vec<u8> {
        let ([a, b, c, _], [d, e, f, _]) = ((packed.len() as u32).to_le_bytes(), (whole as u32).to_le_bytes());
        let number = self.number;
        self.number = number.wrapping_add(1);
        [&[a, b, c, number, d, e, f], packed].concat()
    }

    pub(super) async fn read(&mut self, socket: &mut TcpStream, into: &mut [u8]) -> io::Result<()> {
        while self.plain.len() < into.len() {
            let mut header = [0; 7];
            socket.read_exact(&mut header).await?;
            let length = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]) as usize;
            assert_eq!(header[3], self.number, "the number of a frame");
            self.number = self.number.wrapping_add(1);
            let mut packed = vec![0; length(0)];
            socket.read_exact(&mut packed).await?;
            self.plain.extend(unpacked(self.method, packed, length(4)));
        }
        let length = into.len();
        into.iter_mut().zip(self.plain.drain(..length)).for_each(|(to, byte)| *to = byte);
        Ok(())
    }
}

/// What a frame of the server's holds.
pub(super) fn unpacked(method: Method, packed: Vec<u8>, whole: usize) -> Vec<u8> {
    let plain = match method {
        _ if whole == 0 => return packed,
        Method::Zlib => {
            let mut decoder = flate2::write::ZlibDecoder::new(Vec::new());
            decoder.write_all(&packed).and_then(|()| decoder.finish()).expect("sound")
        }
        Method::Zstd(_) => zstd::bulk::decompress(&packed, whole).expect("sound"),
    };
    assert_eq!(plain.len(), whole);
    plain
}

async fn login(stand: &Stand, method: u32, user: &str, password: &str) -> Result<Client, Refusal> {
    let mut client = Client::connect(stand).await?;
    client.capabilities = method;
    client
        .respond(user, &if password.is_empty() { Vec::new() } else { prove(NATIVE, password, &client.salt) }, NATIVE, None)
        .await;
    client.finish_login(password).await?;
    Ok(client)
}

fn framing(client: &mut Client) -> &mut Framing {
    client.framing.as_mut().expect("compressed")
}

/// Sends a frame of any kind.
async fn send_frame(client: &mut Client, packed: &[u8], whole: usize) {
    let frame = framing(client).frame(packed, whole);
    client.socket.write_all(&frame).await.expect("sent");
}

/// The connection ends, and the client is told why.
async fn ends_with(client: &mut Client, code: u16, what: &str) {
    let answer = client.read().await.unwrap_or_else(|| panic!("{what}: told why"));
    assert_eq!(check(&answer).expect_err(what).0, code, "{what}");
    assert_eq!(client.read().await, None, "{what}");
}

#[tokio::test]
async fn answers_are_the_same() {
    let stand = stand("", |_| ());
    let mut plain = guest(&stand).await;
    let (types, many) = (plain.query("types").await.expect("rows"), plain.query("many 3").await.expect("rows"));
    for method in METHODS {
        for piece in [1, 3, 60, 5_000, 1 << 20] {
            let mut client = login(&stand, method, "guest", "").await.expect("logs in");
            framing(&mut client).piece = piece;
            assert_eq!(client.query("types").await.expect("rows"), types);
            assert_eq!(client.query("many 3").await.expect("rows"), many, "longer than a frame");
            let long = format!("nonsense{}", " ".repeat(20_000));
            assert_eq!(client.query(&long).await.expect_err("read whole, and no SQL").0, 1064);
            let (id, ..) = client.prepare("echo ?").await.expect("prepared");
            let rows = client.execute(id, &[&[0, 1, 253, 0, 5], &b"hello"[..]].concat()).await.expect("a row");
            assert!(String::from_utf8_lossy(&rows.rows[0]).contains("hello"));
            client.short(0x0e, b"").await.expect("a ping");
        }
    }
}

#[tokio::test]
async fn the_longest_packets_go_in_frames() {
    let stand = stand("", |options| options.packet_bytes_max = 20 << 20);
    for method in METHODS {
        let mut client = login(&stand, method, "guest", "").await.expect("logs in");
        framing(&mut client).piece = 0xff_ffff;
        // Noise: the frame that holds it is as long as one can be.
        let mut part: Vec<u8> = (0..0xff_ffff).map(|_| rand::random_range(b' '..=b'~')).collect();
        part[..9].copy_from_slice(b"\x03nonsense");
        client.send_as(0, &part).await;
        client.send_as(1, &vec![b' '; 1 << 20]).await;
        assert_eq!(client.rows().await.expect_err("read whole, and no SQL").0, 1064);
        client.query("types").await.expect("goes on");
        client.send_as(0, &[&b"\x03"[..], &vec![b' '; 0xff_ffff - 1]].concat()).await;
        client.send_as(7, b"").await;
        ends_with(&mut client, 1156, "not the next packet").await;
    }
}

#[tokio::test]
async fn results_get_shorter() {
    let stand = stand("", |_| ());
    let sent = || {
        let status = stand.connections.status();
        status
            .into_iter()
            .find(|(name, _)| *name == "Bytes_sent")
            .and_then(|(_, value)| value.parse::<u64>().ok())
            .expect("counted")
    };
    for method in METHODS {
        let mut client = login(&stand, method, "guest", "").await.expect("logs in");
        let before = sent();
        let rows: usize = client.query("many 50").await.expect("rows").rows.iter().map(Vec::len).sum();
        assert!(((sent() - before) as usize) < rows / 3);
    }
}

#[tokio::test]
async fn a_frame_may_hold_several_commands() {
    let stand = stand("", |_| ());
    for method in METHODS {
        let mut client = login(&stand, method, "guest", "").await.expect("logs in");
        let pings = b"\x01\0\0\0\x0e".repeat(3);
        // The last one goes on in the next frame.
        let packed = framing(&mut client).packed(&pings[..13]);
        send_frame(&mut client, &packed, 13).await;
        send_frame(&mut client, &pings[13..], 0).await;
        for (packet, frame) in [(1, 1), (1, 1), (1, 2)] {
            let mut answer = [0; 11];
            framing(&mut client).number = frame;
            let Client { framing: Some(framing), socket, .. } = &mut client else { panic!("compressed") };
            framing.read(socket, &mut answer).await.expect("OK");
            assert_eq!(answer[..5], [7, 0, 0, packet, 0]);
        }
        client.query("types").await.expect("goes on");
    }
}

#[tokio::test]
async fn frames_that_are_not_sound_end_the_connection() {
    let stand = stand("", |options| options.packet_bytes_max = 256 << 10);
    let ping = [b"\x01\0\0\0\x0e", &b"\x01\0\0\0\x0e".repeat(20)[..]].concat();
    for method in METHODS {
        let mut client = login(&stand, method, "guest", "").await.expect("logs in");
        let (sound, bomb) = {
            let framing = framing(&mut client);
            (framing.packed(&ping), framing.packed(&vec![0; 100 << 20]))
        };
        let damaged: Vec<u8> = sound.iter().enumerate().map(|(at, byte)| if at == 7 { byte ^ 0x55 } else { *byte }).collect();
        let cut = sound[..sound.len() - 1].to_vec();
        let tail = [&sound[..], b"tail"].concat();
        for (what, packed, whole, code) in [
            ("expands to more than it claims", &bomb, 1_000, 1157),
            ("claims too much", &bomb, (256 << 10) + 9, 1153),
            ("is longer than it may", &vec![0; 300 << 10], 1_000, 1153),
            ("holds less than it claims", &sound, ping.len() + 1, 1157),
            ("holds one more than it claims", &sound, ping.len() - 1, 1157),
            ("is damaged", &damaged, ping.len(), 1157),
            ("is cut", &cut, ping.len(), 1157),
            ("has a tail", &tail, ping.len(), 1157),
            ("is nothing of the kind", &ping, ping.len(), 1157),
            ("is empty", &Vec::new(), 0, 1157),
            ("is empty, and claims not to be", &Vec::new(), 10, 1157),
        ] {
            let mut client = login(&stand, method, "guest", "").await.expect("logs in");
            let length = packed.len().min(300 << 10);
            send_frame(&mut client, &packed[..length], whole).await;
            let (told, last) = told(&mut client).await;
            assert_eq!((told, last), (Some(code), true), "{method}: a frame that {what}");
        }
        for number in [1, 255] {
            let mut client = login(&stand, method, "guest", "").await.expect("logs in");
            framing(&mut client).number = number;
            send_frame(&mut client, &sound, ping.len()).await;
            ends_with(&mut client, 1156, "a frame out of order").await;
        }
        client.query("types").await.expect("others go on");
    }
    // zstd looks back no further than a frame is long.
    let mut far = zstd::bulk::Compressor::new(3).expect("zstd");
    far.set_parameter(zstd::zstd_safe::CParameter::WindowLog(23)).expect("a window");
    far.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false)).expect("a flag");
    let mut client = login(&stand, c::ZSTD, "guest", "").await.expect("logs in");
    let mut packed = zstd::stream::write::Encoder::with_context(Vec::new(), far.context_mut());
    packed.write_all(&ping).expect("packs");
    let packed = packed.finish().expect("packs");
    send_frame(&mut client, &packed, ping.len()).await;
    ends_with(&mut client, 1157, "a window longer than the frame").await;
}

/// The error that ends a connection, past answers to what came before it, and that nothing follows it. Frames are numbered by whom they
/// answer, so they are read without their numbers.
async fn told(client: &mut Client) -> (Option<u16>, bool) {
    let mut bytes = Vec::new();
    let method = framing(client).method;
    // The server may close while there is something that it has not read.
    let read = client.socket.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("the connection ends");
    let (mut rest, mut plain) = (&bytes[..], Vec::new());
    while let Some(([a, b, c, _, d, e, f], after)) = rest.split_first_chunk::<7>() {
        let (packed, after) = after.split_at(u32::from_le_bytes([*a, *b, *c, 0]) as usize);
        plain.extend(unpacked(method, packed.to_vec(), u32::from_le_bytes([*d, *e, *f, 0]) as usize));
        rest = after;
    }
    let (mut rest, mut code) = (&plain[..], None);
    while let Some(([a, b, c, _], after)) = rest.split_first_chunk::<4>() {
        if code.is_some() {
            return (code, false);
        }
        let (payload, after) = after.split_at(u32::from_le_bytes([*a, *b, *c, 0]) as usize);
        code = check(payload).err().map(|(code, _)| code);
        rest = after;
    }
    (code, true)
}

#[tokio::test]
async fn half_a_frame_is_not_waited_for() {
    let stand = stand("", |options| options.read_timeout = Duration::from_millis(50));
    for method in METHODS {
        for length in [1, 6, 7, 20] {
            let mut client = login(&stand, method, "guest", "").await.expect("logs in");
            let mut frame = framing(&mut client).frames(&b"\x01\0\0\0\x0e".repeat(40), true);
            frame.truncate(length);
            client.socket.write_all(&frame).await.expect("sent");
            let answer = client.read().await.expect("told why");
            assert_eq!(check(&answer).expect_err("half a frame").0, 1159, "{length}");
        }
    }
}

/// A stand whose connections are charged.
fn charged(account: &Account) -> Stand {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (fake, connections) = (Arc::new(Fake::default()), Connections::charged_to(Some(account.clone()), metrics()));
    let users = Users::parse("").expect("no users");
    let server = start(listener, fake.clone(), users, connections.clone(), Options::default()).expect("starts");
    Stand { address: server.address(), server: Some(server), fake, connections }
}

#[tokio::test]
async fn memory_is_charged_before_it_is_taken() {
    let account = Account::new(256 << 20);
    let stand = charged(&account);
    let mut client = login(&stand, c::ZSTD, "guest", "").await.expect("logs in");
    client.query("types").await.expect("rows");
    let idle = account.used();
    // It claims 8 MiB; only its first bytes come.
    let packed = framing(&mut client).packed(&[&(8_u32 << 20).to_le_bytes()[..3], &vec![0; (8 << 20) - 3]].concat());
    let mut frame = framing(&mut client).frame(&packed, 8 << 20);
    frame[3] = 0;
    client.socket.write_all(&frame[..8]).await.expect("sent");
    until("the window is charged", || account.used() >= idle + (8 << 20)).await;
    drop(client);
    until("it is given back", || account.used() == 0).await;
    // Where there is no memory, a client is told so instead of being answered in a way that it does not expect.
    let account = Account::new(512 << 10);
    let stand = charged(&account);
    for method in METHODS {
        assert_eq!(login(&stand, method, "guest", "").await.err().expect("no memory").0, 1041);
    }
}

fn users() -> String {
    let (both, more) = (line("both", "secret").expect("fine"), line("x", "other").expect("fine"));
    let hashes: Vec<&str> = more.split(':').collect();
    format!("{both}\nold:{}\nnew:{}", hashes[1], hashes[2])
}

#[tokio::test]
async fn compression_goes_on_after_a_change_of_user() {
    let stand = stand(&users(), |_| ());
    for method in METHODS {
        let mut client = login(&stand, method, "both", "secret").await.expect("logs in");
        for (user, password, offered) in
            [("both", "secret", NATIVE), ("old", "other", SHA2), ("new", "other", NATIVE), ("both", "secret", SHA2)]
        {
            let answer = prove(offered, password, &client.salt);
            let tail = [&answer[..], b"z4\0\x2e\0", offered.as_bytes(), b"\0"].concat();
            client.send(0x11, &[user.as_bytes(), &[0, answer.len() as u8], &tail].concat()).await;
            client.finish_login(password).await.expect("the right password");
            assert_eq!(stand.connections.processes()[0].user, user);
            client.query("many 1").await.expect("rows");
        }
    }
}

#[tokio::test]
async fn a_login_that_fails_is_answered_plainly() {
    let stand = stand(&users(), |_| ());
    for method in METHODS {
        assert_eq!(login(&stand, method, "both", "wrong").await.err().expect("refused").0, 1045);
        for (database, code) in [("z4", None), ("other", Some(1049))] {
            let mut client = Client::connect(&stand).await.expect("greeted");
            client.capabilities = method;
            client.respond("both", &prove(NATIVE, "secret", &client.salt), NATIVE, Some(database)).await;
            assert_eq!(client.finish_login("secret").await.err().map(|(code, _)| code), code);
            if code.is_none() {
                client.query("types").await.expect("rows");
            }
        }
    }
}
