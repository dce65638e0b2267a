//! Scripts: any text gives a verdict, in bounded time, and the same one twice.

use netloom::drill::{Defines, Drill, Profile, Script, Variant, Verdict};

/// Input: a byte for the profile and the variant, then the script.
pub fn run(input: &[u8]) {
    let [choice, text @ ..] = input else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let parsed = Script::parse(&text, &Defines::new());
    if let Err(error) = &parsed {
        let lines = text.matches('\n').count() + 1;
        assert!(error.line as usize <= lines, "{error}");
        assert!(!error.expected.is_empty() && error.column > 0, "{error}");
    }
    let profile = match choice % 3 {
        0 => Profile::linux(),
        1 => Profile::freebsd(),
        _ => Profile::rfc(),
    };
    let variant = Variant::ALL[usize::from(choice / 3) % Variant::ALL.len()];
    let drill = Drill::new(profile);
    let outcome = drill.run(&text, variant);
    assert_eq!(outcome, drill.run(&text, variant));
    if let Some(outcome) = outcome {
        let strict = outcome.verdict == Verdict::StrictPass;
        assert_eq!(outcome.cause.is_none(), strict, "{outcome:?}");
        assert!(outcome.history.len() <= 10, "{outcome:?}");
        // What the words of a profile change may be right where the bare text is not.
        if parsed.is_err() && !text.contains("#if") {
            assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
        }
    }
}
