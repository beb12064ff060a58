//! Memory of the account for handlers that need more than their request: pages of lists.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tonic::{Request, Status};
use z4_shards::account::{Holder, Share};
use z4_shards::runtime::net::sleep;

/// A list waits so long for its memory: a burst of them is worked off, not refused.
const WAIT: Duration = Duration::from_secs(2);
/// It looks again after this, the first time, and each wait is twice as long: thousands of them may wait.
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_millis(250);

/// What a call may take, on behalf of its connection. What it took is given back when the call is over: its answer was sent by then.
#[derive(Clone)]
pub(super) struct Memory {
    holder: Holder,
    taken: SendWrapper<Rc<RefCell<Option<Share>>>>,
}

impl Memory {
    pub(super) fn new(holder: &Holder) -> Self {
        Memory { holder: holder.clone(), taken: SendWrapper::new(Rc::default()) }
    }

    /// The memory of a request's call. A request that came over no connection has none, and no bounds either.
    pub(super) fn of<T>(request: &Request<T>) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }

    /// Who is charged.
    pub(super) fn holder(&self) -> Holder {
        self.holder.clone()
    }

    /// Takes memory, after a wait if need be.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: there is none.
    pub(super) async fn take(&self, bytes: usize) -> Result<(), Status> {
        let (mut waited, mut look) = (Duration::ZERO, LOOK_MIN);
        loop {
            match self.holder.take(bytes) {
                Ok(share) => {
                    *self.taken.borrow_mut() = Some(share);
                    return Ok(());
                }
                Err(full) if waited >= WAIT => return Err(Status::resource_exhausted(full.to_string())),
                Err(_) => sleep(look).await,
            }
            waited += look;
            look = (look * 2).min(LOOK_MAX);
        }
    }

    /// Gives back what is beyond `bytes`: so much is needed until the call is over.
    pub(super) fn keep(&self, bytes: usize) {
        if let Some(share) = &mut *self.taken.borrow_mut() {
            share.shrink(share.bytes().saturating_sub(bytes));
        }
    }
}
