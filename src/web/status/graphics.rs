//! Small pictures as inline SVG. Each stands beside the same in words; what a colour tells a height tells, too.

use std::fmt::Write;

use super::{report::PastSweep, words};

/// The width of one column, the gap included.
const STEP: usize = 3;
const HEIGHT: usize = 16;

/// Counts by minute as columns, the highest of which is as high as the picture.
pub(super) fn sparkline(counts: &[u32]) -> String {
    let most = counts.iter().copied().max().unwrap_or_default().max(1);
    let mut columns = String::new();
    for (place, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let share = f64::from(count) / f64::from(most);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the height")]
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let height = ((share * HEIGHT as f64).ceil() as usize).clamp(2, HEIGHT);
        write!(
            columns,
            "<rect x=\"{}\" y=\"{}\" width=\"2\" height=\"{height}\"/>",
            place * STEP,
            HEIGHT - height
        )
        .ok();
    }
    let width = counts.len() * STEP;
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {width} {HEIGHT}\" aria-hidden=\"true\" focusable=\"false\">\
         <path d=\"M0 {HEIGHT}H{width}\"/>{columns}</svg>"
    )
}

/// Sweeps from the oldest to the newest. One that failed is high and dark, one that went well low.
pub(super) fn strip(history: &[PastSweep]) -> String {
    let mut columns = String::new();
    for (place, past) in history.iter().enumerate() {
        let (class, height) = match past.sweep.result {
            "complete" => ("good", 7),
            "absent" => ("none", 3),
            _ => ("bad", HEIGHT),
        };
        let (when, took) = (words::moment(past.sweep.finished), words::span(past.sweep.duration_seconds));
        let (x, y, result) = (place * 7, HEIGHT - height, past.sweep.result);
        write!(
            columns,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"5\" height=\"{height}\">\
             <title>{when}: {result}, took {took}</title></rect>"
        )
        .ok();
    }
    let width = history.len().max(20) * 7;
    format!(
        "<svg class=\"strip\" width=\"{width}\" height=\"{HEIGHT}\" viewBox=\"0 0 {width} {HEIGHT}\" aria-hidden=\"true\" focusable=\"false\">{columns}</svg>"
    )
}

/// A bar that is filled to this share; `class` tells how good that is.
pub(super) fn bar(share: f64, class: &str) -> String {
    let width = if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    format!(
        "<svg class=\"bar {class}\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">\
         <rect class=\"track\" width=\"100\" height=\"6\"/><rect class=\"fill\" width=\"{width:.1}\" height=\"6\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_column_fills_the_picture_and_one_event_is_seen_beside_a_thousand() {
        let svg = sparkline(&[1000, 0, 1]);
        assert!(svg.contains("<rect x=\"0\" y=\"0\" width=\"2\" height=\"16\"/>"), "{svg}");
        assert!(svg.contains("<rect x=\"6\" y=\"14\" width=\"2\" height=\"2\"/>"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
    }

    #[test]
    fn nothing_is_an_empty_line() {
        assert_eq!(sparkline(&[0; 60]).matches("<rect").count(), 0);
        assert!(bar(f64::NAN, "ok").contains("track"));
    }
}
