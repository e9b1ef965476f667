//! `wasi:http/types` and `wasi:http/outgoing-handler`: each method charges and passes on to wasmtime-wasi-http. Recorded is
//! what does not follow from the guest's own words: whether an answer is there, its status and header fields, its trailers.
//! Its body is recorded with the streams. What a guest builds itself is in `drafts`.

use agent_core::digest::Digest;
use agent_core::effect::{EffectRequest, Refusal};
use agent_core::units::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as HandlerHost;
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode, Method, Scheme};
use wasmtime_wasi_http::p2::{HeaderError, HttpError, HttpResult};

use crate::state::{CallState, table_stop};
use crate::stop::Stop;
use crate::transcript::{Encode, Operation as Op};

type Fields = Resource<types::Fields>;
type Request = Resource<types::OutgoingRequest>;
type Incoming = Resource<types::IncomingRequest>;
type Response = Resource<types::IncomingResponse>;
type Outgoing = Resource<types::OutgoingResponse>;
type Outparam = Resource<types::ResponseOutparam>;
type FutureResponse = Resource<types::FutureIncomingResponse>;
type FutureTrailers = Resource<types::FutureTrailers>;
type BodyIn = Resource<types::IncomingBody>;
type BodyOut = Resource<types::OutgoingBody>;
type Options = Resource<types::RequestOptions>;
type Plain<T> = wasmtime::Result<T>;
type Set = wasmtime::Result<Result<(), ()>>;
type Got<T> = Plain<Option<Result<Result<T, ErrorCode>, ()>>>;

impl CallState {
    pub(super) fn http_view(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.sender, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Methods that charge one unit and are wasmtime-wasi-http's; `drop` also forgets the handle.
macro_rules! passed_on {
    (impl $host:path as $of:ty { $(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)* }) => {
        impl $host for CallState {
            $(fn $name(&mut self, $($argument: $type),*) -> $result {
                self.pay()?;
                <WasiHttpCtxView<'_> as $host>::$name(&mut self.http_view(), $($argument),*)
            })*

            fn drop(&mut self, handle: $of) -> Plain<()> {
                self.pay()?;
                self.forget(handle.rep());
                <WasiHttpCtxView<'_> as $host>::drop(&mut self.http_view(), handle)
            }
        }
    };
}

impl types::Host for CallState {
    fn convert_error_code(&mut self, error: HttpError) -> Plain<ErrorCode> {
        error.downcast()
    }

    fn convert_header_error(&mut self, error: HeaderError) -> Plain<types::HeaderError> {
        error.downcast()
    }

    fn http_error_code(&mut self, error: Resource<types::IoError>) -> Plain<Option<ErrorCode>> {
        self.ask(Op::HttpErrorCode, &[error.rep()], &())?;
        let code = types::Host::http_error_code(&mut self.http_view(), error)?;
        self.answer(Plain::Ok(code.as_ref().map(encoded)))?;
        Ok(code)
    }
}

impl HandlerHost for CallState {
    fn handle(&mut self, request: Request, options: Option<Options>) -> HttpResult<FutureResponse> {
        self.ask(Op::SendRequest, &[request.rep()], &())?;
        self.forget(request.rep());
        let asked = self.described(&request)?;
        let pending = HandlerHost::handle(&mut self.http_view(), request, options);
        if let Some(code) = pending.as_ref().err().and_then(HttpError::downcast_ref) {
            // What is no request at all never reaches the sender, and was an attempt all the same.
            let rule = format!("it is not a well-formed request: {code:?}");
            self.effects.refuse(asked, Refusal::NetDenied, &rule, None);
        }
        self.answer(pending)
    }
}

impl types::HostFutureIncomingResponse for CallState {
    fn get(&mut self, future: FutureResponse) -> Got<Response> {
        self.ask(Op::ResponseGet, &[future.rep()], &())?;
        let got = types::HostFutureIncomingResponse::get(&mut self.http_view(), future)?;
        let record = self.response_record(&got)?;
        self.answer(Plain::Ok(record))?;
        Ok(got)
    }

    fn subscribe(&mut self, future: FutureResponse) -> Plain<Resource<DynPollable>> {
        self.pay()?;
        types::HostFutureIncomingResponse::subscribe(&mut self.http_view(), future)
    }

    fn drop(&mut self, future: FutureResponse) -> Plain<()> {
        self.pay()?;
        self.forget(future.rep());
        types::HostFutureIncomingResponse::drop(&mut self.http_view(), future)
    }
}

impl types::HostFutureTrailers for CallState {
    fn get(&mut self, future: FutureTrailers) -> Got<Option<Fields>> {
        self.ask(Op::TrailersGet, &[future.rep()], &())?;
        let got = types::HostFutureTrailers::get(&mut self.http_view(), future)?;
        let record = match &got {
            None => vec![0],
            Some(Err(())) => vec![1],
            Some(Ok(Err(error))) => failed(error),
            Some(Ok(Ok(None))) => vec![3],
            Some(Ok(Ok(Some(trailers)))) => {
                let mut bytes = vec![4];
                fields(self.table.get(trailers)?).encode(&mut bytes);
                bytes
            }
        };
        self.answer(Plain::Ok(record))?;
        Ok(got)
    }

    fn subscribe(&mut self, future: FutureTrailers) -> Plain<Resource<DynPollable>> {
        self.pay()?;
        types::HostFutureTrailers::subscribe(&mut self.http_view(), future)
    }

    fn drop(&mut self, future: FutureTrailers) -> Plain<()> {
        self.pay()?;
        self.forget(future.rep());
        types::HostFutureTrailers::drop(&mut self.http_view(), future)
    }
}

impl CallState {
    /// A request as the guest built it, for the record.
    fn described(&self, request: &Request) -> Result<EffectRequest, Stop> {
        let request = self.table.get(request).map_err(table_stop)?;
        let method = match &request.method {
            Method::Other(method) => method.clone(),
            known => format!("{known:?}").to_ascii_uppercase(),
        };
        let scheme = match &request.scheme {
            None | Some(Scheme::Https) => "https",
            Some(Scheme::Http) => "http",
            Some(Scheme::Other(scheme)) => scheme,
        };
        let authority = request.authority.as_deref().unwrap_or("");
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let path = request.path_with_query.as_deref().unwrap_or("/");
        let url = format!("{scheme}://{host}{path}");
        Ok(EffectRequest::Http { method, url, body_bytes: Bytes(0), digest: Digest::of(b"") })
    }

    fn response_record(&self, got: &Option<Result<Result<Response, ErrorCode>, ()>>) -> Plain<Vec<u8>> {
        Ok(match got {
            None => vec![0],
            Some(Err(())) => vec![1],
            Some(Ok(Err(error))) => failed(error),
            Some(Ok(Ok(response))) => {
                let response = self.table.get(response)?;
                let mut bytes = vec![3];
                (response.status, fields(&response.headers)).encode(&mut bytes);
                bytes
            }
        })
    }
}

fn fields(headers: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

fn failed(error: &ErrorCode) -> Vec<u8> {
    [vec![2], encoded(error)].concat()
}

fn encoded(error: &ErrorCode) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_error(error, &mut bytes);
    bytes
}

passed_on! {
    impl types::HostOutgoingBody as BodyOut {
        fn write(body: BodyOut) -> Plain<Result<Resource<DynOutputStream>, ()>>;
        fn finish(body: BodyOut, trailers: Option<Fields>) -> HttpResult<()>;
    }
}

passed_on! {
    impl types::HostIncomingResponse as Response {
        fn status(response: Response) -> Plain<u16>;
        fn headers(response: Response) -> Plain<Fields>;
        fn consume(response: Response) -> Plain<Result<BodyIn, ()>>;
    }
}

passed_on! {
    impl types::HostIncomingBody as BodyIn {
        fn stream(body: BodyIn) -> Plain<Result<Resource<DynInputStream>, ()>>;
        fn finish(body: BodyIn) -> Plain<FutureTrailers>;
    }
}

passed_on! {
    impl types::HostRequestOptions as Options {
        fn new() -> Plain<Options>;
        fn connect_timeout(options: Options) -> Plain<Option<u64>>;
        fn set_connect_timeout(options: Options, duration: Option<u64>) -> Set;
        fn first_byte_timeout(options: Options) -> Plain<Option<u64>>;
        fn set_first_byte_timeout(options: Options, duration: Option<u64>) -> Set;
        fn between_bytes_timeout(options: Options) -> Plain<Option<u64>>;
        fn set_between_bytes_timeout(options: Options, duration: Option<u64>) -> Set;
    }
}

// A tool serves no requests, so it holds none of these.
passed_on! {
    impl types::HostIncomingRequest as Incoming {
        fn method(request: Incoming) -> Plain<Method>;
        fn path_with_query(request: Incoming) -> Plain<Option<String>>;
        fn scheme(request: Incoming) -> Plain<Option<Scheme>>;
        fn authority(request: Incoming) -> Plain<Option<String>>;
        fn headers(request: Incoming) -> Plain<Fields>;
        fn consume(request: Incoming) -> Plain<Result<BodyIn, ()>>;
    }
}

passed_on! {
    impl types::HostResponseOutparam as Outparam {
        fn set(outparam: Outparam, response: Result<Outgoing, ErrorCode>) -> Plain<()>;
        fn send_informational(outparam: Outparam, status: u16, headers: Fields) -> HttpResult<()>;
    }
}

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
