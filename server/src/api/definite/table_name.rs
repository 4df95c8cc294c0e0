//! Table names of the Definite dialect: `namespace.table` or `LAKE.namespace.table`, parts in double quotes if need be.
//!
//! **Invariants**: parsing what [`shown`] gives yields the same two names.

/// What the dialect calls the default catalog, whatever its name here.
const LAKE: &str = "LAKE";

/// A parsed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTable {
    /// `None` is the default catalog.
    pub catalog: Option<String>,
    /// Called schema in SQL.
    pub namespace: String,
    /// The table.
    pub table: String,
}

/// Parses a name. The error is a sentence for the client.
pub fn parse(text: &str) -> Result<StreamTable, String> {
    let mut parts = parts(text).ok_or_else(|| {
        format!("invalid table name {text:?}: expected namespace.table or LAKE.namespace.table, parts with blanks or dots in double quotes")
    })?;
    let (Some(table), Some(namespace)) = (parts.pop(), parts.pop()) else {
        return Err(format!("invalid table name {text:?}: expected namespace.table, found one part"));
    };
    let catalog = parts.pop().filter(|catalog| !catalog.eq_ignore_ascii_case(LAKE));
    if parts.is_empty() {
        Ok(StreamTable { catalog, namespace, table })
    } else {
        Err(format!("invalid table name {text:?}: expected at most three parts"))
    }
}

fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) =
            if let Some(quoted) = rest.strip_prefix('"') { quoted_part(quoted)? } else { bare_part(rest)? };
        parts.push(part);
        if after.is_empty() {
            return Some(parts);
        }
        rest = after.strip_prefix('.')?;
    }
}

fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let quote = rest.find('"')?;
        part.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                part.push('"');
                rest = after;
            }
            None => return (!part.is_empty() && !part.contains('\0')).then_some((part, rest)),
        }
    }
}

fn bare_part(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c| !is_bare(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-')
}

/// The two-part form that answers carry.
pub fn shown(namespace: &str, table: &str) -> String {
    let part = |name: &str| {
        if name.chars().all(is_bare) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
    };
    format!("{}.{}", part(namespace), part(table))
}
