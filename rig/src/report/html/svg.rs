//! Charts as SVG. Colours and type come from the page's style, so that they are read in light and in dark.

use std::fmt::{Display, Write};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 44.0;
/// Height of a row of bars.
const ROW: f64 = 34.0;
/// Room for the names of bars.
const NAMES: f64 = 150.0;
/// Room for what is said at the ends of bars.
const NOTES: f64 = 150.0;

/// Points that belong together.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its colour: a class of the page.
    pub class: &'static str,
    /// Abscissa and ordinate, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// A horizontal bar.
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// What is said at its end.
    pub note: String,
    /// Its colour: a class of the page.
    pub class: &'static str,
}

/// A scale from values to places.
#[derive(Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
    begin: f64,
    end: f64,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        self.begin + (value - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE) * (self.end - self.begin)
    }
}

fn across(from: f64, to: f64) -> Scale {
    Scale { from, to, begin: LEFT, end: WIDTH - RIGHT }
}

/// From zero, which is at the bottom.
fn upwards(to: f64) -> Scale {
    Scale { from: 0.0, to, begin: HEIGHT - BOTTOM, end: TOP }
}

/// What goes into a picture.
struct Picture(String);

impl Picture {
    fn new(height: f64, title: &str) -> Self {
        let title = escape(title);
        Self(format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}"><title>{title}</title>"#))
    }

    fn add(&mut self, element: impl Display) {
        // Writing to a string does not fail.
        let _never = write!(self.0, "{element}");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: impl Display) {
        let text = escape(&text.to_string());
        self.add(format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#));
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], class: &str) {
        self.add(format_args!(r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#));
    }

    fn rectangle(&mut self, [x, y, width, height]: [f64; 4], class: &str) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="{class}"/>"#
        ));
    }

    /// The ordinate's lines and names.
    fn ordinate(&mut self, scale: Scale, unit: &str) {
        for tick in ticks(scale.to) {
            let y = scale.place(tick);
            self.line([LEFT, y, WIDTH - RIGHT, y], "grid");
            self.text(LEFT - 8.0, y + 4.0, "end", "tick", number(tick));
        }
        self.text(0.0, 12.0, "start", "tick", unit);
    }

    fn abscissa_name(&mut self, name: &str) {
        self.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0, "middle", "tick", name);
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

/// Shares over a logarithmic abscissa, in steps; `marks` are vertical lines with names.
pub fn steps(title: &str, unit: &str, series: &[Series], marks: &[(f64, String, &'static str)]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let (from, to) = points().fold((f64::MAX, f64::MIN), |(from, to), (x, _)| (from.min(*x), to.max(*x)));
    let mut picture = Picture::new(HEIGHT, title);
    if from >= to {
        return picture.finish();
    }
    let (x, y) = (across(from.log10(), to.log10()), upwards(points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.12));
    picture.ordinate(y, "%");
    for exponent in from.log10().floor() as i32..=to.log10().ceil() as i32 {
        for factor in [1.0, 2.0, 5.0] {
            let value = factor * 10_f64.powi(exponent);
            if (from..=to).contains(&value) {
                let at = x.place(value.log10());
                picture.line([at, y.begin, at, y.begin + 5.0], "axis");
                picture.text(at, y.begin + 18.0, "middle", "tick", number(value));
            }
        }
    }
    for Series { class, points, .. } in series {
        let mut path = String::new();
        for pair in points.windows(2) {
            let [(left, share), (right, _)] = pair else { continue };
            let (left, right, up) = (x.place(left.log10()), x.place(right.log10()), y.place(*share));
            let begin = if path.is_empty() { format!("M{left:.1} {:.1}", y.begin) } else { String::new() };
            path += &format!("{begin}L{left:.1} {up:.1}L{right:.1} {up:.1}");
        }
        let end = points.last().map_or(x.begin, |(last, _)| x.place(last.log10()));
        picture.add(format_args!(r#"<path d="{path}L{end:.1} {:.1}Z" class="area {class}"/>"#, y.begin));
    }
    for (number, (value, name, class)) in marks.iter().enumerate() {
        let at = x.place(value.clamp(from, to).log10());
        picture.line([at, y.end, at, y.begin], &format!("mark {class}"));
        let (aside, anchor) = if at > (LEFT + WIDTH) * 0.6 { (-5.0, "end") } else { (5.0, "start") };
        picture.text(at + aside, y.end + 10.0 + 14.0 * number as f64, anchor, &format!("name {class}"), name);
    }
    picture.line([LEFT, y.begin, WIDTH - RIGHT, y.begin], "axis");
    picture.abscissa_name(unit);
    picture.finish()
}

/// Values over time, from zero.
pub fn lines(title: &str, abscissa: &str, unit: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let (x, y) = (
        across(0.0, points().map(|(x, _)| *x).fold(0.0, f64::max)),
        upwards(points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.12),
    );
    let mut picture = Picture::new(HEIGHT, title);
    picture.ordinate(y, unit);
    for tick in ticks(x.to) {
        picture.text(x.place(tick), y.begin + 18.0, "middle", "tick", number(tick));
    }
    for Series { class, points, .. } in series {
        let places: Vec<String> =
            points.iter().map(|(at, value)| format!("{:.1},{:.1}", x.place(*at), y.place(*value))).collect();
        picture.add(format_args!(r#"<polyline points="{}" class="line {class}"/>"#, places.join(" ")));
    }
    picture.line([LEFT, y.begin, WIDTH - RIGHT, y.begin], "axis");
    picture.abscissa_name(abscissa);
    picture.finish()
}

/// Two columns side by side for each group, and what is said above them.
pub fn pairs(title: &str, unit: &str, groups: &[(String, [f64; 2], String)], classes: [&'static str; 2]) -> String {
    let y =
        upwards(groups.iter().flat_map(|(_, values, _)| values).fold(0.0, |most: f64, value| most.max(*value)) * 1.15);
    let mut picture = Picture::new(HEIGHT, title);
    picture.ordinate(y, unit);
    let step = (WIDTH - RIGHT - LEFT) / groups.len().max(1) as f64;
    let width = (step * 0.36).min(70.0);
    for (number, (name, values, note)) in groups.iter().enumerate() {
        let middle = LEFT + step * (number as f64 + 0.5);
        for (side, (value, class)) in [-1.0, 0.0].into_iter().zip(values.iter().zip(classes)) {
            let up = y.place(*value);
            picture.rectangle([middle + side * width + 1.0, up, width - 2.0, y.begin - up], class);
        }
        let top = y.place(values[0].max(values[1]));
        picture.text(middle, top - 6.0, "middle", "note", note);
        picture.text(middle, y.begin + 18.0, "middle", "tick", name);
    }
    picture.line([LEFT, y.begin, WIDTH - RIGHT, y.begin], "axis");
    picture.finish()
}

/// Horizontal bars with their names and notes.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let scale = Scale { from: 0.0, to: most, begin: NAMES, end: WIDTH - NOTES };
    let mut picture = Picture::new(ROW * bars.len() as f64 + 8.0, title);
    for (number, Bar { name, value, note, class }) in bars.iter().enumerate() {
        let y = ROW * number as f64 + 6.0;
        picture.text(NAMES - 10.0, y + 16.0, "end", "label", name);
        picture.rectangle([NAMES, y, (scale.place(*value) - NAMES).max(1.0), ROW - 12.0], class);
        picture.text(scale.place(*value).max(NAMES + 1.0) + 8.0, y + 16.0, "start", "note", note);
    }
    picture.finish()
}

/// Round values up to `most`, four or so.
fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return vec![0.0];
    }
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    (0..).map(|number| f64::from(number) * step).take_while(|value| *value <= most).collect()
}

/// A number for people: with separators, and no more digits than say something.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 || value == 0.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let mut separated = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let is_start_of_three = place > 0 && (whole.len() - place) % 3 == 0 && !separated.ends_with('-');
        separated.extend(is_start_of_three.then_some(','));
        separated.push(digit);
    }
    match part.trim_end_matches('0') {
        "" => separated,
        part => format!("{separated}.{part}"),
    }
}

/// Text that cannot be taken for markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
