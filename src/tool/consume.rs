//! `consume`: prints tasks as they come and, with `--ack`, acknowledges each one after it was printed.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::ConsumeArgs;
use super::error::ToolError;
use super::output::Output;
use super::views::DeliveryView;
use crate::client::{Client, Consumer, Error, code_name};

/// How many tasks the peer may have on their way to us.
const CREDIT_TASKS: u64 = 100;

/// Consumes until the limit is reached, no peer gives any more, or the user interrupts.
pub async fn execute(client: &Client, out: &mut Output, args: ConsumeArgs) -> Result<(), ToolError> {
    let mut interrupts = Interrupts::new()?;
    let limit = if args.limit == 0 { u64::MAX } else { args.limit };
    let credit = u32::try_from(limit.min(CREDIT_TASKS)).unwrap_or(u32::MAX);
    let mut consumer = client.consumer(args.namespaces).credit(credit).limit(limit).fixed_lease_ms(args.lease_ms).open();
    out.header(DeliveryView::HEADER)?;
    let mut acks = Acks::default();
    // What was printed before an error still counts: its acks are awaited.
    let printed = print(&mut consumer, out, limit, args.ack, &mut acks, &mut interrupts).await;
    let settled = acks.verdict().await;
    consumer.close().await;
    settled.and(printed)
}

/// Prints up to `limit` tasks.
async fn print(
    consumer: &mut Consumer,
    out: &mut Output,
    limit: u64,
    ack: bool,
    acks: &mut Acks,
    interrupts: &mut Interrupts,
) -> Result<(), ToolError> {
    let mut printed = 0;
    while printed < limit {
        let delivery = tokio::select! {
            delivery = consumer.next() => delivery?,
            () = acks.answered(), if !acks.open.is_empty() => continue,
            () = interrupts.next() => break,
        };
        if let Err(error) = out.show(&DeliveryView::from(delivery.to_message())) {
            delivery.leave();
            return Err(error);
        }
        printed += 1;
        if ack {
            acks.say(delivery.task().id.clone(), delivery.ack());
        } else {
            delivery.leave();
        }
    }
    Ok(())
}

/// The acks of this run.
#[derive(Default)]
struct Acks {
    open: FuturesUnordered<futures_util::future::BoxFuture<'static, (String, Result<(), Error>)>>,
    total: u64,
    failed: u64,
}

impl Acks {
    fn say(&mut self, task_id: String, settlement: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.total += 1;
        self.open.push(Box::pin(async move { (task_id, settlement.await) }));
    }

    /// Waits for the next answer.
    async fn answered(&mut self) {
        if let Some((task_id, Err(error))) = self.open.next().await {
            self.failed += 1;
            eprintln!("z4t: the ack of task {task_id} was refused: {}: {}", code_name(error.code()), error.message());
        }
    }

    /// Waits for the answers that are still open. Refused and unanswered acks fail the run: their tasks come again.
    async fn verdict(mut self) -> Result<(), ToolError> {
        while !self.open.is_empty() {
            self.answered().await;
        }
        if self.failed == 0 { Ok(()) } else { Err(ToolError::Unsettled { failed: self.failed, total: self.total }) }
    }
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
