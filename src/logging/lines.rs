//! Lines on their way to whoever reads them: a bounded queue, which a thread of its own empties. Nobody who has a
//! line waits; what finds no place is dropped and counted.

use std::{collections::VecDeque, io::Write, time::Duration};

use parking_lot::{Condvar, Mutex};

/// How many lines may wait. Each has a bound of its own, so that is a bound on memory.
const PLACES: usize = 1024;

/// Lines that wait for one who writes them.
pub(super) struct Lines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    waiting: VecDeque<Box<[u8]>>,
    /// One more is being written.
    writing: bool,
    /// Found no place.
    overflowed: u64,
    /// Could not be written.
    failed: u64,
}

impl Lines {
    pub const fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), writing: false, overflowed: 0, failed: 0 };
        Self { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// Takes a line, or drops it if too many wait.
    pub fn push(&self, line: Box<[u8]>) {
        let mut queue = self.queue.lock();
        if queue.waiting.len() < PLACES {
            queue.waiting.push_back(line);
            self.changed.notify_all();
        } else {
            queue.overflowed += 1;
        }
    }

    /// How many lines nobody will ever read.
    pub fn dropped(&self) -> u64 {
        let queue = self.queue.lock();
        queue.overflowed + queue.failed
    }

    /// Waits until everything is written, `at_most`.
    pub fn flush(&self, at_most: Duration) {
        let busy = |queue: &mut Queue| queue.writing || !queue.waiting.is_empty();
        self.changed.wait_while_for(&mut self.queue.lock(), busy, at_most);
    }

    /// Writes what comes, for ever. Where lines were dropped, `tell` is told how many, once half of the queue is free,
    /// so that there is a place for what it says.
    pub fn write_to(&self, mut out: impl Write, tell: impl Fn(u64)) {
        let mut told = 0;
        loop {
            let written = out.write_all(&self.next()).and_then(|()| out.flush());
            if let Some(overflowed) = self.done(written.is_ok()).filter(|&overflowed| overflowed > told) {
                tell(overflowed - told);
                told = overflowed;
            }
        }
    }

    /// What waits.
    #[cfg(test)]
    pub fn take(&self) -> Vec<String> {
        let text = |line: Box<[u8]>| String::from_utf8(line.into()).unwrap();
        self.queue.lock().waiting.drain(..).map(text).collect()
    }

    fn next(&self) -> Box<[u8]> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(line) = queue.waiting.pop_front() {
                queue.writing = true;
                return line;
            }
            self.changed.wait(&mut queue);
        }
    }

    /// Returns how many lines have found no place, if now there is room again.
    fn done(&self, written: bool) -> Option<u64> {
        let mut queue = self.queue.lock();
        queue.writing = false;
        queue.failed += u64::from(!written);
        self.changed.notify_all();
        (queue.waiting.len() <= PLACES / 2).then_some(queue.overflowed)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::mpsc::{Receiver, SyncSender, sync_channel},
        thread,
        time::Instant,
    };

    use super::*;

    /// Hands over each line once somebody takes it.
    struct Pipe(SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(String::from_utf8_lossy(line).into());
            sent.map(|()| line.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Lines that are written to a pipe, and its other end.
    fn written() -> (&'static Lines, Receiver<String>) {
        let lines: &'static Lines = Box::leak(Box::new(Lines::new()));
        let (sender, receiver) = sync_channel(0);
        let tell = |dropped: u64| lines.push(format!("{dropped} dropped").into_bytes().into());
        thread::spawn(move || lines.write_to(Pipe(sender), tell));
        (lines, receiver)
    }

    fn push(lines: &Lines, line: &str) {
        lines.push(line.as_bytes().into());
    }

    #[test]
    fn lines_are_written_in_order_and_flushed() {
        let (lines, pipe) = written();
        let reader = thread::spawn(move || pipe.iter().take(3).collect::<Vec<_>>());
        for line in ["a", "b", "c"] {
            push(lines, line);
        }
        lines.flush(Duration::from_secs(10));
        assert_eq!(reader.join().unwrap(), ["a", "b", "c"]);
        assert_eq!(lines.dropped(), 0);
    }

    #[test]
    fn what_finds_no_place_is_dropped_counted_and_told() {
        let (lines, pipe) = written();
        // One is on its way, however quick the thread is.
        (0..PLACES + 10).for_each(|n| push(lines, &n.to_string()));
        let dropped = lines.dropped();
        assert!((9..=10).contains(&dropped), "{dropped}");
        let mut read = pipe.iter();
        assert_eq!(read.next().as_deref(), Some("0"));
        let told = read.find(|line| line.contains("dropped"));
        assert_eq!(told, Some(format!("{dropped} dropped")));
    }

    #[test]
    fn nobody_who_flushes_waits_for_ever() {
        let (lines, _pipe) = written();
        push(lines, "unread");
        let begun = Instant::now();
        lines.flush(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn lines_for_a_reader_who_has_gone_are_dropped_and_counted_and_tell_of_no_more() {
        let (lines, pipe) = written();
        drop(pipe);
        push(lines, "a");
        push(lines, "b");
        lines.flush(Duration::from_secs(10));
        assert_eq!(lines.dropped(), 2);
    }
}
