//! An object's members as raw text: how an envelope is opened before its rows are read.
//!
//! **Invariants**
//! 1. Containers are only balanced, not checked: whoever reads a member checks it. Names and bare values are checked.
//! 2. No recursion and no nesting state but a count.

use super::BOM;
use super::faults::a_kind;
use super::refused;
use super::scanner::{Scanner, find_special, string_end, unescape};
use crate::{BodyError, Member};

/// An envelope has a handful of members and a row no more than a table has columns; a body of many millions would take
/// ten times its size to list.
const MEMBERS_MAX: usize = 65_536;

/// See [`crate::members`].
pub(crate) fn members(body: &[u8]) -> Result<Vec<Member<'_>>, BodyError> {
    let text = str::from_utf8(body).map_err(|invalid| BodyError::Syntax {
        offset: invalid.valid_up_to(),
        record: 0,
        reason: "invalid UTF-8".to_owned(),
    })?;
    let mut scanner = Scanner::new(text, true);
    if body.starts_with(BOM) {
        scanner.advance(BOM.len());
    }
    match scanner.next_byte() {
        None => return Err(BodyError::Empty),
        Some(b'{') => scanner.advance(1),
        Some(b'[') => return Err(BodyError::Shape { found: "an array" }),
        Some(_) => {
            return Err(match scanner.value(0, &mut String::new()) {
                Ok(token) => BodyError::Shape { found: a_kind(&token) },
                Err(stop) => refused(stop, 0),
            });
        }
    }
    let mut members = Vec::new();
    let mut separated = true;
    loop {
        match scanner.next_byte() {
            Some(b'}') if members.is_empty() || !separated => break,
            Some(b',') if !separated => {
                scanner.advance(1);
                separated = true;
            }
            _ if separated && members.len() == MEMBERS_MAX => {
                return Err(refused(scanner.syntax("too many members in one object"), 0));
            }
            _ if separated => {
                members.push(member(&mut scanner)?);
                separated = false;
            }
            _ => return Err(refused(scanner.syntax("expected ',' or '}'"), 0)),
        }
    }
    scanner.advance(1);
    match scanner.next_byte() {
        None => Ok(members),
        Some(_) => Err(refused(scanner.syntax("expected nothing more after the document"), 0)),
    }
}

fn member<'a>(scanner: &mut Scanner<'a>) -> Result<Member<'a>, BodyError> {
    let name = scanner.name().map_err(|stop| refused(stop, 0))?;
    let mut key = String::with_capacity(name.text.len());
    unescape(name.text, &mut key);
    let next = scanner.next_byte();
    let start = scanner.at();
    match next {
        Some(b'{' | b'[') => match container_end(scanner.text().as_bytes(), start) {
            Some(end) => scanner.advance(end - start),
            None => {
                scanner.advance(scanner.rest().len());
                return Err(refused(scanner.syntax("the body ends inside an array or object"), 0));
            }
        },
        _ => scanner.skip_value(1).map_err(|stop| refused(stop, 0))?,
    }
    Ok(Member { key, value: &scanner.text().as_bytes()[start..scanner.at()] })
}

/// Where the container at `at` is closed.
fn container_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 0usize;
    loop {
        match *bytes.get(at)? {
            b'"' => {
                // Most strings have no escape: their end is the first special byte.
                let end = find_special(bytes, at + 1);
                at = if bytes.get(end) == Some(&b'"') { end + 1 } else { string_end(bytes, at) };
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}
