//! Where names go: beside their dot, over no other dot and no other name.

use super::text;

/// A rectangle, in pixels from the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    fn covers(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }

    fn around((x, y): (f64, f64), radius: f64) -> Self {
        Self { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }
}

/// How the parts are sized, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) font: f64,
    pub(super) radius: f64,
}

const SPACE: f64 = 5.0;

/// The left end of each name's baseline, for those that have room inside `frame`. Dots come in
/// the order of their right to be named.
pub(super) fn place(
    dots: &[(f64, f64)],
    names: &[&str],
    frame: Area,
    sizes: Sizes,
) -> Vec<Option<(f64, f64)>> {
    let bodies: Vec<_> = dots.iter().map(|&dot| Area::around(dot, sizes.radius)).collect();
    let mut taken: Vec<Area> = Vec::new();
    let mut places = Vec::with_capacity(dots.len());
    for (i, (&dot, name)) in dots.iter().zip(names).enumerate() {
        let size = (text::width(name, sizes.font), sizes.font);
        let room = candidates(dot, size, sizes.radius).into_iter().find(|area| {
            // Two names on a line need a space between them.
            let spaced = Area { left: area.left - SPACE, right: area.right + SPACE, ..*area };
            frame.holds(area)
                && !taken.iter().any(|other| other.covers(&spaced))
                && !bodies.iter().enumerate().any(|(j, body)| j != i && body.covers(area))
        });
        // Letters stand on the baseline; a few reach a quarter of the size below it.
        places.push(room.map(|area| (area.left, area.bottom - 0.24 * sizes.font)));
        taken.extend(room);
    }
    places
}

/// Areas beside a dot, the best to read first: right, left, above, below, then the corners.
fn candidates((x, y): (f64, f64), (width, height): (f64, f64), radius: f64) -> [Area; 8] {
    let (gap, near) = (radius + 2.0, radius * 0.7);
    let at = |left: f64, top: f64| Area { left, top, right: left + width, bottom: top + height };
    [
        at(x + gap, y - height / 2.0),
        at(x - gap - width, y - height / 2.0),
        at(x - width / 2.0, y - gap - height),
        at(x - width / 2.0, y + gap),
        at(x + near, y - near - height),
        at(x + near, y + near),
        at(x - near - width, y - near - height),
        at(x - near - width, y + near),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Area = Area { left: 0.0, top: 0.0, right: 400.0, bottom: 300.0 };
    const SIZES: Sizes = Sizes { font: 11.0, radius: 3.5 };

    proptest! {
        #[test]
        fn names_cover_neither_names_nor_dots(
            dots in prop::collection::vec((0.0..400.0_f64, 0.0..300.0_f64), 0..80),
        ) {
            let names: Vec<_> = (0..dots.len()).map(|i| "wide name"[..1 + i % 9].to_owned()).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let places = place(&dots, &names, FRAME, SIZES);
            let area = |i: usize| places[i].map(|(x, base)| {
                let bottom = base + 0.24 * SIZES.font;
                let right = x + text::width(names[i], SIZES.font);
                Area { left: x, top: bottom - SIZES.font, right, bottom }
            });
            // A pixel's billionth may be lost between baseline and box.
            let shrunk = |a: Area| Area {
                left: a.left + 1e-6, top: a.top + 1e-6, right: a.right - 1e-6, bottom: a.bottom - 1e-6,
            };
            for i in 0..dots.len() {
                let Some(own) = area(i).map(shrunk) else { continue };
                prop_assert!(FRAME.holds(&own));
                for (j, &dot) in dots.iter().enumerate().filter(|&(j, _)| j != i) {
                    prop_assert!(!own.covers(&Area::around(dot, SIZES.radius)), "{i} covers dot {j}");
                    prop_assert!(!area(j).is_some_and(|other| own.covers(&shrunk(other))), "{i} covers {j}");
                }
            }
        }
    }

    #[test]
    fn the_first_is_named_and_who_has_no_room_is_not() {
        let crowd = [(200.0, 150.0); 9];
        let places = place(&crowd, &["nine"; 9], FRAME, SIZES);
        assert!(places[0].is_some_and(|(x, _)| x > 200.0), "{places:?}");
        assert!(places.contains(&None), "eight sides for nine names: {places:?}");
        let near = [(200.0, 150.0), (208.0, 150.0)];
        let places = place(&near, &["first", "second"], FRAME, SIZES);
        let (first, second) = (places[0].unwrap(), places[1].unwrap());
        assert!(first.0 < 200.0 && second.0 > 208.0, "{first:?} {second:?}");
    }
}
