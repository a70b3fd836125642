//! Alterations of single list items, so that a test can show a client what it must put up with.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::world::Row;

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// The alterations by execution, in the order in which they were asked for.
#[derive(Default)]
pub struct Edits(HashMap<Row, Vec<Edit>>);

impl Edits {
    /// Adds one.
    pub fn add(&mut self, row: Row, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.0.entry(row).or_default().push(Arc::new(edit));
    }

    /// The item as altered.
    pub fn apply(&self, row: Row, mut item: Value) -> Value {
        for edit in self.0.get(&row).into_iter().flatten() {
            edit(&mut item);
        }
        item
    }
}
