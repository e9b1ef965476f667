//! `wasi:http/types` and `wasi:http/outgoing-handler`: each method charges and passes on to wasmtime-wasi-http. Recorded is
//! what does not follow from the guest's own words: whether an answer is there, its status and header fields, its trailers.
//! A body is recorded with its answer, whole, so that a replay has it all; of what the guest reads from it only lengths are.
//! What a guest builds itself is in `drafts`.

use agent_core::digest::Digest;
use agent_core::effect::{EffectRequest, Refusal};
use agent_core::units::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::pipe::SinkOutputStream;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as HandlerHost;
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode, Method, Scheme};
use wasmtime_wasi_http::p2::body::HostFutureTrailers;
use wasmtime_wasi_http::p2::types::HostFutureIncomingResponse;
use wasmtime_wasi_http::p2::{HeaderError, HttpError, HttpResult};

use crate::hosts::http::error_code::{decode_error, encode_error};
use crate::hosts::http::past::{Answered, Told};
use crate::replay::diverged;
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
        if let Some(told) = self.recall::<Option<Vec<u8>>, wasmtime::Error>() {
            let code = self.answer(told)?;
            return code.map(|code| Ok(decode_error(&code).ok_or_else(|| unreadable(Op::HttpErrorCode))?)).transpose();
        }
        let code = types::Host::http_error_code(&mut self.http_view(), error)?;
        self.answer(Plain::Ok(code.as_ref().map(encoded)))?;
        Ok(code)
    }
}

impl HandlerHost for CallState {
    fn handle(&mut self, request: Request, options: Option<Options>) -> HttpResult<FutureResponse> {
        let (asked, words) = self.described(&request)?;
        self.ask(Op::SendRequest, &[request.rep()], &words)?;
        self.forget(request.rep());
        let pending = HandlerHost::handle(&mut self.http_view(), request, options);
        if let Some(code) = pending.as_ref().err().and_then(HttpError::downcast_ref) {
            // What is no request at all never reaches the sender, and was an attempt all the same.
            let rule = format!("it is not a well-formed request: {code:?}");
            self.effects.refuse(asked, Refusal::NetDenied, &rule, None);
        }
        if let Ok(pending) = &pending {
            self.sender.handed_out(pending.rep());
        }
        self.answer(pending)
    }
}

impl types::HostFutureIncomingResponse for CallState {
    fn get(&mut self, future: FutureResponse) -> Got<Response> {
        self.ask(Op::ResponseGet, &[future.rep()], &())?;
        if let Some(told) = self.recall::<Vec<u8>, wasmtime::Error>() {
            return self.get_again(future, told?);
        }
        let number = self.sender.number_of(future.rep());
        let answer = match self.table.get(&future)? {
            HostFutureIncomingResponse::Ready(Ok((response, _))) => response.extensions().get::<Answered>().cloned(),
            HostFutureIncomingResponse::Ready(Err(_))
            | HostFutureIncomingResponse::Pending(_)
            | HostFutureIncomingResponse::Consumed => None,
        };
        let got = types::HostFutureIncomingResponse::get(&mut self.http_view(), future)?;
        let told = match &got {
            None => Told::NotYet,
            Some(Err(())) => Told::Taken,
            Some(Ok(Err(error))) => Told::Failed { number, code: error.clone() },
            Some(Ok(Ok(_))) => Told::Answered { number, answer },
        };
        self.answer(Plain::Ok(told.record()))?;
        Ok(got)
    }

    fn subscribe(&mut self, future: FutureResponse) -> Plain<Resource<DynPollable>> {
        self.pay()?;
        let pollable = types::HostFutureIncomingResponse::subscribe(&mut self.http_view(), future)?;
        self.replay.waits(pollable.rep());
        Ok(pollable)
    }

    fn drop(&mut self, future: FutureResponse) -> Plain<()> {
        self.pay()?;
        self.forget(future.rep());
        self.sender.forget(future.rep());
        types::HostFutureIncomingResponse::drop(&mut self.http_view(), future)
    }
}

impl types::HostFutureTrailers for CallState {
    fn get(&mut self, future: FutureTrailers) -> Got<Option<Fields>> {
        self.ask(Op::TrailersGet, &[future.rep()], &())?;
        if let Some(told) = self.recall::<Vec<u8>, wasmtime::Error>() {
            return self.get_trailers_again(&future, told?);
        }
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
        let pollable = types::HostFutureTrailers::subscribe(&mut self.http_view(), future)?;
        self.replay.waits(pollable.rep());
        Ok(pollable)
    }

    fn drop(&mut self, future: FutureTrailers) -> Plain<()> {
        self.pay()?;
        self.forget(future.rep());
        types::HostFutureTrailers::drop(&mut self.http_view(), future)
    }
}

impl CallState {
    /// A request as the guest built it: for the record of effects, and for the comparison with what it built then.
    fn described(&self, request: &Request) -> Result<(EffectRequest, Words), Stop> {
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
        let words = (method.clone(), url.clone(), fields(&request.headers));
        Ok((EffectRequest::Http { method, url, body_bytes: Bytes(0), digest: Digest::of(b"") }, words))
    }

    /// Gives the guest what it was given then, though nothing was sent now.
    fn get_again(&mut self, future: FutureResponse, record: Vec<u8>) -> Got<Response> {
        let told = Told::from_bytes(&record).ok_or_else(|| unreadable(Op::ResponseGet))?;
        let got = match told {
            Told::NotYet => None,
            Told::Taken => Some(Err(())),
            Told::Failed { code, .. } => {
                *self.table.get_mut(&future)? = HostFutureIncomingResponse::Consumed;
                Some(Ok(Err(code)))
            }
            Told::Answered { number, answer } => {
                let answer = answer.or_else(|| self.sender.kept(number));
                let answer = answer.ok_or_else(|| diverged(format!("the answer to effect {number} is not at hand")))?;
                let response = self.sender.response_again(answer).ok_or_else(|| unreadable(Op::ResponseGet))?;
                let nothing = wasmtime_wasi::runtime::spawn(async {});
                *self.table.get_mut(&future)? = HostFutureIncomingResponse::Ready(Ok((response, nothing)));
                types::HostFutureIncomingResponse::get(&mut self.http_view(), future)?
            }
        };
        self.answer(Plain::Ok(record))?;
        Ok(got)
    }

    fn get_trailers_again(&mut self, future: &FutureTrailers, record: Vec<u8>) -> Got<Option<Fields>> {
        let unreadable = || unreadable(Op::TrailersGet);
        let got = match record.split_first().ok_or_else(unreadable)? {
            (0, []) => None,
            (1, []) => Some(Err(())),
            (2, error) => Some(Ok(Err(decode_error(error).ok_or_else(unreadable)?))),
            // No answer of this host has trailers.
            (3, []) => Some(Ok(Ok(None))),
            _ => return Err(unreadable().into()),
        };
        if got.is_some() {
            *self.table.get_mut(future)? = HostFutureTrailers::Consumed;
        }
        self.answer(Plain::Ok(record))?;
        Ok(got)
    }
}

/// What of a request is compared in a replay; its body is, as it is written.
type Words = (String, String, Vec<(String, Vec<u8>)>);

fn unreadable(operation: Op) -> Stop {
    diverged(format!("the recorded answer of {operation:?} is none that this host can give"))
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

impl types::HostOutgoingBody for CallState {
    fn write(&mut self, body: BodyOut) -> Plain<Result<Resource<DynOutputStream>, ()>> {
        self.pay()?;
        let handle = body.rep();
        let stream = types::HostOutgoingBody::write(&mut self.http_view(), body)?;
        if let (Ok(stream), Some(pieces)) = (&stream, self.drafts.taken_stream(handle)) {
            let nothing: DynOutputStream = Box::new(SinkOutputStream);
            let place = self.table.get_mut(stream)?;
            *place = pieces.written_to(std::mem::replace(place, nothing));
        }
        Ok(stream)
    }

    fn finish(&mut self, body: BodyOut, trailers: Option<Fields>) -> HttpResult<()> {
        self.pay()?;
        self.drafts.forget(body.rep());
        types::HostOutgoingBody::finish(&mut self.http_view(), body, trailers)
    }

    fn drop(&mut self, body: BodyOut) -> Plain<()> {
        self.pay()?;
        self.forget(body.rep());
        types::HostOutgoingBody::drop(&mut self.http_view(), body)
    }
}

passed_on! {
    impl types::HostIncomingResponse as Response {
        fn status(response: Response) -> Plain<u16>;
        fn headers(response: Response) -> Plain<Fields>;
        fn consume(response: Response) -> Plain<Result<BodyIn, ()>>;
    }
}

impl types::HostIncomingBody for CallState {
    fn stream(&mut self, body: BodyIn) -> Plain<Result<Resource<DynInputStream>, ()>> {
        self.pay()?;
        let stream = types::HostIncomingBody::stream(&mut self.http_view(), body)?;
        if let Ok(stream) = &stream {
            self.sender.reads(stream.rep());
        }
        Ok(stream)
    }

    fn finish(&mut self, body: BodyIn) -> Plain<FutureTrailers> {
        self.pay()?;
        types::HostIncomingBody::finish(&mut self.http_view(), body)
    }

    fn drop(&mut self, body: BodyIn) -> Plain<()> {
        self.pay()?;
        self.forget(body.rep());
        types::HostIncomingBody::drop(&mut self.http_view(), body)
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
