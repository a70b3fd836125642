//! What was read so far, kept in a file: an interrupted backfill goes on where it ended.
//!
//! One file for each project, a line of JSON for each answer: first what the backfill is of, then the workflows, then each
//! page of executions with the place of the next one. A line that was torn when the program ended is cut off, and its
//! page is read again. A line holds ids, times and statuses, and nothing else of an execution.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    records::{Finish, Record, Records},
    span::Span,
};
use crate::kapso::PageToken;

/// The form of the lines.
const VERSION: u32 = 1;

/// What a journal is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    version: u32,
    project: String,
    span: Span,
    scope: String,
}

impl Header {
    /// Of this project and time; `scope` tells which executions are read.
    #[must_use]
    pub fn new(project: &str, span: Span, scope: String) -> Self {
        Self { version: VERSION, project: project.into(), span, scope }
    }
}

/// A workflow whose executions are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedWorkflow {
    /// The `workflow_id` label.
    pub id: String,
    /// The `workflow_name` label.
    pub name: String,
    /// Executions ever, where the API says so.
    pub execution_count: Option<u64>,
}

/// An execution as it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedExecution {
    /// Its id.
    pub id: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended, or failed.
    pub ended_at: Option<Timestamp>,
    /// That it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl ListedExecution {
    /// What is counted of it.
    #[must_use]
    pub fn record(&self, workflow: u32) -> Record {
        let finish = if self.failed { Finish::Failed } else { Finish::Ended };
        Record {
            workflow,
            started_at: self.started_at.map(Into::into),
            finished: self.ended_at.map(|at| (at.into(), finish)),
        }
    }
}

/// Where a workflow's list is read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At this page.
    At(PageToken),
    /// It was read to the end.
    End,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Backfill(Header),
    Workflows(Vec<ListedWorkflow>),
    Page { workflow: u32, next: Option<PageToken>, executions: Vec<ListedExecution> },
}

/// What was read so far of a project.
#[derive(Debug, Default)]
pub struct ReadSoFar {
    /// The workflows; none before their list was read to the end.
    pub workflows: Option<Vec<ListedWorkflow>>,
    /// Where each workflow's list is read on.
    pub positions: Vec<Position>,
    /// The executions.
    pub records: Records,
}

/// Why a journal cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It is of another backfill.
    #[error(
        "{} is of another backfill: of another time, of other workflows, conversations, phone numbers or sources, or of \
         another API. Give the same ones, or another --output", .0.display()
    )]
    Other(PathBuf),
    /// It was written by something else, or damaged.
    #[error("line {line} of {} cannot be understood: delete the file to begin anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// The disk failed.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal at `path`, or begins one.
    ///
    /// # Errors
    /// If it is of another backfill, damaged, or cannot be read or written.
    pub fn open(path: &Path, header: &Header) -> Result<(Self, ReadSoFar), JournalError> {
        let failed = |error| JournalError::Io { path: path.into(), error };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(failed)?;
        let (so_far, end) = read(&file, path, header)?;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let mut journal = Self { path: path.into(), file };
        if end == 0 {
            journal.append(&Line::Backfill(header.clone()))?;
        }
        Ok((journal, so_far))
    }

    /// Keeps the list of workflows.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn workflows(&mut self, workflows: &[ListedWorkflow]) -> Result<(), JournalError> {
        self.append(&Line::Workflows(workflows.to_vec()))
    }

    /// Keeps a page of a workflow's executions, and where the next one is; there is none after the last.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn page(
        &mut self,
        workflow: u32,
        executions: Vec<ListedExecution>,
        next: Option<PageToken>,
    ) -> Result<(), JournalError> {
        self.append(&Line::Page { workflow, next, executions })
    }

    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut bytes| {
            bytes.push(b'\n');
            self.file.write_all(&bytes)
        });
        written.map_err(|error| JournalError::Io { path: self.path.clone(), error })
    }
}

/// What the file holds, and where its last whole line ends.
fn read(file: &File, path: &Path, header: &Header) -> Result<(ReadSoFar, u64), JournalError> {
    let failed = |error| JournalError::Io { path: path.into(), error };
    let (mut reader, mut so_far, mut end) = (BufReader::new(file), ReadSoFar::default(), 0);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(failed)?;
        let line = bytes.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
        let Some(line) = line else {
            let is_last = reader.fill_buf().map_err(failed)?.is_empty();
            return if is_last { Ok((so_far, end)) } else { Err(damaged(path, number)) };
        };
        match line {
            Line::Backfill(found) if number == 1 && found == *header => {}
            Line::Backfill(_) if number == 1 => return Err(JournalError::Other(path.into())),
            _ if number == 1 => return Err(damaged(path, number)),
            line => so_far.take(line).ok_or_else(|| damaged(path, number))?,
        }
        end += length as u64;
    }
    Ok((so_far, end))
}

fn damaged(path: &Path, line: usize) -> JournalError {
    JournalError::Damaged { path: path.into(), line }
}

impl ReadSoFar {
    /// Takes in the list of workflows.
    pub fn begin(&mut self, workflows: Vec<ListedWorkflow>) {
        self.positions = vec![Position::At(PageToken::Start); workflows.len()];
        self.workflows = Some(workflows);
    }

    /// `None` where it does not fit to what came before.
    fn take(&mut self, line: Line) -> Option<()> {
        match line {
            Line::Workflows(workflows) if self.workflows.is_none() => self.begin(workflows),
            Line::Page { workflow, next, executions } => {
                *self.positions.get_mut(workflow as usize)? = next.map_or(Position::End, Position::At);
                for execution in &executions {
                    self.records.insert(&execution.id, execution.record(workflow));
                }
            }
            Line::Workflows(_) | Line::Backfill(_) => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn header(until: i64) -> Header {
        Header::new("default", Span { since: at(0), until: at(until) }, "scope".into())
    }

    fn workflow(id: &str) -> ListedWorkflow {
        ListedWorkflow { id: id.into(), name: "訂單 \"A\"".into(), execution_count: Some(2) }
    }

    fn execution(id: &str) -> ListedExecution {
        ListedExecution { id: id.into(), started_at: Some(at(1)), ended_at: Some(at(2)), failed: true }
    }

    /// A journal of two workflows, of which the first was read to the end and a page of the second.
    fn written(path: &Path) {
        let (mut journal, so_far) = Journal::open(path, &header(10)).unwrap();
        assert!(so_far.workflows.is_none() && so_far.records.is_empty());
        journal.workflows(&[workflow("a"), workflow("b")]).unwrap();
        journal.page(0, vec![execution("1")], None).unwrap();
        journal.page(1, vec![execution("2"), execution("3")], Some(PageToken::Before(at(5)))).unwrap();
    }

    fn is_as_written(so_far: &ReadSoFar) {
        assert_eq!(so_far.workflows, Some(vec![workflow("a"), workflow("b")]));
        assert_eq!(so_far.positions, [Position::End, Position::At(PageToken::Before(at(5)))]);
        assert_eq!(so_far.records.len(), 3);
    }

    #[test]
    fn what_was_read_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        is_as_written(&Journal::open(&path, &header(10)).unwrap().1);
    }

    #[test]
    fn a_torn_line_is_as_if_it_had_not_been_written_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        let whole = fs::read(&path).unwrap();
        let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, so_far) = Journal::open(&path, &header(10)).unwrap();
            if length < last {
                continue;
            }
            assert_eq!(so_far.positions, [Position::End, Position::At(PageToken::Start)], "{length}");
            let executions = vec![execution("2"), execution("3")];
            journal.page(1, executions, Some(PageToken::Before(at(5)))).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole, "{length}");
        }
    }

    #[test]
    fn a_line_in_the_middle_that_cannot_be_understood_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        let text = fs::read_to_string(&path).unwrap();
        for (damaged, line) in [
            (text.replacen("{\"page\":{\"workflow\":0", "{\"page\":{\"workflow\":7", 1), 3),
            (text.replacen("{\"page\"", "{\"pge\"", 1), 3),
            (text.split_once('\n').unwrap().1.to_owned(), 1),
            (format!("something else\n{text}"), 1),
        ] {
            fs::write(&path, damaged).unwrap();
            let error = Journal::open(&path, &header(10)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line} of ")), "{error}");
        }
    }

    #[test]
    fn a_journal_of_another_backfill_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        let before = fs::read(&path).unwrap();
        let error = Journal::open(&path, &header(11)).unwrap_err();
        assert!(matches!(error, JournalError::Other(_)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
