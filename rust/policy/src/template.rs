//! `${placeholder}` templates: parsed once, rendered once.
//!
//! A value is copied into the result and never looked at again, so a client whose name is
//! `${clientid}` stays that (`spec/authorization.md` section 7). What a name may be is the caller's
//! business: the template holds whatever the caller resolved it to.

/// A piece of template text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text to copy.
    Text(&'t str),
    /// `${$}`, which stands for `$`.
    Dollar,
    /// `${name}` or `${.name}`.
    Placeholder {
        /// The name, without the leading dot.
        name: &'t str,
        /// As written, `${` and `}` included.
        source: &'t str,
    },
}

/// Iterator over the pieces of a template; see [`pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'t> {
    rest: &'t str,
}

/// Splits template text. A `${...}` whose inside is not a name (letters, digits, `_`, `.`) is text.
pub fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some((piece, rest)) = opening(self.rest) {
            self.rest = rest;
            return Some(piece);
        }
        let end = self
            .rest
            .match_indices("${")
            .map(|(at, _)| at)
            .find(|&at| self.rest.get(at..).and_then(opening).is_some())
            .unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Piece::Text(text))
    }
}

/// The placeholder or escape that `text` starts with, and what follows it.
fn opening(text: &str) -> Option<(Piece<'_>, &str)> {
    let inside = text.strip_prefix("${")?;
    if let Some(rest) = inside.strip_prefix("$}") {
        return Some((Piece::Dollar, rest));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let after = inside.trim_start_matches(is_name);
    let rest = after.strip_prefix('}')?;
    let written = inside.get(..inside.len() - after.len())?;
    let name = written.strip_prefix('.').unwrap_or(written);
    let source = text.get(..text.len() - rest.len())?;
    Some((Piece::Placeholder { name, source }, rest))
}

/// A parsed template whose placeholders were resolved to `V`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<V> {
    parts: Box<[Part<V>]>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<V> {
    /// Text to copy. Two texts never follow each other.
    Text(Box<str>),
    /// Where a value goes.
    Value(V),
}

impl<V> Template<V> {
    /// Parses `text`. `resolve` gets each placeholder's name; where it returns `None` the
    /// placeholder stays text, and its source is added to `unknown`.
    pub fn parse(
        text: &str,
        mut resolve: impl FnMut(&str) -> Option<V>,
        unknown: &mut Vec<String>,
    ) -> Self {
        let mut parts = Vec::new();
        let mut run = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => run.push_str(text),
                Piece::Dollar => run.push('$'),
                Piece::Placeholder { name, source } => {
                    if let Some(value) = resolve(name) {
                        flush(&mut run, &mut parts);
                        parts.push(Part::Value(value));
                    } else {
                        unknown.push(source.to_owned());
                        run.push_str(source);
                    }
                }
            }
        }
        flush(&mut run, &mut parts);
        Self {
            parts: parts.into(),
        }
    }

    /// The parts in order.
    pub fn parts(&self) -> &[Part<V>] {
        &self.parts
    }

    /// The values in order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(value),
            Part::Text(_) => None,
        })
    }

    /// The text, if there is nothing to insert.
    pub fn as_text(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the rendered text to `out`. Stops at the first value that `value` cannot give, with
    /// a part of the text already appended.
    pub fn render<'v, E>(
        &self,
        out: &mut String,
        mut value: impl FnMut(&V) -> Result<&'v str, E>,
    ) -> Result<(), E> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(name) => out.push_str(value(name)?),
            }
        }
        Ok(())
    }
}

fn flush<V>(run: &mut String, parts: &mut Vec<Part<V>>) {
    if !run.is_empty() {
        parts.push(Part::Text(std::mem::take(run).into()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(text: &str) -> (Template<String>, Vec<String>) {
        let mut unknown = Vec::new();
        let resolve = |name: &str| (!name.starts_with("no")).then(|| name.to_owned());
        (Template::parse(text, resolve, &mut unknown), unknown)
    }

    #[test]
    fn splits_text_and_names() {
        let (template, unknown) = parse("a/${x}-${.y.z}/${nope}${$}{q}");
        assert_eq!(template.values().collect::<Vec<_>>(), ["x", "y.z"]);
        assert_eq!(unknown, ["${nope}"]);
        let mut out = String::new();
        template.render(&mut out, |_| Ok::<_, ()>("${x}")).unwrap();
        assert_eq!(out, "a/${x}-${x}/${nope}${q}");
    }

    #[test]
    fn what_is_no_name_is_text() {
        for text in ["", "${ x }", "${x", "$", "${", "${a-b}", "$${", "é${é}"] {
            let (template, unknown) = parse(text);
            assert_eq!(template.as_text(), Some(text));
            assert!(unknown.is_empty());
        }
        let (template, _) = parse("${ ${x}");
        assert_eq!(template.parts().len(), 2);
    }

    #[test]
    fn a_missing_value_stops() {
        let mut out = String::new();
        assert_eq!(
            parse("${x}").0.render(&mut out, |name| Err(name.clone())),
            Err("x".to_owned())
        );
    }
}
