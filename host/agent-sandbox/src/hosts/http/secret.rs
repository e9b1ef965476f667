//! Secrets in requests and answers: puts them into their headers after the gate has decided and before anything is sent, and
//! takes them out of what comes back before the guest or the journal sees it. `job` calls this around the exchange.

use std::borrow::Cow;

use agent_core::effect::Refusal;
use agent_core::grant::SecretGrant;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::task::JoinError;
use wasmtime_wasi_http::Error;

use super::exchange::{Answer, Failure, Reached};
use crate::defence::{self, Defence};
use crate::secrets::CallSecrets;

/// A larger body is looked through on a thread that may be busy for long.
const BUSY_BYTES_MIN: usize = 64 << 10;

/// Puts these secrets into the headers of a request that may be sent.
///
/// # Errors
/// Why it must not be sent after all.
pub(super) fn put(headers: &mut HeaderMap, granted: &[SecretGrant], secrets: &CallSecrets) -> Result<(), String> {
    for secret in granted {
        let name = HeaderName::try_from(secret.header.as_str()).map_err(|error| error.to_string())?;
        // Overriding it silently would hide that the tool expects to send something else.
        if headers.contains_key(&name) && !defence::is_off(Defence::Secrets) {
            return Err(format!(
                "`{name}` carries the secret `{}` there: the tool must leave it to the host",
                secret.name
            ));
        }
        let Some(value) = secrets.value(&secret.name) else {
            return Err(format!("the secret `{}` has no value in this run", secret.name));
        };
        let text = secret.format.with(value);
        let mut value = HeaderValue::from_str(&text).map_err(|_| "the secret fits no header".to_owned())?;
        // No log of the HTTP library shows it, and no compression remembers it.
        value.set_sensitive(true);
        headers.entry(name).or_insert(value);
    }
    Ok(())
}

/// The answer without secrets. It is plain by now: what the host cannot decompress is no answer.
///
/// # Errors
/// The failure that it was.
pub(super) async fn clean(answered: Result<Answer, Failure>, secrets: &CallSecrets) -> Result<Answer, Failure> {
    let mut answer = answered?;
    if secrets.redactor().is_idle() {
        return Ok(answer);
    }
    clean_headers(&mut answer.headers, secrets);
    let status = answer.status;
    if let Some(body) = cleaned_body(&answer.body, secrets).await.map_err(|_| unread(status))? {
        answer.body = body;
        // It told the length of what the server sent.
        answer.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(answer)
}

/// The body without secrets; `None` if it had none.
async fn cleaned_body(body: &Bytes, secrets: &CallSecrets) -> Result<Option<Bytes>, JoinError> {
    let owned = |cleaned: Cow<'_, [u8]>| match cleaned {
        Cow::Borrowed(_) => None,
        Cow::Owned(cleaned) => Some(Bytes::from(cleaned)),
    };
    if body.len() < BUSY_BYTES_MIN {
        return Ok(owned(secrets.redactor().bytes(body)));
    }
    let (body, redactor) = (body.clone(), secrets.redactor().clone());
    tokio::task::spawn_blocking(move || owned(redactor.bytes(&body))).await
}

fn clean_headers(headers: &mut HeaderMap, secrets: &CallSecrets) {
    let redactor = secrets.redactor();
    let tells = |name: &&HeaderName| redactor.is_in_name(name.as_str());
    let names: Vec<HeaderName> = headers.keys().filter(tells).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        let Cow::Owned(cleaned) = redactor.bytes(value.as_bytes()) else { continue };
        *value = HeaderValue::from_bytes(&cleaned).unwrap_or_else(|_| HeaderValue::from_static(""));
    }
}

/// The thread that looked through it is gone: what nobody looked through is not passed on.
fn unread(status: u16) -> Failure {
    let text = "the answer could not be searched for secrets".to_owned();
    let error = Error::InternalError(Some(text.clone()));
    Failure { reached: Reached::Answered(status), refusal: Some(Refusal::SecretBlocked), error, text }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agent_core::grant::RuleSource;
    use agent_core::redact::Redactor;
    use agent_core::secret::SecretValue;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const TOKEN: &str = "tok-7f3Qx9Zw";

    fn secrets() -> Result<CallSecrets, Box<dyn std::error::Error>> {
        let value = Arc::new(SecretValue::new(TOKEN.to_owned())?);
        let redactor = Redactor::new([value.as_ref()]);
        Ok(CallSecrets::new(vec![("API_TOKEN".parse()?, value)], redactor))
    }

    fn granted(name: &str) -> Result<Vec<SecretGrant>, Box<dyn std::error::Error>> {
        Ok(vec![SecretGrant {
            name: name.parse()?,
            url: "https://api.example.com".parse()?,
            header: "authorization".parse()?,
            format: "Bearer {}".parse()?,
            from: "env:API_TOKEN".parse()?,
            source: RuleSource("test".to_owned()),
        }])
    }

    #[test]
    fn a_secret_is_put_where_nothing_stands_and_shown_by_nothing() -> TestResult {
        let mut headers = HeaderMap::new();
        put(&mut headers, &granted("API_TOKEN")?, &secrets()?)?;
        assert_eq!(headers["authorization"].to_str()?, format!("Bearer {TOKEN}"));
        assert!(!format!("{headers:?} {:?}", secrets()?).contains(TOKEN));
        let again = put(&mut headers, &granted("API_TOKEN")?, &secrets()?);
        assert!(again.is_err_and(|why| why.contains("`authorization` carries the secret `API_TOKEN`")));
        let missing = put(&mut HeaderMap::new(), &granted("OTHER")?, &secrets()?);
        assert_eq!(missing, Err("the secret `OTHER` has no value in this run".to_owned()));
        Ok(())
    }

    #[test]
    fn headers_come_back_without_secrets() -> TestResult {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_str(&format!("https://a.example/?t={TOKEN}"))?);
        headers.insert("x-kept", HeaderValue::from_static("kept"));
        // Without regard to case, and in lower case to whoever looks.
        headers.insert(HeaderName::try_from(format!("x-{TOKEN}"))?, HeaderValue::from_static("named"));
        clean_headers(&mut headers, &secrets()?);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(
            (&headers["location"], &headers["x-kept"]),
            (&HeaderValue::from_static("https://a.example/?t=[secret]"), &HeaderValue::from_static("kept"))
        );
        Ok(())
    }
}
