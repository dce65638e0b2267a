//! What `cargo bench --bench linux` keeps of a sweep that is made in pieces, and the table that comes of it.

#[path = "../../benches/linux/kept.rs"]
mod kept;

use std::fs;
use std::path::{Path, PathBuf};

use kept::{Cells, Kept, Line, Sum, Verdict};

const BY: &str = "linux bench, build 1";

fn line(verdict: Verdict, title: &str) -> Line {
    Line {
        verdict,
        title: title.to_owned(),
        figures: "94.0 | 93.0 | 0.99 | 0.98 to 1.00 | >= 0.95".to_owned(),
        notes: "0.15".to_owned(),
    }
}

/// A fresh file of that name; `remove` it.
fn file(name: &str) -> PathBuf {
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_file(&file);
    file
}

/// Behind the end of a program all of its cells are there; what is void or failed is to be measured again, and gives way
/// when it was.
#[test]
fn a_sweep_goes_on_where_it_ended() {
    let to = file("sweep");
    let verdicts = [
        ("clean", Verdict::Met, true),
        ("jitter", Verdict::Missed, true),
        ("queue", Verdict::Told, true),
        ("loss", Verdict::Void, false),
        ("bursts", Verdict::Failed, false),
    ];
    for (title, verdict, _) in verdicts {
        // A program of its own for each.
        let mut kept = Kept::open(&to, BY.to_owned()).unwrap();
        // One row of a cell that is void makes all of it void.
        let lines = vec![line(Verdict::Met, title), line(verdict, title)];
        kept.put(title, lines).unwrap();
    }
    let mut kept = Kept::open(&to, BY.to_owned()).unwrap();
    for (title, _, done) in verdicts {
        assert_eq!(kept.cells.is_done(title), done, "{title}");
    }
    assert!(!kept.cells.is_done("reordering"));
    kept.put("loss", vec![line(Verdict::Met, "loss")]).unwrap();
    let kept = Kept::open(&to, BY.to_owned()).unwrap();
    assert!(kept.cells.is_done("loss"));
    let text = fs::read_to_string(&to).unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    fs::remove_file(to).unwrap();
}

/// An error's text does not break the file, and what it says is there again.
#[test]
fn what_is_read_is_what_was_written() {
    let mut cells = Cells::default();
    let mut failed = line(Verdict::Failed, "a");
    failed.notes = "no\troom:\nnone".to_owned();
    cells.put("a", vec![failed, line(Verdict::Void, "a, marks")]);
    cells.put("b", vec![line(Verdict::Missed, "b")]);
    let text = cells.text(BY);
    let read = Cells::parse(&text, BY).unwrap();
    assert_eq!(read.text(BY), text);
    let plan = [("x", "a"), ("x", "b")].map(|(head, title)| (head.to_owned(), title.to_owned()));
    let (table, _) = read.table(&plan);
    assert!(table.contains("| FAILED | no room: none |\n"), "{table}");
}

/// Cells of another build say nothing of this one, and a file that is no sweep is not overwritten.
#[test]
fn a_file_of_another_build_is_refused() {
    let to = file("other");
    let mut kept = Kept::open(&to, BY.to_owned()).unwrap();
    kept.put("a", vec![line(Verdict::Met, "a")]).unwrap();
    let error = Kept::open(&to, "linux bench, build 2".to_owned()).unwrap_err();
    assert!(
        error.contains("build 1") && error.contains("build 2"),
        "{error}"
    );
    for broken in [
        "",
        "a b c\n",
        "linux bench, build 1\na\n",
        "linux bench, build 1\na\tmet\ta\n",
    ] {
        fs::write(&to, broken).unwrap();
        assert!(Kept::open(&to, BY.to_owned()).is_err(), "{broken:?}");
        assert_eq!(fs::read_to_string(&to).unwrap(), broken);
    }
    fs::remove_file(to).unwrap();
}

/// The table has the order of the plan, a head for each of its parts, and as many columns in a row as in its head; what
/// was not asked for is not in it, and what is not there is told.
#[test]
fn the_table_has_the_order_of_the_plan() {
    let mut cells = Cells::default();
    for (title, verdict) in [
        ("c", Verdict::Missed),
        ("a", Verdict::Met),
        ("other", Verdict::Missed),
        ("b", Verdict::Void),
    ] {
        cells.put(title, vec![line(verdict, title)]);
    }
    let plan = [("x", "a"), ("x", "b"), ("y", "c"), ("y", "d")];
    let plan = plan.map(|(head, title)| (head.to_owned(), title.to_owned()));
    let (table, sum) = cells.table(&plan);
    let firsts: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    assert_eq!(firsts, ["x", "a", "b", "y", "c"]);
    let columns = |line: &str| line.matches('|').count();
    let rows = table.lines().filter(|line| !line.is_empty());
    assert!(rows.clone().all(|line| columns(line) == 9), "{table}");
    let expected = Sum {
        rows: 3,
        missed: vec!["c".to_owned()],
        void: vec!["b".to_owned()],
        absent: vec!["d".to_owned()],
    };
    assert_eq!(sum, expected);
    assert!(sum.is_missed());
    let said = "3 rows: 1 missed, 1 void; cells not measured: 1.\n\nMissed: c.\n\nVoid: b.\n\nNot measured: d.\n";
    assert_eq!(sum.to_string(), said);
}

/// A machine that was late everywhere has told nothing: it fails nobody.
#[test]
fn a_void_row_is_no_missed_goal() {
    let mut cells = Cells::default();
    cells.put("a", vec![line(Verdict::Void, "a")]);
    let (_, sum) = cells.table(&[("x".to_owned(), "a".to_owned())]);
    assert!(!sum.is_missed());
    assert_eq!(sum.to_string(), "1 rows: 0 missed, 1 void.\n\nVoid: a.\n");
}
