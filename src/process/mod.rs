//! What z4 is to the operating system: directories that it locks, limits, signals, exit statuses.

pub mod directories;
pub mod exit;
pub mod limits;
pub mod memory;
pub mod panics;
pub mod ready;
pub mod side_thread;
pub mod space;
pub mod stop;
#[cfg(debug_assertions)]
pub mod test_hooks;
pub mod text_file;
