//! How far the reading of a project is.

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{
    journal::{ListedWorkflow, Position},
    span::Span,
};

/// The items of a page, which the number of pages is estimated by.
const PAGE: u64 = 100;

/// How far the reading of a project is. Whoever reads tells it, and whoever waits looks.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Figures>);

/// Figures of the reading.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Pages that were read in this run.
    pub pages: u64,
    /// Executions that were found, in earlier runs too.
    pub executions: usize,
    /// Items that could not be read.
    pub unreadable: usize,
    lists: Vec<List>,
}

/// A workflow's list.
#[derive(Debug, Clone)]
struct List {
    /// The most pages that it has, where the API tells how many executions there ever were.
    pages: Option<u64>,
    /// Which part was read, from 0 to 1.
    read: f64,
}

impl Progress {
    /// These lists are to be read, from there on.
    pub(super) fn begin(&self, workflows: &[ListedWorkflow], positions: &[Position], executions: usize) {
        let lists = workflows.iter().zip(positions).map(|(workflow, position)| List {
            pages: workflow.execution_count.map(|count| count.div_ceil(PAGE).max(1)),
            read: if *position == Position::End { 1.0 } else { 0.0 },
        });
        let mut figures = self.0.lock();
        (figures.executions, figures.lists) = (executions, lists.collect());
        drop(figures);
        self.figures().foretell();
    }

    /// A page was read.
    pub(super) fn read(&self, unreadable: usize) {
        let mut figures = self.0.lock();
        figures.pages += 1;
        figures.unreadable += unreadable;
    }

    /// So many executions were found.
    pub(super) fn found(&self, executions: usize) {
        self.0.lock().executions = executions;
    }

    /// A list, which has the newest start first, was read up to there.
    pub(super) fn reached(&self, number: usize, span: Span, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        let whole = span.until.duration_since(span.starts_from()).as_secs_f64();
        let part = span.until.duration_since(at).as_secs_f64() / whole;
        self.set(number, part.clamp(0.0, 1.0));
    }

    /// A list was read to the end.
    pub(super) fn done(&self, number: usize) {
        self.set(number, 1.0);
    }

    fn set(&self, number: usize, read: f64) {
        if let Some(list) = self.0.lock().lists.get_mut(number) {
            list.read = read;
        }
    }

    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.0.lock().clone()
    }
}

impl Figures {
    /// The least and the most requests that are left, as far as the API tells: it counts executions since ever, and only
    /// those of the time are read.
    #[must_use]
    pub fn requests_left(&self) -> (u64, Option<u64>) {
        let left = || self.lists.iter().filter(|list| list.read < 1.0);
        (left().count() as u64, left().map(|list| list.pages).sum())
    }

    /// Which part was read, from 0 to 1: long lists weigh more.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "for a bar on a terminal")]
    pub fn part(&self) -> f64 {
        let weight = |list: &List| list.pages.unwrap_or(1) as f64;
        let whole: f64 = self.lists.iter().map(weight).sum();
        let read: f64 = self.lists.iter().map(|list| weight(list) * list.read).sum();
        if whole > 0.0 { read / whole } else { 0.0 }
    }

    fn foretell(&self) {
        let (least, most) = self.requests_left();
        let (workflows, most) = (self.lists.len(), most.map_or("unknown".into(), |most| most.to_string()));
        tracing::info!(workflows, least, most, "requests that the executions take");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kapso::PageToken;

    fn workflow(execution_count: Option<u64>) -> ListedWorkflow {
        ListedWorkflow { id: "w".into(), name: "w".into(), execution_count }
    }

    #[test]
    fn what_is_left_lies_between_a_page_a_list_and_all_that_there_ever_was() {
        let progress = Progress::default();
        let (start, end) = (Position::At(PageToken::Start), Position::End);
        let workflows = [workflow(Some(950)), workflow(Some(0)), workflow(Some(5000))];
        progress.begin(&workflows, &[start.clone(), start.clone(), end], 7);
        assert_eq!(progress.figures().requests_left(), (2, Some(11)));
        progress.begin(&[workflow(Some(1)), workflow(None)], &[start.clone(), start], 7);
        assert_eq!(progress.figures().requests_left(), (2, None));
    }

    #[test]
    fn a_list_is_read_as_far_as_the_time_that_it_has_reached() {
        let progress = Progress::default();
        let at = |day: i64| Timestamp::from_second(1_793_491_200 + day * 86400).unwrap();
        let span = Span { since: at(7), until: at(20) };
        let start = Position::At(PageToken::Start);
        progress.begin(&[workflow(Some(300)), workflow(Some(100))], &[start.clone(), start], 0);
        progress.reached(0, span, Some(at(10)));
        assert_eq!(progress.figures().part(), 0.375);
        progress.done(1);
        progress.reached(0, span, Some(at(-3)));
        assert_eq!(progress.figures().part(), 1.0);
    }
}
