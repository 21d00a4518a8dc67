//! Text to tokens of Erlang terms (`spec/authorization.md` section 5).
//!
//! Only what a rule can be made of: no floats, no operators, no maps, no functions.

use super::error::{AclError, Position, Warning, WarningKind};

/// Words that Erlang keeps for itself: as atoms they need quotes.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or",
    "orelse", "receive", "rem", "try", "when", "xor",
];

/// Most characters an atom has in Erlang.
const MAX_ATOM_CHARS: usize = 255;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// `{ } [ ] , | / - +` and `:`.
    Mark(char),
    /// `<<`
    BinaryOpen,
    /// `>>`
    BinaryClose,
    /// `.` with white space, a comment or the end of the text behind it.
    Dot,
    Atom(String),
    Text(String),
    /// Saturated at the ends of `i64`: no rule has use for such numbers.
    Integer(i64),
    End,
}

impl Token {
    /// The token as an error message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Mark(c) => format!("\"{c}\""),
            Self::BinaryOpen => "\"<<\"".to_owned(),
            Self::BinaryClose => "\">>\"".to_owned(),
            Self::Dot => "\".\"".to_owned(),
            Self::Atom(name) => shorten(name),
            Self::Text(text) => format!("the string \"{}\"", shorten(text)),
            Self::Integer(number) => number.to_string(),
            Self::End => "the end of the file".to_owned(),
        }
    }
}

fn shorten(text: &str) -> String {
    if text.chars().nth(40).is_none() {
        return text.escape_debug().to_string();
    }
    text.chars()
        .take(40)
        .flat_map(char::escape_debug)
        .chain(['…'])
        .collect()
}

/// Reads tokens one at a time.
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Byte offset of the next character.
    offset: usize,
    position: Position,
    pub(super) warnings: Vec<Warning>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let offset = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Self {
            text,
            offset,
            position: Position::START,
            warnings: Vec::new(),
        }
    }

    /// Byte offset in the text behind the last token.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.offset += c.len_utf8();
        if c == '\n' {
            self.position.line = self.position.line.saturating_add(1);
            self.position.column = 1;
        } else {
            self.position.column = self.position.column.saturating_add(1);
        }
        Some(c)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let mut end = 0;
        while let Some(c) = self.peek().filter(|&c| accept(c)) {
            end += c.len_utf8();
            self.bump();
        }
        rest.get(..end).unwrap_or_default()
    }

    /// Skips white space and comments; then the next token, its place and its byte offset.
    pub(super) fn next(&mut self) -> Result<(Token, Position, usize), AclError> {
        loop {
            self.take_while(is_blank);
            if self.peek() != Some('%') {
                break;
            }
            self.take_while(|c| c != '\n');
        }
        let (at, start) = (self.position, self.offset);
        Ok((self.token(at)?, at, start))
    }

    fn token(&mut self, at: Position) -> Result<Token, AclError> {
        let Some(c) = self.peek() else {
            return Ok(Token::End);
        };
        match c {
            '{' | '}' | '[' | ']' | ',' | '|' | '/' | '-' | '+' | ':' => {
                self.bump();
                Ok(Token::Mark(c))
            }
            '<' | '>' => self.binary_mark(at),
            '.' => self.dot(at),
            '"' => self.string(at),
            '\'' => self.quoted_atom(at),
            '$' => self.character(at),
            '0'..='9' => self.number(at),
            _ if starts_atom(c) => self.atom(at),
            'A'..='Z' | '_' => Err(self.variable(at)),
            _ => Err(at.syntax(unexpected(c))),
        }
    }

    fn binary_mark(&mut self, at: Position) -> Result<Token, AclError> {
        let token = if self.rest().starts_with("<<") {
            Token::BinaryOpen
        } else if self.rest().starts_with(">>") {
            Token::BinaryClose
        } else {
            return Err(at.syntax("a single \"<\" or \">\": a binary is written <<\"text\">>"));
        };
        self.bump();
        self.bump();
        Ok(token)
    }

    fn dot(&mut self, at: Position) -> Result<Token, AclError> {
        self.bump();
        match self.peek() {
            None | Some('%') => Ok(Token::Dot),
            Some(c) if is_blank(c) => Ok(Token::Dot),
            Some(_) => Err(at.syntax("write a blank or a new line behind \".\"")),
        }
    }

    fn string(&mut self, at: Position) -> Result<Token, AclError> {
        if self.rest().starts_with("\"\"\"") {
            return Err(at.syntax("strings in three quotes are not known; write \"text\""));
        }
        self.quoted('"', at, "string").map(Token::Text)
    }

    fn quoted_atom(&mut self, at: Position) -> Result<Token, AclError> {
        let name = self.quoted('\'', at, "quoted word")?;
        if name.chars().count() > MAX_ATOM_CHARS {
            return Err(at.syntax("a word in single quotes is longer than 255 characters"));
        }
        Ok(Token::Atom(name))
    }

    fn quoted(&mut self, quote: char, at: Position, what: &str) -> Result<String, AclError> {
        self.bump();
        let mut text = String::new();
        loop {
            let here = self.position;
            match self.bump() {
                Some(c) if c == quote => return Ok(text),
                Some('\\') => text.push(self.escape(here)?),
                Some(c) => text.push(c),
                None => return Err(at.syntax(format!("the {what} that starts here is not closed"))),
            }
        }
    }

    /// The character that a backslash and what follows it stand for. Unknown escapes drop the
    /// backslash; that, and `\d` or `\s`, is rarely meant, so it is noted.
    fn escape(&mut self, at: Position) -> Result<char, AclError> {
        let unfinished = || at.syntax("a backslash at the end of the file");
        let c = self.bump().ok_or_else(unfinished)?;
        let known = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'e' => '\u{1b}',
            '\\' | '"' | '\'' | '\n' | '\r' => c,
            'b' => self.odd_escape(c, '\u{8}', "is the backspace character", at),
            's' => self.odd_escape(c, ' ', "is one blank", at),
            'd' => self.odd_escape(c, '\u{7f}', "is the DEL character", at),
            '0'..='7' => return self.octal(c, at),
            'x' => return self.hexadecimal(at),
            '^' => {
                let control = self.bump().ok_or_else(unfinished)?;
                match u8::try_from(control) {
                    Ok(byte @ 0x40..=0x7f) => char::from(byte & 0x1f),
                    _ => return Err(at.syntax("\\^ needs a letter behind it")),
                }
            }
            _ => self.odd_escape(c, c, "drops the backslash", at),
        };
        Ok(known)
    }

    fn odd_escape(&mut self, written: char, meant: char, what: &str, at: Position) -> char {
        let problem = format!(
            "\\{written} in a string {what}; a regular expression needs two backslashes: \\\\{written}"
        );
        self.warnings.push(at.warning(WarningKind::Escape, problem));
        meant
    }

    fn octal(&mut self, first: char, at: Position) -> Result<char, AclError> {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            value = value * 8 + digit;
            self.bump();
        }
        char::from_u32(value).ok_or_else(|| at.syntax("not a character"))
    }

    fn hexadecimal(&mut self, at: Position) -> Result<char, AclError> {
        let digits = if self.peek() == Some('{') {
            self.bump();
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            if self.bump() != Some('}') {
                return Err(at.syntax("\\x{ is not closed by \"}\""));
            }
            digits
        } else {
            let digits = self.rest().get(..2).unwrap_or_default();
            self.bump();
            self.bump();
            digits
        };
        let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| all_hex)
            .and_then(char::from_u32)
            .ok_or_else(|| at.syntax("\\x needs the code of a character, as in \\x41 or \\x{416}"))
    }

    /// `$c`: the code of a character.
    fn character(&mut self, at: Position) -> Result<Token, AclError> {
        self.bump();
        let here = self.position;
        let c = match self.bump() {
            Some('\\') => self.escape(here)?,
            Some(c) => c,
            None => return Err(at.syntax("\"$\" needs a character behind it")),
        };
        Ok(Token::Integer(i64::from(u32::from(c))))
    }

    fn number(&mut self, at: Position) -> Result<Token, AclError> {
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '_');
        let next = self.peek();
        let fraction = self
            .rest()
            .chars()
            .nth(1)
            .is_some_and(|c| c.is_ascii_digit());
        if next == Some('#') || (next == Some('.') && fraction) {
            return Err(at.syntax("only whole decimal numbers are known"));
        }
        if next.is_some_and(continues_atom) {
            return Err(at.syntax("a number runs into a word; write text in double quotes"));
        }
        let value = digits
            .bytes()
            .filter(u8::is_ascii_digit)
            .fold(0_i64, |value, digit| {
                value
                    .saturating_mul(10)
                    .saturating_add(i64::from(digit - b'0'))
            });
        Ok(Token::Integer(value))
    }

    fn atom(&mut self, at: Position) -> Result<Token, AclError> {
        let name = self.take_while(continues_atom);
        if RESERVED.contains(&name) {
            return Err(at.syntax(format!(
                "\"{name}\" is a reserved word here; write '{name}'"
            )));
        }
        if name.chars().count() > MAX_ATOM_CHARS {
            return Err(at.syntax("a word is longer than 255 characters"));
        }
        Ok(Token::Atom(name.to_owned()))
    }

    fn variable(&mut self, at: Position) -> AclError {
        let name = self.take_while(continues_atom);
        let lower = name.to_lowercase();
        let advice = match lower.as_str() {
            "and" | "or" => format!("'{lower}'"),
            "allow" | "deny" | "all" | "publish" | "subscribe" | "user" | "username" | "client"
            | "clientid" | "client_attr" | "ipaddr" | "ipaddrs" | "zone" | "listener" | "eq"
            | "re" | "qos" | "retain" | "true" | "false" | "legacy" | "hardened"
            | "security_profile" => lower,
            _ => format!("\"{name}\""),
        };
        at.syntax(format!(
            "{name} starts with a capital or \"_\", which makes it a variable; write {advice}"
        ))
    }
}

fn unexpected(c: char) -> String {
    match c {
        '“' | '”' | '„' | '‟' | '«' | '»' => {
            format!("{c} is a typographic quote; write a plain \"")
        }
        '‘' | '’' | '‚' | '‛' | '`' | '´' => {
            format!("{c} is a typographic quote; write a plain ' or \"")
        }
        '#' => "\"#\" outside quotes: write topics as \"a/#\", comments behind %".to_owned(),
        '(' | ')' => "rules have no parentheses; write { and }".to_owned(),
        ';' | '=' => format!("\"{c}\" has no meaning here; parts are separated by \",\""),
        '~' => "strings with a sigil are not known; write \"text\"".to_owned(),
        c if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
        c => format!("\"{c}\" cannot stand here; write text in double quotes"),
    }
}

fn is_blank(c: char) -> bool {
    c <= ' ' || ('\u{80}'..='\u{a0}').contains(&c)
}

fn starts_atom(c: char) -> bool {
    c.is_ascii_lowercase() || ('ß'..='ÿ').contains(&c) && c != '÷'
}

fn continues_atom(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || c == '_'
        || c == '@'
        || ('À'..='ÿ').contains(&c) && c != '×' && c != '÷'
}
