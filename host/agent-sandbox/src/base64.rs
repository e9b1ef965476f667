//! Base64 (RFC 4648) of the bytes in arguments and results. Written with padding; read with or without.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Some writers leave the padding out, and nothing else of a text may be in doubt.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How long the text of this many bytes is.
pub(crate) fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

/// The text of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

/// The bytes that `text` stands for, or why it is no base64.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    LENIENT.decode(text).map_err(|error| error.to_string().trim_end_matches('.').to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!((encode(bytes.as_bytes()).as_str(), encoded_len(bytes.len())), (text, text.len()));
            assert_eq!(decode(text), Ok(bytes.as_bytes().to_vec()));
            assert_eq!(decode(text.trim_end_matches('=')), Ok(bytes.as_bytes().to_vec()));
        }
        assert_eq!(encode(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn what_two_readers_could_read_differently_is_no_base64() {
        for text in ["Zh==", "Zm9v\n", "__79", "Zm9vA"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
