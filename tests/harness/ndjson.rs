//! A `/query` reply in its default format: metadata line, columns line, rows, perhaps an error.

use serde_json::Value;

/// A parsed reply. Parsing checks the shape that every client leans on.
#[derive(Clone, Debug)]
pub struct QueryReply {
    /// Line 1.
    pub metadata: Value,
    /// Name and type of each column.
    pub columns: Vec<(String, String)>,
    /// Rows as parsed values.
    pub rows: Vec<Vec<Value>>,
    /// Rows as sent, for exact numbers.
    pub lines: Vec<String>,
    /// Text of the error line that ended the stream.
    pub error: Option<String>,
}

impl QueryReply {
    /// Parses a body.
    ///
    /// # Panics
    /// If a line is blank, is not JSON, or is not what belongs in its place.
    pub fn parse(body: &str) -> Self {
        assert!(body.ends_with('\n'), "the last line is not ended: {body:?}");
        let mut lines = body.lines();
        let metadata: Value = parse(lines.next().unwrap_or_default(), body);
        assert!(metadata.is_object(), "line 1 is no object: {body:?}");
        let mut reply = Self { metadata, columns: Vec::new(), rows: Vec::new(), lines: Vec::new(), error: None };
        let second = lines.next().unwrap_or_else(|| panic!("no second line: {body:?}"));
        if reply.take_error(second, body) {
            assert_eq!(lines.next(), None, "lines after the error: {body:?}");
            return reply;
        }
        // The Go client picks its parser by these two bytes.
        assert!(second.starts_with("[{"), "columns line: {second:?}");
        let Value::Array(columns) = parse(second, body) else { panic!("columns line: {second:?}") };
        let text = |column: &Value, key: &str| column[key].as_str().unwrap_or_else(|| panic!("{column}")).to_owned();
        reply.columns = columns.iter().map(|column| (text(column, "name"), text(column, "type"))).collect();
        for line in lines {
            assert_eq!(reply.error, None, "a line after the error: {body:?}");
            if reply.take_error(line, body) {
                continue;
            }
            let Value::Array(row) = parse(line, body) else { panic!("a row is no array: {line:?}") };
            assert_eq!(row.len(), reply.columns.len(), "cells of {line:?}");
            reply.rows.push(row);
            reply.lines.push(line.to_owned());
        }
        reply
    }

    /// The single cell of the single row.
    ///
    /// # Panics
    /// If there is another number of them.
    pub fn single(&self) -> &Value {
        assert_eq!((self.rows.len(), self.columns.len()), (1, 1), "{self:?}");
        &self.rows[0][0]
    }

    fn take_error(&mut self, line: &str, body: &str) -> bool {
        if !line.starts_with('{') {
            return false;
        }
        let value = parse(line, body);
        let text = value["error"].as_str().unwrap_or_else(|| panic!("an object that is no error: {line:?}"));
        self.error = Some(text.to_owned());
        true
    }
}

fn parse(line: &str, body: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in line {line:?} of {body:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_errors_are_told_apart() {
        // A stream that breaks off keeps the rows before the error.
        let reply = QueryReply::parse(
            "{\"statement\":\"x\"}\n[{\"name\":\"a\",\"type\":\"BIGINT\"}]\n[12345678901234567890]\n{\"error\":\"boom\"}\n",
        );
        assert_eq!(reply.columns, [("a".to_owned(), "BIGINT".to_owned())]);
        assert_eq!(reply.lines, ["[12345678901234567890]"]);
        assert_eq!(reply.error.as_deref(), Some("boom"));
    }

    #[test]
    #[should_panic(expected = "line")]
    fn a_blank_line_is_a_fault() {
        // Several clients fail on blank lines, so the parser must as well.
        QueryReply::parse("{}\n[{\"name\":\"a\",\"type\":\"BIGINT\"}]\n\n[1]\n");
    }
}
