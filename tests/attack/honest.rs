//! What honest clients see meanwhile.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use z4_proto::CreateTaskRequest;

use crate::consumer::{Consumed, Created, NAMESPACE, consume};
use crate::harness::{Client, Peer};

/// A create that takes longer has failed.
const CREATE_MAX: Duration = Duration::from_secs(10);

/// What an honest client may wait for at least, whatever an idle peer takes: below it, the machine's own noise is measured.
const FLOOR: Duration = Duration::from_millis(10);

/// Every so many creates one has a payload of so many bytes: little enough for the part of the account that greedy ones cannot have.
const LARGE_EVERY: usize = 32;
const LARGE_BYTES: usize = 48 << 10;

/// A probe may take this long.
const PROBE_MAX: Duration = Duration::from_secs(1);

/// What was seen in some seconds.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How long creates took, the shortest first.
    took: Vec<Duration>,
    failed: Vec<String>,
    consumed: Consumed,
    slowest_probe: Duration,
    /// What probes were told that did not say that the peer serves.
    probes_failed: Vec<String>,
    resident_max: u64,
}

impl Seen {
    fn p99(&self) -> Duration {
        p99(&self.took)
    }
}

/// Of times in their order.
fn p99(took: &[Duration]) -> Duration {
    took.get(took.len() * 99 / 100).copied().unwrap_or(CREATE_MAX)
}

/// Creates one task after the other and consumes them, asks `/healthz`, and looks at the memory, for some time.
pub async fn measure([creator, consumer]: &[Client; 2], peer: &Peer, time: Duration) -> Seen {
    let (until, created) = (Instant::now() + time, Created::default());
    let ((mut took, failed), mut consumed, (slowest_probe, probes_failed), resident_max) = tokio::join!(
        creates(creator, &created, until),
        consume(consumer, &created, until),
        probes(peer, until),
        resident(peer, until)
    );
    took.sort();
    consumed.took.sort();
    Seen { took, failed, consumed, slowest_probe, probes_failed, resident_max }
}

async fn creates(client: &Client, created: &Created, until: Instant) -> (Vec<Duration>, Vec<String>) {
    let (mut took, mut failed) = (Vec::new(), Vec::new());
    while Instant::now() < until {
        let (number, payload) = created.begin(if took.len() % LARGE_EVERY == LARGE_EVERY - 1 { LARGE_BYTES } else { 0 });
        let request = CreateTaskRequest { namespace: NAMESPACE.into(), payload: payload.into(), ..Default::default() };
        let since = Instant::now();
        match tokio::time::timeout(CREATE_MAX, client.tasks.clone().create_task(request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => {
                created.forget(number);
                failed.push(status.to_string());
            }
            Err(_) => failed.push(format!("a create took more than {CREATE_MAX:?}")),
        }
        took.push(since.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (took, failed)
}

/// A connection of its own each: the slowest, and what those were told to whom it was not that the peer serves.
async fn probes(peer: &Peer, until: Instant) -> (Duration, Vec<String>) {
    let (mut slowest, mut failed) = (Duration::ZERO, Vec::new());
    while Instant::now() < until {
        let since = Instant::now();
        let asked = tokio::time::timeout(CREATE_MAX, crate::ports::healthy(&peer.metrics_address())).await;
        failed.extend(asked.unwrap_or_else(|_| Err(format!("no answer in {CREATE_MAX:?}"))).err());
        slowest = slowest.max(since.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (slowest, failed)
}

async fn resident(peer: &Peer, until: Instant) -> u64 {
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(peer.resident_bytes());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

/// One flood's row.
pub struct Report {
    pub name: &'static str,
    pub idle: Seen,
    pub flooded: Seen,
    /// Resident memory before, bytes.
    pub before: u64,
    /// How the peer ended, if it did.
    pub exited: Option<String>,
}

impl Report {
    /// Over the rows.
    pub const HEAD: &str = "flood                                      | creates |  failed | p99 idle | p99 flood |   worst | delivered |    idle |     flood | probe  | MiB before | most";

    /// What broke a bound.
    pub fn broken(&self, added_max: u64) -> Vec<String> {
        let Report { name, idle, flooded, .. } = self;
        let mut broken = Vec::new();
        let bound = 10 * idle.p99().max(FLOOR);
        if flooded.p99() > bound {
            broken.push(format!("{name}: p99 of creates is {:?}; the limit is {bound:?}", flooded.p99()));
        }
        if let Some(failed) = flooded.failed.first() {
            broken.push(format!("{name}: {} creates failed, the first one: {failed}", flooded.failed.len()));
        }
        let bound = 10 * p99(&idle.consumed.took).max(FLOOR);
        if p99(&flooded.consumed.took) > bound {
            broken.push(format!("{name}: p99 of deliveries is {:?}; the limit is {bound:?}", p99(&flooded.consumed.took)));
        }
        if let Some(failed) = flooded.consumed.failed.first() {
            broken.push(format!("{name}: {} times consuming failed, the first time: {failed}", flooded.consumed.failed.len()));
        }
        if flooded.slowest_probe > PROBE_MAX {
            broken.push(format!("{name}: a probe took {:?}; the limit is {PROBE_MAX:?}", flooded.slowest_probe));
        }
        if let Some(failed) = flooded.probes_failed.first() {
            broken.push(format!("{name}: {} probes failed, the first one: {failed}", flooded.probes_failed.len()));
        }
        let added = flooded.resident_max.saturating_sub(self.before);
        if added > added_max {
            broken.push(format!("{name}: {} MiB more were resident; the limit is {} MiB", added >> 20, added_max >> 20));
        }
        broken.extend(self.exited.iter().map(|status| format!("{name}: the peer ended, {status}")));
        broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { name, idle, flooded, before, .. } = self;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let worst = flooded.took.last().copied().unwrap_or_default();
        write!(
            f,
            "{name:42} | {:7} | {:7} | {:5.1} ms | {:6.1} ms | {:4.0} ms | {:9} | {:4.1} ms | {:6.1} ms | {:3.0} ms | {:10} | {:4}",
            flooded.took.len(),
            flooded.failed.len() + flooded.consumed.failed.len(),
            ms(idle.p99()),
            ms(flooded.p99()),
            ms(worst),
            flooded.consumed.took.len(),
            ms(p99(&idle.consumed.took)),
            ms(p99(&flooded.consumed.took)),
            ms(flooded.slowest_probe),
            before >> 20,
            flooded.resident_max >> 20
        )
    }
}
