//! An honest consumer beside the floods: it takes what the honest client creates and acknowledges it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use z4_proto::{ConsumeOpen, ConsumeRequest};

use crate::harness::{Client, ack_of};

/// Where the honest client creates.
pub const NAMESPACE: &str = "honest";

/// What was created and is not acknowledged must be, within this.
const REST_MAX: Duration = Duration::from_secs(10);

/// Its credit: as much as it works on at a time.
const CREDIT: u32 = 64;

/// What was created: its number, and when.
#[derive(Default)]
pub struct Created {
    since: RefCell<HashMap<u64, Instant>>,
    next: RefCell<u64>,
}

impl Created {
    /// A create begins; returns its payload, of so many bytes.
    pub fn begin(&self, bytes: usize) -> (u64, Vec<u8>) {
        let number = self.next.replace_with(|next| *next + 1);
        self.since.borrow_mut().insert(number, Instant::now());
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(bytes.max(8), 0);
        (number, payload)
    }

    /// It was refused.
    pub fn forget(&self, number: u64) {
        self.since.borrow_mut().remove(&number);
    }

    /// It was delivered; `None`: before, or it is of another time.
    fn delivered(&self, payload: &[u8]) -> Option<Duration> {
        let number = u64::from_be_bytes(*payload.first_chunk()?);
        Some(self.since.borrow_mut().remove(&number)?.elapsed())
    }

    fn left(&self) -> usize {
        self.since.borrow().len()
    }
}

/// What a consumer saw.
#[derive(Clone, Debug, Default)]
pub struct Consumed {
    /// From the beginning of each create to its delivery.
    pub took: Vec<Duration>,
    pub failed: Vec<String>,
}

/// Consumes until the time is over and nothing is left.
pub async fn consume(client: &Client, created: &Created, until: Instant) -> Consumed {
    let mut seen = Consumed::default();
    let last = until + REST_MAX;
    while Instant::now() < last && seen.failed.len() < 10 {
        match timeout_at(last, stream(client, created, until, &mut seen)).await {
            Ok(Ok(())) => return seen,
            Ok(Err(error)) => seen.failed.push(error),
            Err(_) => break,
        }
        // As clients do that were told to try again later.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if created.left() > 0 {
        seen.failed.push(format!("{} tasks were created and not delivered within {REST_MAX:?}", created.left()));
    }
    seen
}

/// One stream, to its end: every delivery is acknowledged, and the answer looked at.
async fn stream(client: &Client, created: &Created, until: Instant, seen: &mut Consumed) -> Result<(), String> {
    let (say, said) = mpsc::channel(64);
    let open = ConsumeOpen { namespaces: vec![NAMESPACE.into()], ..Default::default() };
    let first = ConsumeRequest { open: Some(open), credit: CREDIT, ..Default::default() };
    say.send(first).await.map_err(|error| error.to_string())?;
    let opened = client.tasks.clone().consume(ReceiverStream::new(said)).await;
    let mut answers = opened.map_err(|status| format!("opening a stream: {status}"))?.into_inner();
    let mut unanswered = 0;
    while Instant::now() < until || created.left() > 0 || unanswered > 0 {
        let Ok(answer) = timeout(Duration::from_millis(50), answers.message()).await else { continue };
        let answer = answer.map_err(|status| format!("a stream: {status}"))?.ok_or("a stream ended")?;
        for result in &answer.results {
            unanswered -= 1;
            if result.status != 0 {
                return Err(format!("an ack: {}", result.message));
            }
        }
        let payloads = answer.deliveries.iter().filter_map(|delivery| delivery.task.as_ref());
        seen.took.extend(payloads.filter_map(|task| created.delivered(&task.payload)));
        let acks: Vec<_> = answer.deliveries.iter().map(ack_of).collect();
        if !acks.is_empty() {
            unanswered += acks.len();
            let request = ConsumeRequest { credit: acks.len() as u32, acks, ..Default::default() };
            say.send(request).await.map_err(|_| "a stream ended")?;
        }
    }
    Ok(())
}
