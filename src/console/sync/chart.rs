//! A chart of runs as SVG: how long each took, and how many records it changed.

use maud::{Markup, html};

use super::super::words::{counted, duration, number};
use crate::domain::{RunRecord, RunStatus};

/// Size of one chart in its own units. Letters are readable in the width of a telephone.
const WIDTH: u64 = 360;
const HEIGHT: u64 = 140;
/// The area of the bars: right of the values of the scale, below its unit, above the dates.
const LEFT: u64 = 66;
const TOP: u64 = 22;
const BARS_WIDTH: u64 = WIDTH - LEFT;
const BARS_HEIGHT: u64 = 96;
/// The distance between two bars up to which they become wider.
const STEP_MAX: u64 = 20;
/// Least height and width of a bar, so that every run is seen.
const BAR_MIN: u64 = 1;

/// One bar.
struct Bar {
    value: u64,
    label: String,
    is_fault: bool,
}

/// A chart: its heading, the unit above its scale, and how a value of the scale is written.
struct Chart {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    bars: Vec<Bar>,
    write: fn(u64) -> String,
}

/// Both charts of runs that are newest first. The table below them has the same numbers.
pub(super) fn chart(runs: &[RunRecord]) -> Markup {
    let took = |run: &RunRecord| run.finished_at.map(|at| at - run.started_at).unwrap_or_default();
    let durations =
        bars(runs, |run| (took(run).num_milliseconds().max(0).unsigned_abs(), duration(took(run))));
    let changes = bars(runs, |run| {
        let changed = run.counts.added.saturating_add(run.counts.changed).saturating_add(run.counts.removed);
        (changed, format!("{} changed records", number(changed)))
    });
    let of_millis =
        |millis: u64| duration(chrono::TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(i64::MAX)));
    let durations =
        Chart { id: "duration", title: "Duration", unit: "time", bars: durations, write: of_millis };
    let changes =
        Chart { id: "changes", title: "Changed records", unit: "records", bars: changes, write: number };
    let dates = [runs.last(), runs.first().filter(|_| runs.len() > 1)];
    let dates = dates.map(|run| run.map(|run| run.started_at.format("%Y-%m-%d %H:%M").to_string()));
    html! {
        div class="charts" {
            figure { (durations.svg(&dates)) figcaption { "Duration of each run, oldest first; times are UTC" } }
            figure { (changes.svg(&dates)) figcaption { "Records added, changed and removed by each run, oldest first" } }
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

impl Chart {
    /// The picture, with the dates of the first and the last run.
    fn svg(&self, [first, last]: &[Option<String>; 2]) -> Markup {
        let Self { id, title, unit, bars, write } = self;
        let highest = bars.iter().map(|bar| bar.value).max().unwrap_or_default();
        let newest = bars.last().map(|bar| format!("; the last one: {}", bar.label)).unwrap_or_default();
        let description = format!(
            "{}; the highest bar: {}{newest}. The table below has all numbers.",
            counted(bars.len(), "run"),
            write(highest)
        );
        let labelled = format!("{id}-title {id}-description");
        let (count, foot) = (bars.len().max(1) as u64, TOP + BARS_HEIGHT);
        // In tenths, so that many bars are as far apart as few.
        let width = ((BARS_WIDTH * 10 / count).min(STEP_MAX * 10) * 7 / 100).max(BAR_MIN);
        // The first bar is at the left, above its date, and the last one at the right.
        let step = (BARS_WIDTH - width) * 10 / (count - 1).max(1);
        html! {
            svg class="chart" role="img" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) aria-labelledby=(labelled) {
                title id=(format!("{id}-title")) { (title) }
                desc id=(format!("{id}-description")) { (description) }
                text x=(LEFT) y="12" { (unit) }
                // The scale: the highest value, its half, and nothing.
                @for (part, value) in [(0, highest), (1, highest / 2), (2, 0)] {
                    @let y = TOP + BARS_HEIGHT * part / 2;
                    line x1=(LEFT) x2=(WIDTH) y1=(y) y2=(y) {}
                    @if part != 1 || highest > 1 { text class="value" x=(LEFT - 6) y=(y + 4) { (write(value)) } }
                }
                @for (at, bar) in bars.iter().enumerate() {
                    // In u128, no product is too large.
                    @let height = (u128::from(bar.value) * u128::from(BARS_HEIGHT) / u128::from(highest.max(1))) as u64;
                    @let height = height.max(BAR_MIN);
                    rect class=[bar.is_fault.then_some("fault")] x=(LEFT + at as u64 * step / 10) y=(foot - height)
                        width=(width) height=(height) {
                        title { (bar.label) }
                    }
                }
                @if let Some(first) = first { text x=(LEFT) y=(HEIGHT - 6) { (first) } }
                @if let Some(last) = last { text class="value" x=(WIDTH) y=(HEIGHT - 6) { (last) } }
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
            started_at: DateTime::UNIX_EPOCH + TimeDelta::days(seconds),
            finished_at: Some(DateTime::UNIX_EPOCH + TimeDelta::days(seconds) + TimeDelta::seconds(seconds)),
            data_as_of: None,
            version: None,
            counts: RunCounts { added, ..RunCounts::default() },
            error: Some(RunError { code: "x".to_owned(), message: "<script>".to_owned() }),
        };
        let runs = [run(40, u64::MAX, RunStatus::Failed), run(10, 0, RunStatus::Announced)];
        let chart = chart(&runs).into_string();
        let durations = chart.split("</figure>").next().unwrap();
        for part in [
            "<rect x=\"66\" y=\"94\" width=\"14\" height=\"24\">",
            "<rect class=\"fault\" x=\"346\" y=\"22\" width=\"14\" height=\"96\">",
            "<text x=\"66\" y=\"12\">time</text>",
            ">40 s</text>",
            ">20 s</text>",
            ">0 ms</text>",
            ">1970-01-11 00:00</text>",
            ">1970-02-10 00:00</text>",
            "2 runs; the highest bar: 40 s; the last one: 1970-02-10 00:00:00 UTC: 40 s, failed.",
        ] {
            assert!(durations.contains(part), "{part}: {chart}");
        }
        assert!(chart.contains("y=\"117\" width=\"14\" height=\"1\""), "{chart}");
        assert!(!chart.contains("<script") && !chart.contains("style="), "{chart}");
    }
}
