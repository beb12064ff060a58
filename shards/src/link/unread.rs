//! What a link has received of a frame that is not whole: charged to the peer's account, so that half-sent frames take memory from nobody.

use std::time::Duration;

use super::Reach;
use crate::account::{Full, PEER_PARTS, Share};
use crate::runtime::executor;

/// So much is not charged: most frames are smaller, and come as a whole.
const FREE_BYTES: usize = 64 << 10;

/// A frame for which there is no memory waits, with a look each time that this has passed, and its link with it.
const LOOK: Duration = Duration::from_millis(50);
/// So often; then the link ends.
const LOOKS_MAX: u32 = 80;

/// The charge for what one link has not used up.
pub(super) struct Unread(Option<Share>);

impl Unread {
    pub(super) fn new(reach: &Reach) -> Self {
        Unread(reach.account().map(|account| account.holder(PEER_PARTS).count(0)))
    }

    /// Charges `bytes` instead of what was charged before, after a wait if need be.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(super) async fn hold(&mut self, bytes: usize) -> Result<(), Full> {
        let Some(share) = &mut self.0 else { return Ok(()) };
        let wanted = if bytes > FREE_BYTES { bytes } else { 0 };
        let mut looks = 0;
        loop {
            let Some(more) = wanted.checked_sub(share.bytes()).filter(|more| *more > 0) else {
                share.shrink(share.bytes() - wanted);
                return Ok(());
            };
            match share.grow(more) {
                Err(full) if looks >= LOOKS_MAX => return Err(full),
                Err(_) => executor::sleep(LOOK).await,
                Ok(()) => return Ok(()),
            }
            looks += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::runtime::net;

    #[test]
    fn a_frame_is_charged_while_it_is_not_whole() {
        let held = async {
            let reach = Reach::default();
            let account = Account::new(8 << 20);
            reach.charge_to(account.clone());
            let mut unread = Unread::new(&reach);
            unread.hold(FREE_BYTES).await.expect("nothing to charge");
            assert_eq!(account.used(), 0);
            for bytes in [1 << 20, 2 << 20, 100_000, 0] {
                unread.hold(bytes).await.expect("there is room");
                assert_eq!(account.used(), bytes);
            }
            unread.hold(3 << 20).await.expect_err("the half of 8 MiB that are free then");
            assert_eq!(account.used(), 0);
        };
        net::run(held).expect("io_uring");
    }
}
