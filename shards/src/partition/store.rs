//! The machine's store: one layer over a view.

use bytes::Bytes;
use z4_model::machine::{Store, StoreError};

use super::layer::Layer;
use super::view::View;

/// Reads see the writes of the layer, then what the view holds.
pub(super) struct BatchStore<'a> {
    view: &'a View,
    pub(super) layer: Layer,
}

impl<'a> BatchStore<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        BatchStore { view, layer: Layer::default() }
    }
}

impl Store for BatchStore<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.layer.get(key) {
            Some(change) => Ok(change.value().cloned()),
            None => Ok(self.view.value(key)?),
        }
    }

    fn put(&mut self, key: Bytes, value: Bytes) {
        self.layer.put(key, value);
    }

    fn delete(&mut self, key: Bytes, weak: bool) {
        self.layer.delete(key, weak);
    }

    fn scan(&mut self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let rows = self.view.range_under(Some(&self.layer), from, until).take(limit);
        rows.collect::<Result<Vec<_>, _>>().map_err(StoreError::from)
    }
}
