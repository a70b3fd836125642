//! What the replicas answered to scrapes: which projects each showed when, and whether a counter ever fell.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Instant,
};

use crate::showings::{Showing, doubles};

/// Counters of events: all that is to go on from one owner to the next. Buckets are left out, since counts tell enough.
const COUNTERS: [&str; 3] = ["kapso_executions_", "kapso_execution_handoffs_total", "kapso_execution_"];

/// All answers so far.
#[derive(Default)]
pub struct Record {
    showings: BTreeMap<String, Vec<Showing>>,
    counters: BTreeMap<String, Counters>,
    /// When processes stood still, to the moment before they went on.
    freezes: Vec<(usize, Instant, Instant)>,
    /// What is wrong for certain.
    faults: BTreeSet<String>,
    answers: usize,
}

/// The counters of a project.
#[derive(Default)]
struct Counters {
    /// The most that each ever was, in answers that had arrived by `known_at`.
    floor: HashMap<String, f64>,
    known_at: Option<Instant>,
    /// Answers that are not in there yet, by their arrival.
    latest: VecDeque<(Instant, HashMap<String, f64>)>,
}

/// What a scrape's answer says.
#[derive(Debug, Default)]
pub struct Answer {
    /// The counters of each project that it shows.
    pub projects: BTreeMap<String, HashMap<String, f64>>,
    /// The projects of which it says that it holds the lease.
    pub held: BTreeSet<String>,
    /// How many leases it has acquired.
    pub acquired: u64,
}

impl Answer {
    /// Reads the text format, as far as it matters here.
    pub fn parse(text: &str) -> Self {
        let mut answer = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            if let Some(value) = line.strip_prefix("kapso_exporter_lease_acquired_total ") {
                answer.acquired = value.parse::<f64>().unwrap() as u64;
            }
            let Some(project) = project(series) else { continue };
            if series.starts_with("kapso_exporter_lease_held{") {
                answer.held.extend((value == "1").then(|| project.to_owned()));
            } else if series.starts_with("kapso_up{") {
                answer.projects.entry(project.to_owned()).or_default();
            } else if is_counter(series) {
                let counters = answer.projects.entry(project.to_owned()).or_default();
                counters.insert(series.to_owned(), value.parse().unwrap());
            }
        }
        answer
    }
}

fn project(series: &str) -> Option<&str> {
    series.split_once("project=\"")?.1.split('"').next()
}

fn is_counter(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    let counts = ["_total", "_count", "_sum"].iter().any(|end| name.ends_with(end));
    counts && COUNTERS.iter().any(|begin| name.starts_with(begin))
}

impl Record {
    /// Notes that a process stood still from a moment on, and is about to go on.
    pub fn froze(&mut self, replica: usize, since: Instant, until: Instant) {
        self.freezes.push((replica, since, until));
    }

    /// Notes an answer to a request that was sent at this moment.
    pub fn note(&mut self, replica: usize, sent: Instant, arrived: Instant, text: &str) {
        let answer = Answer::parse(text);
        let frozen = self.freezes.iter().filter(|freeze| freeze.0 == replica);
        let woken = frozen.filter(|(_, since, until)| *since <= sent && sent < *until).map(|freeze| freeze.2);
        let from = woken.max().unwrap_or(sent);
        self.answers += 1;
        for (project, values) in answer.projects {
            if !answer.held.contains(&project) {
                self.faults
                    .insert(format!("replica {replica} shows {project}, of which it says it has no lease"));
            }
            let showing = Showing { replica, acquired: answer.acquired, from, to: arrived };
            self.showings.entry(project.clone()).or_default().push(showing);
            let falls = self.counters.entry(project).or_default().note(from, arrived, values);
            self.faults.extend(falls.into_iter().map(|fall| format!("replica {replica}: {fall}")));
        }
    }

    /// How many answers there were.
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// What was wrong at any time: counters that fell, and projects that two replicas showed.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<_> = self.faults.iter().cloned().collect();
        for (project, showings) in &self.showings {
            let double = |(one, other, _)| format!("replicas {one} and {other} showed {project} at once");
            faults.extend(doubles(showings).into_iter().map(double));
        }
        faults
    }
}

impl Counters {
    /// The counters that are less in an answer than in one that had arrived before it was asked for.
    fn note(&mut self, from: Instant, arrived: Instant, values: HashMap<String, f64>) -> Vec<String> {
        while let Some((at, values)) = self.latest.pop_front_if(|(at, _)| *at < from) {
            self.known_at = self.known_at.max(Some(at));
            for (series, value) in values {
                let floor = self.floor.entry(series).or_insert(value);
                *floor = floor.max(value);
            }
        }
        // Of an answer that was long under way nothing is known.
        let mut falls = Vec::new();
        if self.known_at.is_some_and(|known_at| known_at < from) {
            for (series, floor) in &self.floor {
                match values.get(series) {
                    Some(value) if *value < floor - 1e-6 => {
                        falls.push(format!("{series} fell from {floor} to {value}"));
                    }
                    None => falls.push(format!("{series} was {floor} and is gone")),
                    Some(_) => {}
                }
            }
        }
        self.latest.push_back((arrived, values));
        falls
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STARTED: &str = "kapso_executions_started_total{instance=\"kapso\",project=\"p\"}";

    fn answer(value: u32, acquired: u32) -> String {
        format!(
            "# TYPE x counter\nkapso_exporter_lease_held{{project=\"p\"}} 1\n\
             kapso_exporter_lease_acquired_total {acquired}\n{STARTED} {value}\n"
        )
    }

    /// What is wrong with answers, each of a replica, from and to so many milliseconds.
    fn faults(answers: &[(usize, u64, u64, String)]) -> Vec<String> {
        let (begun, mut record) = (Instant::now(), Record::default());
        let at = |millis| begun + Duration::from_millis(millis);
        for (replica, from, to, text) in answers {
            record.note(*replica, at(*from), at(*to), text);
        }
        record.faults()
    }

    #[test]
    fn a_counter_that_falls_from_one_owner_to_the_next_is_found() {
        let fell = faults(&[(1, 0, 2, answer(5, 1)), (2, 10, 12, answer(4, 1)), (2, 20, 22, answer(5, 1))]);
        assert_eq!(fell, [format!("replica 2: {STARTED} fell from 5 to 4")]);
    }

    #[test]
    fn an_answer_that_was_long_under_way_may_tell_less() {
        let late = [(1, 0, 2, answer(5, 1)), (1, 10, 12, answer(6, 1)), (1, 8, 14, answer(5, 1))];
        assert_eq!(faults(&late), Vec::<String>::new());
    }

    #[test]
    fn what_is_shown_without_a_lease_is_found() {
        let text = format!("kapso_exporter_lease_held{{project=\"p\"}} 0\n{STARTED} 1\n");
        assert_eq!(faults(&[(1, 0, 2, text)]), ["replica 1 shows p, of which it says it has no lease"]);
    }

    #[test]
    fn a_request_to_a_process_that_stood_still_was_answered_after_it_went_on() {
        let (begun, mut record) = (Instant::now(), Record::default());
        let at = |millis| begun + Duration::from_millis(millis);
        record.note(1, at(0), at(2), &answer(5, 4));
        record.froze(1, at(5), at(50));
        for moment in [20, 40] {
            record.note(2, at(moment), at(moment + 2), &answer(5, 1));
        }
        record.note(1, at(10), at(52), &answer(5, 4));
        assert_eq!(record.faults(), ["replicas 1 and 2 showed p at once"]);
    }
}
