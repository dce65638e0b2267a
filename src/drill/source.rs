//! A script's text before its grammar: comments, conditions and words that stand for others.
//!
//! *Owns* the text that is parsed, and the way back to the lines and columns of the file. *Does not*
//! know events. Invariant: a line of the text is a line of the file.
//!
//! Comments become blanks, and so does what a condition leaves out. In strings nothing is replaced;
//! in shell commands and code words are, but no comment begins there.

use std::collections::BTreeMap;

use super::error::SyntaxError;

/// The longest script. The longest that anybody was seen to write has some 60 kB.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// The longest text after its words were replaced.
const MAX_REPLACED: usize = 4 << 20;
/// How deep conditions may stand in one another.
const MAX_CONDITIONS: usize = 32;

/// Words and what stands for them; one with nothing is for conditions alone.
pub type Defines = BTreeMap<String, String>;

/// The text to be parsed.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    /// Where the text's line ends are.
    line_ends: Vec<usize>,
    /// Where a replaced word ends, and by how many characters it grew.
    shifts: Vec<(usize, i64)>,
    /// What the script itself defined, and what it was given.
    defines: Defines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Normal,
    Text,
    Shell,
    Code,
}

/// One `#ifdef` that is open.
#[derive(Clone, Copy, Debug)]
struct Condition {
    line: u32,
    /// Is this branch taken?
    taken: bool,
    /// Was there an `#else`?
    turned: bool,
}

impl Source {
    /// Reads `text` with these words defined.
    pub(super) fn new(text: &str, defines: &Defines) -> Result<Self, SyntaxError> {
        if text.len() > MAX_BYTES {
            let expected = format!("at most {MAX_BYTES} bytes");
            return Err(SyntaxError {
                line: 1,
                column: 1,
                expected,
                found: format!("{} bytes", text.len()),
            });
        }
        let mut reader = Reader {
            source: Self {
                text: String::with_capacity(text.len()),
                line_ends: Vec::new(),
                shifts: Vec::new(),
                defines: defines.clone(),
            },
            mode: Mode::Normal,
            in_comment: false,
            conditions: Vec::new(),
            line: 0,
        };
        for line in text.split_inclusive('\n') {
            reader.line += 1;
            reader.line(line)?;
        }
        let found = reader.source.text.match_indices('\n');
        reader.source.line_ends = found.map(|(at, _)| at).collect();
        reader.finish()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line in the file of a byte of the text: looked up, since every event and statement has one.
    pub(super) fn line(&self, at: usize) -> u32 {
        count(self.lines_before(at)) + 1
    }

    fn lines_before(&self, at: usize) -> usize {
        self.line_ends.partition_point(|&end| end < at)
    }

    /// The line and column in the file of a byte of the text.
    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = self.lines_before(before.len());
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[start..].chars().count();
        let first = self.shifts.partition_point(|&(end, _)| end <= start);
        let last = self.shifts.partition_point(|&(end, _)| end <= at);
        let grown: i64 = self.shifts[first..last].iter().map(|&(_, by)| by).sum();
        let column = i64::try_from(column).unwrap_or(i64::MAX) - grown;
        (
            count(line) + 1,
            u32::try_from(column.max(0)).unwrap_or(u32::MAX) + 1,
        )
    }
}

struct Reader {
    source: Source,
    mode: Mode,
    in_comment: bool,
    conditions: Vec<Condition>,
    line: u32,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), SyntaxError> {
        let start = line.trim_start();
        if self.mode == Mode::Normal && !self.in_comment {
            if start.starts_with('#') {
                self.directive(line)?;
                return self.blank(line);
            }
            if self.is_taken()
                && let Some(option) = start.strip_prefix("--")
            {
                self.define(option);
                return self.keep_option(line);
            }
        }
        if self.is_taken() {
            self.keep(line)
        } else {
            self.blank(line)
        }
    }

    fn is_taken(&self) -> bool {
        self.conditions.iter().all(|condition| condition.taken)
    }

    fn directive(&mut self, line: &str) -> Result<(), SyntaxError> {
        let mut words = line.split("//").next().unwrap_or(line).split_whitespace();
        let name = words.next().unwrap_or_default();
        let word = words.next();
        match (name, word) {
            ("#ifdef" | "#ifndef", Some(word)) if self.conditions.len() < MAX_CONDITIONS => {
                let defined = self.source.defines.contains_key(word);
                self.conditions.push(Condition {
                    line: self.line,
                    taken: defined == (name == "#ifdef"),
                    turned: false,
                });
            }
            ("#ifdef" | "#ifndef", Some(_)) => {
                let expected = format!("at most {MAX_CONDITIONS} conditions in one another");
                return Err(self.error(line, &expected));
            }
            ("#ifdef" | "#ifndef", None) => return Err(self.error(line, "a word behind it")),
            ("#else", None) => match self.conditions.last_mut() {
                Some(condition) if !condition.turned => {
                    condition.taken = !condition.taken;
                    condition.turned = true;
                }
                _ => return Err(self.error(line, "an `#ifdef` before it")),
            },
            ("#endif", None) => {
                if self.conditions.pop().is_none() {
                    return Err(self.error(line, "an `#ifdef` before it"));
                }
            }
            _ => {
                let expected = "`#ifdef WORD`, `#ifndef WORD`, `#else` or `#endif`";
                return Err(self.error(line, expected));
            }
        }
        Ok(())
    }

    /// `--name=WORD=value` defines a word for the lines behind it.
    fn define(&mut self, option: &str) {
        for option in option.split_whitespace() {
            let mut parts = option.splitn(3, '=');
            let (_, word, value) = (parts.next(), parts.next(), parts.next());
            if let (Some(word), Some(value)) = (word, value)
                && is_word(word)
            {
                self.source.defines.insert(word.into(), value.into());
            }
        }
    }

    /// Options stand as they are: what they define is not replaced in them.
    fn keep_option(&mut self, line: &str) -> Result<(), SyntaxError> {
        let defines = core::mem::take(&mut self.source.defines);
        let kept = self.keep(line);
        self.source.defines = defines;
        kept
    }

    fn blank(&mut self, line: &str) -> Result<(), SyntaxError> {
        let blanks = line.chars().map(|c| if c == '\n' { '\n' } else { ' ' });
        self.source.text.extend(blanks);
        self.check_length(line)
    }

    fn keep(&mut self, line: &str) -> Result<(), SyntaxError> {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let taken = self.step(rest, first);
            rest = rest.get(taken..).unwrap_or_default();
            // One line may hold the longest word many times.
            self.check_length(line)?;
        }
        Ok(())
    }

    /// Takes a piece of the line in; returns how many bytes of it.
    fn step(&mut self, rest: &str, first: char) -> usize {
        if self.in_comment {
            let ends = rest.starts_with("*/");
            self.in_comment = !ends;
            return self.blanks(rest, if ends { 2 } else { first.len_utf8() });
        }
        if self.mode == Mode::Normal {
            if rest.starts_with("//") {
                return self.blanks(rest, rest.trim_end_matches('\n').len());
            }
            if rest.starts_with("/*") {
                self.in_comment = true;
                return self.blanks(rest, 2);
            }
        }
        let next = match (self.mode, first) {
            (Mode::Normal, '"') => Mode::Text,
            (Mode::Normal, '`') => Mode::Shell,
            (Mode::Text, '"') | (Mode::Shell, '`') => Mode::Normal,
            (Mode::Normal, '%') if rest.starts_with("%{") => Mode::Code,
            (Mode::Code, '}') if rest.starts_with("}%") => Mode::Normal,
            // No string is longer than its line.
            (Mode::Text, '\n') => Mode::Normal,
            (mode, _) => mode,
        };
        if next != self.mode {
            self.mode = next;
            return self.copy(rest, first.len_utf8());
        }
        if self.mode == Mode::Text && first == '\\' {
            let escaped = rest[1..].chars().next().filter(|&c| c != '\n');
            return self.copy(rest, 1 + escaped.map_or(0, char::len_utf8));
        }
        let word = word_at(rest);
        if word.is_empty() {
            return self.copy(rest, first.len_utf8());
        }
        if self.mode != Mode::Text
            && let Some(value) = self.source.defines.get(word)
            && !value.is_empty()
        {
            let value = value.replace(['\n', '\r'], " ");
            let grown = signed(value.chars().count()) - signed(word.chars().count());
            self.source.text.push_str(&value);
            self.source.shifts.push((self.source.text.len(), grown));
            return word.len();
        }
        self.copy(rest, word.len())
    }

    fn copy(&mut self, rest: &str, len: usize) -> usize {
        self.source.text.push_str(rest.get(..len).unwrap_or(rest));
        len
    }

    fn blanks(&mut self, rest: &str, len: usize) -> usize {
        let blanked = rest.get(..len).unwrap_or(rest);
        let blanks = blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' });
        self.source.text.extend(blanks);
        len
    }

    fn check_length(&self, line: &str) -> Result<(), SyntaxError> {
        if self.source.text.len() > MAX_REPLACED {
            let expected = format!("at most {MAX_REPLACED} bytes with all words replaced");
            return Err(self.error(line, &expected));
        }
        Ok(())
    }

    fn finish(self) -> Result<Source, SyntaxError> {
        if let Some(open) = self.conditions.last() {
            return Err(SyntaxError {
                line: self.line,
                column: 1,
                expected: format!("an `#endif` for line {}", open.line),
                found: "the end".into(),
            });
        }
        Ok(self.source)
    }

    fn error(&self, line: &str, expected: &str) -> SyntaxError {
        let column = line.len() - line.trim_start().len();
        SyntaxError {
            line: self.line,
            column: count(column) + 1,
            expected: expected.into(),
            found: format!("`{}`", shortened(line.trim())),
        }
    }
}

/// The first so many characters of what is shown to a reader.
pub(super) fn shortened(text: &str) -> &str {
    text.char_indices()
        .nth(40)
        .map_or(text, |(end, _)| &text[..end])
}

pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && word_at(text).len() == text.len()
}

/// The word that `rest` begins with, or nothing. A number is no word, and hides the letters behind it.
fn word_at(rest: &str) -> &str {
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    &rest[..end]
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defines(list: &[(&str, &str)]) -> Defines {
        let pair = |&(a, b): &(&str, &str)| (a.to_owned(), b.to_owned());
        list.iter().map(pair).collect()
    }

    fn text(script: &str, list: &[(&str, &str)]) -> String {
        Source::new(script, &defines(list)).unwrap().text
    }

    #[test]
    fn comments_become_blanks_outside_of_strings_shell_and_code() {
        assert_eq!(text("a // b\nc", &[]), "a     \nc");
        assert_eq!(text("a /* b\n * c */ d", &[]), "a     \n        d");
        assert_eq!(text("\"a // b\" c", &[]), "\"a // b\" c");
        assert_eq!(text("`ls // b` c", &[]), "`ls // b` c");
        assert_eq!(text("%{ 7 // 2 }% // c", &[]), "%{ 7 // 2 }%     ");
        assert_eq!(text("\"a \\\" // b\" // c", &[]), "\"a \\\" // b\"     ");
    }

    #[test]
    fn words_are_replaced_whole_and_never_in_strings() {
        let list = [("CC", "cubic"), ("N", "3")];
        assert_eq!(text("CC CCC N1 N+1", &list), "cubic CCC N1 3+1");
        assert_eq!(text("\"CC\" `x CC`", &list), "\"CC\" `x cubic`");
        assert_eq!(text("--define=N=4\nN", &list), "--define=N=4\n4");
    }

    #[test]
    fn conditions_choose_lines_and_nest() {
        let script = "#ifdef A\n1\n#ifndef B\n2\n#else\n3\n#endif\n#else\n4\n#endif\n5";
        let kept = |list: &[(&str, &str)]| {
            let text = text(script, list);
            text.split_whitespace().collect::<Vec<_>>().join("")
        };
        assert_eq!(kept(&[]), "45");
        assert_eq!(kept(&[("A", "")]), "125");
        assert_eq!(kept(&[("A", ""), ("B", "")]), "135");
    }

    #[test]
    fn what_is_wrong_with_conditions_is_told_with_its_line() {
        let table = [
            ("\n#else", 2, "an `#ifdef` before it"),
            ("#endif", 1, "an `#ifdef` before it"),
            ("#ifdef A\n#else\n#else", 3, "an `#ifdef` before it"),
            ("#ifdef", 1, "a word behind it"),
            ("a\n#ifdef A\nb", 3, "an `#endif` for line 2"),
            (
                "#include <x>",
                1,
                "`#ifdef WORD`, `#ifndef WORD`, `#else` or `#endif`",
            ),
        ];
        for (script, line, expected) in table {
            let error = Source::new(script, &Defines::new()).unwrap_err();
            assert_eq!((error.line, error.expected.as_str()), (line, expected));
        }
    }

    #[test]
    fn places_are_those_of_the_file_though_words_grew() {
        let source = Source::new("a\nN b N c", &defines(&[("N", "1234")])).unwrap();
        assert_eq!(source.text(), "a\n1234 b 1234 c");
        let at = |what: &str| source.place(source.text().find(what).unwrap());
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("b"), (2, 3));
        assert_eq!(at("c"), (2, 7));
    }

    #[test]
    fn a_script_that_grows_without_end_is_refused() {
        let long = "x".repeat(5000);
        let script = "N ".repeat(1000) + "\n";
        let error = Source::new(&script, &defines(&[("N", &long)])).unwrap_err();
        assert!(error.expected.contains("replaced"), "{error}");
        // The words of one line, of which the whole would take hundreds of gigabytes.
        let script = format!("--define=N={long}{long}\n{}", "N ".repeat(400_000));
        let script = script.replace(&long, &"x".repeat(100_000));
        let error = Source::new(&script, &Defines::new()).unwrap_err();
        assert!(error.expected.contains("replaced"), "{error}");
        let error = Source::new(&" ".repeat(MAX_BYTES + 1), &Defines::new()).unwrap_err();
        assert!(error.expected.contains("at most"), "{error}");
    }
}
