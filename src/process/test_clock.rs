//! A wall clock that a test of whole processes can set wrong while the peer runs. It is in builds with debug assertions alone.
//!
//! With `TEST_Z4_CLOCK_DIR` in its environment a peer looks there for a file that is called like its id; the number in it says by
//! how many milliseconds the clock is wrong.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use z4_shards::runtime::clock;

const VARIABLE: &str = "TEST_Z4_CLOCK_DIR";

/// How often the file is read.
const LOOK: Duration = Duration::from_millis(50);

/// Follows the file, on a thread of its own, if the environment asks for it.
pub fn follow(peer_id: &str) {
    let Some(dir) = std::env::var_os(VARIABLE) else { return };
    let file = PathBuf::from(dir).join(peer_id);
    let look = move || {
        // Nobody sends: it is there to be waited for.
        let (_open, never) = mpsc::channel::<()>();
        loop {
            let wrong_by_ms = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
            clock::set_wrong_by(wrong_by_ms.unwrap_or(0));
            let _ = never.recv_timeout(LOOK);
        }
    };
    tracing::warn!(peer_id, "the clock of this peer follows {VARIABLE}: this is a test");
    let _ = std::thread::Builder::new().name("z4-test-clock".to_owned()).spawn(look);
}
