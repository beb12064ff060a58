//! What all connections of the server share, and where statements go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use z4_shards::account::Share;

use super::compress::Packer;
use super::connections::Connections;
use super::options::Options;
use super::session;
use super::users::Users;
use crate::sql::context::Context;
use crate::sql::dialect;
use crate::sql::error::SqlError;
use crate::sql::result::Progress;
use crate::sql::sqlite::{Engine, What};
use crate::sql::statement::{Query, Statement};
use crate::sql::types::Datum;

/// Who understands statements and runs queries.
pub trait Backend: Send + Sync + 'static {
    /// Reads one statement.
    ///
    /// # Errors
    /// What is wrong with it.
    fn compile(&self, sql: &str, context: &Context) -> Result<Statement, SqlError>;

    /// Starts a query. Never blocks. Dropping the receiver interrupts it.
    fn start_query(&self, query: Arc<Query>, params: Vec<Datum>, context: Arc<Context>, what: What) -> mpsc::Receiver<Progress>;
}

impl Backend for Engine {
    fn compile(&self, sql: &str, context: &Context) -> Result<Statement, SqlError> {
        dialect::compile_for_others(sql, context)
    }

    fn start_query(&self, query: Arc<Query>, params: Vec<Datum>, context: Arc<Context>, what: What) -> mpsc::Receiver<Progress> {
        Engine::start_query(self, query, params, context, what)
    }
}

/// What all connections share.
pub(super) struct Service {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) users: Users,
    pub(super) connections: Arc<Connections>,
    pub(super) options: Options,
    /// For packets under way.
    pub(super) packets: Budget,
    /// For what connections keep: prepared statements and long parameters.
    pub(super) kept: Budget,
    /// Makes frames of compressed connections.
    pub(super) packer: Arc<Mutex<Packer>>,
    /// What the variables of every session begin with.
    pub(super) defaults: Arc<BTreeMap<String, Datum>>,
}

impl Service {
    pub(super) fn new(backend: Arc<dyn Backend>, users: Users, connections: Arc<Connections>, options: Options) -> Arc<Service> {
        // One packet of the largest kind always fits.
        let budget = || Budget::new(options.packets_bytes_max.max(2 * options.packet_bytes_max));
        let (packets, kept, defaults) = (budget(), budget(), session::defaults(&options));
        Arc::new(Service { backend, users, connections, options, packets, kept, packer: Arc::default(), defaults })
    }
}

/// A packet's share of what large packets may take together, and of the peer's memory.
pub(super) struct PacketShare {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _charge: Option<Share>,
}

/// Bytes that all connections may hold together, in pieces of a KiB.
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    fn new(bytes: usize) -> Budget {
        Budget(Arc::new(Semaphore::new((bytes >> 10).clamp(1, Semaphore::MAX_PERMITS))))
    }

    fn pieces(bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX)
    }

    /// A share, as soon as there is one; `None`: there never will be.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_many_owned(Self::pieces(bytes)).await.ok()
    }

    /// A share, if there is one.
    pub(super) fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_many_owned(Self::pieces(bytes)).ok()
    }
}
