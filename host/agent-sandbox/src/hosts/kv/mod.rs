//! `wasi:keyvalue` 0.2.0-draft: the component's own stores, within its grant. Each use is decided and recorded; writes stay
//! in the call's [`view::View`] until the caller records the call. A replay looks and writes again, for what it holds must be
//! what it held then, but its guest is told what was there then.

mod view;

use agent_core::digest::Digest;
use agent_core::effect::{EffectRequest, EffectResult, KvOperation, Refusal};
use agent_core::name::Name;
use agent_core::units::Bytes;
use wasmtime::component::Resource;

use crate::bindings::keyvalue::wasi::keyvalue::{atomics, batch, store};
use crate::effects::{Permit, Refused};
use crate::gate::GateClosed;
use crate::kv::StoresError;
use crate::replay::diverged;
use crate::state::{CallState, GuestError, table_stop};
use crate::stop::Stop;
use crate::transcript::{Decode, Encode, Operation as Op, decode_all};

pub(crate) use view::View;
use view::{Page, Problem};

/// Most bytes that one `get-many` gives back: a guest may ask for one large value under the same key many times.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A store that the guest opened.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket {
    store: Name,
}

/// An error of a store operation: for the guest, or the call's end.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum KvError {
    Guest(store::Error),
    Stop(wasmtime::Error),
}

impl From<Stop> for KvError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop.into())
    }
}

impl GuestError for KvError {
    fn refusal(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Guest(store::Error::NoSuchStore) => bytes.push(0),
            Self::Guest(store::Error::AccessDenied) => bytes.push(1),
            Self::Guest(store::Error::Other(why)) => {
                bytes.push(2);
                why.encode(&mut bytes);
            }
            Self::Stop(_) => return None,
        }
        Some(bytes)
    }

    fn recall(refusal: &[u8]) -> Option<Self> {
        Some(Self::Guest(match refusal.split_first()? {
            (0, []) => store::Error::NoSuchStore,
            (1, []) => store::Error::AccessDenied,
            (2, why) => store::Error::Other(decode_all(why)?),
            _ => return None,
        }))
    }
}

impl Decode for store::KeyResponse {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (keys, cursor) = Decode::decode(bytes)?;
        Some(Self { keys, cursor })
    }
}

impl Encode for store::KeyResponse {
    fn encode(&self, out: &mut Vec<u8>) {
        (&self.keys, self.cursor).encode(out);
    }
}

/// What one use of a store came to, beside its answer.
struct Came<T> {
    answer: T,
    bytes_out: usize,
    bytes_in: usize,
    /// A word for the record, where the request alone does not say it.
    words: String,
}

impl<T> Came<T> {
    fn new(answer: T) -> Self {
        Self { answer, bytes_out: 0, bytes_in: 0, words: String::new() }
    }
}

impl CallState {
    fn bucket(&self, bucket: &Resource<Bucket>) -> Result<Name, KvError> {
        let found = self.table.get(bucket).map_err(table_stop)?;
        Ok(found.store.clone())
    }

    // Exclusive, like everything that is held over a wait here: the state is not shared between threads.
    async fn kv_permit(
        &mut self,
        operation: KvOperation,
        store: &Name,
        key: Option<&str>,
        value: Option<&[u8]>,
    ) -> Result<Permit, KvError> {
        // Also here: one host call may be many uses, and the record has room for so many.
        self.effects.check_open()?;
        let request = EffectRequest::Kv {
            operation,
            store: store.to_string(),
            key: key.map(str::to_owned),
            value: value.map(Digest::of),
        };
        let number = self.effects.number();
        if let Some(failure) = self.replay.recall_failure_of(number) {
            return Err(self.kv_failed_then(number, request, failure).await);
        }
        // Every look is only told in a replay, so nobody is asked about it.
        let decided = if is_look(operation) && self.replay.is_told() {
            self.effects.decide_told(number, request).await
        } else {
            self.effects.decide(number, request).await
        };
        decided.map_err(|Refused(_)| KvError::Guest(store::Error::AccessDenied))
    }

    /// Records what failed before the call was interrupted. It is not tried again, whatever would come of it now.
    async fn kv_failed_then(&mut self, number: u32, request: EffectRequest, failure: KvError) -> KvError {
        let refusal = match &failure {
            KvError::Guest(store::Error::AccessDenied) => Some(Refusal::KvDenied),
            KvError::Guest(store::Error::Other(why)) if why.starts_with(&Refusal::KvQuota.to_string()) => {
                Some(Refusal::KvQuota)
            }
            KvError::Guest(store::Error::Other(_) | store::Error::NoSuchStore) | KvError::Stop(_) => None,
        };
        match refusal {
            Some(refusal) => {
                self.effects.refuse_numbered(number, request, refusal, (AS_BEFORE, None));
            }
            None => {
                if let Ok(permit) = self.effects.decide_told(number, request).await {
                    self.effects.settle(permit, EffectResult::Failed(AS_BEFORE.to_owned()));
                }
            }
        }
        failure
    }

    /// What came of several entries. Of those that were written before one failed then, none can be missing now: the tool was told,
    /// or could see, that they are there.
    fn kv_as_far_as_then(&mut self, done: Result<(), KvError>) -> Result<(), KvError> {
        match (done, self.replay.told_effects()) {
            (Err(KvError::Guest(error)), Some(then)) if self.effects.last() < then => {
                Err(diverged(format!("an entry was written then, and now it cannot be: {error:?}")).into())
            }
            (done, _) => done,
        }
    }

    /// Records what a permitted use came to and turns a problem into the guest's error.
    fn kv_conclude<T>(&self, permit: Permit, result: Result<Came<T>, Problem>) -> Result<T, KvError> {
        match result {
            Ok(came) => {
                let (out, into) = (Bytes(came.bytes_out as u64), Bytes(came.bytes_in as u64));
                self.effects.keep(permit.effect(EffectResult::Done(came.words), out, into));
                Ok(came.answer)
            }
            Err(Problem::Quota(rule)) => {
                let hint = "raise it in a grant of the tool: `limits = { … }`";
                let said = (rule.as_str(), Some(hint));
                self.effects.refuse_numbered(permit.number, permit.request, Refusal::KvQuota, said);
                Err(KvError::Guest(store::Error::Other(format!("{}: {rule}", Refusal::KvQuota))))
            }
            Err(Problem::Wrong(why) | Problem::Stores(StoresError::Busy(why))) => {
                self.effects.settle(permit, EffectResult::Failed(why.clone()));
                Err(KvError::Guest(store::Error::Other(why)))
            }
            Err(Problem::Stores(error @ StoresError::Failed(_))) => {
                self.effects.settle(permit, EffectResult::Failed(error.to_string()));
                Err(Stop::Gate(GateClosed(error.to_string())).into())
            }
        }
    }

    async fn kv_get(&mut self, store: &Name, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let permit = self.kv_permit(KvOperation::Read, store, Some(key), None).await?;
        let came = self.kv.get(store, key).await.map(|value| Came {
            bytes_in: value.as_ref().map_or(0, Vec::len),
            words: if value.is_some() { String::new() } else { NO_KEY.to_owned() },
            ..Came::new(value)
        });
        self.kv_conclude(permit, came)
    }

    async fn kv_set(&mut self, store: &Name, key: String, value: Vec<u8>) -> Result<(), KvError> {
        let permit = self.kv_permit(KvOperation::Write, store, Some(&key), Some(&value)).await?;
        let bytes_out = key.len() + value.len();
        let came = self.kv.set(store, key, value).await;
        self.kv_conclude(permit, came.map(|()| Came { bytes_out, ..Came::new(()) }))
    }

    async fn kv_delete(&mut self, store: &Name, key: String) -> Result<(), KvError> {
        let permit = self.kv_permit(KvOperation::Remove, store, Some(&key), None).await?;
        let came = self
            .kv
            .delete(store, key)
            .await
            .map(|there| Came { words: if there { String::new() } else { NO_KEY.to_owned() }, ..Came::new(()) });
        self.kv_conclude(permit, came)
    }

    async fn kv_exists(&mut self, store: &Name, key: &str) -> Result<bool, KvError> {
        let permit = self.kv_permit(KvOperation::Read, store, Some(key), None).await?;
        let came = self.kv.get(store, key).await;
        self.kv_conclude(permit, came.map(|value| Came::new(value.is_some())))
    }

    async fn kv_list(&mut self, store: &Name, cursor: Option<u64>) -> Result<store::KeyResponse, KvError> {
        let permit = self.kv_permit(KvOperation::List, store, None, None).await?;
        let came = self.kv.page(store, cursor).await.map(|Page { keys, cursor }| Came {
            bytes_in: keys.iter().map(String::len).sum(),
            words: format!("{} keys", keys.len()),
            ..Came::new(store::KeyResponse { keys, cursor })
        });
        self.kv_conclude(permit, came)
    }

    async fn kv_increment(&mut self, store: &Name, key: String, delta: u64) -> Result<u64, KvError> {
        let permit = self.kv_permit(KvOperation::Write, store, Some(&key), None).await?;
        let came = self.incremented(store, key, delta).await;
        self.kv_conclude(permit, came)
    }

    async fn incremented(&mut self, store: &Name, key: String, delta: u64) -> Result<Came<u64>, Problem> {
        let before = match self.kv.get(store, &key).await? {
            None => 0,
            Some(bytes) => {
                number(&bytes).ok_or_else(|| Problem::Wrong(format!("the value of `{key}` is no number")))?
            }
        };
        let sum = before.checked_add(delta).ok_or_else(|| Problem::Wrong(format!("`{key}` would be too large")))?;
        let bytes_out = key.len();
        self.kv.set(store, key, sum.to_string().into_bytes()).await?;
        Ok(Came { bytes_out, words: sum.to_string(), ..Came::new(sum) })
    }

    async fn kv_get_many(&mut self, store: &Name, keys: Vec<String>) -> Result<Many, KvError> {
        let permit = self.kv_permit(KvOperation::Read, store, None, None).await?;
        let came = self.several(store, keys).await;
        self.kv_conclude(permit, came)
    }

    async fn several(&mut self, store: &Name, keys: Vec<String>) -> Result<Came<Many>, Problem> {
        let (mut bytes, mut found) = (0, Vec::new());
        for key in keys {
            let value = self.kv.get(store, &key).await?;
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            if bytes > ANSWER_BYTES_MAX {
                let most = Bytes(ANSWER_BYTES_MAX as u64);
                return Err(Problem::Wrong(format!("these keys have more than {most}: ask for fewer at once")));
            }
            found.push(value.map(|value| (key, value)));
        }
        let words = format!("{} keys", found.len());
        Ok(Came { bytes_in: bytes, words, ..Came::new(found) })
    }
}

/// What `get-many` answers.
type Many = Vec<Option<(String, Vec<u8>)>>;

/// Whether a use changes nothing.
fn is_look(operation: KvOperation) -> bool {
    match operation {
        KvOperation::Read | KvOperation::List => true,
        KvOperation::Write | KvOperation::Remove => false,
    }
}

/// In the record of what failed or was refused before the call was interrupted.
const AS_BEFORE: &str = "as before the call was interrupted";

/// In the record of a look at a key that is not there.
const NO_KEY: &str = "no such key";

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

impl store::Host for CallState {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, KvError> {
        self.ask(Op::KvOpen, &[], &identifier)?;
        let name = if identifier.is_empty() { "default" } else { &identifier };
        // Nothing is decided yet: what may be done there is, at each use.
        let opened = match name.parse() {
            Ok(store) => self.push(Bucket { store }).map_err(KvError::from),
            Err(_) => Err(KvError::Guest(store::Error::NoSuchStore)),
        };
        self.answer(opened)
    }

    fn convert_error(&mut self, error: KvError) -> wasmtime::Result<store::Error> {
        match error {
            KvError::Guest(error) => Ok(error),
            KvError::Stop(stop) => Err(stop),
        }
    }
}

impl store::HostBucket for CallState {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, KvError> {
        self.ask(Op::KvGet, &[bucket.rep()], &key)?;
        let store = self.bucket(&bucket)?;
        let got = match self.recall_offline() {
            Some(told) => told,
            None => {
                let now = self.kv_get(&store, &key).await;
                self.recall().unwrap_or(now)
            }
        };
        self.answer(got)
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), KvError> {
        self.ask(Op::KvSet, &[bucket.rep()], &(&key, &value))?;
        let store = self.bucket(&bucket)?;
        let set = match self.recall_offline() {
            Some(told) => told,
            None => self.kv_set(&store, key, value).await,
        };
        self.answer(set)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), KvError> {
        self.ask(Op::KvDelete, &[bucket.rep()], &key)?;
        let store = self.bucket(&bucket)?;
        let deleted = match self.recall_offline() {
            Some(told) => told,
            None => self.kv_delete(&store, key).await,
        };
        self.answer(deleted)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, KvError> {
        self.ask(Op::KvExists, &[bucket.rep()], &key)?;
        let store = self.bucket(&bucket)?;
        let exists = match self.recall_offline() {
            Some(told) => told,
            None => {
                let now = self.kv_exists(&store, &key).await;
                self.recall().unwrap_or(now)
            }
        };
        self.answer(exists)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, KvError> {
        self.ask(Op::KvListKeys, &[bucket.rep()], &cursor)?;
        let store = self.bucket(&bucket)?;
        let listed = match self.recall_offline() {
            Some(told) => told,
            None => {
                let now = self.kv_list(&store, cursor).await;
                self.recall().unwrap_or(now)
            }
        };
        self.answer(listed)
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.forget(bucket.rep());
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for CallState {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Result<u64, KvError> {
        self.ask(Op::KvIncrement, &[bucket.rep()], &(&key, delta))?;
        let store = self.bucket(&bucket)?;
        let sum = match self.recall_offline() {
            Some(told) => told,
            None => self.kv_increment(&store, key, delta).await,
        };
        self.answer(sum)
    }
}

impl batch::Host for CallState {
    async fn get_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<Many, KvError> {
        self.ask(Op::KvGetMany, &[bucket.rep()], &keys)?;
        // Each key is looked up, whatever it gives.
        self.pay_extra(keys.len() as u64)?;
        let store = self.bucket(&bucket)?;
        let got = match self.recall_offline() {
            Some(told) => told,
            None => {
                let now = self.kv_get_many(&store, keys).await;
                self.recall().unwrap_or(now)
            }
        };
        self.answer(got)
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Result<(), KvError> {
        self.ask(Op::KvSetMany, &[bucket.rep()], &pairs)?;
        self.pay_extra(pairs.len() as u64)?;
        let store = self.bucket(&bucket)?;
        if let Some(told) = self.recall_offline() {
            return self.answer(told);
        }
        let mut set = Ok(());
        for (key, value) in pairs {
            if set.is_ok() {
                set = self.kv_set(&store, key, value).await;
            }
        }
        let set = self.kv_as_far_as_then(set);
        self.answer(set)
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), KvError> {
        self.ask(Op::KvDeleteMany, &[bucket.rep()], &keys)?;
        self.pay_extra(keys.len() as u64)?;
        let store = self.bucket(&bucket)?;
        if let Some(told) = self.recall_offline() {
            return self.answer(told);
        }
        let mut deleted = Ok(());
        for key in keys {
            if deleted.is_ok() {
                deleted = self.kv_delete(&store, key).await;
            }
        }
        let deleted = self.kv_as_far_as_then(deleted);
        self.answer(deleted)
    }
}
