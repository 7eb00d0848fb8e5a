//! Three columns, separated by tabs, exactly as they are: no quoting, no header, no trimming.
//!
//! Blank lines are skipped and a carriage return before the line's end is tolerated.

use std::io::{BufRead, Read};

use super::name::{self, ROLES};
use super::{MAX_NAME_BYTES, Report, Sink};
use crate::{Error, Result, Statement};

/// The longest line of three names, with its tabs and its end. A file without line ends is
/// refused after this many bytes, not after all of them.
const MAX_LINE_BYTES: usize = 3 * MAX_NAME_BYTES + 4;

pub(super) fn read(mut input: impl BufRead, sink: Sink<'_>) -> Result<Report> {
    let mut report = Report::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = (&mut input).take(MAX_LINE_BYTES as u64 + 1);
        if limited.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        if ended {
            line.pop_if(|last| *last == b'\r');
        }
        if line.is_empty() {
            continue;
        }
        sink(statement(&line, number)?)?;
        report.statements += 1;
    }
    Ok(report)
}

/// The statement on one line.
fn statement(line: &[u8], number: u64) -> Result<Statement<'_>> {
    let mut names = [""; 3];
    let mut column = 1;
    let mut fields = line.split(|&byte| byte == b'\t');
    for (place, role) in ROLES.into_iter().enumerate() {
        let Some(field) = fields.next() else {
            return Err(Error::Parse {
                line: number,
                column: column - 1,
                expected: format!("a tab and the {role}"),
                found: "the end of the line".into(),
            });
        };
        names[place] = name::check(field, role).map_err(|fault| fault.at(number, column))?;
        column += name::characters(field) + 1;
    }
    if let Some(more) = fields.next() {
        return Err(Error::Parse {
            line: number,
            column: column - 1,
            expected: "the end of the line after three columns".into(),
            found: format!("a tab and {}", excerpt(more)),
        });
    }
    let [head, relation, tail] = names;
    Ok(Statement { head, relation, tail })
}

/// Enough of a field to find it again.
pub(super) fn excerpt(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::read::testing::{failure, statements};
    use crate::read::{Format, MAX_NAME_BYTES};

    #[test]
    fn statements_are_lines_of_three_columns() {
        for (text, expected) in [
            ("", ""),
            ("a\tr\tb\n", "a r b"),
            ("a\tr\tb", "a r b"),
            ("a\tr\tb\r\n\r\n\nc\tr\td\r\n", "a r b; c r d"),
            ("\u{feff}a\tr\tb\n", "a r b"),
            (" a \tr\"\t'b'\n", " a  r\" 'b'"),
            ("Córdoba\tist in\tEspaña\n", "Córdoba ist in España"),
        ] {
            assert_eq!(statements(Format::Tsv, text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_name_line_column_and_what_was_expected() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for (text, expected) in [
            (
                "a\tr\tb\n\nMadrid\tr\n",
                "line 3, column 9: expected a tab and the tail, found the end of the line",
            ),
            (
                "España\n",
                "line 1, column 7: expected a tab and the relation, found the end of the line",
            ),
            (
                "a\tr\tb\tc\td\n",
                "line 1, column 6: expected the end of the line after three columns, \
                 found a tab and \"c\"",
            ),
            (
                "a\tr\tb\na\t\tb\n",
                "line 2, column 3: expected the name of the relation, found nothing",
            ),
            ("\tr\tb\n", "line 1, column 1: expected the name of the head, found nothing"),
            ("a\tr\t\r\n", "line 1, column 5: expected the name of the tail, found nothing"),
            (
                &format!("a\tr\t{long}"),
                "line 1, column 5: expected a name of at most 2048 bytes, found a tail of 2049 bytes",
            ),
            (
                &long.repeat(100_000),
                "line 1, column 1: expected a name of at most 2048 bytes, found a head of 6149 bytes",
            ),
        ] {
            assert_eq!(failure(Format::Tsv, text), expected);
        }
        let latin = b"a\tr\tb\nC\xf3rdoba\tr\tb\n";
        assert_eq!(
            failure(Format::Tsv, latin),
            "line 2, column 2: expected UTF-8 text, found the byte 0xf3"
        );
    }

    #[test]
    fn three_names_of_the_greatest_length_fit() {
        let name = "é".repeat(MAX_NAME_BYTES / 2);
        let line = format!("{name}\t{name}\t{name}\r\n");
        assert_eq!(statements(Format::Tsv, &line), format!("{name} {name} {name}"));
    }
}
