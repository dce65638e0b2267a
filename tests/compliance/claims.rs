//! What tests say they show: `Covers: TCP-17, TS-2 (a word on it)` in the comment above a test, or in a script.

use crate::Source;
use crate::requirements::is_id;

/// A test and the items that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) path: String,
    pub(crate) test: String,
    pub(crate) ids: Vec<String>,
}

const MARK: &str = "Covers:";

/// The claims of all tests and scripts.
///
/// # Errors
/// Claims that no test makes, or that cannot be read.
pub(crate) fn all(sources: &[Source]) -> Result<Vec<Claim>, String> {
    let (mut claims, mut wrong) = (Vec::new(), Vec::new());
    for source in sources {
        let found = match source.path.strip_suffix(".pkt") {
            Some(path) => in_script(path, &source.text),
            None => in_rust(&source.path, &source.text),
        };
        for claim in found {
            match claim {
                Ok(claim) => claims.push(claim),
                Err(why) => wrong.push(format!("{}: {why}", source.path)),
            }
        }
    }
    if wrong.is_empty() {
        Ok(claims)
    } else {
        Err(wrong.join("\n"))
    }
}

/// A script is a test, whose name is the file's.
fn in_script(path: &str, text: &str) -> Vec<Result<Claim, String>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let comment: String = text.lines().filter_map(comment_of).collect();
    ids_of(&comment)
        .map(|ids| {
            ids.map(|ids| Claim {
                path: format!("{path}.pkt"),
                test: name.to_string(),
                ids,
            })
        })
        .into_iter()
        .collect()
}

/// The text of a line that is a comment, and a space.
fn comment_of(line: &str) -> Option<String> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(format!("{} ", text.trim_start_matches(['/', '!']).trim()))
}

fn in_rust(path: &str, text: &str) -> Vec<Result<Claim, String>> {
    let mut claims = Vec::new();
    let (mut comment, mut attributes) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(text) = comment_of(line) {
            comment.push_str(&text);
        } else if line.trim_start().starts_with("#[") {
            attributes.push_str(line.trim());
        } else if line.trim().is_empty() && !comment.contains(MARK) {
            comment.clear();
        } else {
            if let Some(ids) = ids_of(&comment) {
                let test = test_of(path, text, line, &attributes);
                claims.push(match (test, ids) {
                    (Ok(test), Ok(ids)) => Ok(Claim {
                        path: path.to_string(),
                        test,
                        ids,
                    }),
                    (_, Err(why)) => Err(why),
                    (Err(why), Ok(ids)) => Err(format!("{}: {why}", ids.join(", "))),
                });
            }
            comment.clear();
            attributes.clear();
        }
    }
    claims
}

/// The name of the test whose function begins on this line of the file.
fn test_of(path: &str, text: &str, line: &str, attributes: &str) -> Result<String, &'static str> {
    let name = name_of(line).ok_or("no test follows it")?;
    if attributes.contains("#[ignore") {
        return Err("the test that follows is ignored");
    }
    // The kernel tier has a `main` of its own: tests stand in lists, or `cases` makes them, which are
    // named after the file.
    let file = path
        .strip_prefix("tests/kernel/")
        .and_then(|file| file.strip_suffix(".rs"));
    if file.is_some() && name == "cases" {
        return Ok(format!("kernel {}::", file.unwrap_or_default()));
    }
    let listed = file.is_some() && text.matches(name).count() > 1;
    if listed || attributes.contains("#[test]") {
        return Ok(name.to_string());
    }
    Err("what follows is no test")
}

/// The name of the function that begins on this line.
fn name_of(line: &str) -> Option<&str> {
    let rest = line.trim_start().trim_start_matches("pub(crate) ");
    let rest = rest.strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

/// The list behind the mark: ids with commas between them, each perhaps with words in parentheses.
fn ids_of(comment: &str) -> Option<Result<Vec<String>, String>> {
    let (_, mut rest) = comment.split_once(MARK)?;
    if rest.contains(MARK) {
        return Some(Err("one comment, one list".into()));
    }
    let mut ids = Vec::new();
    loop {
        rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .unwrap_or(rest.len());
        let word = &rest[..end];
        if !is_id(word) {
            let shown: String = rest.chars().take(20).collect();
            return Some(Err(format!("{shown:?} is no id")));
        }
        ids.push(word.to_string());
        rest = without_parentheses(&rest[end..]);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some(Ok(ids)),
        }
    }
}

/// What follows ` (words (and words))`, or the same text.
fn without_parentheses(text: &str) -> &str {
    let trimmed = text.trim_start();
    if !trimmed.starts_with('(') {
        return text;
    }
    let mut depth = 0;
    for (at, c) in trimmed.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &trimmed[at + 1..];
        }
    }
    ""
}

#[test]
fn lists_are_read_to_their_end() {
    let ids = |text: &str| ids_of(text).unwrap();
    let good = |text: &str| ids(text).unwrap().join(" ");
    assert_eq!(ids_of("nothing"), None);
    assert_eq!(good("Covers: TCP-1"), "TCP-1");
    assert_eq!(good("r01. Covers: TCP-1, IP4-2. And TS-3"), "TCP-1 IP4-2");
    assert_eq!(
        good("Covers: TCP-1 (MUST-1, (x)), TS-2 (r01): IP4-3"),
        "TCP-1 TS-2"
    );
    assert_eq!(good("Covers: TCP-1 (what never ends"), "TCP-1");
    assert_eq!(
        ids("Covers: TCP-1, RFC 1").unwrap_err(),
        "\"RFC 1\" is no id"
    );
    assert_eq!(ids("Covers: ").unwrap_err(), "\"\" is no id");
    assert_eq!(
        ids("Covers: A-1. Covers: A-2").unwrap_err(),
        "one comment, one list"
    );
}

#[test]
fn only_tests_that_run_may_claim() {
    let read = |path: &str, text: &str| {
        let claims = in_rust(path, text).into_iter();
        let show = |claim: Claim| format!("{}: {}", claim.test, claim.ids.join(" "));
        claims.map(|claim| claim.map(show)).collect::<Vec<_>>()
    };
    let err = |why: &str| vec![Err::<String, _>(why.to_string())];
    let text = "/// Words.\n///\n/// Covers: A-1,\n/// B-2\n#[test]\nfn one() {}\n\nfn two() {}\n";
    assert_eq!(read("src/a.rs", text), [Ok("one: A-1 B-2".to_string())]);
    assert_eq!(
        read("src/a.rs", "// Covers: A-1\nfn a() {}"),
        err("A-1: what follows is no test")
    );
    assert_eq!(
        read("src/a.rs", "//! Covers: A-1\n\nuse x;"),
        err("A-1: no test follows it")
    );
    let ignored = "/// Covers: A-1\n#[test]\n#[ignore = \"slow\"]\nfn a() {}";
    assert_eq!(
        read("src/a.rs", ignored),
        err("A-1: the test that follows is ignored")
    );
    let listed = "const T: &[Test] = &[(\"a\", a)];\n/// Covers: A-1\nfn a() {}";
    assert_eq!(
        read("tests/kernel/a.rs", listed),
        [Ok("a: A-1".to_string())]
    );
    assert_eq!(
        read("tests/kernel/a.rs", "/// Covers: A-1\nfn abc() {}"),
        err("A-1: what follows is no test")
    );
    let made = "/// Covers: A-1\npub(crate) fn cases() -> Vec<Case> {";
    assert_eq!(
        read("tests/kernel/b.rs", made),
        [Ok("kernel b::: A-1".to_string())]
    );
    assert_eq!(
        read("tests/a.rs", made),
        err("A-1: what follows is no test")
    );
    let inside = "proptest! {\n    /// Covers: A-1 (x).\n    #[test]\n    fn p(a in 0..3) {}\n}";
    assert_eq!(read("src/a.rs", inside), [Ok("p: A-1".to_string())]);
}

#[test]
fn a_script_claims_by_its_comment() {
    let text = "// Covers: A-1 (a text\n// on two lines), B-2\n+0 < S 0:0(0) win 1\n";
    let claim = Claim {
        path: "tests/scripts/b.pkt".into(),
        test: "b".into(),
        ids: vec!["A-1".into(), "B-2".into()],
    };
    assert_eq!(in_script("tests/scripts/b", text), [Ok(claim)]);
    assert_eq!(in_script("tests/scripts/b", "+0 < S 0:0(0) win 1\n"), []);
}
