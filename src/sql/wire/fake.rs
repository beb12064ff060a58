//! A backend and a client for tests: the backend knows a few statements, the client speaks the raw protocol.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::bytes::Input;
use super::compress::Method;
use super::compress_tests::Framing;
use super::service::Backend;
use super::users::{NATIVE, Users, prove};
use super::{Connections, Options, Server, start};
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::result::{Batch, Cell, Progress};
use crate::sql::sqlite::What;
use crate::sql::statement::{Given, OutColumn, Query, Statement, Transaction};
use crate::sql::types::{Datum, SqlType};

/// Longer than any of these tests should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Statements: `types` (a row with every type), `echo ?` (its parameters), `forever`, `many N` (rows), `fail`, `set name value`,
/// `use name`, `kill id`, `kill query id`, `nothing`, `begin`, `commit`, `into name`.
pub(super) struct Fake {
    /// How long `forever` is, if nobody interrupts it.
    pub(super) forever: Duration,
    /// Queries that wait for their interruption now.
    pub(super) waiting: Arc<AtomicUsize>,
    /// The parameters of the last query.
    pub(super) params: Mutex<Vec<Datum>>,
}

/// Metrics that nobody reads.
pub(super) fn metrics() -> z4_shards::metrics::SqlMetrics {
    z4_shards::metrics::Metrics::new("1").expect("registers").sql
}

impl Default for Fake {
    fn default() -> Fake {
        Fake { forever: 2 * PATIENCE, waiting: Arc::default(), params: Mutex::default() }
    }
}

impl Backend for Fake {
    fn compile(&self, sql: &str, _: &Context) -> Result<Statement, SqlError> {
        let words: Vec<&str> = sql.split_whitespace().collect();
        let query = |params, types: &[SqlType]| {
            let column = |(at, ty): (usize, &SqlType)| OutColumn {
                name: format!("c{at}"),
                table: "t".to_owned(),
                origin: Some(("z4", "tasks", "id")),
                ty: *ty,
                nullable: at > 0,
                whole: 0,
            };
            let columns = types.iter().enumerate().map(column).collect();
            Statement::Query(Query { sqlite: sql.trim().to_owned(), columns, params, ..Query::default() })
        };
        let id = |word: &str| word.parse().map_err(|_| SqlError::syntax("no id"));
        Ok(match words.as_slice() {
            ["types"] => query(0, ALL),
            ["echo", marks @ ..] => query(marks.len(), &vec![SqlType::Text; marks.len().max(1)]),
            ["forever" | "fail"] | ["many", _] => query(0, &[SqlType::Text]),
            ["explain"] => match query(0, &[SqlType::Int]) {
                Statement::Query(query) => Statement::Explain(query),
                other => other,
            },
            ["set", name, value] => Statement::Set(vec![((*name).to_owned(), Given::Is(Datum::Text((*value).to_owned())))]),
            ["use", name] => Statement::Use((*name).to_owned()),
            ["kill", "query", of] => Statement::Kill { id: id(of)?, connection: false },
            ["kill", of] => Statement::Kill { id: id(of)?, connection: true },
            ["nothing"] => Statement::Nothing,
            ["begin"] => Statement::Transaction(Transaction::Begin { read_only: false }),
            ["commit"] => Statement::Transaction(Transaction::End { chain: false, release: false }),
            ["commit", "release"] => Statement::Transaction(Transaction::End { chain: false, release: true }),
            ["into", name] => match query(0, &[SqlType::Text]) {
                Statement::Query(query) => Statement::Into(query, vec![(*name).to_owned()]),
                other => other,
            },
            _ => return Err(SqlError::syntax(format!("near {sql:?}"))),
        })
    }

    fn start_query(&self, query: Arc<Query>, params: Vec<Datum>, _: Arc<Context>, what: What) -> mpsc::Receiver<Progress> {
        let (sender, receiver) = mpsc::channel(2);
        self.params.lock().expect("not poisoned").clone_from(&params);
        let (waiting, forever) = (self.waiting.clone(), self.forever);
        tokio::spawn(async move {
            if what == What::Run {
                if query.sqlite == "fail" {
                    let _ = sender.send(Progress::Failed(SqlError::new(1175, "HY000", "no range"))).await;
                    return;
                }
                if query.sqlite == "forever" {
                    waiting.fetch_add(1, SeqCst);
                    let interrupted = tokio::time::timeout(forever, sender.closed()).await;
                    waiting.fetch_sub(1, SeqCst);
                    if interrupted.is_err() {
                        let _ = sender.send(Progress::Failed(SqlError::new(3024, "HY000", "too long"))).await;
                    }
                    return;
                }
                for batch in batches(&query, &params) {
                    if sender.send(Progress::Rows(batch)).await.is_err() {
                        return;
                    }
                }
            }
            let _ = sender.send(Progress::Done { warnings: Vec::new(), found: 3 }).await;
        });
        receiver
    }
}

const ALL: &[SqlType] = &[
    SqlType::Int,
    SqlType::UInt,
    SqlType::Double,
    SqlType::Decimal(2),
    SqlType::Text,
    SqlType::Blob,
    SqlType::Json,
    SqlType::Timestamp(3),
    SqlType::Date,
    SqlType::Time(0),
    SqlType::Null,
];

fn batches(query: &Query, params: &[Datum]) -> Box<dyn Iterator<Item = Batch> + Send> {
    if let Some(count) = query.sqlite.strip_prefix("many ").and_then(|n| n.parse().ok()) {
        return Box::new((0..count).map(|at: usize| {
            let mut batch = Batch::default();
            (0..1_000).for_each(|row| batch.push_bytes(format!("row {at} {row}").as_bytes()));
            batch
        }));
    }
    let mut batch = Batch::default();
    if query.sqlite == "types" {
        batch.cells.extend([Cell::Int(-1), Cell::Int(2), Cell::Double(1.5), Cell::Double(2.005)]);
        batch.push_bytes("té".as_bytes());
        batch.push_bytes(b"\xff\0");
        batch.push_bytes(b"{}");
        batch.cells.push(Cell::Int(1_650_067_200_123_000));
        batch.push_bytes(b"2022-04-16");
        batch.cells.extend([Cell::Int(3_723_000_000), Cell::Null]);
        // Values of other types than their columns'.
        batch.push_bytes(b"12 apples");
        batch.cells.extend([Cell::Double(2.6), Cell::Int(3)]);
        batch.push_bytes(b"1.255");
        batch.cells.extend([Cell::Int(4), Cell::Double(5.5), Cell::Int(6)]);
        batch.push_bytes(b"no date");
        batch.cells.extend([Cell::Int(7), Cell::Int(8), Cell::Null]);
    } else {
        params.iter().for_each(|param| batch.push_bytes(format!("{param:?}").as_bytes()));
        if params.is_empty() {
            batch.cells.push(Cell::Int(1));
        }
    }
    Box::new(std::iter::once(batch))
}

/// A server over the fake.
pub(super) struct Stand {
    pub(super) server: Option<Server>,
    pub(super) fake: Arc<Fake>,
    pub(super) connections: Arc<Connections>,
    pub(super) address: SocketAddr,
}

/// Starts one; no users unless some are given.
pub(super) fn stand(users: &str, change: impl FnOnce(&mut Options)) -> Stand {
    let mut options = Options { refusal_delay: Duration::from_millis(1), ..Options::default() };
    change(&mut options);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (fake, connections) = (Arc::new(Fake::default()), Connections::new(metrics()));
    let users = Users::parse(users).expect("users");
    let server = start(listener, fake.clone(), users, connections.clone(), options).expect("starts");
    Stand { address: server.address(), server: Some(server), fake, connections }
}

/// One over a backend that is no fake; nobody needs a password.
pub(super) fn stand_over(backend: Arc<dyn Backend>) -> Stand {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (fake, connections) = (Arc::new(Fake::default()), Connections::new(metrics()));
    let users = Users::parse("").expect("users");
    let server = start(listener, backend, users, connections.clone(), Options::default()).expect("starts");
    Stand { address: server.address(), server: Some(server), fake, connections }
}

/// An error packet: code and message.
pub(super) type Refusal = (u16, String);

/// A client.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    sequence: u8,
    pub(super) id: u32,
    pub(super) salt: Vec<u8>,
    pub(super) plugin: String,
    pub(super) deprecate_eof: bool,
    /// Capabilities beside those that every client has.
    pub(super) capabilities: u32,
    /// Packets go and come in frames.
    pub(super) framing: Option<Framing>,
}

/// Metadata and rows of a result, undecoded.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) columns: Vec<Vec<u8>>,
    pub(super) rows: Vec<Vec<u8>>,
    pub(super) last: Vec<u8>,
}

impl Rows {
    /// The status of the last packet, an OK or an EOF.
    pub(super) fn status(&self) -> u16 {
        u16::from_le_bytes([self.last[3], self.last[4]])
    }
}

impl Client {
    /// Connects and reads the greeting.
    pub(super) async fn connect(stand: &Stand) -> Result<Client, Refusal> {
        let socket = TcpStream::connect(stand.address).await.expect("connects");
        let mut client = Client {
            socket,
            sequence: 0,
            id: 0,
            salt: Vec::new(),
            plugin: String::new(),
            deprecate_eof: false,
            capabilities: 0,
            framing: None,
        };
        let greeting = client.read().await.expect("a greeting");
        check(&greeting)?;
        let mut input = Input(&greeting[1..]);
        assert!(input.terminated().starts_with(b"8.0."));
        client.id = input.u32().expect("an id");
        client.salt = input.take(8).expect("half the salt").to_vec();
        input.take(1 + 2 + 1 + 2 + 2 + 1 + 10).expect("fields");
        client.salt.extend_from_slice(input.terminated());
        client.plugin = String::from_utf8(input.terminated().to_vec()).expect("a name");
        assert_eq!(client.salt.len(), 20);
        Ok(client)
    }

    /// Connects and logs in with the plugin that the server asks for.
    pub(super) async fn login(stand: &Stand, user: &str, password: &str, offered: &str) -> Result<Client, Refusal> {
        let mut client = Client::connect(stand).await?;
        let answer =
            if password.is_empty() || offered != client.plugin { Vec::new() } else { prove(offered, password, &client.salt) };
        client.respond(user, &answer, offered, None).await;
        client.finish_login(password).await?;
        Ok(client)
    }

    pub(super) async fn respond(&mut self, user: &str, answer: &[u8], plugin: &str, database: Option<&str>) {
        let mut caps: u32 = 1 << 9 | 1 << 15 | 1 << 19 | 1 << 21 | self.capabilities;
        caps |= u32::from(self.deprecate_eof) << 24 | u32::from(database.is_some()) << 3;
        let mut payload = caps.to_le_bytes().to_vec();
        payload.extend_from_slice(&[0; 28]);
        payload.extend_from_slice(user.as_bytes());
        payload.push(0);
        super::bytes::push_string(&mut payload, answer);
        if let Some(database) = database {
            payload.extend_from_slice(database.as_bytes());
            payload.push(0);
        }
        payload.extend_from_slice(plugin.as_bytes());
        payload.push(0);
        // zstd's effort.
        payload.push(3);
        self.send_as(1, &payload).await;
    }

    /// Answers a request for another plugin, waits for OK. Returns whether the fast path was named.
    pub(super) async fn finish_login(&mut self, password: &str) -> Result<bool, Refusal> {
        let mut fast = false;
        loop {
            let packet = self.read().await.expect("an answer to the login");
            check(&packet)?;
            match packet[0] {
                0xfe => {
                    let mut input = Input(&packet[1..]);
                    let plugin = String::from_utf8(input.terminated().to_vec()).expect("a name");
                    let salt = input.terminated().to_vec();
                    let answer = if password.is_empty() { Vec::new() } else { prove(&plugin, password, &salt) };
                    self.send_as(self.sequence, &answer).await;
                }
                1 => fast = packet[1] == 3,
                0 => {
                    let method = Method::of(self.capabilities, None);
                    self.framing = self.framing.take().or(method.map(Framing::new));
                    return Ok(fast);
                }
                other => panic!("packet {other}"),
            }
        }
    }

    pub(super) async fn send_as(&mut self, sequence: u8, payload: &[u8]) {
        self.sequence = sequence.wrapping_add(1);
        let mut packet = (payload.len() as u32).to_le_bytes()[..3].to_vec();
        packet.push(sequence);
        packet.extend_from_slice(payload);
        if let Some(framing) = &mut self.framing {
            packet = framing.frames(&packet, sequence == 0);
        }
        self.socket.write_all(&packet).await.expect("sent");
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, command: u8, rest: &[u8]) {
        self.send_as(0, &[&[command], rest].concat()).await;
    }

    /// The next packet, in sequence; `None`: the server closed the connection.
    pub(super) async fn read(&mut self) -> Option<Vec<u8>> {
        let read = async {
            let mut header = [0; 4];
            self.fill(&mut header).await?;
            let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
            let mut payload = vec![0; length];
            self.fill(&mut payload).await?;
            Ok::<_, io::Error>((header[3], payload))
        };
        let (sequence, payload) = tokio::time::timeout(PATIENCE, read).await.expect("in time").ok()?;
        if payload.first() != Some(&0xff) {
            assert_eq!(sequence, self.sequence, "sequence of {payload:?}");
        }
        self.sequence = sequence.wrapping_add(1);
        Some(payload)
    }

    async fn fill(&mut self, into: &mut [u8]) -> io::Result<()> {
        match &mut self.framing {
            Some(framing) => framing.read(&mut self.socket, into).await,
            None => self.socket.read_exact(into).await.map(drop),
        }
    }

    /// A command that is answered by one packet.
    pub(super) async fn short(&mut self, command: u8, rest: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.send(command, rest).await;
        let packet = self.read().await.expect("an answer");
        check(&packet)?;
        Ok(packet)
    }

    /// A text query with or without rows.
    pub(super) async fn query(&mut self, text: &str) -> Result<Rows, Refusal> {
        self.send(3, text.as_bytes()).await;
        self.rows().await
    }

    pub(super) async fn rows(&mut self) -> Result<Rows, Refusal> {
        let mut result = Rows::default();
        let first = self.read().await.expect("an answer");
        check(&first)?;
        if first[0] == 0 {
            return Ok(Rows { last: first, ..result });
        }
        for _ in 0..Input(&first).number().expect("a count") {
            result.columns.push(self.read().await.expect("a column"));
        }
        if !self.deprecate_eof {
            assert_eq!(self.read().await.expect("EOF")[0], 0xfe);
        }
        loop {
            let packet = self.read().await.expect("a row");
            check(&packet)?;
            if packet[0] == 0xfe && packet.len() < 9 {
                result.last = packet;
                return Ok(result);
            }
            result.rows.push(packet);
        }
    }

    /// PREPARE: id, parameters, columns.
    pub(super) async fn prepare(&mut self, text: &str) -> Result<(u32, u16, u16), Refusal> {
        let packet = self.short(0x16, text.as_bytes()).await?;
        let mut input = Input(&packet[1..]);
        let (id, columns, params) = (input.u32().expect("id"), input.u16().expect("count"), input.u16().expect("count"));
        for count in [params, columns].into_iter().filter(|count| *count > 0) {
            for _ in 0..count + u16::from(!self.deprecate_eof) {
                self.read().await.expect("a definition");
            }
        }
        Ok((id, params, columns))
    }

    /// EXECUTE with what follows the iterations.
    pub(super) async fn execute(&mut self, id: u32, rest: &[u8]) -> Result<Rows, Refusal> {
        self.send(0x17, &[&id.to_le_bytes()[..], &[0, 1, 0, 0, 0], rest].concat()).await;
        self.rows().await
    }
}

/// Logs in with no password.
pub(super) async fn guest(stand: &Stand) -> Client {
    Client::login(stand, "guest", "", NATIVE).await.expect("logs in")
}

pub(super) fn check(packet: &[u8]) -> Result<(), Refusal> {
    match packet {
        [0xff, low, high, b'#', rest @ ..] => {
            Err((u16::from_le_bytes([*low, *high]), String::from_utf8_lossy(rest.get(5..).unwrap_or_default()).into_owned()))
        }
        _ => Ok(()),
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
