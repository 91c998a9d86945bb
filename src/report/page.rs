//! The page: one file of HTML that holds its style, its program and the data of the runs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::curve::Thinned;
use super::environment;
use super::error::ReportError;
use super::findings::{self, Finding};
use super::log::RunLog;
use super::samples::Samples;
use super::settings::{self, Difference, Settings};
use super::standing::Standing;
use crate::files::read_text;
use crate::monitor::RunPaths;
use crate::quote::shown as quoted;

/// Runs that one page holds.
pub const MOST_RUNS: usize = 16;
/// What a page begins with, by which it is known again.
pub const MARK: &str = "<!doctype html><!-- wgrpo report -->";

/// Points of a curve, where there are few runs and few metrics.
const MOST_POINTS: usize = 500;
/// Bytes for the curves of all runs, and about those that a point takes.
const ROOM_FOR_CURVES: usize = 800_000;
const BYTES_A_POINT: usize = 14;
/// Bytes of a page, of which completions take what the rest leaves.
const ROOM: usize = 1_900_000;
/// Bytes of a closing report that are shown.
const LONGEST_REPORT: u64 = 1 << 14;
/// Keys in which configurations differ, and characters of each value.
const MOST_DIFFERENCES: usize = 200;
const MOST_CHARS: usize = 120;

/// A report on runs.
#[derive(Debug)]
pub struct Page {
    /// The whole file.
    pub html: String,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}

#[derive(Serialize)]
struct Data {
    version: &'static str,
    runs: Vec<RunData>,
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct RunData {
    name: String,
    #[serde(flatten)]
    standing: Standing,
    #[serde(flatten)]
    curves: Curves,
    samples: Samples,
    findings: Vec<Finding>,
    environment: Vec<(String, String)>,
    report: Option<String>,
    notes: Vec<String>,
}

/// The curves of a run; those at the same steps share them.
#[derive(Default, Serialize)]
struct Curves {
    grids: Vec<Vec<u64>>,
    curves: BTreeMap<String, OnGrid>,
}

#[derive(Serialize)]
struct OnGrid {
    grid: usize,
    #[serde(flatten)]
    values: Thinned,
}

/// What was read of a run before the room on the page is shared out.
struct Read {
    paths: RunPaths,
    log: RunLog,
    settings: Option<Settings>,
}

/// The page of some runs, named by their folders.
///
/// # Errors
/// A folder that is none or holds no metrics, a file that cannot be read, too many runs.
pub fn page(folders: &[PathBuf]) -> Result<Page, ReportError> {
    if folders.len() > MOST_RUNS {
        return Err(ReportError::TooMany { count: folders.len(), most: MOST_RUNS });
    }
    let reads = folders.iter().map(|folder| read(folder)).collect::<Result<Vec<_>, _>>()?;
    let points = points_of_a_curve(&reads);
    let configs: Vec<Settings> =
        reads.iter().map(|read| read.settings.clone().unwrap_or_default()).collect();
    let named = reads.iter().zip(names(folders));
    let runs = named.map(|(read, name)| run_data(read, name, points)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let mut data = Data { version, runs, differences: shown(&configs) };
    let room = ROOM.saturating_sub(filled(&data).len()) / reads.len().max(1);
    for (run, read) in data.runs.iter_mut().zip(&reads) {
        run.samples = Samples::read(&read.paths.samples(), room)?;
        run.notes = notes(read, &run.samples);
    }
    let notes = |run: &RunData| {
        let name = quoted(&run.name);
        run.notes.iter().map(|note| format!("{name}: {note}")).collect::<Vec<_>>()
    };
    let notes = data.runs.iter().flat_map(notes).collect();
    Ok(Page { html: filled(&data), notes })
}

fn read(folder: &Path) -> Result<Read, ReportError> {
    if !folder.is_dir() {
        return Err(ReportError::NoFolder { path: folder.into() });
    }
    let paths = RunPaths::new(folder);
    Ok(Read { log: RunLog::read(&paths)?, settings: settings::read(&paths.config()), paths })
}

/// The last parts of the folders' names, as many as tell them apart.
fn names(folders: &[PathBuf]) -> Vec<String> {
    let tail = |folder: &PathBuf, parts: usize| {
        let all: Vec<_> = folder.components().collect();
        let last: PathBuf = all[all.len().saturating_sub(parts)..].iter().collect();
        last.display().to_string()
    };
    let of = |parts| folders.iter().map(|folder| tail(folder, parts)).collect::<Vec<_>>();
    let differ = |names: &Vec<String>| {
        let all: std::collections::BTreeSet<&String> = names.iter().collect();
        all.len() == names.len()
    };
    (1..8).map(of).find(differ).unwrap_or_else(|| of(usize::MAX))
}

fn points_of_a_curve(reads: &[Read]) -> usize {
    let curves: usize = reads.iter().map(|read| read.log.curves.len()).sum();
    (ROOM_FOR_CURVES / BYTES_A_POINT / curves.max(1)).clamp(20, MOST_POINTS)
}

/// What is told of a run, but for its completions.
fn run_data(read: &Read, name: String, points: usize) -> RunData {
    let none = Settings::new();
    RunData {
        name,
        standing: Standing::of(&read.paths, read.settings.as_ref().unwrap_or(&none)),
        curves: curves(&read.log, points),
        samples: Samples::default(),
        findings: findings::read(&read.paths),
        environment: environment::read(&read.paths),
        report: read_text(&read.paths.report(), LONGEST_REPORT).ok(),
        notes: Vec::new(),
    }
}

fn notes(read: &Read, samples: &Samples) -> Vec<String> {
    let unread = read.log.unread + samples.unread;
    let lines = match unread {
        0 => None,
        1 => Some("a line of its logs could not be read".to_owned()),
        count => Some(format!("{count} lines of its logs could not be read")),
    };
    let config = read.settings.is_none().then(|| {
        "its config.yaml is missing or cannot be read, so nothing is known of its configuration"
            .into()
    });
    lines.into_iter().chain(config).collect()
}

fn curves(log: &RunLog, points: usize) -> Curves {
    let mut found = Curves::default();
    for (name, curve) in &log.curves {
        let mut values = curve.thinned(points);
        if values.steps.is_empty() {
            continue;
        }
        let steps = std::mem::take(&mut values.steps);
        let grid = found.grids.iter().position(|grid| *grid == steps).unwrap_or_else(|| {
            found.grids.push(steps);
            found.grids.len() - 1
        });
        found.curves.insert(name.clone(), OnGrid { grid, values });
    }
    found
}

fn shown(configs: &[Settings]) -> Vec<Difference> {
    let short = |text: String| text.chars().take(MOST_CHARS).collect::<String>();
    let all = settings::differences(configs).into_iter().take(MOST_DIFFERENCES);
    all.map(|found| Difference {
        key: short(found.key),
        values: found.values.into_iter().map(|value| value.map(short)).collect(),
    })
    .collect()
}

fn filled(data: &Data) -> String {
    // What is put in last is not looked through again, so no text of a run is taken for a place.
    let page = include_str!("page/page.html").replace("/*style*/", include_str!("page/page.css"));
    let program = concat!(
        include_str!("page/elements.js"),
        include_str!("page/charts.js"),
        include_str!("page/table.js"),
        include_str!("page/page.js")
    );
    let page = page.replace("/*program*/", program);
    // Plain data of our own always has a form as JSON.
    page.replacen("/*data*/", &embedded(data).unwrap_or_default(), 1)
}

/// JSON that may stand in a script element: nothing in it can end the element or begin a comment.
pub(super) fn embedded(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}
