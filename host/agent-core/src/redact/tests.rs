use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const TOKEN: &str = "tok-7f\"Q/x+Z9==\\w";

fn value(text: &str) -> Result<SecretValue, crate::secret::WeakSecret> {
    SecretValue::new(text.to_owned())
}

fn percent(text: &str, upper: bool, all: bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = match (byte.is_ascii_alphanumeric() && !all, upper) {
            (true, _) => write!(out, "{}", char::from(byte)),
            (false, true) => write!(out, "%{byte:02X}"),
            (false, false) => write!(out, "%{byte:02x}"),
        };
        out
    })
}

fn unicode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "\\u{byte:04x}");
        out
    })
}

fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=group.len() {
            out.push(char::from(alphabet[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A secret in every form, base64 among neighbours.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![
        secret.to_owned(),
        hex::encode(secret),
        hex::encode_upper(secret),
        percent(secret, true, false),
        percent(secret, false, true),
        in_json(secret),
        in_json(secret).replace('/', "\\/"),
        unicode(secret),
    ];
    for alphabet in [STANDARD, URL_SAFE] {
        for before in ["", "a", "ab", "Bearer ", "user:"] {
            for after in ["", "c", "cd"] {
                let text = base64(format!("{before}{secret}{after}").as_bytes(), alphabet);
                all.push(percent(&text, true, false));
                all.push(text.replace('/', "\\/"));
                all.push(text);
            }
        }
    }
    all
}

/// Characters of base64 around `secret` that hold none of its bits.
fn base64_neighbours(before: usize, secret: usize, after: usize) -> (usize, usize) {
    let characters = |bytes: usize| (bytes * 8).div_ceil(6);
    (before * 8 / 6, characters(before + secret + after) - characters(before + secret))
}

#[test]
fn every_spelling_is_found() -> TestResult {
    let redactor = Redactor::new([&value(TOKEN)?]);
    for text in spellings(TOKEN) {
        let around = format!("{{\"a\": \"{text}\", \"b\": 1}}");
        let redacted = redactor.text(&around);
        assert!(redacted.contains(MARK), "{text}");
        assert!(redacted.starts_with("{\"a\": \"") && redacted.ends_with("\", \"b\": 1}"), "{text}: {redacted}");
    }
    Ok(())
}

#[test]
fn of_base64_every_character_goes_that_holds_a_bit_of_the_secret() -> TestResult {
    let redactor = Redactor::new([&value(TOKEN)?]);
    for before in 0..7 {
        for after in 0..7 {
            let text = base64(format!("{}{TOKEN}{}", "x".repeat(before), "y".repeat(after)).as_bytes(), STANDARD);
            let (front, back) = base64_neighbours(before, TOKEN.len(), after);
            let expected = format!("{}{MARK}{}", &text[..front], &text[text.len() - back..]);
            assert_eq!(redactor.text(&text), expected, "{before} before, {after} after: {text}");
        }
    }
    Ok(())
}

#[test]
fn texts_read_as_before_around_a_secret() -> TestResult {
    let redactor = Redactor::new([&value(TOKEN)?, &value("another-Secret-9")?]);
    for (text, expected) in [
        (format!("authorization: Bearer {TOKEN}\n"), "authorization: Bearer [secret]\n"),
        (format!("{TOKEN}{TOKEN}"), "[secret]"),
        (format!("{TOKEN} {TOKEN}"), "[secret] [secret]"),
        (format!("?t={}&u=ä", percent(TOKEN, true, false)), "?t=[secret]&u=ä"),
        (format!("{}another-Secret-9", &TOKEN[..9]), "tok-7f\"Q/[secret]"),
        (format!("{}%{}", &TOKEN[..9], &TOKEN[9..]), "tok-7f\"Q/%x+Z9==\\w"),
        ("100% \\ \\u00 %4 \\q".to_owned(), "100% \\ \\u00 %4 \\q"),
    ] {
        assert_eq!(redactor.text(&text), expected);
    }
    Ok(())
}

#[test]
fn one_secret_within_another_does_not_hide_it() -> TestResult {
    let redactor = Redactor::new([&value("abcd-1234-efgh-5678")?, &value("1234-efgh")?]);
    for (text, expected) in [
        ("abcd-1234-efgh-5678", "[secret]"),
        ("abcd-1234-efgh-567", "abcd-[secret]-567"),
        ("abcd-abcd-1234-efgh-5678", "abcd-[secret]"),
    ] {
        assert_eq!(redactor.text(text), expected);
    }
    Ok(())
}

#[test]
fn texts_that_follow_each_other_are_searched_as_one() -> TestResult {
    let redactor = Redactor::new([&value(TOKEN)?]);
    for spelling in spellings(TOKEN) {
        let whole = format!("ü {spelling} and {spelling}ü");
        for cut in (0..=whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
            let (mut left, mut right) = (whole[..cut].to_owned(), whole[cut..].to_owned());
            redactor.texts(&mut [&mut left, &mut String::new(), &mut right]);
            assert_eq!(format!("{left}{right}"), redactor.text(&whole), "{spelling} at {cut}");
        }
    }
    Ok(())
}

#[test]
fn nothing_shows_what_is_looked_for() -> TestResult {
    let value = value(TOKEN)?;
    assert_eq!(format!("{:?} {value:?}", Redactor::new([&value])), "Redactor [secret]");
    Ok(())
}

/// Wherever a text is cut, no piece of a secret is left at its end.
#[test]
fn a_cut_text_does_not_end_with_the_beginning_of_a_secret() -> TestResult {
    let redactor = Redactor::new([&value(TOKEN)?]);
    for spelling in spellings(TOKEN) {
        let text = format!("{{\"a\": \"{spelling}\"}}");
        for end in 7..7 + spelling.len() {
            let beginning = redactor.beginning(&text.as_bytes()[..end]);
            let left = String::from_utf8_lossy(&beginning.bytes).into_owned();
            let more = left.strip_prefix("{\"a\": \"").unwrap_or_default().replace(MARK, "");
            // Characters of base64 that hold other bytes than the secret's may stand.
            assert!(more.len() <= 14 && !more.contains("tok"), "{text} cut at {end}: {left}");
        }
    }
    let plain = redactor.beginning(b"nothing of it here!");
    assert_eq!((plain.bytes.as_ref(), plain.left_out), (b"nothing of it here!".as_slice(), 0));
    Ok(())
}

#[test]
fn a_name_in_lower_case_hides_nothing() -> TestResult {
    let redactor = Redactor::new([&value("Tok-7fQx9Zw4Kp")?]);
    for spelling in spellings("Tok-7fQx9Zw4Kp").into_iter().filter(|spelling| !spelling.contains(['%', '\\'])) {
        let name = format!("x-{}-y", spelling.to_ascii_lowercase());
        assert!(redactor.is_in_name(&name), "{name}");
    }
    assert!(!redactor.is_in_name("content-type") && !Redactor::default().is_in_name("tok-7fqx9zw4kp"));
    Ok(())
}

/// Thousands of secrets within one piece, each of which moves what is held back.
#[test]
fn a_text_dense_with_secrets_comes_back_without_any() -> TestResult {
    let redactor = Redactor::new([&value("abcd1234x9")?]);
    let dense = "abcd1234x9 ".repeat(20_000);
    assert_eq!(redactor.bytes(dense.as_bytes()), "[secret] ".repeat(20_000).as_bytes());
    Ok(())
}

/// `text` in pieces of these lengths, over and over.
fn in_pieces(redactor: &Redactor, text: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (mut stream, mut out, mut rest) = (redactor.stream(), Vec::new(), text);
    for length in lengths.iter().cycle() {
        let (piece, left) = rest.split_at((*length).min(rest.len()));
        stream.push(piece, &mut out);
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    stream.finish(&mut out);
    out
}

fn secret() -> impl Strategy<Value = SecretValue> {
    "[a-z]{2}[!-~]{2,4}[0-9]{2}[ -~]{1,20}[!-~]{2}"
        .prop_filter_map("a secret that would be refused", |text| SecretValue::new(text).ok())
}

proptest! {
    #[test]
    fn no_split_of_any_spelling_hides_a_secret(
        secret in secret(),
        which in any::<prop::sample::Index>(),
        before in "[ -~]{0,20}",
        after in "[ -~]{0,20}",
        lengths in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let redactor = Redactor::new([&secret]);
        let all = spellings(secret.expose());
        let spelling = which.get(&all);
        let text = format!("{before}\n{spelling}\n{after}");
        let whole = redactor.bytes(text.as_bytes()).into_owned();
        prop_assert_eq!(&in_pieces(&redactor, text.as_bytes(), &lengths), &whole);
        let shown = String::from_utf8(whole)?;
        prop_assert!(shown.contains(MARK) && !shown.contains(spelling.as_str()), "{}", shown);
        prop_assert!(shown.len() <= text.len() + MARK.len() - 8);
        prop_assert_eq!(redactor.text(&shown), shown.as_str());
    }

    #[test]
    fn what_holds_no_secret_passes_unchanged(
        secret in secret(),
        text in prop::collection::vec(prop::sample::select(b"ab%\\u0041/=+ \"\xff\n".as_slice()), 0..400),
        lengths in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let redactor = Redactor::new([&secret]);
        prop_assert_eq!(&in_pieces(&redactor, &text, &lengths), &text);
    }

    #[test]
    fn any_text_comes_out_the_same_however_it_is_split(
        text in prop::collection::vec(prop::sample::select(b"ab1%\\u06".as_slice()), 0..300),
        lengths in prop::collection::vec(1_usize..20, 1..6),
    ) {
        // Of few letters, so that a random text nearly holds it again and again.
        let secret = SecretValue::new("ab1a6ba1".to_owned())?;
        let redactor = Redactor::new([&secret]);
        let whole = redactor.bytes(&text).into_owned();
        prop_assert_eq!(in_pieces(&redactor, &text, &lengths), whole);
    }
}
