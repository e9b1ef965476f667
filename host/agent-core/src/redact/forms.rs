//! The byte strings in which a value shows. Escapes are no forms: `lens` reads through them, so that any mixture of escaped
//! and plain characters is found.

use zeroize::Zeroizing;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// One spelling of a value.
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Characters of base64 beside it that also hold some bits of the value, and some of its neighbours': 0 or 1 each.
    pub(super) before: u8,
    pub(super) after: u8,
}

/// Whether a character can stand beside a value within base64 of either alphabet.
pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// Every spelling of `value`.
pub(super) fn of(value: &[u8]) -> Vec<Form> {
    let mut forms = vec![
        Form::whole(value.to_vec()),
        Form::whole(hex::encode(value).into_bytes()),
        Form::whole(hex::encode_upper(value).into_bytes()),
    ];
    if value.contains(&b' ') {
        // In a form's body and in a query a space is a plus.
        forms.push(Form::whole(value.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect()));
    }
    for alphabet in [STANDARD, URL_SAFE] {
        forms.extend((0..3).map(|shift| within_base64(value, shift, alphabet)));
    }
    forms.retain(|form| !form.bytes.is_empty());
    forms
}

impl Form {
    /// The same where letter case is lost.
    pub(super) fn lower_case(mut self) -> Self {
        self.bytes.make_ascii_lowercase();
        self
    }

    fn whole(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), before: 0, after: 0 }
    }
}

/// The characters that `value` alone decides where it is encoded after `shift` other bytes.
fn within_base64(value: &[u8], shift: usize, alphabet: &[u8; 64]) -> Form {
    let bits = 8 * (shift + value.len());
    let byte = |index: usize| index.checked_sub(shift).and_then(|index| value.get(index)).copied().unwrap_or(0);
    let character = |number: usize| {
        let (index, offset) = (number * 6 / 8, number * 6 % 8);
        let pair = u16::from_be_bytes([byte(index), byte(index + 1)]);
        alphabet[usize::from(pair >> (10 - offset) & 63)]
    };
    let bytes = ((8 * shift).div_ceil(6)..bits / 6).map(character).collect();
    Form { bytes: Zeroizing::new(bytes), before: u8::from(shift != 0), after: u8::from(!bits.is_multiple_of(6)) }
}
