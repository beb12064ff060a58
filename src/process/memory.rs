//! The allocator's settings. The only file of this crate with unsafe code.
#![allow(unsafe_code)]

use std::ffi::c_int;

/// `mi_option_purge_delay` of mimalloc 3, by its place in `enum mi_option_e` of its `mimalloc.h`.
const PURGE_DELAY: c_int = 15;

/// Has freed pages go back to the system at once instead of after a while: with 5 M tasks that is 353 instead of 423 MiB of resident
/// memory, for no CPU that could be measured. Call it first thing, while there is one thread.
pub fn give_back_at_once() {
    // SAFETY: the call sets one integer of mimalloc's options; it must not run beside another thread, and `main` calls it before it
    // starts any.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) }
}

/// Has memory taken by the page and not by 2 MiB at a time, which the allocator asks the kernel for where it may: of each such piece a
/// few KiB are used, and a freed page in it does not go back. Measured: 135 instead of 186 MiB for a peer with 50 tasks. Call it before there
/// is much.
pub fn take_by_the_page() {
    // A kernel that refuses gives memory all the same, only more of it.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option's number is mimalloc's own; another version may count otherwise, and would be told something else.
    #[test]
    fn the_option_is_the_purge_delay() {
        // SAFETY: reads one integer of mimalloc's options.
        let default = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        give_back_at_once();
        // SAFETY: as above.
        let set = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!((default > 0, set), (true, 0), "the default delay is some milliseconds; it was {default}");
    }

    #[test]
    fn the_kernel_gives_small_pages() {
        take_by_the_page();
        assert_eq!(rustix::thread::transparent_huge_pages_are_disabled(), Ok(true));
    }
}
