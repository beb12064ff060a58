//! Where a peer is in its life, and whether it serves: what probes, `grpc.health.v1`, `CheckHealth` and so `z4t ping` answer.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use z4_shards::shard::handle::Shards;
use z4_shards::shard::serving::NotServing;

/// A peer whose executor has not turned for so long is as good as dead: whoever watches it should start it again. Long, because a peer that
/// is started again has lost what it had in memory.
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// A stage of a peer's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// It recovers or waits for its groups.
    Starting,
    /// It takes requests, as far as its groups have leaders.
    Serving,
    /// It finishes what is in flight.
    Stopping,
}

/// Why a peer does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwell {
    /// It is in another stage.
    Stage(Stage),
    /// Its groups cannot be used through it.
    Groups(NotServing),
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwell::Stage(Stage::Stopping) => f.write_str("the peer is stopping"),
            Unwell::Stage(_) => f.write_str("the peer is starting"),
            Unwell::Groups(reason) => reason.fmt(f),
        }
    }
}

#[derive(Default)]
struct Inner {
    stage: AtomicU8,
    shards: OnceLock<Shards>,
}

/// A peer's health, shared by all threads; asking it waits for nobody. A new one is [`Stage::Starting`].
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.stage()).finish()
    }
}

impl Health {
    /// Enters a stage.
    pub fn enter(&self, stage: Stage) {
        self.0.stage.store(stage as u8, Ordering::Release);
    }

    /// Says whose groups count from now on.
    pub fn watch(&self, shards: &Shards) {
        self.0.shards.get_or_init(|| shards.clone());
    }

    /// The stage now.
    pub fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Stopping,
        }
    }

    /// Whether the peer serves.
    ///
    /// # Errors
    /// Why not.
    pub fn serving(&self) -> Result<(), Unwell> {
        match (self.stage(), self.0.shards.get()) {
            (Stage::Serving, Some(shards)) => shards.serving().map_err(Unwell::Groups),
            (Stage::Serving, None) => Ok(()),
            (stage, _) => Err(Unwell::Stage(stage)),
        }
    }

    /// Whether the process should live: it starts, waits, serves, or has no quorum, which no restart mends.
    ///
    /// # Errors
    /// What is as good as dead.
    pub fn alive(&self) -> Result<(), String> {
        match self.0.shards.get().and_then(Shards::stuck) {
            Some((shard, silent)) if silent >= DEAD_AFTER => {
                Err(format!("shard {shard} has not turned for {} s", silent.as_secs()))
            }
            _ => Ok(()),
        }
    }
}
