//! Values in numbered slots that are used again: references between lanes, consumers and leases are small numbers.

use std::ops::{Index, IndexMut};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Above so many slots an empty slab gives its memory back.
const KEPT_SLOTS: usize = 1_024;

/// The slots. A number is good until its value is removed.
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(value);
            return slot;
        }
        self.slots.push(Some(value));
        (self.slots.len() - 1) as u32
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if self.slots[slot as usize].take().is_some() {
            self.free.push(slot);
        }
        if self.len() == 0 && self.slots.len() > KEPT_SLOTS {
            *self = Self::default();
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// How many slots there are, used or free.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    /// The slots in use.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().enumerate().filter(|(_, v)| v.is_some()).map(|(slot, _)| slot as u32)
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        match self.get(slot) {
            Some(value) => value,
            None => unreachable!("slot {slot} is empty: a value was removed while something referred to it"),
        }
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        match self.get_mut(slot) {
            Some(value) => value,
            None => unreachable!("slot {slot} is empty: a value was removed while something referred to it"),
        }
    }
}
