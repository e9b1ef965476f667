//! A call that is done again along its record and uses a store: what was written then is written again, what failed then is not,
//! and nobody is asked about what the guest is only told.

use std::io;
use std::sync::Arc;

use agent_core::limits::Limits;
use wasmtime::component::Resource;

use super::keeper::Keeper;
use super::replays::{Shop, Told, order, receipt};
use super::support::{Answer, shown, state_of};
use crate::bindings::keyvalue::wasi::keyvalue::{batch, store};
use crate::gate::EffectGate;
use crate::hosts::kv::KvError;
use crate::replay::Replay;
use crate::state::{Account, CallState};

fn of_store(error: KvError) -> String {
    match error {
        KvError::Guest(error) => format!("{error:?}"),
        KvError::Stop(stop) => format!("stop: {stop:#}"),
    }
}

/// Notes three things at once, looks at one and lists, then pays: up to there goes the record.
async fn notes_and_pays(state: &mut CallState, shop: &Shop) -> Told {
    let bucket = store::Host::open(state, String::new()).await.map_err(of_store)?;
    let bucket = || Resource::new_borrow(bucket.rep());
    let pairs = ["a", "b", "c"].map(|key| (key.to_owned(), key.as_bytes().to_vec())).to_vec();
    let set = match batch::Host::set_many(state, bucket(), pairs).await {
        Err(stop @ KvError::Stop(_)) => return Err(of_store(stop)),
        set => set.map_err(of_store),
    };
    let seen = store::HostBucket::get(state, bucket(), "b".to_owned()).await.map_err(of_store);
    let keys = store::HostBucket::list_keys(state, bucket(), None).await.map_err(of_store)?;
    let answer = order(state, shop.habits()).await?;
    Ok(format!("{set:?} {seen:?} {:?} {}", keys.keys, receipt(state, answer).await?))
}

async fn call(shop: &Shop, gate: &Arc<Keeper>, replay: Option<Replay>) -> (Told, Account) {
    let mut state = state_of(Arc::clone(gate) as Arc<dyn EffectGate>, Vec::new(), Limits::STANDARD, replay);
    let said = notes_and_pays(&mut state, shop).await;
    (said, state.finish().await)
}

fn written(account: &Account) -> Vec<&str> {
    account.kv.iter().map(|change| change.key.as_str()).collect()
}

/// Somebody said no to an entry in the middle, and yes to the very same in an attempt before that one: the no is what counts.
#[tokio::test]
async fn what_was_denied_then_is_not_written_again() -> io::Result<()> {
    let shop = Shop::open().await?;
    let gate = Keeper::new(Answer::Allow);
    gate.kept(|kept| kept.denied_key = Some("b"));
    let (said, account) = call(&shop, &gate, None).await;
    assert_eq!(said.as_deref(), Ok("Err(\"Error::AccessDenied\") Err(\"Error::AccessDenied\") [\"a\"] 200 receipt 1"));
    assert_eq!(written(&account), ["a"]);

    // Asked about what is done again, this gate allows all of it.
    let (again, resumed) = call(&shop, &Keeper::new(Answer::Allow), Some(gate.replay())).await;
    assert_eq!((&again, &resumed.divergence, shop.bank.hits()), (&said, &None, 1));
    assert_eq!(written(&resumed), ["a"]);
    let effects = shown(&resumed.effects);
    assert_eq!(effects[1], "2 write key b of store default: kv_denied, refused");
    Ok(())
}

#[tokio::test]
async fn what_was_written_is_written_again_and_nobody_is_asked_about_looks() -> io::Result<()> {
    let shop = Shop::open().await?;
    // What was refused then is not even decided about.
    for (denied, again, told) in [(None, vec![1, 2, 3], vec![4, 5]), (Some("b"), vec![1], vec![4])] {
        let gate = Keeper::new(Answer::AllowKeyed);
        gate.kept(|kept| kept.denied_key = denied);
        let (said, account) = call(&shop, &gate, None).await;
        let resumed = Keeper::new(Answer::AllowKeyed);
        let (told_again, resumption) = call(&shop, &resumed, Some(gate.replay())).await;
        assert_eq!((told_again, resumption.divergence.as_ref()), (said, None));
        assert_eq!(written(&resumption), written(&account));
        assert_eq!(resumed.kept(|kept| (kept.decided_again.clone(), kept.decided_told.clone())), (again, told));
        assert_eq!(resumed.kept(|kept| kept.decided.clone()), Vec::<u32>::new());
    }
    Ok(())
}

/// The guest saw the entries before the one that failed, so a call in which they are missing is another one.
#[tokio::test]
async fn what_was_written_before_a_failure_cannot_be_refused_now() -> io::Result<()> {
    let shop = Shop::open().await?;
    let gate = Keeper::new(Answer::Allow);
    gate.kept(|kept| kept.denied_key = Some("b"));
    let _ = call(&shop, &gate, None).await;
    let strict = Keeper::new(Answer::Allow);
    strict.kept(|kept| kept.denied_again = Some("a"));
    let (again, _) = call(&shop, &strict, Some(gate.replay())).await;
    let why = again.err().unwrap_or_default();
    assert!(why.contains("an entry was written then, and now it cannot be"), "{why}");
    assert_eq!(shop.bank.hits(), 1);
    Ok(())
}
