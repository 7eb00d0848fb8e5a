//! Three columns, separated by commas and quoted where needed (RFC 4180).
//!
//! A first row `head,relation,tail` or `subject,predicate,object` is a header; blank lines are
//! skipped. Columns of errors count the quotes of earlier fields as if there were none.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use ::csv::{ByteRecord, ReaderBuilder};

use super::name::{self, ROLES};
use super::tsv::excerpt;
use super::{Report, Sink};
use crate::{Error, Result, Statement};

/// How far a row may reach: an unclosed quote must not read the rest of the file into memory.
const MAX_ROW_BYTES: usize = 64 * 1024;

const HEADERS: [[&str; 3]; 2] = [ROLES, ["subject", "predicate", "object"]];

pub(super) fn read(input: impl BufRead, sink: Sink<'_>) -> Result<Report> {
    let left = Rc::new(Cell::new(0));
    let input = Leash { input, left: Rc::clone(&left) };
    let mut rows = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut report = Report::default();
    let mut row = ByteRecord::new();
    loop {
        left.set(MAX_ROW_BYTES);
        let line = rows.position().line();
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(report),
            Err(_) if left.get() == 0 => {
                return Err(Error::Parse {
                    line,
                    column: 1,
                    expected: format!("a row of at most {MAX_ROW_BYTES} bytes"),
                    found: "a longer one: is a quote left open?".into(),
                });
            }
            Err(error) => return Err(Error::Io(error.into())),
        }
        if report.statements == 0 && line == 1 && is_header(&row) {
            continue;
        }
        let line = row.position().map_or(line, |position| position.line());
        sink(statement(&row, line)?)?;
        report.statements += 1;
    }
}

fn is_header(row: &ByteRecord) -> bool {
    HEADERS.iter().any(|header| {
        row.len() == 3
            && row
                .iter()
                .zip(header)
                .all(|(field, name)| field.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// The statement in one row.
fn statement(row: &ByteRecord, line: u64) -> Result<Statement<'_>> {
    let mut names = [""; 3];
    let mut column = 1;
    for (place, role) in ROLES.into_iter().enumerate() {
        let Some(field) = row.get(place) else {
            return Err(Error::Parse {
                line,
                column: column - 1,
                expected: format!("a comma and the {role}"),
                found: "the end of the row".into(),
            });
        };
        names[place] = name::check(field, role).map_err(|fault| fault.at(line, column))?;
        column += name::characters(field) + 1;
    }
    if let Some(more) = row.get(3) {
        return Err(Error::Parse {
            line,
            column: column - 1,
            expected: "the end of the row after three columns".into(),
            found: format!("a comma and {}", excerpt(more)),
        });
    }
    let [head, relation, tail] = names;
    Ok(Statement { head, relation, tail })
}

/// Fails once more than `left` bytes have been read since it was set.
struct Leash<R> {
    input: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Leash<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let end = buffer.len().min(left);
        let read = self.input.read(&mut buffer[..end])?;
        self.left.set(left - read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use crate::read::Format;
    use crate::read::testing::{failure, statements};

    #[test]
    fn statements_are_rows_of_three_fields() {
        for (text, expected) in [
            ("", ""),
            ("a,r,b\n", "a r b"),
            ("a,r,b\r\n\r\nc,r,d", "a r b; c r d"),
            ("Head,Relation,Tail\na,r,b\n", "a r b"),
            ("subject,predicate,object\n", ""),
            ("a,r,b\nhead,relation,tail\n", "a r b; head relation tail"),
            ("\"a, \"\"b\"\"\",r,\"two\nlines\"\n", "a, \"b\" r two\nlines"),
        ] {
            assert_eq!(statements(Format::Csv, text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_name_line_column_and_what_was_expected() {
        for (text, expected) in [
            (
                "a,r,b\na,r\n",
                "line 2, column 4: expected a comma and the tail, found the end of the row",
            ),
            ("a,,b\n", "line 1, column 3: expected the name of the relation, found nothing"),
            (
                "head,relation,tail\n\"x\ny\",r,b\na,r,b,\"c\"\n",
                "line 4, column 6: expected the end of the row after three columns, \
                 found a comma and \"c\"",
            ),
        ] {
            assert_eq!(failure(Format::Csv, text), expected);
        }
        assert_eq!(
            failure(Format::Csv, b"a,r\xff,b\n"),
            "line 1, column 4: expected UTF-8 text, found the byte 0xff"
        );
    }

    #[test]
    fn an_open_quote_ends_early() {
        let text = format!("a,r,b\n\"a{}", ",r,b\n".repeat(100_000));
        assert_eq!(
            failure(Format::Csv, &text),
            "line 2, column 1: expected a row of at most 65536 bytes, \
             found a longer one: is a quote left open?"
        );
    }
}
