//! Scripts that attack: each must end in a clear error within the bounds, never in a panic, and never outside its folder.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::thread;

use proptest::prelude::{any, proptest};
use proptest::{collection, prop_assert_eq};

use crate::tool::{Ended, ended};

/// Code that is not optimised takes some thirty times the stack of a component's, which tests of the built tool measure.
const STACK_BYTES: usize = 64 << 20;

fn run(script: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    let script = script.to_owned();
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || ended(place, &script, Vec::new()));
    thread.unwrap().join().unwrap()
}

/// The script meets a bound, and says which.
fn stopped(script: &str, because: &str) {
    let ended = run(script);
    let shown = format!("{script:.200}: {} {:.200} {:?}", ended.status, ended.stderr, ended.notes);
    assert_eq!(ended.status, 125, "{shown}");
    assert!(ended.notes.iter().any(|note| note.contains(because)), "{shown}");
}

/// The script is refused before it runs.
fn refused(script: &str, because: &str) {
    let ended = run(script);
    assert_eq!(ended.status, 2, "{script:.200}: {:.200}", ended.stderr);
    assert!(ended.stderr.contains(because), "{script:.200}: {:.200}", ended.stderr);
}

#[test]
fn what_stands_in_itself_for_ever_meets_a_bound() {
    stopped("f() { f; }; f", "deep in each other");
    stopped(&format!("f() {{ {}f{}; }}; f", "while true; do ".repeat(20), "; done".repeat(20)), "deep in each other");
    stopped(&format!("f() {{ : {}$(f){}; }}; f", "${x:-".repeat(40), "}".repeat(40)), "deep in each other");
    stopped(&format!("echo a | {}echo", "xargs ".repeat(1_000)), "deep in each other");
    stopped("f() { echo $(f); }; f", "deep in each other");
    stopped("f() { (f); }; f", "deep in each other");
    stopped("f() { f | cat; }; f", "deep in each other");
    stopped("x='eval \"$x\"'; eval \"$x\"", "deep in each other");
    stopped("echo '. ./s' > s; . ./s", "deep in each other");
    stopped("echo 'sh s' > s; sh s", "deep in each other");
}

/// The bounds are of bytes, so that long lines meet them as short ones do, and sooner in code that is not optimised.
#[test]
fn what_goes_on_for_ever_meets_a_bound() {
    let yes = format!("yes {}", "y".repeat(4_000));
    stopped(&yes, "the output has more than");
    stopped(&format!("x=$({yes})"), "the output of `$(…)` has more than");
    stopped("x=a; while :; do x=$x$x; done", "would have more than");
    stopped(
        &format!("i=0; while :; do eval x$i=$({yes} | head -c 200000 | tr -d '\\n'); i=$((i+1)); done"),
        "all variables together",
    );
    stopped(&format!("{yes} | tr -d '\\n' | grep x"), "a line has more than");
    stopped(&format!("{yes} | sort"), "holds its whole input");
}

#[test]
fn a_script_of_sed_that_goes_on_for_ever_meets_a_bound() {
    stopped("echo a | sed ':a;ba'", "steps for one line");
    stopped("echo a | sed ':a;s/.*/&&/;ta'", "sed holds more than");
}

#[test]
fn what_is_too_large_or_too_deep_is_an_error() {
    refused("echo {1..100000}", "words of one");
    refused(&"(".repeat(1_000), "stand in each other");
    refused(&"$(".repeat(1_000), "stand in each other");
    refused(&format!("echo $((1{}))", "+1".repeat(10_000)), "operators");
    refused(&format!("[[ a {} ]]", "&& a ".repeat(10_000)), "are joined");
    assert!(run(&format!("find . {}", "-name a ".repeat(1_000))).stderr.contains("tests and actions"));
    refused("sleep 1 &", "no background jobs");
    refused("cat <(ls)", "no process substitution");
    refused("echo {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "words of one");
    stopped("set -- $(seq 1 120000); set -- \"$@\" \"$@\"", "words");
    stopped("x=$(yes | head -c 1000000); set -- \"$x\" \"$x\"; while :; do set -- \"$@\" \"$@\"; done", "bytes");
    for script in [
        &format!("echo {{{}1..2}} | wc -c", "0".repeat(70_000)),
        "OPTIND=1:99; getopts '?:a' o; OPTIND=99999999999999999999:5; getopts '?a' o; echo x",
        "touch -d @9223372036854775807 f; date -d @-9223372036854775808; echo x",
        "echo {99999999999999999999..1} {1..9223372036854775807..9223372036854775807}; echo $((-9223372036854775807 - 1)) | wc -l",
        "printf '%s' a | xargs -I '' echo x; expr 9223372036854775807 + 1; seq 999999999999999999 999999999999999999 | wc -l",
    ] {
        let ended = run(script);
        assert!(
            ended.notes.is_empty() && !ended.stdout.is_empty() && ended.stdout.len() < 200,
            "{script:.100}: {ended:?}"
        );
    }
    let ended = run("printf '%99999d' 1");
    assert!(ended.stderr.contains("a width may be"), "{ended:?}");
}

#[test]
fn what_is_written_beyond_the_bound_is_counted() {
    let ended = run("seq 1 100000; echo end >&2");
    assert_eq!((ended.status, ended.stdout.len()), (0, 64 * 1024));
    assert_eq!(ended.notes, ["523359 more bytes of stdout were left out: use `head`, `grep` or a file"]);
    assert_eq!(ended.stderr, "end\n");
}

#[test]
fn unknown_options_and_commands_are_named() {
    for (script, said) in [
        ("ls --colour", "ls: unknown option `--colour`; `ls` here has: -1 -a"),
        ("sort -Q", "sort: unknown option `-Q`; `sort` here has: -n"),
        ("awk 1", "shell: awk: not found (this shell starts no programs"),
        ("grep 'a\\(b\\)\\1' x", "no back-references"),
        ("grep -P x", "unknown option `-P`"),
        ("find . -perm 644", "`-perm` is not known; there are -name"),
        ("echo x | sed 'k'", "the command `k` is not known; there are"),
        ("tail -f x", "unknown option `-f`"),
    ] {
        let ended = run(script);
        assert!(ended.status != 0 && ended.stderr.contains(said), "{script}: {ended:?}");
    }
}

#[test]
fn a_script_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().canonicalize().unwrap().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(folder.path().join("other"), "kept").unwrap();
    let came = ended(work.clone(), "echo a > f; rm -rf . .. ./. ; ls", Vec::new());
    assert_eq!((came.status, came.stdout.as_str()), (0, "f\n"), "{came:?}");
    assert_eq!(fs::read_to_string(folder.path().join("other")).unwrap(), "kept");
}

/// GNU's `rm` empties the folder that the link leads to, and then says that it is none.
#[cfg(unix)]
#[test]
fn a_link_with_a_slash_is_not_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    fs::create_dir(place.join("d")).unwrap();
    fs::write(place.join("d/f"), "kept").unwrap();
    std::os::unix::fs::symlink("d", place.join("l")).unwrap();
    let came = ended(place, "rm -r l/; rm -rf l/ || ls l d", Vec::new());
    assert_eq!(came.stdout, "d:\nf\n\nl:\nf\n", "{came:?}");
    assert_eq!(came.stderr, "rm: cannot remove 'l/': Not a directory\n".repeat(2));
}

#[test]
fn input_is_given_to_the_script() {
    let folder = tempfile::tempdir().unwrap();
    let came = ended(folder.path().to_owned(), "read a; echo \"$a\"; cat", b"one\ntwo\n".to_vec());
    assert_eq!(came.stdout, "one\ntwo\n");
}

proptest! {
    /// Whatever a script is, it ends, and not by a panic.
    #[test]
    fn any_text_ends(letters in collection::vec(0_usize..40, 0..40)) {
        const PIECES: [&str; 40] = [
            "echo ", "a", " ", "\n", ";", "|", "&&", "||", "(", ")", "{ ", "; }", "$(", "`", "\"", "'", "$x", "${x", "}", ":-", "%", "#",
            "$((", "))", "1+", "if ", "; then ", "; fi", "for i in ", "; do ", "; done", "case a in ", "a) ", ";; ", "esac", "<<E\n",
            "E\n", "> f ", "\\", "[[ ",
        ];
        let script: String = letters.into_iter().map(|at| PIECES[at]).collect();
        run(&script);
    }

    /// What is quoted comes out as it was.
    #[test]
    fn quoted_text_is_kept(text in "[^\0]{0,40}") {
        let single = format!("printf %s '{}'", text.replace('\'', "'\\''"));
        prop_assert_eq!(&run(&single).stdout, &text);
        let escaped: String = text.chars().flat_map(|c| if "$`\"\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
        prop_assert_eq!(&run(&format!("printf %s \"{escaped}\"")).stdout, &text);
        prop_assert_eq!(&run(&format!("{}; printf %s \"$x\"", single.replace("printf %s ", "x="))).stdout, &text);
    }

    /// Arithmetic of 64 bits wraps, and is what Rust says it is.
    #[test]
    fn sums_are_those_of_the_machine(a in any::<i64>(), b in any::<i64>()) {
        let came = run(&format!("a={a} b={b}; echo $((a+b)) $((a-b)) $((a*b)) $((a<b)) $((a&b))"));
        let expected = format!("{} {} {} {} {}\n", a.wrapping_add(b), a.wrapping_sub(b), a.wrapping_mul(b), i32::from(a < b), a & b);
        prop_assert_eq!(came.stdout, expected);
    }
}
