//! Messages that a guest builds: header fields, requests, and the responses that nobody asks a tool for. They are the host's
//! memory from the first field on, long before anything is decided about them, so what a guest puts into them is counted
//! here. Everything else about them is wasmtime-wasi-http's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent_core::outcome::Fault;
use agent_core::units::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::p2::HeaderResult;
use wasmtime_wasi_http::p2::bindings::http::types::{
    Fields, HostFields, HostOutgoingRequest, HostOutgoingResponse, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, Scheme,
};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::charge::BYTES_PER_UNIT;
use crate::hosts::http::bounds::{Bounds, FIELD_COST};
use crate::hosts::http::held::Memory;
use crate::hosts::http::waiting::{Pieces, Replaying};
use crate::state::CallState;
use crate::stop::Stop;

/// What a guest has put into messages.
pub(crate) struct Drafts {
    bounds: Bounds,
    /// Bytes of all fields and texts ever put into one. What was sent or thrown away counts too: who may send 64 requests
    /// has no use for the texts of a thousand.
    put: u64,
    /// Messages with a body that are not sent yet: each may hold a piece of it.
    with_body: BTreeSet<u32>,
    replaying: Replaying,
    /// Of bodies that are written along a record.
    memory: Memory,
    /// Such bodies whose stream is not taken yet, by the body's handle.
    again: BTreeMap<u32, Arc<Pieces>>,
}

impl Drafts {
    /// Nothing built yet.
    pub(crate) fn new(bounds: Bounds, replaying: Replaying) -> Self {
        let memory = Memory::new(bounds.waiting_bytes());
        Self { bounds, put: 0, with_body: BTreeSet::new(), replaying, memory, again: BTreeMap::new() }
    }

    /// The record of an attempt before has ended.
    pub(crate) fn goes_live(&self) {
        self.replaying.end();
    }

    /// The pieces of the body behind this handle, if they are counted: where its stream is taken.
    pub(super) fn taken_stream(&mut self, body: u32) -> Option<Arc<Pieces>> {
        self.again.remove(&body)
    }

    /// Counts what waits of a body that was just begun, if it is written along a record.
    fn count(&mut self, handle: u32, body: &mut Option<HyperOutgoingBody>) {
        self.again.remove(&handle);
        if self.replaying.is_on() {
            let pieces = Pieces::new(&self.memory, self.replaying.clone());
            *body = body.take().map(|body| pieces.collected_from(body));
            self.again.insert(handle, pieces);
        }
    }

    /// The message behind this handle was sent or given back.
    pub(crate) fn forget(&mut self, handle: u32) {
        self.with_body.remove(&handle);
        self.again.remove(&handle);
    }

    fn put(&mut self, bytes: usize) -> Result<(), Stop> {
        self.put = self.put.saturating_add(bytes as u64);
        let most = self.bounds.drafts_bytes();
        if self.put <= most {
            return Ok(());
        }
        let most = Bytes(most);
        let message =
            format!("the tool put more than {most} into requests that it built; raise `limits.http_requests`");
        Err(Stop::fault(Fault::CopyLimit, message))
    }

    fn begin_body(&mut self, handle: u32) -> Result<(), Stop> {
        self.with_body.insert(handle);
        let most = self.bounds.requests.max(1);
        if self.with_body.len() as u64 <= most {
            return Ok(());
        }
        let message = format!("the tool holds more than {most} requests whose bodies it has begun and not sent");
        Err(Stop::fault(Fault::HandleLimit, message))
    }
}

type Plain<T> = wasmtime::Result<T>;
type Set = wasmtime::Result<Result<(), ()>>;

impl CallState {
    /// Charges for a host call and the bytes that it moves.
    fn pay_for(&mut self, bytes: usize) -> Result<(), Stop> {
        self.pay()?;
        self.pay_extra(bytes as u64 / BYTES_PER_UNIT)
    }

    /// Puts a text of at most `most` bytes into a message.
    fn put_text(&mut self, bytes: usize, most: usize, put: impl FnOnce(&mut WasiHttpCtxView<'_>) -> Set) -> Set {
        self.pay_for(bytes)?;
        if bytes > most {
            return Ok(Err(()));
        }
        let set = put(&mut self.http_view())?;
        if set.is_ok() {
            self.drafts.put(bytes)?;
        }
        Ok(set)
    }

    /// Gives back a handle of a message or its fields.
    fn drop_draft(&mut self, handle: u32) -> Result<(), Stop> {
        self.pay()?;
        self.forget(handle);
        Ok(())
    }
}

fn field_cost(name: usize, value: usize) -> usize {
    name.saturating_add(value).saturating_add(FIELD_COST)
}

fn map_cost(map: &http::HeaderMap) -> usize {
    map.iter().map(|(name, value)| field_cost(name.as_str().len(), value.len())).sum()
}

impl HostFields for CallState {
    fn new(&mut self) -> Plain<Resource<Fields>> {
        self.pay()?;
        HostFields::new(&mut self.http_view())
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<Fields>> {
        let bytes = entries.iter().map(|(name, value)| field_cost(name.len(), value.len())).sum();
        self.pay_for(bytes)?;
        let fields = HostFields::from_list(&mut self.http_view(), entries)?;
        self.drafts.put(bytes)?;
        Ok(fields)
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> Plain<Vec<Vec<u8>>> {
        self.pay_for(name.len())?;
        let values = HostFields::get(&mut self.http_view(), fields, name)?;
        self.pay_extra(values.iter().map(Vec::len).sum::<usize>() as u64 / BYTES_PER_UNIT)?;
        Ok(values)
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> Plain<bool> {
        self.pay_for(name.len())?;
        HostFields::has(&mut self.http_view(), fields, name)
    }

    fn set(&mut self, fields: Resource<Fields>, name: String, values: Vec<Vec<u8>>) -> HeaderResult<()> {
        let bytes = values.iter().map(|value| field_cost(name.len(), value.len())).sum();
        self.pay_for(bytes)?;
        HostFields::set(&mut self.http_view(), fields, name, values)?;
        Ok(self.drafts.put(bytes)?)
    }

    fn delete(&mut self, fields: Resource<Fields>, name: String) -> HeaderResult<()> {
        self.pay_for(name.len())?;
        HostFields::delete(&mut self.http_view(), fields, name)
    }

    fn append(&mut self, fields: Resource<Fields>, name: String, value: Vec<u8>) -> HeaderResult<()> {
        let bytes = field_cost(name.len(), value.len());
        self.pay_for(bytes)?;
        HostFields::append(&mut self.http_view(), fields, name, value)?;
        Ok(self.drafts.put(bytes)?)
    }

    fn entries(&mut self, fields: Resource<Fields>) -> Plain<Vec<(String, Vec<u8>)>> {
        self.pay_for(map_cost(self.table.get(&fields)?))?;
        HostFields::entries(&mut self.http_view(), fields)
    }

    // Shares its fields with the first until one of the two is changed: counted as if it were at once.
    fn clone(&mut self, fields: Resource<Fields>) -> Plain<Resource<Fields>> {
        let bytes = map_cost(self.table.get(&fields)?);
        self.pay_for(bytes)?;
        self.drafts.put(bytes)?;
        HostFields::clone(&mut self.http_view(), fields)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> Plain<()> {
        self.drop_draft(fields.rep())?;
        HostFields::drop(&mut self.http_view(), fields)
    }
}

impl HostOutgoingRequest for CallState {
    fn new(&mut self, headers: Resource<Fields>) -> Plain<Resource<OutgoingRequest>> {
        self.pay()?;
        HostOutgoingRequest::new(&mut self.http_view(), headers)
    }

    fn body(&mut self, request: Resource<OutgoingRequest>) -> Plain<Result<Resource<OutgoingBody>, ()>> {
        self.pay()?;
        let handle = request.rep();
        self.drafts.begin_body(handle)?;
        let begun = HostOutgoingRequest::body(&mut self.http_view(), request)?;
        if let Ok(body) = &begun {
            let request: Resource<OutgoingRequest> = Resource::new_borrow(handle);
            self.drafts.count(body.rep(), &mut self.table.get_mut(&request)?.body);
        }
        Ok(begun)
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> Plain<Method> {
        self.pay()?;
        HostOutgoingRequest::method(&mut self.http_view(), request)
    }

    fn set_method(&mut self, request: Resource<OutgoingRequest>, method: Method) -> Set {
        let bytes = if let Method::Other(text) = &method { text.len() } else { 0 };
        self.put_text(bytes, self.drafts.bounds.method_bytes, |http| {
            HostOutgoingRequest::set_method(http, request, method)
        })
    }

    fn path_with_query(&mut self, request: Resource<OutgoingRequest>) -> Plain<Option<String>> {
        self.pay()?;
        HostOutgoingRequest::path_with_query(&mut self.http_view(), request)
    }

    // Its length is bounded by the library; one that is too long to be sent is refused with a record when it should be.
    fn set_path_with_query(&mut self, request: Resource<OutgoingRequest>, path: Option<String>) -> Set {
        let bytes = path.as_ref().map_or(0, String::len);
        self.put_text(bytes, usize::MAX, |http| HostOutgoingRequest::set_path_with_query(http, request, path))
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> Plain<Option<Scheme>> {
        self.pay()?;
        HostOutgoingRequest::scheme(&mut self.http_view(), request)
    }

    fn set_scheme(&mut self, request: Resource<OutgoingRequest>, scheme: Option<Scheme>) -> Set {
        let bytes = if let Some(Scheme::Other(text)) = &scheme { text.len() } else { 0 };
        self.put_text(bytes, usize::MAX, |http| HostOutgoingRequest::set_scheme(http, request, scheme))
    }

    fn authority(&mut self, request: Resource<OutgoingRequest>) -> Plain<Option<String>> {
        self.pay()?;
        HostOutgoingRequest::authority(&mut self.http_view(), request)
    }

    fn set_authority(&mut self, request: Resource<OutgoingRequest>, authority: Option<String>) -> Set {
        let bytes = authority.as_ref().map_or(0, String::len);
        self.put_text(bytes, self.drafts.bounds.authority_bytes, |http| {
            HostOutgoingRequest::set_authority(http, request, authority)
        })
    }

    fn headers(&mut self, request: Resource<OutgoingRequest>) -> Plain<Resource<Fields>> {
        self.pay()?;
        HostOutgoingRequest::headers(&mut self.http_view(), request)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> Plain<()> {
        self.drop_draft(request.rep())?;
        HostOutgoingRequest::drop(&mut self.http_view(), request)
    }
}

// A tool serves no requests, but it can make itself a response that goes nowhere.
impl HostOutgoingResponse for CallState {
    fn new(&mut self, headers: Resource<Fields>) -> Plain<Resource<OutgoingResponse>> {
        self.pay()?;
        HostOutgoingResponse::new(&mut self.http_view(), headers)
    }

    fn body(&mut self, response: Resource<OutgoingResponse>) -> Plain<Result<Resource<OutgoingBody>, ()>> {
        self.pay()?;
        let handle = response.rep();
        self.drafts.begin_body(handle)?;
        let begun = HostOutgoingResponse::body(&mut self.http_view(), response)?;
        if let Ok(body) = &begun {
            let response: Resource<OutgoingResponse> = Resource::new_borrow(handle);
            self.drafts.count(body.rep(), &mut self.table.get_mut(&response)?.body);
        }
        Ok(begun)
    }

    fn status_code(&mut self, response: Resource<OutgoingResponse>) -> Plain<u16> {
        self.pay()?;
        HostOutgoingResponse::status_code(&mut self.http_view(), response)
    }

    fn set_status_code(&mut self, response: Resource<OutgoingResponse>, status: u16) -> Set {
        self.pay()?;
        HostOutgoingResponse::set_status_code(&mut self.http_view(), response, status)
    }

    fn headers(&mut self, response: Resource<OutgoingResponse>) -> Plain<Resource<Fields>> {
        self.pay()?;
        HostOutgoingResponse::headers(&mut self.http_view(), response)
    }

    fn drop(&mut self, response: Resource<OutgoingResponse>) -> Plain<()> {
        self.drop_draft(response.rep())?;
        HostOutgoingResponse::drop(&mut self.http_view(), response)
    }
}

#[cfg(test)]
mod tests {
    use agent_core::limits::Limits;

    use super::*;

    fn drafts(requests: u64) -> Drafts {
        let bounds = Bounds::of(&Limits { http_requests: requests, ..Limits::STANDARD });
        Drafts::new(bounds, Replaying::begin(false))
    }

    fn fault(done: &Result<(), Stop>) -> Option<Fault> {
        match done {
            Err(Stop::Fault { fault, .. }) => Some(*fault),
            Err(Stop::Gate(_)) | Ok(()) => None,
        }
    }

    /// Whoever may send n requests can build n of the largest that can be sent, and not much more.
    #[test]
    fn what_may_be_sent_can_be_built_and_little_more() {
        for requests in [0, 1, 64] {
            let mut drafts = drafts(requests);
            let (fields, field_bytes) = (drafts.bounds.fields, drafts.bounds.field_bytes);
            for _ in 0..requests {
                for _ in 0..fields {
                    assert_eq!(fault(&drafts.put(field_cost(0, field_bytes / fields))), None);
                }
                assert_eq!(fault(&drafts.put(drafts.bounds.authority_bytes)), None);
            }
            assert_eq!(fault(&drafts.put(4 << 20)), Some(Fault::CopyLimit));
        }
    }

    #[test]
    fn bodies_that_are_begun_are_counted_until_they_are_sent() {
        let mut drafts = drafts(2);
        for handle in [7, 8, 7] {
            assert_eq!(fault(&drafts.begin_body(handle)), None);
        }
        drafts.forget(7);
        assert_eq!(fault(&drafts.begin_body(9)), None);
        assert_eq!(fault(&drafts.begin_body(10)), Some(Fault::HandleLimit));
    }
}
