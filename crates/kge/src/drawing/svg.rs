//! The picture's text. A few elements do, so it is written here and not by a plotting crate,
//! whose output has no style sheet and so no second theme.

use std::fmt::Write;

use super::{
    Dot, Map,
    labels::{Area, Sizes, place},
    text,
};

const SIZES: Sizes = Sizes { font: 11.0, radius: 3.5 };
const MARGIN: f64 = 16.0;
const LINE: f64 = 20.0;
/// Colours of groups, for a light and a dark ground: Tableau's, shifted for contrast.
const COLOURS: [(&str, &str); 8] = [
    ("#3b6fb6", "#7aa6e8"),
    ("#d9772b", "#f0a566"),
    ("#2f8f4e", "#6cc98a"),
    ("#c23b4b", "#f08a94"),
    ("#7d56b5", "#b99be8"),
    ("#8a6d3b", "#cbb07c"),
    ("#c2539a", "#ee9ccb"),
    ("#1f8f93", "#63c7ca"),
];

/// How many groups have a colour of their own.
pub(crate) const GROUPS: usize = COLOURS.len();

/// The map as an SVG document, `width` pixels wide.
pub(crate) fn draw(map: &Map, width: f64) -> String {
    let legend = legend(&map.groups, width);
    let top = MARGIN + LINE + legend.height;
    let (positions, bottom) = positions(&map.dots, width, top);
    let height = bottom + LINE + MARGIN;
    let names: Vec<_> = map.dots.iter().map(|dot| dot.name.as_str()).collect();
    let frame = Area { left: 4.0, top, right: width - 4.0, bottom: bottom + LINE / 2.0 };
    let places = place(&positions, &names, frame, SIZES);

    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n",
        escaped(&map.title)
    );
    out.push_str(&style(map.groups.len()));
    let _ = write!(
        out,
        "<rect class=\"ground\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>\n{}",
        MARGIN + 8.0,
        escaped(&map.title),
        legend.text
    );
    for (dot, &(x, y)) in map.dots.iter().zip(&positions) {
        let class = dot.group.map_or("o".into(), |group| format!("g{group}"));
        let name = escaped(&dot.name);
        let _ = writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{}\"><title>{name}</title></circle>",
            SIZES.radius
        );
    }
    for (name, place) in names.iter().zip(places) {
        if let Some((x, y)) = place {
            let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(name));
        }
    }
    let _ = write!(
        out,
        "<text class=\"quiet\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>\n</svg>\n",
        height - MARGIN + 4.0,
        escaped(&map.caption)
    );
    out
}

/// Pixels of each dot, and where the last of them ends. Both axes have one scale, so that
/// nearness on the map is nearness in the plane.
fn positions(dots: &[Dot], width: f64, top: f64) -> (Vec<(f64, f64)>, f64) {
    let span = |values: &dyn Fn(&Dot) -> f64| {
        let low = dots.iter().map(values).fold(f64::INFINITY, f64::min);
        let high = dots.iter().map(values).fold(f64::NEG_INFINITY, f64::max);
        if low < high { (low, high) } else { (low - 0.5, low + 0.5) }
    };
    if dots.is_empty() {
        return (Vec::new(), top + LINE);
    }
    let ((left, right), (low, high)) = (span(&|dot| dot.x), span(&|dot| dot.y));
    // Names of the outermost dots need room too.
    let border = 3.0 * MARGIN;
    let scale = ((width - 2.0 * border) / (right - left)).min(0.75 * width / (high - low));
    let indent = (width - scale * (right - left)) / 2.0;
    let place =
        |dot: &Dot| (indent + (dot.x - left) * scale, top + MARGIN + (high - dot.y) * scale);
    (dots.iter().map(place).collect(), top + 2.0 * MARGIN + (high - low) * scale)
}

struct Legend {
    text: String,
    height: f64,
}

fn legend(groups: &[String], width: f64) -> Legend {
    let mut text = String::new();
    let (mut x, mut y) = (MARGIN, MARGIN + 8.0 + LINE);
    for (group, name) in groups.iter().enumerate() {
        let wide = 14.0 + text::width(name, SIZES.font + 1.0) + 18.0;
        if x > MARGIN && x + wide > width {
            (x, y) = (MARGIN, y + LINE);
        }
        let _ = writeln!(
            text,
            "<circle class=\"g{group}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\"/>\
             <text class=\"legend\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            x + 4.5,
            y - 4.0,
            x + 14.0,
            escaped(name)
        );
        x += wide;
    }
    let height = if groups.is_empty() { 0.0 } else { y - MARGIN - 8.0 };
    Legend { text, height }
}

fn style(groups: usize) -> String {
    let colours = |dark: bool| {
        let each = COLOURS.iter().take(groups).enumerate();
        each.map(|(group, &(light, shade))| {
            format!(".g{group}{{fill:{}}}", if dark { shade } else { light })
        })
        .collect::<String>()
    };
    format!(
        "<style>\n\
         text{{font:{}px Helvetica,Arial,'Liberation Sans','Nimbus Sans',sans-serif;fill:#24292f}}\n\
         .title{{font-size:14px;font-weight:bold}}.legend{{font-size:{}px}}\n\
         .quiet{{fill:#656d76}}.o{{fill:#8c959f}}.ground{{fill:#fff}}\n{}\n\
         @media(prefers-color-scheme:dark){{text{{fill:#d5dbe2}}.quiet{{fill:#9198a1}}.ground{{fill:#12161c}}\n\
         {}}}\n</style>\n",
        SIZES.font,
        SIZES.font + 1.0,
        colours(false),
        colours(true)
    )
}

/// Text as XML takes it; control characters, which it does not take at all, are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(x: f64, y: f64, name: &str, group: Option<usize>) -> Dot {
        Dot { x, y, name: name.into(), group }
    }

    #[test]
    fn a_map_has_its_dots_names_and_colours() {
        let map = Map {
            title: "a & b".into(),
            caption: "two".into(),
            dots: vec![dot(0.0, 0.0, "<Spain>", Some(0)), dot(1.0, 0.5, "Japan", None)],
            groups: vec!["Europe".into()],
        };
        let svg = draw(&map, 600.0);
        assert!(svg.starts_with("<svg xmlns"), "{svg}");
        for part in [
            "<title>a &amp; b</title>",
            "&lt;Spain&gt;</text>",
            "Japan</text>",
            "Europe</text>",
            "prefers-color-scheme:dark",
            "class=\"g0\"",
            "class=\"o\"",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert_eq!(svg, draw(&map, 600.0));
    }

    #[test]
    fn one_dot_or_none_is_a_map_too() {
        for dots in [vec![], vec![dot(3.0, 3.0, "x", None)], vec![dot(0.0, 0.0, "x", None); 2]] {
            let svg = draw(&Map { dots, ..Map::default() }, 300.0);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
