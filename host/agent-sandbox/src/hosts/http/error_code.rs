//! Errors of requests as bytes of a transcript, and back.

use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, TlsAlertReceivedPayload,
};

use crate::transcript::{Encode, decode_all};

/// The byte form of an error: its number in the WIT variant, then its payload as an optional text and an optional number.
pub(crate) fn encode_error(error: &ErrorCode, out: &mut Vec<u8>) {
    let (number, text, value): (u8, Option<&str>, Option<u64>) = match error {
        ErrorCode::DnsTimeout => (0, None, None),
        ErrorCode::DnsError(dns) => (1, dns.rcode.as_deref(), dns.info_code.map(u64::from)),
        ErrorCode::DestinationNotFound => (2, None, None),
        ErrorCode::DestinationUnavailable => (3, None, None),
        ErrorCode::DestinationIpProhibited => (4, None, None),
        ErrorCode::DestinationIpUnroutable => (5, None, None),
        ErrorCode::ConnectionRefused => (6, None, None),
        ErrorCode::ConnectionTerminated => (7, None, None),
        ErrorCode::ConnectionTimeout => (8, None, None),
        ErrorCode::ConnectionReadTimeout => (9, None, None),
        ErrorCode::ConnectionWriteTimeout => (10, None, None),
        ErrorCode::ConnectionLimitReached => (11, None, None),
        ErrorCode::TlsProtocolError => (12, None, None),
        ErrorCode::TlsCertificateError => (13, None, None),
        ErrorCode::TlsAlertReceived(alert) => (14, alert.alert_message.as_deref(), alert.alert_id.map(u64::from)),
        ErrorCode::HttpRequestDenied => (15, None, None),
        ErrorCode::HttpRequestLengthRequired => (16, None, None),
        ErrorCode::HttpRequestBodySize(size) => (17, None, *size),
        ErrorCode::HttpRequestMethodInvalid => (18, None, None),
        ErrorCode::HttpRequestUriInvalid => (19, None, None),
        ErrorCode::HttpRequestUriTooLong => (20, None, None),
        ErrorCode::HttpRequestHeaderSectionSize(size) => (21, None, size.map(u64::from)),
        ErrorCode::HttpRequestHeaderSize(field) => {
            let field = field.as_ref();
            (22, field.and_then(|f| f.field_name.as_deref()), field.and_then(|f| f.field_size).map(u64::from))
        }
        ErrorCode::HttpRequestTrailerSectionSize(size) => (23, None, size.map(u64::from)),
        ErrorCode::HttpRequestTrailerSize(field) => (24, field.field_name.as_deref(), field.field_size.map(u64::from)),
        ErrorCode::HttpResponseIncomplete => (25, None, None),
        ErrorCode::HttpResponseHeaderSectionSize(size) => (26, None, size.map(u64::from)),
        ErrorCode::HttpResponseHeaderSize(field) => (27, field.field_name.as_deref(), field.field_size.map(u64::from)),
        ErrorCode::HttpResponseBodySize(size) => (28, None, *size),
        ErrorCode::HttpResponseTrailerSectionSize(size) => (29, None, size.map(u64::from)),
        ErrorCode::HttpResponseTrailerSize(field) => (30, field.field_name.as_deref(), field.field_size.map(u64::from)),
        ErrorCode::HttpResponseTransferCoding(coding) => (31, coding.as_deref(), None),
        ErrorCode::HttpResponseContentCoding(coding) => (32, coding.as_deref(), None),
        ErrorCode::HttpResponseTimeout => (33, None, None),
        ErrorCode::HttpUpgradeFailed => (34, None, None),
        ErrorCode::HttpProtocolError => (35, None, None),
        ErrorCode::LoopDetected => (36, None, None),
        ErrorCode::ConfigurationError => (37, None, None),
        ErrorCode::InternalError(text) => (38, text.as_deref(), None),
    };
    out.push(number);
    (text, value).encode(out);
}

/// The error of this byte form.
pub(crate) fn decode_error(bytes: &[u8]) -> Option<ErrorCode> {
    let (number, payload) = bytes.split_first()?;
    let (text, value): (Option<String>, Option<u64>) = decode_all(payload)?;
    let small = || value.map(u32::try_from).transpose().ok();
    let field = |field_name| Some(FieldSizePayload { field_name, field_size: small()? });
    Some(match number {
        0 => ErrorCode::DnsTimeout,
        1 => {
            let info_code = value.map(u16::try_from).transpose().ok()?;
            ErrorCode::DnsError(DnsErrorPayload { rcode: text, info_code })
        }
        2 => ErrorCode::DestinationNotFound,
        3 => ErrorCode::DestinationUnavailable,
        4 => ErrorCode::DestinationIpProhibited,
        5 => ErrorCode::DestinationIpUnroutable,
        6 => ErrorCode::ConnectionRefused,
        7 => ErrorCode::ConnectionTerminated,
        8 => ErrorCode::ConnectionTimeout,
        9 => ErrorCode::ConnectionReadTimeout,
        10 => ErrorCode::ConnectionWriteTimeout,
        11 => ErrorCode::ConnectionLimitReached,
        12 => ErrorCode::TlsProtocolError,
        13 => ErrorCode::TlsCertificateError,
        14 => {
            let alert_id = value.map(u8::try_from).transpose().ok()?;
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload { alert_id, alert_message: text })
        }
        15 => ErrorCode::HttpRequestDenied,
        16 => ErrorCode::HttpRequestLengthRequired,
        17 => ErrorCode::HttpRequestBodySize(value),
        18 => ErrorCode::HttpRequestMethodInvalid,
        19 => ErrorCode::HttpRequestUriInvalid,
        20 => ErrorCode::HttpRequestUriTooLong,
        21 => ErrorCode::HttpRequestHeaderSectionSize(small()?),
        22 if text.is_none() && value.is_none() => ErrorCode::HttpRequestHeaderSize(None),
        22 => ErrorCode::HttpRequestHeaderSize(Some(field(text)?)),
        23 => ErrorCode::HttpRequestTrailerSectionSize(small()?),
        24 => ErrorCode::HttpRequestTrailerSize(field(text)?),
        25 => ErrorCode::HttpResponseIncomplete,
        26 => ErrorCode::HttpResponseHeaderSectionSize(small()?),
        27 => ErrorCode::HttpResponseHeaderSize(field(text)?),
        28 => ErrorCode::HttpResponseBodySize(value),
        29 => ErrorCode::HttpResponseTrailerSectionSize(small()?),
        30 => ErrorCode::HttpResponseTrailerSize(field(text)?),
        31 => ErrorCode::HttpResponseTransferCoding(text),
        32 => ErrorCode::HttpResponseContentCoding(text),
        33 => ErrorCode::HttpResponseTimeout,
        34 => ErrorCode::HttpUpgradeFailed,
        35 => ErrorCode::HttpProtocolError,
        36 => ErrorCode::LoopDetected,
        37 => ErrorCode::ConfigurationError,
        38 => ErrorCode::InternalError(text),
        _ => return None,
    })
}

/// What a guest sees of an error of ours with which a sent request can end.
pub(super) fn code_of(error: &Error) -> ErrorCode {
    match error {
        Error::DnsTimeout => ErrorCode::DnsTimeout,
        Error::DestinationIpProhibited => ErrorCode::DestinationIpProhibited,
        Error::ConnectionRefused => ErrorCode::ConnectionRefused,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::ConnectionTimeout => ErrorCode::ConnectionTimeout,
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionLimitReached => ErrorCode::ConnectionLimitReached,
        Error::HttpRequestDenied => ErrorCode::HttpRequestDenied,
        Error::HttpResponseHeaderSectionSize(size) => ErrorCode::HttpResponseHeaderSectionSize(*size),
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::HttpResponseTransferCoding(coding) => ErrorCode::HttpResponseTransferCoding(coding.clone()),
        Error::HttpResponseContentCoding(coding) => ErrorCode::HttpResponseContentCoding(coding.clone()),
        Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        Error::HttpUpgradeFailed => ErrorCode::HttpUpgradeFailed,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::ConfigurationError => ErrorCode::ConfigurationError,
        Error::InternalError(text) => ErrorCode::InternalError(text.clone()),
        // The enum is wasmtime's and open; no request that was sent ends with one of the others.
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back() {
        for number in 0..39 {
            for payload in [(None, None), (Some("text".to_owned()), Some(7_u64))] {
                let mut bytes = vec![number];
                payload.encode(&mut bytes);
                let Some(code) = decode_error(&bytes) else { panic!("{number}") };
                let mut again = Vec::new();
                encode_error(&code, &mut again);
                assert_eq!(again[0], number);
                assert_eq!(format!("{:?}", decode_error(&again)), format!("{:?}", Some(code)));
            }
        }
        assert!(decode_error(&[39, 0, 0]).is_none() && decode_error(&[]).is_none());
    }
}
