//! Draws what was sampled: one panel above the other, as an SVG that is small enough to be kept. Knows
//! nothing of what it draws.

use std::fmt::Write;

/// The drawing's width, that of what is drawn, and where it begins.
const WIDTH: f64 = 900.0;
const ROOM: f64 = 800.0;
const LEFT: f64 = 70.0;
/// A panel's height, and the distance to the next.
const HEIGHT: f64 = 80.0;
const STEP: f64 = 120.0;
/// How many points a line has at most.
const POINTS: usize = 240;
const COLOURS: [&str; 3] = ["#1f5fa8", "#b3541e", "#3d7a3d"];

/// Some lines over the same time.
pub struct Panel {
    pub title: String,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: String,
    /// Seconds, and a value.
    pub points: Vec<(f64, f64)>,
}

/// The panels, of so many seconds, with a mark at each of these times.
pub fn draw(panels: &[Panel], seconds: f64, marks: &[f64], caption: &str) -> String {
    let height = STEP * panels.len() as f64 + 40.0;
    let x = |time: f64| LEFT + ROOM * time / seconds;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let text = |x: f64, y: f64, more: &str, text: &str| {
        format!("<text x=\"{x:.0}\" y=\"{y:.0}\"{more}>{text}</text>\n")
    };
    for (number, panel) in panels.iter().enumerate() {
        let top = STEP * number as f64 + 25.0;
        let bottom = top + HEIGHT;
        let most = panel.lines.iter().flat_map(|line| &line.points);
        let most = round_up(most.map(|(_, value)| *value).fold(0.0, f64::max));
        svg += &text(LEFT, top - 7.0, "", &panel.title);
        let right = " text-anchor=\"end\"";
        svg += &text(LEFT - 5.0, top + 10.0, right, &format!("{most}"));
        svg += &text(LEFT - 5.0, bottom, right, "0");
        let frame = format!("M{LEFT} {top}h{ROOM}v{HEIGHT}h-{ROOM}z");
        let _ = writeln!(svg, "<path d=\"{frame}\" fill=\"none\" stroke=\"#bbb\"/>");
        let marks: String = marks
            .iter()
            .map(|mark| format!("M{:.0} {bottom}v-6", x(*mark)))
            .collect();
        let _ = writeln!(svg, "<path d=\"{marks}\" stroke=\"#c00\"/>");
        for (which, line) in panel.lines.iter().enumerate() {
            let colour = COLOURS[which % COLOURS.len()];
            let points: String = thinned(&line.points, seconds)
                .iter()
                .map(|(time, value)| {
                    format!("{:.0},{:.1} ", x(*time), bottom - HEIGHT * value / most)
                })
                .collect();
            let points = points.trim_end();
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\"/>"
            );
            let name = format!(" fill=\"{colour}\" text-anchor=\"end\"");
            let at = LEFT + ROOM - 60.0 * (panel.lines.len() - 1 - which) as f64;
            svg += &text(at, top - 7.0, &name, &line.name);
        }
    }
    for quarter in 0..=4 {
        let time = seconds * f64::from(quarter) / 4.0;
        let label = format!("{:.1} min", time / 60.0);
        svg += &text(x(time), height - 22.0, " text-anchor=\"middle\"", &label);
    }
    svg += &text(LEFT, height - 5.0, "", caption);
    svg + "</svg>\n"
}

/// The largest value of each stretch of time: what is high for a moment is seen.
fn thinned(points: &[(f64, f64)], seconds: f64) -> Vec<(f64, f64)> {
    let mut thinned: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for (time, value) in points {
        let stretch = (time / seconds * POINTS as f64) as usize;
        match thinned.last_mut() {
            Some(point) if last == Some(stretch) => point.1 = point.1.max(*value),
            _ => thinned.push((*time, *value)),
        }
        last = Some(stretch);
    }
    thinned
}

/// The next round number.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(0.001).log10().floor());
    let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.iter().find(|step| **step * power >= value);
    step.unwrap_or(&10.0) * power
}
