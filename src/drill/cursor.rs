//! A place in a script's text, and what can be read from there.
//!
//! *Owns* the place. *Does not* know the grammar: it reads words, numbers and signs.

use super::error::SyntaxError;
use super::source::{Source, shortened};

pub(super) struct Cursor<'a> {
    source: &'a Source,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        let end = source.text().len();
        Self { source, at: 0, end }
    }

    /// One that reads what lies between two places of the same text.
    pub(super) const fn within(&self, at: usize, end: usize) -> Self {
        Self {
            source: self.source,
            at,
            end,
        }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn line(&self) -> u32 {
        self.source.line(self.at)
    }

    pub(super) fn rest(&self) -> &'a str {
        self.source
            .text()
            .get(self.at..self.end)
            .unwrap_or_default()
    }

    /// The text from `start` up to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.source.text().get(start..self.at).unwrap_or_default()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn starts_with(&self, sign: &str) -> bool {
        self.rest().starts_with(sign)
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.end);
    }

    /// Over blanks and new lines.
    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
    }

    /// Over blanks of this line.
    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        let kept = rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
        self.advance(rest.len() - kept.len());
    }

    /// Takes `sign` when it is next.
    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = self.starts_with(sign);
        if found {
            self.advance(sign.len());
        }
        found
    }

    /// Takes `word` when it is the whole next word.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == word;
        if found {
            self.advance(word.len());
        }
        found
    }

    /// Takes `sign` after blanks.
    pub(super) fn expect(&mut self, sign: &str) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.error(&format!("`{sign}`")))
    }

    /// Letters, digits and underscores from here on.
    pub(super) fn peek_word(&self) -> &'a str {
        self.peek_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn peek_while(&self, is_in: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_in(c)).unwrap_or(rest.len());
        &rest[..end]
    }

    pub(super) fn take_while(&mut self, is_in: impl Fn(char) -> bool) -> &'a str {
        let taken = self.peek_while(is_in);
        self.advance(taken.len());
        taken
    }

    /// A word that begins with a letter.
    pub(super) fn word(&mut self, expected: &str) -> Result<&'a str, SyntaxError> {
        self.skip_space();
        let word = self.peek_word();
        if !word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(self.error(expected));
        }
        self.advance(word.len());
        Ok(word)
    }

    /// A number without sign, decimal or behind `0x`, of at most `max`.
    pub(super) fn number(&mut self, expected: &str, max: u64) -> Result<u64, SyntaxError> {
        self.skip_space();
        let word = self.peek_word();
        let value = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => word.parse::<u64>().ok(),
        };
        match value {
            Some(value) if value <= max => {
                self.advance(word.len());
                Ok(value)
            }
            Some(_) => Err(self.error(&format!("{expected} of at most {max}"))),
            None => Err(self.error(expected)),
        }
    }

    /// What stands between quotes of this kind, the first of which is next.
    pub(super) fn quoted(&mut self, quote: char, expected: &str) -> Result<String, SyntaxError> {
        if self.peek() != Some(quote) {
            return Err(self.error(expected));
        }
        self.advance(quote.len_utf8());
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest().char_indices() {
            match c {
                _ if escaped => {
                    text.push(c);
                    escaped = false;
                }
                '\\' if quote != '`' => escaped = true,
                _ if c == quote => {
                    self.advance(at + quote.len_utf8());
                    return Ok(text);
                }
                _ => text.push(c),
            }
        }
        self.at = self.end;
        Err(self.error(&format!("a closing `{quote}`")))
    }

    /// That something else was expected here.
    pub(super) fn error(&self, expected: &str) -> SyntaxError {
        let (line, column) = self.source.place(self.at);
        let word = self.peek_word();
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some('\n') => "the end of the line".to_owned(),
            Some(sign) if word.is_empty() => format!("`{sign}`"),
            Some(_) => format!("`{}`", shortened(word)),
        };
        SyntaxError {
            line,
            column,
            expected: expected.into(),
            found,
        }
    }
}
