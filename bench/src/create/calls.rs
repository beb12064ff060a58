//! Unary calls: each worker has one call in flight, with one task or with a batch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use super::{Mode, Plan, Run, status_of};
use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::wire::{BatchReply, Created, Rpc};
use crate::workload::Workload;

/// How long a worker waits before it sends a refused batch again.
const RETRY_AFTER: Duration = Duration::from_millis(5);

pub(super) async fn run(bench: &Bench, workload: &Arc<Workload>, plan: &Plan, run: &Arc<Run>) -> Result<()> {
    let rpc = plan.rpc()?;
    let mut workers = JoinSet::new();
    for index in 0..plan.in_flight.max(1) {
        let worker = Worker {
            rpc,
            channel: bench.channel(index).clone(),
            workload: workload.clone(),
            namespaces: workload.share(index, plan.in_flight),
            run: run.clone(),
            retry: plan.retry,
        };
        match plan.mode {
            Mode::Batch => workers.spawn(worker.batches(plan.batch.max(1))),
            Mode::Unary | Mode::Stream => workers.spawn(worker.single()),
        };
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Error::Input(format!("a worker failed: {e}")))??;
    }
    Ok(())
}

struct Worker {
    rpc: Rpc,
    channel: Channel,
    workload: Arc<Workload>,
    namespaces: Vec<usize>,
    run: Arc<Run>,
    retry: bool,
}

impl Worker {
    async fn single(self) -> Result<()> {
        let mut turn = 0;
        while let Some((task, _)) = self.run.take(1) {
            let request = self.workload.task(self.namespace(&mut turn), task);
            let sent_ns = self.run.clock.nanos();
            match self.rpc.unary::<Created>(&self.channel, request).await {
                Ok(_) => self.run.created(1, sent_ns),
                Err(status) => self.run.refused(1, self.rpc, status)?,
            }
        }
        Ok(())
    }

    async fn batches(self, size: u64) -> Result<()> {
        let mut turn = 0;
        while let Some((first, count)) = self.run.take(size) {
            let request = self.workload.batch(self.namespace(&mut turn), first, count);
            let sent_ns = self.run.clock.nanos();
            loop {
                match self.batch(request.clone()).await {
                    Ok(()) => self.run.created(count, sent_ns),
                    Err(status) => {
                        self.run.refused(count, self.rpc, status)?;
                        if self.retry {
                            tokio::time::sleep(RETRY_AFTER).await;
                            continue;
                        }
                    }
                }
                break;
            }
        }
        Ok(())
    }

    /// One batch is one namespace, so either all of it was created or the first refusal speaks for all.
    async fn batch(&self, request: Bytes) -> std::result::Result<(), Status> {
        let reply: BatchReply = self.rpc.unary(&self.channel, request).await?;
        match reply.results.iter().find(|r| r.status != 0) {
            Some(refused) => Err(status_of(refused)),
            None => Ok(()),
        }
    }

    fn namespace(&self, turn: &mut usize) -> usize {
        *turn += 1;
        self.namespaces[*turn % self.namespaces.len()]
    }
}
