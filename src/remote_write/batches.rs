//! Requests of a size that receivers take.

use prost::Message;

use super::message::{MetricMetadata, TimeSeries, WriteRequest};

/// The most series of a request: what Prometheus itself sends at most (`max_samples_per_send`).
pub const MOST_SERIES: usize = 2000;
/// The most bytes of a request before it is compressed, unless one series alone has more.
pub const MOST_BYTES: usize = 1 << 20;
/// What a field of a message takes beside its content: its number, and its length in at most four bytes.
const FRAME: usize = 5;

/// Collects series in their order.
#[derive(Debug, Default)]
pub struct Batches {
    full: Vec<WriteRequest>,
    open: WriteRequest,
    /// The size of the open one, in bytes; at most so.
    size: usize,
}

impl Batches {
    /// Adds what is to be known of a family; its series follow.
    pub fn describe(&mut self, metadata: MetricMetadata) {
        self.make_room(metadata.encoded_len());
        self.open.metadata.push(metadata);
    }

    /// Adds a series.
    pub fn push(&mut self, series: TimeSeries) {
        self.make_room(series.encoded_len());
        self.open.timeseries.push(series);
    }

    /// All requests, in their order.
    #[must_use]
    pub fn finish(mut self) -> Vec<WriteRequest> {
        self.close();
        self.full
    }

    fn make_room(&mut self, bytes: usize) {
        if self.open.timeseries.len() >= MOST_SERIES || self.size + bytes + FRAME > MOST_BYTES {
            self.close();
        }
        self.size += bytes + FRAME;
    }

    fn close(&mut self) {
        let request = std::mem::take(&mut self.open);
        self.size = 0;
        if request != WriteRequest::default() {
            self.full.push(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote_write::message::Label;

    fn series(number: usize, length: usize) -> TimeSeries {
        let label = Label { name: "__name__".into(), value: format!("{number}{}", "x".repeat(length)) };
        TimeSeries { labels: vec![label], ..TimeSeries::default() }
    }

    fn batched(count: usize, length: usize) -> Vec<WriteRequest> {
        let mut batches = Batches::default();
        (0..count).for_each(|number| batches.push(series(number, length)));
        batches.finish()
    }

    #[test]
    fn a_request_has_no_more_than_2000_series_and_all_are_there_in_their_order() {
        let requests = batched(4001, 1);
        let sizes: Vec<_> = requests.iter().map(|request| request.timeseries.len()).collect();
        assert_eq!(sizes, [2000, 2000, 1]);
        let all: Vec<_> = requests.into_iter().flat_map(|request| request.timeseries).collect();
        assert_eq!(all, (0..4001).map(|number| series(number, 1)).collect::<Vec<_>>());
    }

    #[test]
    fn a_request_has_no_more_than_a_mebibyte_unless_one_series_has() {
        let requests = batched(500, 10_000);
        assert!(requests.iter().all(|request| request.encoded_len() <= MOST_BYTES), "{}", requests.len());
        assert_eq!(requests.len(), 5);
        let sizes: Vec<_> = batched(3, MOST_BYTES).iter().map(|request| request.timeseries.len()).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    #[test]
    fn nothing_is_no_request() {
        assert_eq!(batched(0, 0), []);
    }
}
