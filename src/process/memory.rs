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
}
