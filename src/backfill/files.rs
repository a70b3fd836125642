//! The files that are written: one for each day, all or none.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    history::History,
    span::{Day, Span},
    text::{self, Part, SeriesText, When},
};
use crate::metrics::{Family, Rows, RowsFrom, SeriesStarts, Sink, TABLE, Workflow};

/// What the lists tell of the past. They no longer tell when an execution was in handoff, nor when it would have been seen.
const FAMILIES: [&str; 3] =
    ["kapso_execution_duration_seconds", "kapso_executions_finished_total", "kapso_executions_started_total"];

/// How the files are written.
pub struct Form<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// From one sample to the next.
    pub step: Duration,
    /// Labels of every series beside the exporter's own.
    pub labels: &'a [(String, String)],
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// The files, by day.
    pub files: Vec<PathBuf>,
    /// How many samples they hold.
    pub samples: u64,
}

/// Writes the days of `span`. Each file gets its name once all are complete.
///
/// # Errors
/// If a file cannot be written, or `is_stopped` says so: then none is left.
pub fn write(
    form: &Form<'_>,
    span: Span,
    histories: &mut [History],
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<Written> {
    let mut drafts = Drafts::default();
    let mut samples = 0;
    for day in span.days(form.step) {
        let name = form.folder.join(format!("kapso-{}.om", day.date));
        let mut draft = BufWriter::new(drafts.add(name)?);
        samples += write_day(form, &day, histories, is_stopped, &mut draft)?;
        draft.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    }
    Ok(Written { files: drafts.complete()?, samples })
}

fn write_day(
    form: &Form<'_>,
    day: &Day,
    histories: &mut [History],
    is_stopped: &dyn Fn() -> bool,
    to: &mut impl Write,
) -> io::Result<u64> {
    let (common, mut samples) = (text::common(form.labels), 0);
    let parts = families().flat_map(|family| Part::all(family).iter().map(move |part| (family, *part)));
    for (family, part) in parts {
        let mut is_begun = false;
        for history in &*histories {
            if is_stopped() {
                return Err(io::Error::other("interrupted"));
            }
            let series = series(family, part, history, day, &common);
            if !series.is_empty() && !std::mem::replace(&mut is_begun, true) {
                to.write_all(&part.head(family))?;
            }
            samples += series.write(to)?;
        }
    }
    for history in histories {
        let so_far = history.replay(history.so_far(), &day.moments, |_, _| {});
        history.go_on(so_far);
    }
    to.write_all(&text::end())?;
    Ok(samples)
}

fn families() -> impl Iterator<Item = &'static Family> {
    TABLE.iter().copied().filter(|family| FAMILIES.contains(&family.name))
}

/// A day of a workflow's series of a part of a family.
fn series<'a>(family: &Family, part: Part, history: &History, day: &Day, common: &'a str) -> SeriesText<'a> {
    let mut text = SeriesText::new(part, common);
    let RowsFrom::Workflow(rows) = family.rows else { return text };
    text.begin(family);
    // Samples of the past have no start timestamps.
    let starts = SeriesStarts::default();
    let labels = history.labels();
    let mut show = |workflow: &Workflow, when: When| {
        text.at(when);
        rows(workflow, &mut Rows::new(family, &labels, &starts, &mut text));
    };
    let before = history.so_far();
    show(&history.workflow(before), When::Before);
    let so_far = history.replay(before, &day.moments, |workflow, moment| show(workflow, When::At(moment)));
    history.replay(&so_far, day.next.as_slice(), |workflow, _| show(workflow, When::After));
    text
}

/// Files that do not have their names yet. Dropped, they are removed.
#[derive(Default)]
struct Drafts(Vec<PathBuf>);

impl Drafts {
    fn add(&mut self, name: PathBuf) -> io::Result<File> {
        let file = File::create(draft_of(&name))?;
        self.0.push(name);
        Ok(file)
    }

    fn complete(mut self) -> io::Result<Vec<PathBuf>> {
        for name in &self.0 {
            fs::rename(draft_of(name), name)?;
        }
        Ok(std::mem::take(&mut self.0))
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        for name in &self.0 {
            // What was renamed meanwhile is not there.
            let _ = fs::remove_file(draft_of(name));
        }
    }
}

fn draft_of(name: &Path) -> PathBuf {
    name.with_added_extension("tmp")
}
