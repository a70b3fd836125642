//! The landing page: what this is, where the metrics are, and how each source is doing now.

use std::fmt::Write;

use jiff::Timestamp;

use super::Pages;
use crate::{
    model::seconds_between,
    project::{LastSweep, Outcome},
};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:56rem;padding:0 1rem;\
    color:#1c2128;background:#fff}h1{font-size:1.5rem;margin:0}p{margin:.5rem 0 1.5rem}a{color:#0b5cad}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;\
    border-bottom:1px solid #d8dee4}td.n,th.n{text-align:right}.ok{color:#116329}.bad{color:#b42318}\
    .idle{color:#57606a}small{color:#57606a}@media(prefers-color-scheme:dark){body{color:#e6edf3;\
    background:#0d1117}a{color:#6cb6ff}th,td{border-color:#30363d}.ok{color:#57d364}.bad{color:#ff8d85}\
    .idle,small{color:#9198a1}}";

/// Renders the page.
pub(super) fn page(pages: &Pages) -> String {
    let mut rows = String::new();
    for stream in pages.renderer.streams().all().iter() {
        let name = escape(&stream.key.project);
        let api = stream.key.api;
        let stream_status = stream.status.lock();
        for (source, status) in &stream_status.sources {
            let last = status.last.as_ref();
            let cells = match &stream_status.refusal {
                Some(refusal) => refused(refusal),
                None => last.map_or_else(waiting, |last| figures(last, pages.clock.wall())),
            };
            let _ = write!(rows, "<tr><td>{name}</td><td>{source} <small>({api})</small></td>{cells}</tr>");
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let path = escape(&pages.telemetry_path);
    let ready = if pages.readiness.is_ready() { "ready" } else { "not ready: no complete sweep yet" };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>kapso-exporter</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\">\
         <style>{STYLE}</style></head><body><h1>kapso-exporter <small>{version}</small></h1>\
         <p>Workflow executions of Kapso automations, for Prometheus. This exporter is {ready}.</p>\
         <table><tr><th>Project</th><th>Source</th><th>Last sweep</th><th class=\"n\">Took</th>\
         <th class=\"n\">Conversations</th><th class=\"n\">Open executions</th></tr>{rows}</table>\
         <p><a href=\"{path}\">Metrics</a> · <a href=\"/-/healthy\">Health</a> · \
         <a href=\"/-/ready\">Readiness</a></p></body></html>"
    )
}

fn waiting() -> String {
    "<td class=\"idle\">under way</td><td></td><td></td><td></td>".into()
}

fn refused(why: &str) -> String {
    let why = escape(why);
    format!(
        "<td><span class=\"bad\">not watched</span><br><small>{why}</small></td><td></td><td></td><td></td>"
    )
}

fn figures(last: &LastSweep, now: Timestamp) -> String {
    let (class, word) = match last.outcome {
        Outcome::Complete => ("ok", "complete"),
        Outcome::Incomplete => ("bad", "incomplete"),
        Outcome::Absent => ("idle", "no such API"),
    };
    let ago = seconds_between(last.finished, now);
    let took = last.duration.as_secs_f64();
    let error = last.error.as_deref().filter(|_| last.outcome == Outcome::Incomplete);
    let error = error.map(|error| format!("<br><small>{}</small>", escape(error))).unwrap_or_default();
    format!(
        "<td><span class=\"{class}\">{word}</span>, {ago:.0} s ago{error}</td><td class=\"n\">{took:.1} s</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td>",
        last.watched, last.open
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
