//! Bytes of any kind against a whole connection: reader, login, opensrv, session, answers, over the fake backend. What would be wrong:
//! a panic (it would end the process), a connection that does not end when its client has gone, an answer that is not packets.
//!
//! `tests/sql_corpus/` holds what clients send, and what they should not; its files are sent as they are, changed at random, and in
//! pieces. `stream` has the form of a libFuzzer target: in a crate of cargo-fuzz, `fuzz_target!(|bytes: &[u8]| stream(bytes))` with the
//! corpus as its seeds. It is run by proptest here, so that any toolchain does it; a failure prints its seed and is kept in
//! `proptest-regressions`. `PROPTEST_CASES` makes it run longer.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::compress::{Method, PACKED_BYTES_MAX};
use super::compress_tests::unpacked;
use super::connection::serve;
use super::fake::Fake;
use super::service::Service;
use super::users::{Users, line};
use super::{Connections, Options};

/// Much longer than any input takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client sends these bytes and goes.
fn stream(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for users in ["", &line("guest", "secret").expect("fine")] {
        let answer = runtime.block_on(served(bytes, users));
        packets(bytes, &answer);
    }
}

async fn served(bytes: &[u8], users: &str) -> Vec<u8> {
    let options = Options { packet_bytes_max: 64 << 10, refusal_delay: Duration::ZERO, statements_max: 4, ..Options::default() };
    let connections = Connections::new(super::fake::metrics());
    let service = Service::new(
        Arc::new(Fake { forever: Duration::from_millis(1), ..Fake::default() }),
        Users::parse(users).expect("fine"),
        connections.clone(),
        options,
    );
    let presence = connections.enter("127.0.0.1:1".parse().expect("an address"), 1).expect("a place");
    let (client, server) = tokio::io::duplex(4 << 10);
    let (from_client, to_client) = tokio::io::split(server);
    let (mut from_server, mut to_server) = tokio::io::split(client);
    let mut answer = Vec::new();
    let talk = async {
        let send = async {
            // The server may end it first.
            let _ = to_server.write_all(bytes).await;
            let _ = to_server.shutdown().await;
        };
        tokio::join!(send, from_server.read_to_end(&mut answer)).1.expect("a pipe")
    };
    let both = async { tokio::join!(serve(service, presence, from_client, to_client), talk) };
    tokio::time::timeout(PATIENCE, both).await.expect("the connection ends when the client has gone");
    assert!(crate::sql::data::Live::processes(&*connections).is_empty(), "its place is free again");
    answer
}

/// What the server sent is packets, and frames after a login that wants them; the last may be cut, for the client had gone.
fn packets(sent: &[u8], mut bytes: &[u8]) {
    assert_eq!(bytes.get(4), Some(&10), "a greeting");
    let capabilities = sent.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes).unwrap_or_default();
    while let Some((header, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { return };
        if let (Some(0), Some(method)) = (payload.first(), Method::of(capabilities, None)) {
            return frames(method, rest);
        }
        bytes = rest;
    }
}

fn frames(method: Method, mut bytes: &[u8]) {
    while let Some(([a, b, c, _, d, e, f], rest)) = bytes.split_first_chunk::<7>() {
        let length = |a, b, c| u32::from_le_bytes([a, b, c, 0]) as usize;
        let (packed, whole) = (length(*a, *b, *c), length(*d, *e, *f));
        assert!(packed > 0 && packed.max(whole) <= PACKED_BYTES_MAX, "a frame of {packed} for {whole}");
        let Some((packed, rest)) = rest.split_at_checked(packed) else { return };
        unpacked(method, packed.to_vec(), whole);
        bytes = rest;
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql_corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("there").map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(paths.len() >= 28, "the corpus is there");
    paths.iter().map(|path| std::fs::read(path).expect("readable")).collect()
}

#[test]
fn the_corpus_is_survived() {
    corpus().iter().for_each(|bytes| stream(bytes));
}

/// A change of the bytes: where, what, with what.
fn mutate(bytes: &mut Vec<u8>, (at, kind, byte): (prop::sample::Index, u8, u8)) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    match kind {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        _ => {
            let end = bytes.len().min(at + usize::from(byte));
            let piece = bytes[at..end].to_vec();
            bytes.extend(piece);
        }
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("packs")
}

proptest! {
    #[test]
    fn changes_of_the_corpus_are_survived(
        file in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..6, any::<u8>()), 1..12),
    ) {
        let mut bytes = file.get(&corpus()).clone();
        changes.into_iter().for_each(|change| mutate(&mut bytes, change));
        stream(&bytes);
    }

    #[test]
    fn any_commands_are_survived(commands in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql_corpus/login_native.bin")).expect("there");
        bytes.extend(b"\x07\0\0\0\x16echo ?");
        for command in commands {
            bytes.extend([command.len() as u8, 0, 0, 0]);
            bytes.extend(command);
        }
        stream(&bytes);
    }

    #[test]
    fn any_frames_are_survived(
        zstd in any::<bool>(),
        frames in proptest::collection::vec((0_u8..4, any::<u16>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..12),
    ) {
        let login = if zstd { "tests/sql_corpus/compressed_zstd.bin" } else { "tests/sql_corpus/compressed_zlib.bin" };
        let login = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(login)).expect("there");
        let mut bytes = login[..4 + usize::from(login[0])].to_vec();
        for (kind, claim, content) in frames {
            // Commands, or anything.
            let content = if kind < 2 { [&[content.len() as u8, 0, 0, 0], &content[..]].concat() } else { content };
            let packed = match (kind % 2, zstd) {
                (0, _) => content.clone(),
                (_, true) => zstd::bulk::compress(&content, 1).expect("packs"),
                (_, false) => zlib(&content),
            };
            let whole = match kind { 0 => 0, 1 => content.len() as u16, _ => claim };
            bytes.extend([packed.len() as u8, 0, 0, 0]);
            bytes.extend([whole.to_le_bytes()[0], whole.to_le_bytes()[1], 0]);
            bytes.extend(packed);
        }
        stream(&bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        stream(&bytes);
    }
}
