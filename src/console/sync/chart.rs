//! A chart of runs as SVG: how long each took, and how many records it changed.

use maud::{Markup, html};

use super::super::words::{counted, duration, number};
use crate::domain::{RunRecord, RunStatus};

/// Size of one chart in its own units; the style sheet makes it as wide as the page.
const HEIGHT: u64 = 80;
const STEP: u64 = 20;
const BAR_WIDTH: u64 = 14;
/// Least height of a bar, so that every run is seen.
const BAR_MIN: u64 = 1;

/// One bar.
struct Bar {
    value: u64,
    label: String,
    is_fault: bool,
}

/// Both charts of runs that are newest first. The table below them has the same numbers.
pub(super) fn chart(runs: &[RunRecord]) -> Markup {
    let durations = bars(runs, |run| {
        let took = run.finished_at.map(|at| at - run.started_at).unwrap_or_default();
        (took.num_milliseconds().max(0).unsigned_abs(), duration(took))
    });
    let changes = bars(runs, |run| {
        let changed = run.counts.added.saturating_add(run.counts.changed).saturating_add(run.counts.removed);
        (changed, format!("{} changed records", number(changed)))
    });
    html! {
        div class="charts" {
            figure { (svg("duration", "Duration", &durations)) figcaption { "Duration, oldest run first" } }
            figure { (svg("changes", "Changed records", &changes)) figcaption { "Added, changed and removed records" } }
        }
    }
}

/// The bars, oldest run first.
fn bars(runs: &[RunRecord], of: impl Fn(&RunRecord) -> (u64, String)) -> Vec<Bar> {
    let bar = |run: &RunRecord| {
        let (value, shown) = of(run);
        let at = run.started_at.format("%Y-%m-%d %H:%M:%S UTC");
        let is_fault = matches!(run.status, RunStatus::Failed | RunStatus::Interrupted | RunStatus::Held);
        Bar { value, label: format!("{at}: {shown}, {}", run.status), is_fault }
    };
    runs.iter().rev().map(bar).collect()
}

fn svg(id: &str, title: &str, bars: &[Bar]) -> Markup {
    let highest = bars.iter().map(|bar| bar.value).max().unwrap_or_default().max(1);
    let last = bars.last().map(|bar| format!("; the last one: {}", bar.label)).unwrap_or_default();
    let description = format!("{}{last}. The table below has all numbers.", counted(bars.len(), "run"));
    let (width, labelled) = (bars.len() as u64 * STEP, format!("{id}-title {id}-description"));
    html! {
        svg class="chart" role="img" viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="xMinYMax meet"
            aria-labelledby=(labelled) {
            title id=(format!("{id}-title")) { (title) }
            desc id=(format!("{id}-description")) { (description) }
            @for (at, bar) in bars.iter().enumerate() {
                // In u128, no product is too large.
                @let height = (u128::from(bar.value) * u128::from(HEIGHT) / u128::from(highest)) as u64;
                @let height = height.max(BAR_MIN);
                rect class=[bar.is_fault.then_some("fault")] x=(at as u64 * STEP) y=(HEIGHT - height)
                    width=(BAR_WIDTH) height=(height) {
                    title { (bar.label) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::domain::{CollectionName, RunCounts, RunError, RunId};

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest_one_and_oldest_first() {
        let run = |seconds: i64, added: u64, status| RunRecord {
            id: RunId::from_uuid(uuid::Uuid::nil()),
            sync: CollectionName::new("c").unwrap(),
            status,
            trigger: "<script>".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)),
            data_as_of: None,
            version: None,
            counts: RunCounts { added, ..RunCounts::default() },
            error: Some(RunError { code: "x".to_owned(), message: "<script>".to_owned() }),
        };
        let runs = [run(40, u64::MAX, RunStatus::Failed), run(10, 0, RunStatus::Announced)];
        let chart = chart(&runs).into_string();
        let durations = chart.split("</figure>").next().unwrap();
        assert!(durations.contains("<rect x=\"0\" y=\"60\" width=\"14\" height=\"20\">"), "{chart}");
        assert!(
            durations.contains("<rect class=\"fault\" x=\"20\" y=\"0\" width=\"14\" height=\"80\">"),
            "{chart}"
        );
        assert!(chart.contains("y=\"79\" width=\"14\" height=\"1\""), "{chart}");
        assert!(chart.contains("2 runs; the last one: 1970-01-01 00:00:00 UTC: 40 s, failed."), "{chart}");
        assert!(!chart.contains("<script") && !chart.contains("style="), "{chart}");
    }
}
