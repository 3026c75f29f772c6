//! A picture of numbers, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
/// Room for what is written around the picture.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 28.0;
/// About how many lines are drawn across.
const LINES: f64 = 5.0;
/// More points than this nobody sees.
const POINTS_MAX: usize = 500;
/// Told apart also by those who see colours otherwise.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"];

/// Lines over one axis.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) series: Vec<Series>,
    /// Where the axis is marked, and with what.
    pub(crate) marks: Marks,
}

/// How the lower axis is written.
#[derive(Clone, Debug)]
pub(crate) enum Marks {
    /// Seconds, evenly.
    Seconds,
    /// At these places.
    At(Vec<(f64, String)>),
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Plot {
    /// The picture, in one line of text, so that it may stand in Markdown too.
    pub(crate) fn svg(&self) -> String {
        let all = || self.series.iter().flat_map(|series| &series.points);
        let (x_min, x_max) = all().fold((f64::MAX, f64::MIN), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
        let y_max = all().fold(0.0_f64, |high, (_, y)| high.max(*y));
        let (x_min, x_max) = if x_min < x_max { (x_min, x_max) } else { (0.0, 1.0) };
        let y_step = step(y_max);
        let y_max = (y_max / y_step).ceil().max(1.0) * y_step;
        let at_x = |x: f64| LEFT + (x - x_min) / (x_max - x_min) * (WIDTH - LEFT - RIGHT);
        let at_y = |y: f64| HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"11\" fill=\"currentColor\"><title>{}</title>",
            escape(&self.title)
        );
        let mut y = 0.0;
        while y <= y_max * 1.001 {
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>\
                 <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
                WIDTH - RIGHT,
                at_y(y),
                LEFT - 6.0,
                at_y(y) + 4.0,
                short(y)
            );
            y += y_step;
        }
        for (x, mark) in self.x_marks(x_min, x_max) {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                at_x(x),
                HEIGHT - BOTTOM + 16.0,
                escape(&mark)
            );
        }
        for (place, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let points: Vec<String> =
                thinned(&series.points).iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
                 <text x=\"{}\" y=\"16\" fill=\"{colour}\">{}</text>",
                points.join(" "),
                LEFT + 150.0 * place as f64,
                escape(&series.name)
            );
        }
        svg + "</svg>"
    }

    fn x_marks(&self, x_min: f64, x_max: f64) -> Vec<(f64, String)> {
        match &self.marks {
            Marks::At(marks) => marks.iter().filter(|(x, _)| (x_min..=x_max).contains(x)).cloned().collect(),
            Marks::Seconds => {
                let step = step(x_max - x_min);
                let mut marks = Vec::new();
                let mut x = (x_min / step).ceil() * step;
                while x <= x_max {
                    marks.push((x, format!("{} s", short(x))));
                    x += step;
                }
                marks
            }
        }
    }
}

/// At most [`POINTS_MAX`] of the points, evenly, the last one among them.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let mut kept: Vec<_> = points.iter().copied().step_by(every).collect();
    if let Some(last) = points.last()
        && kept.last() != Some(last)
    {
        kept.push(*last);
    }
    kept
}

/// A distance between lines that people count in: 1, 2 or 5 times a power of ten.
fn step(range: f64) -> f64 {
    if range <= 0.0 {
        return 1.0;
    }
    let raw = range / LINES;
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= raw).unwrap_or(10.0);
    factor * power
}

/// A number in as few letters as an axis has room for.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => trimmed(value / 1e6) + " M",
        value if value >= 1e4 => trimmed(value / 1e3) + " k",
        value => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text as XML and HTML want it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> String {
        let series = vec![Series { name: "a & b".to_owned(), points }];
        Plot { title: "rate".to_owned(), series, marks: Marks::Seconds }.svg()
    }

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let svg = plot(vec![(0.0, 0.0), (10.0, 100.0)]);
        assert!(svg.contains("points=\"64.0,212.0 704.0,28.0\""), "{svg}");
        assert!(svg.contains(">100</text>") && svg.contains(">10 s</text>") && svg.contains("a &amp; b"), "{svg}");
        assert!(!svg.contains('\n') && svg.ends_with("</svg>"));
    }

    #[test]
    fn nothing_and_one_point_are_drawn_too() {
        for points in [vec![], vec![(3.0, 0.0)], vec![(3.0, 7.0)]] {
            let svg = plot(points);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn of_many_points_the_last_is_kept() {
        let many: Vec<(f64, f64)> = (0..10_001).map(|x| (f64::from(x), 1.0)).collect();
        let kept = thinned(&many);
        assert!(kept.len() <= POINTS_MAX + 1, "{}", kept.len());
        assert_eq!(kept.last(), many.last());
    }

    #[test]
    fn axes_are_counted_as_people_count() {
        assert_eq!([step(5.0), step(37.0), step(0.9), step(0.0)], [1.0, 10.0, 0.2, 1.0]);
        assert_eq!(
            [short(12_000.0), short(2_500_000.0), short(0.25), short(9_000.0)],
            ["12 k", "2.5 M", "0.25", "9000"]
        );
    }
}
