//! How wide a line of text is, in the Helvetica, Arial or Liberation Sans that the map asks for
//! (their widths agree).

/// Thousandths of the font's size, for the characters from space to tilde (Adobe's metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, // to /
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, // to ?
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, // to O
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, // to _
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, // to o
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584, // to ~
];
/// A letter with an accent, or of another alphabet.
const OTHER: u16 = 600;
/// An ideograph, and whatever else may fill a square.
const FULL: u16 = 1000;

/// The width of one line.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let thousandths = |c: char| match c {
        ' '..='~' => WIDTHS[c as usize - 0x20],
        '\u{1100}'.. => FULL,
        _ => OTHER,
    };
    text.chars().map(|c| f64::from(thousandths(c))).sum::<f64>() / 1000.0 * size
}

#[cfg(test)]
mod tests {
    use super::width;

    #[test]
    fn widths_are_helveticas() {
        for (text, expected) in [("", 0.0), ("il", 4.44), ("Wm", 17.77), ("~", 5.84), ("日", 10.0)]
        {
            assert!((width(text, 10.0) - expected).abs() < 1e-9, "{text}: {}", width(text, 10.0));
        }
    }
}
