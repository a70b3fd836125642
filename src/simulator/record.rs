//! What was asked: a bounded record of the requests to both APIs.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Api;

const CAPACITY: usize = 100_000;

/// One request to one of the APIs.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// When it arrived.
    pub at: Timestamp,
    /// The API that was asked.
    pub api: Api,
    /// Platform: `conversations`, `flow_executions`, `workflows`, `executions`, `execution`, `phone_numbers`;
    /// legacy: `conversations`, `agent_executions`; either: `unknown`.
    pub endpoint: &'static str,
    /// The path without its query.
    pub path: String,
    /// The query as it came, without the question mark; empty where there was none.
    pub query: String,
    /// The answer's HTTP status; 0 where no answer was begun.
    pub status: u16,
    /// The fault's name, where the answer was spoilt.
    pub fault: Option<&'static str>,
}

/// How often an endpoint gave an answer.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// The API that was asked.
    pub api: Api,
    /// As in [`RequestRecord`].
    pub endpoint: &'static str,
    /// As in [`RequestRecord`].
    pub status: u16,
    /// As in [`RequestRecord`].
    pub fault: Option<&'static str>,
    /// How many requests.
    pub count: u64,
}

/// The latest requests, oldest first.
#[derive(Debug, Default)]
pub struct Record(VecDeque<RequestRecord>);

impl Record {
    /// Adds a request, and forgets the oldest one beyond the capacity.
    pub fn push(&mut self, request: RequestRecord) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    /// All of them.
    pub fn all(&self) -> Vec<RequestRecord> {
        self.0.iter().cloned().collect()
    }

    /// How many there were of each kind.
    pub fn counts(&self) -> Vec<RequestCount> {
        let mut counts = BTreeMap::new();
        for request in &self.0 {
            *counts.entry((request.api, request.endpoint, request.status, request.fault)).or_default() += 1;
        }
        let count =
            |((api, endpoint, status, fault), count)| RequestCount { api, endpoint, status, fault, count };
        counts.into_iter().map(count).collect()
    }

    /// The most requests within any 60 s.
    pub fn busiest_minute(&self) -> u32 {
        let mut first = 0;
        let mut most = 0;
        for (last, request) in self.0.iter().enumerate() {
            while request.at.duration_since(self.0[first].at) >= SignedDuration::from_mins(1) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}
