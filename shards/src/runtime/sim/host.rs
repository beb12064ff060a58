//! The machines that a simulated world's processes run on: how processes end there, and what becomes of their disks.

use std::path::Path;

use super::net;
use super::platter::{self, Manners};
use super::world::{self, Place};

/// Ends the process at a place; what it wrote is with the kernel and stays.
pub fn kill(place: Place) {
    world::kill(place);
}

/// The power of a place goes: its process ends, connections fall silent, and of what was not durable on its disk any part is lost.
pub fn cut_power(place: Place) {
    world::at(place, net::fall_silent);
    world::kill(place);
    platter::of(place).borrow_mut().cut_power();
}

/// Another disk, which is empty, takes the place of the one at a place, whose process must be over.
pub fn wipe(place: Place) {
    platter::of(place).borrow_mut().wipe();
}

/// Changes how the disk at a place behaves.
pub fn set_manners(place: Place, manners: Manners) {
    platter::of(place).borrow_mut().manners = manners;
}

/// Turns over one bit of a file below `path` at a place. `false`: there is no file.
pub fn flip_a_bit(place: Place, path: &Path) -> bool {
    platter::of(place).borrow_mut().flip_a_bit(path)
}
