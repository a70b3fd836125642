//! Deliveries of one event that wait to go, alone or as a batch.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::incident::Place;
use crate::simulator::random::later;

/// For so long a batch waits for more, from when its first is due.
const WINDOW: Duration = Duration::from_secs(1);

/// What is to be told of one incident.
#[derive(Debug)]
pub struct Item {
    pub serial: u64,
    pub place: Place,
    pub body: Value,
    /// The pauses before each time that it is sent once more.
    pub repeats: Vec<Duration>,
}

/// The items by when they are due.
#[derive(Debug, Default)]
pub struct Buffer(BTreeMap<(Timestamp, u64), Item>);

impl Buffer {
    /// Adds an item that is due at `due`.
    pub fn add(&mut self, due: Timestamp, item: Item) {
        self.0.insert((due, item.serial), item);
    }

    /// When the next ones go, of which there are `most` at once at most: as soon as there are so many, or the
    /// window is over.
    pub fn next(&self, most: usize) -> Option<Timestamp> {
        let (&(first, _), _) = self.0.first_key_value()?;
        if most <= 1 {
            return Some(first);
        }
        let end = later(first, WINDOW);
        let last = self.0.range(..=(end, u64::MAX)).nth(most - 1);
        Some(last.map_or(end, |(&(due, _), _)| due))
    }

    /// Takes out the next ones, if they go by `now`, with the time at which they go.
    pub fn take(&mut self, most: usize, now: Timestamp) -> Option<(Timestamp, Vec<Item>)> {
        let at = self.next(most).filter(|&at| at <= now)?;
        let mut items = Vec::new();
        while items.len() < most.max(1) {
            match self.0.first_entry() {
                Some(entry) if entry.key().0 <= at => items.push(entry.remove()),
                _ => break,
            }
        }
        Some((at, items))
    }

    /// Takes out all of them.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.0).len()
    }
}
