//! `consume`: prints tasks as they come and, with `--ack`, acknowledges each one after it was printed.

use std::collections::HashSet;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use z4_proto::{Ack, ConsumeOpen, ConsumeRequest, ConsumeResponse, Delivery, SettleResult};

use super::args::ConsumeArgs;
use super::error::{ToolError, code_name};
use super::output::Output;
use super::session::{Session, late};
use super::views::DeliveryView;

/// How many tasks the peer may have on their way to us.
const CREDIT_TASKS: u64 = 100;
/// Requests on their way to the peer; printing waits when there are more.
const REQUESTS_MAX: usize = 16;

/// Consumes until the limit is reached, the peer ends the stream, or the user interrupts.
pub async fn execute(session: &Session, out: &mut Output, args: ConsumeArgs) -> Result<(), ToolError> {
    let mut interrupts = Interrupts::new()?;
    let limit = if args.limit == 0 { u64::MAX } else { args.limit };
    let credit = limit.min(CREDIT_TASKS);
    let (requests, outgoing) = mpsc::channel(REQUESTS_MAX);
    let open = ConsumeOpen { namespaces: args.namespaces, lease_ms: args.lease_ms };
    send(&requests, ConsumeRequest { open: Some(open), credit: narrow(credit), ..ConsumeRequest::default() }).await;
    let mut client = session.collection();
    // The peer may answer the call with its first delivery only, so opening is not bounded by the timeout.
    let mut answers = tokio::select! {
        opened = client.consume(ReceiverStream::new(outgoing)) => opened?.into_inner(),
        () = interrupts.next() => return Ok(()),
    };
    out.header(DeliveryView::HEADER)?;
    let mut consumer = Consumer { requests, ack: args.ack, ungranted: limit - credit, unprinted: limit, acks: Acks::default() };
    while consumer.unprinted > 0 {
        tokio::select! {
            answer = answers.message() => match answer? {
                Some(answer) => {
                    if let Err(error) = consumer.take(answer, out).await {
                        // What was printed before still counts.
                        consumer.finish(session, answers).await?;
                        return Err(error);
                    }
                }
                None => return consumer.acks.verdict(),
            },
            () = interrupts.next() => break,
        }
    }
    consumer.finish(session, answers).await
}

/// One open stream.
struct Consumer {
    requests: mpsc::Sender<ConsumeRequest>,
    ack: bool,
    /// Tasks within the limit for which the peer has no credit yet.
    ungranted: u64,
    /// Tasks within the limit that were not printed yet.
    unprinted: u64,
    acks: Acks,
}

impl Consumer {
    /// Prints what came, acknowledges it, and gives credit for as many again.
    async fn take(&mut self, answer: ConsumeResponse, out: &mut Output) -> Result<(), ToolError> {
        self.acks.answered(&answer.results);
        let mut request = ConsumeRequest::default();
        let mut printed = Ok(());
        for delivery in answer.deliveries {
            let ack = ack_of(&delivery);
            printed = out.show(&DeliveryView::from(delivery));
            if printed.is_err() {
                break;
            }
            self.unprinted = self.unprinted.saturating_sub(1);
            let credit = self.ungranted.min(1);
            self.ungranted -= credit;
            request.credit += narrow(credit);
            if self.ack {
                request.acks.push(ack);
            }
        }
        self.acks.sent(&request.acks);
        if request != ConsumeRequest::default() {
            send(&self.requests, request).await;
        }
        printed
    }

    /// Waits for the answers to the acks that were sent, then leaves.
    async fn finish(mut self, session: &Session, mut answers: Streaming<ConsumeResponse>) -> Result<(), ToolError> {
        while !self.acks.open.is_empty() {
            let answer = tokio::time::timeout(session.timeout(), answers.message()).await;
            match answer.map_err(|_| late(session.timeout()))?? {
                Some(answer) => self.acks.answered(&answer.results),
                None => break,
            }
        }
        self.acks.verdict()
    }
}

/// The acks of this run. A token is unique within its group only, so the task's id belongs to the key.
#[derive(Default)]
struct Acks {
    open: HashSet<(String, u64)>,
    total: u64,
    refused: u64,
}

impl Acks {
    fn sent(&mut self, acks: &[Ack]) {
        self.total += acks.len() as u64;
        self.open.extend(acks.iter().map(|ack| (ack.task_id.clone(), ack.token)));
    }

    fn answered(&mut self, results: &[SettleResult]) {
        for result in results {
            if self.open.remove(&(result.task_id.clone(), result.token)) && result.status != 0 {
                self.refused += 1;
                let code = code_name(i32::try_from(result.status).unwrap_or_default().into());
                eprintln!("z4t: the ack of task {} was refused: {code}: {}", result.task_id, result.message);
            }
        }
    }

    fn verdict(&self) -> Result<(), ToolError> {
        let failed = self.refused + self.open.len() as u64;
        if failed == 0 { Ok(()) } else { Err(ToolError::Unsettled { failed, total: self.total }) }
    }
}

fn ack_of(delivery: &Delivery) -> Ack {
    let (namespace, task_id) = match &delivery.task {
        Some(task) => (task.namespace.clone(), task.id.clone()),
        None => Default::default(),
    };
    Ack { namespace, task_id, token: delivery.token }
}

/// A stream that the peer has ended takes no requests; the reason comes with its answers, so nothing is said here.
async fn send(requests: &mpsc::Sender<ConsumeRequest>, request: ConsumeRequest) {
    let _ = requests.send(request).await;
}

fn narrow(credit: u64) -> u32 {
    u32::try_from(credit).unwrap_or(u32::MAX)
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> Result<Self, ToolError> {
        let catch = |kind| signal(kind).map_err(ToolError::Runtime);
        Ok(Interrupts { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(token: u64, status: u32) -> SettleResult {
        SettleResult { token, status, ..SettleResult::default() }
    }

    /// A refused ack and one that was never answered must both turn the exit code: the task will come again.
    #[test]
    fn refused_and_unanswered_acks_fail_the_run() {
        let mut acks = Acks::default();
        acks.sent(&[1, 2, 3].map(|token| Ack { token, ..Ack::default() }));
        acks.answered(&[result(1, 0), result(2, 9), result(7, 9)]);
        assert!(matches!(acks.verdict(), Err(ToolError::Unsettled { failed: 2, total: 3 })));
        acks.answered(&[result(3, 0)]);
        assert!(matches!(acks.verdict(), Err(ToolError::Unsettled { failed: 1, total: 3 })));
    }
}
