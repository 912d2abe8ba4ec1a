//! Two kinds of plots, as SVG: bars, and lines over logarithmic axes. Both on white, so that they read on any
//! page.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const BAR: f64 = 15.0;
const GAP: f64 = 5.0;
const LABEL: f64 = 90.0;
const VALUE: f64 = 70.0;

/// One bar.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    /// Whose.
    pub(super) name: String,
    /// How long.
    pub(super) value: f64,
    /// What is written behind it.
    pub(super) shown: String,
}

/// Bars under a title.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// `wall`.
    pub(super) title: String,
    /// From top to bottom.
    pub(super) bars: Vec<Bar>,
}

/// Rows of panels: one row per case, its panels side by side.
pub(super) fn bars(rows: &[(String, Vec<Panel>)]) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for (title, panels) in rows {
        let _ = write!(body, "{}", text(8.0, y + 13.0, "start", "b", title));
        y += 22.0;
        #[expect(clippy::cast_precision_loss, reason = "a few panels")]
        let width = WIDTH / panels.len().max(1) as f64;
        let mut deepest = y;
        for (x, panel) in panels.iter().scan(0.0, |x, panel| {
            let here = *x;
            *x += width;
            Some((here, panel))
        }) {
            deepest = f64::max(deepest, bar_panel(&mut body, panel, x, y, width));
        }
        y = deepest + 14.0;
    }
    page(y, &body)
}

/// Gives where it ends.
fn bar_panel(body: &mut String, panel: &Panel, x: f64, top: f64, width: f64) -> f64 {
    let room = width - LABEL - VALUE - 8.0;
    let most = panel.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let _ = write!(body, "{}", text(x + LABEL, top + 11.0, "start", "t", &panel.title));
    let mut y = top + 17.0;
    for bar in &panel.bars {
        let length = (bar.value / most * room).max(1.0);
        let _ = write!(
            body,
            "{}<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{}\"/>{}",
            text(x + LABEL - 6.0, y + 12.0, "end", "l", &bar.name),
            x + LABEL,
            color(&bar.name),
            text(x + LABEL + length + 4.0, y + 12.0, "start", "l", &bar.shown),
        );
        y += BAR + GAP;
    }
    y
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Whose.
    pub(super) name: String,
    /// Its points, by x.
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over logarithmic axes. `show_y` writes a value of the upright one.
pub(super) fn lines(title: &str, x_title: &str, all: &[Line], show_y: impl Fn(f64) -> String) -> String {
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 620.0;
    const TOP: f64 = 34.0;
    const BOTTOM: f64 = 330.0;
    let points = || all.iter().flat_map(|line| &line.points).filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let (Some(x), Some(y)) = (Axis::of(points().map(|p| p.0)), Axis::of(points().map(|p| p.1))) else {
        return page(40.0, &text(8.0, 22.0, "start", "b", title));
    };
    let at_x = |value: f64| LEFT + x.place(value) * (RIGHT - LEFT);
    let at_y = |value: f64| BOTTOM - y.place(value) * (BOTTOM - TOP);
    let mut body = text(8.0, 20.0, "start", "b", title);
    for tick in x.ticks() {
        let at = at_x(tick);
        let _ = write!(
            body,
            "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#ddd\"/>{}",
            text(at, BOTTOM + 16.0, "middle", "l", &count(tick))
        );
    }
    for tick in y.ticks() {
        let at = at_y(tick);
        let _ = write!(
            body,
            "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#ddd\"/>{}",
            text(LEFT - 6.0, at + 4.0, "end", "l", &show_y(tick))
        );
    }
    body += &text((LEFT + RIGHT) / 2.0, BOTTOM + 34.0, "middle", "l", x_title);
    // Names beside the last points, pushed apart where they would overlap.
    let mut ends: Vec<(f64, f64, &Line)> = Vec::new();
    for line in all {
        let valid: Vec<(f64, f64)> = line
            .points
            .iter()
            .filter(|(x, y)| *x > 0.0 && *y > 0.0)
            .map(|&(x, y)| (at_x(x), at_y(y)))
            .collect();
        let Some(&(end_x, end_y)) = valid.last() else { continue };
        let path: Vec<String> = valid.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let color = color(&line.name);
        let _ = write!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in &valid {
            let _ = write!(body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
        }
        ends.push((end_y, end_x, line));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = TOP;
    for (end_y, end_x, line) in ends {
        let y = end_y.max(free);
        free = y + 13.0;
        body += &text(end_x + 8.0, y + 4.0, "start", "l", &line.name);
    }
    page(BOTTOM + 46.0, &body)
}

/// Decades around what is shown.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let least = values.clone().reduce(f64::min)?.log10().floor();
        let most = values.reduce(f64::max)?.log10().ceil();
        Some(Self { from: least, to: most.max(least + 1.0) })
    }

    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.from) / (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (from, to) = (self.from, self.to);
        std::iter::successors(Some(from), |at| Some(at + 1.0))
            .take_while(move |&at| at <= to)
            .map(|at| 10_f64.powf(at))
    }
}

fn count(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.0}M", value / 1e6),
        value if value >= 1e3 => format!("{:.0}k", value / 1e3),
        value => format!("{value:.0}"),
    }
}

/// manx stands out; floors are pale.
fn color(name: &str) -> &'static str {
    match name {
        "manx" => "#c8102e",
        "bird" => "#30638e",
        "frr" => "#b07d2b",
        "frr-0" => "#d9b36a",
        "openbgpd" => "#5b8c5a",
        "gobgp" => "#6f5b8c",
        _ => "#bbb",
    }
}

fn text(x: f64, y: f64, anchor: &str, class: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{words}</text>")
}

fn page(height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n<style>.b{{font-weight:bold;\
         font-size:13px}}.t{{fill:#555}}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}\n\
         </svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar { name: name.to_owned(), value, shown: format!("{value} s") }
    }

    #[test]
    fn the_longest_bar_fills_its_room() {
        let panel = Panel { title: "wall".to_owned(), bars: vec![bar("manx", 1.0), bar("a<b", 4.0)] };
        let svg = bars(&[("rr".to_owned(), vec![panel])]);
        let widths: Vec<f64> = svg
            .split("<rect x=")
            .skip(1)
            .filter_map(|piece| piece.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths, [148.0, 592.0]);
        assert!(svg.contains("a&lt;b") && svg.contains("#c8102e"));
    }

    #[test]
    fn decades_enclose_the_points() {
        let axis = Axis::of([20.0, 3_000.0].into_iter()).unwrap();
        assert_eq!(axis.ticks().collect::<Vec<f64>>(), [10.0, 100.0, 1_000.0, 10_000.0]);
        assert!((axis.place(10.0), axis.place(10_000.0)) == (0.0, 1.0));
        let line = Line { name: "manx".to_owned(), points: vec![(1.0, 0.1), (100.0, 2.0), (200.0, 0.0)] };
        let svg = lines("routes", "routes", &[line], |value| format!("{value}"));
        assert_eq!(svg.matches("<circle").count(), 2, "zero has no place on a logarithmic axis");
        assert!(lines("none", "x", &[], |_| String::new()).contains("none"));
    }
}
