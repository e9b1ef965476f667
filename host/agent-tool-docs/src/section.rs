//! Custom sections at the outermost level of a component: found, appended and left out. What the
//! documentation and the manifest of a tool are kept in.

use std::ops::Range;

use wasmparser::{Parser, Payload};

const CUSTOM_SECTION_ID: u8 = 0;

/// The content of the last section of this name. Of several the last one counts, so that one can be added without taking the
/// component apart.
#[must_use]
pub fn last<'c>(component: &'c [u8], name: &str) -> Option<&'c [u8]> {
    let mut found = None;
    each(component, |section, data, _| {
        if section == name {
            found = Some(data);
        }
    })?;
    found
}

/// `component` without its sections of this name, and with one of them at its end.
#[must_use]
pub fn replace(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut out = without(component, name);
    let mut content = Vec::with_capacity(name.len() + data.len() + 2);
    write_length(&mut content, name.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    out.extend_from_slice(&header(content.len()));
    out.extend_from_slice(&content);
    out
}

/// `component` without its sections of this name. As it is, where it cannot be read.
fn without(component: &[u8], name: &str) -> Vec<u8> {
    let mut ranges = Vec::new();
    let mut note = |section: &str, _: &[u8], range: Range<usize>| {
        if section == name {
            ranges.push(range);
        }
    };
    if each(component, &mut note).is_none() {
        return component.to_vec();
    }
    let (mut out, mut from) = (Vec::with_capacity(component.len()), 0);
    for range in ranges {
        // The range is the content's: in front of it are the section's kind and its length.
        let Some(kept) = component[from..range.start].strip_suffix(header(range.len()).as_slice()) else {
            return component.to_vec();
        };
        out.extend_from_slice(kept);
        from = range.end;
    }
    out.extend_from_slice(&component[from..]);
    out
}

/// A section's kind and length, as [`replace`] writes them: others may write a length longer than need be.
fn header(content: usize) -> Vec<u8> {
    let mut header = vec![CUSTOM_SECTION_ID];
    write_length(&mut header, content);
    header
}

/// Each custom section: its name, its data, and where its content is. `None` where the component cannot be read to its end.
fn each<'c>(component: &'c [u8], mut look: impl FnMut(&str, &'c [u8], Range<usize>)) -> Option<()> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                let range = section.range();
                let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
                look(section.name(), section.data(), range);
            }
            // Every other payload is somebody else's.
            _ => {}
        }
    }
    Some(())
}

/// Unsigned LEB128.
fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        assert_eq!(last(EMPTY_COMPONENT, "a"), None);
        let (short, long) = (b"one".as_slice(), [7; 300]);
        let both = replace(&replace(EMPTY_COMPONENT, "a", short), "b", &long);
        assert_eq!((last(&both, "a"), last(&both, "b")), (Some(short), Some(long.as_slice())));
        let changed = replace(&both, "a", b"two");
        assert_eq!((last(&changed, "a"), last(&changed, "b")), (Some(b"two".as_slice()), Some(long.as_slice())));
        assert_eq!(changed.len(), both.len(), "the old one is gone");
        let again = replace(&changed, "b", &long);
        assert_eq!((again.len(), last(&again, "a")), (changed.len(), Some(b"two".as_slice())));
    }

    #[test]
    fn a_length_that_is_longer_than_need_be_leaves_the_section_where_it_is() {
        let mut padded = EMPTY_COMPONENT.to_vec();
        padded.extend_from_slice(&[0, 0x83, 0x80, 0, 1, b'a', b'x']);
        let replaced = replace(&padded, "a", b"y");
        assert!(replaced.starts_with(&padded));
        assert_eq!(last(&replaced, "a"), Some(b"y".as_slice()));
    }
}
